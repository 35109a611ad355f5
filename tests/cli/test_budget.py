"""The budget commands: trees of accounts, grants that people sign, the lines, and what is given back."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dpsynth.accountant import Accountant
from dpsynth.ledger.drafts import next_root
from dpsynth.ledger.dsse import add_signature
from dpsynth.ledger.trust import Trust
from dpsynth.privacy import Budget
from tests.accountant.governed_contract import PLAN, ROOT, SMALL, settle
from tests.cli.test_commands import call, document
from tests.ledger.office import ANA, BEN, DORA, END, PEOPLE, key, person, signed


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "office.db"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root.json").write_bytes(ROOT)
    return tmp_path / "root.json"


def sign(path: Path, *keys: Any) -> None:
    """As officers do it, each on their own machine."""
    for one in keys:
        path.write_bytes(add_signature(path.read_bytes(), one))


def ask(name: str, file: Path, *words: object, code: int = 0) -> Any:
    promise = ("--epsilon", "1", "--delta", "1e-9")
    result = call("budget", "grant", name, "--request", file, *promise, *words, "--json")
    assert result.exit_code == code, result.stderr
    return document(result)


@pytest.fixture
def governed(tmp_path: Path, store: Path, root: Path) -> Path:
    file = tmp_path / "births.json"
    unit = ("--level", "population", "--entity", "person", "--column", "id")
    ask("births", file, "--store", store, "--root", root, *unit, "--justification", "a first release")
    sign(file, ANA, BEN)
    opened = call("budget", "open", "births", "--store", store, "--grant", file, "--root", root, "--json")
    assert opened.exit_code == 0, opened.stderr
    return store


def test_a_tree_is_opened_and_shown_as_one(store: Path) -> None:
    for name, *words in (
        ("office", "--level", "organisation", "--epsilon", "3"),
        ("other", "--level", "organisation", "--epsilon", "1"),
        ("births", "--level", "population", "--parent", "office", "--epsilon", "2"),
        ("map", "--parent", "births", "--epsilon", "1"),
    ):
        result = call("budget", "open", name, "--store", store, "--delta", "1e-9", "--entity", "person", *words)
        assert result.exit_code == 0, result.stderr
    with Accountant.open(store) as accountant:
        settle(accountant, "r1", "map")
    shown = call("budget", "show", "--store", store).stdout.splitlines()
    assert [line.split()[0] for line in shown[2:6]] == ["office", "births", "map", "other"]
    assert [len(line) - len(line.lstrip()) for line in shown[2:6]] == [0, 2, 4, 0]
    assert shown[6] == ""
    assert [line.split() for line in shown[9:]] == [["r1", "map", "SETTLED"]]
    accounts = document(call("budget", "show", "map", "--store", store, "--json"))["accounts"]
    assert [account["account"] for account in accounts] == ["map", "births", "office"]
    assert [account["parent"] for account in accounts] == ["births", "office", None]
    assert {account["reserved"]["mu2"] for account in accounts} == {str(SMALL.amount)}
    wrong = call("budget", "open", "x", "--store", store, "--parent", "map", "--epsilon", "1", "--delta", "1e-9")
    assert wrong.exit_code == 2


def test_what_was_asked_in_vain_is_counted(store: Path) -> None:
    assert call("budget", "open", "a", "--store", store, "--epsilon", "1/10", "--delta", "1e-9").exit_code == 0
    with Accountant.open(store) as accountant:
        for release in ("r1", "r2"):
            with pytest.raises(Exception, match="cannot pay"):
                settle(accountant, release, "a", Budget("1", "1e-9").cost())
    (account,) = document(call("budget", "show", "--store", store, "--json"))["accounts"]
    assert account["attempts"] == {"refused": 2, "lost": 0, "rejected": 0}
    header, _, row, _, *states = call("budget", "show", "--store", store).stdout.splitlines()
    assert "in vain" in header
    assert row.split().count("2") == 1
    lines = call("budget", "history", "a", "--store", store).stdout.splitlines()
    assert lines[3:] == ["", *states]
    assert [line.split() for line in states[2:]] == [["r1", "a", "PLANNED"], ["r2", "a", "PLANNED"]]
    assert lines[1].endswith("refused    r1  asked mu2 0.0331148, 'a' could not pay")


def test_officers_grant_and_only_they_do(governed: Path, tmp_path: Path) -> None:
    file = tmp_path / "more.json"
    asked = ask("births", file, "--store", governed, "--epsilon", "2", "--reason", "new-people")
    assert asked["policy"] == {"epsilon": "2", "delta": "1/1000000000"}
    words = ("budget", "grant", "births", "--store", governed, "--grant", file, "--json")
    for keys, code in (((), 26), ((ANA,), 26), ((key("stranger"),), 26), ((BEN,), 0)):
        sign(file, *keys)
        result = call(*words)
        assert result.exit_code == code, result.stderr
    assert document(result)["policy"]["epsilon"] == "2"
    assert call(*words).exit_code == 2, "a grant is used once"
    assert call("budget", "grant", "births", "--store", governed, "--grant", tmp_path / "births.json").exit_code == 2
    told = call("budget", "history", "births", "--store", governed).stdout
    assert "epsilon 2 at delta 1/1000000000, new-people" in told
    shown = call("budget", "show", "--store", governed)
    assert "officers govern births" in shown.stderr


def test_officers_set_a_part_of_delta_aside_for_finding_values(governed: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "some.json", tmp_path / "more.json"
    words = ("--store", governed, "--reason", "policy-change")
    refused = ask("births", tmp_path / "no.json", *words, "--delta0", "1e-10", code=2)
    assert "never takes away" in refused["error"], "a part of delta leaves less of the other amount"
    asked = ask("births", first, *words, "--epsilon", "2", "--delta0", "1e-10")
    part = Fraction(asked["added"]["delta"])
    assert Fraction(1, 10**10) <= part < Fraction(1, 10**10) + Fraction(1, 2**60)
    for file, more in ((first, ()), (second, ("--epsilon", "3"))):
        if more:
            assert ask("births", file, *words, *more)["added"]["delta"] == "0"
        sign(file, ANA, BEN)
        result = call("budget", "grant", "births", "--store", governed, "--grant", file, "--json")
        assert result.exit_code == 0, result.output
        assert Fraction(document(result)["cap"]["delta"]) == part
    assert "is set aside for finding values" in call("budget", "show", "--store", governed).stderr


def test_an_account_below_takes_its_root_from_the_store(governed: Path, tmp_path: Path) -> None:
    file = tmp_path / "map.json"
    unit = ("--entity", "person", "--column", "id")
    asked = ask("map", file, "--store", governed, "--parent", "births", *unit)
    assert (asked["root"], asked["parent"]) == (Trust.parse(ROOT).digest, "births")
    sign(file, ANA, BEN)
    result = call("budget", "open", "map", "--store", governed, "--grant", file)
    assert result.exit_code == 0, result.stderr
    without = ("budget", "open", "free", "--store", governed, "--parent", "births", "--epsilon", "1", "--delta", "1e-9")
    assert call(*without, "--entity", "person", "--column", "id").exit_code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--store", "{store}", "--reason", "opening", "--epsilon", "2"), "is open already: say the --reason"),
        (("--store", "{store}", "--reason", "new-people"), "may give that already"),
        (("--store", "{store}", "--reason", "new-people", "--epsilon", "1/2"), "may give that already"),
        (("--store", "{store}", "--parent", "deaths"), "there is no such account"),
        (("--store", "{store}.2"), "there is no store"),
        (("--store", "{store}.2", "--parent", "births"), "there is no store"),
        ((), "--store"),
    ],
)
def test_a_request_that_says_too_little(governed: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    file = tmp_path / "more.json"
    name = "map" if "--parent" in words else "births"
    said = ask(name, file, *(word.format(store=governed) for word in words), code=2)
    assert told in said["error"]
    assert not file.exists()


def test_a_request_never_replaces_a_file(governed: Path, tmp_path: Path) -> None:
    before = (tmp_path / "births.json").read_bytes()
    words = ("--store", governed, "--epsilon", "2", "--reason", "new-people")
    assert "never written over" in ask("births", tmp_path / "births.json", *words, code=2)["error"]
    assert (tmp_path / "births.json").read_bytes() == before
    for both in ((), ("--grant", tmp_path / "births.json", "--request", tmp_path / "x.json")):
        assert call("budget", "grant", "births", "--store", governed, *both).exit_code == 2


def test_a_request_that_was_signed_for_another_store_or_account(governed: Path, tmp_path: Path, root: Path) -> None:
    file = tmp_path / "deaths.json"
    other = tmp_path / "other.db"
    asked = ask("deaths", file, "--store", other, "--root", root, "--level", "population")
    with Accountant.open(other) as accountant:
        assert (asked["origin"], accountant.accounts()) == (accountant.origin, ())
    sign(file, ANA, BEN)
    refused = call("budget", "open", "deaths", "--store", governed, "--grant", file, "--root", root)
    assert refused.exit_code == 2
    assert asked["origin"] in refused.stderr
    file.unlink()
    ask("deaths", file, "--store", governed, "--root", root, "--level", "population")
    sign(file, ANA, BEN)
    assert call("budget", "grant", "births", "--store", governed, "--grant", file).exit_code == 2
    assert call("budget", "open", "births", "--store", governed, "--grant", file, "--root", root).exit_code == 2
    assert call("budget", "open", "deaths", "--store", governed, "--grant", file).exit_code == 2
    result = call("budget", "open", "deaths", "--store", governed, "--grant", file, "--root", root)
    assert result.exit_code == 0, result.stderr


def test_the_next_root_is_put_in_force(governed: Path, tmp_path: Path) -> None:
    people = (*PEOPLE[:2], person("dora"), PEOPLE[3])
    second = signed(next_root(Trust.parse(ROOT), expires=END, people=people), ANA, BEN, DORA)
    (tmp_path / "root-2.json").write_bytes(second)
    result = call("budget", "root", "births", "--store", governed, "--root", tmp_path / "root-2.json", "--json")
    assert result.exit_code == 0, result.stderr
    assert document(result)["root"] == Trust.parse(second).digest
    lines = document(call("budget", "history", "births", "--store", governed, "--json"))["lines"]
    assert [line["kind"] for line in lines] == ["open", "root"]


def test_a_release_is_voided_before_it_drew_and_never_after(store: Path) -> None:
    assert call("budget", "open", "a", "--store", store, "--epsilon", "1", "--delta", "1e-9").exit_code == 0
    with Accountant.open(store) as accountant:
        accountant.reserve("a", release="r1", plan=PLAN, cost=SMALL, quote=Budget("1", "1e-9")).close()
        settle(accountant, "r2", "a")
    result = call("budget", "void", "r1", "--store", store, "--json")
    assert document(result) == {"ok": True, "release": "r1", "state": "VOID"}
    assert call("budget", "void", "r2", "--store", store).exit_code == 2
    (account,) = document(call("budget", "show", "--store", store, "--json"))["accounts"]
    assert account["reserved"]["mu2"] == str(SMALL.amount)
    told = call("budget", "history", "a", "--store", store).stdout
    lines, states = told.split("\n\n")
    assert [line.split()[2] for line in lines.splitlines()] == ["open", "reserve", "reserve", "settle", "void"]
    assert [line.split() for line in states.splitlines()[2:]] == [["r1", "a", "VOID"], ["r2", "a", "SETTLED"]]


def test_other_releases_are_noted(store: Path) -> None:
    assert call("budget", "open", "a", "--store", store, "--epsilon", "1", "--delta", "1e-9").exit_code == 0
    note = ("budget", "external", "a", "--store", store, "--what", "the yearbook of 2024")
    assert call(*note).exit_code == 0
    assert call(*note, "--epsilon", "2", "--delta", "1e-9").exit_code == 0
    assert call(*note, "--epsilon", "2").exit_code == 2
    lines = call("budget", "history", "a", "--store", store).stdout.splitlines()
    assert lines[1].endswith("external   the yearbook of 2024, no claim")
    assert lines[2].endswith("the yearbook of 2024, epsilon 2 at delta 1/1000000000")


def test_a_store_that_was_taken_back_is_told(store: Path, tmp_path: Path) -> None:
    assert call("budget", "open", "a", "--store", store, "--epsilon", "1", "--delta", "1e-9").exit_code == 0
    copy = store.read_bytes()
    with Accountant.open(store) as accountant:
        settle(accountant, "r1", "a")
    store.write_bytes(copy)
    result = call("budget", "open", "b", "--store", store, "--epsilon", "1", "--delta", "1e-9", "--json")
    assert result.exit_code == 24
    assert "anchored at size 3" in document(result)["error"]
    assert json.loads(call("budget", "show", "--store", store, "--json").stdout)["ok"]


@pytest.mark.parametrize("scheme", ["mysql", "sqlite", "postgres", "file", "", "POSTGRESQL"])
def test_a_store_of_another_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """It would be taken for the name of a file; the message holds no password."""
    monkeypatch.chdir(tmp_path)
    words = ("--store", f"{scheme}://user:secret@host/accounts", "--epsilon", "1", "--delta", "1e-9")
    for command in (("open", "a", *words), ("show", *words[:2])):
        result = call("budget", *command)
        assert result.exit_code == 2
        assert "an SQLite file, or postgresql:// or postgresql+psycopg://USER@HOST/DATABASE" in result.stderr
        assert "secret" not in result.stderr
    assert not list(tmp_path.iterdir())
