"""Every order of verbs, crashes included, against a model of a tree of accounts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dpsynth.accountant import Accountant, Charge, Reservation
from dpsynth.accountant.store import Store
from dpsynth.errors import DpsynthError
from dpsynth.privacy import GRID, Budget, Cells, Cost

PLAN = "sha256:" + "a" * 64
CAPS = {
    "top": "1",
    "left": "3/4",
    "right": "1",
    "split": "9/10",
    "north": "1",
    "south": "3/4",
    "west": "1",
    "desk": "1",
}
ABOVE = {
    "left": "top",
    "right": "top",
    "split": "top",
    "desk": "north",
    **dict.fromkeys(("north", "south", "west"), "split"),
}
CELLS = ("north", "south", "west")
RELEASES = {
    "a": ("left", 20), "b": ("left", 22), "c": ("right", 25), "d": ("right", 18), "e": ("top", 12), "f": ("north", 20),
    "g": ("south", 23), "h": ("west", 15), "i": ("desk", 10), "j": ("split", 8), "k": ("south", 9),
}  # fmt: skip
UNIT = Fraction(int(Budget("1", "1e-9").cost().amount * GRID) // 64, GRID)


@dataclass
class Model:
    """What is held by whom, and for each release what is left of its reserve and what it came to.

    The cells of ``split`` cost it the ``moved`` largest of their sums.
    """

    caps: dict[str, Fraction]
    moved: int = 1
    holds: dict[str, tuple[str, Fraction]] = field(default_factory=dict)
    left: dict[str, Fraction] = field(default_factory=dict)
    answers: dict[str, list[bytes | None]] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    void: set[str] = field(default_factory=set)
    refused: int = 0

    def held(self, name: str) -> Fraction:
        own = sum((cost for account, cost in self.holds.values() if account == name), Fraction(0))
        below = {child: self.held(child) for child, above in ABOVE.items() if above == name}
        cells = sorted((below.pop(cell) for cell in CELLS if cell in below), reverse=True)
        return own + sum(below.values()) + sum(cells[: self.moved])

    def reserve(self, release: str, account: str, cost: Fraction) -> bool:
        if release in self.void:
            return False
        if release not in self.left:
            self.holds[release] = account, cost
            if any(self.held(payer) > cap for payer, cap in self.caps.items()):
                del self.holds[release]
                self.refused += 1
                return False
            self.left[release], self.answers[release] = cost, []
        self.lose(release)
        return True

    def lose(self, release: str) -> None:
        if release in self.drawn:
            self.drawn.discard(release)
            self.answers[release].append(None)

    def draw(self, release: str, cost: Fraction) -> bool:
        if release in self.drawn | self.over | self.void or cost > self.left[release]:
            return False
        self.left[release] -= cost
        self.drawn.add(release)
        return True

    def store(self, release: str, answer: bytes) -> bool:
        if release not in self.drawn:
            return False
        self.drawn.discard(release)
        self.answers[release].append(answer)
        return True

    def settle(self, release: str) -> bool:
        if release in self.void or release not in self.drawn:
            self.over.add(release)
        return release not in self.drawn

    def give_up(self, release: str) -> bool:
        if release in self.void:
            return True
        if release in self.drawn | self.over or self.answers[release]:
            return False
        del self.holds[release]
        self.void.add(release)
        return True


class AccountMachine(RuleBasedStateMachine):
    """``opener`` opens a store in a folder, made first if it is missing."""

    def __init__(self, opener: Callable[[Path], Store]) -> None:
        super().__init__()
        self.opener = opener
        self.folder = tempfile.TemporaryDirectory()
        self.accountant = Accountant(opener(Path(self.folder.name)))
        self.handles: dict[str, Reservation] = {}
        self.open_verbs: dict[str, tuple[int, ...]] = {}
        self.model = Model({name: Budget(epsilon, "1e-9").cost().amount for name, epsilon in CAPS.items()})

    def teardown(self) -> None:
        self.accountant.close()
        self.folder.cleanup()

    @initialize(neighbours=st.sampled_from(["add-remove", "replace-one"]))
    def open_tree(self, neighbours: str) -> None:
        self.neighbours, self.model.moved = neighbours, 1 if neighbours == "add-remove" else 2
        unit: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": neighbours}
        levels = {"top": "organisation", "split": "population", **dict.fromkeys(CELLS, "source")}
        for name, epsilon in CAPS.items():
            place: dict[str, Any] = {"level": levels.get(name, "project"), "parent": ABOVE.get(name)}
            place |= {"cells": Cells("region", CELLS)} if name == "split" else {}
            place |= {"cell": name} if name in CELLS else {}
            self.accountant.open_account(name, **unit, budget=Budget(epsilon, "1e-9"), **place)

    def did(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except DpsynthError:
            return False
        return True

    @rule(release=st.sampled_from(sorted(RELEASES)))
    def reserve(self, release: str) -> None:
        account, size = RELEASES[release]
        if release in self.handles:
            self.handles[release].close()

        def act() -> None:
            self.handles[release] = self.accountant.reserve(
                account, release=release, plan=PLAN, cost=Cost("gdp", size * UNIT), quote=Budget("1", "1e-9")
            )
            self.open_verbs.pop(release, None)

        assert self.did(act) == self.model.reserve(release, account, size * UNIT)

    @rule(release=st.sampled_from(sorted(RELEASES)), size=st.integers(1, 60))
    def draw(self, release: str, size: int) -> None:
        if release not in self.handles or self.handles[release]._closed:
            return
        cost = size * UNIT / 3

        def act() -> None:
            self.open_verbs[release] = self.handles[release].draw([charge(cost, self.neighbours)])

        assert self.did(act) == self.model.draw(release, cost)

    @rule(release=st.sampled_from(sorted(RELEASES)), answer=st.binary(max_size=4))
    def store(self, release: str, answer: bytes) -> None:
        if release not in self.handles or self.handles[release]._closed:
            return

        def act() -> None:
            self.handles[release].store(self.open_verbs.get(release, (0,)), answer)
            del self.open_verbs[release]

        assert self.did(act) == self.model.store(release, answer)

    @rule(release=st.sampled_from(sorted(RELEASES)))
    def settle(self, release: str) -> None:
        if release in self.handles and not self.handles[release]._closed:
            assert self.did(self.handles[release].settle) == self.model.settle(release)

    @rule(release=st.sampled_from(sorted(RELEASES)))
    def void(self, release: str) -> None:
        if release in self.handles and not self.handles[release]._closed:
            assert self.did(self.handles[release].void) == self.model.give_up(release)

    @rule()
    def crash(self) -> None:
        """Another process goes on: no handle is left."""
        self.accountant.close()
        self.handles.clear()
        self.open_verbs.clear()
        self.accountant = Accountant(self.opener(Path(self.folder.name)))

    @invariant()
    def sums_are_the_model_s(self) -> None:
        for account in self.accountant.accounts():
            assert account.held.amount == self.model.held(account.name) <= account.cap.amount
            if account.name == "top":
                assert account.attempts.refused == self.model.refused

    @invariant()
    def answers_are_the_model_s(self) -> None:
        for release, handle in self.handles.items():
            if release not in self.model.void:
                assert [stored.answer for stored in handle.answers()] == self.model.answers[release]
                assert handle.settled == (release in self.model.over)


def charge(cost: Fraction, neighbours: str) -> Charge:
    """A charge whose line the ledger takes."""
    fields: dict[str, Any] = {
        "unit": {"entity": "person", "column": "id", "max_rows": 1},
        "neighbours": neighbours,
        "sensitivity_squared": "1",
        "chosen_by": [],
        "mechanism": {"type": "rounded_gaussian", "sigma": "20"},
        "query": {"columns": ["sex"], "levels": [PLAN], "shape": [2], "basis": "marginal"},
    }
    return Charge("measure", Cost("gdp", cost), fields)
