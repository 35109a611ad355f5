"""Conditions on rows: a set of admitted values for each column that is restricted, their algebra and their text.

Rows can be drawn given a set of values of each column, and given nothing else: a *box*. The intersection of two boxes
is one; their union only where it comes to a set a column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import BooleanCodec, DayCodec, Layout, ListedCodec, TimeCodec, WeekCodec, WeekdayCodec
from dpsynth.encoding.calendar import EPOCH, WEEKDAYS
from dpsynth.errors import ConfigurationError
from dpsynth.release.regions import Axis, Piece, Point, Region, Within
from dpsynth.schema.text import plain

KEYWORDS = {"and", "or", "in", "is", "not", "null", "between", "true", "false"}

BARE = re.compile(r"[^\W\d][\w.-]*")
"""A column name that needs no quotes, unless it is a keyword."""

Box = Mapping[str, Region]
"""Column -> region; a column that is not named may hold anything."""


@dataclass(frozen=True)
class Condition:
    """A condition on rows: a region for each column of the model that it restricts, in their order."""

    whole: Layout
    axes: Mapping[str, Axis]
    box: Box

    @classmethod
    def of(cls, whole: Layout, axes: Mapping[str, Axis], box: Box) -> Condition:
        """What a box says, without the columns of which it excludes nothing. ``whole`` is the layout of any rows."""
        return cls(
            whole, axes, {name: box[name] for name in axes if name in box and box[name] != axes[name].everything}
        )

    @property
    def text(self) -> str:
        """The canonical text: equal conditions have equal texts, and it reads back as the same condition."""
        return " and ".join(_render(self.axes[name], region) for name, region in self.box.items())

    def evidence(self) -> dict[str, NDArray[np.uint64]]:
        """How much of each cell of the finest grid is admitted, of the columns that are restricted."""
        return {name: self.axes[name].admitted(region)[0] for name, region in self.box.items()}

    @property
    def layout(self) -> Layout:
        """How the rows are decoded: where the condition cuts the cells of a column, its values stay within."""
        if not self.box:
            return self.whole
        cuts = {name: self.axes[name].admitted(region)[1] for name, region in self.box.items()}
        decoders = tuple(
            Within(axis.codec, cuts[name]) if cuts.get(name) else axis.codec for name, axis in self.axes.items()
        )
        return self.whole.given(decoders, self.evidence())


def fail(message: str) -> NoReturn:
    """Raise the error of a condition."""
    raise ConfigurationError(f"where: {message}")


def short(text: str, most: int = 60) -> str:
    """Text that another may have written, fit for one line of a terminal: no control characters, not too long."""
    text = text[: most + 1]
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def both(axes: Mapping[str, Axis], one: Box, two: Box) -> Box:
    """The intersection; ConfigurationError where it is empty."""
    box = dict(one)
    for name, region in two.items():
        box[name] = axes[name].both(box.get(name, axes[name].everything), region)
        if not box[name]:
            fail(f"no value of column {short(name)!r} fulfils all of its tests")
    return box


def either(axes: Mapping[str, Axis], one: Box, two: Box) -> Box:
    """The union; ConfigurationError where it is no box: neither holds the other, and they differ in two columns."""
    names = [name for name in axes if name in one or name in two]
    pairs = {name: tuple(box.get(name, axes[name].everything) for box in (one, two)) for name in names}
    for box, other in ((one, 0), (two, 1)):
        if all(axes[name].either(*pair) == pair[other] for name, pair in pairs.items()):
            return box
    differ = [name for name, (left, right) in pairs.items() if left != right]
    if len(differ) > 1:
        columns = " and ".join(repr(short(name)) for name in differ[:2])
        fail(
            f"or joins tests of the columns {columns}; rows are drawn given a set of values of each column, so that or "
            "may only join tests of one column: draw a sample for each side instead"
        )
    return {**one, **{name: axes[name].either(*pairs[name]) for name in differ}}


def spelt(axis: Axis) -> str:
    """The name of a column, in quotes where it needs them."""
    name = axis.codec.name
    if BARE.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(axis: Axis, point: Point) -> str:
    """A value as it is written in a condition."""
    match axis.codec:
        case BooleanCodec():
            return "true" if point else "false"
        case ListedCodec() as codec:
            return "'" + codec.column.values[int(point)].replace("'", "''") + "'"
        case WeekdayCodec():
            return f"'{WEEKDAYS[int(point)]}'"
        case TimeCodec():
            return f"'{int(point) // 60:02d}:{int(point) % 60:02d}'"
        case DayCodec() | WeekCodec():
            return f"'{date.fromordinal(EPOCH + first_day(axis, point))}'"
        case _:
            return plain(point) if isinstance(point, float) else str(point)


def first_day(axis: Axis, point: Point) -> int:
    """The day of a point, or the first day of its week within the bounds, since 1970-01-01."""
    match axis.codec:
        case WeekCodec() as codec:
            return max(codec.monday + 7 * int(point), codec.first)
        case DayCodec() as codec:
            return codec.first + int(point)
        case _:
            raise TypeError(f"column {axis.codec.name!r} has no days")


def _last(axis: Axis, point: Point) -> str:
    """A value as the end of a range: the last day of a week."""
    if isinstance(axis.codec, WeekCodec):
        return f"'{date.fromordinal(EPOCH + min(axis.codec.monday + 7 * int(point) + 6, axis.codec.last))}'"
    return literal(axis, point)


def _render(axis: Axis, region: Region) -> str:
    """One region as text: single values first, then ranges, then null."""
    name = spelt(axis)
    if region == Region(axis.everything.pieces):
        return f"{name} is not null"
    listed = isinstance(axis.codec, BooleanCodec | ListedCodec | WeekdayCodec)
    weeks = isinstance(axis.codec, WeekCodec)
    single = [
        literal(axis, point)
        for first, last in region.pieces
        if listed or (first == last and not weeks)
        for point in (range(int(first), int(last) + 1) if listed else [first])
    ]
    tests = [f"{name} in ({', '.join(single)})" if len(single) > 1 else f"{name} = {single[0]}"] if single else []
    if not listed:
        tests += [_range(axis, name, piece) for piece in region.pieces if weeks or piece[0] != piece[1]]
    tests += [f"{name} is null"] * region.null
    return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"


def _range(axis: Axis, name: str, piece: Piece) -> str:
    low, high = _bound(axis, piece[0], axis.before, ">"), _bound(axis, piece[1], axis.after, "<")
    if piece[1] == axis.highest:
        return f"{name} {low}"
    if piece[0] == axis.lowest:
        return f"{name} {high}"
    if low.startswith(">=") and high.startswith("<="):
        return f"{name} between {low[3:]} and {high[3:]}"
    return f"{name} {low} and {name} {high}"


def _bound(axis: Axis, point: Point, beyond: Callable[[Point], Point], sign: str) -> str:
    """An end of a range with its sign: that of a real range excludes the number beside it where that is shorter."""
    at = literal(axis, point) if sign == ">" else _last(axis, point)
    past = literal(axis, beyond(point)) if axis.real else at
    return f"{sign} {past}" if axis.real and len(past) < len(at) else f"{sign}= {at}"
