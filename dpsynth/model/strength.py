"""How strongly a noisy table is drawn towards what the columns would give if they were independent.

A measurement with ridge r enters the fit as t + r log(t / e) = y in each cell (y the noisy count, t the fitted one, e
the expected one under independence), as if nothing else were known: a unit of log-ratio may cost r rows.

Prior: t has mean e and variance e / s. To first order the fit weighs prior and noise rightly with r = s stddev^2. Which
strengths s there are is learned from all tables together, each table's own from what it shows (empirical Bayes, a
mixture as in Stephens 2017, Biostatistics 18(2)): a table of many cells speaks for itself, one of four cells says
little more than the others do.
"""

from __future__ import annotations

import numpy as np

from dpsynth.model.factor import Floats

STRENGTHS: Floats = np.array([2.0**power for power in range(-12, 4)])
"""Strengths in the mixture: at 1 counts vary as if drawn independently, at 0.001 a thousand times as much."""

ROUNDS = 30
"""Rounds of expectation-maximisation for the weights of the mixture."""

CELLS = 1 << 14
"""Cells whose likelihood is summed at a time."""

LEAST = 0.25
"""Least ridge in units of the noise's scale: what a strong dependence pays so that the fit stays well conditioned."""


def likelihoods(off: Floats, stddev: Floats, expected: Floats, freedom: Floats) -> Floats:
    """The log-likelihood of each of several tables of as many cells under each of STRENGTHS: (tables, strengths).

    Row i of ``expected`` holds the counts >= 0 of independent columns, that of ``off`` how far the noisy counts are
    from them: y is normal with mean e and variance e / s + stddev^2. ``freedom`` is the share of its cells that a table
    may choose freely: centred along its axes, it and its noise are smaller by that.
    """
    noise, squares = stddev**2, off**2
    step = max(1, CELLS // len(off))
    found: Floats = np.zeros((len(off), STRENGTHS.size))
    for low in range(0, off.shape[1], step):
        variance = expected[:, None, low : low + step] / STRENGTHS[:, None] + noise[:, None, None]
        surprise = freedom[:, None, None] * np.log(variance) + squares[:, None, low : low + step] / variance
        found -= surprise.sum(axis=2) / 2
    return found


def ridges(seen: Floats, stddev: Floats, mean: Floats) -> Floats:
    """The ridge in rows of each of all tables, from its :func:`likelihoods` and its mean expected count.

    It draws a cell of the mean count as far towards independence as the strengths do on average, each weighted by its
    probability. The even mixture gets the evidence of one more table.
    """
    likely = np.exp(seen - seen.max(axis=1, keepdims=True))
    weights = np.full(STRENGTHS.size, 1 / STRENGTHS.size)
    for _ in range(ROUNDS):
        shares = likely * weights
        shares /= shares.sum(axis=1, keepdims=True)
        weights = (shares.sum(axis=0) + 1 / STRENGTHS.size) / (len(seen) + 1)
    shares = likely * weights
    shares /= shares.sum(axis=1, keepdims=True)
    drawn = STRENGTHS * stddev[:, None] ** 2
    kept = (shares / (mean[:, None] + drawn)).sum(axis=1)
    away = (shares * drawn / (mean[:, None] + drawn)).sum(axis=1)
    found: Floats = np.maximum(away / kept, LEAST * stddev)
    return found
