"""Arrow arrays of every type, with awkward values, as hypothesis strategies."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import reject
from hypothesis import strategies as st

from dpsynth.schema import Boolean, Categorical, Date, Datetime, Integer, Ordinal, Real, Schema

SCHEMA = Schema(
    columns={
        "words": Categorical(values=("a", "é", "1", "2.50", "0.1", "true", "2020-01-31", "01:02:03"), nullable=True),
        "codes": Ordinal(values=("00", "0", "01", "1.0", "7", "-3", "inf", "9007199254740993"), otherwise="7"),
        "other": Categorical(values=("x",), nullable=True, otherwise="x"),
        "flag": Boolean(nullable=True),
        "sure": Boolean(),
        "count": Integer(min=-3, max=9),
        "wide": Integer(min=-(2**53), max=2**53, nullable=True),
        "share": Real(min=0.1, max=0.30000000000000004, nullable=True),
        "huge": Real(min=-1.7e308, max=1.7e308, bins=7),
        "thin": Real(min=1.0, max=1.0000000000000009, nullable=True),
        "day": Date(min=date(2019, 12, 31), max=date(2020, 2, 2)),
        "moment": Datetime(min=date(1969, 12, 31), max=date(1970, 3, 5), nullable=True, weekday=True),
        "long": Date(min=date(1900, 2, 27), max=date(2079, 1, 1), nullable=True),
        "coarse": Datetime(min=date(2020, 1, 1), max=date(2020, 12, 31), time=False),
    }
)
"""One column of every kind: nullable and not, with and without ``otherwise``, narrow and wide."""

TEXTS = st.one_of(
    st.sampled_from(
        ["a", " a ", "e\u0301", "é", "", " ", "1", "1.0", "01", "+1", "2.5", "2.50", "0.1", "true", "TRUE", "Yes", "n"]
    )
    | st.sampled_from(
        ["nan", "inf", "-Infinity", "1e400", "9" * 400, "7\u00a0", "\x00", "0x1f", "1_0", "٣", "1e", ".5", "5."]
    )
    | st.sampled_from(["2020-01-31", "01:02:03", "9007199254740993", "0.1", "0.30000000000000004", "-0.0"]),
    st.sampled_from(["2020-01-31 23:59:59.9", "2020-01-31T23:30:00-05:00", "1970-01-01 00:00Z", "20200131"])
    | st.sampled_from(["infinity", "-infinity", "0044-03-15 BC", "2020-02-30", "10000-01-01", "-0001-01-01"])
    | st.datetimes().map(str),
    st.integers(-12, 12).map(str),
    st.floats().map(repr),
    st.from_regex(r"[ \t]?[+-]?[0-9]{0,3}\.?[0-9]{0,25}([eE][+-]?[0-9]{1,3})?[ \n]?", fullmatch=True),
    st.text(max_size=4),
).filter(lambda text: text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))

RAW = st.one_of(TEXTS.map(str.encode), st.binary(max_size=4), st.just(b"caf\xe9"), st.just(b"\xff1"))
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-999, max_value=999)


def _of(type_: pa.DataType, cells: st.SearchStrategy[Any]) -> st.SearchStrategy[pa.Array]:
    return st.lists(st.none() | cells, max_size=5).map(lambda kept: pa.array(kept, type=type_))


def _ticks(type_: pa.DataType, bits: int) -> st.SearchStrategy[pa.Array]:
    """Any count at all, as days, times, instants or durations."""
    storage = pa.int32() if bits == 32 else pa.int64()
    some = st.sampled_from([0, -1, 86_400, 18_292, 3_723, 1_580_428_800_000, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1])
    ticks = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) | some.filter(lambda n: abs(n) <= 2 ** (bits - 1) - 1)
    return _of(storage, ticks).map(lambda array: array.view(type_))


def _invalid_utf8(cells: list[bytes]) -> pa.Array:
    raw = pa.array(cells, type=pa.binary())
    return pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())


def _unions(cells: list[int]) -> pa.Array:
    kinds = pa.array([n % 2 for n in cells], type=pa.int8())
    return pa.UnionArray.from_sparse(kinds, [pa.array(cells, pa.int64()), pa.array([str(n) for n in cells])])


_INTEGERS = [_of(getattr(pa, f"int{b}")(), st.integers(-(2 ** (b - 1)), 2 ** (b - 1) - 1)) for b in (8, 16, 32, 64)] + [
    _of(getattr(pa, f"uint{b}")(), st.integers(0, 2**b - 1) | st.integers(0, 9)) for b in (8, 16, 32, 64)
]
_FLOATS = [
    _of(pa.float16(), st.floats(width=16).map(np.float16)),
    _of(pa.float32(), st.floats(width=32)),
    _of(pa.float64(), st.floats() | st.integers(-9, 9).map(float) | st.floats(0.0, 0.4)),
]
_DECIMALS = [_of(make(6, 2), DECIMALS) for make in (pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256)] + [
    _of(pa.decimal128(8, -3), st.integers(-99, 99).map(lambda n: Decimal(n) * 1000))
]
_TEXT = [
    *[_of(make(), TEXTS) for make in (pa.string, pa.large_string, pa.string_view)],
    *[_of(make(), RAW) for make in (pa.binary, pa.large_binary, pa.binary_view)],
    _of(pa.binary(3), st.binary(min_size=3, max_size=3)),
    st.lists(RAW, max_size=5).map(_invalid_utf8),
]
_TIMES = [
    _ticks(pa.date32(), 32),
    _ticks(pa.date64(), 64),
    *[_ticks(pa.timestamp(unit, zone), 64) for unit in ("s", "ms", "us", "ns") for zone in (None, "Asia/Kolkata")],
    *[_ticks(pa.duration(unit), 64) for unit in ("s", "ms", "us", "ns")],
    *[_ticks(pa.time32(unit), 32) for unit in ("s", "ms")],
    *[_ticks(pa.time64(unit), 64) for unit in ("us", "ns")],
]
_ODD = [
    st.integers(0, 4).map(pa.nulls),
    _of(pa.list_(pa.int64()), st.lists(st.integers(0, 3), max_size=2)),
    _of(pa.large_list(pa.string()), st.lists(st.just("a"), max_size=2)),
    _of(pa.list_view(pa.string()), st.lists(st.just("a"), max_size=2)),
    _of(pa.list_(pa.int8(), 1), st.lists(st.integers(0, 3), min_size=1, max_size=1)),
    _of(pa.struct({"a": pa.int64()}), st.fixed_dictionaries({"a": st.integers(0, 3)})),
    _of(pa.map_(pa.string(), pa.int64()), st.lists(st.tuples(st.just("a"), st.integers(0, 3)), max_size=2)),
    _of(pa.month_day_nano_interval(), st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))),
    st.lists(st.integers(0, 9), max_size=5).map(_unions),
    _of(pa.int8(), st.integers(0, 1)).map(lambda a: pa.ExtensionArray.from_storage(pa.bool8(), a)),
    _of(pa.binary(16), st.binary(min_size=16, max_size=16)).map(lambda a: pa.ExtensionArray.from_storage(pa.uuid(), a)),
    _of(pa.string(), TEXTS).map(lambda a: pa.ExtensionArray.from_storage(pa.json_(), a)),
]
FLAT = st.one_of(_of(pa.bool_(), st.booleans()), *_INTEGERS, *_FLOATS, *_DECIMALS, *_TEXT, *_TIMES)


@st.composite
def _dictionary(draw: st.DrawFn) -> pa.Array:
    """Indices of any width into a dictionary that may hold nulls, repeats and values that no row has."""
    values = draw(FLAT)
    index = draw(st.sampled_from([pa.int8(), pa.uint8(), pa.int32(), pa.uint64()]))
    places = st.none() if len(values) == 0 else st.none() | st.integers(0, len(values) - 1)
    return pa.DictionaryArray.from_arrays(pa.array(draw(st.lists(places, max_size=6)), type=index), values)


@st.composite
def _run_ends(draw: st.DrawFn) -> pa.Array:
    values = draw(FLAT)
    steps = draw(st.lists(st.integers(1, 3), min_size=len(values), max_size=len(values)))
    ends = pa.array(np.cumsum(steps).tolist(), type=draw(st.sampled_from([pa.int16(), pa.int32(), pa.int64()])))
    try:
        return pa.RunEndEncodedArray.from_arrays(ends, values)
    except (
        pa.ArrowInvalid
    ):  # Arrow checks these values, not those of other arrays: a time of day beyond 24 h, bad UTF-8
        reject()


@st.composite
def arrays(draw: st.DrawFn) -> pa.Array:
    """An array of any type, sometimes a slice of a longer one."""
    array = draw(st.one_of(FLAT, _dictionary(), _run_ends(), *_ODD))
    return array.slice(draw(st.integers(0, 2))) if len(array) > 2 else array
