"""Rows drawn by a cluster are those that one machine draws."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from dpsynth.accountant import Accountant
from dpsynth.errors import ConfigurationError, SourceError
from dpsynth.people import SCHEMA_TOML, write_parquet
from dpsynth.privacy import Budget
from dpsynth.release import Release, synthesize, verify
from dpsynth.sampling import CHUNK, records

EVERY = """
[unit]
entity = "person"
[columns.word]
type = "categorical"
values = ["f", "caf\u00e9"]
nullable = true
[columns.whole]
type = "integer"
min = 0
max = 99
nullable = true
[columns.more]
type = "integer"
min = 0
max = 99
[columns.real]
type = "real"
min = 0.0
max = 1.0
[columns.flag]
type = "boolean"
[columns.day]
type = "date"
min = 1990-01-01
max = 2020-12-31
weekday = true
[columns.moment]
type = "datetime"
min = 1890-01-01
max = 2020-12-31
nullable = true
[columns.id]
type = "identifier"
prefix = "p"
[[constraints]]
kind = "ordered"
columns = ["whole", "more"]
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("every")
    (folder / "schema.toml").write_text(EVERY)
    words = ("f", "caf\u00e9")
    rows = [
        f"{words[at % 2]},{at % 100},{at % 90},0.{at},{at % 2 == 0},2000-01-0{1 + at % 9},2001-02-03 04:05:06"
        for at in range(300)
    ]
    (folder / "people.csv").write_text("\n".join(["word,whole,more,real,flag,day,moment", *rows, ",,1,,,,"]))
    return synthesize(folder / "people.csv", schema=folder / "schema.toml", epsilon="1", delta="1e-6")


def drawn(frame: object, like: pa.Table) -> pa.Table:
    return frame.toArrow().cast(like.schema)  # type: ignore[attr-defined, no-any-return]


def test_the_same_rows_of_every_type(release: Release, spark: SparkSession) -> None:
    here = release.to_arrow()
    assert here.num_rows > 200
    assert drawn(release.to_spark(spark), here).equals(here)


def test_the_same_rows_in_every_chunk(release: Release, spark: SparkSession) -> None:
    number = CHUNK + 1000
    here = pa.Table.from_batches(records(release.tables, release.layout, number, 7))
    there = drawn(release.to_spark(spark, rows=number, seed=7), here)
    assert there.num_rows == number
    assert there.equals(here)


def test_no_rows_have_the_types_too(release: Release, spark: SparkSession) -> None:
    none = release.to_spark(spark, rows=0)
    assert none.count() == 0
    assert none.dtypes == release.to_spark(spark).dtypes


@pytest.mark.parametrize("wrong", [{"rows": -1}, {"seed": -1}, {"seed": 2**63}])
def test_what_cannot_be_drawn_is_refused_at_once(release: Release, spark: SparkSession, wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=r"rows|seed"):
        release.to_spark(spark, **wrong)


def test_a_task_that_fails_once_changes_no_row(
    release: Release, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python workers die at the first attempt of each chunk; those that take their place draw the same."""
    here = release.to_arrow()
    frame = release.to_spark(spark)

    def dying(batches):  # type: ignore[no-untyped-def]
        from pyspark import TaskContext

        context = TaskContext.get()
        if context is not None and context.attemptNumber() == 0:
            os.kill(os.getpid(), 9)
        yield from batches

    assert drawn(frame.mapInArrow(dying, frame.schema), here).equals(here)


def test_without_pyspark_it_says_what_to_install(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("pyspark")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(ConfigurationError, match=r"dpsynth-engine\[spark\]"):
        release.to_spark(None)  # type: ignore[arg-type]


DOCUMENT = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()


@pytest.fixture
def census(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with people, their schema and a store with an account for them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "people").mkdir()
    write_parquet(tmp_path / "people" / "part.parquet", 3000)
    (tmp_path / "people.toml").write_text(SCHEMA_TOML)
    with Accountant.open("accounts.db", create=True) as accountant:
        accountant.open_account(
            "census", entity="person", neighbours="add-remove", column="person_id", budget=Budget("2", "1e-8")
        )
    return tmp_path


def test_the_example_of_the_guide_runs_and_its_release_verifies(census: Path, spark: SparkSession) -> None:
    section = DOCUMENT[DOCUMENT.index("## Larger than one machine") :]
    example = re.search(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert example is not None
    text = example.group(1).replace("3_000_000", "3_000")
    for name in ("people", "synthetic"):  # Java does not follow this process to another folder
        text = text.replace(f'parquet("{name}")', f'parquet("{census / name}")')
    found: dict[str, object] = {}
    exec(compile(text, "docs/scale.md", "exec"), found)
    verdict = verify(census / "out", rebuild=True)
    assert verdict.ok, verdict.failures
    assert spark.read.parquet(str(census / "synthetic")).count() == 3000
    release = found["release"]
    assert isinstance(release, Release)
    again = synthesize(
        spark.read.parquet(str(census / "people")),
        schema="people.toml",
        epsilon="1",
        delta="1e-9",
        account="census",
        store="accounts.db",
        release="people-2026-1",
    )
    assert again.lines == release.lines  # nothing was spent anew
    assert again.to_arrow().equals(release.to_arrow())


def test_a_frame_names_its_account_and_its_columns(census: Path, spark: SparkSession) -> None:
    frame = spark.read.parquet(str(census / "people"))
    with pytest.raises(ConfigurationError, match="account"):
        synthesize(frame, schema="people.toml", epsilon="1", delta="1e-9")
    asked = {"schema": "people.toml", "epsilon": "1", "delta": "1e-9", "account": "census", "store": "accounts.db"}
    with pytest.raises(SourceError, match="no column 'region'"):
        synthesize(frame.drop("region"), **asked)
    with Accountant.open("accounts.db") as accountant:
        assert not accountant.account("census").held.amount
