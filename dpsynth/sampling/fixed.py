"""Probabilities as integers: rows of non-negative numbers become rows of integers that sum to 2^32 exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ONE = 1 << 32
"""Probability one in fixed point."""

SHORT = 16
"""Rows of at most so many cells are reduced a column at a time."""

BLOCK = 1 << 16
"""Cells rounded at a time: what is at work then stays in the cache."""


Values = NDArray[np.float64] | NDArray[np.uint64]


def fixed_rows(mass: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Round each row of ``mass`` (shape (states, cells), any scale) to integers that sum to 2^32.

    Largest remainders: every cell gets the floor of its share, and the units left over go one each to the cells with
    the largest remainders, the lowest index first among equals. A cell without mass gets nothing, and no cell is off
    by a whole unit or more. A row without any mass belongs to a state that the model holds impossible; it gets the
    distribution of all rows together (uniform if they have none either), so that every row is a distribution.
    ValueError if a cell is negative or not finite.
    """
    if mass.ndim != 2 or mass.shape[1] == 0:
        raise ValueError(f"fixed-point rows need a matrix with at least one cell, got shape {mass.shape}")
    peak = _over_cells(np.maximum, mass)[:, np.newaxis]
    if not np.isfinite(peak).all() or not (mass.min(initial=0.0) >= 0):
        raise ValueError("fixed-point rows need finite, non-negative mass")
    fallback = None if (peak > 0).all() else _together(mass)
    result = np.empty(mass.shape, dtype=np.int64)
    # The sum of a row depends on how it lies in memory; only rows that lie one after the other are taken apart.
    step = max(1, BLOCK // mass.shape[1]) if mass.flags.c_contiguous else max(1, len(mass))
    for first in range(0, len(mass), step):
        block = slice(first, first + step)
        _round(mass[block], peak[block], fallback, result[block])
    return result.view(np.uint64)


def _round(
    mass: NDArray[np.float64],
    peak: NDArray[np.float64],
    fallback: NDArray[np.float64] | None,
    out: NDArray[np.int64],
) -> None:
    """``fixed_rows`` of some rows, into ``out``. Dividing by the largest cell first keeps any scale in range."""
    share = mass / np.where(peak > 0, peak, 1.0)
    if fallback is not None:
        share[peak[:, 0] == 0] = fallback
    share /= share.sum(axis=1, keepdims=True)
    remainder = share * float(ONE)
    whole = np.floor(remainder)
    out[...] = whole
    remainder -= whole
    remainder[share == 0] = -1.0
    out += largest(remainder, ONE - _over_cells(np.add, out))


def largest(values: Values, count: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Marks the ``count[s]`` largest values of each row s, the lowest index first among equals.

    Instead of sorting cells it finds the least value that is marked, and takes ties apart only where there are too
    many. ``values`` has shape (states, cells); a count outside 0..cells marks none or all.
    """
    cells = values.shape[1]
    least: NDArray[Any]
    if len(values) == 1:
        least = _least(values[0], int(count[0]))
    else:
        place = np.clip(cells - count, 0, cells - 1)
        least = np.take_along_axis(np.sort(values, axis=1), place[:, np.newaxis], axis=1)
    marked: NDArray[np.bool_] = values >= least
    marked &= count[:, np.newaxis] > 0
    crowded = np.flatnonzero(_over_cells(np.add, marked.astype(np.int32)) > np.maximum(count, 0))
    if crowded.size:
        tied = values[crowded] == least[crowded]
        above = marked[crowded] & ~tied
        room = count[crowded] - np.count_nonzero(above, axis=1)
        marked[crowded] = above | (tied & (tied.cumsum(axis=1) <= room[:, np.newaxis]))
    return marked


def _least(row: Values, count: int) -> Values:
    """The ``count``-th largest value of one row, shape (1, 1). Cells without mass, often most, are left aside."""
    bottom = row.min()
    above = row[row > bottom]
    if not 0 < count <= above.size:
        return np.full((1, 1), bottom)
    return np.partition(above, above.size - count)[np.newaxis, above.size - count, np.newaxis]


def fixed_groups(weights: NDArray[np.float64], groups: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Round ``weights`` so that they sum to 2^32 within each group; a group without weight is spread evenly.

    ``groups[i]`` is the group of cell i; every group 0..max has a cell.
    """
    if weights.shape != groups.shape:
        raise ValueError(f"{weights.size} weights for {groups.size} cells")
    result = np.full(groups.size, ONE, dtype=np.uint64)
    for group in np.flatnonzero(np.bincount(groups) > 1):
        members = np.flatnonzero(groups == group)
        result[members] = fixed_rows(weights[members][np.newaxis, :].astype(np.float64))[0]
    return result


def _over_cells(operation: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
    """Reduce each row, by an operation for which order is nothing; short rows a column at a time, which is faster."""
    if values.shape[1] > SHORT:
        return np.asarray(operation.reduce(values, axis=1))
    result = values[:, 0].copy()
    for column in range(1, values.shape[1]):
        operation(result, values[:, column], out=result)
    return result


def _together(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution of all rows together, on any scale."""
    total = (mass / (mass.max(initial=0.0) or 1.0)).sum(axis=0)
    return np.asarray(total if total.any() else np.ones_like(total))
