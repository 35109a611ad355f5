"""How strongly a noisy table is drawn towards what the columns would give if they were independent.

A measurement with ridge r enters the fit as t + r log(t / e) = y in each cell (y the noisy count, t the fitted one, e
the expected one under independence), as if nothing else were known: a unit of log-ratio may cost r rows.
"""

from __future__ import annotations

import numpy as np

from dpsynth.model.factor import Floats

GRID = tuple(1e-3 * 1.25**step for step in range(37))
"""Strengths that are tried: at 1 counts vary as if drawn independently, at 0.001 a thousand times as much."""


def ridge(off: Floats, stddev: float, expected: Floats) -> float:
    """The ridge of a table, in rows: at least the noise's scale, more where the table shows little dependence.

    ``expected`` holds the counts >= 0 of independent columns, ``off`` how far the noisy counts are from them. Prior: t
    has mean e and variance e / s. The strength s of the whole table is the one under which the noisy counts are
    likeliest (empirical Bayes: y is normal with mean e and variance e / s + stddev^2). To first order the fit then
    weighs prior and noise rightly with r = s stddev^2. The floor of one stddev keeps strong dependences nearly free of
    shrinkage while the fit stays well conditioned.
    """
    noise = stddev**2

    def surprise(strength: float) -> float:
        variance = expected / strength + noise
        return float(np.sum(np.log(variance) + off**2 / variance))

    return max(min(GRID, key=surprise) * noise, stddev)
