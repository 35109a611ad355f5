"""A release with constraints: no row anywhere breaks one, and whoever draws the rows again gets the same."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth import synthesize
from dpsynth.errors import ConfigurationError, SchemaError
from dpsynth.ledger import SigningKey
from dpsynth.privacy import Budget
from dpsynth.release import Release, derive, verify
from dpsynth.release.check import read_statement
from dpsynth.release.plan import Plan
from dpsynth.release.words import constraints_told
from dpsynth.sampling import sample_chunks
from dpsynth.schema import Schema
from tests.desk import call
from tests.encoding.constrained import COLUMNS, LISTED, NULLABLE, NUMBERS, TABLE, keeps

CONSTRAINTS = """
[[constraints]]
kind = "impossible"
where = { sex = "m", work = "retired", married = true }
[[constraints]]
kind = "required"
if = { work = ["none", "retired"] }
then = { wage = 0 }
[[constraints]]
kind = "required"
if = { age = { max = 15 } }
then = { married = false, work = "none" }
[[constraints]]
kind = "depends"
column = "state"
on = "city"
map = { Ulm = "BW", Aalen = "BW", Bonn = "NRW", "Köln" = "NRW" }
[[constraints]]
kind = "ordered"
columns = ["before", "after"]
[[constraints]]
kind = "ordered"
columns = ["start", "end"]
[[constraints]]
kind = "ordered"
columns = ["age", "since"]
[[constraints]]
kind = "sum"
total = "cost"
parts = ["rent", "heat"]
[[constraints]]
kind = "impossible"
where = { state = "BY", cost = { min = 3.0 }, gain = { max = -1 } }
"""
SCHEMA = Schema.parse(COLUMNS + CONSTRAINTS)


def table(rows: int, seed: int = 0) -> pa.Table:
    """Rows of all kinds, most of which break a constraint."""
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for name, column in TABLE.columns.items():
        if name in LISTED:
            values = random.choice(LISTED[name], rows).tolist()
        elif column.type == "integer":
            values = random.integers(NUMBERS[name][0], NUMBERS[name][1] + 1, rows).tolist()
        else:
            values = random.uniform(*NUMBERS[name], rows).tolist()
        gone = random.random(rows) < (0.1 if name in NULLABLE else 0)
        columns[name] = [None if lost else str(value) for value, lost in zip(values, gone, strict=True)]
    return pa.table(columns)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("constraints")
    pq.write_table(table(2000), folder / "t.parquet")
    return folder


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="module")
def release(place: Path) -> Release:
    return synthesize(
        place / "t.parquet", schema=SCHEMA, epsilon="1", delta="1e-9", formats=("parquet", "csv"), mechanism="mst"
    )


@pytest.fixture(scope="module")
def folder(place: Path, release: Release, key: SigningKey) -> Path:
    return release.save(place / "release", key)


def broken(rows: list[dict[str, Any]]) -> list[list[int]]:
    return [found for row in rows if (found := keeps(SCHEMA, row))]


def typed(row: dict[str, str]) -> dict[str, Any]:
    """A row of the CSV file as values."""
    made: dict[str, Any] = {}
    for name, text in row.items():
        kind = TABLE.columns[name].type
        value: Any = {"integer": int, "real": float, "boolean": lambda word: word == "true"}.get(kind, str)
        made[name] = None if text == "" else value(text)
    return made


def test_most_private_rows_break_a_constraint_and_no_published_row_does(release: Release, folder: Path) -> None:
    assert release.rows > 1500
    assert broken(release.to_arrow().to_pylist()) == []
    assert broken(pq.read_table(folder / "data.parquet").to_pylist()) == []
    with (folder / "data.csv").open(newline="") as file:
        assert broken([typed(row) for row in csv.DictReader(file)]) == []


def test_the_rows_are_drawn_again(folder: Path) -> None:
    verdict = verify(folder, rebuild=True)
    assert verdict.ok, verdict.failures


def test_the_constraints_are_public_facts_of_the_ledger_and_the_page(folder: Path, release: Release) -> None:
    told = constraints_told(release.plan)
    assert len(told) == 9
    assert told[0] == (
        "constraint 1: no row where sex is 'm' and work is 'retired' and married is 'true'; in a row that breaks it "
        "'married' gives way"
    )
    assert "'married' and 'work' give way" in told[2]
    assert set(told) <= set(read_statement(folder).predicate["public"])
    package = json.loads((folder / "datapackage.json").read_bytes())
    assert Schema.parse(package["dpsynth"]["schema"]) == SCHEMA
    page = (folder / "report.html").read_text()
    assert "constraint 8: cost is rent + heat" in page
    assert "moved to keep the constraints" in page


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("city = 'Ulm'", lambda row: row["city"] == "Ulm"),
        ("state = 'NRW'", lambda row: row["state"] == "NRW"),
        ("after = 'low' and sex = 'm'", lambda row: row["after"] == "low" and row["sex"] == "m"),
        ("since <= 4", lambda row: row["since"] is not None and row["since"] <= 4),
        ("married = true and age > 10", lambda row: row["married"] is True and row["age"] > 10),
        ("start >= 5", lambda row: row["start"] >= 5),
        ("wage between 1000 and 50000", lambda row: row["wage"] is not None and 1000 <= row["wage"] <= 50000),
    ],
)
def test_rows_given_a_condition_keep_both(
    where: str, holds: Any, folder: Path, key: SigningKey, tmp_path: Path
) -> None:
    sample = derive(folder, rows=600, seed=3, out=tmp_path / "sample", where=where, key=key)
    rows = pq.read_table(sample / "data.parquet").to_pylist()
    assert len(rows) == 600
    assert all(map(holds, rows))
    assert broken(rows) == []
    verdict = verify(sample, parent=folder, rebuild=True)
    assert verdict.ok, verdict.failures


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("married = true and age < 10", "hardly a row that keeps the constraints .* 'married', 'age'|impossible"),
        ("city = 'Ulm' and state = 'NRW'", "hardly a row that keeps the constraints|impossible"),
        ("start < 1.2345", "moves the values of column 'start' inside its cells"),
        ("wage = 7", "moves the values of column 'wage' inside its cells.* that of 0 to 24"),
    ],
)
def test_conditions_that_the_constraints_rule_out_are_refused(
    where: str, says: str, folder: Path, key: SigningKey, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        derive(folder, rows=100, seed=3, out=tmp_path / "sample", where=where, key=key)
    assert not (tmp_path / "sample").exists()


def test_a_sample_that_claims_a_repairable_condition_it_does_not_keep_is_found(
    folder: Path, key: SigningKey, tmp_path: Path
) -> None:
    sample = derive(folder, rows=50, seed=4, out=tmp_path / "sample", key=key)
    assert broken(pq.read_table(sample / "data.parquet").to_pylist()) == []
    assert verify(sample, parent=folder, rebuild=True).ok


def test_the_rows_that_were_moved_are_counted(release: Release, folder: Path) -> None:
    (codes,) = sample_chunks(release.tables, release.rows, release.plan.seed)
    _, changed = release.layout.constraints.repaired(codes)
    assert 0 < np.count_nonzero(changed) < release.rows
    said = f"of which {np.count_nonzero(changed):,} were moved to keep the constraints"
    assert said in (folder / "report.html").read_text()


def test_a_contradiction_is_found_when_the_plan_is_made() -> None:
    more = '[[constraints]]\nkind = "required"\nif = { work = "none" }\nthen = { wage = { min = 500 } }\n'
    schema = Schema.parse(COLUMNS + CONSTRAINTS + more)
    with pytest.raises(SchemaError, match='constraints 2 and 10 leave column "wage" no value'):
        Plan("p", schema, "mst", Budget(epsilon="1", delta="1e-9"))


def test_a_contradiction_names_the_file_of_the_schema(tmp_path: Path) -> None:
    more = '[[constraints]]\nkind = "required"\nif = { work = "none" }\nthen = { wage = { min = 500 } }\n'
    file = tmp_path / "odd.toml"
    file.write_text(COLUMNS + CONSTRAINTS + more)
    pq.write_table(table(9), tmp_path / "t.parquet")
    says = r'odd\.toml: constraints 2 and 10 leave column "wage" no value'
    with pytest.raises(SchemaError, match=says):
        synthesize(tmp_path / "t.parquet", schema=file, epsilon="1", delta="1e-9")
    (tmp_path / "release.toml").write_text(
        '[data]\nsource = "t.parquet"\nschema = "odd.toml"\n[budget]\nepsilon = "1"\ndelta = "1e-9"\n'
        '[release]\nid = "first"\n'
    )
    for verb in ("plan", "run"):
        called = call(verb, tmp_path / "release.toml")
        assert called.exit_code == 2
        assert re.search(says, called.stderr)
    assert not list(tmp_path.glob("*.db"))


def test_the_plan_shows_them(place: Path) -> None:
    (place / "schema.toml").write_text(SCHEMA.to_toml())
    (place / "release.toml").write_text(
        '[data]\nsource = "t.parquet"\nschema = "schema.toml"\n[budget]\nepsilon = "1"\ndelta = "1e-9"\n'
        '[mechanism]\nname = "mst"\n[release]\nid = "first"\n'
    )
    told = "constraint 4: state is what 4 listed pairs say of city"
    assert told in call("plan", place / "release.toml").output
    assert any(
        told in line for line in json.loads(call("plan", "--json", place / "release.toml").stdout)["constraints"]
    )
