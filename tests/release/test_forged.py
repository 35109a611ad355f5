"""A signer who lies: everything is signed with the right key and verifies alone, and ``--rebuild`` finds the lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth import __version__
from dpsynth.ledger import SigningKey
from dpsynth.measurement import NoisyMarginal, NoisyScores, Selection
from dpsynth.privacy import Budget
from dpsynth.release import Release, run_file, verify
from dpsynth.release.folder import LEDGER, sign_ledger
from dpsynth.release.page import Tally
from dpsynth.sampling import IntegerTables, sample_chunks
from tests.desk import Desk, make_desk

Lie = Callable[[Release], Release]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return make_desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def honest(desk: Desk) -> Release:
    """At a budget that leaves every column several groups, so that a tree of three pairs is chosen."""
    path = desk.release(epsilon="20", more='formats = ["parquet", "csv"]')
    return run_file(path, desk.folder / "honest").release


@pytest.fixture(scope="module")
def key(desk: Desk) -> SigningKey:
    return SigningKey.load(desk.folder / "key.pem")


def digest_of(release: Release) -> str:
    tally = Tally(release.tables, release.rows)
    for codes in sample_chunks(release.tables, release.rows, release.plan.seed):
        tally.add(codes)
    return tally.text


def signed_again(release: Release, folder: Path, key: SigningKey) -> None:
    (folder / LEDGER).unlink()
    sign_ledger(release, folder, key, digest_of(release))


def other_count(release: Release) -> Release:
    first = next(answer for answer in release.answers if isinstance(answer, NoisyMarginal))
    changed = NoisyMarginal(first.query, first.values + 1, first.scale, first.law, first.entry)
    return replace(release, answers=tuple(changed if answer is first else answer for answer in release.answers))


def other_scale(release: Release) -> Release:
    first = next(answer for answer in release.answers if isinstance(answer, NoisyMarginal))
    changed = NoisyMarginal(first.query, first.values, first.scale / 2, first.law, first.entry)
    return replace(release, answers=tuple(changed if answer is first else answer for answer in release.answers))


def other_choice(release: Release) -> Release:
    (chosen,) = (answer for answer in release.answers if isinstance(answer, Selection))
    assert len(chosen.picks) == 3
    return replace(
        release,
        answers=tuple(
            replace(answer, picks=answer.picks[::-1]) if isinstance(answer, Selection) else answer
            for answer in release.answers
        ),
    )


def fewer_answers(release: Release) -> Release:
    return replace(release, answers=release.answers[:-1])


def other_model(release: Release) -> Release:
    nodes = list(release.tables.nodes)
    table = nodes[0].table.astype(np.float64)
    table[0, 0] += 2**32 * 1e-3
    rounded = IntegerTables.build(
        [(nodes[0].given, nodes[0].new, table), *((n.given, n.new, n.table.astype(float)) for n in nodes[1:])],
        release.tables.levels,
        {c: w.astype(float) for c, w in zip(release.tables.columns, release.tables.weights, strict=True)},
        release.tables.total,
    )
    return replace(release, tables=rounded)


def other_number_of_rows(release: Release) -> Release:
    return replace(release, rows=release.rows + 1)


@pytest.mark.parametrize(
    "lie", [other_count, other_scale, other_choice, fewer_answers, other_model, other_number_of_rows]
)
def test_a_release_that_does_not_follow_from_its_ledger(
    honest: Release, key: SigningKey, tmp_path: Path, lie: Lie
) -> None:
    folder = lie(honest).save(tmp_path / "lie", key)
    assert verify(folder).ok
    verdict = verify(folder, rebuild=True)
    assert verdict.exit_code == 21, lie.__name__
    assert verdict.epsilon == "infinity"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release whose tables were chosen from noisy scores."""
    own = make_desk(tmp_path_factory.mktemp("compared"))
    return run_file(own.release(epsilon="20", mechanism="mrm"), own.folder / "honest").release


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scale": Fraction(1, 2)}, "does not answer its ledger entry"),
        ({"law": "discrete_gaussian"}, "does not answer its ledger entry"),
        ({"candidates": (("sex", "age"),), "values": np.array([5])}, "does not answer its ledger entry"),
        ({}, "were changed"),
    ],
    ids=["scale", "law", "number of candidates", "values"],
)
def test_scores_that_are_not_those_of_the_ledger(
    compared: Release, key: SigningKey, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    assert verify(compared.save(tmp_path / "truth", key), rebuild=True).failures == ()
    (scores,) = (answer for answer in compared.answers if isinstance(answer, NoisyScores))
    changed = replace(scores, **{"values": scores.values + 1, **change})
    answers = tuple(changed if answer is scores else answer for answer in compared.answers)
    folder = replace(compared, answers=answers).save(tmp_path / "lie", key)
    assert verify(folder).ok
    verdict = verify(folder, rebuild=True)
    assert verdict.exit_code == 21
    assert said in verdict.failures[0]


def test_a_choice_in_place_of_scores(compared: Release, key: SigningKey, tmp_path: Path) -> None:
    (scores,) = (answer for answer in compared.answers if isinstance(answer, NoisyScores))
    chosen = Selection(scores.score, "distinct", scores.candidates, (0,), scores.scale, scores.entry)
    answers = tuple(chosen if answer is scores else answer for answer in compared.answers)
    verdict = verify(replace(compared, answers=answers).save(tmp_path / "lie", key), rebuild=True)
    assert verdict.exit_code == 21
    assert "does not answer its ledger entry" in verdict.failures[0]


def test_another_version_is_named(
    honest: Release, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit of another version may differ: who rebuilds is told which one to take, and the answer stays no."""
    folder = other_model(honest).save(tmp_path / "lie", key)
    monkeypatch.setattr("dpsynth.release.rebuild.__version__", "99.0")
    verdict = verify(folder, rebuild=True)
    assert verdict.exit_code == 21
    assert f"made by version {__version__} and this is 99.0" in verdict.failures[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.set_column(0, "sex", pa.array(["m"] * table.num_rows)),
        lambda table: table.slice(1),
        lambda table: pa.concat_tables([table.slice(1), table.slice(0, 1)]),
        lambda table: table.replace_schema_metadata({"note": "f,31,17.5,yes"}),
        lambda table: table.set_column(1, "age", table["age"].cast(pa.string())),
        lambda table: table.select(["age", "sex", "income", "smokes"]),
    ],
    ids=["values", "one row fewer", "order", "metadata", "type", "columns"],
)
def test_rows_that_are_not_the_model_s(
    honest: Release, key: SigningKey, tmp_path: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    folder = honest.save(tmp_path / "lie", key)
    pq.write_table(change(pq.read_table(folder / "data.parquet")), folder / "data.parquet")
    signed_again(honest, folder, key)
    assert verify(folder).ok
    assert verify(folder, rebuild=True).exit_code == 21


@pytest.mark.parametrize("content", [b"", b"sex,age\nf,3\n", b"\x00\xff", None])
def test_a_csv_of_other_rows(honest: Release, key: SigningKey, tmp_path: Path, content: bytes | None) -> None:
    folder = honest.save(tmp_path / "lie", key)
    path = folder / "data.csv"
    path.write_bytes(path.read_bytes().replace(b'"f"', b'"m"', 1) if content is None else content)
    signed_again(honest, folder, key)
    assert verify(folder).ok
    assert verify(folder, rebuild=True).exit_code == 21


@pytest.mark.parametrize("name", ["data.parquet", "measurements.npz", "model.npz", "datapackage.json"])
@pytest.mark.parametrize("content", [b"", b"x" * 99])
def test_a_file_that_is_not_what_its_name_says(
    honest: Release, key: SigningKey, tmp_path: Path, name: str, content: bytes
) -> None:
    folder = honest.save(tmp_path / "lie", key)
    (folder / name).write_bytes(content)
    signed_again(honest, folder, key)
    verdict = verify(folder, rebuild=True)
    assert verdict.exit_code == 21
    assert "x" * 9 not in "".join(verdict.failures)


def test_an_archive_with_something_more(honest: Release, key: SigningKey, tmp_path: Path) -> None:
    folder = honest.save(tmp_path / "lie", key)
    with np.load(folder / "measurements.npz") as arrays:
        np.savez(folder / "measurements.npz", **dict(arrays), more=np.arange(9))
    signed_again(honest, folder, key)
    assert verify(folder, rebuild=True).exit_code == 21


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 777},
        {"mechanism": "independent"},
        {"rows": 400},
        {"budget": Budget(epsilon="2", delta="1e-6")},
        {"budget": Budget(epsilon="1", delta="1e-5")},
    ],
    ids=str,
)
def test_a_claim_that_is_not_the_plan_s(
    honest: Release, key: SigningKey, tmp_path: Path, change: dict[str, object]
) -> None:
    folder = honest.save(tmp_path / "lie", key)
    lie = replace(honest, plan=replace(honest.plan, **change))  # type: ignore[arg-type]
    signed_again(lie, folder, key)
    assert verify(folder, rebuild=True).exit_code in (21, 22)


def test_a_plan_that_contradicts_itself(honest: Release, key: SigningKey, tmp_path: Path) -> None:
    folder = honest.save(tmp_path / "lie", key)
    package = json.loads((folder / "datapackage.json").read_text())
    package["dpsynth"]["plan"]["seed"] = 5
    (folder / "datapackage.json").write_text(json.dumps(package))
    signed_again(honest, folder, key)
    assert verify(folder, rebuild=True).exit_code == 21


def test_the_honest_one_holds(honest: Release, key: SigningKey, tmp_path: Path) -> None:
    folder = honest.save(tmp_path / "truth", key)
    signed_again(honest, folder, key)
    verdict = verify(folder, rebuild=True)
    assert verdict.ok, verdict.failures
    assert Fraction(verdict.epsilon) <= 20
