"""Noisy one-way tables made smooth where the noise says that nothing is lost by it.

Haar coefficients of a table (differences of neighbouring groups of 1, 2, 4, ... cells) have independent normal noise.
Each is drawn towards zero by its posterior mean under a mixture of normal distributions of many widths, one mixture a
scale, whose weights are those under which the noisy coefficients are likeliest (empirical Bayes: Stephens 2017,
Biostatistics 18(2); for wavelets Xing, Carbonetto, Stephens 2021, arXiv 1605.07787). The mean over all places where the
groups may begin (Coifman, Donoho 1995) takes away where they happen to. A table without noise, or whose neighbours
have nothing in common, stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import LATTICE

Floats = NDArray[np.float64]

VARIANCES: Floats = np.array([0.0, *(4.0**power for power in range(-1, 14))])
"""Variances of the mixture in units of the noise's."""

ROUNDS = 50
"""Rounds of expectation-maximisation for the weights of the mixture."""

MOST_WEIGHED = 4096
"""Coefficients of one scale that the weights follow from one by one; of more, many of like size count as one."""


def smoothed(values: Floats, sigma: float) -> Floats:
    """The table of one column, smoothed: an array of the same shape with the same sum.

    ``sigma`` is the standard deviation of each value's noise. The result is rounded to the public grid of 1/LATTICE,
    so that two processors, whose exponentials may differ in the last digit, go on with the same numbers.
    """
    table = np.asarray(values, dtype=np.float64)
    if sigma <= 0 or table.size < 4:
        return table
    return shrunk(table, [sigma**2 * 2**power for power in range(table.size.bit_length() + 1)])


def shrunk(values: Floats, variances: Sequence[float]) -> Floats:
    """The table smoothed, where the noise of a sum over 1, 2, 4, ... neighbours has these variances."""
    rounded: Floats = np.rint(_shrunk(values[None], variances)[0] * LATTICE) / LATTICE
    return rounded


def _shrunk(tables: Floats, variances: Sequence[float]) -> Floats:
    """Each row smoothed; ``variances`` are those of the noise of its values, of sums of two of them, and so on.

    Groups begin at the first cell and, in a second copy of the row, at the second one: over all scales they begin
    everywhere. The last cell of a row with an odd number of them stays by itself on this scale.
    """
    count, cells = tables.shape
    if cells <= 2:
        return tables
    even = cells // 2 * 2
    both = np.concatenate([tables, np.roll(tables, -1, axis=1)])
    one, two = both[:, :even:2], both[:, 1:even:2]
    differences = _posterior_mean(one - two, 2 * variances[0]) if even > 2 else one - two
    sums = _shrunk(np.concatenate([one + two, both[:, even:]], axis=1), variances[1:])
    result = np.empty_like(both)
    result[:, :even:2] = (sums[:, : even // 2] + differences) / 2
    result[:, 1:even:2] = (sums[:, : even // 2] - differences) / 2
    result[:, even:] = sums[:, even // 2 :]
    mean: Floats = (result[:count] + np.roll(result[count:], 1, axis=1)) / 2
    return mean


def _posterior_mean(noisy: Floats, variance: float) -> Floats:
    """The means of normal coefficients given the noisy ones; rows are starting points that tell of the same table.

    The weight of zero gets the evidence of one more coefficient, so that a few do not find a pattern in noise.
    """
    squares = noisy.ravel() ** 2 / variance
    starts, count = noisy.shape
    weighed, times = _weighed(squares)
    likely = _likely(weighed)
    weights = np.full(VARIANCES.size, 1 / VARIANCES.size)
    nothing = (VARIANCES == 0).astype(np.float64)
    for _ in range(ROUNDS):
        shares = likely * weights
        shares /= shares.sum(axis=1, keepdims=True)
        held = shares.sum(axis=0) if times is None else times @ shares
        weights = (held / starts + nothing) / (count + 1)
    shares = (likely if times is None else _likely(squares)) * weights
    shares /= shares.sum(axis=1, keepdims=True)
    kept: Floats = (shares @ (VARIANCES / (1 + VARIANCES))).reshape(noisy.shape) * noisy
    return kept


def _likely(squares: Floats) -> Floats:
    """How likely each part of the mixture makes each coefficient, whose square is in units of the noise's variance."""
    surprise = -squares[:, None] / (2 * (1 + VARIANCES)) - np.log(1 + VARIANCES) / 2
    likely: Floats = np.exp(surprise - surprise.max(axis=1, keepdims=True))
    return likely


def _weighed(squares: Floats) -> tuple[Floats, Floats | None]:
    """The squares that the weights follow from, and how often each counts; None: all of them, once each.

    The largest half of MOST_WEIGHED is kept, the others are means of neighbours in size.
    """
    if squares.size <= MOST_WEIGHED:
        return squares, None
    ordered, kept = np.sort(squares), MOST_WEIGHED // 2
    starts = np.append(np.arange(kept) * (ordered.size - kept) // kept, np.arange(ordered.size - kept, ordered.size))
    times = np.diff(starts, append=ordered.size).astype(np.float64)
    return np.add.reduceat(ordered, starts) / times, times
