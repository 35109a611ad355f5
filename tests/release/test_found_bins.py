"""Whole releases of columns whose bins, or bounds, noisy counts find, and of declared levels."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from dpsynth.ledger import parse
from dpsynth.measurement import NoisyMarginal, read_archive
from dpsynth.release import derive, load_plan, preview, run_file, verify
from tests.desk import SCHEMA, Desk

FOUND = (
    SCHEMA.replace("bins = 20", 'bins = "private"').replace("min = 0.0\nmax = 1000.0\nbins = 8", 'bounds = "private"')
    + """
[columns.region]
type = "categorical"
values = ["n1", "n2", "s1", "s2"]
nullable = true
levels = { half = { north = ["n1", "n2"], south = ["s1", "s2"] } }
"""
)


@pytest.fixture
def found(desk: Desk) -> Desk:
    (desk.folder / "schema.toml").write_text(FOUND)
    head, *lines = (desk.folder / "people.csv").read_text().splitlines()
    regions = ["n1", "s2", "", "n2", "s1"]
    rows = [f"{line},{regions[place % 5]}" for place, line in enumerate(lines)]
    (desk.folder / "people.csv").write_text("\n".join([f"{head},region", *rows]) + "\n")
    return desk


@pytest.mark.parametrize("mechanism", ["mrm", "mst", "aim", "privbayes", "independent"])
def test_it_is_rebuilt_from_its_answers(found: Desk, mechanism: str) -> None:
    path = found.release(mechanism=mechanism, epsilon="20")
    planned = preview(load_plan(path)[0])
    assert sum(line.share for line in planned) <= 1
    published = run_file(path, found.folder / "out")
    verdict = verify(published.folder, rebuild=True)
    assert verdict.ok, verdict.failures
    rows = pq.read_table(published.folder / "data.parquet")
    assert rows["income"].drop_null().to_pandas().between(0, 1024).mean() > 0.9
    assert rows["age"].to_pandas().between(0, 99).all()


def test_every_count_is_archived_and_charged_as_a_marginal(found: Desk) -> None:
    published = run_file(found.release(mechanism="mrm"), found.folder / "out")
    answers = read_archive(published.folder / "measurements.npz")
    asked = {
        name: [a for a in answers if isinstance(a, NoisyMarginal) and a.query.columns == (name,)]
        for name in ("age", "income")
    }
    assert len(asked["age"]) >= 2 and len(asked["income"]) >= 2
    kinds = {entry.seq: entry for line in published.release.lines if (entry := parse(line)).kind == "measure"}
    first, *later = sorted(asked["income"], key=lambda answer: answer.entry)
    assert all(first.entry in kinds[answer.entry].fields["chosen_by"] for answer in later)


def test_what_is_declared_is_told(found: Desk) -> None:
    published = run_file(found.release(mechanism="mrm"), found.folder / "out")
    page = (published.folder / "report.html").read_text()
    assert "in bins that noisy counts find" in page and "grouped by half" in page
    package = json.loads((published.folder / "datapackage.json").read_text())
    fields = {field["name"]: field for field in package["resources"][0]["schema"]["fields"]}
    assert "minimum" not in fields["income"]["constraints"] and fields["age"]["constraints"]["maximum"] == 99


def test_a_condition_on_a_column_of_found_bounds(found: Desk) -> None:
    path = found.release(mechanism="mrm", epsilon="20")
    published = run_file(path, found.folder / "out")
    sample = derive(
        published.folder,
        rows=50,
        seed=1,
        out=found.folder / "sample",
        where="income between 10 and 900 and age >= 20",
        key=found.folder / "key.pem",
    )
    rows = pq.read_table(sample / "data.parquet").to_pandas()
    assert rows["income"].between(10, 900).all() and (rows["age"] >= 20).all()


def test_a_pure_account(found: Desk) -> None:
    budget = 'measure = "pure"'
    path = found.release(mechanism="privbayes", delta="0", budget=budget, epsilon="4")
    published = run_file(path, found.folder / "out")
    verdict = verify(published.folder, rebuild=True)
    assert verdict.ok, verdict.failures
