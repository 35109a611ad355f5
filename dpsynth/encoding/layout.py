"""From the rows of the model to those of the table: days put together again, fresh identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dpsynth.encoding.calendar import DAY, WEEKDAYS, WeekCodec, below, week_of, weekday_of
from dpsynth.encoding.codec import Codec
from dpsynth.encoding.constraints import Constraints
from dpsynth.encoding.identifiers import fresh, spelt
from dpsynth.schema import Column, Date, Datetime, Identifier

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


class Decoder(Protocol):
    """What turns the codes of one column of the model into values: a :class:`Codec`, or what stands in for one."""

    @property
    def name(self) -> str:
        """The column of the model."""

    def decode(self, codes: NDArray[np.integer], words: NDArray[np.uint64]) -> pa.Array:
        """A value of each cell, drawn within the cell by a random word; both of shape (n,)."""


class Draws(Protocol):
    """The public random words of a run of rows."""

    @property
    def first(self) -> int:
        """The place of the first of these rows among all."""

    @property
    def rows(self) -> int:
        """How many rows these are."""

    def inside(self, place: int) -> NDArray[np.uint64]:
        """A word a row, to draw a value inside a cell of a column of the model."""

    def between(self, place: int) -> NDArray[np.uint64]:
        """A word a row, for what no column of the model holds of a column of the table."""

    def key(self, place: int) -> NDArray[np.uint64]:
        """The key of a column of the table: the same for all rows of an output."""


@dataclass(frozen=True)
class Layout:
    """The columns of the table as declared, in order, and the codec of each column of the model, in order.

    ``decoders`` stand in for the codecs where the rows fulfil a condition; ``admitted`` then holds for each column with
    weekdays the days that the condition admits, ascending, since 1970-01-01, and ``shares`` how much of each cell.
    """

    columns: Mapping[str, Column]
    codecs: tuple[Codec, ...]
    constraints: Constraints = field(default_factory=Constraints, compare=False)
    decoders: tuple[Decoder, ...] = ()
    admitted: Mapping[str, NDArray[np.int64]] = field(default_factory=dict, compare=False)
    shares: Mapping[str, NDArray[np.uint64]] = field(default_factory=dict, compare=False)

    def decode(self, codes: Mapping[str, NDArray[np.integer]], draws: Draws) -> pa.RecordBatch:
        """The rows of the table from those of the model: ``codes`` holds each column of the model, of equal shape."""
        from pyarrow import RecordBatch

        values = {
            decoder.name: decoder.decode(codes[decoder.name], draws.inside(place))
            for place, decoder in enumerate(self.decoders or self.codecs)
        }
        values = self.constraints.values(codes, values)
        arrays = [
            self._column(name, column, values, draws, place)
            for place, (name, column) in enumerate(self.columns.items())
        ]
        return RecordBatch.from_arrays(arrays, names=list(self.columns))

    def given(self, decoders: tuple[Decoder, ...], shares: Mapping[str, NDArray[np.uint64]]) -> Layout:
        """The layout of rows that fulfil a condition, which admits ``shares`` of each cell of the columns it names."""
        weeks = [codec for codec in self.codecs if isinstance(codec, WeekCodec)]
        days = {codec.name: admitted(codec, shares) for codec in weeks}
        return replace(self, decoders=decoders, admitted=days, shares=shares)

    def _column(self, name: str, column: Column, values: Mapping[str, pa.Array], draws: Draws, place: int) -> pa.Array:
        match column:
            case Identifier():
                numbers = fresh(draws.first, draws.rows, draws.key(place))
                return spelt(numbers, column.prefix) if column.prefix else _array(numbers)
            case Date() | Datetime():
                return self._moments(name, column, values, draws, place)
            case _:
                return values[name]

    def _moments(
        self, name: str, column: Date | Datetime, values: Mapping[str, pa.Array], draws: Draws, place: int
    ) -> pa.Array:
        """Null where the first part is, whatever the others are; a part that alone is null is drawn."""
        from pyarrow import date32, timestamp

        day, missing = _read(values[name])
        if column.weekday:
            weekday, unknown = _read(_places(values[f"{name}.weekday"]))
            day = np.where(unknown, day, day - weekday_of(day) + weekday)
            day = self._within(WeekCodec(name, column), day, missing)
        if isinstance(column, Date):
            return _array(day.astype(np.int32), missing).view(date32())
        time = below(draws.between(place), DAY)
        if column.time:
            known, unknown = _read(values[f"{name}.time"])
            time = np.where(unknown, time, known)
        return _array(day * DAY + time, missing).view(timestamp("s"))

    def _within(self, codec: WeekCodec, days: NDArray[np.int64], missing: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Days of the first and the last week that lie outside the bounds moved inside, as :func:`nearest` says."""
        outside = np.flatnonzero(((days < codec.first) | (days > codec.last)) & ~missing)
        if not outside.size:
            return days
        inside = self.admitted.get(codec.name, np.arange(codec.first, codec.last + 1))
        found, where = np.unique(days[outside], return_inverse=True)
        days = days.copy()
        days[outside] = np.array([nearest(day, inside) for day in found.tolist()])[where]
        return days


def admitted(codec: WeekCodec, shares: Mapping[str, NDArray[np.uint64]]) -> NDArray[np.int64]:
    """The days of a column that a condition admits by their week and their weekday, ascending."""
    days = np.arange(codec.first, codec.last + 1)
    kept = np.ones(days.size, dtype=np.bool_)
    cells = {codec.name: week_of(days - codec.monday - 3), f"{codec.name}.weekday": weekday_of(days)}
    for part, place in cells.items():
        if part in shares:
            kept &= shares[part][place] > 0
    return days[kept]


def nearest(day: int, inside: NDArray[np.int64]) -> int:
    """The nearest of the days ``inside`` of the same weekday, or of any where there is none; ties to the earlier."""
    same = inside[(inside - day) % 7 == 0]
    among = same if same.size else inside
    return int(among[np.argmin(np.abs(among - day))])


def _read(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What an array of 32-bit counts holds, and where it is null."""
    from pyarrow import int32

    from dpsynth.encoding import arrays

    counts = arrays.to_numpy(array.view(int32())).astype(np.int64)
    return counts, arrays.to_numpy(array.is_null()).astype(np.bool_)


def _places(weekdays: pa.Array) -> pa.Array:
    from pyarrow.compute import index_in

    from dpsynth.encoding import arrays

    return index_in(weekdays, value_set=arrays.of_texts(WEEKDAYS))


def _array(numbers: NDArray[np.integer], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    from dpsynth.encoding import arrays

    return arrays.of_numpy(numbers, missing)
