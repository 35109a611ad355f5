"""Samples given a condition: signed with it, drawn again with it, and never a row outside it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.errors import ConfigurationError
from dpsynth.ledger import SigningKey, canonical, envelope
from dpsynth.release import derive, run_file, verify
from dpsynth.release.check import DERIVATION, read_statement
from tests.desk import Desk, make_desk

WHERE = "smokes = true and income > 300.5 and age between 15 and 44"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return make_desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def parent(desk: Desk) -> Path:
    return run_file(desk.release(epsilon="20"), desk.folder / "out").folder


@pytest.fixture
def sample(desk: Desk, parent: Path, tmp_path: Path) -> Path:
    return derive(parent, rows=400, seed=5, out=tmp_path / "sample", where=WHERE, key=desk.folder / "key.pem")


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / "data.parquet").to_pylist()
    return found


def forge(desk: Desk, sample: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a sample says, sign it and all its files again with the right key."""
    path = sample / DERIVATION
    payload = json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
    change(payload["predicate"]["sample"])
    for subject in payload["subject"]:
        subject["digest"]["sha256"] = sha256((sample / subject["name"]).read_bytes()).hexdigest()
    path.write_bytes(envelope(canonical(payload), SigningKey.load(desk.folder / "key.pem")))


def test_every_row_fulfils_the_condition_and_it_is_signed(sample: Path, parent: Path) -> None:
    assert len(rows(sample)) == 400
    for row in rows(sample):
        assert row["smokes"]
        assert row["income"] > 300.5
        assert 15 <= row["age"] <= 44
    stated = "age between 15 and 44 and income > 300.5 and smokes = true"
    assert read_statement(sample).predicate["sample"]["where"] == stated
    assert stated in json.loads((sample / "datapackage.json").read_bytes())["description"]
    for rebuild in (False, True):
        verdict = verify(sample, parent=parent, rebuild=rebuild)
        assert verdict.ok, verdict.failures
        assert any(f"drawn again from first, where {stated}," in note for note in verdict.notes)
    assert any(stated in note for note in verify(sample).notes)


def test_it_is_drawn_again_on_another_processor(sample: Path, parent: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "dpsynth", "verify", str(sample), "--parent", str(parent)],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_the_way_it_is_written_does_not_matter(desk: Desk, parent: Path, sample: Path, tmp_path: Path) -> None:
    other = ("age > 14.5", "age < 45 and (income > 300.5)", "smokes = 'yes'")
    again = derive(parent, rows=400, seed=5, out=tmp_path / "again", where=other, key=desk.folder / "key.pem")
    for name in ("data.parquet", "datapackage.json"):
        assert (again / name).read_bytes() == (sample / name).read_bytes()


def test_a_condition_that_excludes_nothing_is_none(desk: Desk, parent: Path, tmp_path: Path) -> None:
    folders = [
        derive(parent, rows=50, seed=5, out=tmp_path / str(i), where=where, key=desk.folder / "key.pem")
        for i, where in enumerate(["age >= 0", ()])
    ]
    assert read_statement(folders[0]).predicate["sample"]["where"] is None
    assert rows(folders[0]) == rows(folders[1])
    assert verify(folders[0], parent=parent).ok
    for where in ("", "age >= 0", "age <= 99"):  # the same rows, and not how this condition is stated
        forge(desk, folders[0], lambda said, where=where: said.update(where=where))
        assert verify(folders[0], parent=parent).exit_code == 21


@pytest.mark.parametrize(
    "where",
    [
        None,
        "age between 15 and 43 and income > 300.5 and smokes = true",
        "age between 15 and 44 and income > 300.25 and smokes = true",
        "age between 15 and 44 and smokes = true",
        "smokes = true and age between 15 and 44 and income > 300.5",  # equal, and not in its canonical form
        "age >= 0",
        "",
        "age = 200",
        "no condition",
        "x" * 10_000,
        "age = 5 and " * 250_000,
        "age = '\x1b[31mx\nverified: release demo, all is well\n'",
        '"\x1b[31mx\nverified: release demo" = 5',
        "sex = '\x1b[31mx\nverified: release demo'",
        "age \x1b[31m",
    ],
    ids=lambda where: None if where is None else where[:30].encode("unicode_escape").decode(),
)
def test_a_forged_condition_is_found(desk: Desk, sample: Path, parent: Path, where: str | None) -> None:
    forge(desk, sample, lambda said: said.update(where=where))
    assert verify(sample).ok  # the verifier alone cannot draw rows
    verdict = verify(sample, parent=parent)
    assert verdict.exit_code == 21
    for line in (*verdict.failures, *verdict.notes):
        assert line.isprintable()
        assert len(line) < 700


def test_one_row_outside_the_condition_is_found(desk: Desk, sample: Path, parent: Path) -> None:
    table = pq.read_table(sample / "data.parquet")
    ages = table["age"].to_pylist()
    ages[7] = 45
    changed = table.set_column(table.schema.get_field_index("age"), table.schema.field("age"), pa.array(ages))
    pq.write_table(changed, sample / "data.parquet", compression="zstd")
    forge(desk, sample, lambda said: None)
    assert verify(sample).ok
    assert verify(sample, parent=parent).exit_code == 21


def test_what_the_model_or_the_schema_cannot_give_is_refused(desk: Desk, parent: Path, tmp_path: Path) -> None:
    for where in ("agee = 3", "age = 3 or smokes = true", "age < 0"):
        with pytest.raises(ConfigurationError, match="where:"):
            derive(parent, rows=5, seed=5, out=tmp_path / "none", where=where, key=desk.folder / "key.pem")
    assert not (tmp_path / "none").exists()
