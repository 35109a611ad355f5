"""The moment that a value denotes, whatever stores it. Total: no value of any type raises.

A moment is a whole second, fractions cut off; one with a time zone is taken to UTC, one without stands as it is. Texts
are read as ISO 8601 and what PostgreSQL and SQLite write: a date (with or without hyphens), perhaps a time behind a
space or a ``T``, with or without seconds, perhaps ``Z``, ``UTC`` or an offset; ``infinity`` and ``-infinity``. Other
orders of day and month are ambiguous and denote no moment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.types as kind

from dpsynth.encoding import arrays

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

FAR = 2**62
"""Seconds of what lies beyond any bound."""

_DAY = re.compile(r"([+-]?[0-9]{4,18})-([0-9]{2})-([0-9]{2})|([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_REST = re.compile(
    r"(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]|60)(?:[.,][0-9]*)?)?"
    r"(?: ?(?:Z|UTC|([+-])([0-9]{2})(?::?([0-5][0-9])(?::?[0-5][0-9])?)?))?)?( BC)?",
    re.ASCII | re.IGNORECASE,
)
_PLAIN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:Z|\+00(?::?00)?)?)?$"
)
"""The commonest texts, bytes that both expressions above match: all that they denote is where it always is."""

_ENDLESS = {"infinity": FAR, "+infinity": FAR, "-infinity": -FAR}


def is_moment(type_: pa.DataType) -> bool:
    """Whether a type stores days or moments."""
    return bool(kind.is_date(type_) or kind.is_timestamp(type_))


def seconds(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Seconds since 1970-01-01 of each element, and which have none; what stands there means nothing.

    ``array`` stores days or moments, or comes from ``arrays.unfold``. The result depends on the text alone that
    ``arrays.spelt`` gives (proofs/encoding/moments.md).
    """
    if is_moment(array.type):
        return _ticks(array)
    if arrays.is_text(array.type):
        return _texts(array)
    return _each(arrays.spelt(array))


def of_text(text: str) -> int | None:
    """Seconds since 1970-01-01 of a clean text, at most FAR from it; None for one that denotes no moment."""
    day = _DAY.match(text)
    if day is None:
        return _ENDLESS.get(text.lower())
    rest = _REST.fullmatch(text, day.end())
    if rest is None:
        return None
    year, month, number = (int(part) for part in day.groups() if part is not None)
    if rest[7]:
        year = 1 - year
    days = _days(year, month, number)
    if days is None:
        return None
    hour, minute, second = (int(rest[place] or 0) for place in (1, 2, 3))
    ahead = (int(rest[5]) * 60 + int(rest[6] or 0)) * (-1 if rest[4] == "-" else 1) if rest[4] else 0
    moment = days * 86_400 + hour * 3600 + (minute - ahead) * 60 + second
    return max(-FAR, min(moment, FAR))


def _days(year: int, month: int, day: int) -> int | None:
    """Days since 1970-01-01 in the Gregorian calendar, which repeats itself every 400 years, or None."""
    cycles, within = divmod(year, 400)
    try:
        return date(within + 400, month, day).toordinal() + (cycles - 1) * 146_097 - 719_163
    except ValueError:
        return None


def _each(texts: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    read = [None if text is None else of_text(text) for text in texts]
    missing = np.array([moment is None for moment in read], dtype=np.bool_)
    return np.array([moment or 0 for moment in read], dtype=np.int64), missing


def _texts(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """As :func:`_each` of their texts; the commonest are read together, as each alone would take microseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found, missing = np.zeros(len(array), dtype=np.int64), np.ones(len(array), dtype=np.bool_)
    matches = arrays.to_numpy(pc.match_substring_regex(array, pattern=_PLAIN).fill_null(False))
    plain = np.flatnonzero(matches)
    kept = array.take(arrays.of_numpy(plain)).cast(pa.large_binary())
    sizes = arrays.to_numpy(pc.binary_length(kept)).astype(np.int64)
    for timed in (False, True):
        some = np.flatnonzero((sizes > 10) == timed)
        place = plain[some]
        found[place], missing[place] = _digits(kept.take(arrays.of_numpy(some)), 19 if timed else 10)
    rest = np.flatnonzero(missing)  # what no calendar has is looked at again, and is none again
    found[rest], missing[rest] = _each(arrays.spelt(array.take(arrays.of_numpy(rest))))
    return found, missing


def _digits(array: pa.Array, width: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The moments of texts that begin with ``width`` bytes ``2020-01-31`` or ``2020-01-31 01:02:03``."""
    if not len(array):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, dtype=np.int64, count=array.offset + len(array))[array.offset :]
    letters = np.frombuffer(data, dtype=np.uint8)

    def number(first: int, end: int) -> NDArray[np.int64]:
        value = np.zeros(starts.size, dtype=np.int64)
        for place in range(first, end):
            value = value * 10 + (letters[starts + place] - np.uint8(48))
        return value

    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    months = (year - 1970) * 12 + month - 1
    begin, end = ((months + later).astype("M8[M]").astype("M8[D]").astype(np.int64) for later in (0, 1))
    possible = (month >= 1) & (month <= 12) & (day >= 1) & (day <= end - begin)
    moments = (begin + day - 1) * 86_400
    if width > 10:
        hour, minute, second = number(11, 13), number(14, 16), number(17, 19)
        possible &= (hour <= 23) & (minute <= 59) & (second <= 60)
        moments += hour * 3600 + minute * 60 + second
    return moments, ~possible


def _ticks(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    import pyarrow as pa

    type_ = array.type
    short = kind.is_date32(type_)
    counts = arrays.to_numpy(array.view(pa.int32() if short else pa.int64())).astype(np.int64)
    missing = counts == np.iinfo(np.int64).min
    if array.null_count:
        missing |= arrays.to_numpy(array.is_null()).astype(np.bool_)
    if short:
        return counts * 86_400, missing
    return counts // arrays.PER_SECOND["ms" if kind.is_date64(type_) else type_.unit], missing
