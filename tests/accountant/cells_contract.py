"""What every store must do with accounts that are divided into cells: a part of :mod:`.store_contract`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dpsynth.accountant import Account, Accountant, Charge, Reservation
from dpsynth.accountant.store import AccountRow, Store
from dpsynth.errors import BudgetRefused, ConfigurationError, DpsynthError, StoreBusy, StoreDamaged
from dpsynth.ledger import amount, parse
from dpsynth.privacy import GRID, Budget, Cells, Cost
from tests.processes import at_once, when_free

PLAN = "sha256:" + "a" * 64
CAP = Budget("1", "1e-9")
UNIT = Cost("gdp", Fraction(int(CAP.cost().amount * GRID) // 100, GRID))
"""A hundredth of the cap."""
FORTIETH = Fraction(int(UNIT.amount * GRID) // 40, GRID)
REGIONS = Cells("region", ("north", "south", "west"))
RELATIONS = ("add-remove", "replace-one")


def times(number: int) -> Cost:
    return Cost("gdp", number * UNIT.amount)


def fortieth(number: int) -> Cost:
    return Cost("gdp", number * FORTIETH)


def open_in(accountant: Accountant, name: str, neighbours: str = "add-remove", **changes: Any) -> Account:
    terms = {"entity": "person", "column": "id", "budget": CAP, "neighbours": neighbours, **changes}
    return accountant.open_account(name, **terms)


def open_study(accountant: Accountant, neighbours: str = "add-remove", measure: str = "gdp") -> None:
    """office > study, divided into three regions, two of which have their account, and an account beside them."""
    open_in(accountant, "office", neighbours, level="organisation", measure=measure)
    open_in(accountant, "study", neighbours, parent="office", level="population", cells=REGIONS)
    for label in ("north", "south"):
        open_in(accountant, label, neighbours, parent="study", level="source", cell=label)
    open_in(accountant, "desk", neighbours, parent="north")
    open_in(accountant, "beside", neighbours, parent="study")


def reserve(accountant: Accountant, account: str, number: int, **changes: Any) -> Reservation:
    terms: dict[str, Any] = {"release": f"{account}-{number}", "plan": PLAN, "quote": CAP, "cost": times(number)}
    return accountant.reserve(account, **{**terms, **changes})


def sums(accountant: Accountant) -> dict[str, Fraction]:
    return {one.name: one.held.amount / UNIT.amount for one in accountant.accounts()}


def charge(neighbours: str) -> Charge:
    fields: dict[str, Any] = {
        "unit": {"entity": "person", "column": "id", "max_rows": 1},
        "neighbours": neighbours,
        "sensitivity_squared": "1",
        "chosen_by": [],
        "mechanism": {"type": "rounded_gaussian", "sigma": "20"},
        "query": {"columns": ["sex"], "levels": [PLAN], "shape": [2], "basis": "marginal"},
    }
    return Charge("measure", UNIT, fields)


class CellsContract:
    """Inherited by the contract of all stores."""

    opener: Callable[[Path], Store]

    @pytest.fixture(params=RELATIONS)
    def relation(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def study(self, tmp_path: Path, relation: str) -> Any:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_study(accountant, relation)
            yield accountant

    def test_a_divided_account_is_what_was_opened(self, study: Accountant, relation: str) -> None:
        found = study.account("study")
        assert (found.cells, found.cell, found.label) == (REGIONS, None, None)
        assert dict(found.sums) == {"north": Cost.nothing("gdp"), "south": Cost.nothing("gdp")}
        north, desk, beside = (study.account(name) for name in ("north", "desk", "beside"))
        assert north.cell == desk.cell == REGIONS.cell("study", "north")
        assert (north.label, desk.label, beside.cell) == ("north", None, None)
        assert parse(study.history("study")[0]).fields["cells"] == {"column": "region", "labels": list(REGIONS.labels)}
        assert parse(study.history("north")[0]).fields["cell"] == "north"
        assert open_in(study, "study", relation, parent="office", level="population", cells=REGIONS) == found
        assert open_in(study, "north", relation, parent="study", level="source", cell="north") == north

    @pytest.mark.parametrize(
        ("name", "change", "word"),
        [
            ("study", {"cells": Cells("region", ("north", "south"))}, "another cells"),
            ("study", {"cells": None}, "another cells"),
            ("north", {"cell": "west", "parent": "study", "level": "source"}, "another cell,"),
            ("more", {"cell": "east"}, "no cell 'east'; did you mean|no cell 'east'"),
            ("more", {"cell": "north"}, "has its account already"),
            ("more", {"cell": "north", "parent": "office"}, "opened without cells"),
            ("more", {"cell": "north", "parent": None}, "of which account"),
            ("more", {"cell": "west", "measure": "zcdp"}, "gdp for ever"),
            ("more", {"cells": REGIONS, "parent": "north"}, "not divided again"),
            ("more", {"cells": REGIONS, "cell": "west"}, "not divided again"),
            ("more", {"cells": Cells("code", ("1", "2.0")), "parent": "office"}, "'2.0' is spelt '2' in a table"),
        ],
    )
    def test_cells_are_fixed_for_ever(self, tmp_path: Path, name: str, change: dict[str, Any], word: str) -> None:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_study(accountant)
            place = {"parent": "office" if name == "study" else "study"}
            place |= {"level": "population"} if name == "study" else {}
            with pytest.raises(ConfigurationError, match=word):
                open_in(accountant, name, **{**place, **change})
            assert len(accountant.accounts()) == 6

    def test_the_price_is_the_largest_or_the_two_largest(self, study: Accountant, relation: str) -> None:
        one = relation == "add-remove"
        reserve(study, "north", 20)
        assert sums(study)["study"] == 20
        reserve(study, "south", 30)
        assert sums(study)["study"] == (30 if one else 50)
        reserve(study, "desk", 5)  # in the north, too
        assert sums(study)["study"] == (30 if one else 55)
        open_in(study, "west", relation, parent="study", cell="west")
        reserve(study, "west", 26)
        assert sums(study)["study"] == (30 if one else 56)
        reserve(study, "beside", 7)
        reserve(study, "study", 3)
        held = {"north": 25, "south": 30, "west": 26, "desk": 5, "beside": 7}
        total = (30 if one else 56) + 10
        assert sums(study) == {"office": total, "study": total, **held}
        lines = [parse(line) for name in ("north", "south", "desk", "west") for line in study.history(name)]
        said = [entry.fields["parallel"]["others"] for entry in lines if entry.kind == "reserve"]
        expected = [(0, 0), (20, 0), (30, 0), (30, 25)]
        assert said == [[amount(times(first)), amount(times(second))] for first, second in expected]

    def test_every_order_costs_what_the_definition_says(self, study: Accountant, tmp_path: Path, relation: str) -> None:
        """With a release that is given up before the last one is asked for."""
        moved, expected = 1 if relation == "add-remove" else 2, {}
        for number, order in enumerate(product(("north", "south", "beside"), repeat=3)):
            study_, (north, south, beside) = f"study {number}", [f"{name} {number}" for name in REGIONS.labels]
            open_in(study, study_, relation, parent="office", level="population", cells=REGIONS)
            open_in(study, north, relation, parent=study_, cell="north")
            open_in(study, south, relation, parent=study_, cell="south")
            open_in(study, beside, relation, parent=study_)
            names = {"north": north, "south": south, "beside": beside}
            kept = dict.fromkeys(names, 0)
            for turn, (account, size) in enumerate(zip((*order, "south"), (3, 5, 2, 4), strict=True)):
                made = reserve(study, names[account], size, release=f"{number}-{turn}", cost=fortieth(size))
                if turn == 1:
                    given_up = made
                else:
                    kept[account] += size
                if turn == 2:
                    given_up.void()
            expected[study_] = kept["beside"] + sum(sorted((kept["north"], kept["south"]), reverse=True)[:moved])
        assert {name: held for name, held in sums(study).items() if name in expected} == {
            name: held * FORTIETH / UNIT.amount for name, held in expected.items()
        }
        assert sums(study)["office"] == sum(expected.values()) * FORTIETH / UNIT.amount
        Accountant(self.opener(tmp_path)).close()  # it audits what it finds

    def test_a_refusal_says_what_the_cell_may_ask(self, study: Accountant, relation: str) -> None:
        reserve(study, "north", 60)
        open_in(study, "west", relation, parent="study", cell="west")
        if relation == "add-remove":
            reserve(study, "south", 20)
            reserve(study, "beside", 30)
        else:
            reserve(study, "south", 30)
        before = study.account("study")
        with pytest.raises(BudgetRefused, match="account 'study' cannot pay for its cell 'west'") as caught:
            reserve(study, "west", 71 if relation == "add-remove" else 41)
        assert caught.value.account == "study"
        assert study.account("study").held == before.held
        refused = parse(study.history("west")[-1])
        assert (refused.kind, refused.fields["by"]) == ("refused", "study")
        reserve(study, "west", 70 if relation == "add-remove" else 40)
        assert sums(study)["study"] == sums(study)["office"] == 100

    def test_what_a_refusal_advises_a_cell_is_granted(self, study: Accountant) -> None:
        reserve(study, "north", 60)
        reserve(study, "south", 25)
        reserve(study, "beside", 10)
        with pytest.raises(BudgetRefused, match=r"ask for an epsilon of at most ([0-9.]+),") as caught:
            reserve(study, "south", 70)
        most = str(caught.value).partition("at most ")[2].partition(",")[0]
        study.check("south", Budget(most, "1e-9").cost(), release="r", plan=PLAN)

    def test_what_a_cell_costs_above_in_zcdp_is_rounded_up_once(self, tmp_path: Path, relation: str) -> None:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_study(accountant, relation, "zcdp")
            odd = Cost("gdp", Fraction(2 * int(UNIT.amount * GRID) // 2 + 1, GRID))
            accountant.reserve("north", release="a", plan=PLAN, cost=odd, quote=CAP)
            accountant.reserve("south", release="b", plan=PLAN, cost=odd, quote=CAP).void()
            accountant.reserve("south", release="c", plan=PLAN, cost=odd, quote=CAP)
            accountant.reserve("beside", release="d", plan=PLAN, cost=odd, quote=CAP)
            office, study = accountant.account("office"), accountant.account("study")
            cells = odd.amount * (1 if relation == "add-remove" else 2)
            assert study.held.amount == cells + odd.amount
            halves = [-(-part.numerator // 2) for part in (cells * GRID, odd.amount * GRID)]
            assert office.held == Cost("zcdp", Fraction(sum(halves), GRID))
        with Accountant(self.opener(tmp_path)) as accountant:
            assert accountant.account("office") == office

    def test_all_cells_are_of_one_source(self, study: Accountant) -> None:
        reserve(study, "north", 5, source="2024.csv")
        reserve(study, "south", 5, source="2024.csv")
        for account in ("south", "desk"):
            with pytest.raises(ConfigurationError, match="releases are of another source") as caught:
                reserve(study, account, 6, source="2025.csv")
            assert "2024" not in str(caught.value)
        reserve(study, "beside", 6, source="2025.csv")

    def test_a_release_that_was_given_up_names_no_source(self, study: Accountant) -> None:
        reserve(study, "north", 5, source="2024.csv").void()
        reserve(study, "south", 5, source="2025.csv")

    def test_a_story_tells_what_each_account_held(self, study: Accountant, relation: str) -> None:
        reserve(study, "south", 30)
        with reserve(study, "desk", 20) as reservation:
            reservation.store(reservation.draw([charge(relation)]), b"x")
            reservation.settle()
        reserve(study, "beside", 1)
        told = study.story("desk-20").accounts
        found = [(one.name, one.held_before.amount / UNIT.amount, one.held_after.amount / UNIT.amount) for one in told]
        above = (30, 30) if relation == "add-remove" else (30, 50)
        assert found == [("desk", 0, 20), ("north", 0, 20), ("study", *above), ("office", *above)]

    def test_the_database_prices_cells_itself(self, tmp_path: Path, relation: str) -> None:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_study(accountant, relation)
            with reserve(accountant, "south", 3) as reservation:
                store = accountant._store
                wrong = [times(2), times(4), Cost.nothing("gdp"), Cost("gdp", times(3).amount, Fraction(1, GRID))]
                for price in wrong:
                    with pytest.raises(DpsynthError):
                        store.write(lambda tx, price=price: tx.price("study", price))  # type: ignore[misc]
                store.write(lambda tx: tx.price("study", times(3)))
                assert sums(accountant)["study"] == sums(accountant)["office"] == 3
                store.write(lambda tx: tx.hold("south-3", "north", times(7)))  # a cell that nobody priced
                with pytest.raises(DpsynthError):
                    reservation.draw([charge(relation)])
                store.write(lambda tx: tx.price("study", times(7 if relation == "add-remove" else 10)))
                reservation.draw([charge(relation)])
            reserve(accountant, "beside", 1).close()
            store.write(lambda tx: tx.hold("beside-1", "south", times(1) if relation != "add-remove" else times(8)))
        with pytest.raises(StoreDamaged, match="what its cells cost together"):
            Accountant(self.opener(tmp_path))

    def test_the_database_knows_what_divides_an_account(self, tmp_path: Path) -> None:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_study(accountant)
            open_in(accountant, "rows", measure="zcdp")
            nothing, cap, store = Cost.nothing("gdp"), CAP.cost(), accountant._store
            wrong = [
                AccountRow("x", "study", cap, nothing, "north"),
                AccountRow("x", "office", cap, nothing, "north"),
                AccountRow("x", None, cap, nothing, "north"),
                AccountRow("x", "study", CAP.cost("zcdp"), Cost.nothing("zcdp"), "west"),
                AccountRow("x", "office", cap, nothing, None, 3, nothing),
                AccountRow("x", "office", cap, nothing, None, 1, times(1)),
            ]
            for row in wrong:
                with pytest.raises(DpsynthError):
                    store.write(lambda tx, row=row: tx.add_account(row))  # type: ignore[misc]
            assert len(accountant.accounts()) == 7

    def test_no_account_is_divided_or_joined_to_a_cell_later(self, tmp_path: Path) -> None:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_study(accountant)
            before = accountant.accounts()
            row = AccountRow("beside", "study", CAP.cost(), Cost.nothing("gdp"), "west")
            with pytest.raises(DpsynthError):
                accountant._store.write(lambda tx: tx.add_account(row))
            assert accountant.accounts() == before

    def test_cells_race_to_the_cap_exactly(self, tmp_path: Path) -> None:
        """Each of 32 processes asks for one of two cells; the study has room for some of what they ask."""
        processes, asks, room = 32, 6, 40
        with Accountant(self.opener(tmp_path)) as accountant:
            for number in range(processes):
                if not number:
                    open_study(accountant, "replace-one")
                open_in(accountant, f"desk-{number}", "replace-one", parent=("north", "south")[number % 2])
            reserve(accountant, "beside", 100 - room)
        found = at_once(ask_for_cells, [(self.opener, tmp_path, worker, asks) for worker in range(processes)])
        assert sum(found) == room
        with Accountant(self.opener(tmp_path)) as accountant:
            held = sums(accountant)
            assert held["study"] == held["office"] == 100
            assert held["north"] + held["south"] == room
            assert accountant.account("study").attempts.refused == processes * asks - room


def ask_for_cells(opener: Callable[[Path], Store], place: Path, worker: int, asks: int) -> int:
    """One process of the race: how often it was granted a hundredth of the cap."""
    granted = 0
    with when_free(lambda: Accountant(opener(place))) as accountant:
        for turn in range(asks):
            while True:
                try:
                    reserve(accountant, f"desk-{worker}", 1, release=f"{worker}-{turn}").close()
                    granted += 1
                except BudgetRefused:
                    pass
                except StoreBusy:
                    continue
                break
    return granted
