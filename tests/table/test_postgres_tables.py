"""Tables of PostgreSQL: what is read of them, as which text, and what errors never say."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest
from polars.exceptions import PanicException

from dpsynth.encoding import arrays
from dpsynth.errors import ConfigurationError, SourceError
from dpsynth.table import ColumnInfo, Source, columns, require
from dpsynth.table import postgres as tables
from dpsynth.table.batches import batches
from tests.accountant.postgres_server import ADMIN, APP, PASSWORDS, Server, postgres, quoted, url

__all__ = ["postgres"]

CANARY = "canary-c7e2"
Sql = Callable[[str], object]


@pytest.fixture
def sql(postgres: Server) -> Sql:
    """An administrator, in a schema that is made anew."""
    postgres.sql("DROP SCHEMA IF EXISTS census CASCADE; CREATE SCHEMA census")
    return postgres.sql


def address(table: str = "census.t", role: str = ADMIN, database: str = "accounts") -> str:
    return f"{url(role, database)}#{table}"


def texts(data: str, *names: str) -> list[list[str | None]]:
    source = Source.of(data)
    require(source, names)
    found: list[list[str | None]] = [[] for _ in names]
    for batch in batches(source, names):
        for cells, name in zip(found, names, strict=True):
            values, where = arrays.unfold(batch[name].chunk(0))
            cells += [([*arrays.spelt(values), None])[at] for at in where.tolist()]
    return found


def refused(data: str, *names: str) -> str:
    """What is said of a source that cannot be had; nothing of the server's words is behind it."""
    with pytest.raises(SourceError) as caught:
        texts(data, *names)
    assert caught.value.__context__ is None
    for role in PASSWORDS:
        assert PASSWORDS[role] not in str(caught.value)
        assert quoted(PASSWORDS[role]) not in str(caught.value)
    return str(caught.value)


def test_declared_types_are_told_and_those_of_domains_are_what_they_are_made_of(sql: Sql) -> None:
    sql("CREATE TYPE census.mood AS ENUM ('sad', 'ok'); CREATE DOMAIN census.age AS numeric(3, 0)")
    sql("CREATE DOMAIN census.old AS census.age")
    sql("CREATE TABLE census.t (a integer, gone text, b varchar(20), c census.mood, d census.old, e timestamptz)")
    sql("ALTER TABLE census.t DROP COLUMN gone")
    expected = {
        "a": "integer",
        "b": "character varying(20)",
        "c": "enum",
        "d": "numeric(3,0)",
        "e": "timestamp with time zone",
    }
    assert columns(Source.of(address())) == tuple(ColumnInfo(*pair) for pair in expected.items())


def test_every_type_has_the_text_that_it_has_elsewhere(sql: Sql) -> None:
    values = {
        "12345::smallint": "12345",
        "9223372036854775807::bigint": "9223372036854775807",
        "123456789012345678901234567890.500::numeric": "123456789012345678901234567890.5",
        "2.00::numeric(10, 2)": "2",
        "1e30::numeric": str(10**30),
        "'NaN'::numeric": None,
        "'Infinity'::numeric": "Infinity",
        "'$1,234.50'::money": "1234.5",
        "0.1::real": "0.1",
        "16777216::real": "16777216",
        "'3.4028235e38'::real": str(int(3.4028234663852886e38)),
        "1e16::double precision": "10000000000000000",
        "0.1::double precision": "0.1",
        "'NaN'::double precision": None,
        "'-Infinity'::double precision": "-inf",
        "'-0'::double precision": "0",
        "true": "true",
        "E'\\\\x66ff'::bytea": "\\x66ff",
        "'x  '::char(5)": "x",
        "''::text": None,
        "E' caf\\u00e9\\n'::text": "caf\u00e9",
        "DATE '2020-02-29'": "2020-02-29",
        "DATE '0044-03-15 BC'": "-0043-03-15",
        "DATE '0001-01-01 BC'": "0000-01-01",
        "DATE 'infinity'": "294276-12-31",
        "TIMESTAMP '2020-02-29 00:00:00'": "2020-02-29",
        "TIMESTAMP '2020-02-29 10:00:00.500'": "2020-02-29 10:00:00.5",
        "TIMESTAMP '-infinity'": "-4712-01-01",
        "TIMESTAMPTZ '2020-02-29 02:00:00+02'": "2020-02-29 00:00:00+00:00",
        "TIMESTAMPTZ '0044-03-15 10:00:00+00 BC'": "-0043-03-15 10:00:00+00:00",
        "TIME '10:00:00'": "10:00:00",
        "INTERVAL '1 month'": arrays.NO_TEXT,
        "ARRAY[1, 2]": arrays.NO_TEXT,
        "ROW(1, 'a')::census.pair": arrays.NO_TEXT,
        "int4range(1, 2)": arrays.NO_TEXT,
        "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "'{\"a\": 1}'::jsonb": '{"a": 1}',
        "NULL::integer": None,
        "NULL::date": None,
        "NULL::integer[]": None,
    }
    sql("CREATE TYPE census.pair AS (a integer, b text)")
    sql(f"CREATE VIEW census.t AS SELECT {', '.join(f'{value} AS c{at}' for at, value in enumerate(values))}")
    found = texts(address(), *(f"c{at}" for at in range(len(values))))
    assert dict(zip(values, [cells[0] for cells in found], strict=True)) == values


def test_what_the_role_has_set_does_not_change_a_text(sql: Sql) -> None:
    values = "DATE '2020-02-29' AS d, TIMESTAMPTZ '2020-02-29 10:00+00' AS z, 0.1::float8 AS r"
    sql(f"CREATE TABLE census.t AS SELECT {values}")
    before = texts(address(), "d", "z", "r")
    for setting in ("DateStyle = 'German, DMY'", "TimeZone = 'Asia/Tokyo'", "extra_float_digits = -10"):
        sql(f"ALTER ROLE {ADMIN} SET {setting}")
    try:
        assert texts(address(), "d", "z", "r") == before == [["2020-02-29"], ["2020-02-29 10:00:00+00:00"], ["0.1"]]
    finally:
        sql(f"ALTER ROLE {ADMIN} RESET ALL")


def test_rows_come_in_batches_of_one_state_of_the_table(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    sql("CREATE TABLE census.t AS SELECT n FROM generate_series(0, 4) n")
    monkeypatch.setattr(tables, "_FETCHED", 2)
    seen = []
    for batch in batches(Source.of(address()), ["n"]):
        sql("INSERT INTO census.t VALUES (99)")
        seen.append(batch["n"].to_pylist())
    assert seen == [[0, 1], [2, 3], [4]]


def test_a_column_that_is_not_wanted_is_never_computed(sql: Sql) -> None:
    sql(f"CREATE VIEW census.t AS SELECT n AS a, ('{CANARY}' || n)::integer AS b FROM generate_series(1, 3) n")
    assert texts(address(), "a") == [["1", "2", "3"]]
    assert refused(address(), "a", "b").endswith(
        "#census.t: the data could not be read to their end; check that the server runs and, if it is a view, that it "
        "can be computed for every row"
    )


def test_names_are_quoted(sql: Sql) -> None:
    sql('CREATE TABLE census."odd. ""#%" ("a""b" integer, "caf\u00e9" integer, "%s" integer, "{0}" integer)')
    sql('INSERT INTO census."odd. ""#%" VALUES (1, 2, 3, 4)')
    data = address("census.odd%2E%20%22%23%25")
    assert texts(data, "{0}", "%s", "caf\u00e9", 'a"b') == [["4"], ["3"], ["2"], ["1"]]


def test_a_table_without_a_schema_is_looked_up_as_the_role_does(sql: Sql) -> None:
    sql("CREATE TABLE plain AS SELECT 1 AS a")
    assert texts(address("plain"), "a") == [["1"]]


def test_a_partitioned_table_and_a_materialised_view_are_tables(sql: Sql) -> None:
    sql("CREATE TABLE census.t (a integer) PARTITION BY LIST (a)")
    sql("CREATE TABLE census.t1 PARTITION OF census.t FOR VALUES IN (1); INSERT INTO census.t VALUES (1)")
    sql("CREATE MATERIALIZED VIEW census.m AS SELECT a FROM census.t")
    assert texts(address(), "a") == texts(address("census.m"), "a") == [["1"]]


def test_no_rows_and_nulls_alone(sql: Sql) -> None:
    sql("CREATE TABLE census.t (a integer, b text)")
    assert texts(address(), "a", "b") == [[], []]
    sql("INSERT INTO census.t VALUES (NULL, NULL)")
    assert texts(address(), "a", "b") == [[None], [None]]


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "SQL_ASCII"])
def test_a_database_in_another_encoding_is_read_whatever_bytes_it_holds(sql: Sql, encoding: str) -> None:
    name = f"old_{encoding.lower()}"
    server = sql.__self__  # type: ignore[attr-defined]
    server.sql(f"DROP DATABASE IF EXISTS {name}")
    server.sql(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    server.sql("CREATE TABLE t (a text)", database=name)
    server.sql(
        "SET client_encoding = 'SQL_ASCII'; INSERT INTO t VALUES ('f'), (E'caf\\xe9'), (E'\\x81')", database=name
    )
    found = texts(address("t", database=name), "a")
    expected = {
        "LATIN1": ["f", "caf\u00e9", "\x81"],
        "WIN1252": ["f", "caf\u00e9", "\ufffd"],
        "SQL_ASCII": ["f", "\\x636166e9", "\\x81"],
    }
    assert found == [expected[encoding]]


class TestRefusals:
    def test_no_such_table(self, sql: Sql) -> None:
        sql("CREATE SEQUENCE census.s")
        for table in ("census.nothing", "nowhere.t", "census.s"):
            assert f"#{table}: the database has no such table" in refused(address(table), "a")

    def test_no_right(self, sql: Sql) -> None:
        sql(f"CREATE TABLE census.t (a integer, b integer); GRANT USAGE ON SCHEMA census TO {APP}")
        sql(f"GRANT SELECT (a) ON census.t TO {APP}")
        assert texts(address(role=APP), "a") == [[]]
        assert "the role may not read these columns" in refused(address(role=APP), "a", "b")

    def test_a_wrong_password_is_never_told(self, sql: Sql, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        data = address().replace(quoted(PASSWORDS[ADMIN]), CANARY)
        assert CANARY in data
        said = refused(data, "a") + repr(Source.of(data)) + repr(Source.of(data).reader) + caplog.text
        assert "the server cannot be reached, or lets nobody in by this address" in said
        assert CANARY not in said

    def test_a_database_that_is_not_there(self, sql: Sql) -> None:
        assert "cannot be reached" in refused(address(database="nowhere"), "a")

    def test_no_server(self) -> None:
        assert refused(f"postgresql://ann:{CANARY}@127.0.0.1:1/db#t", "a").startswith("postgresql://127.0.0.1:1/db#t: ")

    def test_a_panic_is_told_like_any_failure(self, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
        def panics(*_: object) -> None:
            raise PanicException(CANARY)

        monkeypatch.setattr(tables, "form_of", panics)
        sql("CREATE TABLE census.t (a text)")
        assert refused(address(), "a") == f"{Source.of(address()).name}: the server refuses to read the table"

    def test_a_table_that_is_locked(self, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
        import psycopg

        sql("CREATE TABLE census.t (a integer)")
        monkeypatch.setattr(tables, "_PATIENCE", "50ms")
        with psycopg.connect(url(ADMIN)) as other:
            other.execute("LOCK TABLE census.t IN ACCESS EXCLUSIVE MODE")
            assert "somebody else alters the table; run again" in refused(address(), "a")

    def test_nothing_can_be_written(self, sql: Sql) -> None:
        sql("CREATE TABLE census.t (a integer)")
        body = "'INSERT INTO census.t VALUES (1) RETURNING a'"
        sql(f"CREATE FUNCTION census.add() RETURNS integer LANGUAGE sql AS {body}")
        sql("CREATE VIEW census.v AS SELECT census.add() AS a")
        assert "could not be read" in refused(address("census.v"), "a")
        assert texts(address(), "a") == [[]]

    @pytest.mark.parametrize(
        "text",
        [
            "postgresql://ann:{0}@h/d",
            "postgresql://ann:{0}@h/d#",
            "postgresql://ann:p#{0}@h/d",
            "postgresql://ann@h/d#a.b.{0}",
            "postgresql://ann:{0}@h:port/d?unknown=1#t",
            "postgresql://ann:{0}%@h/d#t",
            "postgres:ann:{0}@h/d#t",
            "postgres:ann:{0}@h#t",
            "postgresql+psycopg://ann:{0}@h/d#t",
        ],
    )
    def test_an_address_that_is_none_is_not_quoted(self, text: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Source.of(text.format(CANARY))
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("postgresql://ann:secret@example.org:5433/census#s.people", "postgresql://example.org:5433/census#s.people"),
        (
            "postgres://example.org/census?sslmode=require&password=secret#people",
            "postgresql://example.org/census#people",
        ),
        ("postgresql:///census?host=/run/postgres#people", "postgresql:///run/postgres/census#people"),
        ("postgresql://?service=office#people", "postgresql:///office#people"),
    ],
)
def test_what_it_is_called_and_known_by_holds_neither_user_nor_password(text: str, name: str) -> None:
    source = Source.of(text)
    assert source.name == name
    assert source.place == (None, name)
    assert not re.search("secret|ann", repr(source) + repr(source.reader))
