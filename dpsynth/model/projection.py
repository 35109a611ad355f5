"""The nearest non-negative table with a given sum: the exact least-squares fit of one noisy marginal."""

from __future__ import annotations

import numpy as np

from dpsynth.model.factor import Floats


def project(values: Floats, variances: Floats, total: float) -> Floats:
    """Minimise sum((t - values)^2 / variances) over t >= 0 with sum(t) = total > 0. Shape of ``values``.

    The minimum is max(0, values - c variances) for the one c that gives the sum; c is found by sorting (Held, Wolfe
    and Crowder 1974; equal variances: the projection onto a simplex).
    """
    flat, spread = values.ravel(), variances.ravel()
    order = np.argsort(-flat / spread, kind="stable")
    levels = (np.cumsum(flat[order]) - total) / np.cumsum(spread[order])
    positive = np.nonzero(flat[order] > levels * spread[order])[0]
    level = levels[positive[-1]] if positive.size else levels[0]
    found: Floats = np.maximum(flat - level * spread, 0.0)
    mass = float(found.sum())
    if not mass > 0:  # the total is below the values' last digit
        found[order[0]] = mass = 1.0
    return (found * (total / mass)).reshape(values.shape)
