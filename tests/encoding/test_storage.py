"""The same value has the same code whatever stores it: storage types are data."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.encoding import arrays as arrow
from dpsynth.encoding import codecs
from dpsynth.schema.text import number
from tests.encoding.arrow_arrays import RAW, SCHEMA, TEXTS, arrays

CODECS = codecs(SCHEMA)


def agree(*columns: pa.Array) -> None:
    """All columns get the codes of the first."""
    for codec in CODECS:
        codes = [codec.encode(column).tolist() for column in columns]
        assert all(other == codes[0] for other in codes), f"{codec.name}: {codes}"


def text(*cells: str | None) -> pa.Array:
    return pa.array(cells, type=pa.string())


@settings(max_examples=40, deadline=None)
@given(st.integers(-(2**53), 2**53) | st.integers(-12, 12))
def test_whole_numbers(value: int) -> None:
    """One null beside it turns a pandas integer into a float."""
    with_null = pa.array(pd.Series([value, None]), from_pandas=True)
    assert pa.types.is_floating(with_null.type)
    agree(
        text(str(value)),
        pa.array([value]),
        with_null[:1],
        pa.array([float(value)]).dictionary_encode(),
        pa.array([Decimal(value)], pa.decimal128(20, 2)),
        pa.array([f" {value}\t".encode()]),
        text(arrow.text_of(value)),
        text(arrow.text_of(float(value))),
        text(arrow.text_of(np.int64(value))),
    )


@settings(max_examples=40, deadline=None)
@given(st.floats(allow_nan=False) | st.floats(0.09, 0.31) | st.floats(1.0, 1.0000000000000009))
@example(2.0**62)
@example(1e23)
@example(-0.0)
@example(1.0)
def test_floats(value: float) -> None:
    agree(
        pa.array([value]),
        text(repr(value)),
        text(f"  {value!r}"),
        pa.array([repr(value).upper().encode()]),
        pa.array([value]).dictionary_encode(),
        text(arrow.text_of(value)),
        text(arrow.text_of(np.float64(value))),
    )


@settings(max_examples=40, deadline=None)
@given(st.floats(allow_nan=False, width=32))
@example(float(np.float32(0.1)))
@example(2.0**30)
def test_a_float32_is_what_a_csv_file_would_hold(value: float) -> None:
    short = np.float32(value)
    agree(pa.array([short]), text(arrow.text_of(short)), pa.array([short]).dictionary_encode())
    agree(pa.array([short]), text(str(int(short)) if float(short).is_integer() else str(short)))


@settings(max_examples=40, deadline=None)
@given(st.decimals(min_value=-999, max_value=999, places=3))
def test_decimals(value: Decimal) -> None:
    agree(
        text(str(float(value))),
        *[pa.array([value], make(6, 3)) for make in (pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256)],
        pa.array([value], pa.decimal128(12, 7)),
        text(arrow.text_of(value)),
    )


def test_booleans() -> None:
    agree(
        pa.array([True, False, None]),
        text("true", "False", ""),
        pa.array(pd.Series([True, False, None], dtype="object"), from_pandas=True),
        text(*map(arrow.text_of, (True, np.False_, None))),
    )


def test_times() -> None:
    day, moment = datetime.date(2020, 1, 31), datetime.datetime(2020, 1, 31)
    agree(
        text("2020-01-31"),
        pa.array([day]),
        pa.array([day], pa.date64()),
        *[pa.array([moment], pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")],
        text(arrow.text_of(day)),
        text(arrow.text_of(pd.Timestamp(moment))),
    )
    clock = datetime.time(1, 2, 3)
    agree(text("01:02:03"), *[pa.array([clock], t) for t in (pa.time32("s"), pa.time32("ms"), pa.time64("ns"))])
    length = datetime.timedelta(milliseconds=2500)
    agree(text("2.5"), *[pa.array([length], pa.duration(unit)) for unit in ("ms", "us", "ns")])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | TEXTS, max_size=4))
def test_text_of_all_kinds(cells: list[str | None]) -> None:
    raw = [None if cell is None else cell.encode() for cell in cells]
    agree(
        text(*cells),
        *[pa.array(cells, make()) for make in (pa.large_string, pa.string_view)],
        *[pa.array(raw, make()) for make in (pa.binary, pa.large_binary, pa.binary_view)],
        text(*map(arrow.text_of, cells)),
        text(*map(arrow.text_of, raw)),
    )


MISSING = [None, float("nan"), np.nan, pd.NA, pd.NaT, np.datetime64("NaT", "ns"), "", " \u00a0", b"", Decimal("NaN")]


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_missing_values(value: Any) -> None:
    assert arrow.text_of(value) is None


def test_missing_values_in_arrays() -> None:
    agree(
        text(None),
        text(""),
        text(" "),
        pa.nulls(1),
        pa.array([float("nan")]),
        pa.array([np.float32("nan")]),
        pa.array([np.float16("nan")]),
        pa.array([None], pa.int64()),
        pa.array([-(2**63)]).view(pa.timestamp("us")),
        pa.DictionaryArray.from_arrays(pa.array([0]), pa.nulls(1, pa.string())),
        pa.RunEndEncodedArray.from_arrays([1], pa.nulls(1, pa.string())),
        pa.array([None], pa.list_(pa.int8())),
    )


ODD = [[1], {}, {1}, object(), 1 + 2j, pd.Interval(0, 1), Exception("x"), range(3), ..., type]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_objects_without_a_text(value: Any) -> None:
    assert arrow.text_of(value) == arrow.NO_TEXT


def test_awkward_objects() -> None:
    assert arrow.text_of("\ud800") == "\ufffd"
    assert arrow.text_of(10**5000) == "inf"
    assert arrow.text_of(-(10**5000)) == "-inf"
    assert arrow.text_of(10**30) == "1" + "0" * 30
    assert arrow.text_of(Decimal("1E+500")) == "1E+500"
    assert arrow.text_of(Decimal("-Infinity")) == "-Infinity"
    assert arrow.text_of(np.str_("é ")) == "é"
    assert arrow.text_of(b"\xff1") == "\\xff31"


@settings(max_examples=40, deadline=None)
@given(arrays())
def test_numbers_are_those_of_the_texts(array: pa.Array) -> None:
    (plain,) = arrow.chunks(array)
    found, where = arrow.unfold(plain)
    assert where.shape == (len(array),)
    assert np.all((where >= -1) & (where < len(found)))
    texts, numbers = arrow.spelt(found), arrow.numbers(found)
    assert len(texts) == len(numbers) == len(found)
    assert all(text is None or text == text.strip() != "" for text in texts)
    np.testing.assert_array_equal(numbers, [number(text or "") for text in texts])


@settings(max_examples=100, deadline=None)
@given(st.lists(RAW, min_size=1, max_size=8))
def test_numbers_of_raw_text_are_pythons(cells: list[bytes]) -> None:
    """Arrow reads the simple ones, Python the others: both round correctly."""
    array = pa.array(cells, pa.large_binary())
    expected = [number(text or "") for text in arrow.spelt(array)]
    np.testing.assert_array_equal(arrow.numbers(array), expected)


def test_float32_is_exact_where_it_is_whole() -> None:
    values = pa.array(np.array([2**30 + 128, 0.1, -0.0, np.nan, np.inf], dtype=np.float32))
    np.testing.assert_array_equal(arrow.numbers(values), [2**30 + 128, 0.1, 0.0, np.nan, np.inf])


def test_identities() -> None:
    """The text that tells entities apart: a null among the ids, and then CSV, change none of them."""
    ids = [3, 2**40, 10**16]
    plain = arrow.texts(arrow.unfold(pa.array(ids))[0])
    assert plain == ["3", "1099511627776", "10000000000000000"]
    assert arrow.texts(arrow.unfold(pa.array([float(i) for i in ids]))[0]) == plain
    assert arrow.texts(arrow.unfold(text("3.0", "1099511627776.0", "1e+16"))[0]) == plain
    distinct = ["007", "7", "7.00", "1.10", "1.1", "a", "A", "\\xff"]
    assert arrow.texts(arrow.unfold(text(*distinct))[0]) == distinct
    decimals = pa.array([Decimal("2.00"), Decimal("1.50"), Decimal("100.00"), Decimal("0.05")])
    assert arrow.texts(arrow.unfold(decimals)[0]) == ["2", "1.5", "100", "0.05"]
    digests = [bytes([200 + i]) * 8 for i in range(9)]
    assert len(set(arrow.texts(arrow.unfold(pa.array(digests))[0]))) == 9
