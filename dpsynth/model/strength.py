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


def ridges(off: Floats, stddev: Floats, expected: Floats) -> Floats:
    """The ridge in rows of each of several tables of as many cells: from its noise and how much dependence it shows.

    Row i of ``expected`` holds the counts >= 0 of independent columns, that of ``off`` how far the noisy counts are
    from them. Prior: t has mean e and variance e / s. The strength s of a whole table is the one under which its noisy
    counts are likeliest (empirical Bayes: y is normal with mean e and variance e / s + stddev^2). To first order the
    fit then weighs prior and noise rightly with r = s stddev^2.
    """
    noise, squares = stddev**2, off**2
    step = max(1, CELLS // len(off))

    def likeliest(strengths: Floats) -> Floats:
        """The likeliest of each row's strengths."""
        surprise = np.zeros(strengths.shape)
        for low in range(0, off.shape[1], step):
            counts = expected[:, None, low : low + step]
            variance = counts / strengths[:, :, None] + noise[:, None, None]
            surprise += np.sum(np.log(variance) + squares[:, None, low : low + step] / variance, axis=2)
        best: Floats = strengths[np.arange(len(strengths)), surprise.argmin(axis=1)]
        return best

    coarse = likeliest(np.broadcast_to(COARSE, (len(off), COARSE.size)))
    found: Floats = np.maximum(likeliest(np.multiply.outer(coarse, FINE)) * noise, LEAST * stddev)
    return found
