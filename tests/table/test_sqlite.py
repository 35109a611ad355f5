"""Tables of SQLite files: opened for reading alone, cell by cell, and told of in fixed words."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dpsynth.encoding import arrays
from dpsynth.errors import SourceError
from dpsynth.table import ColumnInfo, Source, columns, require, sqlite
from dpsynth.table.batches import batches

CANARY = "canary-4d10"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people #1?.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as found:
        yield found


def texts(path: Path, table: str, *names: str) -> list[list[str | None]]:
    source = Source.of(f"sqlite:{path}#{table}")
    require(source, names)
    found: list[list[str | None]] = [[] for _ in names]
    for batch in batches(source, names):
        for cells, name in zip(found, names, strict=True):
            values, where = arrays.unfold(batch[name].chunk(0))
            cells += [([*arrays.spelt(values), None])[at] for at in where.tolist()]
    return found


def test_declared_types_are_told_and_a_missing_one_is_none(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a INTEGER, b, c VARCHAR(20), g GENERATED ALWAYS AS (a + 1))")
    connection.execute("CREATE VIEW v AS SELECT a, c FROM t")
    expected = [("a", "INTEGER"), ("b", None), ("c", "VARCHAR(20)"), ("g", None)]
    assert columns(Source.of(f"sqlite:{path}#t")) == tuple(ColumnInfo(*pair) for pair in expected)
    assert [found.name for found in columns(Source.of(f"sqlite:{path}#v"))] == ["a", "c"]


def test_what_a_view_sorts_is_written_to_no_temporary_file(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a)")
    with closing(sqlite.SqliteTable(path, "t")._connected()) as reading:
        assert reading.execute("PRAGMA temp_store").fetchone() == (2,)  # MEMORY


def test_a_column_may_hold_cells_of_any_type(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a INTEGER)")
    cells = ["1", 2, 2.0, 2.5, "x", None, b"f", b"\xff", float("inf"), -0.0, float("nan"), "", 2**62, 1e300, "a\0b\nc"]
    connection.executemany("INSERT INTO t VALUES (?)", [[cell] for cell in cells])
    connection.execute("INSERT INTO t VALUES (CAST(x'66ff' AS TEXT))")  # no UTF-8
    expected = ["1", "2", "2", "2.5", "x", None, "f", "\\xff", "inf", "0", None, None, str(2**62), str(int(1e300))]
    assert texts(path, "t", "a") == [[*expected, "a\0b\nc", "\\x66ff"]]


def test_names_are_quoted_and_one_that_is_no_column_is_no_text(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute('CREATE TABLE "odd ""name""" ("a""b" INTEGER, "select" INTEGER, "x.y" INTEGER)')
    connection.execute('INSERT INTO "odd ""name""" VALUES (1, 2, 3)')
    assert texts(path, 'odd "name"', "x.y", 'a"b', "select") == [["3"], ["1"], ["2"]]
    with pytest.raises(SourceError, match="no column 'b'"):
        texts(path, 'odd "name"', "b")
    connection.execute("CREATE TABLE '50%#1' (a)")
    assert texts(path, "50%25%231", "a") == [[]]


def test_batches_do_not_matter(path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.execute("CREATE TABLE t (a)")
    connection.executemany("INSERT INTO t VALUES (?)", [[n] for n in range(5)])
    monkeypatch.setattr(sqlite, "_FETCHED", 2)
    assert texts(path, "t", "a") == [["0", "1", "2", "3", "4"]]


def test_a_column_that_is_not_wanted_is_never_computed(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (1), (2)")
    connection.execute(f"CREATE VIEW v AS SELECT a, json_extract('{CANARY}' || a, '$') AS b FROM t")
    assert texts(path, "v", "a") == [["1", "2"]]
    with pytest.raises(SourceError) as caught:
        texts(path, "v", "a", "b")
    assert str(caught.value) == (
        "people #1?.db#v: the data could not be read to their end; check that the file is whole and that no other "
        "program holds it"
    )
    assert caught.value.__context__ is None


def test_nothing_can_be_written(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a)")
    with closing(sqlite.SqliteTable(path, "t")._connected()) as reading, pytest.raises(sqlite3.OperationalError):
        reading.execute("INSERT INTO t VALUES (1)")


def test_a_file_that_is_not_there_is_not_made(path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read as SQLite; check that it is there") as caught:
        columns(Source.of(f"sqlite:{path}#t"))
    assert caught.value.__context__ is None
    assert not path.exists()


def test_a_file_that_is_none_is_not_quoted(path: Path) -> None:
    path.write_text(f"a,b\n{CANARY},1\n" * 100)
    with pytest.raises(SourceError, match="cannot be read as SQLite") as caught:
        columns(Source.of(f"sqlite:{path}#t"))
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["u", "sqlite_master2", "t;"])
def test_a_table_that_is_not_there(path: Path, connection: sqlite3.Connection, name: str) -> None:
    connection.execute("CREATE TABLE t (a)")
    with pytest.raises(SourceError, match=f"#{name}: the file has no such table"):
        require(Source.of(f"sqlite:{path}#{name}"), ["a"])


def test_a_view_of_a_table_that_is_gone(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a)")
    connection.execute("CREATE VIEW v AS SELECT a FROM t")
    connection.execute("DROP TABLE t")
    with pytest.raises(SourceError) as caught:
        require(Source.of(f"sqlite:{path}#v"), ["a"])
    assert caught.value.__context__ is None


def test_a_locked_file_is_waited_for_and_then_told_of(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.05)
    connection.execute("CREATE TABLE t (a)")
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SourceError, match="another program is writing to the file; run again") as caught:
        require(Source.of(f"sqlite:{path}#t"), ["a"])
    assert caught.value.__context__ is None
    connection.execute("ROLLBACK")
    require(Source.of(f"sqlite:{path}#t"), ["a"])


def test_a_file_with_a_write_ahead_log_is_read_up_to_its_last_commit(
    path: Path, connection: sqlite3.Connection
) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO t VALUES (2)")
    assert texts(path, "t", "a") == [["1"]]
    assert path.with_name(f"{path.name}-wal").exists()


def test_no_rows_and_nulls_alone(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a, b)")
    assert texts(path, "t", "a") == [[]]
    connection.execute("INSERT INTO t VALUES (NULL, NULL), (NULL, 1)")
    assert texts(path, "t", "a") == [[None, None]]
