"""Tables in memory: Polars, whatever speaks Arrow's capsule interface, and DuckDB relations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from dpsynth.encoding import arrays
from dpsynth.errors import INTERRUPTIONS, ConfigurationError, SourceError
from dpsynth.table import ColumnInfo, Source, columns, require
from dpsynth.table.batches import batches

CANARY = "canary-90aa"


@dataclass
class Capsule:
    """Any object of the interface."""

    table: Any

    def __arrow_c_schema__(self) -> object:
        return self.table.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def texts(data: object, *names: str) -> list[list[str | None]]:
    """The texts of each column."""
    source = Source.of(data)  # type: ignore[arg-type]
    require(source, names)
    found: list[list[str | None]] = [[] for _ in names]
    for batch in batches(source, names):
        assert set(batch) == set(names)
        for cells, name in zip(found, names, strict=True):
            for chunk in arrays.chunks(batch[name]):
                values, where = arrays.unfold(chunk)
                cells += [([*arrays.spelt(values), None])[at] for at in where.tolist()]
    return found


class TestPolars:
    def test_types_are_not_declared(self) -> None:
        frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
        assert columns(Source.of(frame)) == (ColumnInfo("a", None), ColumnInfo("b", None))

    def test_every_type_has_its_text(self) -> None:
        frame = pl.DataFrame(
            {
                "category": pl.Series(["u", None], dtype=pl.Categorical),
                "enum": pl.Series(["u", None], dtype=pl.Enum(["u"])),
                "huge": pl.Series([2**100, None], dtype=pl.Int128),
                "object": pl.Series(["f", None], dtype=pl.Object),
                "null": [None, None],
                "bytes": [b"f", None],
                "decimal": pl.Series(["1.50", None]).cast(pl.Decimal(10, 2)),
                "list": [[1], None],
            }
        )
        found = [cells[0] for cells in texts(frame, *frame.columns)]
        assert found == ["u", "u", str(2**100), "f", None, "f", "1.5", arrays.NO_TEXT]
        assert all(cells[1] is None for cells in texts(frame, *frame.columns))

    @pytest.mark.parametrize(
        ("kind", "cell"),
        [
            (pl.List(pl.Int128), [1]),
            (pl.Array(pl.Int128, 1), [1]),
            (pl.Struct({"x": pl.Int128}), {"x": 1}),
            (pl.List(pl.Struct({"x": pl.List(pl.Int128)})), [{"x": [1]}]),
        ],
    )
    def test_what_arrow_lacks_within_another_type_is_read_cell_by_cell(self, kind: Any, cell: Any) -> None:
        frame = pl.DataFrame({"a": pl.Series([cell, None], dtype=kind)})
        assert texts(frame, "a") == [[arrays.NO_TEXT, None]]

    def test_a_type_that_cannot_be_handed_over_is_told_before_a_row_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dpsynth.table.polars._NOT_IN_ARROW", ())
        frame = pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128), "b": [1]})
        require(Source.of(frame), ["b"])
        with pytest.raises(SourceError, match="cannot be handed over in Arrow's format"):
            require(Source.of(frame), ["a"])

    def test_slices_are_the_same_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dpsynth.table.reader.ROWS", 2)
        assert texts(pl.DataFrame({"a": range(5)}), "a") == [["0", "1", "2", "3", "4"]]
        assert texts(pl.DataFrame({"a": []}), "a") == [[]]


class TestStreams:
    def test_each_stream_is_a_new_one(self) -> None:
        data = Capsule(pa.table({"a": [1, 2], "b": ["x", None]}))
        for _ in range(2):
            assert texts(data, "b", "a") == [["x", None], ["1", "2"]]
        assert columns(Source.of(data)) == (ColumnInfo("a", None), ColumnInfo("b", None))

    def test_small_batches_are_put_together(self) -> None:
        table = pa.Table.from_batches([pa.record_batch({"a": [n]}) for n in range(5)])
        assert len(list(batches(Source.of(Capsule(table)), ["a"]))) == 1
        assert texts(Capsule(table.slice(0, 0)), "a") == [[]]

    @pytest.mark.parametrize("make", [lambda table: table.to_reader(), lambda table: iter(table.to_batches())])
    def test_what_can_be_read_once_only_is_refused_before_it_is_touched(self, make: Any) -> None:
        table = pa.table({"a": [1]})
        reader = make(table)
        with pytest.raises(ConfigurationError):
            Source.of(reader)
        assert len(list(reader)) == 1

    def test_the_refusal_says_what_to_do(self) -> None:
        with pytest.raises(ConfigurationError, match=r"can be read once only.*reader\.read_all\(\)"):
            Source.of(pa.table({"a": [1]}).to_reader())

    def test_no_stream_is_opened_before_the_rows_are_read(self) -> None:
        class Watched(Capsule):
            opened = 0

            def __arrow_c_stream__(self, requested_schema: object = None) -> object:
                self.opened += 1
                return super().__arrow_c_stream__(requested_schema)

        data = Watched(pa.table({"a": [1], "b": [2]}))
        source = Source.of(data)
        assert columns(source) == (ColumnInfo("a", None), ColumnInfo("b", None))
        require(source, ["a"])
        with pytest.raises(SourceError, match="no column 'c'"):
            require(source, ["c"])
        assert data.opened == 0
        assert len(list(batches(source, ["a"]))) == data.opened == 1

    def test_an_object_that_shows_its_columns_by_a_stream_alone_is_refused(self) -> None:
        class Undeclared:
            def __arrow_c_stream__(self, requested_schema: object = None) -> object:
                raise AssertionError("opened")

        for data in (Undeclared(), pl.Series("a", [{"a": 1}])):
            with pytest.raises(ConfigurationError, match=r"no __arrow_c_schema__.*give pyarrow\.table\(\.\.\.\)"):
                Source.of(data)

    @pytest.mark.parametrize("failure", [ValueError, pl.exceptions.PanicException])
    def test_columns_that_cannot_be_declared_are_told_in_fixed_words(self, failure: type[BaseException]) -> None:
        class Fails(Capsule):
            def __arrow_c_schema__(self) -> object:
                raise failure(CANARY)

        with pytest.raises(SourceError, match="its columns cannot be handed over in Arrow's format") as caught:
            require(Source.of(Fails(None)), ["a"])
        assert CANARY not in str(caught.value)
        assert caught.value.__context__ is None

    def test_a_stream_that_lacks_what_was_declared_fails_in_fixed_words(self) -> None:
        class Other(Capsule):
            def __arrow_c_schema__(self) -> object:
                return pa.schema({CANARY: pa.int64()}).__arrow_c_schema__()

        with pytest.raises(SourceError, match="to their end; check what the data come from"):
            texts(Other(pa.table({"a": [1]})), CANARY)

    @pytest.mark.parametrize("stop", INTERRUPTIONS)
    def test_an_interruption_passes(self, stop: type[BaseException]) -> None:
        class Stops(Capsule):
            def __arrow_c_stream__(self, requested_schema: object = None) -> object:
                raise stop

        with pytest.raises(stop):
            texts(Stops(pa.table({"a": [1]})), "a")

    def test_a_panic_is_told_in_fixed_words(self) -> None:
        class Panics(Capsule):
            def __arrow_c_stream__(self, requested_schema: object = None) -> object:
                raise pl.exceptions.PanicException(CANARY)

        with pytest.raises(SourceError, match="to their end; check what the data come from") as caught:
            texts(Panics(pa.table({"a": [1]})), "a")
        assert caught.value.__context__ is None

    def test_a_failure_on_the_way_is_told_in_fixed_words(self) -> None:
        def rows() -> Iterator[pa.RecordBatch]:
            yield pa.record_batch({"a": [CANARY]})
            raise ValueError(f"row of {CANARY}")

        class Fails(Capsule):
            def __arrow_c_schema__(self) -> object:
                return pa.schema({"a": pa.string()}).__arrow_c_schema__()

            def __arrow_c_stream__(self, requested_schema: object = None) -> object:
                reader = pa.RecordBatchReader.from_batches(pa.schema({"a": pa.string()}), rows())
                return reader.__arrow_c_stream__(requested_schema)

        with pytest.raises(SourceError) as caught:
            texts(Fails(None), "a")
        assert str(caught.value) == (
            "data frame: the data could not be read to their end; check what the data come from"
        )
        assert caught.value.__context__ is None

    def test_names_that_stand_twice_matter_where_they_are_wanted(self) -> None:
        data = Capsule(pa.table([[1], [2], [3]], names=["a", "b", "b"]))
        assert texts(data, "a") == [["1"]]
        with pytest.raises(SourceError, match="more than one column 'b'"):
            texts(data, "b")


class TestDuckdb:
    @pytest.fixture
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as found:
            yield found

    def test_a_column_that_is_not_wanted_is_never_computed(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"CREATE VIEW v AS SELECT range AS a, error('{CANARY}' || range) AS b FROM range(3)")
        for relation in (connection.table("v"), connection.sql("SELECT * FROM v WHERE a < 9")):
            assert texts(relation, "a") == [["0", "1", "2"]]
            with pytest.raises(SourceError) as caught:
                texts(relation, "a", "b")
            assert str(caught.value) == (
                "DuckDB relation: the data could not be read to their end; check that its connection is open and that "
                "its query runs on every row"
            )
            assert caught.value.__context__ is None

    def test_types_are_not_declared_and_names_are_exact(self, connection: duckdb.DuckDBPyConnection) -> None:
        relation = connection.sql("""SELECT 1 AS "a""b", 2 AS "select", 3 AS "x.y" """)
        assert columns(Source.of(relation)) == tuple(ColumnInfo(name, None) for name in ('a"b', "select", "x.y"))
        assert texts(relation, "x.y", 'a"b', "select") == [["3"], ["1"], ["2"]]

    def test_types_that_arrow_lacks_come_as_their_text(self, connection: duckdb.DuckDBPyConnection) -> None:
        asked = {
            "170141183460469231731687303715884105727::HUGEINT": "170141183460469231731687303715884105727",
            "'101'::BIT": "101",
            "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "1.50::DECIMAL(18, 4)": "1.5",
            "'NaN'::DOUBLE": None,
            "'-inf'::DOUBLE": "-inf",
            "-0.0::DOUBLE": "0",
            "0.1::FLOAT": "0.1",
            "TRUE": "true",
            "'u'::ENUM('u')": "u",
            "'f'::BLOB": "f",
            "[1, 2]": arrays.NO_TEXT,
            "{'a': 1}": arrays.NO_TEXT,
            "TIMESTAMP '2020-01-31 10:00:00.5'": "2020-01-31 10:00:00.5",
            "TIMESTAMPTZ '2020-01-31 10:00:00+02'": "2020-01-31 08:00:00+00:00",
            "DATE '2020-01-31'": "2020-01-31",
            "chr(0) || 'a'": "\0a",
            "NULL": None,
        }
        relation = connection.sql(f"SELECT {', '.join(f'{value} AS c{at}' for at, value in enumerate(asked))}")
        assert [cells[0] for cells in texts(relation, *relation.columns)] == list(asked.values())

    def test_its_repr_shows_no_row_and_a_connection_is_no_table(self, connection: duckdb.DuckDBPyConnection) -> None:
        source = Source.of(connection.sql(f"SELECT '{CANARY}' AS a"))
        assert CANARY not in repr(source) + repr(source.reader)
        with pytest.raises(ConfigurationError):
            Source.of(connection)  # type: ignore[arg-type]

    def test_its_connection_is_closed(self, connection: duckdb.DuckDBPyConnection) -> None:
        relation = connection.sql(f"SELECT '{CANARY}' AS a")
        connection.close()
        with pytest.raises(SourceError, match="it cannot be read; check that its connection is open") as caught:
            require(Source.of(relation), ["a"])
        assert caught.value.__context__ is None

    def test_its_table_is_gone(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        relation = connection.table("t")
        connection.execute("DROP TABLE t")
        with pytest.raises(SourceError, match="it cannot be read") as caught:
            require(Source.of(relation), ["a"])
        assert caught.value.__context__ is None

    def test_names_that_stand_twice_matter_where_they_are_wanted(self, connection: duckdb.DuckDBPyConnection) -> None:
        relation = connection.sql("SELECT 1 AS a, 2 AS b, 3 AS b")
        assert texts(relation, "a") == [["1"]]
        with pytest.raises(SourceError, match="more than one column 'b'"):
            texts(relation, "b")

    def test_no_rows(self, connection: duckdb.DuckDBPyConnection) -> None:
        assert texts(connection.sql("SELECT 1 AS a WHERE FALSE"), "a") == [[]]
