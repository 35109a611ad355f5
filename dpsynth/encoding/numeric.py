"""Codecs of numbers: integer and real columns on their finest public grid."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from dpsynth.encoding.codec import Codec
from dpsynth.encoding.edges import equal_real, equal_whole, real_octaves, whole_octaves
from dpsynth.schema import Integer, Real

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dpsynth.encoding.codec import Codes

MOST_BINS = 32
"""Most bins of a column whose bins are found."""

COARSEST = 32
"""About so many cells has the coarser grid on which bins are found; a column of no more leaves is counted at them."""

FAN_OUT_OF_OCTAVES = 32
"""Cells of a grid in one of the next coarser grid, inside an octave."""


@dataclass(frozen=True)
class _Grid(Codec):
    """Numbers between two bounds; what lies outside counts as the nearest bound, what is no number as missing.

    ``edges`` says where leaves begin and end (see :mod:`dpsynth.encoding.edges`).
    """

    column: Integer | Real

    @property
    @abstractmethod
    def edges(self) -> NDArray[np.int64] | NDArray[np.float64]:
        """Edges of the leaves: shape (leaves + 1,)."""

    @property
    @abstractmethod
    def octaves(self) -> NDArray[np.int64]:
        """Where the bounds are found, the octave of each leaf: shape (leaves,)."""

    @property
    @abstractmethod
    def highest(self) -> int | float:
        """The largest number that the column can hold."""

    @property
    def lowest(self) -> int | float:
        """The least number that the column can hold."""
        first: int | float = self.edges[0].item()
        return first

    @property
    def leaves(self) -> int:
        """Number of leaves: at most 4,096 of equal width, or 32,768 where the bounds are found."""
        return len(self.edges) - 1

    @property
    def bounded(self) -> bool:
        """Whether the bounds are declared."""
        return self.column.bounds is None

    @cached_property
    def null(self) -> int:
        """The null cell; or the leaf of ``min`` (of zero where the bounds are found) if not nullable."""
        if self.column.nullable:
            return self.leaves
        return 0 if self.bounded else int(self._place(np.zeros(1))[0])

    def level(self) -> NDArray[np.uint16]:
        """The declared bins: runs of leaves, as equal in number as whole leaves allow; shape (size,).

        Where bins are found, as many as will be found at most.
        """
        bins = min(MOST_BINS if self.column.found else int(self.column.bins), self.leaves)
        return self._with_null(np.arange(self.leaves) * bins // self.leaves)

    def tree(self) -> tuple[NDArray[np.uint16], ...]:
        """The nested grids on which bins are found, from fine to coarse, up to octaves if bounds are found.

        Between declared bounds the leaves, and about :data:`COARSEST` cells where that is fewer.
        """
        if not self.column.found:
            return ()
        if self.bounded:
            apart = self.spikes[: self.leaves]
            stretch = np.cumsum(apart | np.append(False, apart[:-1]))
            fan_outs = [1, *[round(self.leaves / COARSEST)] * (2 * self.leaves >= 3 * COARSEST)]
        else:
            stretch, fan_outs = self.octaves, [1]
            while np.bincount(stretch).max() > fan_outs[-1]:
                fan_outs.append(fan_outs[-1] * FAN_OUT_OF_OCTAVES)
        within = np.arange(self.leaves) - np.searchsorted(stretch, stretch)
        begins = [(np.diff(stretch) != 0) | (np.diff(within // fan_out) != 0) for fan_out in fan_outs]
        return tuple(self._with_null(np.append(0, np.cumsum(begin))) for begin in begins)

    @property
    def spikes(self) -> NDArray[np.bool_]:
        """The cells at which a spike is likeliest: the bounds, if they are declared, zero, and null."""
        apart = np.zeros(self.size, dtype=np.bool_)
        if self.bounded:
            apart[[0, self.leaves - 1]] = True
        if self.lowest <= 0 <= self.highest:
            apart[self._place(np.zeros(1))] = True
        apart[self.leaves :] = True
        return apart

    def _with_null(self, cells: NDArray[np.int64]) -> NDArray[np.uint16]:
        """The null cell after the last one, if the column has one."""
        return np.append(cells, [cells[-1] + 1] * self.column.nullable).astype(np.uint16)

    def _encode(self, array: pa.Array) -> Codes:
        from dpsynth.encoding import arrays

        if not arrays.is_number(array):
            return super()._encode(array)
        return cast("Codes", self._cells(array).astype(self.dtype))

    def _cells(self, array: pa.Array) -> NDArray[np.int64]:
        from dpsynth.encoding import arrays

        values = arrays.numbers(array)
        missing = np.isnan(values)
        within = np.clip(np.where(missing, self.lowest, values), self.lowest, self.highest)
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
    def edges(self) -> NDArray[np.int64]:
        """A leaf holds the whole numbers from its edge up to, not including, the next one."""
        low, high = self.column.min, self.column.max
        if low is None or high is None:
            return whole_octaves()[0]
        return equal_whole(low, high, own=self.column.found)

    @property
    def octaves(self) -> NDArray[np.int64]:
        """Those of the fixed grid."""
        return whole_octaves()[1]

    @property
    def highest(self) -> int:
        """The last edge is beyond it."""
        return int(self.edges[-1]) - 1

    def _place(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        whole = np.rint(values).astype(np.int64)
        if not self.column.found:  # dividing takes a tenth of the time that searching does
            places: NDArray[np.int64] = (whole - self.edges[0]) // (self.edges[1] - self.edges[0])
            return places
        return np.searchsorted(self.edges[1:-1], whole, side="right").astype(np.int64)

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        from dpsynth.encoding import arrays

        leaf = np.minimum(cells, self.leaves - 1)
        room = np.diff(self.edges)[leaf]
        # A leaf has less than 2**46 numbers, so the remainder of a 64-bit word favours none by more than 2**-18.
        drawn = (words % room.astype(np.uint64)).astype(np.int64)
        return arrays.of_numpy(self.edges[leaf] + drawn, cells == self.leaves)


@dataclass(frozen=True)
class RealCodec(_Grid):
    """Numbers in leaves of equal width: leaf i holds edge i up to, not including, edge i + 1; the last one both."""

    column: Real

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Strictly increasing, but for the last two, which may be equal."""
        low, high = self.column.min, self.column.max
        if low is None or high is None:
            return real_octaves()[0]
        return equal_real(low, high, own=self.column.found)

    @property
    def octaves(self) -> NDArray[np.int64]:
        """Those of the fixed grid."""
        return real_octaves()[1]

    @property
    def highest(self) -> float:
        """The last edge."""
        return float(self.edges[-1])

    def _place(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self.edges[1:-1], values, side="right").astype(np.int64)

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        from dpsynth.encoding import arrays

        highest = np.append(np.nextafter(self.edges[1:-1], -np.inf), self.edges[-1])
        leaf = np.minimum(cells, self.leaves - 1)
        share = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        drawn = self.edges[leaf] + (self.edges[leaf + 1] - self.edges[leaf]) * share
        return arrays.of_numpy(np.minimum(drawn, highest[leaf]), cells == self.leaves)
