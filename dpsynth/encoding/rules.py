"""Constraints on codes: which cells of one column, the one that gives way, the cells of others admit.

Cells hold several values where a grid is coarser than the values. A condition is taken to hold for a cell as soon as
it holds for one of its values where it forbids something, and only if it holds for all of them where it is required,
so that rows whose cells keep a constraint keep it in every value that is drawn in these cells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding.calendar import EPOCH, DayCodec
from dpsynth.encoding.codec import Codec
from dpsynth.encoding.listed import BooleanCodec, ListedCodec
from dpsynth.encoding.numeric import IntegerCodec, RealCodec
from dpsynth.schema.consistency import values_of
from dpsynth.schema.constraints import Bound, Condition
from dpsynth.schema.text import number

Cells = Mapping[str, NDArray[Any]]
"""Column -> codes, one a row: shape (rows,)."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Axis:
    """The cells of one column as ranges of numbers: cell i holds ``low[i]`` to ``high[i]``, the null cell none.

    Listed values count by their place, days from 1970-01-01. ``low`` and ``high`` have shape (leaves,), float64; whole
    numbers up to 2^53 are exact in it.
    """

    codec: Codec
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, codec: Codec) -> Axis:
        """The axis of a codec."""
        match codec:
            case IntegerCodec():
                return cls(codec, codec.edges[:-1].astype(np.float64), (codec.edges[1:] - 1).astype(np.float64))
            case RealCodec():
                high = np.nextafter(codec.edges[1:], -np.inf)
                high[-1] = codec.edges[-1]
                return cls(codec, codec.edges[:-1].copy(), high)
            case DayCodec():
                days = codec.first + np.arange(codec.leaves, dtype=np.float64)
                return cls(codec, days, days)
            case _:
                places = np.arange(codec.leaves, dtype=np.float64)
                return cls(codec, places, places)

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.codec.size

    @property
    def leaves(self) -> int:
        """Number of cells that hold values; the null cell, if there is one, comes behind them."""
        return self.codec.leaves

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return not isinstance(self.codec, RealCodec)

    @cached_property
    def wide(self) -> bool:
        """Whether a cell holds several values."""
        return bool((self.low < self.high).any())

    @property
    def words(self) -> tuple[str, ...]:
        """The listed values of a column that has some, in order."""
        return values_of(self.codec.column) or ()

    def null(self, codes: NDArray[Any]) -> Mask:
        """Which codes are that of the null cell."""
        return codes >= self.leaves

    def at(self, ends: NDArray[np.float64], codes: NDArray[Any], missing: float) -> NDArray[np.float64]:
        """An end of each row's cell, ``missing`` at the null cell."""
        return np.asarray(np.append(ends, missing)[np.minimum(codes, self.leaves)], dtype=np.float64)

    def touched(self, condition: Condition) -> Mask:
        """The cells with a value that fulfils a condition."""
        return self._mask(condition, lambda low, high: (self.high >= low) & (self.low <= high))

    def within(self, condition: Condition) -> Mask:
        """The cells all of whose values fulfil a condition."""
        return self._mask(condition, lambda low, high: (self.low >= low) & (self.high <= high))

    def pieces(self, condition: Condition) -> list[tuple[float, float]]:
        """The values that a condition means, as closed ranges."""
        if condition.values:
            return [(point, point) for point in map(self.point, condition.values)]
        if condition.min is not None or condition.max is not None:
            low, high = (self._number(bound) for bound in (condition.min, condition.max))
            return [(-np.inf if low is None else low, np.inf if high is None else high)]
        return [] if condition.null else [(-np.inf, np.inf)]

    def _mask(self, condition: Condition, test: Any) -> Mask:
        mask = np.zeros(self.size, dtype=np.bool_)
        for low, high in self.pieces(condition):
            mask[: self.leaves] |= test(low, high)
        mask[self.leaves :] = bool(condition.null)
        return mask

    def point(self, text: str) -> float:
        """The place of a listed value, or the number of a date or number."""
        match self.codec:
            case ListedCodec() | BooleanCodec() as codec:
                return codec.spelt[text]
            case IntegerCodec() | RealCodec():
                return number(text)
            case _:
                return self._number(date.fromisoformat(text)) or 0.0

    def _number(self, bound: Bound | None) -> float | None:
        if isinstance(bound, date):
            return bound.toordinal() - EPOCH
        return None if bound is None else float(bound)


@dataclass(frozen=True, eq=False)
class Rule(ABC):
    """What constraint ``number`` asks of ``target``, given ``sources``."""

    number: int
    sources: tuple[Axis, ...]
    target: Axis

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, the target last."""
        return (*(axis.codec.name for axis in self.sources), self.target.codec.name)

    @abstractmethod
    def forbidden(self, groups: Sequence[NDArray[np.integer]]) -> Mask:
        """Which joint cells of a coarser grid hold no row that keeps this: shape of the coarse sizes of ``columns``.

        ``groups[i]`` is the coarse cell of each cell of column i.
        """


@dataclass(frozen=True, eq=False)
class Listing(Rule):
    """A rule that names the admitted cells of the target for each of a few classes of rows."""

    @abstractmethod
    def classes(self, codes: Cells) -> NDArray[np.int64]:
        """The class of each row; -1 where anything is admitted."""

    @abstractmethod
    def admitted(self, kind: int) -> Mask:
        """The admitted cells of the target for rows of a class: shape (target.size,)."""

    @abstractmethod
    def broken(self, classes: NDArray[np.int64], target: NDArray[Any]) -> Mask:
        """Which rows hold a cell that their class does not admit."""

    @abstractmethod
    def profile(self, source: int) -> NDArray[np.int64]:
        """A number for each cell of a source, equal where two cells always give one class."""


@dataclass(frozen=True, eq=False)
class Box(Listing):
    """Where every source has a cell of its ``tests``, the target has one of ``allowed``.

    ``clamp`` says that one allowed cell holds admitted values in a part of it alone: (cell, low, high).
    """

    tests: tuple[Mask, ...]
    allowed: Mask
    clamp: tuple[int, float, float] | None = None

    def classes(self, codes: Cells) -> NDArray[np.int64]:
        """0 where the rule applies."""
        applies = np.ones(len(codes[self.columns[-1]]), dtype=np.bool_)
        for axis, test in zip(self.sources, self.tests, strict=True):
            applies &= test[codes[axis.codec.name]]
        return applies.astype(np.int64) - 1

    def admitted(self, kind: int) -> Mask:
        """``allowed``, or anything."""
        return self.allowed if kind >= 0 else np.ones(self.target.size, dtype=np.bool_)

    def broken(self, classes: NDArray[np.int64], target: NDArray[Any]) -> Mask:
        """Where it applies and the cell is not allowed."""
        return np.asarray((classes >= 0) & ~self.allowed[target])

    def profile(self, source: int) -> NDArray[np.int64]:
        """Whether the test holds."""
        return self.tests[source].astype(np.int64)

    def forbidden(self, groups: Sequence[NDArray[np.integer]]) -> Mask:
        """Cells that pass every test wholly, with none that is allowed."""
        masks = [~_any(group, ~test) for group, test in zip(groups[:-1], self.tests, strict=True)]
        return _outer([*masks, ~_any(groups[-1], self.allowed)])


@dataclass(frozen=True, eq=False)
class Image(Listing):
    """The target's cell is what ``image`` says of the source's, -1 where anything is admitted."""

    image: NDArray[np.int64]

    def classes(self, codes: Cells) -> NDArray[np.int64]:
        """The cell that the target must have."""
        return self.image[codes[self.columns[0]]]

    def admitted(self, kind: int) -> Mask:
        """That cell, or anything."""
        return np.arange(self.target.size) == kind if kind >= 0 else np.ones(self.target.size, dtype=np.bool_)

    def broken(self, classes: NDArray[np.int64], target: NDArray[Any]) -> Mask:
        """Where the target has another cell."""
        return np.asarray((classes >= 0) & (classes != target))

    def profile(self, source: int) -> NDArray[np.int64]:
        """What the map says."""
        return self.image

    def forbidden(self, groups: Sequence[NDArray[np.integer]]) -> Mask:
        """Pairs of coarse cells that no pair of the map lies in."""
        given, taken = groups
        admitted = np.zeros((int(given.max()) + 1, int(taken.max()) + 1), dtype=np.bool_)
        known = self.image >= 0
        admitted[given[known], taken[self.image[known]]] = True
        admitted[given[~known]] = True
        return ~admitted


@dataclass(frozen=True, eq=False)
class Order(Rule):
    """One column is at most the other; ``up`` says that the higher one gives way."""

    up: bool

    @property
    def sides(self) -> tuple[Axis, Axis]:
        """The lower column and the higher one."""
        return (self.sources[0], self.target) if self.up else (self.target, self.sources[0])

    def forbidden(self, groups: Sequence[NDArray[np.integer]]) -> Mask:
        """Coarse cells whose least low value is above the greatest high one."""
        one, two = (groups[0], groups[1]) if self.up else (groups[1], groups[0])
        least = _extreme(np.minimum, self.sides[0].low, one, self.sides[0], -np.inf)
        most = _extreme(np.maximum, self.sides[1].high, two, self.sides[1], np.inf)
        found = least[:, np.newaxis] > most[np.newaxis, :]
        return found if self.up else np.ascontiguousarray(found.T)


@dataclass(frozen=True, eq=False)
class Total(Rule):
    """The target is the sum of the sources, added from left to right in binary64.

    ``slack`` keeps real sums away from the ends of what the parts' cells can add up to, by more than rounding errs.
    """

    slack: float

    def reach(self, codes: Cells) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the greatest sum that values of the parts' cells have; infinite where a part is null."""
        names = self.columns[:-1]
        low = added([axis.at(axis.low, codes[name], -np.inf) for axis, name in zip(self.sources, names, strict=True)])
        high = added([axis.at(axis.high, codes[name], np.inf) for axis, name in zip(self.sources, names, strict=True)])
        return low, high

    def interval(self, codes: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first and the last cell of the target that the parts can add up to."""
        low, high = self.reach(codes)
        with np.errstate(invalid="ignore"):
            middle = low / 2 + high / 2
            low, high = np.fmin(low + self.slack, middle), np.fmax(high - self.slack, middle)
        return first(self.target, low), last(self.target, high)

    def forbidden(self, groups: Sequence[NDArray[np.integer]]) -> Mask:
        """Coarse cells whose ranges add up to nothing that the total's range holds."""
        low = [_extreme(np.minimum, a.low, g, a, -np.inf) for a, g in zip(self.sources, groups, strict=False)]
        high = [_extreme(np.maximum, a.high, g, a, np.inf) for a, g in zip(self.sources, groups, strict=False)]
        least = _extreme(np.minimum, self.target.low, groups[-1], self.target, -np.inf)
        most = _extreme(np.maximum, self.target.high, groups[-1], self.target, np.inf)
        shapes = np.ix_(*[np.arange(part.size) for part in (*low, least)])
        sums = [added([part[at] for part, at in zip(side, shapes, strict=False)]) for side in (low, high)]
        return np.asarray((sums[0] > most[shapes[-1]]) | (sums[1] < least[shapes[-1]]))


def first(axis: Axis, low: NDArray[np.float64]) -> NDArray[np.int64]:
    """The first cell that holds a value of at least ``low``; the last cell of values where none does."""
    return np.minimum(np.searchsorted(axis.high, low, side="left"), axis.leaves - 1).astype(np.int64)


def last(axis: Axis, high: NDArray[np.float64]) -> NDArray[np.int64]:
    """The last cell that holds a value of at most ``high``; the first cell where none does."""
    return np.maximum(np.searchsorted(axis.low, high, side="right") - 1, 0).astype(np.int64)


def added(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The sum, from left to right."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _any(groups: NDArray[np.integer], mask: Mask) -> Mask:
    """Which coarse cells hold a cell of a mask."""
    found = np.zeros(int(groups.max()) + 1, dtype=np.bool_)
    found[groups[mask]] = True
    return found


def _extreme(
    operation: np.ufunc, ends: NDArray[np.float64], groups: NDArray[np.integer], axis: Axis, null: float
) -> NDArray[np.float64]:
    """The least or greatest end of the cells of each coarse cell, ``null`` where it holds the null cell."""
    found = np.full(int(groups.max()) + 1, np.inf if operation is np.minimum else -np.inf)
    operation.at(found, groups[: axis.leaves], ends)
    found[groups[axis.leaves :]] = null
    return found


def _outer(masks: Sequence[Mask]) -> Mask:
    found = np.ones((), dtype=np.bool_)
    for mask in masks:
        found = np.logical_and.outer(found, mask)
    return np.asarray(found)
