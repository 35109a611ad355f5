"""Accounts divided into cells, from the command line: opened, granted, shown, spent from, refused, and reviewed."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from tests.cli.test_commands import document
from tests.desk import Called, Desk, Office, call, make_office
from tests.report.test_page import Reader

TERMS = ("--epsilon", "2", "--delta", "1e-6", "--entity", "person")
TOLD = "the rows of sex=f alone count"


@pytest.fixture
def store(desk: Desk) -> Path:
    """``study``, divided by sex, with an account of each sex and one beside them."""
    store = desk.folder / "office.db"
    for name, *words in (
        ("study", "--level", "source", "--cells", "sex=f,m"),
        ("women", "--parent", "study", "--cell", "f"),
        ("men", "--parent", "study", "--cell", "m"),
        ("all", "--parent", "study"),
    ):
        called = call("budget", "open", name, "--store", store, *TERMS, *words)
        assert called.exit_code == 0, called.output
    return store


def run(desk: Desk, name: str, account: str, cell: str, **changes: str) -> Called:
    """A run of the release ``name``; ``cell`` is what its [data] says, if anything."""
    schema = f'schema.toml"\ncell = "{cell}' if cell else "schema.toml"
    budget = f'account = "{account}"\nstore = "office.db"'
    asked = {"schema": schema, "budget": budget, "mechanism": "independent", **changes}
    return call("run", desk.release(name, **asked), "--out", desk.folder / "out" / name, "--json")


def test_what_is_not_said_of_the_unit_is_as_in_the_account_above(tmp_path: Path) -> None:
    store = tmp_path / "office.db"
    opening = ("budget", "open", "--store", store, "--epsilon", "2", "--delta", "1e-6", "--json")
    unit = ("--entity", "person", "--column", "id", "--neighbours", "replace-one")
    assert call(*opening, "study", "--level", "source", "--cells", "region=coast,hills", *unit).exit_code == 0
    coast = document(call(*opening, "coast", "--parent", "study", "--cell", "coast"))
    assert [coast[key] for key in ("entity", "column", "neighbours")] == ["person", "id", "replace-one"]
    again = call(*opening, "coast", "--parent", "study", "--cell", "coast", *unit)
    assert again.exit_code == 0, "the same terms, said in full"
    other = call(*opening, "hills", "--parent", "study", "--cell", "hills", "--entity", "household")
    assert other.exit_code == 2
    assert "protects" in document(other)["error"]
    alone = document(call(*opening, "alone"))
    assert [alone[key] for key in ("entity", "column", "neighbours")] == ["row", None, "add-remove"]
    assert call(*opening, "x", "--parent", "nobody").exit_code == 10


def test_they_are_told_as_they_were_opened(store: Path) -> None:
    accounts = {one["account"]: one for one in document(call("budget", "show", "--store", store, "--json"))["accounts"]}
    divided = accounts["study"]["cells"]
    assert (divided["column"], divided["labels"], list(divided["reserved"])) == ("sex", ["f", "m"], ["f", "m"])
    assert accounts["women"]["cell"] == {"account": "study", "column": "sex", "label": "f"}
    assert not {"cell", "cells"} & accounts["all"].keys()
    shown = call("budget", "show", "women", "--store", store)
    assert "women sees sex=f alone, a cell of study" in shown.stderr
    assert "study is divided by column 'sex'" in shown.stderr


def test_cells_cost_together_what_the_largest_does_and_what_is_beside_them_adds_up(desk: Desk, store: Path) -> None:
    for name, account, cell in (("w", "women", "sex=f"), ("m", "men", "sex=m")):
        called = run(desk, name, account, cell, epsilon="3/2")
        assert called.exit_code == 0, called.output
        checked = call("verify", desk.folder / "out" / name, "--rebuild")
        assert checked.exit_code == 0, checked.output
        assert f"the cell {cell[-1]} of account study alone" in checked.output
    accounts = {one["account"]: one for one in document(call("budget", "show", "--store", store, "--json"))["accounts"]}
    held = {name: Fraction(one["reserved"]["mu2"]) for name, one in accounts.items()}
    assert held["study"] == held["women"] == held["men"] > held["all"] == 0
    refused = run(desk, "a", "all", "", epsilon="3/2")
    assert refused.exit_code == 10
    assert "'study' cannot pay" in document(refused)["error"]
    assert run(desk, "a", "all", "", epsilon="1").exit_code == 0
    page = json.loads(call("review", desk.folder / "out" / "w", "--store", store, "--json").stdout)["page"]
    assert TOLD in Reader(Path(page).read_text()).text


@pytest.mark.parametrize(
    ("account", "cell", "words"),
    [
        ("women", "", "account 'women' pays for one cell alone: write [data] cell = \"sex=f\""),
        ("women", "sex=m", 'write [data] cell = "sex=f"'),
        ("women", "smokes=f", 'write [data] cell = "sex=f"'),
        ("study", "sex=f", "account 'study' lies in no cell, and the plan reads 'sex=f' alone: remove [data] cell"),
        ("all", "sex=f", "account 'all' lies in no cell"),
        ("women", "sex", "data.cell"),
    ],
)
def test_a_plan_that_reads_another_cell_spends_nothing(
    desk: Desk, store: Path, account: str, cell: str, words: str
) -> None:
    called = run(desk, "a", account, cell)
    assert called.exit_code == 2
    assert words in document(called)["error"]
    assert not [*(desk.folder / "out").rglob("*")]
    found = document(call("budget", "show", "--store", store, "--json"))
    assert found["releases"] == []
    assert {Fraction(one["reserved"]["mu2"]) for one in found["accounts"]} == {0}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--cells", "sex"), "2 to 1,000 cells"),
        (("--cells", "sex=f,f"), "a label stands twice"),
        (("--cell", "f"), "cell 'f' of which account? Name its parent"),
        (("--parent", "study", "--cell", "x"), "account 'study' has no cell 'x'"),
        (("--parent", "study", "--cell", "f"), "cell 'f' of account 'study' has its account already"),
        (("--parent", "all", "--cell", "f"), "cannot stand under"),
    ],
)
def test_what_divides_nothing_is_refused_and_opens_nothing(store: Path, words: tuple[str, ...], says: str) -> None:
    called = call("budget", "open", "more", "--store", store, *TERMS, *words, "--json")
    assert called.exit_code == 2
    assert says in document(called)["error"]
    assert call("budget", "show", "more", "--store", store).exit_code == 10


class TestOfficers:
    """Accounts under officers, who sign what divides an account and which cell one is."""

    @pytest.fixture
    def office(self, tmp_path: Path) -> Office:
        office = make_office(tmp_path)
        self.open(office, "study", "--parent", "people", "--level", "source", "--cells", "sex=f,m")
        self.open(office, "women", "--parent", "study", "--cell", "f")
        return office

    def ask(self, office: Office, name: str, *words: str) -> Path:
        """A grant that both officers signed."""
        file = office.folder / f"{name}.json"
        asked = call("budget", "grant", name, "--store", office.store, "--request", file, *TERMS, *words)
        assert asked.exit_code == 0, asked.output
        for officer in ("ana", "bo"):
            signed = call("keys", "sign", file, "--key", office.key(officer))
            assert signed.exit_code == 0
            told = "divided by column 'sex' into f, m" if "--cells" in words else "it is the cell"
            assert told in signed.stderr, "what is signed is told"
        return file

    def open(self, office: Office, name: str, *words: str) -> None:
        called = call("budget", "open", name, "--store", office.store, "--grant", self.ask(office, name, *words))
        assert called.exit_code == 0, called.output

    def run(self, office: Office, cell: str) -> Called:
        schema, budget = f'schema.toml"\ncell = "{cell}', 'account = "women"\nstore = "accounts.db"'
        path = office.desk.release(schema=schema, budget=budget, mechanism="independent")
        return call("run", path, "--out", office.out)

    def test_a_release_of_a_cell_is_reviewed_approved_and_published(self, office: Office) -> None:
        assert self.run(office, "sex=m").exit_code == 2
        assert self.run(office, "sex=f").exit_code == 11
        for words in ((), ("--store", office.store), ("--root", office.root)):
            page = json.loads(call("review", office.pending, *words, "--json").stdout)["page"]
            assert TOLD in Reader(Path(page).read_text()).text
        office.approve("ana", "bo")
        assert self.run(office, "sex=f").exit_code == 0
        checked = call("verify", office.out, "--root", office.root, "--fresh")
        assert checked.exit_code == 0, checked.output
        assert "the cell f of account study alone" in checked.output

    def test_a_grant_opens_the_cell_that_was_signed_and_no_other(self, office: Office) -> None:
        file = self.ask(office, "men", "--parent", "study", "--cell", "m")
        words = ("budget", "open", "men", "--store", office.store, "--grant", file)
        other = call(*words, "--cell", "f")
        assert (other.exit_code, "the grant is for an account with another cell" in other.stderr) == (2, True)
        taken = self.ask(office, "others", "--parent", "study", "--cell", "f")
        again = call("budget", "open", "others", "--store", office.store, "--grant", taken)
        assert (again.exit_code, "has its account already" in again.stderr) == (2, True)
        assert call(*words).exit_code == 0
        (account, *_) = document(call("budget", "show", "men", "--store", office.store, "--json"))["accounts"]
        assert account["cell"] == {"account": "study", "column": "sex", "label": "m"}
