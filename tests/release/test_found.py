"""A release some of whose values were found privately: what it publishes, rebuilds, samples and refuses."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from dpsynth.accountant import Accountant
from dpsynth.errors import BudgetRefused, ConfigurationError, DigestMismatch
from dpsynth.measurement import Partitions, labels, pack, read_archive
from dpsynth.mechanisms import REGISTRY
from dpsynth.privacy import Budget, part_of
from dpsynth.release import derive, synthesize
from dpsynth.release.describe import read_found, read_plan
from dpsynth.release.plan import Plan
from dpsynth.release.planned import preview
from dpsynth.release.rebuild import rebuild_release, redraw_sample
from dpsynth.release.release import Release
from dpsynth.schema import Schema
from dpsynth.verifier import verify
from tests.desk import call

SCHEMA = """
[unit]
entity = "person"
column = "id"
max_rows = 2
[columns.town]
type = "categorical"
values = "private"
otherwise = "elsewhere"
nullable = true
[columns.age]
type = "integer"
min = 0
max = 9
[columns.shop]
type = "categorical"
values = "private"
max_values = 2
"""
TOWNS = ("Ulm", "Köln", "a, b", "Bonn")


def table(rare: bool = True) -> str:
    lines = []
    for i in range(3000):
        town = TOWNS[i % 4] if i % 13 else ""
        if rare and i % 50 == 7:
            town = f"hamlet {i}"
        lines.append(f'{i // 2},"{town}",{i % 10},{"xyz"[i % 3]}')
    return "\n".join(["id,town,age,shop", *lines]) + "\n"


def make(folder: Path, **more: Any) -> Release:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "people.csv").exists():
        (folder / "people.csv").write_text(table())
    # One of the 60 hamlets shows by chance once in a billion makings, and one of the towns does not still less often.
    given = {"epsilon": "4", "delta": "1e-9", "release": "towns", **more}
    return synthesize(folder / "people.csv", schema=Schema.parse(SCHEMA), **given)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make(tmp_path_factory.mktemp("found"))


@pytest.fixture(scope="module")
def folder(made: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.save(tmp_path_factory.mktemp("folder") / "towns")


def package(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "datapackage.json").read_bytes())
    return found


class TestWhatIsPublished:
    def test_common_values_are_found_and_rare_ones_are_not(self, made: Release) -> None:
        assert made.found == {"town": tuple(sorted(TOWNS)), "shop": made.found["shop"]}
        assert set(made.found["shop"]) < set("xyz")
        assert len(made.found["shop"]) == 2

    def test_rows_hold_found_values_the_rest_and_nulls(self, made: Release) -> None:
        frame = made.to_pandas()
        assert set(frame["town"].dropna()) == {*TOWNS, "elsewhere"}
        assert frame["town"].isna().any()
        assert set(frame["shop"]) == {*made.found["shop"], "other"}
        third = (frame["shop"] == "other").mean()
        assert 0.2 < third < 0.46

    def test_the_declared_schema_stands_beside_what_was_found(self, folder: Path, made: Release) -> None:
        said = package(folder)
        assert Schema.parse(said["dpsynth"]["schema"]) == Schema.parse(SCHEMA)
        assert said["dpsynth"]["found"] == {name: list(values) for name, values in made.found.items()}
        fields = {one["name"]: one for one in said["resources"][0]["schema"]["fields"]}
        assert fields["town"]["constraints"]["enum"] == [*sorted(TOWNS), "elsewhere"]

    def test_no_label_is_in_the_ledger(self, folder: Path) -> None:
        text = (folder / "ledger.dsse.json").read_bytes() + b"".join(line.encode() for line in entries(folder))
        assert not any(json.dumps(town).strip('"').encode() in text for town in TOWNS)

    def test_the_report_tells_what_was_found_and_at_what_delta(self, folder: Path) -> None:
        text = (folder / "report.html").read_text()
        assert "values of town that about" in text
        assert "values found privately" in text
        assert "hamlet" not in text

    def test_a_part_of_delta_is_reserved_and_all_of_it_spent(self, folder: Path) -> None:
        lines = [json.loads(line) for line in entries(folder)]
        reserve, settle = (next(one for one in lines if one["kind"] == kind) for kind in ("reserve", "settle"))
        part = Fraction(reserve["reserved"]["delta"])
        assert part == part_of("1e-10")
        assert 0 <= part - Fraction(settle["spent"]["delta"]) < Fraction(2, 2**60)  # split over two columns
        assert verify(folder).ok

    def test_nothing_is_told_of_releases_without_private_values(self, tmp_path: Path) -> None:
        (tmp_path / "people.csv").write_text(table())
        schema = Schema.parse('[columns.age]\ntype = "integer"\nmin = 0\nmax = 9\n')
        folder = synthesize(tmp_path / "people.csv", schema=schema, epsilon="1", delta="1e-6").save(tmp_path / "r")
        assert set(package(folder)["dpsynth"]) == {"plan", "schema", "rows"}
        assert not any("privately: " in note and "columns whose" in note for note in verify(folder).notes)


def entries(folder: Path) -> list[str]:
    from dpsynth.release.check import read_statement

    found: list[str] = read_statement(folder).predicate["entries"]
    return found


class TestRunningAgain:
    @pytest.mark.parametrize("mechanism", REGISTRY)
    def test_every_mechanism_and_law_rebuilds(self, tmp_path: Path, mechanism: str) -> None:
        noise = {"measure": "zcdp", "noise": "opendp"} if mechanism == "mst" else {}
        folder = make(tmp_path, mechanism=mechanism, **noise).save(tmp_path / "out")
        assert verify(folder).ok
        assert any("model fitted again" in said for said in rebuild_release(folder))

    def test_a_settled_release_is_given_back_without_its_rows(self, tmp_path: Path) -> None:
        first = make(tmp_path)
        (tmp_path / "people.csv").write_text(table(rare=False))
        again = make(tmp_path)
        assert again.found == first.found
        assert again.to_arrow().equals(first.to_arrow())

    def test_where_nothing_is_found_there_is_a_release_all_the_same(self, tmp_path: Path) -> None:
        (tmp_path / "people.csv").write_text("id,town,age,shop\n")
        made = make(tmp_path, rows=20)
        assert made.found == {"town": (), "shop": ()}
        assert set(made.to_pandas()["shop"]) == {"other"}
        assert any("drawn again" in said for said in rebuild_release(made.save(tmp_path / "out")))


class TestSamples:
    def test_a_condition_may_name_a_found_value(self, made: Release, folder: Path, tmp_path: Path) -> None:
        where = f"town = 'Köln' and shop in ('{made.found['shop'][0]}', 'other')"
        out = derive(folder, rows=50, seed=3, out=tmp_path / "ulm", where=where)
        rows = pyarrow.parquet.read_table(out / "data.parquet").to_pylist()
        assert {row["town"] for row in rows} == {"Köln"}
        assert redraw_sample(out, folder)
        assert package(out)["dpsynth"]["found"] == package(folder)["dpsynth"]["found"]

    def test_and_no_value_that_was_not_found(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="town"):
            derive(folder, rows=5, seed=3, out=tmp_path / "no", where="town = 'hamlet 7'")


class TestTampering:
    def test_rebuilding_finds_other_labels_than_were_measured(
        self, made: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(made.__dict__, "found", {**made.found, "shop": ("x", "never seen")})
        monkeypatch.delitem(made.__dict__, "codecs", raising=False)
        folder = made.save(tmp_path / "forged")
        assert verify(folder).ok
        with pytest.raises(DigestMismatch, match="the values found are not those of measurements"):
            rebuild_release(folder)

    def test_rebuilding_finds_a_value_slipped_into_the_answers(
        self, made: Release, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = next(answer for answer in made.answers if isinstance(answer, Partitions))
        values = tuple(sorted((*one.values, "slipped in")))
        forged = Partitions(
            one.column,
            values,
            np.full(len(values), 999),
            one.scale,
            one.law,
            one.threshold,
            one.delta,
            one.entry,
        )
        answers = tuple(forged if answer is one else answer for answer in made.answers)
        monkeypatch.setitem(made.__dict__, "answers", answers)
        out = made.save(tmp_path / "forged")
        with pytest.raises(DigestMismatch, match="were changed"):
            rebuild_release(out)

    @pytest.mark.parametrize(
        "stated", [{}, {"town": ["a"]}, {"town": 3, "shop": []}, {"age": [], "town": [], "shop": []}]
    )
    def test_a_package_that_lacks_columns_is_refused(self, folder: Path, stated: dict[str, Any]) -> None:
        said = package(folder)
        said["dpsynth"]["found"] = stated
        data = json.dumps(said).encode()
        with pytest.raises(DigestMismatch, match="values found"):
            read_found(data, read_plan(data))

    def test_the_archive_says_what_was_found(self, folder: Path, made: Release) -> None:
        answers = read_archive(folder / "measurements.npz")
        assert labels(Schema.parse(SCHEMA), answers) == made.found
        assert pack(answers) == (folder / "measurements.npz").read_bytes()


def plan(**more: Any) -> Plan:
    budget = Budget(epsilon="1", delta="0" if more.get("measure") == "pure" else "1e-6")
    return Plan(**{"release": "r", "schema": Schema.parse(SCHEMA), "mechanism": "mst", "budget": budget, **more})


class TestPlans:
    def test_it_tells_how_many_people_a_value_needs(self) -> None:
        lines = preview(plan())
        asked = [line for line in lines if line.threshold is not None]
        assert [line.columns for line in asked] == [("town",), ("shop",)]
        assert all(line.threshold is not None and line.threshold > 5 * line.scale for line in asked)
        assert sum(line.share for line in lines) == 1

    def test_what_is_spent_is_what_was_planned(self, made: Release) -> None:
        planned = [line.threshold for line in preview(made.plan) if line.threshold is not None]
        assert planned == [answer.threshold for answer in made.answers if isinstance(answer, Partitions)]

    def test_a_pure_measure_refuses_with_the_reason(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'town'.*delta_0.*list the values"):
            plan(measure="pure")

    def test_the_cost_is_reckoned_for_what_is_left_of_delta(self) -> None:
        cost = plan().cost
        assert cost.amount == Budget(epsilon="1", delta=Fraction(1, 10**6) - cost.delta).cost().amount


class TestCommands:
    @pytest.fixture
    def desk(self, tmp_path: Path) -> Path:
        (tmp_path / "people.csv").write_text(table())
        (tmp_path / "schema.toml").write_text(SCHEMA)
        (tmp_path / "release.toml").write_text(
            '[data]\nsource = "people.csv"\nschema = "schema.toml"\n'
            '[budget]\naccount = "people"\nstore = "office.db"\nepsilon = "1"\ndelta = "1e-6"\n'
            '[mechanism]\nname = "independent"\n[release]\nid = "towns"\n'
        )
        return tmp_path

    def open(self, desk: Path, *more: str) -> Any:
        terms = ("--epsilon", "2", "--delta", "1e-6", "--entity", "person", "--column", "id")
        return call("budget", "open", "people", "--store", desk / "office.db", *terms, *more)

    def test_plan_shows_it(self, desk: Path) -> None:
        said = call("plan", desk / "release.toml")
        assert "a value of town needs about" in said.stdout
        document = json.loads(call("plan", desk / "release.toml", "--json").stdout)
        assert [query["columns"] for query in document["queries"] if "threshold" in query] == [["town"], ["shop"]]

    def test_an_account_with_a_part_of_delta_pays(self, desk: Path) -> None:
        opened = self.open(desk, "--delta0", "2e-7")
        assert opened.exit_code == 0
        assert "set aside for finding values privately" in opened.output
        done = call("run", desk / "release.toml", "--out", desk / "out")
        assert done.exit_code == 0, done.stderr
        shown = json.loads(call("budget", "show", "people", "--store", desk / "office.db", "--json").stdout)
        account = shown["accounts"][0]
        assert 0 < Fraction(account["reserved"]["delta"]) <= Fraction(account["cap"]["delta"])

    def test_an_account_without_one_refuses_before_anything_is_read(self, desk: Path) -> None:
        self.open(desk)
        done = call("run", desk / "release.toml", "--out", desk / "out")
        assert done.exit_code == 10
        assert "--delta0" in done.stderr
        assert not (desk / "out").exists()

    def test_a_part_that_is_no_part_is_refused(self, desk: Path) -> None:
        assert self.open(desk, "--delta0", "1e-6").exit_code == 2
        assert self.open(desk, "--delta0", "1", "--measure", "pure").exit_code == 2


def test_its_own_store_sets_aside_what_the_plan_needs(made: Release) -> None:
    assert made.cap == made.plan.cost
    assert made.cap.delta > 0
    assert 0 <= made.cap.delta - 2 * made.plan.delta0 < Fraction(2, 2**60)


def test_an_account_in_the_tree_that_set_nothing_aside_refuses(tmp_path: Path) -> None:
    budget = Budget(epsilon="4", delta="1e-6")
    terms: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": "add-remove", "budget": budget}
    with Accountant.open(tmp_path / "office.db", create=True) as accountant:
        accountant.open_account("top", level="source", **terms)
        accountant.open_account("people", parent="top", delta0=Fraction(1, 10**6) / 5, **terms)
    with pytest.raises(BudgetRefused, match=r"'top'.*list the values"):
        make(tmp_path / "data", account="people", store=tmp_path / "office.db")


@pytest.mark.parametrize(("epsilon", "delta", "part"), [("1", "1e-9", "1e-10"), ("3/2", "1e-6", "1/10000000")])
def test_an_account_of_just_the_budget_pays_once_a_tenth_of_delta_is_set_aside(
    epsilon: str, delta: str, part: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(table(), encoding="utf-8")
    with Accountant.open(tmp_path / "a.db", create=True) as accountant:
        budget = Budget(epsilon, delta)
        accountant.open_account("people", entity="person", column="id", neighbours="add-remove", budget=budget)
        aside = {"entity": "person", "column": "id", "neighbours": "add-remove", "delta0": part_of(part)}
        accountant.open_account("finders", budget=budget, **aside)
    asked: dict[str, Any] = {"schema": Schema.parse(SCHEMA), "epsilon": epsilon, "delta": delta}
    with pytest.raises(BudgetRefused):
        synthesize(tmp_path / "t.csv", account="people", store=tmp_path / "a.db", release="r-1", **asked)
    release = synthesize(tmp_path / "t.csv", account="finders", store=tmp_path / "a.db", release="r-2", **asked)
    assert release.cap == release.held_after
