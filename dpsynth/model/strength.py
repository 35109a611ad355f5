"""How strongly a noisy table is drawn towards what the columns would give if they were independent.

A measurement with ridge r enters the fit as t + r log(t / e) = y in each cell (y the noisy count, t the fitted one, e
the expected one under independence), as if nothing else were known: a unit of log-ratio may cost r rows.
"""

from __future__ import annotations

import numpy as np

from dpsynth.model.factor import Floats

COARSE: Floats = np.array([1e-3 * 1.25 ** (6 * step) for step in range(7)])
FINE: Floats = np.array([1.25**step for step in range(-5, 6)])
"""Strengths that are tried, and multiples of the best: at 1 counts vary as if drawn independently, at 0.001 a thousand
times as much."""

CELLS = 1 << 14
"""Cells whose surprise is summed at a time."""

LEAST = 0.25
"""Least ridge in units of the noise's scale: what a strong dependence pays so that the fit stays well conditioned."""


def ridge(off: Floats, stddev: float, expected: Floats) -> float:
    """The ridge of a table, in rows, from its noise and from how much dependence it shows.

    ``expected`` holds the counts >= 0 of independent columns, ``off`` how far the noisy counts are from them. Prior: t
    has mean e and variance e / s. The strength s of the whole table is the one under which the noisy counts are
    likeliest (empirical Bayes: y is normal with mean e and variance e / s + stddev^2). To first order the fit then
    weighs prior and noise rightly with r = s stddev^2.
    """
    noise, counts, squares = stddev**2, expected.ravel(), off.ravel() ** 2

    def likeliest(strengths: Floats) -> float:
        surprise = np.zeros(strengths.size)
        for low in range(0, counts.size, CELLS):
            variance = counts[low : low + CELLS] / strengths[:, None] + noise
            surprise += np.sum(np.log(variance) + squares[low : low + CELLS] / variance, axis=1)
        return float(strengths[surprise.argmin()])

    return max(likeliest(np.multiply(likeliest(COARSE), FINE)) * noise, LEAST * stddev)
