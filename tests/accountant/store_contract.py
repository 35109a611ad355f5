"""What every store of accounts must do: a suite that each implementation inherits.

A subclass says how a store at a place is opened (made first if it is missing); everything else is the same.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from dpsynth.accountant import Account, Accountant, Attempts, Charge, Reservation
from dpsynth.accountant.store import AccountRow, Store, Writing
from dpsynth.errors import BudgetRefused, ConfigurationError, DpsynthError, ReleaseConflict, StoreBusy
from dpsynth.ledger import amount, leaf_hash, parse
from dpsynth.privacy import GRID, UNITS, Budget, Cost, Measure, decimal_text, epsilon_of

pytest.register_assert_rewrite(
    *(f"tests.accountant.{name}" for name in ("governed_contract", "states_contract", "cells_contract", "machine"))
)
from tests.accountant.cells_contract import CellsContract  # noqa: E402
from tests.accountant.governed_contract import GovernedContract  # noqa: E402
from tests.accountant.machine import AccountMachine  # noqa: E402
from tests.accountant.states_contract import StatesContract  # noqa: E402
from tests.processes import at_once, when_free  # noqa: E402

PLAN, OTHER_PLAN = ("sha256:" + digit * 64 for digit in "ab")
CAP = Budget("1", "1e-9")
HALF = Cost("gdp", Fraction(int(CAP.cost().amount * GRID) // 2, GRID))
TENTH = Cost("gdp", Fraction(int(CAP.cost().amount * GRID) // 10, GRID))

Opener = Callable[[Path], Store]


def charge(cost: Cost | Fraction, *, kind: str = "measure", chosen_by: Sequence[int] = (), **changes: Any) -> Charge:
    """A charge whose line the ledger takes."""
    fields: dict[str, Any] = {
        "unit": {"entity": "person", "column": "id", "max_rows": 1},
        "neighbours": "add-remove",
        "sensitivity_squared": "1",
        "chosen_by": list(chosen_by),
    }
    if kind == "measure":
        fields["mechanism"] = {"type": "rounded_gaussian", "sigma": "20"}
        fields["query"] = {"columns": ["sex"], "levels": [PLAN], "shape": [2], "basis": "marginal"}
    else:
        fields["mechanism"] = {"type": "exponential", "scale": "5", "picks": 1, "rule": "distinct"}
        fields["query"] = {"score": "l1-to-model", "lattice": 1024, "weight": 1, "candidates": 3, "digest": PLAN}
    return Charge(kind, cost if isinstance(cost, Cost) else Cost("gdp", cost), {**fields, **changes})  # type: ignore[arg-type]


def reserve(accountant: Accountant, release: str = "r1", cost: Cost = TENTH, **changes: Any) -> Reservation:
    terms = {"plan": PLAN, "quote": CAP, **changes}
    return accountant.reserve(terms.pop("account", "people"), release=release, cost=cost, **terms)


def open_people(accountant: Accountant, name: str = "people", budget: Budget = CAP) -> None:
    accountant.open_account(name, entity="person", column="id", neighbours="add-remove", budget=budget)


def open_under(accountant: Accountant, name: str, parent: str | None, level: str, budget: Budget) -> Account:
    unit: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": "add-remove"}
    return accountant.open_account(name, **unit, budget=budget, parent=parent, level=level)  # type: ignore[arg-type]


def ask_often(opener: Opener, place: Path, worker: int, asks: int) -> tuple[int, int]:
    """One process of the race: ask for TENTH again and again; how many were granted and how many refused."""
    granted = refused = 0
    with when_free(lambda: Accountant(opener(place))) as accountant:
        for turn in range(asks):
            while True:
                try:
                    reserve(accountant, f"{worker}-{turn}", account=f"desk-{worker}").close()
                    granted += 1
                except BudgetRefused:
                    refused += 1
                except StoreBusy:
                    continue
                break
    return granted, refused


def open_at_once(opener: Opener, place: Path) -> bytes:
    with Accountant(opener(place)) as accountant:
        open_people(accountant)
        return accountant.secret


def hold_and_die(opener: Opener, place: Path, told: Any, stop: Any) -> None:
    """A run that stores one answer, draws another, says so, and ends without closing anything."""
    reservation = reserve(Accountant(opener(place)))
    reservation.store(reservation.draw([charge(TENTH.amount / 2)]), b"x")
    reservation.draw([charge(TENTH.amount / 4)])
    told.set()
    stop.wait(120)
    os._exit(1)


class NoLock:
    """The lock of a system that has none."""

    def close(self, for_ever: bool = False) -> None:
        """Nothing was held."""


class StoreContract(CellsContract, StatesContract, GovernedContract):
    """Inherit, and give ``opener``: a function that a new process can import."""

    @staticmethod
    def opener(place: Path) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def accountant(self, tmp_path: Path) -> Any:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_people(accountant)
            yield accountant

    # --- accounts -----------------------------------------------------------------------------------------------------

    def test_an_account_is_what_was_opened(self, accountant: Accountant) -> None:
        account = accountant.account("people")
        assert (account.name, account.entity, account.column) == ("people", "person", "id")
        assert account.neighbours == "add-remove"
        rows = accountant.open_account("rows", entity="row", neighbours="replace-one", budget=CAP)
        assert rows == accountant.account("rows")
        assert (rows.column, parse(accountant.history("rows")[0]).fields["column"]) == (None, None)
        assert (account.measure, account.policy, account.cap) == ("gdp", CAP, CAP.cost())
        assert account.held == Cost.nothing("gdp")
        assert account.left == account.cap
        assert account.epsilon == 0

    def test_accounts_come_in_the_order_opened(self, accountant: Accountant) -> None:
        for name in ("zoo", "alpha"):
            open_people(accountant, name)
        assert [account.name for account in accountant.accounts()] == ["people", "zoo", "alpha"]

    def test_opening_again_on_the_same_terms_changes_nothing(self, accountant: Accountant) -> None:
        reserve(accountant)
        before = accountant.history("people")
        open_people(accountant)
        assert accountant.account("people").held == TENTH
        assert accountant.history("people") == before

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ({"entity": "household"}, "entity"),
            ({"column": "pid"}, "unit column"),
            ({"column": None}, "unit column"),
            ({"neighbours": "replace-one"}, "neighbours"),
            ({"budget": Budget("2", "1e-9")}, "budget"),
        ],
    )
    def test_terms_never_change(self, accountant: Accountant, change: dict[str, Any], word: str) -> None:
        terms = {"entity": "person", "column": "id", "neighbours": "add-remove", "budget": CAP, **change}
        with pytest.raises(ConfigurationError, match=f"'people' is open already with another {word}"):
            accountant.open_account("people", **terms)

    @pytest.mark.parametrize(("measure", "unit"), UNITS.items())
    def test_an_account_counts_in_its_measure_for_ever(
        self, accountant: Accountant, measure: Measure, unit: str
    ) -> None:
        budget = Budget("1", "0" if measure == "pure" else "1e-9")
        terms: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": "add-remove", "budget": budget}
        opened = accountant.open_account("a", **terms, measure=measure)
        assert (opened.measure, opened.cap, opened.held) == (measure, budget.cost(measure), Cost.nothing(measure))
        assert accountant.account("a") == opened
        fields = parse(accountant.history("a")[0]).fields
        assert (fields["measure"], fields["cap"].keys()) == (measure, {unit, "delta"})
        half = Cost(measure, Fraction(int(opened.cap.amount * GRID) // 2, GRID))
        with reserve(accountant, cost=half, quote=budget, account="a") as reservation:
            reservation.store(reservation.draw([charge(Cost(measure, half.amount / 3))]), b"x")
            assert reservation.left == Cost(measure, half.amount * 2 / 3)
            running = reservation.answers()[0].fields[0]["running"]
            assert Fraction(running["spent"][unit]) == half.amount / 3
            assert 0 < Fraction(running["epsilon"]) < 1
            reservation.settle()
        assert accountant.account("a").held == half
        with pytest.raises(BudgetRefused, match=f"asked {unit} .* spent {unit} .* left {unit} .* cap {unit} "):
            accountant.check("a", opened.cap, release="r2", plan=PLAN)
        for other in UNITS:
            if other != measure:
                with pytest.raises(ConfigurationError, match=f"counts in {measure} for ever"):
                    accountant.check("a", Cost(other, Fraction(1, GRID)), release="r2", plan=PLAN)
                with pytest.raises(ConfigurationError, match=f"counts in {measure} for ever"):
                    reserve(accountant, "r2", Cost(other, Fraction(1, GRID)), account="a", quote=Budget("1", "1e-9"))
        with pytest.raises(ConfigurationError):
            accountant.open_account("a", **terms, measure="zcdp" if measure == "gdp" else "gdp")

    def test_a_charge_is_in_the_measure_of_the_account(self, accountant: Accountant) -> None:
        reservation = reserve(accountant)
        with pytest.raises(ConfigurationError, match="counts in gdp for ever and pays for nothing in zcdp"):
            reservation.draw([charge(Cost("zcdp", TENTH.amount / 2))])
        assert len(reservation.lines()) == 2

    def test_delta_0_is_pure(self, accountant: Accountant) -> None:
        for measure in ("gdp", "zcdp"):
            with pytest.raises(ConfigurationError, match=f'delta: measure "{measure}" never gives 0'):
                accountant.open_account(
                    "a", entity="person", neighbours="add-remove", budget=Budget("1", "0"), measure=measure
                )

    def test_an_unknown_measure_is_refused_by_name(self, accountant: Accountant) -> None:
        with pytest.raises(ConfigurationError, match=r"measure 'zcpd'.*did you mean 'zcdp'"):
            accountant.open_account("a", entity="person", neighbours="add-remove", budget=CAP, measure="zcpd")  # type: ignore[arg-type]

    def test_unknown_neighbours_are_refused(self, accountant: Accountant) -> None:
        with pytest.raises(ConfigurationError, match="did you mean 'add-remove'"):
            accountant.open_account("a", entity="person", neighbours="add-remov", budget=CAP)

    def test_a_column_without_a_name_is_refused(self, accountant: Accountant) -> None:
        with pytest.raises(ConfigurationError, match="name the column"):
            accountant.open_account("a", entity="person", column="", neighbours="add-remove", budget=CAP)

    @pytest.mark.parametrize("name", ["", " a", "a\n", "x" * 201, "\ud800", "\x00"])
    def test_names_are_printable(self, accountant: Accountant, name: str) -> None:
        with pytest.raises(ConfigurationError, match="printable"):
            open_people(accountant, name)
        with pytest.raises(ConfigurationError, match="printable"):
            reserve(accountant, name)

    def test_any_alphabet_is_a_name(self, accountant: Accountant) -> None:
        open_people(accountant, "Bürger'n; DROP TABLE account 人口")
        assert reserve(accountant, "発表", account="Bürger'n; DROP TABLE account 人口").held_after == TENTH

    def test_a_missing_account_is_a_refused_budget(self, accountant: Accountant) -> None:
        calls: list[Callable[[], object]] = [
            lambda: accountant.account("peple"),
            lambda: accountant.history("peple"),
            lambda: accountant.check("peple", TENTH, release="r1", plan=PLAN),
            lambda: reserve(accountant, account="peple"),
        ]
        for call in calls:
            with pytest.raises(
                BudgetRefused, match=r"no account 'peple'.*did you mean 'people'.*budget open"
            ) as caught:
                call()
            assert (caught.value.account, caught.value.exit_code) == ("peple", 10)

    # --- the filter ---------------------------------------------------------------------------------------------------

    def test_a_reservation_is_held_and_logged(self, accountant: Accountant) -> None:
        reserve(accountant, "r0", HALF)
        reservation = reserve(accountant)
        assert (reservation.held_before, reservation.held_after) == (HALF, HALF + TENTH)
        assert accountant.account("people").held == HALF + TENTH
        entry = parse(reservation.lines()[-1])
        assert entry.kind == "reserve"
        assert entry.fields["reserved"]["mu2"] == str(TENTH.amount)
        assert entry.fields["held"]["mu2"] == str((HALF + TENTH).amount)
        assert entry.fields["running_epsilon"] == decimal_text(epsilon_of(HALF + TENTH, CAP.delta))
        assert accountant.account("people").epsilon == Fraction(entry.fields["running_epsilon"])

    def test_the_cap_can_be_reached_and_not_passed(self, accountant: Accountant) -> None:
        least = Cost("gdp", Fraction(1, GRID))
        reserve(accountant, "all", Cost("gdp", CAP.cost().amount - least.amount))
        reserve(accountant, "last", least)
        assert accountant.account("people").left == Cost.nothing("gdp")
        with pytest.raises(BudgetRefused, match="nothing more can be released"):
            reserve(accountant, "one more", least)

    def test_a_refusal_tells_all_and_leaves_one_line(self, accountant: Accountant) -> None:
        reserve(accountant, "r0", HALF)
        before = accountant.account("people"), accountant.history("people")
        asked = Budget("9/10", "1e-9")
        with pytest.raises(BudgetRefused) as caught:
            accountant.check("people", asked.cost(), release="r1", plan=PLAN)
        with pytest.raises(BudgetRefused) as again:
            reserve(accountant, cost=asked.cost())
        text = str(caught.value)
        assert text == str(again.value)
        assert "'people' cannot pay: asked mu2 0.0270765 (epsilon 0.9)" in text
        assert "spent mu2 0.0165575 (epsilon 0.696069), left mu2 0.0165574 (epsilon 0.696068)" in text
        assert "cap mu2 0.0331149 (epsilon 1), each epsilon at delta 1e-9" in text
        assert "at most 0.696068" in text
        assert caught.value.asked == "mu2 0.0270765 (epsilon 0.9)"
        assert accountant.account("people") == replace(before[0], attempts=Attempts(refused=2))
        *kept, first, second = map(parse, accountant.history("people"))
        assert tuple(entry.line for entry in kept) == before[1]
        for entry in (first, second):
            assert (entry.kind, entry.account) == ("refused", "people")
            assert entry.fields == {"release": "r1", "plan": PLAN, "asked": amount(asked.cost()), "by": "people"}
        accountant.check("people", Budget("0.696068", "1e-9").cost(), release="r1", plan=PLAN)
        assert len(accountant.history("people")) == len(before[1]) + 2
        reserve(accountant, "r1")

    def test_a_pure_account_refuses_in_epsilon_alone(self, accountant: Accountant) -> None:
        unit: dict[str, Any] = {"entity": "person", "neighbours": "add-remove", "measure": "pure"}
        accountant.open_account("a", budget=Budget("1", "0"), **unit)
        reserve(accountant, "r0", Cost("pure", Fraction(1, 4)), account="a", quote=Budget("1/4", "0"))
        with pytest.raises(BudgetRefused) as caught:
            accountant.check("a", Cost("pure", Fraction(4, 5)), release="r1", plan=PLAN)
        said = "asked epsilon 0.800001, spent epsilon 0.25, left epsilon 0.75, cap epsilon 1. Nothing was spent"
        assert said in str(caught.value)
        assert "ask for an epsilon of at most 0.75, and" in str(caught.value)
        accountant.check("a", Budget("0.75", "0").cost("pure"), release="r1", plan=PLAN)

    def test_what_a_refusal_advises_is_granted(self, accountant: Accountant) -> None:
        with pytest.raises(BudgetRefused, match="ask for an epsilon of at most 1, and"):
            reserve(accountant, cost=Budget("2", "1e-9").cost(), quote=Budget("2", "1e-9"))
        reserve(accountant, cost=Budget("1", "1e-9").cost())

    def test_a_cost_off_the_grid_is_rounded_up(self, accountant: Accountant) -> None:
        third = Cost("gdp", Fraction(1, 300))
        reservation = reserve(accountant, cost=third)
        assert 0 < reservation.reserved.amount - third.amount < Fraction(1, GRID)

    def test_delta_is_held_to_its_cap_too(self, accountant: Accountant) -> None:
        with pytest.raises(BudgetRefused, match=r"mu2 0\.00331149 and delta 1\.00001e-10"):
            reserve(accountant, cost=Cost("gdp", TENTH.amount, Fraction(1, 10**10)))

    def test_a_claim_covers_what_is_reserved(self, accountant: Accountant) -> None:
        with pytest.raises(ConfigurationError, match="claims epsilon 1/10 at delta"):
            reserve(accountant, cost=HALF, quote=Budget("1/10", "1e-9"))
        with pytest.raises(ConfigurationError, match="claims"):
            reserve(accountant, cost=Cost("gdp", HALF.amount, CAP.delta))
        assert len(accountant.history("people")) == 1

    def test_accounts_do_not_share(self, accountant: Accountant) -> None:
        open_people(accountant, "others")
        reserve(accountant, cost=CAP.cost())
        reserve(accountant, "r2", CAP.cost(), account="others")
        assert [account.left for account in accountant.accounts()] == [Cost.nothing("gdp")] * 2

    # --- trees of accounts --------------------------------------------------------------------------------------------

    def test_a_spend_is_charged_to_every_account_above(self, accountant: Accountant) -> None:
        for name, parent, level, epsilon in (
            ("office", None, "organisation", "1/2"),
            ("births", "office", "population", "1"),
            ("deaths", "office", "population", "1"),
            ("register", "births", "source", "1"),
            ("map", "register", "project", "1"),
        ):
            opened = open_under(accountant, name, parent, level, Budget(epsilon, "1e-9"))
            assert (opened.parent, opened.level, opened.root) == (parent, level, None)
            assert opened == accountant.account(name)
        small = Budget("1/4", "1e-9").cost()
        with reserve(accountant, "r1", small, account="map") as handle:
            above = [{"account": name, "held": amount(small)} for name in ("register", "births", "office")]
            assert parse(handle.lines()[-1]).fields["above"] == above
        nothing = Cost.nothing("gdp")
        assert {account.name: account.held for account in accountant.accounts()} == {
            "people": nothing,
            "office": small,
            "births": small,
            "deaths": nothing,
            "register": small,
            "map": small,
        }
        assert [account.name for account in accountant.path("map")] == ["map", "register", "births", "office"]
        reserve(accountant, "r2", small, account="deaths").close()
        before = {account.name: account.held for account in accountant.accounts()}
        with pytest.raises(BudgetRefused, match="'office' cannot pay") as caught:
            reserve(accountant, "r3", HALF, account="map")
        assert caught.value.account == "office"
        assert {account.name: account.held for account in accountant.accounts()} == before
        assert parse(accountant.history("map")[-1]).fields["by"] == "office"
        tried = {account.name: account.attempts.refused for account in accountant.accounts()}
        assert tried == {"people": 0, "office": 1, "births": 1, "deaths": 0, "register": 1, "map": 1}

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ({"level": "population"}, "cannot stand under 'births' of level 'population'"),
            ({"level": "organisation"}, "organisation > population > source > project"),
            ({"level": "region"}, "level 'region': must be one of"),
            ({"entity": "household"}, "one entity"),
            ({"column": "pid"}, "told apart in one way"),
            ({"column": None}, "told apart in one way"),
            ({"neighbours": "replace-one"}, "one neighbour relation"),
            ({"measure": "zcdp"}, "counts in gdp for ever"),
            ({"parent": "nobody"}, "no account 'nobody'"),
            ({"name": "births"}, "another parent"),
        ],
    )
    def test_a_tree_is_of_one_unit_and_goes_down(
        self, accountant: Accountant, change: dict[str, Any], word: str
    ) -> None:
        open_under(accountant, "births", None, "population", CAP)
        terms: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": "add-remove", "budget": CAP}
        terms = {"name": "map", **terms, "parent": "births", "level": "project", **change}
        with pytest.raises(DpsynthError, match=word) as caught:
            accountant.open_account(terms.pop("name"), **terms)
        assert caught.value.exit_code in (2, 10)
        assert [account.name for account in accountant.accounts()] == ["people", "births"]

    def test_a_gdp_spend_is_charged_to_a_zcdp_account_above_as_rho_and_never_the_reverse(self, tmp_path: Path) -> None:
        store = self.opener(tmp_path)
        with Accountant(store) as accountant:
            unit: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": "add-remove"}
            budgets: dict[Measure, Budget] = {"zcdp": CAP, "gdp": CAP, "pure": Budget("1", "0")}
            for measure, budget in budgets.items():
                accountant.open_account(measure, **unit, budget=budget, measure=measure, level="population")
            never: list[tuple[Measure, Measure]] = [
                ("zcdp", "gdp"),
                ("pure", "gdp"),
                ("pure", "zcdp"),
                ("gdp", "pure"),
                ("zcdp", "pure"),
            ]
            for child, parent in never:
                with pytest.raises(ConfigurationError, match=f"counts in {parent} for ever"):
                    accountant.open_account("child", **unit, budget=budgets[child], measure=child, parent=parent)
                row = AccountRow("child", parent, budgets[child].cost(child), Cost.nothing(child))
                with pytest.raises(DpsynthError, match="only gdp is charged to zcdp above it"):
                    store.write(lambda tx, row=row: tx.add_account(row))  # type: ignore[misc]
            accountant.open_account("child", **unit, budget=CAP, parent="zcdp")
            odd = Cost("gdp", Fraction(int(TENTH.amount * GRID) | 1, GRID))
            with reserve(accountant, "r1", odd, account="child") as handle:
                handle.settle()
            assert accountant.account("child").held == odd
            above = accountant.account("zcdp").held
            assert above.measure == "zcdp"
            assert above.amount == (odd.amount + Fraction(1, GRID)) / 2  # half of it, rounded up to the grid
            assert [state.held_after for state in accountant.story("r1").accounts] == [odd, above]
            fill = Cost("zcdp", accountant.account("zcdp").left.amount - Fraction(int(TENTH.amount * GRID) // 4, GRID))
            reserve(accountant, "r2", fill, account="zcdp")
            with pytest.raises(BudgetRefused, match="'zcdp' cannot pay: asked rho"):
                reserve(accountant, "r3", TENTH, account="child")
            assert accountant.account("child").held == odd
            reserve(accountant, "r4", Cost("gdp", Fraction(1, GRID)), account="child").void()
            assert accountant.account("zcdp").held == above + fill
        with Accountant(self.opener(tmp_path)) as accountant:  # the sums of both are checked again
            assert accountant.account("zcdp").held == above + fill

    # --- given up before its table was opened -------------------------------------------------------------------------

    def test_what_was_reserved_and_never_drawn_is_given_back(self, tmp_path: Path, accountant: Accountant) -> None:
        open_under(accountant, "births", None, "population", CAP)
        open_under(accountant, "map", "births", "project", CAP)
        reserve(accountant, "kept", TENTH, account="map").close()
        handle = reserve(accountant, "r1", HALF, account="map")
        handle.void()
        handle.void()
        for name in ("map", "births"):
            assert accountant.account(name).held == TENTH
        last = parse(accountant.history("map")[-1])
        assert (last.kind, last.fields) == ("void", {"release": "r1"})
        with pytest.raises(DpsynthError, match="nothing more can be drawn"):
            handle.draw([charge(TENTH)])
        assert not accountant.settled("r1")
        calls: list[Callable[[], object]] = [
            lambda: reserve(accountant, "r1", HALF, account="map"),
            lambda: accountant.check("map", HALF, release="r1", plan=PLAN),
        ]
        for call in calls:
            with pytest.raises(ReleaseConflict, match="'r1' was given up before its table was opened"):
                call()
        with pytest.raises(ConfigurationError, match="not settled"):
            accountant.story("r1")
        reserve(accountant, "all", Cost("gdp", CAP.cost().amount - TENTH.amount), account="map")
        with Accountant(self.opener(tmp_path)) as other:  # the sums are checked again
            assert other.account("births").left == Cost.nothing("gdp")

    def test_nothing_is_given_back_once_it_was_drawn(self, tmp_path: Path) -> None:
        store = self.opener(tmp_path)
        cost = Cost("gdp", Fraction(1, 1024))
        with Accountant(store) as accountant:
            open_people(accountant)
            for release, stored, settled in (("a", False, False), ("b", True, False), ("c", True, True)):
                handle = reserve(accountant, release, cost)
                seqs = handle.draw([charge(cost)])
                if stored:
                    handle.store(seqs, b"x")
                if settled:
                    handle.settle()
                else:
                    with pytest.raises(ConfigurationError, match="stays charged for ever"):
                        handle.void()
                handle.close()
                with pytest.raises(ConfigurationError, match="stays charged for ever"):
                    accountant.void(release)
                with pytest.raises(DpsynthError):
                    store.write(lambda tx, release=release: tx.void(release))  # type: ignore[misc]
            reserve(accountant, "d", cost).settle()
            with pytest.raises(ConfigurationError, match="'d' is SETTLED"):
                accountant.void("d")
            with pytest.raises(ConfigurationError, match="no release 'z'"):
                accountant.void("z")
            assert accountant.account("people").held.amount == 4 * cost.amount

    def test_nothing_is_given_back_once_the_table_was_opened(self, tmp_path: Path) -> None:
        """It charges nothing, so that a run which ends while it reads has lost nothing; and it is final."""
        store = self.opener(tmp_path)
        with Accountant(store) as accountant:
            open_people(accountant)
            handle = reserve(accountant)
            lines = accountant.history("people")
            for more, refused in (([TENTH, TENTH], BudgetRefused), ([], DpsynthError)):
                with pytest.raises(refused):
                    handle.open([charge(cost) for cost in more])
            with pytest.raises(ConfigurationError, match="protects"):
                handle.open([charge(TENTH, neighbours="replace-one")])
            assert accountant.states()["r1"][1] == "RESERVED"
            handle.open([charge(TENTH)])
            handle.open([charge(TENTH)])
            assert accountant.history("people") == lines
            assert accountant.states()["r1"][1] == "DRAWING"
            with pytest.raises(ConfigurationError, match=r"'r1' is DRAWING: .* stays charged for ever"):
                handle.void()
            handle.close()
            with pytest.raises(DpsynthError, match="is closed"):
                handle.open([charge(TENTH)])
            with pytest.raises(ConfigurationError, match="stays charged for ever"):
                accountant.void("r1")
            for act in (lambda tx: tx.void("r1"), lambda tx: tx.advance("r1", "RESERVED", 9)):
                with pytest.raises(DpsynthError):
                    store.write(act)
            with reserve(accountant) as again:
                assert again.left == TENTH
                seqs = again.draw([charge(TENTH.amount / 2)])
                with pytest.raises(DpsynthError, match="has drawn and not stored"):
                    again.open([charge(TENTH.amount / 2)])
                again.store(seqs, b"x")
                again.settle()
            assert [parse(line).kind for line in accountant.history("people")][-3:] == ["measure", "stored", "settle"]
            assert accountant.account("people").held == TENTH
            assert accountant.story("r1").state == "SETTLED"

    def test_a_release_that_is_reserved_is_voided_by_its_id(self, tmp_path: Path, accountant: Accountant) -> None:
        handle = reserve(accountant)
        with Accountant(self.opener(tmp_path)) as other:
            with pytest.raises(StoreBusy, match="under way"):
                other.void("r1")
            handle.close()
            other.void("r1")
            other.void("r1")
            assert other.account("people").held == Cost.nothing("gdp")

    # --- one id, one plan -------------------------------------------------------------------------------------------

    def test_the_same_release_pays_once(self, accountant: Accountant) -> None:
        with reserve(accountant, cost=CAP.cost()) as first:
            accountant.check("people", CAP.cost(), release="r1", plan=PLAN)
        second = reserve(accountant, cost=CAP.cost())
        assert second.lines() == first.lines()
        assert (second.reserved, second.held_before, second.held_after) == (CAP.cost(), Cost.nothing("gdp"), CAP.cost())
        assert (second.day, second.quote, second.release) == (first.day, first.quote, "r1")

    @pytest.mark.parametrize(
        "change",
        [
            {"plan": OTHER_PLAN},
            {"account": "others"},
            {"cost": HALF},
            {"quote": Budget("2", "1e-9")},
            {"source": "/data/people.csv"},
        ],
        ids=["plan", "account", "cost", "quote", "source"],
    )
    def test_another_plan_is_a_conflict(self, accountant: Accountant, change: dict[str, Any]) -> None:
        open_people(accountant, "others")
        reserve(accountant)
        before = [account.held for account in accountant.accounts()]
        with pytest.raises(ReleaseConflict, match="'r1' was already reserved"):
            reserve(accountant, **{"cost": TENTH, **change})
        if "quote" not in change:
            terms = {"account": "people", "cost": TENTH, "plan": PLAN, "source": "", **change}
            with pytest.raises(ReleaseConflict):
                accountant.check(terms.pop("account"), terms.pop("cost"), release="r1", **terms)
        assert [account.held for account in accountant.accounts()] == before

    @pytest.mark.parametrize("settled", [False, True])
    @pytest.mark.parametrize(("first", "second"), [("/a/x.csv", "/a/y.csv"), ("/a/x.csv", ""), ("", "/a/x.csv")])
    def test_another_source_is_a_conflict_that_quotes_neither(
        self, accountant: Accountant, first: str, second: str, settled: bool
    ) -> None:
        reservation = reserve(accountant, source=first)
        if settled:
            reservation.settle()
        reservation.close()
        before = reservation.lines()
        calls: list[Callable[[], object]] = [
            lambda: reserve(accountant, source=second),
            lambda: accountant.check("people", TENTH, release="r1", plan=PLAN, source=second),
        ]
        for call in calls:
            with pytest.raises(ReleaseConflict, match="'r1' was already reserved for rows of another source") as caught:
                call()
            assert ".csv" not in str(caught.value)
        accountant.check("people", TENTH, release="r1", plan=PLAN, source=first)
        assert reserve(accountant, source=first).lines() == before
        assert not any(b".csv" in line for line in before)

    def test_any_text_is_a_source(self, accountant: Accountant) -> None:
        for number, source in enumerate(["人口.csv", "\udcff.csv", "\x00"]):
            reserve(accountant, f"r{number}", source=source).settle()
            assert reserve(accountant, f"r{number}", source=source).settled

    def test_what_is_kept_of_a_source_differs_from_store_to_store(self, tmp_path: Path) -> None:
        kept = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            store = self.opener(tmp_path / name)
            with Accountant(store) as accountant:
                open_people(accountant)
                reserve(accountant, source="/data/people.csv")
                row = store.read(lambda tx: tx.release("r1"))
                assert row is not None
                kept.append(row.source)
        assert kept[0] != kept[1]
        assert not any(b"people" in mark for mark in kept)

    # --- verbs --------------------------------------------------------------------------------------------------------

    def test_a_verb_is_paid_then_stored(self, accountant: Accountant) -> None:
        reservation = reserve(accountant)
        third = Cost("gdp", TENTH.amount / 3)
        first = reservation.draw([charge(third), charge(third)])
        assert reservation.answers() == ()
        reservation.store(first, b"answer")
        second = reservation.draw([charge(TENTH.amount - 2 * third.amount, kind="select", chosen_by=first)])
        reservation.store(second, b"")
        assert reservation.left == Cost.nothing("gdp")
        stored = reservation.answers()
        assert [(s.seqs, s.kind, s.answer) for s in stored] == [
            (first, "measure", b"answer"),
            (second, "select", b""),
        ]
        assert [fields["running"]["spent"]["mu2"] for fields in stored[0].fields] == [
            str(third.amount),
            str(2 * third.amount),
        ]
        assert stored[1].fields[0]["running"]["spent"]["mu2"] == str(TENTH.amount)
        assert stored[1].fields[0]["chosen_by"] == list(first)
        assert "answer" not in repr(stored[0])

    def test_lines_are_a_whole_log(self, accountant: Accountant) -> None:
        open_people(accountant, "others")
        other = reserve(accountant, "other", account="others")
        reservation = reserve(accountant)
        seqs = reservation.draw([charge(TENTH)])
        other.draw([charge(TENTH)])
        reservation.store(seqs, b"x")
        reservation.settle()
        entries = [parse(line) for line in reservation.lines()]
        assert [e.kind for e in entries] == ["open", "reserve", "measure", "stored", "settle"]
        assert [e.seq for e in entries] == [0, 3, 4, 6, 7]
        assert {e.account for e in entries} == {"people"}
        assert len({e.stamp.nonce for e in entries}) == len(entries)
        assert {e.stamp.day for e in entries} <= {datetime.now(UTC).date().isoformat(), reservation.day}
        assert entries[2].fields["state"] == "DRAWING"
        assert entries[3].fields == {
            "release": "r1",
            "of": [4],
            "answer": "sha256:" + sha256(b"x").hexdigest(),
        }
        assert entries[4].fields["spent"] == entries[4].fields["reserved"]
        assert accountant.history("people") == reservation.lines()
        assert len({leaf_hash(line) for line in reservation.lines()}) == 5

    def test_a_release_never_overspends(self, accountant: Accountant) -> None:
        reservation = reserve(accountant)
        seqs = reservation.draw([charge(TENTH.amount * 2 / 3)])
        reservation.store(seqs, b"x")
        before = accountant.history("people")
        with pytest.raises(BudgetRefused, match=r"release 'r1' cannot pay: .*never spends more"):
            reservation.draw([charge(TENTH.amount / 3), charge(Fraction(1, 2**300))])
        assert accountant.history("people") == before
        reservation.store(reservation.draw([charge(TENTH.amount / 3)]), b"y")

    def test_what_is_free_is_logged_too(self, accountant: Accountant) -> None:
        reservation = reserve(accountant)
        reservation.store(reservation.draw([charge(Fraction(0), mechanism={"type": "public_count"})]), b"n")
        assert reservation.left == TENTH
        assert reservation.answers()[0].fields[0]["running"] == {"spent": {"mu2": "0", "delta": "0"}, "epsilon": "0"}

    def test_sums_of_many_noise_scales_stay_exact(self, accountant: Accountant) -> None:
        """Each denominator is new: the sum outgrows what a line may hold, is stated rounded up, and stays a filter."""
        odd = [Fraction(1, (2**53 - 1 - 2 * k) ** 2) for k in range(120)]
        costs = [TENTH.amount / 200 * (1 - part) for part in odd]
        rest = TENTH.amount - sum(costs)
        reservation = reserve(accountant)
        reservation.store(reservation.draw([charge(cost) for cost in costs]), b"x")
        stated = [Fraction(f["running"]["spent"]["mu2"]) for f in reservation.answers()[0].fields]
        for index, rho in enumerate(stated):
            assert 0 <= rho - sum(costs[: index + 1]) < Fraction(1, GRID)
        reservation.close()
        resumed = reserve(accountant)
        floor = Fraction(int(rest * 2**100), 2**100)
        with pytest.raises(BudgetRefused):
            resumed.draw([charge(floor + Fraction(1, 2**100))])
        resumed.store(resumed.draw([charge(floor)]), b"y")
        resumed.settle()

    def test_one_verb_at_a_time_and_one_answer_each(self, accountant: Accountant) -> None:
        reservation = reserve(accountant)
        with pytest.raises(DpsynthError, match="no open verb"):
            reservation.store((1,), b"early")
        seqs = reservation.draw([charge(HALF.amount / 100)])
        calls: list[Callable[[], object]] = [
            lambda: reservation.draw([charge(HALF.amount / 100)]),
            lambda: reservation.store((*seqs, 99), b"x"),
            reservation.settle,
        ]
        for call in calls:
            with pytest.raises(DpsynthError) as caught:
                call()
            assert caught.value.exit_code == 70
        reservation.store(seqs, b"x")
        with pytest.raises(DpsynthError, match="no open verb"):
            reservation.store(seqs, b"y")
        assert [s.answer for s in reservation.answers()] == [b"x"]

    @pytest.mark.parametrize("charges", [[], [charge(TENTH.amount / 9), charge(TENTH.amount / 9, kind="select")]])
    def test_a_verb_is_of_one_kind(self, accountant: Accountant, charges: list[Charge]) -> None:
        with pytest.raises(DpsynthError, match="all of one kind"):
            reserve(accountant).draw(charges)

    @pytest.mark.parametrize(
        "change",
        [
            {"neighbours": "replace-one"},
            {"unit": {"entity": "household", "column": "id", "max_rows": 1}},
            {"unit": {"entity": "person", "column": "pid", "max_rows": 1}},
            {"unit": {"entity": "person", "column": None, "max_rows": 1}},
        ],
    )
    def test_an_entry_is_about_the_account_s_unit(self, accountant: Accountant, change: dict[str, Any]) -> None:
        reservation = reserve(accountant)
        before = accountant.history("people")
        with pytest.raises(ConfigurationError, match=r"protects 'person' \(column 'id'\) under add-remove, not"):
            reservation.draw([charge(TENTH.amount / 2), charge(TENTH.amount / 2, **change)])
        assert accountant.history("people") == before

    def test_entries_may_differ_in_the_rows_that_count(self, accountant: Accountant) -> None:
        reservation = reserve(accountant)
        for rows in (1, 3):
            unit = {"entity": "person", "column": "id", "max_rows": rows}
            reservation.store(reservation.draw([charge(TENTH.amount / 2, unit=unit)]), b"x")
        assert reservation.left == Cost.nothing("gdp")

    def test_a_line_that_the_ledger_does_not_know_is_not_written(self, accountant: Accountant) -> None:
        reservation = reserve(accountant)
        before = accountant.history("people")
        with pytest.raises(ValueError, match="true_count"):
            reservation.draw([charge(TENTH.amount / 2), charge(TENTH.amount / 2, true_count=41)])
        assert accountant.history("people") == before
        reservation.draw([charge(TENTH)])

    # --- crash, resume, settle ----------------------------------------------------------------------------------------

    def test_what_was_drawn_and_not_stored_is_lost_and_stays_charged(self, accountant: Accountant) -> None:
        first = reserve(accountant)
        kept = first.draw([charge(TENTH.amount / 2)])
        first.store(kept, b"kept")
        lost = first.draw([charge(TENTH.amount / 4), charge(TENTH.amount / 4)])
        first.close()
        second = reserve(accountant)
        assert [(s.seqs, s.answer) for s in second.answers()] == [(kept, b"kept"), (lost, None)]
        assert parse(second.lines()[-1]).fields == {"release": "r1", "of": list(lost)}
        assert second.left == Cost.nothing("gdp")
        with pytest.raises(BudgetRefused, match=r"1 answer\(s\) of it were lost in a crash"):
            second.draw([charge(Fraction(1, GRID))])
        assert "lost" in repr(second.answers()[1])

    def test_a_new_handle_makes_the_old_one_stale(
        self, accountant: Accountant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where the system keeps no locks: two runs of one release never both write."""
        monkeypatch.setattr(accountant._store, "lock", lambda release: NoLock())
        old = reserve(accountant)
        seqs = old.draw([charge(TENTH.amount / 2)])
        new = reserve(accountant)
        before = new.lines()
        calls: list[Callable[[], object]] = [
            lambda: old.store(seqs, b"too late"),
            lambda: old.draw([charge(TENTH.amount / 4)]),
            lambda: old.open([charge(TENTH.amount / 4)]),
            old.settle,
        ]
        for call in calls:
            with pytest.raises(StoreBusy, match="another run took release 'r1' over"):
                call()
        assert new.lines() == before
        new.store(new.draw([charge(TENTH.amount / 2)]), b"x")

    # --- a live run holds its release ---------------------------------------------------------------------------------

    def test_a_release_is_held_by_its_handle(self, tmp_path: Path, accountant: Accountant) -> None:
        held = reserve(accountant)
        seqs = held.draw([charge(TENTH.amount / 2)])
        before = held.lines()
        with Accountant(self.opener(tmp_path)) as other:
            for desk in (accountant, other):
                with pytest.raises(StoreBusy, match="another run of release 'r1' is under way; wait for it") as caught:
                    reserve(desk)
                assert caught.value.exit_code == 30
                desk.check("people", TENTH, release="r1", plan=PLAN)
                with pytest.raises(ReleaseConflict):
                    reserve(desk, plan=OTHER_PLAN)
            reserve(other, "r2").close()
            assert held.lines() == before
            held.store(seqs, b"x")
            held.close()
            held.close()
            with reserve(other) as taken:
                assert [s.answer for s in taken.answers()] == [b"x"]
                with pytest.raises(StoreBusy):
                    reserve(accountant)
            reserve(accountant).settle()
            assert [s.answer for s in reserve(other).answers()] == [b"x"]
        assert not any(parse(line).kind == "lost" for line in held.lines())

    def test_a_refusal_holds_nothing(self, tmp_path: Path, accountant: Accountant) -> None:
        with pytest.raises(BudgetRefused):
            reserve(accountant, cost=Cost("gdp", 2 * CAP.cost().amount), quote=Budget("3", "1e-9"))
        with Accountant(self.opener(tmp_path)) as other:
            reserve(other)

    def test_a_settled_release_is_held_by_nobody(self, tmp_path: Path, accountant: Accountant) -> None:
        done = reserve(accountant)
        done.settle()
        with Accountant(self.opener(tmp_path)) as other:
            again = [reserve(desk) for desk in (accountant, other, other)]
            assert all(handle.lines() == done.lines() for handle in again)

    def test_an_accountant_that_is_closed_holds_nothing(self, tmp_path: Path, accountant: Accountant) -> None:
        with Accountant(self.opener(tmp_path)) as other:
            held = reserve(other)
            held.draw([charge(TENTH.amount / 2)])
        assert [s.answer for s in reserve(accountant).answers()] == [None]

    def test_a_handle_that_is_closed_reads_and_no_more(self, accountant: Accountant) -> None:
        with reserve(accountant) as handle:
            handle.store(handle.draw([charge(TENTH.amount / 4)]), b"x")
            seqs = handle.draw([charge(TENTH.amount / 4)])
        before = handle.lines()
        calls: list[Callable[[], object]] = [
            lambda: handle.store(seqs, b"y"),
            lambda: handle.draw([charge(TENTH.amount / 4)]),
            handle.settle,
        ]
        for call in calls:
            with pytest.raises(DpsynthError, match="this handle on release 'r1' is closed"):
                call()
        assert handle.lines() == before
        assert [s.answer for s in handle.answers()] == [b"x"]

    @pytest.mark.parametrize("kill", [True, False])
    def test_a_process_that_died_holds_nothing(self, tmp_path: Path, accountant: Accountant, kill: bool) -> None:
        context = multiprocessing.get_context("spawn")
        told, stop = context.Event(), context.Event()
        child = context.Process(target=hold_and_die, args=(self.opener, tmp_path, told, stop), daemon=True)
        child.start()
        assert told.wait(60)
        before = accountant.history("people")
        with pytest.raises(StoreBusy, match="under way"):
            reserve(accountant)
        assert accountant.history("people") == before
        if kill:
            child.kill()
        else:
            stop.set()
        child.join(60)
        assert child.exitcode != 0
        assert [s.answer for s in reserve(accountant).answers()] == [b"x", None]

    def test_a_settled_release_is_read_only(self, accountant: Accountant) -> None:
        reservation = reserve(accountant)
        reservation.store(reservation.draw([charge(TENTH.amount / 2)]), b"x")
        assert not accountant.settled("r1")
        assert not accountant.settled("never reserved")
        reservation.settle()
        reservation.settle()
        assert reservation.settled
        assert accountant.settled("r1")
        lines = reservation.lines()
        again = reserve(accountant)
        assert again.settled
        assert (again.lines(), again.answers()) == (lines, reservation.answers())
        for handle in (reservation, again):
            with pytest.raises(DpsynthError, match="settled"):
                handle.draw([charge(TENTH.amount / 4)])
        again.settle()
        assert accountant.account("people").held == TENTH, "what a release leaves unspent stays reserved"
        accountant.check("people", TENTH, release="r1", plan=PLAN)
        assert again.lines() == lines

    def test_the_clock_decides_nothing(self, accountant: Accountant, monkeypatch: pytest.MonkeyPatch) -> None:
        reservation = reserve(accountant, cost=CAP.cost())

        class Clock(datetime):
            years = iter(range(1970, 9999, 100))

            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime(next(cls.years), 1, 1, tzinfo=tz)

        monkeypatch.setattr("dpsynth.ledger.entries.datetime", Clock)
        for _ in range(2):
            with pytest.raises(BudgetRefused):
                reserve(accountant, "r2", TENTH)
            seqs = reservation.draw([charge(TENTH.amount / 2)])
            reservation.store(seqs, b"x")
        assert [parse(line).stamp.day[:4] for line in reservation.lines()[2:]] == ["2070", "2170", "2370", "2470"]
        reservation.close()
        assert reserve(accountant, cost=CAP.cost()).day == reservation.day

    # --- the database itself ------------------------------------------------------------------------------------------

    def test_an_act_that_raises_leaves_nothing(self, tmp_path: Path) -> None:
        store = self.opener(tmp_path)
        with Accountant(store) as accountant:
            open_people(accountant)

            def fail(tx: Writing) -> None:
                tx.add_account(AccountRow("half", None, HALF, Cost.nothing("gdp")))
                raise KeyError("stopped")

            with pytest.raises(KeyError, match="stopped"):
                store.write(fail)
            assert [account.name for account in accountant.accounts()] == ["people"]
            reserve(accountant)

    def test_the_database_refuses_what_the_filter_would(self, tmp_path: Path) -> None:
        store = self.opener(tmp_path)
        with Accountant(store) as accountant:
            open_people(accountant)
            reservation = reserve(accountant, cost=HALF)
            seqs = reservation.draw([charge(HALF.amount / 2)])
            open_people(accountant, "others")
            over = [
                Cost("gdp", CAP.cost().amount + Fraction(1, GRID)),
                Cost("gdp", Fraction(1)),
                Cost("gdp", Fraction(0), Fraction(1, GRID)),
            ]
            for cost in over:
                with pytest.raises(DpsynthError):
                    store.write(lambda tx, cost=cost: tx.hold("r1", "others", cost))  # type: ignore[misc]
            with pytest.raises(DpsynthError):
                store.write(lambda tx: tx.hold("r1", "people", Cost("gdp", Fraction(1, GRID))))
            reservation.store(seqs, b"x")
            with pytest.raises(DpsynthError):
                store.write(lambda tx: tx.close_verb(seqs[0], b"second answer"))
            with pytest.raises(DpsynthError):
                store.write(lambda tx: tx.advance("r1", "RESERVED", 1))
            assert [account.held for account in accountant.accounts()] == [HALF, Cost.nothing("gdp")]

    def test_what_is_written_is_there_for_another_handle(self, tmp_path: Path) -> None:
        with Accountant(self.opener(tmp_path)) as one, Accountant(self.opener(tmp_path)) as two:
            assert one.secret == two.secret
            assert len(one.secret) == 32
            open_people(one)
            reservation = reserve(two)
            assert reservation.secret == one.secret
            assert one.secret.hex() not in repr(reservation)
            reservation.store(reservation.draw([charge(TENTH)]), b"x")
            assert one.account("people").held == TENTH
            reservation.close()
            assert reserve(one).answers() == reservation.answers()

    # --- against the model --------------------------------------------------------------------------------------------

    def test_it_does_what_the_model_does(self) -> None:
        steps = settings(
            max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        )
        run_state_machine_as_test(lambda: AccountMachine(self.opener), settings=steps)  # type: ignore[no-untyped-call]

    # --- processes ----------------------------------------------------------------------------------------------------

    def test_a_race_ends_at_the_cap_exactly(self, tmp_path: Path) -> None:
        """Each process asks for an account of its own; all of these are charged to the one above, which has room."""
        processes, asks, room = 32, 200, 260
        total, small = Budget("9", "1e-9"), Budget("6", "1e-9")
        with Accountant(self.opener(tmp_path)) as accountant:
            open_under(accountant, "people", None, "population", total)
            for worker in range(processes):
                open_under(accountant, f"desk-{worker}", "people", "project", small)
            fill = total.cost().amount - room * TENTH.amount
            assert fill > 0
            reserve(accountant, "fill", Cost("gdp", fill), quote=total)
            before = parse(accountant.history("people")[-1]).seq
        found = at_once(ask_often, [(self.opener, tmp_path, worker, asks) for worker in range(processes)])
        assert sum(granted for granted, _ in found) == room
        assert sum(refused for _, refused in found) == processes * asks - room
        with Accountant(self.opener(tmp_path)) as accountant:
            account, *desks = accountant.accounts()
            assert account.held == account.cap
            assert sum(desk.held.amount for desk in desks) == room * TENTH.amount
            assert account.attempts == Attempts(refused=processes * asks - room)
            lines = [parse(line) for desk in desks for line in accountant.history(desk.name)]
            granted = [entry.fields["release"] for entry in lines if entry.kind == "reserve"]
            assert len(granted) == len(set(granted)) == room
            assert sorted(entry.seq for entry in lines if entry.kind != "open") == list(
                range(before + 1, before + 1 + processes * asks)
            )

    def test_a_store_that_many_make_at_once_is_one(self, tmp_path: Path) -> None:
        found = at_once(open_at_once, [(self.opener, tmp_path)] * 4)
        assert len(set(found)) == 1
        with Accountant(self.opener(tmp_path)) as accountant:
            assert accountant.secret == found[0]
            assert len(accountant.history("people")) == 1
