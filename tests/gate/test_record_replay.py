"""Record and replay on neighbouring tables, down every public path at once.

A whole release is measured with the noisy answers frozen: they are the same for every table, so the same questions are
asked of it. Only the exact inputs of the noise differ between two neighbours, and none by more than its entry says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from dpsynth.accountant import Reservation
from dpsynth.curator import Curator
from dpsynth.measurement import Law
from dpsynth.mechanisms import by_name
from dpsynth.mechanisms.partitions import fit_found
from dpsynth.privacy import Measure
from dpsynth.schema import Schema
from dpsynth.table import PrivateTable
from tests.accountant.postgres_server import ADMIN, Server, postgres, url
from tests.curator.bench import RHO, LightReservation
from tests.gate.test_sensitivity import moved

__all__ = ["postgres"]

LAWS: dict[Measure, Law] = {"gdp": "rounded_gaussian", "zcdp": "discrete_gaussian", "pure": "discrete_laplace"}
NAMED = ("Brno", "Lyon", "Oslo")
"""The towns that are found, whatever the table."""

COLUMNS = """
[columns.sex]
type = "categorical"
values = ["f", "m"]
nullable = true
[columns.age]
type = "integer"
min = 0
max = 120
bins = "private"
[columns.income]
type = "real"
bounds = "private"
nullable = true
[columns.born]
type = "date"
min = "1990-01-01"
max = "1999-12-31"
weekday = true
[columns.seen]
type = "datetime"
min = 2020-01-01
max = 2020-06-30
nullable = true
[columns.married]
type = "boolean"
[columns.work]
type = "integer"
min = 0
max = 40
"""
TOWN = '[columns.town]\ntype = "categorical"\nvalues = "private"\n'
CONSTRAINTS = """
[[constraints]]
kind = "impossible"
where = { sex = "f", married = "true" }
[[constraints]]
kind = "ordered"
columns = ["work", "age"]
"""
NAMES = ["id", "town", "sex", "age", "income", "born", "seen", "married", "work", "w"]
Row = tuple[str | None, ...]
BASE: list[Row] = [
    ("a", "Oslo", "f", "31", "2500.5", "1991-02-03", "2020-01-05T10:00:00", "no", "12", "3"),
    ("a", "Lyon", "m", "31", "0", "1991-02-03", None, "yes", "40", "3"),
    ("b", "Brno", "m", "70", None, "1998-12-31", "2020-06-30T00:00:00", "yes", "30", "8"),
    ("c", "Rome", None, "18", "-3e5", "1995-05-05", "2020-03-03T03:03:03", "no", "39", "0.5"),
    ("c", "Rome", "f", "19", "1e-9", "1990-01-01", "2020-03-01T23:59:59", "yes", "2", ""),
]
ODD: list[Row] = [
    ("z", "Oslo", "f", "999", "inf", "2050-01-01", "x", "yes", "nan", "999"),
    ("z", "", "\x00", "-1", "nan", "", "1066-10-14", "maybe", "1e300", "-4"),
    ("z", "z-town", "m", "40", "12345.678", "1993-03-03", "2020-02-29T12:00:00", "no", "40", "8"),
    ("z", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL"),
]


@dataclass
class Script:
    """Noise that answers the i-th question as it always does, and records the exact input of each."""

    law: Law
    inputs: list[NDArray[np.int64]] = field(default_factory=list)

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        self.inputs.append(counts.copy())
        return np.random.default_rng(len(self.inputs)).integers(2_000, 9_000, counts.size)

    def exponential(self, scores: NDArray[np.int64], scale: Fraction) -> int:
        self.inputs.append(scores.copy())
        return len(self.inputs) % scores.size


Door = Callable[[pd.DataFrame, Path, pytest.FixtureRequest], Any]


def arrow(frame: pd.DataFrame) -> pa.Table:
    """All texts, also where there is no row to tell it from."""
    return pa.table({name: pa.array(frame[name].tolist(), pa.string()) for name in frame.columns})


def csv_file(frame: pd.DataFrame, folder: Path, _: pytest.FixtureRequest) -> Path:
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def parquet_files(frame: pd.DataFrame, folder: Path, _: pytest.FixtureRequest) -> Path:
    """Two files, one of which may be empty."""
    (folder / "t").mkdir(exist_ok=True)
    for number, piece in enumerate((arrow(frame)[:3], arrow(frame)[3:])):
        pq.write_table(piece, folder / "t" / f"{number}.parquet", row_group_size=2)
    return folder / "t"


def sqlite_table(frame: pd.DataFrame, folder: Path, _: pytest.FixtureRequest) -> str:
    with closing(sqlite3.connect(folder / "t.db")) as database:
        frame.to_sql("t", database, index=False, if_exists="replace", dtype=dict.fromkeys(frame.columns, "TEXT"))
    return f"sqlite:{folder / 't.db'}#t"


def postgres_table(frame: pd.DataFrame, _: Path, request: pytest.FixtureRequest) -> str:
    """PostgreSQL's texts hold no zero character."""
    server: Server = request.getfixturevalue("postgres")
    server.sql("DROP SCHEMA IF EXISTS census CASCADE; CREATE SCHEMA census")
    server.sql(f"CREATE TABLE census.t ({', '.join(f'{name} text' for name in frame.columns)})")
    for row in frame.itertuples(index=False):
        cells = ("NULL" if cell is None else "'" + cell.replace("\0", "\1") + "'" for cell in row)
        server.sql(f"INSERT INTO census.t VALUES ({', '.join(cells)})")
    return f"{url(ADMIN, 'accounts')}#census.t"


def spark_frame(frame: pd.DataFrame, _: Path, request: pytest.FixtureRequest) -> Any:
    spark: SparkSession = request.getfixturevalue("spark")
    rows, columns = [tuple(row) for row in frame.itertuples(index=False)], ", ".join(f"{name} string" for name in NAMES)
    return spark.createDataFrame(rows, columns).repartition(2)


class Stream:
    """A table of which nothing is known but the Arrow PyCapsule interface."""

    def __init__(self, frame: pd.DataFrame, *_: object) -> None:
        self.table = arrow(frame)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self.table.schema.__arrow_c_schema__()


DOORS: dict[str, Door] = {
    "CSV file": csv_file,
    "Parquet folder": parquet_files,
    "Arrow stream": Stream,
    "DuckDB relation": lambda frame, *_: duckdb.from_arrow(arrow(frame)),
    "Parquet pattern": lambda frame, *more: parquet_files(frame, *more) / "*.parquet",
    "Polars frame": lambda frame, *_: pl.DataFrame(arrow(frame)),
    "PostgreSQL table": postgres_table,
    "Spark frame": spark_frame,
    "SQLite table": sqlite_table,
}


def schema_of(neighbours: str, weighted: bool, town: bool) -> Schema:
    weight = 'weight = "w"\nmax_weight = 8.0\nweight_origin = "design"\n' if weighted else ""
    unit = f'[unit]\nentity = "person"\ncolumn = "id"\nmax_rows = 2\nneighbours = "{neighbours}"\n{weight}'
    return Schema.parse(unit + (TOWN if town else "") + COLUMNS + CONSTRAINTS)


def measured(
    rows: list[Row],
    schema: Schema,
    mechanism: str,
    measure: Measure,
    monkeypatch: pytest.MonkeyPatch,
    door: Callable[[pd.DataFrame], Any],
) -> tuple[list[NDArray[np.int64]], LightReservation, list[dict[str, int]]]:
    """The exact inputs of all noise, the charges, and the exact counts of entities by town."""
    held: list[dict[str, int]] = []
    holders = PrivateTable.holders

    def frozen(table: PrivateTable, column: str, otherwise: str) -> Iterator[tuple[list[str], NDArray[np.int64]]]:
        ((texts, counts),) = holders(table, column, otherwise)
        held.append(dict(zip(texts, counts.tolist(), strict=True)))
        return iter([(list(NAMED), np.zeros(len(NAMED), dtype=np.int64))])

    monkeypatch.setattr(PrivateTable, "holders", frozen)
    frame = pd.DataFrame(rows, columns=NAMES, dtype=object)
    noise, reservation = Script(LAWS[measure]), LightReservation(measure)
    with Curator.open(door(frame), schema, cast(Reservation, reservation), _noise=noise) as curator:
        fit_found(by_name(mechanism), curator, RHO, Fraction(1, 10**9))
    return noise.inputs, reservation, held


def stated(reservation: LightReservation) -> list[tuple[str, str, Fraction]]:
    """For each input its kind, its mechanism and the squared sensitivity that its entry states."""
    found = []
    for charge in reservation.drawn:
        mechanism, squared = charge.fields["mechanism"], Fraction(charge.fields["sensitivity_squared"])
        found += [(charge.kind, mechanism["type"], squared)] * mechanism.get("picks", 1)
    return found


def neighbours_of(relation: str) -> list[tuple[list[Row], list[Row]]]:
    """Tables that differ by one entity, of odd values and of more rows than it may have, first, last and between."""
    placed = [[*ODD, *BASE], [*ODD[:2], *BASE, ODD[2]]]
    if relation == "add-remove":
        return [([], ODD), *((BASE, table) for table in placed)]
    others = [[*BASE, *([("z", *row[1:]) for row in BASE[:2]])], BASE]
    return [(one, other) for one in placed for other in others]


@pytest.mark.parametrize(
    ("relation", "weighted", "mechanism"),
    [
        ("add-remove", False, "mrm"),
        ("add-remove", True, "independent"),
        ("replace-one", False, "independent"),
        ("replace-one", True, "mst"),
        ("add-remove", True, "aim"),
        ("replace-one", True, "aim"),
        ("add-remove", True, "privbayes"),
        ("replace-one", True, "privbayes"),
    ],
)
def test_no_input_moves_by_more_than_its_entry_says(
    relation: str, weighted: bool, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(relation, schema_of(relation, weighted, town=True), mechanism, "gdp", monkeypatch)


@pytest.mark.parametrize("mechanism", ["independent", "privbayes"])
def test_in_l1_for_laplace_noise(mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of("replace-one", weighted=False, town=False)  # values are found by Gaussian noise alone
    check("replace-one", schema, mechanism, "pure", monkeypatch)


@pytest.mark.parametrize("door", DOORS)
def test_wherever_the_rows_come_from(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Beside data frames."""
    schema = schema_of("add-remove", weighted=True, town=True)
    check("add-remove", schema, "independent", "gdp", monkeypatch, lambda frame: DOORS[door](frame, tmp_path, request))


def check(
    relation: str,
    schema: Schema,
    mechanism: str,
    measure: Measure,
    monkeypatch: pytest.MonkeyPatch,
    door: Callable[[pd.DataFrame], Any] = lambda frame: frame,
) -> None:
    seen: dict[tuple[Row, ...], Any] = {}

    def once(rows: list[Row]) -> Any:
        if tuple(rows) not in seen:
            seen[tuple(rows)] = measured(rows, schema, mechanism, measure, monkeypatch, door)
            monkeypatch.undo()
        return seen[tuple(rows)]

    moves = 0
    for one, other in neighbours_of(relation):
        (inputs, reservation, held), (others, _, theirs) = once(one), once(other)
        bounds = stated(reservation)
        assert len(inputs) == len(others) == len(bounds) > len(schema.columns)
        for at, (kind, law, bound) in enumerate(bounds):
            if kind != "partitions":
                move = moved(law, inputs[at], others[at])
                assert move <= bound, (at, kind, law)
                moves += move > 0
        found = [bound for kind, _, bound in bounds if kind == "partitions"]
        for bound, mine, yours in zip(found, held, theirs, strict=True):
            towns = {*mine, *yours}
            assert sum((mine.get(town, 0) - yours.get(town, 0)) ** 2 for town in towns) <= bound
    assert moves > 0
