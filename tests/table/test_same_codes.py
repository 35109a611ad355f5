"""One table, kept in every kind of source: its codes are the same, whatever stores the values."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth.encoding import codecs
from dpsynth.schema import Schema
from dpsynth.table import Source, require
from dpsynth.table.batches import batches
from dpsynth.table.identities import canonical
from tests.accountant.postgres_server import ADMIN, Server, postgres, url

__all__ = ["postgres"]

Row = tuple[Any, ...]
NAMES = ("word", "whole", "real", "flag", "day", "moment")
ARROW = (pa.string(), pa.decimal128(38, 0), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us"))
POLARS = (pl.String, pl.Int128, pl.Float64, pl.Boolean, pl.Date, pl.Datetime("us"))
DUCKDB = "word VARCHAR, whole HUGEINT, real DOUBLE, flag BOOLEAN, day DATE, moment TIMESTAMP"
SQLITE = "word TEXT, whole, real REAL, flag BOOLEAN, day DATE, moment DATETIME"
POSTGRES = "word text, whole numeric, real double precision, flag boolean, day date, moment timestamp"

SCHEMAS = {
    "word": ['type = "categorical"\nvalues = ["NULL", "f", "caf\u00e9", "1", "\\u0000"]\nnullable = true'],
    "whole": [
        'type = "integer"\nmin = -3\nmax = 3\nnullable = true',
        'type = "categorical"\nvalues = ["1", "9007199254740993", "9007199254740992"]\notherwise = "1"',
    ],
    "real": [
        'type = "real"\nmin = -2.0\nmax = 2.0\nnullable = true',
        'type = "categorical"\nvalues = ["0", "0.1", "inf", "1e+300", "nan"]\nnullable = true',
    ],
    "flag": [
        'type = "boolean"\nnullable = true',
        'type = "integer"\nmin = 0\nmax = 1',
        'type = "categorical"\nvalues = ["true"]',
    ],
    "day": [
        'type = "date"\nmin = 1990-01-01\nmax = 2050-12-31\nnullable = true',
        'type = "categorical"\nvalues = ["2020-02-29", "0001-01-01", "9999-12-31"]\nnullable = true',
    ],
    "moment": ['type = "datetime"\nmin = 1990-01-01\nmax = 2050-12-31\nnullable = true'],
}
CODECS = [
    codec
    for name, forms in SCHEMAS.items()
    for form in forms
    for codec in codecs(Schema.parse(f"[columns.{name}]\n{form}"))
]

words = st.one_of(
    st.sampled_from(
        [
            "NULL",
            "null",
            "f",
            " f\t",
            "caf\u00e9",
            "cafe\u0301",
            "",
            "1",
            "1.0",
            "01",
            "a\nb",
            "\0",
            "f\0",
            "\ufeffx",
            '"',
            "a,b",
        ]
    ),
    st.text(max_size=5),
)
wholes = st.one_of(st.sampled_from([0, 1, -1, 2**53 + 1, 2**63, -(10**21), 10**30]), st.integers(-(10**30), 10**30))
reals = st.one_of(st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.1, 1e300, 5e-324, 1e16]), st.floats())
days = st.one_of(st.sampled_from([dt.date.min, dt.date.max, dt.date(2020, 2, 29)]), st.dates())
moments = st.one_of(st.sampled_from([dt.datetime(2020, 2, 29), dt.datetime.max]), st.datetimes())
rows = st.tuples(*(st.none() | kind for kind in (words, wholes, reals, st.booleans(), days, moments)))


def arrow(table: list[Row]) -> pa.Table:
    columns = list(zip(*table, strict=True)) or [()] * len(NAMES)
    cells = [
        [None if v is None else Decimal(v) for v in column] if name == "whole" else list(column)
        for name, column in zip(NAMES, columns, strict=True)
    ]
    return pa.table([pa.array(column, kind) for column, kind in zip(cells, ARROW, strict=True)], names=NAMES)


def pandas(table: list[Row]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([row[at] for row in table], dtype=object) for at, name in enumerate(NAMES)})


def typed(table: list[Row]) -> pd.DataFrame:
    """As pandas itself would hold them: a null turns whole numbers into floats, and truth values into objects."""
    frame = pandas(table)
    return frame.assign(
        real=frame["real"].astype("float64"), flag=frame["flag"].astype("boolean"), word=frame["word"].astype("string")
    )


def polars(table: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            name: pl.Series([row[at] for row in table], dtype=kind)
            for at, (name, kind) in enumerate(zip(NAMES, POLARS, strict=True))
        }
    )


def polars_objects(table: list[Row]) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series([row[at] for row in table], dtype=pl.Object) for at, name in enumerate(NAMES)})


@dataclass
class Capsule:
    """Any object of the interface."""

    table: Any

    def __arrow_c_schema__(self) -> object:
        return pa.table(self.table).schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


class Places:
    """Where the tables of an example are kept; each is made anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.duckdb = duckdb.connect()
        self.postgres = psycopg.connect(url(ADMIN), autocommit=True)
        self.postgres.execute(f"DROP TABLE IF EXISTS same; CREATE TABLE same ({POSTGRES})")

    def csv(self, table: list[Row]) -> Path:
        text = io.StringIO()
        write = csv.writer(text, lineterminator="\n")
        write.writerow(NAMES)
        write.writerows([["" if cell is None or cell != cell else cell for cell in row] for row in table])  # as pandas
        (self.folder / "t.csv").write_text(text.getvalue(), newline="", encoding="utf-8")
        return self.folder / "t.csv"

    def parquet(self, table: list[Row]) -> Path:
        pq.write_table(arrow(table), self.folder / "t.parquet")
        return self.folder / "t.parquet"

    def parquets(self, table: list[Row]) -> Path:
        folder = self.folder / "parts"
        folder.mkdir(exist_ok=True)
        pq.write_table(arrow(table[:2]), folder / "a.parquet")
        pq.write_table(arrow(table[2:]), folder / "b.parquet")
        return folder

    def relation(self, table: list[Row]) -> duckdb.DuckDBPyRelation:
        self.duckdb.execute(f"CREATE OR REPLACE TABLE t ({DUCKDB})")
        for row in table:
            self.duckdb.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", list(row))
        return self.duckdb.table("t")

    def sqlite(self, table: list[Row]) -> str:
        path = self.folder / "t.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DROP TABLE IF EXISTS t")
            connection.execute(f"CREATE TABLE t ({SQLITE})")
            cells = [
                (w, n if n is None or -(2**63) <= n < 2**63 else str(n), r, f, d and str(d), m and str(m))
                for w, n, r, f, d, m in table
            ]
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", cells)
        return f"sqlite:{path}#t"

    def table(self, table: list[Row]) -> str:
        self.postgres.execute("TRUNCATE same")
        if table:
            with self.postgres.cursor() as cursor:
                cursor.executemany("INSERT INTO same VALUES (%s, %s, %s, %s, %s, %s)", table)
        return f"{url(ADMIN)}#same"

    def sources(self, table: list[Row]) -> Iterator[tuple[str, Any]]:
        """Each kind of source that can hold these rows: CSV no line ends, PostgreSQL no NUL."""
        text = "".join(row[0] or "" for row in table)
        makers: list[Callable[[list[Row]], Any]] = [
            arrow,
            pandas,
            typed,
            polars,
            polars_objects,
            self.parquet,
            self.parquets,
            self.relation,
            self.sqlite,
        ]
        makers += [self.csv] * ("\n" not in text)
        makers += [self.table] * ("\0" not in text)
        for make in makers:
            yield make.__name__, make(table)
        yield "capsule", Capsule(arrow(table))
        yield "duckdb capsule", Capsule(self.duckdb.table("t"))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, postgres: Server) -> Iterator[Places]:
    found = Places(tmp_path_factory.mktemp("same"))
    yield found
    found.postgres.close()


def codes(source: Source) -> list[list[int]]:
    """The codes of every codec, and who is who by three of the columns."""
    require(source, NAMES)
    found = list(batches(source, NAMES))
    result = [[code for batch in found for code in codec.encode(batch[codec.source]).tolist()] for codec in CODECS]
    for name in ("word", "whole", "real"):
        texts = [text for batch in found for text in canonical(batch[name]).to_pylist()]
        result.append([-1 if text is None else int.from_bytes(text) for text in texts])
    return result


def check(places: Places, table: list[Row]) -> None:
    expected = codes(Source.of(pandas(table)))
    assert {len(found) for found in expected} == {len(table)}
    for name, data in places.sources(table):
        found = codes(Source.of(data))
        for at, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
            assert ours == theirs, (name, CODECS[at] if at < len(CODECS) else "identities")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(rows, max_size=6))
def test_every_source_gives_the_same_codes(places: Places, table: list[Row]) -> None:
    check(places, table)


def test_a_table_without_rows_and_one_of_nulls_alone(places: Places) -> None:
    for table in ([], [(None,) * len(NAMES)], [(None,) * len(NAMES)] * 3):
        check(places, table)
