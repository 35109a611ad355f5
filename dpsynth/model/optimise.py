"""L-BFGS for a smooth, convex function, with a metric of the function's own and a line search on slopes.

Nocedal and Wright 2006, algorithm 7.4. Near the minimum the function's own value has no digits left, so a step is
judged by its slope (Hager and Zhang 2005, the approximate Wolfe conditions): the end point depends on rounding no more
than the gradient does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from dpsynth.model.factor import Floats

MEMORY = 20
"""Steps that are remembered, of a point of up to MEMORY_CELLS / MEMORY numbers."""

MEMORY_CELLS = 10_000_000
LEAST_MEMORY = 3
TRIALS = 40
DOUBT = 8.0
"""How many times more than the estimate says may be left: it misses the directions that are found last."""

BEGIN = 0.5
"""Length of the first step in units of the metric's, which counts overlapping directions several times."""


class Evaluation(Protocol):
    """A function at one point."""

    @property
    def value(self) -> float:
        """The function."""
        ...

    @property
    def size(self) -> float:
        """How large the terms are that the value sums: its rounding errors are of this size times the machine's."""
        ...

    @property
    def gradient(self) -> Floats:
        """Its gradient."""
        ...

    @property
    def precondition(self) -> Callable[[Floats], Floats]:
        """Multiplies by an approximate inverse of its Hessian, symmetric and not negative."""
        ...


At = TypeVar("At", bound=Evaluation)


@dataclass(frozen=True)
class Minimum(Generic[At]):
    """Where the search ended. ``done`` is False if it hit the cap or rounding before the criterion was met."""

    point: Floats
    there: At
    evaluations: int
    done: bool


@dataclass(frozen=True, eq=False)
class _Step:
    move: Floats
    change: Floats
    curvature: float


def dot(one: Floats, two: Floats) -> float:
    """The scalar product of two vectors, on one thread: those of a BLAS wait for each other where cores are busy."""
    return float(np.einsum("i,i->", one, two))


def minimise(
    function: Callable[[Floats], At], start: Floats, enough: Callable[[At], bool], cap: int, least: float = 0.0
) -> Minimum[At]:
    """Search until ``enough(function(point))``, or for about ``cap`` evaluations.

    It ends, too, where the value lies within ``least`` of the minimum by an estimate: DOUBT times what the next step
    would gain if the function were quadratic and its Hessian the one that the steps so far show.
    """
    point, here, evaluations = start, function(start), 1
    steps: deque[_Step] = deque(maxlen=max(LEAST_MEMORY, min(MEMORY, MEMORY_CELLS // max(start.size, 1))))
    moves, scale = 0, BEGIN  # measured anew after 1, 2, 4, 8... moves, as that costs as much as finding a direction
    while not enough(here):
        if evaluations >= cap:
            return Minimum(point, here, evaluations, False)
        if steps and moves.bit_count() == 1:
            last = steps[-1]
            scale = last.curvature / dot(last.change, here.precondition(last.change))
        direction = -_two_loops(here, steps, scale)
        fall = dot(here.gradient, direction)
        if least and 0 <= -fall * DOUBT / 2 <= least:
            return Minimum(point, here, evaluations, True)
        found = _line_search(function, point, here, fall, direction) if fall < 0 else None
        if found is None:
            if not steps:
                return Minimum(point, here, evaluations + TRIALS, False)
            steps.clear()
            moves, scale = 0, BEGIN
            evaluations += TRIALS
            continue
        length, there, tried = found
        evaluations += tried
        moves += 1
        move, change = length * direction, there.gradient - here.gradient
        curvature = dot(move, change)
        if curvature > 0:
            steps.append(_Step(move, change, curvature))
        point, here = point + move, there
    return Minimum(point, here, evaluations, True)


def _two_loops(here: Evaluation, steps: deque[_Step], scale: float) -> Floats:
    result = here.gradient.copy()
    weights = []
    for step in reversed(steps):
        weight = dot(step.move, result) / step.curvature
        weights.append(weight)
        result -= weight * step.change
    result = scale * here.precondition(result)
    for step, weight in zip(steps, reversed(weights), strict=True):
        result += (weight - dot(step.change, result) / step.curvature) * step.move
    return result


def _line_search(
    function: Callable[[Floats], At], point: Floats, here: At, fall: float, direction: Floats
) -> tuple[float, At, int] | None:
    """A length whose slope has shrunk; None if rounding leaves none. The slope along a convex function only grows."""
    low, high, low_fall = 0.0, np.inf, fall
    high_fall = np.inf
    length = 1.0
    for trial in range(1, TRIALS + 1):
        there = function(point + length * direction)
        rise = dot(there.gradient, direction)
        if not np.isfinite(there.value) or not np.isfinite(rise):
            rise = np.inf
        change = there.value - here.value
        lower = change <= 1e-4 * length * fall or abs(change) <= 1e-10 * here.size
        if 0.9 * fall <= rise <= -0.5 * fall and lower:
            return length, there, trial
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
