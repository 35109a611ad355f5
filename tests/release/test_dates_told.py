"""What is said of dates and identifiers: labels of the report, words, fields of the Data Package."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frictionless import system, validate

from dpsynth.encoding import Codec, codecs
from dpsynth.ledger import SigningKey
from dpsynth.measurement import Level
from dpsynth.privacy import Budget
from dpsynth.release import synthesize
from dpsynth.release.page import labels
from dpsynth.release.plan import Plan
from dpsynth.release.words import columns_told
from dpsynth.schema import Schema

SCHEMA = Schema.parse("""
[columns.id]
type = "identifier"

[columns.code]
type = "identifier"
prefix = "P"

[columns.born]
type = "date"
min = 1999-11-15
max = 2001-12-31

[columns.visit]
type = "datetime"
min = 2020-01-01
max = 2020-03-31
weekday = true
nullable = true

[columns.seen]
type = "datetime"
min = 2020-01-01
max = 2020-03-31
time = false
nullable = true
""")
BY_NAME = {codec.name: codec for codec in codecs(SCHEMA)}


def chain(codec: Codec) -> list[tuple[str, ...]]:
    return [labels(codec, Level(codec.name, cells)) for cells in (codec.level(), *codec.hierarchy())]


def test_labels_of_days() -> None:
    months, quarters, years = chain(BY_NAME["born"])
    assert months[:3] == ("1999-11-15 to 1999-11-30", "1999-12", "2000-01")
    assert quarters[:3] == ("1999-11-15 to 1999-12-31", "2000 Q1", "2000 Q2")
    assert years == ("1999-11-15 to 1999-12-31", "2000", "2001")
    assert labels(BY_NAME["seen"], Level.identity("seen", 92))[::91] == ("2020-01-01", "missing")


def test_labels_of_weeks_weekdays_and_times() -> None:
    weeks = chain(BY_NAME["visit"])[0]
    assert weeks[:2] == ("2020-01-01 to 2020-01-05", "2020-01-06 to 2020-01-12")
    assert weeks[-2:] == ("2020-03-30 to 2020-03-31", "missing")
    assert chain(BY_NAME["visit.weekday"])[0] == (
        *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        "missing",
    )
    minutes, hours, *_ = chain(BY_NAME["visit.time"])
    assert (minutes[0], minutes[-2], minutes[-1]) == ("00:00 to 00:14", "23:45 to 23:59", "missing")
    assert hours[1] == "01:00 to 01:59"
    assert labels(BY_NAME["visit.time"], Level.identity("visit.time", 1441))[61] == "01:01"


def test_words() -> None:
    plan = Plan("r", SCHEMA, "mst", Budget(epsilon="1", delta="1e-9"))
    assert columns_told(plan) == (
        "column 'id': identifier, never read: the rows have fresh ones",
        "column 'code': identifier, never read: the rows have fresh ones",
        "column 'born': date from 1999-11-15 to 2001-12-31 by the day",
        "column 'visit': datetime from 2020-01-01 to 2020-03-31 by the week and the weekday and the time of day, "
        "nulls possible",
        "column 'seen': datetime from 2020-01-01 to 2020-03-31 by the day, any time of day alike, nulls possible",
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    random = np.random.default_rng(1)
    days = np.datetime64("2020-01-01T00:00:00") + random.integers(0, 90 * 86_400, 800)
    frame = pd.DataFrame({"born": days.astype("M8[D]"), "visit": days, "seen": days})
    frame.loc[:200, ["visit", "seen"]] = pd.NaT
    frame.to_csv(folder / "d.csv", index=False)
    release = synthesize(
        folder / "d.csv",
        schema=SCHEMA,
        epsilon="3",
        delta="1e-9",
        mechanism="mst",
        rows=400,
        formats=("parquet", "csv"),
    )
    return release.save(folder / "out", SigningKey.generate())


def test_fields(package: Path) -> None:
    parquet, csv = json.loads((package / "datapackage.json").read_bytes())["resources"]
    fields: dict[str, Any] = {field["name"]: field for field in csv["schema"]["fields"]}
    assert {name: field["type"] for name, field in fields.items()} == {
        "id": "integer",
        "code": "string",
        "born": "date",
        "visit": "datetime",
        "seen": "datetime",
    }
    assert fields["id"]["constraints"] == {"required": True, "unique": True}
    assert fields["born"]["constraints"] == {"required": True, "minimum": "1999-11-15", "maximum": "2001-12-31"}
    assert fields["visit"]["constraints"]["maximum"] == "2020-03-31 23:59:59"
    assert parquet["schema"]["fields"][3]["constraints"]["maximum"] == "2020-03-31T23:59:59"


def test_frictionless_reads_every_row(package: Path) -> None:
    with system.use_context(trusted=True):
        report = validate(str(package / "datapackage.json"))
    assert report.valid, report.flatten(["rowNumber", "fieldName", "note"])
    assert [task.stats["rows"] for task in report.tasks] == [400, 400]


def test_a_spreadsheet_reads_what_was_written(package: Path) -> None:
    found = pd.read_csv(package / "data.csv", parse_dates=["visit", "seen", "born"])
    again = pd.read_parquet(package / "data.parquet")
    assert found["visit"].equals(again["visit"].astype(found["visit"].dtype))
    assert found["visit"].isna().mean() == pytest.approx(0.25, abs=0.1)
    assert found["born"].min() >= pd.Timestamp(dt.date(1999, 11, 15))


def test_the_report_shows_the_parts(package: Path) -> None:
    page = (package / "report.html").read_text()
    for text in ("visit.weekday", "visit.time", "sunday", "column &#39;id&#39;: identifier, never read"):
        assert text in page
