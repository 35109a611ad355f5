"""How far a release has come, and the invariants I1 to I5 along the road: inherited by StoreContract.

I1: noise that was revealed is charged. I2: no account holds more than its cap. I3: a charge has one answer at most.
I4: the log only grows. I5: the same id with the same plan gives the same answers and pays nothing; with another plan it
is a ReleaseConflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dpsynth.accountant import Accountant, Charge, Reservation
from dpsynth.accountant.store import Store
from dpsynth.errors import BudgetRefused, ConfigurationError, ReleaseConflict, StoreDamaged
from dpsynth.ledger import parse
from dpsynth.ledger.drafts import next_root
from dpsynth.ledger.trust import Trust
from dpsynth.privacy import Budget, Cost
from tests.accountant.governed_contract import PLAN, ROOT, SMALL, approve, open_births, open_map, published
from tests.ledger.office import ANA, BEN, CLEO, signed

HALF = Cost("gdp", SMALL.amount / 2)
ROAD = ("RESERVED", "DRAWING", "MEASURED", "SETTLED", "APPROVED", "RELEASED", "SUPERSEDED", "WITHDRAWN")


def ask(accountant: Accountant, release: str = "r1", cost: Cost = SMALL, plan: str = PLAN) -> Reservation:
    return accountant.reserve("map", release=release, plan=plan, cost=cost, quote=Budget("1", "1e-9"))


def charge(cost: Cost) -> Charge:
    fields: dict[str, Any] = {
        "unit": {"entity": "person", "column": "id", "max_rows": 1},
        "neighbours": "add-remove",
        "sensitivity_squared": "1",
        "chosen_by": [],
        "mechanism": {"type": "rounded_gaussian", "sigma": "20"},
        "query": {"columns": ["sex"], "levels": [PLAN], "shape": [2], "basis": "marginal"},
    }
    return Charge("measure", cost, fields)


class Watched:
    """An accountant whose books are looked at after every step: I1 to I4."""

    def __init__(self, accountant: Accountant) -> None:
        self.accountant = accountant
        self.lines: dict[str, tuple[bytes, ...]] = {}
        self.shown: dict[tuple[int, ...], bytes] = {}

    def state(self, release: str = "r1") -> str:
        self.look()
        account, found = self.accountant.states()[release]
        assert account == "map"
        if found in ROAD[3:] or found == "REJECTED":
            assert self.accountant.story(release).state == found
        else:
            with pytest.raises(ConfigurationError):
                self.accountant.story(release)
        return found

    def look(self) -> None:
        for account in self.accountant.accounts():
            lines = self.accountant.history(account.name)
            before = self.lines.get(account.name, ())
            assert lines[: len(before)] == before, "I4"
            self.lines[account.name] = lines
            assert account.held.fits(account.cap), "I2"
        entries = [parse(line) for line in self.lines.get("map", ())]
        charged = {entry.seq for entry in entries if entry.kind == "measure"}
        answered = [seq for entry in entries if entry.kind in ("stored", "lost") for seq in entry.fields["of"]]
        assert len(answered) == len(set(answered)), "I3"
        assert set(answered) <= charged, "I1"
        stored = [seq for entry in entries if entry.kind == "stored" for seq in entry.fields["of"]]
        assert {seq for seqs in self.shown for seq in seqs} <= set(stored), "I1"

    def store(self, handle: Reservation, cost: Cost, answer: bytes) -> None:
        seqs = handle.draw([charge(cost)])
        self.look()
        handle.store(seqs, answer)
        self.shown[seqs] = answer
        self.look()


class StatesContract:
    """Mixed into StoreContract."""

    @staticmethod
    def opener(place: Path) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def watched(self, tmp_path: Path) -> Iterator[Watched]:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_births(accountant)
            open_map(accountant)
            yield Watched(accountant)

    @contextmanager
    def again(self, tmp_path: Path) -> Iterator[Accountant]:
        """The store as another process finds it."""
        with Accountant(self.opener(tmp_path)) as accountant:
            yield accountant

    def test_the_whole_road(self, watched: Watched) -> None:
        accountant, seen = watched.accountant, []
        with ask(accountant) as handle:
            seen.append(watched.state())
            seqs = handle.draw([charge(HALF)])
            seen.append(watched.state())
            handle.store(seqs, b"one")
            seen.append(watched.state())
            handle.settle()
        seen.append(watched.state())
        approve(accountant, "ana")
        assert watched.state() == "SETTLED", "one of two"
        approve(accountant, "ben")
        seen.append(watched.state())
        accountant.decide("r1", "release", {"ledger": PLAN, "approvals": []})
        seen.append(watched.state())
        with ask(accountant, "r2") as other:
            other.settle()
        published(accountant, "r2")
        accountant.decide("r1", "supersede", {"by": "r2"})
        seen.append(watched.state())
        accountant.decide("r1", "withdraw", {"reason": "legal", "attestations": []})
        seen.append(watched.state())
        assert tuple(seen) == ROAD
        assert list(accountant.states()) == ["r1", "r2"]

    def test_planned_is_what_no_account_could_pay(self, watched: Watched) -> None:
        """It holds nothing, has no answer, and its id is still free for a plan that fits."""
        accountant = watched.accountant
        with pytest.raises(BudgetRefused):
            ask(accountant, cost=Budget("1", "1e-9").cost())
        assert watched.state() == "PLANNED"
        assert not accountant.account("map").held.amount
        ask(accountant, cost=HALF).close()
        assert watched.state() == "RESERVED"
        assert "nothing" not in accountant.states()

    def test_void_gives_back_and_ends(self, watched: Watched) -> None:
        accountant = watched.accountant
        ask(accountant).close()
        assert accountant.account("births").held == SMALL
        accountant.void("r1")
        assert watched.state() == "VOID"
        assert not accountant.account("births").held.amount
        with pytest.raises(ReleaseConflict):
            ask(accountant)
        assert watched.state() == "VOID"

    @pytest.mark.parametrize("stored", [True, False], ids=["after an answer", "the first answer"])
    def test_lost_is_what_cannot_be_asked_again(self, watched: Watched, stored: bool) -> None:
        """Until somebody takes it over nobody knows that the answer is gone; the charge stands for ever."""
        accountant = watched.accountant
        with ask(accountant) as handle:
            if stored:
                watched.store(handle, HALF, b"kept")
            handle.draw([charge(HALF), charge(Cost("gdp", HALF.amount / 2))][: 1 if stored else 2])
        assert watched.state() == "DRAWING"
        with ask(accountant) as handle:
            assert watched.state() == "LOST"
            with pytest.raises(BudgetRefused, match="lost in a crash"):
                handle.draw([charge(SMALL)])
        assert watched.state() == "LOST"
        assert accountant.account("map").held == SMALL
        with pytest.raises(ConfigurationError, match=r"'r1' is LOST: .* stays charged for ever"):
            accountant.void("r1")

    def test_what_can_be_asked_again_is_not_lost(self, watched: Watched) -> None:
        accountant = watched.accountant
        with ask(accountant) as handle:
            handle.draw([charge(HALF)])
        with ask(accountant) as handle:
            assert watched.state() == "MEASURED"
            watched.store(handle, HALF, b"the second time")
            handle.settle()
        assert watched.state() == "SETTLED"

    def test_rejected_stays_charged(self, watched: Watched) -> None:
        accountant = watched.accountant
        ask(accountant).settle()
        approve(accountant, "ana")
        approve(accountant, "ben", "reject")
        assert watched.state() == "SETTLED"
        approve(accountant, "ana", "reject")
        assert watched.state() == "REJECTED"
        assert accountant.account("births").held == SMALL
        assert accountant.account("map").attempts.rejected == 1

    def test_how_many_decide_is_asked_of_the_root_of_that_line(self, watched: Watched) -> None:
        """What two approved stays approved when a later root asks for three, and the next release needs three."""
        accountant = watched.accountant
        for release in ("r1", "r2"):
            ask(accountant, release).settle()
        for who in ("ana", "ben"):
            approve(accountant, who)
        three = signed(next_root(Trust.parse(ROOT), threshold=3), ANA, BEN, CLEO)
        accountant.set_root("births", three)
        for who in ("ana", "ben"):
            approve(accountant, who, release="r2")
        assert (watched.state("r1"), watched.state("r2")) == ("APPROVED", "SETTLED")
        approve(accountant, "cleo", release="r2")
        assert watched.state("r2") == "APPROVED"

    def test_without_officers_a_settled_release_is_out(self, watched: Watched) -> None:
        accountant = watched.accountant
        accountant.open_account(
            "free", entity="person", column="id", neighbours="add-remove", budget=Budget("1", "1e-9")
        )
        with accountant.reserve("free", release="own", plan=PLAN, cost=HALF, quote=Budget("1", "1e-9")) as handle:
            handle.settle()
        assert accountant.states()["own"] == ("free", "SETTLED")
        accountant.decide("own", "withdraw", {"reason": "other", "attestations": []})
        assert accountant.states()["own"] == ("free", "WITHDRAWN")

    def test_a_database_that_tells_another_state_than_its_lines(self, watched: Watched) -> None:
        accountant = watched.accountant
        ask(accountant).settle()
        accountant._store.write(lambda tx: tx.advance("r1", "APPROVED", 0))
        with pytest.raises(StoreDamaged, match="state"):
            accountant.story("r1")

    def test_the_same_again_gives_the_same_and_pays_nothing(self, watched: Watched, tmp_path: Path) -> None:
        """I5, at each state that a run can find; what another process finds is the same."""
        accountant = watched.accountant

        def reserved(handle: Reservation) -> None: ...
        def measured(handle: Reservation) -> None:
            watched.store(handle, HALF, b"one")

        steps: tuple[Callable[[Reservation], None], ...] = (reserved, measured, Reservation.settle)
        for step in steps:
            with ask(accountant) as handle:
                step(handle)
            held, state = accountant.account("map").held, watched.state()
            answers = {answer.seqs: answer.answer for answer in ask_again(accountant)}
            assert answers == watched.shown
            with self.again(tmp_path) as other:
                assert {answer.seqs: answer.answer for answer in ask_again(other)} == watched.shown
                assert other.states()["r1"] == ("map", state)
                for changes in ({"plan": "sha256:" + "b" * 64}, {"cost": HALF}):
                    with pytest.raises(ReleaseConflict) as raised:
                        ask(other, **changes)
                    assert raised.value.exit_code == 32
            assert (accountant.account("map").held, watched.state()) == (held, state)


def ask_again(accountant: Accountant) -> Any:
    with ask(accountant) as handle:
        return handle.answers()
