"""Awkward cells in columns of every type: encoded without an error, one by one, and decoded within their bin."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.encoding import Codec, DayCodec, TimeCodec, WeekCodec, codecs, layout
from dpsynth.schema import (
    Boolean,
    Categorical,
    Date,
    Datetime,
    Identifier,
    Integer,
    Ordinal,
    Real,
    Schema,
)
from dpsynth.table import Source
from dpsynth.table.batches import batches

LISTED = ("NULL", "None", "NaN", "NA", "nan", "null", "é", "a\x00b", "a\nb", "日本", "1", "-0.0", "true", "2020-01-01")
MIN, MAX = dt.date(2019, 12, 18), dt.date(2020, 2, 4)


def schema(nullable: bool) -> Schema:
    return Schema(
        columns={
            "id": Identifier(),
            "name": Categorical(values=LISTED, nullable=nullable),
            "rank": Ordinal(values=LISTED, nullable=nullable, otherwise="NaN"),
            "flag": Boolean(nullable=nullable),
            "count": Integer(min=-7, max=12_345_678, nullable=nullable),
            "small": Integer(min=0, max=3, nullable=nullable),
            "share": Real(min=-1.5, max=1e9, nullable=nullable),
            "fine": Integer(min=-99, max=10**6, bins="private", nullable=nullable),
            "wide": Integer(bounds="private", nullable=nullable),
            "real": Real(bounds="private", nullable=nullable),
            "day": Date(min=MIN, max=MAX, nullable=nullable),
            "week": Date(min=MIN, max=MAX, nullable=nullable, weekday=True),
            "visit": Datetime(min=MIN, max=MAX, nullable=nullable, weekday=True),
            "date": Datetime(min=MIN, max=MAX, nullable=nullable, time=False),
        }
    )


SCHEMAS = (schema(False), schema(True))
CODECS = tuple(codecs(declared) for declared in SCHEMAS)

ODD: list[Any] = [
    *(None, float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 5e-324, 1.7976931348623157e308, 1e400),
    *(2**53 + 1, -(2**63), 2**63 - 1, 2**64, 10**400, -(10**5000), True, False),
    *(Decimal("NaN"), Decimal("1E+500"), Decimal("0.10"), 1 + 2j, b"", b"\xff\x00", b"NULL"),
    *(dt.date.min, dt.date.max, dt.datetime.min, dt.datetime.max, dt.date(2020, 1, 1), dt.time(12, 30)),
    *(dt.datetime(2020, 1, 1, 23, 59, 59, 999_999), dt.timedelta(days=-1), pd.NaT, pd.NA, pd.Timestamp.max),
    pd.Timestamp("2020-01-01 12:00", tz="America/New_York"),
    pd.Period("2020-01"),
    np.datetime64("NaT"),
    np.datetime64("2020-01-01T23:59:59.999999999"),
    *(
        "",
        " ",
        "\x00",
        "\n",
        "a\nb",
        "a\x00b",
        "a\r\nb",
        '"',
        "'",
        ",",
        "\ufeff",
        "\u202e",
        "e\u0301",
        "ß",
        "İ",
        "\U0001f600",
    ),
    *(*LISTED, "Null", "none", "N/A", "NaT", "-nan", "inf", "0x10", "1e5", "１", "1_000", "9" * 5000, "-" + "9" * 400),
    *("2020-01-01", "2020-01-01T00:00:00Z", "0000-00-00", "2020-02-30", "99999-01-01", "-0001-01-01", "infinity"),
    *([], [1], {}, {"a": 1}, {1}, object(), Exception("no")),
]

cells = (
    st.sampled_from(ODD)
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.datetimes()
    | st.dates(dt.date(2019, 12, 1), dt.date(2020, 3, 1))
    | st.binary(max_size=3)
    | st.booleans()
)


def column(values: list[Any]) -> pa.ChunkedArray:
    """The cells as a data frame's column of objects gives them to the codecs."""
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    (batch,) = batches(Source.of(frame), ["x"])
    return batch["x"]


def bin_of(codec: Codec, code: int) -> tuple[Any, Any]:
    """The least and the greatest value of a cell, from the declaration alone."""
    if isinstance(codec, DayCodec):
        return MIN + dt.timedelta(code), MIN + dt.timedelta(code)
    if isinstance(codec, WeekCodec):
        monday = MIN - dt.timedelta(MIN.weekday()) + dt.timedelta(7 * code)
        return max(monday, MIN), min(monday + dt.timedelta(6), MAX)
    if isinstance(codec, TimeCodec):
        return dt.time(code // 60, code % 60), dt.time(code // 60, code % 60, 59)
    least, most = codec.decode(np.array([code, code]), np.array([0, 2**64 - 1], dtype=np.uint64)).to_pylist()
    return (least, most) if isinstance(codec.column, Real) else (min(least, most), max(least, most))


@settings(max_examples=150, deadline=None)
@given(st.lists(cells, min_size=1, max_size=6), st.sampled_from(CODECS), st.integers(0, 2**64 - 1))
def test_any_cells(values: list[Any], known: tuple[Codec, ...], word: int) -> None:
    whole = column(values)
    alone = [column([value]) for value in values]
    for codec in known:
        codes = codec.encode(whole)
        assert codes.tolist() == [int(codec.encode(one)[0]) for one in alone], codec.name
        again = codec.decode(codes, np.full(len(values), word, dtype=np.uint64))
        if codec.source == codec.name:
            assert codec.encode(again).tolist() == codes.tolist()
        assert codec.column.nullable or not again.null_count
        for code, value in zip(codes.tolist(), again.to_pylist(), strict=True):
            assert (value is None) == (code == codec.leaves)
            if value is not None and not isinstance(codec.column, Integer):
                least, most = bin_of(codec, code)
                assert least <= value <= most


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("known", CODECS, ids=["sure", "nullable"])
def test_each_odd_cell_alone_and_repeated(known: tuple[Codec, ...], value: Any) -> None:
    for codec in known:
        (code,) = codec.encode(column([value])).tolist()
        assert 0 <= code < codec.size
        assert codec.encode(column([value] * 50)).tolist() == [code] * 50


@pytest.mark.parametrize("declared", SCHEMAS, ids=["sure", "nullable"])
def test_names_of_nothing_are_values_where_they_are_listed(declared: Schema) -> None:
    for codec in codecs(declared)[:2]:
        assert codec.encode(pa.array(LISTED)).tolist() == list(range(len(LISTED)))
        values = codec.decode(np.arange(len(LISTED)), np.zeros(len(LISTED), np.uint64))
        assert values.to_pylist() == list(LISTED)


TYPES = {
    **{"id": pa.int64(), "name": pa.string(), "rank": pa.string(), "flag": pa.bool_(), "count": pa.int64()},
    **{"small": pa.int64(), "share": pa.float64(), "fine": pa.int64(), "wide": pa.int64(), "real": pa.float64()},
    **{"day": pa.date32(), "week": pa.date32()},
    **{"visit": pa.timestamp("s"), "date": pa.timestamp("s")},
}


@pytest.mark.parametrize("declared", SCHEMAS, ids=["sure", "nullable"])
@pytest.mark.parametrize("rows", [0, 1, 3000])
def test_the_types_of_the_output_are_exact(declared: Schema, rows: int) -> None:
    from dpsynth.sampling.records import decode

    words = np.random.default_rng(rows)
    whole = layout(declared)
    codes = {
        codec.name: (codec.size - 1 - words.integers(0, codec.size, rows) * (np.arange(rows) > 0)).astype(codec.dtype)
        for codec in whole.codecs
    }
    (batch,) = decode(whole, codes, 7, 0)
    assert batch.schema.names == list(TYPES)
    assert batch.schema.types == list(TYPES.values())
    assert batch.num_rows == rows
    for name, kind in declared.columns.items():
        assert kind.nullable or not batch.column(name).null_count
        if rows and kind.nullable:  # the first row has the last code of each column
            assert batch.column(name).null_count
