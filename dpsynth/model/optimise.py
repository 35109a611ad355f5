"""L-BFGS for a smooth, strictly convex function, with a diagonal metric and a line search on slopes.

Nocedal and Wright 2006, algorithm 7.4. Near the minimum the function's own value has no digits left, so a step is
judged by its slope (Hager and Zhang 2005, the approximate Wolfe conditions): the end point depends on rounding no more
than the gradient does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dpsynth.model.factor import Floats

MEMORY = 12
TRIALS = 40


@dataclass(frozen=True)
class Minimum:
    """Where the search ended. ``done`` is False if it hit the cap or rounding before the criterion was met."""

    point: Floats
    gradient: Floats
    evaluations: int
    done: bool


def minimise(
    function: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    metric: Floats,
    enough: Callable[[Floats, Floats], bool],
    cap: int,
) -> Minimum:
    """Search until ``enough(point, gradient)``. ``metric`` is a positive approximation of the Hessian's diagonal."""
    point = start
    value, slope = function(point)
    evaluations = 1
    steps: deque[tuple[Floats, Floats, float]] = deque(maxlen=MEMORY)
    while not enough(point, slope):
        if evaluations >= cap:
            return Minimum(point, slope, evaluations, False)
        direction = -_two_loops(slope, steps, metric)
        fall = float(slope @ direction)
        if not fall < 0:
            if not steps:
                return Minimum(point, slope, evaluations, False)
            steps.clear()
            continue
        found = _line_search(function, point, value, fall, direction)
        if found is None:
            if not steps:
                return Minimum(point, slope, evaluations + TRIALS, False)
            steps.clear()
            evaluations += TRIALS
            continue
        length, new_value, new_slope, tried = found
        evaluations += tried
        step, change = length * direction, new_slope - slope
        curvature = float(step @ change)
        if curvature > 0:
            steps.append((step, change, curvature))
        point, value, slope = point + step, new_value, new_slope
    return Minimum(point, slope, evaluations, True)


def _two_loops(slope: Floats, steps: deque[tuple[Floats, Floats, float]], metric: Floats) -> Floats:
    result = slope.copy()
    weights = []
    for step, change, curvature in reversed(steps):
        weight = float(step @ result) / curvature
        weights.append(weight)
        result -= weight * change
    if steps:
        _, change, curvature = steps[-1]
        result *= curvature / float(change @ (change / metric))
    result /= metric
    for (step, change, curvature), weight in zip(steps, reversed(weights), strict=True):
        result += (weight - float(change @ result) / curvature) * step
    return result


def _line_search(
    function: Callable[[Floats], tuple[float, Floats]], point: Floats, value: float, fall: float, direction: Floats
) -> tuple[float, float, Floats, int] | None:
    """A length whose slope has shrunk; None if rounding leaves none. The slope along a convex function only grows."""
    low, high, low_fall = 0.0, np.inf, fall
    high_fall = np.inf
    length = 1.0
    for trial in range(1, TRIALS + 1):
        new_value, slope = function(point + length * direction)
        rise = float(slope @ direction)
        if not np.isfinite(new_value) or not np.isfinite(rise):
            rise = np.inf
        lower = new_value <= value + 1e-4 * length * fall or abs(new_value - value) <= 1e-10 * abs(value)
        if 0.9 * fall <= rise <= -0.5 * fall and lower:
            return length, new_value, slope, trial
        if rise < 0 and lower:
            low, low_fall = length, rise
        else:
            high, high_fall = length, rise
        if not np.isfinite(high):
            length *= 4.0
        else:
            share = low_fall / (low_fall - high_fall) if np.isfinite(high_fall) and high_fall > 0 else 0.5
            share = 0.05 if low == 0 and trial > 4 else min(max(share, 0.1), 0.9)  # far off by orders of magnitude
            length = low + share * (high - low)
    return None
