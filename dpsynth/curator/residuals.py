"""From exact counts to exact residuals, which never leave int64 by wrapping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LIMITS = np.iinfo(np.int64)


def residual(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """kron over the axes of (m I - 11') applied to a table of counts >= 0, two or more on each axis: int64, its shape.

    What would leave int64 stays at its limit. Only then, of billions of rows over millions of cells, are the sums of
    unbounded integers.
    """
    fits = int(counts.sum()) * counts.size <= LIMITS.max
    if fits:
        return _centred(counts)
    exact = np.clip(_centred(counts.astype(object)), LIMITS.min, LIMITS.max)
    return np.asarray(exact, dtype=np.int64)


def _centred(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Along each axis every number times the axis' length, less their sum."""
    for axis, size in enumerate(table.shape):
        table = size * table - table.sum(axis=axis, keepdims=True)
    return table
