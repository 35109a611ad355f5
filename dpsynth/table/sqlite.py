"""Tables and views of SQLite files, by the driver of the standard library."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dpsynth.errors import ConfigurationError, SourceError
from dpsynth.table.cells import texts
from dpsynth.table.reader import ColumnInfo, Part, Reader, guarded

if TYPE_CHECKING:
    from dpsynth.table.reader import Batch

SCHEME = "sqlite:"

_FETCHED = 1 << 15
"""Rows in a batch, which are Python objects for a while."""

_PATIENCE = 10.0
"""Seconds that a reader waits for a writer."""


@dataclass(frozen=True)
class SqliteTable(Reader):
    """A table of a file that is opened for reading alone.

    SQLite's types belong to values, not to columns: a column may hold numbers and texts. Each cell becomes text by
    itself. The type that a column was declared with is public and binds no value.
    """

    file: Path
    table: str
    advice = "check that the file is whole and that no other program holds it"

    @property
    def name(self) -> str:
        """The name of the file and of the table."""
        return f"{self.file.name}#{self.table}"

    def parts(self) -> Iterator[Part]:
        """The declared columns, generated ones among them."""
        message = f"{self.name}: the file cannot be read as SQLite; check that it is there, readable and whole"
        found = guarded(self._declared, message)
        if not found:
            raise SourceError(f"{self.name}: the file has no such table")
        yield Part(self.name, tuple(found))

    def probe(self, names: Sequence[str]) -> None:
        """That the table, or what a view is made of, is there and nobody holds it."""

        def ask() -> None:
            with closing(self._connected()) as connection:
                connection.execute(f"{self._query(names)} LIMIT 0").fetchall()

        guarded(ask, f"{self.name}: the table cannot be read; if it is a view, check what it is made of")

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """One query, which sees the table as it stands when it begins."""
        import pyarrow as pa

        with closing(self._connected()) as connection:
            cursor = connection.execute(self._query(names))
            while rows := cursor.fetchmany(_FETCHED):
                columns = zip(*rows, strict=True)
                yield {name: pa.chunked_array([texts(cells)]) for name, cells in zip(names, columns, strict=True)}

    def _declared(self) -> list[ColumnInfo]:
        with closing(self._connected()) as connection:
            query = "SELECT name, type FROM pragma_table_xinfo(?, 'main') WHERE hidden <> 1 ORDER BY cid"
            rows = connection.execute(query, [self.table]).fetchall()
        return [
            ColumnInfo(name.decode("utf-8", "replace"), kind.decode("utf-8", "replace") or None) for name, kind in rows
        ]

    def _query(self, names: Sequence[str]) -> str:
        """Names with the table before them: SQLite takes a lone quoted name that is no column for a text."""
        asked = ", ".join("t." + _quoted(name) for name in names)
        return f"SELECT {asked} FROM main.{_quoted(self.table)} AS t"  # noqa: S608 every name is quoted

    def _connected(self) -> sqlite3.Connection:
        uri = f"{self.file.resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
        connection.text_factory = bytes  # text that is not UTF-8 raises nothing
        try:
            connection.execute("PRAGMA temp_store = MEMORY")  # a view that sorts would leave rows in files
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as error:
            held = error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            connection.close()
        else:
            return connection
        if held:
            raise SourceError(f"{self.name}: another program is writing to the file; run again when it is done")
        raise SourceError(f"{self.name}: the file cannot be read as SQLite; check that it is there, readable and whole")


def of_text(text: str, folder: Path) -> SqliteTable:
    """The table that ``sqlite:PATH#TABLE`` names; ConfigurationError where it names none."""
    path, _, table = text.removeprefix(SCHEME).rpartition("#")
    if not path or not table:
        raise ConfigurationError(
            "a table of an SQLite file is written sqlite:PATH#TABLE, such as sqlite:people.db#people"
        )
    return SqliteTable(folder / path, unquote(table))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
