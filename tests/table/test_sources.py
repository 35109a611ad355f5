"""Sources: what may be known of a table before it is opened, and what its errors may say."""

from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.errors import ConfigurationError, SourceError
from dpsynth.table import ColumnInfo, Source, columns, require
from dpsynth.table.arrow import ArrowTable
from dpsynth.table.csv import CsvFile
from dpsynth.table.duckdb import DuckdbRelation
from dpsynth.table.pandas import PandasFrame
from dpsynth.table.parquet import ParquetFiles
from dpsynth.table.polars import PolarsFrame
from dpsynth.table.postgres import PostgresTable
from dpsynth.table.sqlite import SqliteTable

CANARY = "canary-7c1e"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(f"age,sex,,\n1,{CANARY},,\n")
    return path


class TestOf:
    def test_a_path(self, csv: Path) -> None:
        source = Source.of(str(csv))
        assert (source.reader, source.name, source.path) == (CsvFile(csv), "people.csv", csv)
        assert Source.of(source) is source

    def test_other_kinds(self) -> None:
        for data, kind in [
            ("a/b.parquet", ParquetFiles),
            ("b.PQ", ParquetFiles),
            (pd.DataFrame({"a": [1]}), PandasFrame),
            (pl.DataFrame({"a": [1]}), PolarsFrame),
            (pa.table({"a": [1]}), ArrowTable),
            (pa.record_batch({"a": [1]}), ArrowTable),
            (duckdb.sql("SELECT 1 AS a"), DuckdbRelation),
            ("sqlite:people.db#people", SqliteTable),
            ("postgresql://ann@example.org/db#people", PostgresTable),
        ]:
            assert type(Source.of(data).reader) is kind  # type: ignore[arg-type]

    def test_paths_and_files_of_tables_are_seen_from_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "parts").mkdir()
        assert Source.of("people.csv", tmp_path).path == tmp_path / "people.csv"
        assert Source.of(tmp_path / "people.csv", Path("elsewhere")).path == tmp_path / "people.csv"
        assert Source.of("parts", tmp_path).path == tmp_path / "parts"
        assert Source.of("sqlite:d/people.db#t", tmp_path).reader == SqliteTable(tmp_path / "d" / "people.db", "t")

    def test_a_table_in_a_database_or_a_pattern_has_no_path_beside_which_a_store_could_lie(self) -> None:
        for text in ("sqlite:people.db#people", "postgresql://h/d#people", "parts/*.parquet"):
            assert Source.of(text).path is None

    @pytest.mark.parametrize(
        "data",
        [
            "people.xlsx",
            "people",
            "*.csv",
            "sqlite:people.db",
            "sqlite:#people",
            "sqlite:people.db#",
            "mysql://ann:canary-7c1e@host/db#people",
            "https://ann:canary-7c1e@host/people.csv",
            "age,sex\n1,canary-7c1e\n",
            "age,sex\n" + "1,canary-7c1e\n" * 1000,
            3,
            None,
            [1],
            pl.DataFrame({"a": [1]}).lazy(),
            pl.DataFrame,
        ],
    )
    def test_what_is_none(self, data: object) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Source.of(data)  # type: ignore[arg-type]
        assert CANARY not in str(caught.value)

    @pytest.mark.parametrize(
        "frame",
        [
            pd.DataFrame({"a": [CANARY]}),
            pa.table({"a": [CANARY]}),
            pa.record_batch({"a": [CANARY]}),
            pl.DataFrame({"a": [CANARY]}),
        ],
    )
    def test_its_repr_shows_no_row(self, frame: object) -> None:
        assert CANARY not in repr(Source.of(frame))  # type: ignore[arg-type]


class TestColumns:
    def test_of_csv_are_names_alone_and_nameless_ones_are_left_out(self, csv: Path) -> None:
        assert columns(Source.of(csv)) == (ColumnInfo("age", None), ColumnInfo("sex", None))

    def test_of_parquet_and_arrow_have_declared_types(self, tmp_path: Path) -> None:
        table = pa.table({"a": pa.array([1], pa.int64()), "b": pa.array(["x"]).dictionary_encode()})
        pq.write_table(table, tmp_path / "t.parquet")
        expected = (ColumnInfo("a", "int64"), ColumnInfo("b", "dictionary<values=string, indices=int32, ordered=0>"))
        assert columns(Source.of(table)) == columns(Source.of(tmp_path / "t.parquet")) == expected

    def test_of_pandas_have_no_types_since_those_depend_on_the_rows(self) -> None:
        with_null = pd.DataFrame({"a": [1, None], 7: ["x", "y"]})
        assert columns(Source.of(with_null)) == (ColumnInfo("a", None), ColumnInfo("7", None))

    def test_names_that_stand_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(f"age,{CANARY},{CANARY}\n")
        with pytest.raises(SourceError, match="two columns have the same name") as caught:
            columns(Source.of(path))
        assert CANARY not in str(caught.value)

    def test_a_table_without_columns(self) -> None:
        with pytest.raises(SourceError, match="without columns"):
            columns(Source.of(pa.table({})))


class TestRequire:
    def test_names_what_is_missing(self, csv: Path) -> None:
        with pytest.raises(SourceError, match=r"people\.csv: no column 'weight', 'size', which the schema names"):
            require(Source.of(csv), ["age", "weight", "size"])

    def test_a_file_without_header_shows_none_of_its_first_row(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(f"39,{CANARY},{CANARY}\n40,a,b\n")
        with pytest.raises(SourceError) as caught:
            require(Source.of(path), ["age"])
        assert CANARY not in str(caught.value)

    def test_a_wanted_column_that_stands_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text("age,sex,sex,x,x\n")
        require(Source.of(path), ["age"])
        with pytest.raises(SourceError, match="more than one column 'sex'"):
            require(Source.of(path), ["age", "sex"])

    @pytest.mark.parametrize("content", [b"", b"PAR1", f"PAR1 {CANARY} PAR1".encode()])
    def test_a_damaged_parquet_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "people.parquet"
        path.write_bytes(content)
        with pytest.raises(SourceError, match=r"people\.parquet: the file cannot be read as Parquet") as caught:
            require(Source.of(path), ["age"])
        assert caught.value.__context__ is None
        assert CANARY not in str(caught.value)

    @pytest.mark.parametrize("name", ["no.csv", "no.parquet"])
    def test_a_missing_file(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(SourceError, match=f"{name}: the file cannot be read"):
            require(Source.of(tmp_path / name), ["age"])
