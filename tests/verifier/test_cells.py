"""What cells cost together, reckoned again from the lines of one release, and of several."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dpsynth import trust, verifier
from dpsynth.accountant import Accountant, Charge
from dpsynth.errors import UnknownEntry
from dpsynth.evidence import Report
from dpsynth.ledger import Guarantee, LedgerPredicate, ReleaseFacts, Software, canonical, parse
from dpsynth.ledger.schemas import schema
from dpsynth.privacy import GRID, Budget, Cells, Cost
from tests.verifier.build import KEY, digest

CAP = Budget("1", "1e-9")
UNIT = Fraction(int(CAP.cost().amount * GRID) // 100, GRID)
REGIONS = Cells("region", ("north", "south", "west"))


def open_study(accountant: Accountant, relation: str) -> None:
    unit: dict[str, Any] = {"entity": "row", "neighbours": relation, "budget": CAP}
    accountant.open_account("office", **unit, level="organisation", measure="zcdp")
    accountant.open_account("study", **unit, parent="office", level="population", cells=REGIONS)
    for label in ("north", "south"):
        accountant.open_account(label, **unit, parent="study", level="source", cell=label)
    accountant.open_account("desk", **unit, parent="north")
    accountant.open_account("beside", **unit, parent="study")


def charge(relation: str, squared: int) -> Charge:
    """The number of rows, with noise of scale 100."""
    fields: dict[str, Any] = {
        "mechanism": {"type": "rounded_gaussian", "sigma": "100"},
        "query": {"columns": [], "levels": [], "shape": [], "basis": "marginal"},
        "unit": {"entity": "row", "column": None, "max_rows": 1},
        "neighbours": relation,
        "sensitivity_squared": Fraction(squared),
        "chosen_by": [],
    }
    return Charge("measure", Cost("gdp", Fraction(squared, 10000)), fields)


def release(accountant: Accountant, account: str, number: int, relation: str, squared: int = 1) -> dict[str, Any]:
    """The ledger of a release of so many hundredths of the cap."""
    name, cost = f"{account}-{number}", Cost("gdp", number * UNIT)
    with accountant.reserve(account, release=name, plan=digest("plan"), cost=cost, quote=CAP) as reservation:
        reservation.store(reservation.draw([charge(relation, squared)]), b"x")
        reservation.settle()
    story = accountant.story(name)
    return LedgerPredicate(
        Guarantee(CAP, cost, "row", None, 1, relation),
        story.accounts[0],
        ReleaseFacts(name, digest("plan"), "independent", 2, "given", 7, digest("rows"), reservation.day),
        (),
        (),
        story.lines,
        Software("dpsynth-engine", "0.1.0"),
        story.head,
        story.accounts[1:],
    ).to_json(KEY)


def failures(ledger: dict[str, Any]) -> list[str]:
    report = Report()
    try:
        verifier.check_ledger(ledger, report)
    except verifier.Refused as refused:
        return [str(refused)]
    return [text for _, text in report.failures]


@pytest.fixture(params=["add-remove", "replace-one"])
def relation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ledgers(tmp_path: Path, relation: str) -> list[dict[str, Any]]:
    """Of four releases; one that is never published, and given up in the end, lies between them."""
    with Accountant.open(tmp_path / "store.db", create=True) as accountant:
        open_study(accountant, relation)
        given_up = accountant.reserve(
            "south", release="void", plan=digest("plan"), cost=Cost("gdp", 9 * UNIT), quote=CAP
        )
        found = [release(accountant, "desk", 12, relation), release(accountant, "south", 8, relation)]
        given_up.void()
        if relation == "add-remove":
            found.append(release(accountant, "beside", 5, relation))
        return [*found, release(accountant, "north", 7, relation)]


def test_they_verify_one_by_one_and_together(ledgers: list[dict[str, Any]]) -> None:
    for ledger in ledgers:
        assert failures(ledger) == []
    report = Report()
    cases = []
    for ledger in ledgers:
        entries = verifier.check_ledger(ledger, Report())
        cases.append(trust.Case(ledger, entries, {}, None, b"", None, "2026-01-01"))  # type: ignore[arg-type]
        cases[-1].heads = {ledger["log"]["size"]: ledger["log"]["root"]}
    trust.check_sums(cases, report)
    assert report.failures == []


def test_one_that_hides_what_the_others_paid_is_found(ledgers: list[dict[str, Any]], relation: str) -> None:
    last, cases = ledgers[-1], []
    for account in last["accounts"]:
        if account["name"] == "study":
            account["held_before"] = {"mu2": str(11 * UNIT), "delta": "0"}
    for ledger in ledgers:
        case = trust.Case(ledger, [], {}, None, b"", None, "2026-01-01")  # type: ignore[arg-type]
        case.entries = [verifier.read_entry(line.encode(), Report()) for line in ledger["entries"]]  # type: ignore[misc]
        case.heads = {ledger["log"]["size"]: ledger["log"]["root"]}
        cases.append(case)
    report = Report()
    trust.check_sums(cases, report)
    assert any("account study holds less mu2 before" in text for _, text in report.failures)


def line(ledger: dict[str, Any], kind: str, account: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the one line of a kind about an account."""
    for at, text in enumerate(ledger["entries"]):
        entry = parse(text.encode())
        if (entry.kind, entry.account) == (kind, account):
            value = {**entry.fields, "v": 1, "seq": entry.seq, "nonce": entry.stamp.nonce, "kind": kind}
            value |= {"day": entry.stamp.day, "account": account}
            change(value)
            ledger["entries"][at] = canonical(value).decode()


def amount(number: int) -> dict[str, str]:
    return {"mu2": str(number * UNIT), "delta": "0"}


def dearer(value: dict[str, Any]) -> None:
    value["parallel"]["others"][0] = amount(30)


FORGED: list[tuple[str, str, str, Callable[[dict[str, Any]], None], str]] = [
    ("others that cost more", "reserve", "south", dearer, "cells cost together"),
    ("no price", "reserve", "south", lambda v: v.pop("parallel"), "nothing prices cell south"),
    ("another account", "reserve", "south", lambda v: v["parallel"].update(account="office"), "nothing prices cell"),
    ("another cell", "reserve", "south", lambda v: v["parallel"].update(cell="north"), "nothing prices cell south"),
    ("one other", "reserve", "south", lambda v: v["parallel"]["others"].pop(), "nothing prices cell south"),
    ("an undivided account", "open", "study", lambda v: v.pop("cells"), "nothing prices cell south"),
    ("an unknown cell", "open", "study", lambda v: v["cells"].update(labels=["north"]), "nothing prices cell south"),
    ("a cell that is none", "open", "south", lambda v: v.pop("cell"), "held after|what is no cell"),
    ("a cell at the top", "open", "office", lambda v: v.update(cell="north"), "what is no cell"),
    ("cells and a cell", "open", "study", lambda v: v.update(cell="x"), "missing, not known"),
    ("a key too many", "reserve", "south", lambda v: v["parallel"].update(more=1), "missing, not known"),
]


@pytest.mark.parametrize(
    ("kind", "account", "change", "word"), [row[1:] for row in FORGED], ids=[row[0] for row in FORGED]
)
def test_a_forged_price_is_found(
    ledgers: list[dict[str, Any]], kind: str, account: str, change: Callable[[dict[str, Any]], None], word: str
) -> None:
    ledger = copy.deepcopy(ledgers[1])
    line(ledger, kind, account, change)
    found = failures(ledger)
    assert found, [
        (x["name"], float(Fraction(x["held_after"].get("mu2", 0))) / float(UNIT)) for x in ledger["accounts"]
    ]
    assert any(re.search(word, text) for text in found), found


def test_what_the_verifier_does_not_know_the_engine_does_not_read(ledgers: list[dict[str, Any]]) -> None:
    for name, kind, account, change, word in FORGED:
        ledger = copy.deepcopy(ledgers[1])
        line(ledger, kind, account, change)
        if word == "missing, not known" or name == "one other":
            with pytest.raises(UnknownEntry):
                [parse(text.encode()) for text in ledger["entries"]]
    validator = Draft202012Validator(schema("entry"))
    for ledger in ledgers:
        assert all(validator.is_valid(json.loads(text)) for text in ledger["entries"])


def test_the_number_of_rows_of_a_cell_is_never_free(tmp_path: Path) -> None:
    """Where each row is its own entity and n is public, a row that is replaced may leave its cell."""
    with Accountant.open(tmp_path / "store.db", create=True) as accountant:
        open_study(accountant, "replace-one")
        free = release(accountant, "north", 3, "replace-one", 0)
        assert any("its squared sensitivity is 1" in text for text in failures(free))
        whole = release(accountant, "beside", 3, "replace-one", 0)
        assert not any("squared sensitivity" in text for text in failures(whole))
