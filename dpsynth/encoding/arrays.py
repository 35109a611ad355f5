"""Arrow arrays seen as text or as numbers, whatever type stores them. Total: no value of any type raises.

Every function here works element by element: the text or number of an element depends on that element alone. Imports
pyarrow, so this module is imported by whoever reads rows, when it does.

Between numpy and Arrow it goes by buffers: pyarrow's own conversions first load pandas, which takes longer than to
encode a hundred thousand rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kind

from dpsynth.errors import INTERRUPTIONS
from dpsynth.schema.text import canonical, clean, number, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_TEXT = "\ufffd"
"""The text of what has none: lists, structs, maps, unions, intervals and objects unknown to Arrow."""

SIMPLE = r"^[ \t]*[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?[ \t]*$"
"""Numbers that Arrow reads as ``number`` does: both round correctly, and none of these overflows."""

POSSIBLE = r"(?i)^[\x00-\x20\x80-\xff]*(?:[0-9.e+-]+|[+-]?inf(?:inity)?|true|false)[\x00-\x20\x80-\xff]*$"
"""What every text that denotes a number matches, byte by byte: other texts need no closer look."""

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def chunks(values: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    """The arrays that a column consists of, extension types replaced by what stores them."""
    return [_stored(chunk) for chunk in (values.chunks if isinstance(values, pa.ChunkedArray) else [values])]


def unfold(array: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """Distinct values (more or less) and, for each element, the place of its value among them, -1 for a null.

    Text, decimals and what has no text come as bytes; other types as they are.
    """
    type_ = array.type
    if kind.is_dictionary(type_):
        return _behind(array.dictionary, _places(array.indices))
    if kind.is_run_end_encoded(type_):
        ends = array.run_ends.to_numpy(zero_copy_only=False)
        return _behind(array.values, np.searchsorted(ends, array.offset + np.arange(len(array)), side="right"))
    if is_text(type_):
        array = array.cast(pa.large_binary())
    elif kind.is_decimal(type_):
        array = _without_idle_zeros(array.cast(pa.string())).cast(pa.large_binary())
    elif not _is_flat(type_):
        array = pc.if_else(
            array.is_null(), pa.scalar(None, pa.large_binary()), pa.scalar(NO_TEXT.encode(), pa.large_binary())
        )
    encoded = array.dictionary_encode()
    return encoded.dictionary, _places(encoded.indices)


def of_numpy(values: NDArray[np.generic], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """The Arrow array of a vector of numbers or truth values, null where ``missing`` says so; shares its memory."""
    data = _bits(values) if values.dtype == np.bool_ else pa.py_buffer(np.ascontiguousarray(values))
    gone = 0 if missing is None else int(np.count_nonzero(missing))
    valid = None if missing is None or not gone else _bits(~missing)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), values.size, [valid, data], gone)


def of_texts(values: Sequence[str | None]) -> pa.Array:
    """The Arrow array of a few texts."""
    raw = [(value or "").encode() for value in values]
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int32)
    valid = _bits(np.array([value is not None for value in values], dtype=np.bool_))
    return pa.Array.from_buffers(pa.string(), len(raw), [valid, pa.py_buffer(offsets), pa.py_buffer(b"".join(raw))])


def to_numpy(array: pa.Array) -> NDArray[np.generic]:
    """The vector behind an Arrow array of numbers or truth values; what stands at a null means nothing."""
    first, size = array.offset, len(array)
    data = array.buffers()[1]
    if data is None:
        return np.zeros(size, dtype=array.type.to_pandas_dtype())
    if kind.is_boolean(array.type):
        bits = np.frombuffer(data, dtype=np.uint8)
        return np.unpackbits(bits, count=first + size, bitorder="little")[first:].view(np.bool_)
    return np.frombuffer(data, dtype=array.type.to_pandas_dtype(), count=first + size)[first:]


def is_number(array: pa.Array) -> bool:
    """Whether a type stores numbers that numpy reads."""
    return bool(kind.is_integer(array.type) or kind.is_floating(array.type))


def is_text(type_: pa.DataType) -> bool:
    """Whether a type stores text or bytes."""
    return any(
        test(type_)
        for test in (
            kind.is_string,
            kind.is_large_string,
            kind.is_string_view,
            kind.is_binary,
            kind.is_large_binary,
            kind.is_binary_view,
            kind.is_fixed_size_binary,
        )
    )


def texts(array: pa.Array) -> list[str | None]:
    """The text that tells one value from another, for each element of an array that ``unfold`` gave.

    As ``spelt``, but numbers that a float column printed are put plainly: the text ``3.0`` is the same as ``3``.
    """
    return [None if text is None else canonical(text) for text in spelt(array)]


def spelt(array: pa.Array) -> list[str | None]:
    """The text of each element of an array that ``unfold`` gave, as it is spelt; None for a missing one.

    Whole numbers have no ``.0`` and other floats their shortest form; NaN and empty text are missing. Times are
    ISO 8601 with a space and no idle zeros, zoned ones in UTC; a duration is its seconds. Bytes are read as UTF-8;
    those that are not stay distinct in PostgreSQL's form, a backslash, x and hexadecimal digits.
    """
    if is_text(array.type):
        return [None if raw is None else _decoded(raw) for raw in array.to_pylist()]
    if kind.is_boolean(array.type):
        return [None if flag is None else "true" if flag else "false" for flag in array.to_pylist()]
    if kind.is_integer(array.type):
        return [None if whole is None else str(whole) for whole in array.to_pylist()]
    if kind.is_floating(array.type):
        return [None if value != value else plain(value) for value in numbers(array).tolist()]
    return _times(array)


def numbers(array: pa.Array) -> NDArray[np.float64]:
    """The number of each element, ``number`` of its text: binary64, NaN for a null and for what denotes none.

    A float32 that is not whole counts as its shortest decimal, the one that a CSV file would hold.
    """
    if is_number(array):
        values = _or_nan(array)
        if not kind.is_float32(array.type):
            return values
        return np.where(values == np.rint(values), values, _or_nan(array.cast(pa.string()).cast(pa.float64())))
    if not is_text(array.type):
        return np.array([number(text or "") for text in spelt(array)], dtype=np.float64)
    result = np.full(len(array), np.nan)
    simple = _flags(pc.match_substring_regex(array, pattern=SIMPLE))
    trimmed = pc.ascii_trim_whitespace(array.filter(of_numpy(simple)).cast(pa.large_string()))
    result[simple] = _or_nan(trimmed.cast(pa.float64()))
    rest = array.filter(of_numpy(~simple))
    possible = _flags(pc.match_substring_regex(rest, pattern=POSSIBLE))
    found = [number(text or "") for text in spelt(rest.filter(of_numpy(possible)))]
    result[np.flatnonzero(~simple)[possible]] = found
    return result


def text_of(value: object) -> str | None:
    """The text of one Python object, as ``spelt`` gives it for an array of its type; None when it is missing.

    For data-frame columns whose objects are of several types, which Arrow cannot hold.
    """
    if isinstance(value, str):
        return clean(value) or None
    if isinstance(value, int) and not isinstance(value, bool):
        # Python refuses to print more than some thousand digits: such a number is infinite in binary64 anyway.
        return str(value) if abs(value) < 10**400 else "inf" if value > 0 else "-inf"
    if type(value) is float:
        return None if value != value else plain(value)
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > 70):
        return None if value.is_nan() else str(value)
    try:
        array = _stored(pa.array([value], from_pandas=True))
        found, where = unfold(array)
        return spelt(found)[0] if where[0] >= 0 else None
    except INTERRUPTIONS:
        raise
    except BaseException:  # an object of any kind may do anything here, and no value may raise
        return NO_TEXT


def _stored(array: pa.Array) -> pa.Array:
    while isinstance(array, pa.ExtensionArray):
        array = array.storage
    return array


def _behind(values: pa.Array, places: NDArray[np.int64]) -> tuple[pa.Array, NDArray[np.int64]]:
    """The values that ``places`` into ``values`` mean, -1 being a null."""
    found, where = unfold(_stored(values))
    return found, np.append(where, -1)[places]


def _without_idle_zeros(decimals: pa.Array) -> pa.Array:
    """``1.50`` as ``1.5`` and ``2.00`` as ``2``."""
    whole = pc.replace_substring_regex(decimals, pattern=r"\.0+$", replacement="")
    return pc.replace_substring_regex(whole, pattern=r"(\.[0-9]*[1-9])0+$", replacement=r"\1")


def _places(indices: pa.Array) -> NDArray[np.int64]:
    places = to_numpy(indices).astype(np.int64)
    if indices.null_count:
        places[to_numpy(indices.is_null())] = -1
    return places


def _or_nan(array: pa.Array) -> NDArray[np.float64]:
    """Numbers as binary64, NaN for a null."""
    values = to_numpy(array).astype(np.float64)
    if array.null_count:
        values[to_numpy(array.is_null())] = np.nan
    return values


def _bits(flags: NDArray[np.generic]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags.view(np.bool_), bitorder="little"))


def _is_flat(type_: pa.DataType) -> bool:
    return (
        kind.is_boolean(type_)
        or kind.is_integer(type_)
        or kind.is_floating(type_)
        or (kind.is_temporal(type_) and not kind.is_interval(type_))
    )


def _decoded(raw: bytes) -> str | None:
    try:
        return clean(raw.decode()) or None
    except UnicodeDecodeError:
        return f"\\x{raw.hex()}"


def _flags(matches: pa.Array) -> NDArray[np.bool_]:
    flags = to_numpy(matches).astype(np.bool_)
    if matches.null_count:
        flags &= to_numpy(matches.is_valid()).astype(np.bool_)
    return flags


def _times(array: pa.Array) -> list[str | None]:
    type_ = array.type
    if kind.is_date32(type_):
        return [None if day == "NaT" else day for day in _iso(array.view(pa.int32()), "D")]
    ticks = array.view(pa.int32() if kind.is_time32(type_) else pa.int64())
    if kind.is_date64(type_):
        return [_moment(moment, "") for moment in _iso(ticks, "ms")]
    if kind.is_timestamp(type_):
        return [_moment(moment, "+00:00" if type_.tz else "") for moment in _iso(ticks, type_.unit)]
    write = _duration if kind.is_duration(type_) else _clock
    return [None if tick is None else write(tick, PER_SECOND[type_.unit]) for tick in ticks.to_pylist()]


def _iso(ticks: pa.Array, unit: str) -> list[str]:
    counts = ticks.cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy(zero_copy_only=False)
    return [str(text) for text in np.datetime_as_string(counts.view(f"M8[{unit}]"))]


def _moment(text: str, zone: str) -> str | None:
    """From ``2020-01-31T00:00:00.000``: without idle zeros, and a date alone at midnight where there is no zone."""
    if text == "NaT":
        return None
    day, _, clock = text.partition("T")
    if "." in clock:
        clock = clock.rstrip("0").rstrip(".")
    return day if clock == "00:00:00" and not zone else f"{day} {clock}{zone}"


def _clock(ticks: int, per_second: int) -> str:
    seconds, rest = divmod(ticks, per_second)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{_fraction(rest, per_second)}"


def _duration(ticks: int, per_second: int) -> str | None:
    if ticks == np.iinfo(np.int64).min:
        return None
    seconds, rest = divmod(abs(ticks), per_second)
    return f"{'-' if ticks < 0 else ''}{seconds}{_fraction(rest, per_second)}"


def _fraction(rest: int, per_second: int) -> str:
    digits = len(str(per_second)) - 1
    return f".{rest:0{digits}d}".rstrip("0") if rest else ""
