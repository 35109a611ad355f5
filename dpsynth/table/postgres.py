"""Tables and views of PostgreSQL, by psycopg and a cursor that the server keeps."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from dpsynth.errors import INTERRUPTIONS, ConfigurationError, SourceError
from dpsynth.table.postgres_cells import SETTINGS, Form, array, asked, form_of
from dpsynth.table.reader import ColumnInfo, Part, Reader

if TYPE_CHECKING:
    import psycopg

    from dpsynth.table.reader import Batch

SCHEMES = ("postgresql://", "postgres://")

_FETCHED = 1 << 15
"""Rows in a batch, which are Python objects for a while."""

_PATIENCE = "10s"
"""How long a reader waits for whoever alters the table."""

_OLDEST = 13
"""The first version that has ``trim_scale``."""

_STRUCTURE = """
WITH RECURSIVE typed (number, name, type, modifier) AS (
    SELECT attnum, attname, atttypid, atttypmod
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attrelid = to_regclass(%s) AND relkind IN ('r', 'p', 'v', 'm', 'f') AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT number, name, typbasetype, typtypmod FROM typed JOIN pg_type ON oid = type WHERE typtype = 'd'
)
SELECT name, CASE typtype WHEN 'e' THEN 'enum' ELSE format_type(type, modifier) END,
    format_type(type, NULL), typcategory::text
FROM typed JOIN pg_type ON oid = type WHERE typtype <> 'd' ORDER BY number
"""
"""Name, declared type, plain type and its category of each column; a domain is the type that it is made of."""

T = TypeVar("T")


@dataclass(frozen=True)
class PostgresTable(Reader):
    """A table, a view or whatever else can be selected from. ``parameters`` go to libpq and may hold a password.

    It is read in one transaction that writes nothing and sees the table as it stands when it begins.
    """

    name: str
    table: tuple[str, ...]
    parameters: Mapping[str, str] = field(repr=False)
    advice = "check that the server runs and, if it is a view, that it can be computed for every row"

    def parts(self) -> Iterator[Part]:
        """The declared columns, without a look at the table."""
        found = self._told(self._declared)
        if not found:
            raise SourceError(f"{self.name}: the database has no such table, or the role does not see it")
        yield Part(self.name, tuple(ColumnInfo(name, declared) for name, (declared, _) in found.items()))

    def probe(self, names: Sequence[str]) -> None:
        """That the role may read the columns."""
        self._told(lambda connection: self._select(connection, names, "{} LIMIT 0"))

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Rows as the server hands them over, some thousands at a time."""
        import pyarrow as pa

        with self._session() as connection:
            encoding = _encoding(connection.info.parameter_status("server_encoding") or "")
            forms = self._select(connection, names, "DECLARE rows NO SCROLL CURSOR FOR {}")
            # Bytes as the server stores them: what it cannot convert would be an error that depends on a row.
            connection.execute("SET LOCAL client_encoding = 'SQL_ASCII'")
            while rows := connection.execute(f"FETCH {_FETCHED} FROM rows").fetchall():
                columns = zip(names, forms, zip(*rows, strict=True), strict=True)
                yield {name: pa.chunked_array([array(cells, form, encoding)]) for name, form, cells in columns}

    def _declared(self, connection: psycopg.Connection) -> dict[str, tuple[str, Form]]:
        from psycopg import sql

        named = sql.Identifier(*self.table).as_string(connection)
        rows = connection.execute(_STRUCTURE, [named]).fetchall()
        return {name: (declared, form_of(base, category)) for name, declared, base, category in rows}

    def _select(self, connection: psycopg.Connection, names: Sequence[str], statement: str) -> list[Form]:
        """Do a statement around the query of these columns; the forms in which they come."""
        from psycopg import sql

        known = self._declared(connection)
        forms = [known[name][1] for name in names]
        cells = [sql.SQL(asked(form)).format(sql.Identifier(name)) for name, form in zip(names, forms, strict=True)]
        query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(cells), sql.Identifier(*self.table))
        connection.execute(sql.SQL(statement).format(query))
        return forms

    def _told(self, act: Callable[[psycopg.Connection], T]) -> T:
        """What ``act`` gives in a session; SourceError in words of our own, since the server's may quote a secret."""

        refused = _UNREACHED
        try:
            with self._session() as connection:
                refused = "the server refuses to read the table"
                return act(connection)
        except (SourceError, *INTERRUPTIONS):
            raise
        except BaseException as error:
            refused = _REFUSALS.get(getattr(error, "sqlstate", None) or "", refused)
        raise SourceError(f"{self.name}: {refused}")

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        import psycopg

        usual = {"connect_timeout": "10", "application_name": "dpsynth"}
        # mypy: text may stand for any option of connect; these are libpq's own, all text
        connection = psycopg.connect("", **{**usual, **self.parameters, "client_encoding": "UTF8"})  # type: ignore[arg-type]
        try:
            if connection.info.server_version < _OLDEST * 10000:
                raise SourceError(f"{self.name}: the server is too old; PostgreSQL {_OLDEST} or newer is needed")
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute(f"{SETTINGS}; SET LOCAL lock_timeout = '{_PATIENCE}'")
            yield connection
        finally:
            connection.close()


_UNREACHED = (
    "the server cannot be reached, or lets nobody in by this address; check the host, the database, the user, and the "
    "password in ~/.pgpass"
)
_REFUSALS = {
    "42501": "the role may not read these columns; its owner grants SELECT on the table, and USAGE on its schema",
    "42P01": "the database has no such table, or the role does not see it",
    "55P03": "somebody else alters the table; run again when that is done",
}


def of_text(text: str) -> PostgresTable:
    """The table of ``postgresql://USER@HOST/DATABASE#TABLE``, or ``#SCHEMA.TABLE``.

    ConfigurationError says what is wrong and quotes nothing, since a password may stand anywhere in it.
    """
    try:
        from psycopg import ProgrammingError, conninfo
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise ConfigurationError("a table in PostgreSQL needs psycopg: pip install dpsynth-engine[postgres]") from None
    address, _, named = text.rpartition("#")
    table = tuple(unquote(part) for part in named.split("."))
    found: Mapping[str, object] = {}
    with_table = bool(address) and len(table) in (1, 2) and all(table) and not re.search(r"[@:/]", named)
    if with_table:
        try:
            found = conninfo.conninfo_to_dict(address)
        except ProgrammingError:
            with_table = False
    if not with_table:
        raise ConfigurationError(
            "a table in PostgreSQL is written postgresql://USER@HOST/DATABASE#TABLE or ...#SCHEMA.TABLE, with signs "
            "such as / @ # . in a name as %2F %40 %23 %2E; a password belongs into ~/.pgpass"
        )
    parameters = {key: str(value) for key, value in found.items()}
    return PostgresTable(_name(parameters, named), table, parameters)


def _name(parameters: Mapping[str, str], table: str) -> str:
    """What messages call it, and what tells it from other tables: no user and nothing secret."""
    host = parameters.get("host") or parameters.get("hostaddr") or ""
    port = parameters.get("port", "")
    database = parameters.get("dbname") or parameters.get("service") or parameters.get("user", "")
    return f"postgresql://{host}{':' if port else ''}{port}/{database}#{table}"


def _encoding(server: str) -> str:
    """Python's name of the encoding that a database stores; UTF-8 for one that stores bytes of any kind."""
    if server in ("UTF8", "SQL_ASCII"):
        return "utf-8"
    return codecs.lookup(re.sub("^WIN", "cp", server)).name
