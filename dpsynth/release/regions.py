"""Which values of a column are admitted, how much of each cell that is, and values drawn from nothing else.

A region is a union of closed intervals of points: whole numbers for an integer column, binary64 numbers for a real
one, places in the list for the others. Intervals end on values, so that ``>`` and ``>=`` are both exact. The model
knows the cells of the finest grid alone, within which all values are alike: where an interval ends inside a cell, that
cell is admitted in proportion, and its values are drawn from the interval's part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import inf, nextafter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec, IntegerCodec, RealCodec
from dpsynth.sampling import MOST

if TYPE_CHECKING:
    import pyarrow

Point = int | float
Piece = tuple[Point, Point]


@dataclass(frozen=True)
class Region:
    """Admitted values: closed ``pieces`` in ascending order, no two of which touch, and whether ``null`` is one."""

    pieces: tuple[Piece, ...]
    null: bool = False

    def __bool__(self) -> bool:
        return bool(self.pieces) or self.null


@dataclass(frozen=True)
class Axis:
    """The values of one column in order: ``lowest`` to ``highest``, and the cells that hold them."""

    codec: Codec
    lowest: Point
    highest: Point

    @classmethod
    def of(cls, codec: Codec) -> Axis:
        """The axis of a column."""
        if isinstance(codec, IntegerCodec | RealCodec):
            return cls(codec, codec.lowest, codec.highest)
        return cls(codec, 0, codec.leaves - 1)

    @property
    def real(self) -> bool:
        """Whether the points are binary64 numbers."""
        return isinstance(self.codec, RealCodec)

    @property
    def everything(self) -> Region:
        """The region that excludes nothing; a part of a column is asked only where the column is not null."""
        whole = self.codec.name == self.codec.source
        return Region(((self.lowest, self.highest),), whole and self.codec.column.nullable)

    def after(self, point: Point) -> Point:
        """The next point."""
        return nextafter(point, inf) if self.real else point + 1

    def before(self, point: Point) -> Point:
        """The point before."""
        return nextafter(point, -inf) if self.real else point - 1

    def region(self, pieces: Iterable[Piece], null: bool = False) -> Region:
        """The union of any intervals, clipped to the column's values.

        Single real numbers are left out: a real column holds any one of them with probability zero.
        """
        found: list[Piece] = []
        for first, last in sorted((max(first, self.lowest), min(last, self.highest)) for first, last in pieces):
            if first > last or (self.real and first == last):
                continue
            if found and first <= self.after(found[-1][1]):
                found[-1] = (found[-1][0], max(found[-1][1], last))
            else:
                found.append((first, last))
        return Region(tuple(found), null)

    def either(self, one: Region, two: Region) -> Region:
        """The union."""
        return self.region((*one.pieces, *two.pieces), one.null or two.null)

    def both(self, one: Region, two: Region) -> Region:
        """The intersection, in one walk along both."""
        pieces: list[Piece] = []
        i = j = 0
        while i < len(one.pieces) and j < len(two.pieces):
            (a, b), (c, d) = one.pieces[i], two.pieces[j]
            pieces.append((max(a, c), min(b, d)))
            i, j = (i + 1, j) if b < d else (i, j + 1)
        return self.region(pieces, one.null and two.null)

    def others(self, region: Region) -> Region:
        """The values that the region lacks; never null, as a null is neither equal to a value nor different from it."""
        starts = [self.lowest, *(self.after(last) for _, last in region.pieces)]
        ends = [*(self.before(first) for first, _ in region.pieces), self.highest]
        return self.region(zip(starts, ends, strict=True))

    def leaf(self, place: int) -> Piece:
        """The first and the last value of a cell."""
        match self.codec:
            case IntegerCodec() as codec:
                return int(codec.edges[place]), int(codec.edges[place + 1]) - 1
            case RealCodec() as codec:
                first, end = (float(edge) for edge in codec.edges[place : place + 2])
                return first, end if place == codec.leaves - 1 else nextafter(end, -inf)
            case _:
                return place, place

    def _place(self, point: Point) -> int:
        match self.codec:
            case IntegerCodec() | RealCodec() as codec:
                return int(np.searchsorted(codec.edges[1:-1], point, side="right"))
            case _:
                return int(point)

    def size(self, piece: Piece) -> Fraction:
        """How many whole numbers, or how long a stretch of real ones: none for a single real number."""
        return Fraction(piece[1]) - Fraction(piece[0]) + (not self.real)

    def admitted(self, region: Region) -> tuple[NDArray[np.uint64], dict[int, tuple[Piece, ...]]]:
        """How much of each cell is admitted, and of each cell that is cut the pieces to draw from.

        The first has shape (codec.size,): ``MOST`` for a whole cell, the nearest share of it (but at least 1) for a cut
        one.
        """
        share = np.zeros(self.codec.size, dtype=np.uint64)
        parts: dict[int, list[Piece]] = {}
        for first, last in region.pieces:
            start, end = self._place(first), self._place(last)
            share[start + 1 : end] = MOST
            for place in {start, end}:
                low, high = self.leaf(place)
                parts.setdefault(place, []).append((max(first, low), min(last, high)))
        cut: dict[int, tuple[Piece, ...]] = {}
        for place, pieces in parts.items():
            leaf = self.leaf(place)
            long = tuple(piece for piece in pieces if self.size(piece) > 0)
            if pieces == [leaf]:
                share[place] = MOST
            elif long:
                cut[place] = long
                share[place] = max(1, round(sum(map(self.size, long)) * MOST / self.size(leaf)))
        if region.null:
            share[self.codec.leaves] = MOST
        return share, cut


@dataclass(frozen=True)
class Within:
    """A codec that, in the cells that are cut, draws a value of their pieces alone; only decodes."""

    codec: Codec
    cut: dict[int, tuple[Piece, ...]]

    @property
    def name(self) -> str:
        """The column."""
        return self.codec.name

    def decode(self, codes: NDArray[np.integer], words: NDArray[np.uint64]) -> pyarrow.Array:
        """As :meth:`Codec.decode`."""
        from pyarrow import array
        from pyarrow.compute import replace_with_mask

        values = self.codec.decode(codes, words)
        for place, pieces in self.cut.items():
            here = np.asarray(codes) == place
            drawn = (_reals if isinstance(self.codec, RealCodec) else _wholes)(pieces, words[here])
            values = replace_with_mask(values, array(here), array(drawn))
        return values


def _wholes(pieces: tuple[Piece, ...], words: NDArray[np.uint64]) -> NDArray[np.int64]:
    first, last = np.array(pieces, dtype=np.int64).T
    until = (last - first + 1).cumsum()
    number = (words % np.uint64(until[-1])).astype(np.int64)
    piece = np.searchsorted(until, number, side="right")
    return np.asarray(last[piece] - (until[piece] - 1 - number))


def _reals(pieces: tuple[Piece, ...], words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """By additions and products of single numbers only, which every processor rounds alike."""
    first, last = np.array(pieces, dtype=np.float64).T
    until: list[float] = []
    for low, high in pieces:
        until.append((until[-1] if until else 0.0) + (high - low))
    start = np.array([0.0, *until[:-1]])
    position = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 * until[-1]
    piece = np.minimum(np.searchsorted(until, position, side="right"), len(pieces) - 1)
    return np.asarray(np.clip(first[piece] + (position - start[piece]), first[piece], last[piece]))
