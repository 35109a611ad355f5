"""5. Thirty-two processes ask at once, again and again: no cap is ever passed and nothing is left over.

Here each asks ten times, by the way that users take: with anchors, and a line of the log for each refusal. The
contract of the stores (tests/accountant/store_contract.py) has two hundred asks each.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dpsynth.accountant import Accountant
from dpsynth.errors import BudgetRefused, StoreBusy
from dpsynth.ledger import parse
from dpsynth.privacy import Budget, Cost
from tests.accountant.postgres_server import APP, OWNER, Server, postgres, schema_of, url
from tests.processes import at_once, when_free

PROCESSES, ASKS, ROOM = 32, 10, 40
ONE = Cost("gdp", Fraction(1, 2**16))
QUOTE = Budget(epsilon="1", delta="1e-9")
PLAN = "sha256:" + "0" * 64

__all__ = ["postgres"]  # a fixture


def ask(store: str, worker: int) -> tuple[int, int]:
    """Ask again and again for the same; how many were granted and refused."""
    granted = refused = 0
    with when_free(Accountant.open, store) as accountant:
        for turn in range(ASKS):
            while True:
                try:
                    accountant.reserve("desk", release=f"{worker}-{turn}", plan=PLAN, cost=ONE, quote=QUOTE).close()
                    granted += 1
                except BudgetRefused:
                    refused += 1
                except StoreBusy:
                    continue
                break
    return granted, refused


def race(store: str) -> None:
    unit: Any = {"entity": "person", "neighbours": "add-remove"}
    with Accountant.open(store) as accountant:
        accountant.open_account("people", **unit, budget=Budget("2", "1e-9"), level="population")
        accountant.open_account("desk", **unit, budget=Budget("2", "1e-9"), parent="people")
        cap = accountant.account("people").cap
        fill = Cost("gdp", cap.amount - ROOM * ONE.amount)
        accountant.reserve("desk", release="fill", plan=PLAN, cost=fill, quote=Budget("2", "1e-9")).close()
    found = at_once(ask, [(store, worker) for worker in range(PROCESSES)])
    assert sum(granted for granted, _ in found) == ROOM, "as many as one process would have been granted"
    assert sum(refused for _, refused in found) == PROCESSES * ASKS - ROOM
    with Accountant.open(store) as accountant:  # which adds all of it up again
        people, desk = accountant.account("people"), accountant.account("desk")
        assert people.held == people.cap
        assert desk.held == people.held
        entries = [parse(line) for line in accountant.history("desk")]
    reserved = [entry.fields["release"] for entry in entries if entry.kind == "reserve"]
    assert len(reserved) == len(set(reserved)) == ROOM + 1
    assert len({entry.stamp.nonce for entry in entries}) == len(entries) == PROCESSES * ASKS + 2
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))


def test_on_sqlite(tmp_path: Path) -> None:
    store = str(tmp_path / "accounts.db")
    Accountant.open(store, create=True).close()
    race(store)


def test_on_postgresql(tmp_path: Path, postgres: Server) -> None:
    schema = schema_of(tmp_path)
    Accountant.open(url(OWNER, schema=schema, app=APP), create=True).close()
    assert os.environ["DPSYNTH_ANCHORS"]
    race(url(APP, schema=schema))


@pytest.mark.parametrize("kind", ["reserve", "refused"])
def test_each_ask_is_in_the_log(tmp_path: Path, kind: str) -> None:
    with Accountant.open(tmp_path / "accounts.db", create=True) as accountant:
        accountant.open_account("desk", entity="person", neighbours="add-remove", budget=QUOTE)
        cost = QUOTE.cost() if kind == "reserve" else Budget("2", "1e-9").cost()
        try:
            accountant.reserve("desk", release="a", plan=PLAN, cost=cost, quote=Budget("2", "1e-9")).close()
        except BudgetRefused:
            assert kind == "refused"
        assert [parse(line).kind for line in accountant.history("desk")] == ["open", kind]
