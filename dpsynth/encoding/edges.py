"""Edges of the leaves of numeric grids: leaf i holds edge i up to, not including, edge i + 1.

Where bounds are declared, leaves are of equal width; where bins are found, the bounds and zero, at which spikes are
likeliest, are leaves of their own besides. Where bounds are found, the grid is fixed: leaves are narrow near zero and
wide far from it, and no number depends on the data. The edges are exact, or exact ones rounded to binary64, and only
compared afterwards: no arithmetic on a value can put it into a neighbouring leaf, on any processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Real = NDArray[np.float64]

MAX_LEAVES = 4096
"""Most leaves of equal width."""

OCTAVES_OF_WHOLE = ((11, 11), (17, 10), (24, 9), (53, 7))
"""Powers of two: up to each the numbers of an octave 2**k .. 2**(k+1) lie in 2**bits leaves, or in as many as there
are. So whole numbers up to 2,047 are leaves of their own, and the largest is 2**53 - 1, in either sign."""

OCTAVES_OF_REAL = ((-64, 0), (-16, 4), (40, 8), (64, 4))
"""The same for real numbers from 2**-64, below which is zero, to 2**64."""


def equal_whole(low: int, high: int, own: bool) -> Whole:
    """Edges from ``low`` to ``high + 1``: a leaf each where that is few enough, else of equal width but for the last.

    ``own`` makes the bounds and zero leaves of their own.
    """
    width = -(-(high - low + 1) // MAX_LEAVES)
    edges = {*range(low, high + 1, width), high + 1}
    if own:
        edges |= {edge for at in (low, 0, high) if low <= at <= high for edge in (at, at + 1)}
    return np.array(sorted(edges), dtype=np.int64)


def equal_real(low: float, high: float, own: bool) -> Real:
    """Strictly increasing edges of leaves of equal width; ``own`` makes ``low``, zero and ``high`` leaves of their own.

    4,096 leaves, or half as many again and again where the bounds are so near that edges would coincide. The last leaf
    holds ``high``, too; if it holds nothing else, the last two edges are equal.
    """
    leaves = MAX_LEAVES
    while True:
        edges = _evenly(low, high, leaves)
        if bool(np.all(edges[1:] > edges[:-1])):
            break
        leaves //= 2
    if not own:
        return edges
    singles = [edge for at in (low, 0.0) if low <= at < high for edge in (at, float(np.nextafter(at, np.inf)))]
    return np.append(np.unique(np.array([*edges, *singles]) + 0.0), high)


def whole_octaves() -> tuple[Whole, Whole]:
    """Edges of the fixed grid of whole numbers; and for each leaf the number of its octave, zero in the middle.

    The last edge is 2**53: whole numbers lie below it.
    """
    edges, octave = [0], [0]
    first = 0
    for end, bits in OCTAVES_OF_WHOLE:
        for power in range(first, end):
            leaves = min(2**power, 2**bits)
            edges += [2**power + 2**power // leaves * i for i in range(leaves)]
            octave += [power + 1] * leaves
        first = end
    ends = [*edges[1:], 2**first]
    # A negative leaf holds the negatives of a positive one: -(end - 1) up to, not including, -edge + 1.
    starts = [1 - end for end in reversed(ends[1:])]
    return np.array([*starts, *edges, 2**first]), _signed(octave)


def real_octaves() -> tuple[Real, Whole]:
    """The same of real numbers; what is smaller than the least power of two, but for zero, is an octave of one leaf."""
    least = OCTAVES_OF_REAL[0][0]
    edges, octave = [float(np.nextafter(0.0, 1.0))], [0, 1]
    first = least
    for end, bits in OCTAVES_OF_REAL:
        for power in range(first, end):
            edges += [2.0**power * (1 + i / 2**bits) for i in range(2**bits)]
            octave += [power - least + 2] * 2**bits
        first = end
    ends = [*edges[1:], 2.0**first]
    # A negative leaf holds the negatives of a positive one: what is above -end, up to and with -edge.
    negative = [-float(np.nextafter(end, 0.0)) for end in reversed(ends)]
    return np.array([*negative, 0.0, *edges, 2.0**first]), _signed(octave)


def _signed(octave: Sequence[int]) -> Whole:
    """The octaves of the negative numbers, zero and the positive ones, counted from the lowest."""
    size = np.array(octave, dtype=np.int64)
    found: Whole = np.concatenate([-size[:0:-1], size]) + int(size.max())
    return found


def _evenly(low: float, high: float, leaves: int) -> Real:
    """``low + (high - low) * i / leaves`` for i = 0..leaves, each correctly rounded (Python divides integers so)."""
    low_over, low_under = low.as_integer_ratio()
    high_over, high_under = high.as_integer_ratio()
    under = max(low_under, high_under)
    start = low_over * (under // low_under)
    span = high_over * (under // high_under) - start
    return np.array([(start * leaves + span * i) / (under * leaves) for i in range(leaves + 1)])
