"""Codecs of numbers: integer and real columns on their finest public grid of at most 4,096 leaves."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from dpsynth.encoding.codec import Codec
from dpsynth.schema import Integer, Real

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dpsynth.encoding.codec import Codes

MAX_LEAVES = 4096


@dataclass(frozen=True)
class _Grid(Codec):
    """Numbers between two bounds; what lies outside counts as the nearest bound, what is no number as missing."""

    column: Integer | Real

    @property
    def null(self) -> int:
        """The null cell, or the leaf of ``min`` where the column is not nullable."""
        return self.leaves if self.column.nullable else 0

    def level(self) -> NDArray[np.uint16]:
        """The declared bins: runs of leaves, as equal in length as whole leaves allow; shape (size,)."""
        bins = min(self.column.bins, self.leaves)
        cells = np.arange(self.leaves) * bins // self.leaves
        return np.append(cells, [bins] * self.column.nullable).astype(np.uint16)

    def _encode(self, array: pa.Array) -> Codes:
        from dpsynth.encoding import arrays

        if not arrays.is_number(array):
            return super()._encode(array)
        return cast("Codes", self._cells(array).astype(self.dtype))

    def _cells(self, array: pa.Array) -> NDArray[np.int64]:
        from dpsynth.encoding import arrays

        values = arrays.numbers(array)
        missing = np.isnan(values)
        within = np.clip(np.where(missing, self.column.min, values), self.column.min, self.column.max)
        cells = self._place(within)
        cells[missing] = self.null
        return cells

    @abstractmethod
    def _place(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The leaf of each number within the bounds."""


@dataclass(frozen=True)
class IntegerCodec(_Grid):
    """Whole numbers: a leaf each where 4,096 leaves suffice, else leaves of equal width (the last may be shorter).

    Bounds within +-2**53 make binary64 exact here: every whole number between them is one, and a larger one stays
    beyond its bound when it is rounded.
    """

    column: Integer

    @cached_property
    def width(self) -> int:
        """Whole numbers in a leaf."""
        return -(-self._count // MAX_LEAVES)

    @cached_property
    def leaves(self) -> int:
        """Number of leaves, at most 4,096."""
        return -(-self._count // self.width)

    @property
    def _count(self) -> int:
        return self.column.max - self.column.min + 1

    def _place(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        whole = np.rint(values).astype(np.int64)
        return (whole - self.column.min) // self.width

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        from dpsynth.encoding import arrays

        first = np.minimum(cells, self.leaves - 1) * self.width
        if self.width == 1:
            return arrays.of_numpy(self.column.min + first, cells == self.leaves)
        room = np.minimum(self._count - first, self.width)
        # A leaf has less than 2**43 numbers, so the remainder of a 64-bit word favours none by more than 2**-21.
        drawn = (words % room.astype(np.uint64)).astype(np.int64)
        return arrays.of_numpy(self.column.min + first + drawn, cells == self.leaves)


@dataclass(frozen=True)
class RealCodec(_Grid):
    """Numbers in leaves of equal width: leaf i holds edge i up to, not including, edge i + 1; the last one both.

    The edges are the exact ones rounded to binary64, and only compared afterwards: no arithmetic on a value can put
    it into a neighbouring leaf, on any processor.
    """

    column: Real

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the leaves, strictly increasing from ``min`` to ``max``: shape (leaves + 1,).

        4,096 leaves, or half as many again and again where the bounds are so near that edges would coincide.
        """
        leaves = MAX_LEAVES
        while True:
            edges = _edges(self.column.min, self.column.max, leaves)
            if bool(np.all(edges[1:] > edges[:-1])):
                return edges
            leaves //= 2

    @property
    def leaves(self) -> int:
        """Number of leaves: a power of two, at most 4,096."""
        return len(self.edges) - 1

    def _place(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self.edges[1:-1], values, side="right").astype(np.int64)

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        from dpsynth.encoding import arrays

        highest = np.append(np.nextafter(self.edges[1:-1], -np.inf), self.edges[-1])
        leaf = np.minimum(cells, self.leaves - 1)
        share = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        drawn = self.edges[leaf] + (self.edges[leaf + 1] - self.edges[leaf]) * share
        return arrays.of_numpy(np.minimum(drawn, highest[leaf]), cells == self.leaves)


def _edges(low: float, high: float, leaves: int) -> NDArray[np.float64]:
    """``low + (high - low) * i / leaves`` for i = 0..leaves, each correctly rounded (Python divides integers so)."""
    low_over, low_under = low.as_integer_ratio()
    high_over, high_under = high.as_integer_ratio()
    under = max(low_under, high_under)
    start = low_over * (under // low_under)
    span = high_over * (under // high_under) - start
    return np.array([(start * leaves + span * i) / (under * leaves) for i in range(leaves + 1)])
