"""Opening: every kind of source gives the same codes, no cell raises, no row changes another."""

import logging
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.exceptions import PanicException

from dpsynth.encoding import arrays, codecs
from dpsynth.errors import INTERRUPTIONS, SourceError
from dpsynth.measurement import TOTAL, Level, Query
from dpsynth.schema import Schema
from dpsynth.table import PrivateTable, Source, csv, lines, open_table, reader
from dpsynth.table.pandas import _series

CANARY = "canary-51ac"
KEY = b"k" * 32
SCHEMA = Schema.parse(
    """
    [columns.age]
    type = "integer"
    min = 0
    max = 7
    nullable = true
    [columns.sex]
    type = "categorical"
    values = ["f", "m", "1"]
    nullable = true
    [columns.weight]
    type = "real"
    min = 0.0
    max = 4.0
    """
)
CODECS = codecs(SCHEMA)
JOINT = Query((*(Level(c.name, c.level()) for c in CODECS[:2]), Level("weight", np.arange(4096) // 1024)))


def load(data: object, schema: Schema = SCHEMA) -> PrivateTable:
    return open_table(Source.of(data), codecs(schema), schema.unit, KEY)  # type: ignore[arg-type]


def counts(data: object, schema: Schema = SCHEMA) -> np.ndarray:
    return load(data, schema).count([JOINT])[0]


def test_every_kind_of_source_gives_the_same_table(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"x": [1, 2, 3, 4], "age": [3, None, 7, 0], "sex": ["f", "m", None, "q"], "weight": [0.5, 3.5, 1.0, np.nan]}
    )
    frame.to_csv(tmp_path / "t.csv")
    frame.to_parquet(tmp_path / "t.parquet")
    expected = counts(tmp_path / "t.csv")
    assert expected.sum() == 4
    assert np.count_nonzero(expected) == 4
    text = frame.astype(object)
    words = frame.assign(sex=frame["sex"].astype("category"), age=frame["age"].astype("Int8"))
    for data in [tmp_path / "t.parquet", frame, text, words, pa.Table.from_pandas(frame)]:
        assert np.array_equal(counts(data), expected)


def test_batches_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{age},{sex},{weight}" for age in ("3", "", "x") for sex in ("f", '"m"', '"f') for weight in (1, 2.5)]
    (tmp_path / "t.csv").write_text("age,sex,weight\n" + "\n".join(rows * 7))
    pq.write_table(pa.table({"age": list(range(9)), "sex": ["f"] * 9, "weight": [1.0] * 9}), tmp_path / "t.parquet")
    found = [counts(tmp_path / name) for name in ("t.csv", "t.parquet")]
    monkeypatch.setattr(lines, "BLOCK", 11)
    monkeypatch.setattr(lines.read_records, "__defaults__", (11,))
    monkeypatch.setattr(csv, "_BLOCKS", 2)
    monkeypatch.setattr(reader, "ROWS", 2)
    for before, name in zip(found, ("t.csv", "t.parquet"), strict=True):
        assert np.array_equal(counts(tmp_path / name), before)
    assert found[0].sum() == 126


def test_a_table_without_rows_runs_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,sex,weight")
    empty = pa.table({"age": pa.array([], pa.int8()), "sex": pa.array([], pa.string()), "weight": pa.nulls(0)})
    pq.write_table(empty, tmp_path / "t.parquet")
    chunkless = pa.table({name: pa.chunked_array([], type=pa.int8()) for name in ("age", "sex", "weight")})
    for data in [tmp_path / "t.csv", tmp_path / "t.parquet", empty, chunkless, empty.to_pandas()]:
        table = load(data)
        assert table.rows() == 0
        assert [found.tolist() for found in table.count([TOTAL])] == [0]
        assert not table.count([JOINT])[0].any()


ODD = [
    None,
    np.nan,
    pd.NA,
    pd.NaT,
    "f",
    b"f",
    b"\xff",
    "\ud800",
    1,
    1.0,
    True,
    10**5000,
    Decimal("1.0"),
    Decimal("NaN"),
]
odd_cell = st.sampled_from([*ODD, (1,), {}, object(), 1 + 2j, float("inf"), np.float32(0.1), pd.Timestamp("2020")])


@settings(deadline=None, max_examples=60)
@given(st.lists(odd_cell, max_size=6), st.lists(odd_cell, max_size=2))
def test_no_object_raises_or_changes_another_row(cells: list[object], others: list[object]) -> None:
    def of(values: list[object]) -> np.ndarray:
        column = pd.Series(values, dtype=object)
        return counts(pd.DataFrame({"age": column, "sex": column, "weight": column}))

    apart = sum((of([cell]) for cell in [*cells, *others]), of([]))
    assert np.array_equal(of(cells + others), apart)


def test_an_object_on_which_arrow_panics_has_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def panics(*_: object, **__: object) -> None:
        raise PanicException("canary-a0d7")

    monkeypatch.setattr(arrays, "_stored", panics)
    assert arrays.text_of(b"f") == arrays.NO_TEXT


@pytest.mark.parametrize("stop", INTERRUPTIONS)
def test_an_interruption_is_no_cell_without_text(stop: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr(arrays, "_stored", stops)
    with pytest.raises(stop):
        arrays.text_of(b"f")


def test_a_pandas_column_on_which_arrow_panics_is_read_cell_by_cell() -> None:
    class Panics(pd.Series):
        def __arrow_array__(self, type: object = None) -> object:  # noqa: A002
            raise PanicException("canary-a0d7")

    assert _series(Panics([1, None, 2])).to_pylist() == [b"1", None, b"2"]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2, 3], dtype="category"),
        pd.Series([1, "f", None, 2.5], dtype="category"),
        pd.Series(["f", "m", "f"], dtype="string[python]"),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series(pd.to_datetime(["2020-01-01", None])),
        pd.Series(pd.period_range("2020", periods=3)),
        pd.Series(pd.interval_range(0, 3)),
        pd.Series([1j, 2j]),
        pd.Series(pd.arrays.SparseArray([0.0, 1.0])),
        pd.Series([2.0, -1.0], dtype="float16"),
    ],
)
def test_any_pandas_type_is_read(values: pd.Series) -> None:
    frame = pd.DataFrame({"age": values, "sex": values, "weight": values})
    assert counts(frame).sum() == len(values)


ROWS = {
    "ragged": "1",
    "long": "1,f,2,3,4,5",
    "bad quote": f'1,"{CANARY},2',
    "inner quote": f'1,{CANARY}"x",2',
    "late non-number": f"{CANARY},f,{CANARY}",
    "not UTF-8": f"1,{CANARY}\udcff,2",
    "NUL": f"1,{CANARY}\0,2",
    "inner CR": f"1,{CANARY}\rf,2",
    "huge": f"1,{CANARY * 200_000},2",
}


@pytest.mark.parametrize("odd", ROWS.values(), ids=ROWS.keys())
def test_a_spoilt_csv_row_raises_nothing_and_changes_no_other(
    tmp_path: Path, odd: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def of(*rows: str) -> np.ndarray:
        path = tmp_path / "t.csv"
        path.write_text("".join(row + "\n" for row in ["age,sex,weight", *rows]), errors="surrogateescape", newline="")
        return counts(path)

    caplog.set_level(logging.DEBUG)
    good = ["1,f,1.5", '"2","m",""', ",,"]
    apart = sum((of(row) for row in [*good, odd]), of())
    assert np.array_equal(of(good[0], odd, *good[1:]), apart)
    assert apart.sum() == 4
    assert CANARY not in caplog.text + "".join(capfd.readouterr())


def test_parquet_text_that_is_not_utf8_raises_nothing_and_changes_no_other(tmp_path: Path) -> None:
    words = pa.array([b"f", CANARY.encode() + b"\xff", b"m"])
    text = pa.Array.from_buffers(pa.string(), 3, words.buffers())
    pq.write_table(pa.table({"age": [1, 1, 1], "sex": text, "weight": [1.0] * 3}), tmp_path / "t.parquet")
    clean = pa.table({"age": [1, 1, 1], "sex": ["f", None, "m"], "weight": [1.0] * 3})
    assert np.array_equal(counts(tmp_path / "t.parquet"), counts(clean))


def test_parquet_names_are_exact(tmp_path: Path) -> None:
    table = pa.table({"Age": [9, 9], "age": [1, 2], "sex": ["f", "m"], "weight": [1.0, 1.0], "a.b": [{"age": 7}] * 2})
    path = tmp_path / "t[1]*.parquet"  # a pattern to DuckDB
    pq.write_table(table, path)
    assert np.array_equal(counts(path), counts(table))
    assert counts(path)[1:3].sum() == 2


def damaged(path: Path) -> None:
    table = pa.table({"age": [1] * 500, "sex": [f"{CANARY}{n}" for n in range(500)], "weight": [1.0] * 500})
    pq.write_table(table, path, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4:5000] = bytes(b ^ 0x5A for b in content[4:5000])
    path.write_bytes(content)


def test_a_damaged_parquet_file_is_told_by_a_fixed_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    damaged(tmp_path / "t.parquet")
    with pytest.raises(SourceError) as caught:
        load(tmp_path / "t.parquet")
    assert str(caught.value) == "t.parquet: the data could not be read to their end; check that the file is whole"
    assert caught.value.__context__ is None
    assert CANARY not in caplog.text + "".join(capfd.readouterr())


def test_a_file_that_cannot_be_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("age,sex,weight\n1,f,2\n")

    def fails(*_: object) -> None:
        raise OSError(5, f"broken disk at {CANARY}")

    monkeypatch.setattr(lines, "_records", fails)
    with pytest.raises(SourceError, match=r"t\.csv: the data could not be read") as caught:
        load(tmp_path / "t.csv")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("make", [lambda path: path, pd.read_csv, lambda path: pa.Table.from_pandas(pd.read_csv(path))])
def test_at_most_max_rows_of_an_entity_and_none_without(tmp_path: Path, make: Callable[[Path], object]) -> None:
    schema = Schema.parse(
        SCHEMA.to_toml().replace("max_rows = 1", 'max_rows = 2\ncolumn = "person"').replace('"row"', '"person"')
    )
    path = tmp_path / "t.csv"
    rows = [(7, age) for age in range(6)] + [(8, 1), ("", 2), ("", 3), (9, 4), (9, 5)]
    path.write_text("person,age,sex,weight\n" + "".join(f"{who},{age},f,1\n" for who, age in rows))
    table = load(make(path), schema)
    assert table.rows() == 5
    ages = table.count([Query((Level.identity("age", 9),))])[0]
    assert (ages[1], ages[4], ages[5]) >= (1, 1, 1)
    assert np.array_equal(counts(make(path), schema), counts(path, schema))
