"""The likeliest smooth density behind noisy counts of the ordered cells of one column, at any levels.

A cell of w fine cells holds w exp(t) rows. Second differences of t between neighbours are normal, so that where noise
drowns everything the density goes on as an exponential one: a tail falls off instead of holding whatever noise was
positive. Cells at which spikes are likeliest stand apart. t is the mode of its posterior; how much it may bend is
averaged over, by the evidence of each of a fixed list of widths of that normal distribution (Laplace's approximation:
Tierney and Kadane 1986, JASA 81(393)). All of it is post-processing of noisy answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import LATTICE, Level, NoisyMarginal
from dpsynth.model.products import solution

Floats = NDArray[np.float64]

MOST_CELLS = 256
"""Most cells that a density is fitted to: it takes time as their number cubed."""

STIFFNESS = tuple(4.0**power for power in range(5, -4, -1))
"""Precisions of the second differences of the log density, from the smoothest on."""

RIDGE = 1e-6
"""Precision of the log density itself: cells without any rows stay finite."""

STEPS = 60
"""Most Newton steps at each stiffness."""

LONGEST = 3.0
"""Most that one step moves the log density of a cell."""

SCALES_OF_SPIKE = 3
"""Noise scales that a spike holds: fewer at a far bound would be noise that is moved as far."""

DAMPED = 1e8
"""Damping at which no step is worth anything."""

CLOSE = 1e-7
"""A step that makes the logarithm of the posterior no better than by this is the last."""


@dataclass(frozen=True, eq=False)
class Counted:
    """Noisy answers about one column, each at a coarsening of ``level``, and about how many ``rows`` there are.

    ``spikes`` are the cells of the level at which spikes are likeliest: those that hold enough stand apart. The last
    cell always does if it is null's.
    """

    level: Level
    spikes: NDArray[np.bool_]
    nullable: bool
    answers: tuple[NoisyMarginal, ...]
    rows: float

    def and_of(self, again: Sequence[NoisyMarginal]) -> Counted:
        """With further answers."""
        return replace(self, answers=(*self.answers, *again))

    @cached_property
    def mass(self) -> Floats:
        """The rows of each cell of the level, rounded to the public grid of 1/LATTICE."""
        seen = [(a.query.levels[0], a.values.astype(np.float64), float(a.sigma)) for a in self.answers]
        cells = self.level.size
        precision, shift = np.zeros((cells, cells)), np.zeros(cells)
        for level, values, sigma in seen:
            groups = self.level.onto(level)
            precision += (groups[:, None] == groups) / sigma**2
            shift += values[groups] / sigma**2
        # The number of rows is known as well as any one count is.
        finest = min(sigma for _, _, sigma in seen) ** -2
        precision += finest
        shift += self.rows * finest
        widths = np.bincount(self.level.cells).astype(np.float64)
        # A cell of which only sums were asked may hold anything.
        covariance, _ = solution(precision + RIDGE * precision.max() * np.eye(cells), np.eye(cells))
        apart = self.spikes & (covariance @ shift >= SCALES_OF_SPIKE * np.sqrt(np.diag(covariance)))
        apart[cells - self.nullable :] = True
        found: Floats = np.rint(fitted(precision, shift, widths, ~apart) * LATTICE) / LATTICE
        return found


def fitted(precision: Floats, shift: Floats, widths: Floats, smooth: NDArray[np.bool_]) -> Floats:
    """The expected counts x under the likelihood exp(shift'x - x'(precision)x / 2) and the prior of this module.

    ``precision`` has shape (cells, cells), the others (cells,).
    """
    chosen = np.flatnonzero(smooth)
    bends = np.zeros((max(chosen.size - 2, 0), len(widths)))
    if len(bends):
        bends[:, chosen] = np.diff(np.eye(chosen.size), 2, axis=0)
    rough = bends.T @ bends
    even = np.log(max(float(shift.sum() / precision.sum()), 1.0) / widths.sum() * len(widths))
    logs = np.full(len(widths), even)
    tables, evidence = [], []
    for stiffness in STIFFNESS if len(bends) else STIFFNESS[:1]:
        prior = stiffness * rough + RIDGE * np.eye(len(widths))
        logs, surprise = _mode(precision, shift, widths, prior, even, logs)
        tables.append(widths * np.exp(logs))
        evidence.append(len(bends) * np.log(stiffness) / 2 - surprise)
    weights = np.exp(np.array(evidence) - max(evidence))
    return np.asarray(weights @ np.array(tables) / weights.sum())


def _mode(
    precision: Floats, shift: Floats, widths: Floats, prior: Floats, even: float, logs: Floats
) -> tuple[Floats, float]:
    """The likeliest log density, begun at ``logs``, and minus the log of its evidence but for a constant.

    Newton's method, of which what is left of the answers enters only where it bends the right way: each step goes down.
    """

    def cost(at: Floats) -> float:
        rows = widths * np.exp(at)
        return float(rows @ (precision @ rows) / 2 - shift @ rows + (at - even) @ (prior @ (at - even)) / 2)

    now, damping = cost(logs), 1e-3
    for _ in range(STEPS):
        rows = widths * np.exp(logs)
        slope = rows * (precision @ rows - shift)
        bend = rows[:, None] * precision * rows + prior + np.diag(np.maximum(slope, 0.0))
        slope = slope + prior @ (logs - even)
        gained = 0.0
        while damping < DAMPED:
            step, _ = solution(bend + damping * np.diag(np.diag(bend)), -slope[:, None])
            moved = logs + np.clip(step[:, 0], -LONGEST, LONGEST)
            gained = now - (then := cost(moved))
            damping = damping / 8 if gained > 0 else damping * 8
            if gained > 0:
                logs, now = moved, then
                break
        if gained < CLOSE:
            break
        damping = max(damping, 1e-6)
    rows = widths * np.exp(logs)
    _, volume = solution(rows[:, None] * precision * rows + prior, rows[:, None])
    return logs, now + volume / 2
