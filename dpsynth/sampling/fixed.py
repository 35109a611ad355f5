"""Probabilities as integers: rows of non-negative floats become rows of integers that sum to 2^32 exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ONE = 1 << 32
"""Probability one in fixed point."""


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
    if not np.isfinite(mass).all() or (mass < 0).any():
        raise ValueError("fixed-point rows need finite, non-negative mass")
    share = _shares(mass)
    scaled = share * float(ONE)
    whole = np.floor(scaled)
    result = whole.astype(np.int64)
    missing = ONE - result.sum(axis=1)
    remainder = np.where(share > 0, scaled - whole, -1.0)
    largest_first = np.argsort(-remainder, axis=1, kind="stable")
    unit = np.empty_like(result)
    np.put_along_axis(unit, largest_first, np.arange(mass.shape[1]) < missing[:, np.newaxis], axis=1)
    return (result + unit).astype(np.uint64)


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


def _shares(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that sum to one up to rounding. Dividing by the largest cell first keeps tiny and huge rows in range."""
    peak = mass.max(axis=1, keepdims=True)
    empty = peak[:, 0] == 0
    share = mass / np.where(peak > 0, peak, 1.0)
    if empty.any():
        together = mass / (mass.max() or 1.0)
        total = together.sum(axis=0)
        share[empty] = total if total.any() else np.ones_like(total)
    return np.asarray(share / share.sum(axis=1, keepdims=True))
