"""Releases from every kind of source: which account pays, what tells two sources apart, and what is never told."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from dpsynth.accountant import Accountant
from dpsynth.errors import ConfigurationError, DpsynthError, ReleaseConflict, SourceError
from dpsynth.measurement import pack
from dpsynth.privacy import Budget
from dpsynth.release import run_file, synthesize, verify
from dpsynth.release.words import outside
from dpsynth.schema import Schema
from tests.accountant.postgres_server import ADMIN, APP, DATABASE, PASSWORDS, Server, postgres, quoted, url
from tests.desk import Desk, call

__all__ = ["postgres"]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
BUDGET = 'account = "people"\nstore = "accounts.db"'


@dataclass
class Capsule:
    """An object that declares its columns apart from its rows."""

    table: pa.Table

    def __arrow_c_schema__(self) -> object:
        return self.table.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def store(folder: Path) -> Path:
    """A store with the account ``people``."""
    path = folder / "accounts.db"
    with Accountant.open(path, create=True) as accountant:
        accountant.open_account(
            "people", entity="person", neighbours="add-remove", budget=Budget(epsilon="9", delta="1e-5")
        )
    return path


def fill_sqlite(frame: pd.DataFrame, path: Path, table: str = "people") -> None:
    with closing(sqlite3.connect(path)) as connection:
        frame.to_sql(table, connection, index=False)


def fill_postgres(frame: pd.DataFrame, table: str = "people") -> None:
    """The same rows as text, which they are in CSV."""
    names = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in frame.columns)
    with psycopg.connect(url(ADMIN)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(table)))
        cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), columns))
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as copy:
            for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False):
                copy.write_row([None if cell is None else str(cell) for cell in row])
        cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(table), sql.Identifier(APP)))


@pytest.fixture
def frame(desk: Desk) -> pd.DataFrame:
    return pd.read_csv(desk.table)


def test_a_table_in_sqlite_is_named_from_the_folder_of_the_file(
    desk: Desk, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store(desk.folder)
    (desk.folder / "data").mkdir()
    fill_sqlite(frame, desk.folder / "data" / "people.db")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    published = run_file(desk.release(source="sqlite:data/people.db#people", budget=BUDGET), desk.folder / "out")
    assert verify(published.folder, rebuild=True).ok
    told = b"".join(path.read_bytes() for path in published.folder.rglob("*") if path.is_file())
    assert b"people.db" not in told


def test_a_folder_has_an_account_of_its_own_beside_it(desk: Desk, frame: pd.DataFrame) -> None:
    (desk.folder / "parts").mkdir()
    frame[:100].to_parquet(desk.folder / "parts" / "0.parquet")
    frame[100:].to_parquet(desk.folder / "parts" / "1.parquet")
    run_file(desk.release(source="parts"), desk.folder / "out")
    assert (desk.folder / "parts.dpsynth.db").exists()
    assert {path.name for path in (desk.folder / "parts").iterdir()} == {"0.parquet", "1.parquet"}


@pytest.mark.parametrize("source", ["sqlite:people.db#people", "postgresql://ann:secret@h/d#people", "*.parquet"])
def test_data_that_are_no_file_must_name_an_account(desk: Desk, source: str) -> None:
    before = set(desk.folder.iterdir())
    with pytest.raises(ConfigurationError, match="must name an account and its store") as caught:
        run_file(desk.release(source=source), desk.folder / "out")
    assert "secret" not in str(caught.value)
    assert {path.suffix for path in set(desk.folder.iterdir()) - before} == {".toml"}


def test_a_release_is_of_one_table(desk: Desk, frame: pd.DataFrame, postgres: Server) -> None:
    store(desk.folder)
    fill_sqlite(frame, desk.folder / "people.db")
    fill_sqlite(frame, desk.folder / "people.db", "others")
    fill_postgres(frame)
    run_file(desk.release(source="sqlite:people.db#people", budget=BUDGET), desk.folder / "out")
    run_file(desk.release(source="sqlite:./people.db#people", budget=BUDGET), desk.folder / "again")
    for other in ("sqlite:people.db#others", "people.csv", f"{url(ADMIN)}#people"):
        with pytest.raises(ReleaseConflict, match="for rows of another source"):
            run_file(desk.release(source=other, budget=BUDGET), desk.folder / "other")


def test_who_reads_a_table_in_postgres_does_not_matter_and_no_password_is_kept(
    desk: Desk, frame: pd.DataFrame, postgres: Server
) -> None:
    path = store(desk.folder)
    fill_postgres(frame)
    source = f"{url(ADMIN)}#people"
    published = run_file(desk.release(source=source, budget=BUDGET), desk.folder / "out")
    assert verify(published.folder, rebuild=True).ok
    again = run_file(desk.release(source=f"{url(APP)}#people", budget=BUDGET), desk.folder / "again")
    assert pack(again.release.answers) == pack(published.release.answers)
    kept = [
        file.read_bytes()
        for file in (*published.folder.rglob("*"), *desk.folder.glob(f"{path.name}*"))
        if file.is_file()
    ]
    for secret in (PASSWORDS[ADMIN], quoted(PASSWORDS[ADMIN]), ADMIN + ":", f":{postgres.port}"):
        assert not any(secret.encode() in content for content in kept)


def test_a_view_that_fails_for_a_row_is_told_in_fixed_words(desk: Desk, frame: pd.DataFrame, postgres: Server) -> None:
    store(desk.folder)
    fill_postgres(frame, "plain")
    postgres.sql(
        "DROP VIEW IF EXISTS failing; CREATE VIEW failing AS SELECT sex, age, income, "
        "('canary-' || age)::boolean::text AS smokes FROM plain"
    )
    with pytest.raises(DpsynthError, match="the data could not be read to their end") as caught:
        run_file(desk.release(source=f"{url(ADMIN)}#failing", budget=BUDGET), desk.folder / "out")
    assert "canary" not in str(caught.value)


def test_a_column_that_is_missing_is_told_before_anything_is_spent(
    desk: Desk, frame: pd.DataFrame, postgres: Server
) -> None:
    path = store(desk.folder)
    fill_postgres(frame.drop(columns="age"))
    with pytest.raises(SourceError, match=r"#people: no column 'age', which the schema names$"):
        run_file(desk.release(source=f"{url(ADMIN)}#people", budget=BUDGET), desk.folder / "out")
    with Accountant.open(path) as accountant:
        assert not accountant.settled("first")
        assert len(accountant.history("people")) == 1  # it was opened


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("column", ["sex", "age", "income", "smokes"])
def test_no_canary_of_a_database_in_any_output(
    desk: Desk, frame: pd.DataFrame, postgres: Server, kind: str, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "canary-5e0f"
    frame = frame.assign(**{column: [canary, *frame[column].astype(object)[1:]]})
    caplog.set_level(logging.DEBUG)
    store(desk.folder)
    if kind == "sqlite":
        fill_sqlite(frame, desk.folder / "people.db")
        source = "sqlite:people.db#people"
    else:
        fill_postgres(frame)
        source = f"{url(ADMIN)}#people"
    caplog.clear()
    result = call("run", desk.release(source=source, budget=BUDGET), "--out", desk.folder / "out")
    assert result.exit_code == 0, result.output
    assert canary not in result.output + caplog.text
    written = [path for path in desk.folder.rglob("*") if path.is_file() and path.name != "people.db"]
    assert not any(canary.encode() in path.read_bytes() for path in written)


@pytest.mark.parametrize("kind", ["polars", "arrow", "batch", "duckdb", "capsule"])
def test_tables_in_memory(desk: Desk, frame: pd.DataFrame, kind: str) -> None:
    with duckdb.connect() as connection:
        connection.register("people", frame)
        data = {
            "polars": lambda: pl.from_pandas(frame),
            "arrow": lambda: pa.Table.from_pandas(frame),
            "duckdb": lambda: connection.table("people"),
            "batch": lambda: pa.record_batch(pa.Table.from_pandas(frame).to_batches()[0]),
            "capsule": lambda: Capsule(pa.Table.from_pandas(frame)),
        }[kind]()
        schema = Schema.load(desk.folder / "schema.toml")
        asked = {"schema": schema, "epsilon": "1", "delta": "1e-6"}
        with pytest.raises(ConfigurationError, match="must name an account and its store"):
            synthesize(data, **asked)
        release = synthesize(data, **asked, account="people", store=store(desk.folder))
        again = synthesize(data, **asked, account="people", store=desk.folder / "accounts.db")
        assert pack(again.answers) == pack(release.answers)
        assert any(thing.startswith("how the table came to be before it was handed over") for thing in outside(release))


@pytest.mark.parametrize("fails", [False, True])
def test_a_stream_that_a_row_breaks_keeps_its_reserve_for_ever(desk: Desk, frame: pd.DataFrame, fails: bool) -> None:
    class Breaking(Capsule):
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            if fails:
                raise ValueError("a row")
            return super().__arrow_c_stream__(requested_schema)

    asked = {"schema": Schema.load(desk.folder / "schema.toml"), "epsilon": "1", "delta": "1e-6", "account": "people"}
    place = store(desk.folder)
    with pytest.raises(SourceError, match="to their end") if fails else nullcontext():
        synthesize(Breaking(pa.Table.from_pandas(frame)), **asked, store=place, release="r")
    with Accountant.open(place) as accountant:
        state = accountant.states()["r"][1]
        kinds = [json.loads(line)["kind"] for line in accountant.history("people")]
        with pytest.raises(ConfigurationError, match=r"'r' is \w+: only a release that is RESERVED"):
            accountant.void("r")
    assert state == ("DRAWING" if fails else "SETTLED")
    assert kinds[:2] == ["open", "reserve"]
    assert ("measure" in kinds) is not fails


class TestDocument:
    """docs/sources.md as it stands there."""

    @pytest.fixture
    def place(self, desk: Desk, frame: pd.DataFrame, postgres: Server, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "documented"
        (folder / "people").mkdir(parents=True)
        shutil.copy(desk.table, folder / "people.csv")
        shutil.copy(desk.folder / "schema.toml", folder / "people.toml")
        frame.to_parquet(folder / "people" / "part-0.parquet")
        fill_sqlite(frame, folder / "people.db")
        fill_postgres(frame)
        (folder / "release.toml").write_text(*re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL))
        yield folder

    def run(self, command: list[str], folder: Path, server: Server) -> str:
        secrets = folder / "pgpass"
        password = PASSWORDS[ADMIN].replace("\\", "\\\\").replace(":", "\\:")
        secrets.write_text(f"127.0.0.1:{server.port}:{DATABASE}:{ADMIN}:{password}\n")
        secrets.chmod(0o600)
        host = f"postgresql://{ADMIN}@127.0.0.1:{server.port}/{DATABASE}#"
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            [part.replace("postgresql://ann@db.example.org/census#", host) for part in command],
            cwd=folder,
            env={
                **os.environ,
                "PATH": path,
                "PGPASSFILE": str(secrets),
                "XDG_CONFIG_HOME": str(folder / "config"),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def test_its_commands(self, place: Path, postgres: Server) -> None:
        blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
        assert len(blocks) == 2
        shown = "".join(self.run(["bash", "-euc", block], place, postgres) for block in blocks)
        assert PASSWORDS[ADMIN] not in shown
        drafts = {name: (place / f"from-{name}.toml").read_text() for name in ("csv", "folder", "sqlite", "postgres")}
        assert all(f"[columns.{name}]" in text for text in drafts.values() for name in ("sex", "age", "smokes"))
        for name in ("folder", "sqlite"):
            assert re.search(r'\[columns\.age\]\ntype = "integer"', drafts[name])
            assert re.search(r'\[columns\.income\]\ntype = "real"', drafts[name])
        assert (place / "from-pattern.toml").read_text() == drafts["folder"]
        assert not re.search(r"^type =", drafts["csv"], re.MULTILINE)
        (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
        self.run([sys.executable, "-c", block], place, postgres)
        with Accountant.open(place / "accounts.db") as accountant:
            assert all(map(accountant.settled, ("people-2026-1", "from-postgres", "from-polars", "adults")))
