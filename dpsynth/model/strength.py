"""How strongly a noisy table is drawn towards what the columns would give if they were independent.

A measurement with ridge r enters the fit as t + r log(t / e) = y in each cell (y the noisy count, t the fitted one, e
the expected one under independence), as if nothing else were known: a unit of log-ratio may cost r rows.
"""

from __future__ import annotations

import numpy as np

from dpsynth.model.factor import Floats

GRID = np.geomspace(1e-3, 3.0, 36)
"""Strengths that are tried: 1 is that of counts drawn independently, 0.001 a thousand times their variance."""


def ridge(values: Floats, stddev: Floats, expected: Floats) -> Floats:
    """The ridge of each cell, in rows: at least the noise's scale, more where the table shows little dependence.

    Prior: t has mean e and variance e / s. The strength s of the whole table is the one under which the noisy counts
    are likeliest (empirical Bayes: y is normal with mean e and variance e / s + stddev^2). To first order the fit then
    weighs prior and noise rightly with r = s stddev^2. The floor of one stddev keeps strong dependences nearly free of
    shrinkage while the fit stays well conditioned.
    """
    mean, noise = np.maximum(expected, 0.0), stddev**2
    variance = mean / GRID.reshape(-1, *(1,) * values.ndim) + noise
    surprise = np.log(variance) + (values - mean) ** 2 / variance
    strength = GRID[int(np.argmin(surprise.reshape(GRID.size, -1).sum(axis=1)))]
    result: Floats = np.maximum(strength * noise, stddev)
    return result
