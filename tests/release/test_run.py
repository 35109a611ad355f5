"""The road from a private table to a signed folder, and what happens when it is walked twice or in the wrong way."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpsynth
from dpsynth.accountant import Accountant
from dpsynth.errors import (
    BudgetFormatError,
    BudgetRefused,
    ConfigurationError,
    DigestMismatch,
    ReleaseConflict,
    SourceError,
    StoreDamaged,
)
from dpsynth.ledger import SigningKey, parse
from dpsynth.measurement import NoisyScores
from dpsynth.privacy import NAMES, Budget, Cost, Measure
from dpsynth.release import derive, run_file, synthesize, verify
from dpsynth.release.folder import new_folder, require_place
from dpsynth.release.page import Tally, facts
from tests.desk import Desk, people

FILES = {
    "CITATION.cff",
    "data.parquet",
    "datapackage.json",
    "ledger.dsse.json",
    "measurements.npz",
    "model.npz",
    "report.html",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mechanism", ["mrm", "mst", "independent"])
def test_from_table_to_verified_release(desk: Desk, mechanism: str) -> None:
    path = desk.release(mechanism=mechanism, more='formats = ["parquet", "csv"]')
    published = run_file(path, desk.folder / "out")
    assert set(contents(published.folder)) == FILES | {"data.csv"}
    verdict = verify(published.folder, rebuild=True)
    assert (verdict.ok, verdict.exit_code) == (True, 0), verdict.failures
    assert Fraction(verdict.epsilon) <= 1
    assert sum(note.startswith("rebuilt:") for note in verdict.notes) == 3


def test_the_report_tells_of_scores_in_people(desk: Desk) -> None:
    release = run_file(desk.release(epsilon="20", mechanism="mrm"), desk.folder / "out").release
    (scores,) = (answer for answer in release.answers if isinstance(answer, NoisyScores))
    (line,) = (query for query in facts(release, Tally(release.tables, release.rows)).queries if query.kind == "scores")
    assert (line.seq, line.columns, line.cells) == (scores.entry, None, len(scores.candidates))
    assert (line.mechanism, line.scale) == (scores.law, scores.scale / 1024)
    page = (desk.folder / "out" / "report.html").read_text()
    assert f"{len(scores.candidates)} candidate tables compared with the model: noisy distances" in page


def test_the_rows_have_the_types_ranges_and_categories_of_the_schema(desk: Desk) -> None:
    table = run_file(desk.release(), desk.folder / "out").release.to_arrow()
    assert table.schema.names == ["sex", "age", "income", "smokes"]
    assert [str(field.type) for field in table.schema] == ["string", "int64", "double", "bool"]
    frame = table.to_pandas()
    assert set(frame["sex"]) <= {"f", "m"}
    assert frame["age"].between(0, 99).all()
    assert frame["income"].dropna().between(0, 1000).all()
    assert not frame["age"].isna().any()
    assert pq.read_table(desk.folder / "out" / "data.parquet").equals(table)


@pytest.mark.parametrize("rows", [1, 37, 5000])
def test_a_number_of_rows_that_the_user_gives(desk: Desk, rows: int) -> None:
    published = run_file(desk.release(more=f"rows = {rows}"), desk.folder / "out")
    assert published.release.to_arrow().num_rows == rows
    assert verify(published.folder, rebuild=True).ok


def test_the_spend_is_the_whole_budget_and_no_more(desk: Desk) -> None:
    release = run_file(desk.release(), desk.folder / "out").release
    entries = [parse(line) for line in release.lines]
    spent = sum(Fraction(e.fields["cost"]["mu2"]) for e in entries if "cost" in e.fields)
    reserved = Budget(epsilon="1", delta="1e-6").cost().amount
    assert reserved * (1 - Fraction(1, 10**6)) < spent <= reserved
    assert [e.kind for e in entries][:2] == ["open", "reserve"]
    assert entries[-1].kind == "settle"


class TestTwice:
    def test_the_same_release_is_given_back_and_costs_nothing(self, desk: Desk) -> None:
        first = run_file(desk.release(), desk.folder / "one")
        before = contents(first.folder)
        again = run_file(desk.release(), desk.folder / "one")
        elsewhere = run_file(desk.release(), desk.folder / "two")
        assert contents(again.folder) == before
        assert contents(elsewhere.folder) == before
        with Accountant.open(f"{desk.table}.dpsynth.db") as accountant:
            assert accountant.account("default").held == Budget(epsilon="1", delta="1e-6").cost()

    def test_it_is_given_back_without_the_private_table(self, desk: Desk) -> None:
        before = contents(run_file(desk.release(), desk.folder / "one").folder)
        desk.table.unlink()
        assert contents(run_file(desk.release(), desk.folder / "two").folder) == before

    def test_it_is_given_back_whatever_the_limit_on_memory(self, desk: Desk) -> None:
        before = contents(run_file(desk.release(), desk.folder / "one", memory="2 GiB").folder)
        assert contents(run_file(desk.release(), desk.folder / "two", memory="3 GB").folder) == before
        limited = desk.release(source='people.csv"\nmemory = "4000 MB')
        assert contents(run_file(limited, desk.folder / "three").folder) == before
        counted = desk.release(source=f'people.csv"\nmemory = {3 << 30}\n#')
        assert contents(run_file(counted, desk.folder / "four").folder) == before

    def test_the_same_id_with_another_plan(self, desk: Desk) -> None:
        run_file(desk.release(), desk.folder / "out")
        with pytest.raises(ReleaseConflict) as raised:
            run_file(desk.release(more="seed = 9"), desk.folder / "out2")
        assert raised.value.exit_code == 32

    def test_a_second_different_request_is_refused_and_opens_nothing(self, desk: Desk) -> None:
        run_file(desk.release(), desk.folder / "out")
        desk.table.write_text("not,the,table\n")
        with pytest.raises(BudgetRefused) as raised:
            run_file(desk.release("second"), desk.folder / "out2")
        assert raised.value.exit_code == 10
        assert not (desk.folder / "out2").exists()

    def test_a_release_that_was_changed_on_disk_is_not_taken_for_itself(self, desk: Desk) -> None:
        folder = run_file(desk.release(), desk.folder / "out").folder
        before = contents(folder)
        (folder / "data.parquet").write_bytes(b"x")
        with pytest.raises(DigestMismatch, match="remove it and run again"):
            run_file(desk.release(), folder)
        for path in folder.iterdir():
            path.unlink()
        assert contents(run_file(desk.release(), folder).folder) == before

    def test_a_folder_with_something_else_is_left_alone(self, desk: Desk) -> None:
        (desk.folder / "out").mkdir()
        (desk.folder / "out" / "thesis.tex").write_text("x")
        with pytest.raises(ConfigurationError, match="out"):
            run_file(desk.release(), desk.folder / "out")
        assert contents(desk.folder / "out") == {"thesis.tex": b"x"}


class TestBadInput:
    def nothing_spent(self, desk: Desk) -> None:
        assert not (desk.folder / "out").exists()
        assert not Path(f"{desk.table}.dpsynth.db").exists()

    def test_a_missing_column(self, desk: Desk) -> None:
        desk.table.write_text("sex,age,income\nf,3,1\n")
        with pytest.raises(SourceError, match="smokes"):
            run_file(desk.release(), desk.folder / "out")
        self.nothing_spent(desk)

    @pytest.mark.parametrize("content", [b"", b"\n", b"1,2,3\n4,5,6\n"])
    def test_a_file_without_header(self, desk: Desk, content: bytes) -> None:
        desk.table.write_bytes(content)
        with pytest.raises(SourceError, match=r"people\.csv"):
            run_file(desk.release(), desk.folder / "out")
        self.nothing_spent(desk)

    def test_no_file_at_all(self, desk: Desk) -> None:
        desk.table.unlink()
        with pytest.raises(SourceError, match=r"people\.csv"):
            run_file(desk.release(), desk.folder / "out")
        self.nothing_spent(desk)

    def test_min_above_max(self, desk: Desk) -> None:
        schema = desk.folder / "schema.toml"
        schema.write_text(schema.read_text().replace("max = 99", "max = -1"))
        with pytest.raises(ConfigurationError, match="age"):
            run_file(desk.release(), desk.folder / "out")
        self.nothing_spent(desk)

    @pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf"])
    def test_an_epsilon_that_is_none(self, desk: Desk, epsilon: str) -> None:
        with pytest.raises(ConfigurationError, match="epsilon"):
            run_file(desk.release(epsilon=epsilon), desk.folder / "out")
        self.nothing_spent(desk)

    def test_an_epsilon_given_as_a_float(self, desk: Desk) -> None:
        with pytest.raises(BudgetFormatError, match="epsilon"):
            synthesize(desk.table, schema=desk.folder / "schema.toml", epsilon=1.0, delta="1e-6")  # type: ignore[arg-type]
        self.nothing_spent(desk)

    @pytest.mark.parametrize("content", [b"", b"garbage" * 999])
    def test_a_damaged_store_is_never_replaced(self, desk: Desk, content: bytes) -> None:
        store = Path(f"{desk.table}.dpsynth.db")
        store.write_bytes(content)
        with pytest.raises(StoreDamaged):
            run_file(desk.release(), desk.folder / "out")
        assert store.read_bytes() == content

    def test_a_missing_column_spends_nothing_of_a_named_account(self, desk: Desk) -> None:
        store = desk.folder / "accounts.db"
        with Accountant.open(store, create=True) as accountant:
            accountant.open_account(
                "a", entity="person", neighbours="add-remove", budget=Budget(epsilon="2", delta="1e-6")
            )
        desk.table.write_text("sex,age,income\nf,3,1\n")
        with pytest.raises(SourceError):
            run_file(desk.release(budget='account = "a"\nstore = "accounts.db"'), desk.folder / "out")
        with Accountant.open(store) as accountant:
            assert accountant.account("a").held == Cost.nothing("gdp")


class TestAccounts:
    def opened(self, desk: Desk, epsilon: str, entity: str = "person") -> str:
        with Accountant.open(desk.folder / "accounts.db", create=True) as accountant:
            accountant.open_account(
                "a", entity=entity, neighbours="add-remove", budget=Budget(epsilon=epsilon, delta="1e-6")
            )
        return 'account = "a"\nstore = "accounts.db"'

    def test_two_releases_share_an_account_until_it_is_empty(self, desk: Desk) -> None:
        budget = self.opened(desk, "1.6")
        run_file(desk.release("one", budget=budget), desk.folder / "1")
        run_file(desk.release("two", budget=budget), desk.folder / "2")
        with pytest.raises(BudgetRefused):
            run_file(desk.release("three", budget=budget), desk.folder / "3")
        assert verify(desk.folder / "2", rebuild=True).ok

    def test_an_account_that_is_not_there(self, desk: Desk) -> None:
        budget = self.opened(desk, "1").replace('"a"', '"b"')
        with pytest.raises(BudgetRefused, match="'b'"):
            run_file(desk.release(budget=budget), desk.folder / "out")

    def test_an_account_of_other_people(self, desk: Desk) -> None:
        budget = self.opened(desk, "1", entity="household")
        with pytest.raises(ConfigurationError, match="household"):
            run_file(desk.release(budget=budget), desk.folder / "out")

    def test_an_account_that_counts_in_another_measure(self, desk: Desk) -> None:
        budget = self.opened(desk, "1")
        with pytest.raises(ConfigurationError, match=r"'a' counts in gdp for ever.*write .budget. measure = \"gdp\""):
            run_file(desk.release(budget=f'{budget}\nmeasure = "zcdp"'), desk.folder / "out")
        with Accountant.open(desk.folder / "accounts.db") as accountant:
            assert accountant.account("a").held == Cost.nothing("gdp")

    @pytest.mark.parametrize(
        ("budget", "delta", "measure"),
        [("", "1e-6", "gdp"), ('measure = "zcdp"', "1e-6", "zcdp"), ('measure = "pure"', "0", "pure")],
    )
    def test_account_verdict_and_page_speak_the_measure_of_the_plan(
        self, desk: Desk, budget: str, delta: str, measure: Measure
    ) -> None:
        release = desk.release(mechanism="independent", budget=budget, delta=delta)
        folder = run_file(release, desk.folder / "out").folder
        verdict = verify(folder)
        assert (verdict.failures, verdict.measure, verdict.epsilon) == ((), measure, "1")
        assert Fraction(verdict.delta) == Fraction(delta)
        with Accountant.open(f"{desk.table}.dpsynth.db") as accountant:
            assert accountant.account("default").held == Cost(measure, Fraction(verdict.amount))
        assert f"{NAMES[measure]}, " in (folder / "report.html").read_text()

    def test_data_frames_must_name_an_account(self, desk: Desk) -> None:
        frame = pd.read_csv(desk.table)
        with pytest.raises(ConfigurationError, match="account"):
            synthesize(frame, schema=desk.folder / "schema.toml", epsilon="1", delta="1e-6")
        self.opened(desk, "1")
        for source in (frame, pa.Table.from_pandas(frame)):
            release = synthesize(
                source,
                schema=desk.folder / "schema.toml",
                epsilon="1",
                delta="1e-6",
                account="a",
                store=desk.folder / "accounts.db",
            )
            assert release.rows > 0


class TestWhoseBudget:
    def test_another_name_of_the_same_file_is_the_same_account(self, desk: Desk) -> None:
        run_file(desk.release(), desk.folder / "out")
        (desk.folder / "again.csv").symlink_to(desk.table)
        with pytest.raises(BudgetRefused):
            run_file(desk.release("second", source="again.csv"), desk.folder / "out2")

    def test_a_store_of_accounts_opens_no_other_one_by_itself(self, desk: Desk) -> None:
        TestAccounts().opened(desk, "1/100")
        with pytest.raises(ConfigurationError, match="'a'"):
            run_file(desk.release(budget='store = "accounts.db"'), desk.folder / "out")

    def test_a_release_id_belongs_to_one_table(self, desk: Desk) -> None:
        budget = 'store = "accounts.db"'
        run_file(desk.release(budget=budget), desk.folder / "out")
        (desk.folder / "other.csv").write_text(people(50, seed=1))
        with pytest.raises(ReleaseConflict):
            run_file(desk.release(budget=budget, source="other.csv"), desk.folder / "out2")

    def test_an_account_of_rows_does_not_pay_for_people(self, desk: Desk) -> None:
        budget = TestAccounts().opened(desk, "9")
        schema = desk.folder / "schema.toml"
        schema.write_text(schema.read_text().replace("[unit]\n", '[unit]\ncolumn = "note"\n'))
        with pytest.raises(ConfigurationError, match="note"):
            run_file(desk.release(budget=budget), desk.folder / "out")


def test_an_occupied_folder_is_told_before_anything_is_spent(desk: Desk) -> None:
    (desk.folder / "out").mkdir()
    (desk.folder / "out" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigurationError, match="out"):
        run_file(desk.release(), desk.folder / "out")
    assert not Path(f"{desk.table}.dpsynth.db").exists()


def test_another_run_into_the_same_place_disturbs_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    release = run_file(desk.release(), desk.folder / "first").release
    out = desk.folder / "out"
    with pytest.raises(ConfigurationError, match="meanwhile"), new_folder(out) as made:
        (made / "half").write_text("x")
        monkeypatch.setattr("os.getpid", lambda: 1)  # as another process
        require_place(out)
        release.save(out, desk.folder / "key.pem")
        assert (made / "half").exists()
    assert verify(out).ok
    assert not list(desk.folder.glob(".*.partial"))


def test_a_unit_too_large_for_any_noise_spends_nothing(desk: Desk) -> None:
    schema = desk.folder / "schema.toml"
    schema.write_text(schema.read_text().replace("[unit]\n", f'[unit]\ncolumn = "note"\nmax_rows = {2**62}\n'))
    with pytest.raises(ConfigurationError):
        run_file(desk.release(), desk.folder / "out")
    assert not Path(f"{desk.table}.dpsynth.db").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 1.5},
        {"rows": "10"},
        {"rows": 0},
        {"rows": -5},
        {"seed": 1.5},
        {"seed": -1},
        {"seed": 2**70},
        {"formats": "csv"},
        {"formats": ("csv",)},
        {"formats": ("xlsx",)},
        {"release": "../../x y"},
        {"release": ""},
        {"title": 5},
        {"mechanism": "magic"},
    ],
    ids=str,
)
def test_what_no_file_could_say_is_refused_before_anything_is_spent(desk: Desk, wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigurationError, match=name if name != "release" else "id"):
        synthesize(desk.table, schema=desk.folder / "schema.toml", epsilon="1", delta="1e-6", **wrong)  # type: ignore[arg-type]
    assert not Path(f"{desk.table}.dpsynth.db").exists()


def test_a_project_folder_may_be_moved(desk: Desk, tmp_path: Path) -> None:
    budget = 'store = "accounts.db"'
    before = contents(run_file(desk.release(budget=budget), desk.folder / "out").folder)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("people.csv", "schema.toml", "key.pem", "accounts.db", "first.toml"):
        (desk.folder / name).rename(moved / name)
    assert contents(run_file(moved / "first.toml", moved / "again").folder) == before


def test_progress_counts_queries_never_rows(desk: Desk) -> None:
    """Not the 400 private ones, that is; how many synthetic rows are written is given here, lest noise make it 400."""
    told: list[str] = []
    run_file(desk.release(more="rows = 123"), desk.folder / "out", progress=told.append)
    assert any("queries" in line for line in told)
    assert any(line.startswith("123 of 123 rows written") for line in told), told
    assert not any("400" in line for line in told)


def test_three_statements_of_python(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(desk.folder / "config"))
    release = dpsynth.synthesize(desk.table, schema=desk.folder / "schema.toml", epsilon="1", delta="1e-6")
    release.save(desk.folder / "out")
    assert dpsynth.verify(desk.folder / "out", rebuild=True).ok
    again = dpsynth.synthesize(str(desk.table), schema=desk.folder / "schema.toml", epsilon="1.0", delta="1/1000000")
    assert again.lines == release.lines
    with pytest.raises(BudgetRefused):
        dpsynth.synthesize(desk.table, schema=desk.folder / "schema.toml", epsilon="1/2", delta="1e-6")
    assert "Release(" in repr(release)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_table_runs_like_any_other(desk: Desk, rows: int) -> None:
    desk.table.write_text(people(rows))
    published = run_file(desk.release(), desk.folder / "out")
    assert set(contents(published.folder)) == FILES
    assert verify(published.folder, rebuild=True).ok


@pytest.mark.parametrize("unit", ["", 'column = "id"\nmax_rows = 3\n'])
def test_replace_one_and_many_rows_a_person(desk: Desk, unit: str) -> None:
    schema = desk.folder / "schema.toml"
    schema.write_text(schema.read_text().replace("[unit]\n", f'[unit]\nneighbours = "replace-one"\n{unit}'))
    lines = desk.table.read_text().splitlines()
    body = [f"{line},{i // 5}" for i, line in enumerate(lines[1:])]
    desk.table.write_text("\n".join([f"{lines[0]},id", *body]) + "\n")
    published = run_file(desk.release(), desk.folder / "out")
    assert verify(published.folder, rebuild=True).ok
    if not unit:
        assert published.release.rows == 400


def test_a_sample_is_free_and_bound_to_its_parent(desk: Desk) -> None:
    parent = run_file(desk.release(), desk.folder / "out").folder
    sample = derive(parent, rows=77, seed=5, out=desk.folder / "more", key=desk.folder / "key.pem")
    assert pq.read_table(sample / "data.parquet").num_rows == 77
    assert any("did not draw" in note for note in verify(sample).notes)
    verdict = verify(sample, parent=parent)
    assert verdict.ok, verdict.failures
    assert not any("did not draw" in note for note in verdict.notes)
    assert any("drawn again" in note for note in verdict.notes)
    with pytest.raises(ConfigurationError, match="--parent"):
        verify(sample, rebuild=True)
    with pytest.raises(ConfigurationError, match="--rebuild"):
        verify(parent, parent=parent)
    with pytest.raises(ConfigurationError, match="sign-with"):
        derive(parent, rows=77, seed=5, out=desk.folder / "else", key=SigningKey.generate())
    assert not (desk.folder / "else").exists()
    with pytest.raises(ConfigurationError, match="inside the release"):
        derive(parent, rows=77, seed=5, out=parent / "more", key=desk.folder / "key.pem")
    assert verify(parent).ok
    other = run_file(desk.release("other", budget='store = "other.db"'), desk.folder / "other").folder
    assert verify(sample, parent=other).exit_code == 21
    (parent / "model.npz").write_bytes(b"")
    with pytest.raises(DigestMismatch):
        derive(parent, rows=1, seed=5, out=desk.folder / "third", key=desk.folder / "key.pem")


@pytest.mark.parametrize(
    "processor",
    [
        {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"},
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "1"},
    ],
)
def test_the_rebuild_holds_on_another_processor(desk: Desk, processor: dict[str, str]) -> None:
    run_file(desk.release(), desk.folder / "out")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "dpsynth", "verify", str(desk.folder / "out"), "--rebuild"],
        env={**os.environ, **processor},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
