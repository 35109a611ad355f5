"""Whole runs over a schema of every type: any table gives a release whose types and nulls are those declared."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth import synthesize
from dpsynth.accountant import Accountant
from dpsynth.errors import ConfigurationError, SourceError
from dpsynth.ledger import SigningKey
from dpsynth.mechanisms import Workload
from dpsynth.privacy import Budget
from dpsynth.release import Release, derive
from dpsynth.release.rebuild import rebuild_release, redraw_sample
from dpsynth.schema import Schema
from tests.encoding.test_fuzz import MAX, MIN, ODD, SCHEMAS, TYPES, cells

NAMES = [name for name in SCHEMAS[0].names if name != "id"]
RELEASES = count()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("store") / "accounts.db"
    with Accountant.open(path, create=True) as accountant:
        accountant.open_account(
            "rows", entity="row", neighbours="add-remove", budget=Budget(epsilon=10**6, delta="1e-6")
        )
    yield path


def release_of(data: Any, store: Path, schema: Schema, **more: Any) -> Release:
    asked: dict[str, Any] = {"epsilon": "2", "delta": "1e-9", "mechanism": "independent", **more}
    return synthesize(data, schema=schema, account="rows", store=store, release=f"r{next(RELEASES)}", **asked)


def assert_as_declared(table: pa.Table, schema: Schema, rows: int) -> None:
    assert table.schema.names == list(TYPES)
    assert table.schema.types == list(TYPES.values())
    assert table.num_rows == rows
    for name, column in schema.columns.items():
        assert column.nullable or not table.column(name).null_count, name
    assert len(set(table.column("id").to_pylist())) == rows
    for name in ("day", "week", "visit", "date"):
        kept = [value for value in table.column(name).to_pylist() if value is not None]
        days = [value.date() if isinstance(value, dt.datetime) else value for value in kept]
        assert all(MIN <= day <= MAX for day in days)
    for name in ("count", "small", "share", "fine"):
        kept = [value for value in table.column(name).to_pylist() if value is not None]
        low, high = schema.columns[name].min, schema.columns[name].max  # type: ignore[union-attr]
        assert all(low <= value <= high for value in kept)  # type: ignore[operator]


FRAMES = {
    "no rows": pd.DataFrame({name: pd.Series([], dtype=object) for name in NAMES}),
    "one row of nothing": pd.DataFrame({name: pd.Series([None], dtype=object) for name in NAMES}),
    "one odd row": pd.DataFrame({name: pd.Series(["2020-01-01"], dtype=object) for name in NAMES}),
    "all alike": pd.DataFrame({name: pd.Series([dt.datetime(2020, 1, 1)] * 400) for name in NAMES}),
    "all missing": pd.DataFrame({name: np.full(300, np.nan) for name in NAMES}),
    "all infinite": pd.DataFrame({name: np.full(300, np.inf) for name in NAMES}),
    "all huge": pd.DataFrame({name: np.full(300, 2**63 - 1) for name in NAMES}),
    "everything": pd.DataFrame({name: pd.Series(ODD, dtype=object) for name in NAMES}),
}


@pytest.mark.parametrize("schema", SCHEMAS, ids=["sure", "nullable"])
@pytest.mark.parametrize("table", FRAMES)
def test_any_table_gives_a_release(store: Path, schema: Schema, table: str) -> None:
    release = release_of(FRAMES[table], store, schema, rows=300)
    assert_as_declared(release.to_arrow(), schema, 300)


@pytest.mark.parametrize("mechanism", ["mrm", "aim", "mst", "privbayes"])
def test_by_any_mechanism(store: Path, mechanism: str) -> None:
    release = release_of(FRAMES["everything"], store, SCHEMAS[1], rows=500, mechanism=mechanism)
    assert_as_declared(release.to_arrow(), SCHEMAS[1], 500)


@settings(max_examples=15, deadline=None)
@given(st.data(), st.sampled_from(SCHEMAS))
def test_any_cells_give_a_release(store: Path, data: st.DataObject, schema: Schema) -> None:
    rows = data.draw(st.integers(0, 8))
    columns = {name: data.draw(st.lists(cells, min_size=rows, max_size=rows)) for name in NAMES}
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    assert_as_declared(release_of(frame, store, schema, rows=50).to_arrow(), schema, 50)


def people(rows: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(3)
    day = np.datetime64(MIN) + random.integers(0, (MAX - MIN).days, rows)
    frame = pd.DataFrame({name: day.astype(str) for name in NAMES})
    frame["visit"] = day.astype("M8[s]") + random.integers(0, 86_400, rows)
    return frame


def test_identifiers_are_never_read(store: Path, tmp_path: Path) -> None:
    """The column may be missing, full of secrets, or so damaged that reading it would fail."""
    frame = people()
    without = release_of(frame, store, SCHEMAS[1], rows=100)
    assert_as_declared(without.to_arrow(), SCHEMAS[1], 100)
    path = tmp_path / "people.parquet"
    frame["id"] = [f"SECRET-{n}" for n in range(len(frame))]
    frame.to_parquet(path)
    secrets = release_of(path, store, SCHEMAS[1], rows=100)
    assert "id" not in secrets.ignored
    assert_as_declared(secrets.to_arrow(), SCHEMAS[1], 100)
    damaged = bytearray(path.read_bytes())
    at = pq.read_metadata(path).row_group(0).column(list(frame.columns).index("id"))
    damaged[at.dictionary_page_offset : at.data_page_offset] = bytes(at.data_page_offset - at.dictionary_page_offset)
    path.write_bytes(bytes(damaged))
    with pytest.raises(OSError, match=r"\w"):
        pq.read_table(path, columns=["id"])
    assert_as_declared(release_of(path, store, SCHEMAS[1], rows=100).to_arrow(), SCHEMAS[1], 100)


def test_a_column_that_is_read_must_be_there(store: Path) -> None:
    with pytest.raises(SourceError, match="no column 'visit'"):
        release_of(people().drop(columns="visit"), store, SCHEMAS[0], rows=100)


def test_identifiers_of_a_sample_are_others(store: Path, tmp_path: Path) -> None:
    release = release_of(
        people(), store, SCHEMAS[1], rows=2000, epsilon="50", mechanism="mst", formats=("parquet", "csv")
    )
    key = SigningKey.generate()
    folder = release.save(tmp_path / "release", key)
    assert rebuild_release(folder)
    where = [
        "visit >= '2020-01-06' and visit.weekday = 'sunday'",
        "week.weekday in ('sunday', 'monday')",  # every column has the same day: others go with no Sunday
        "day is not null",
    ]
    sample = derive(folder, rows=300, seed=9, out=tmp_path / "s", where=where, key=key)
    found, drawn = pq.read_table(folder / "data.parquet"), pq.read_table(sample / "data.parquet")
    assert not set(found.column("id").to_pylist()) & set(drawn.column("id").to_pylist())
    assert len(set(drawn.column("id").to_pylist())) == 300
    for row in drawn.to_pylist():
        assert (row["visit"].date() >= dt.date(2020, 1, 6), row["visit"].weekday()) == (True, 6)
        assert row["week"].weekday() in (6, 0)
        assert row["day"] is not None
    assert redraw_sample(sample, folder)


def test_a_workload_names_parts(store: Path) -> None:
    pairs = Workload(marginals=((("visit.weekday", "visit.time"), 3), (("day", "flag"), 1)), target="visit.weekday")
    release = release_of(people(), store, SCHEMAS[1], rows=100, mechanism="aim", workload=pairs)
    assert release.to_arrow().num_rows == 100
    with pytest.raises(
        ConfigurationError, match="column 'id' is an identifier, which is never read: no marginal holds it"
    ):
        release_of(people(), store, SCHEMAS[1], mechanism="aim", workload=Workload(target="id"))
    with pytest.raises(ConfigurationError, match=r"has no column 'visit.wekday'; did you mean 'visit.weekday'"):
        release_of(people(), store, SCHEMAS[1], mechanism="aim", workload=Workload(target="visit.wekday"))


def test_the_weekday_goes_with_everything_else(store: Path) -> None:
    """Closed at weekends, but for the red ones: the joint distribution keeps it."""
    random = np.random.default_rng(4)
    day = np.datetime64("2020-01-06") + random.integers(0, 364, 60_000)
    weekend = (day.astype("M8[D]").astype(int) + 3) % 7 >= 5
    red = random.random(day.size) < 0.5
    frame = pd.DataFrame({"day": day, "red": np.where(red, "yes", "no")})[~weekend | red]
    schema = Schema.parse(
        '[columns.day]\ntype = "date"\nmin = 2020-01-06\nmax = 2021-01-03\nweekday = true\n'
        '[columns.red]\ntype = "boolean"'
    )
    synthetic = release_of(frame, store, schema, epsilon="5", mechanism="mst", rows=20_000).to_pandas()
    off = pd.to_datetime(synthetic["day"]).dt.weekday >= 5
    assert off.mean() == pytest.approx((2 / 7) / (1 + 5 / 7), abs=0.02)
    assert synthetic["red"][off].mean() > 0.97


@pytest.mark.parametrize("mechanism", ["mrm", "aim", "mst", "privbayes"])
def test_what_is_missing_goes_with_what_else_is(mechanism: str, store: Path) -> None:
    """A tenth has neither job nor hours, another tenth no hours alone."""
    random = np.random.default_rng(5)
    job = random.choice(["crafts", "sales", "teaching"], 20_000).astype(object)
    hours = random.integers(1, 61, job.size).astype(object)
    tenth = np.arange(job.size) % 10
    job[tenth == 0], hours[tenth <= 1] = None, None
    schema = Schema.parse(
        '[columns.job]\ntype = "categorical"\nvalues = ["crafts", "sales", "teaching"]\nnullable = true\n'
        '[columns.hours]\ntype = "integer"\nmin = 1\nmax = 60\nnullable = true\n'
    )
    frame = pd.DataFrame({"job": job, "hours": hours})
    synthetic = release_of(frame, store, schema, epsilon="5", mechanism=mechanism, rows=20_000).to_pandas()
    jobless, timeless = synthetic["job"].isna(), synthetic["hours"].isna()
    shares = [(jobless & timeless).mean(), (jobless & ~timeless).mean(), (~jobless & timeless).mean()]
    assert shares == pytest.approx([0.1, 0, 0.1], abs=0.01)
