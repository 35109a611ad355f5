"""Codecs of days and of their parts: the day or the week, the weekday, the minute of the day.

A column of days has one codec, or several that read the same value: (week, weekday) is exactly a day. Weeks begin on
Monday. Levels are those of the calendar; a week belongs to the month, quarter and year of its Thursday, as in ISO 8601.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from dpsynth.encoding.codec import Codec
from dpsynth.schema import Date, Datetime

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dpsynth.encoding.codec import Codes

MOST_CELLS = 366
"""Most cells of the level that a mechanism measures first: the days of a year."""

DAY = 86_400
EPOCH = 719_163
"""1970-01-01 as Python counts days."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MINUTES = (15, 60, 360)
"""The levels of the time of day: quarters of an hour, hours, quarters of a day."""


def week_of(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of the week that begins on Monday; that of 1970-01-01 is 0. ``days`` since then."""
    return np.asarray((days + 3) // 7)


def weekday_of(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 for a Monday to 6 for a Sunday."""
    return np.asarray((days + 3) % 7)


def below(words: NDArray[np.uint64], room: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """A whole number from 0 to ``room`` - 1 for each word, growing with the word; ``room`` is below 2^32."""
    high = words >> np.uint64(32)
    return np.asarray((high * np.asarray(room, dtype=np.uint64)) >> np.uint64(32)).astype(np.int64)


@dataclass(frozen=True)
class _Moments(Codec):
    """What reads a moment: clipped to the first second of ``min`` and the last of ``max``; else missing."""

    column: Date | Datetime

    @property
    def first(self) -> int:
        """``min`` in days since 1970-01-01."""
        return self.column.min.toordinal() - EPOCH

    @property
    def last(self) -> int:
        """``max`` in days since 1970-01-01."""
        return self.column.max.toordinal() - EPOCH

    @cached_property
    def null(self) -> int:
        """The null cell, or the cell of the first second of ``min`` where the column is not nullable."""
        return self.leaves if self.column.nullable else int(self._place(np.array([self.first * DAY]))[0])

    def level(self) -> NDArray[np.uint16]:
        """The finest level of at most MOST_CELLS cells, or else the coarsest: shape (size,)."""
        return self._ended(next((level for level in self._chain() if level[-1] < MOST_CELLS), self._chain()[-1]))

    def hierarchy(self) -> tuple[NDArray[np.uint16], ...]:
        """The calendar's levels that are coarser than :meth:`level`, of more than one group."""
        fine = int(self.level()[self.leaves - 1])
        coarser = [level for level in self._chain() if 0 < level[-1] < fine]
        return tuple(map(self._ended, coarser))

    def _ended(self, level: NDArray[np.int64]) -> NDArray[np.uint16]:
        return np.append(level, [level[-1] + 1] * self.column.nullable).astype(np.uint16)

    def _encode(self, array: pa.Array) -> Codes:
        from dpsynth.encoding import moments

        if not moments.is_moment(array.type):
            return super()._encode(array)
        return cast("Codes", self._cells(array).astype(self.dtype))

    def _cells(self, array: pa.Array) -> NDArray[np.int64]:
        from dpsynth.encoding import moments

        seconds, missing = moments.seconds(array)
        within = np.clip(np.where(missing, self.first * DAY, seconds), self.first * DAY, self.last * DAY + DAY - 1)
        return np.where(missing, self.null, self._place(within))

    @abstractmethod
    def _place(self, seconds: NDArray[np.int64]) -> NDArray[np.int64]:
        """The leaf of each moment within the bounds, in seconds since 1970-01-01."""

    @abstractmethod
    def _chain(self) -> list[NDArray[np.int64]]:
        """The levels of the leaves from fine to coarse, each a coarsening of the one before: 0, 1, ... in order."""


@dataclass(frozen=True)
class DayCodec(_Moments):
    """Days: a leaf each. Levels: month, quarter, year."""

    @cached_property
    def leaves(self) -> int:
        """Number of days."""
        return self.last - self.first + 1

    def _place(self, seconds: NDArray[np.int64]) -> NDArray[np.int64]:
        return seconds // DAY - self.first

    def _chain(self) -> list[NDArray[np.int64]]:
        return _calendar(np.arange(self.first, self.last + 1))

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        return _days(self.first + cells, cells == self.leaves)


@dataclass(frozen=True)
class WeekCodec(_Moments):
    """Weeks from that of ``min`` to that of ``max``: a leaf each, whose days within the bounds are drawn alike."""

    @cached_property
    def leaves(self) -> int:
        """Number of weeks."""
        return (self.last + 3) // 7 - (self.first + 3) // 7 + 1

    @property
    def monday(self) -> int:
        """The Monday of the first week, in days since 1970-01-01."""
        return (self.first + 3) // 7 * 7 - 3

    def _place(self, seconds: NDArray[np.int64]) -> NDArray[np.int64]:
        return (seconds // DAY - self.monday) // 7

    def _chain(self) -> list[NDArray[np.int64]]:
        return _calendar(self.monday + 3 + 7 * np.arange(self.leaves))

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        monday = self.monday + 7 * np.minimum(cells, self.leaves - 1)
        least = np.maximum(monday, self.first)
        room = np.minimum(monday + 6, self.last) - least + 1
        return _days(least + below(words, room), cells == self.leaves)


@dataclass(frozen=True)
class _Part(_Moments):
    """A part of a day that is a column of its own: it reads the whole value, and decodes to the part alone."""

    @property
    def source(self) -> str:
        """The column of the table that holds the whole."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class WeekdayCodec(_Part):
    """Monday to Sunday, decoded to their names."""

    @property
    def leaves(self) -> int:
        """Seven."""
        return 7

    def _place(self, seconds: NDArray[np.int64]) -> NDArray[np.int64]:
        return weekday_of(seconds // DAY)

    def _chain(self) -> list[NDArray[np.int64]]:
        return [np.arange(7)]

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        from dpsynth.encoding import arrays

        return arrays.of_texts([*WEEKDAYS, None]).take(arrays.of_numpy(cells))


@dataclass(frozen=True)
class TimeCodec(_Part):
    """The minute of the day, decoded to a time whose second is drawn. Levels: 15 minutes, hour, quarter of the day."""

    @property
    def leaves(self) -> int:
        """Minutes of a day."""
        return 1440

    def _place(self, seconds: NDArray[np.int64]) -> NDArray[np.int64]:
        return seconds % DAY // 60

    def _chain(self) -> list[NDArray[np.int64]]:
        minutes = np.arange(1440)
        return [minutes, *(minutes // step for step in MINUTES)]

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        from pyarrow import time32

        from dpsynth.encoding import arrays

        missing = cells == self.leaves
        seconds = np.where(missing, 0, cells * 60) + below(words, 60)
        return arrays.of_numpy(seconds.astype(np.int32), missing).view(time32("s"))


def _days(days: NDArray[np.int64], missing: NDArray[np.bool_]) -> pa.Array:
    from pyarrow import date32

    from dpsynth.encoding import arrays

    return arrays.of_numpy(days.astype(np.int32), missing).view(date32())


def _calendar(days: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Each of the ascending days alone, then those of a month, of a quarter and of a year."""
    months = days.astype("M8[D]").astype("M8[M]").astype(np.int64)
    spans = [days, months, months // 3, months // 12]
    return [np.unique(span, return_inverse=True)[1].astype(np.int64) for span in spans]
