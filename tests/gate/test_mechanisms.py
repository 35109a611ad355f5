"""Every mechanism at the gate: it counts what it pays for, needs nothing but the archive, and moves by no more than
the ledger says."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator import Curator
from dpsynth.curator import curator as room
from dpsynth.measurement import Grid, Query, Replayer, Selection, pack, unpack
from dpsynth.mechanisms import REGISTRY, by_name
from dpsynth.noise import Noise, RoundedGaussianNoise
from dpsynth.sampling import IntegerTables, to_bytes
from dpsynth.schema import Schema
from dpsynth.table import PrivateTable
from tests.curator.bench import RHO, Frozen, LightReservation

MECHANISMS = tuple(REGISTRY)
"""A mechanism is here as soon as it has a name."""
COLUMNS = ("sex", "age", "town", "job")
SCHEMA = """
[unit]
entity = "person"
column = "id"
max_rows = 2
neighbours = "{neighbours}"
[columns.sex]
type = "categorical"
values = ["f", "m"]
[columns.age]
type = "integer"
min = 0
max = 9
bins = 5
nullable = true
[columns.town]
type = "categorical"
values = ["x", "y", "z"]
[columns.job]
type = "boolean"
"""

Row = tuple[int, str, int, str, bool]


def people(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["id", *COLUMNS])


def rows_of(who: st.SearchStrategy[int], most: int) -> st.SearchStrategy[list[Row]]:
    cells = (st.sampled_from("fm?"), st.integers(-1, 10), st.sampled_from("xyz"), st.booleans())
    return st.lists(st.tuples(who, *cells), max_size=most)


def crowd(number: int = 300) -> pd.DataFrame:
    return people([(i, "fm"[i % 2], i % 10, "xyz"[i % 10 // 4], i % 2 == 0) for i in range(number)])


def curator_of(
    frame: pd.DataFrame, noise: Noise | None = None, neighbours: str = "add-remove"
) -> tuple[Curator, LightReservation]:
    reservation = LightReservation()
    schema = Schema.parse(SCHEMA.format(neighbours=neighbours))
    return Curator.open(frame, schema, reservation, _noise=noise), reservation  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MECHANISMS)
def test_counts_what_it_pays_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[Query]] = []
    verbs: list[int] = []
    count, draw = PrivateTable.count, LightReservation.draw
    monkeypatch.setattr(
        PrivateTable, "count", lambda table, queries: (asked.append(list(queries)), count(table, queries))[1]
    )
    monkeypatch.setattr(LightReservation, "draw", lambda self, given: (verbs.append(len(given)), draw(self, given))[1])
    curator, reservation = curator_of(crowd())
    by_name(name).fit(curator, RHO)
    assert len(asked) == len(verbs)
    at = 0
    for queries, charges in zip(asked, verbs, strict=True):
        entries = reservation.drawn[at : at + charges]
        at += charges
        if entries[0].kind in ("select", "score"):
            assert [entry.fields["query"]["candidates"] for entry in entries] == [len(queries)]
        else:
            assert [entry.fields["query"]["columns"] for entry in entries] == [list(q.columns) for q in queries]
    assert at == len(reservation.drawn)
    assert sum((charge.cost.amount for charge in reservation.drawn), Fraction(0)) <= RHO


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("number", [0, 1, 300])
def test_the_archive_is_all_it_needs(name: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    curator, _ = curator_of(crowd(number))
    with curator:
        fitted = by_name(name).fit(curator, RHO)
    archive = unpack(pack(curator.answers))
    monkeypatch.setattr(room, "open_table", lambda *_: pytest.fail("the table was opened"))
    again = by_name(name).fit(Replayer.of(Grid(curator.domain, curator.levels, curator.hierarchies), archive), RHO)
    assert to_bytes(IntegerTables.from_model(again)) == to_bytes(IntegerTables.from_model(fitted))
    assert again.total == fitted.total


class Lively(Frozen):
    """Frozen noise whose answers look like those of a table with many rows, so that a mechanism asks all it can."""

    def noisy(self, counts: np.ndarray, scale: Fraction) -> np.ndarray:
        return np.full_like(super().noisy(counts, scale), 12_000 // counts.size)

    def exponential(self, scores: np.ndarray, scale: Fraction) -> int:
        return super().exponential(scores, scale) + scores.size // 2


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
def test_one_entity_moves_no_input_beyond_its_bound(name: str, neighbours: str) -> None:
    me = rows_of(st.just(0), 4)
    kinds: set[str] = set()

    @settings(deadline=None, max_examples=8)
    @given(rows_of(st.integers(1, 5), 10), me, me)
    def check(others: list[Row], mine: list[Row], instead: list[Row]) -> None:
        found = []
        for rows in (others + mine, others + (instead if neighbours == "replace-one" else [])):
            noise = Lively()
            curator, reservation = curator_of(people(rows), noise, neighbours)
            by_name(name).fit(curator, RHO)
            found.append((noise.inputs, reservation.drawn, curator.answers))
        (one, charges, answers), (other, again, _) = found
        assert [charge.fields for charge in charges] == [charge.fields for charge in again]
        kinds.update(charge.kind for charge in charges)
        bounds = []
        for charge, answer in zip(charges, answers, strict=True):
            times = len(answer.picks) if isinstance(answer, Selection) else 1
            bounds += [Fraction(charge.fields["sensitivity_squared"])] * times
        for (kind, first, scale), (_, second, same), bound in zip(one, other, bounds, strict=True):
            assert scale == same
            gap = (first - second).astype(object)
            assert (max(abs(gap)) ** 2 if kind == "exponential" else (gap**2).sum()) <= bound

    check()
    assert "measure" in kinds
    assert (kinds == {"measure"}) == (name == "independent"), "the others choose what they measure"


class Recorded(RoundedGaussianNoise):
    """Real noise, whose answers are kept."""

    def __init__(self) -> None:
        self.kept: list[np.ndarray | int] = []

    def noisy(self, counts: np.ndarray, scale: Fraction) -> np.ndarray:
        self.kept.append(super().noisy(counts, scale))
        return cast(np.ndarray, self.kept[-1])

    def exponential(self, scores: np.ndarray, scale: Fraction) -> int:
        self.kept.append(super().exponential(scores, scale))
        return cast(int, self.kept[-1])


class Replayed(RoundedGaussianNoise):
    """The same answers again, whatever the counts are now."""

    def __init__(self, kept: Sequence[np.ndarray | int]) -> None:
        self.left = list(kept)

    def noisy(self, counts: np.ndarray, scale: Fraction) -> np.ndarray:
        answer = self.left.pop(0)
        assert isinstance(answer, np.ndarray)
        assert answer.shape == counts.shape
        return answer

    def exponential(self, scores: np.ndarray, scale: Fraction) -> int:
        answer = self.left.pop(0)
        assert isinstance(answer, int)
        assert answer < scores.size
        return answer


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
def test_the_same_answers_on_a_neighbour_lead_to_the_same_questions(name: str, neighbours: str) -> None:
    """Recorded on one table and replayed on its neighbours, the ledger's lines and the model are the same: nothing but
    the noisy answers tells two tables apart."""
    rows: list[Row] = list(crowd(120).itertuples(index=False, name=None))
    mine: Row = (0, "m", 10, "z", True)
    noise = Recorded()
    curator, reservation = curator_of(people(rows), noise, neighbours)
    fitted = to_bytes(IntegerTables.from_model(by_name(name).fit(curator, RHO)))
    lines = [charge.fields for charge in reservation.drawn]
    others = [rows[1:], [*rows, mine]] if neighbours == "add-remove" else [[mine, mine, *rows[1:]], rows[1:]]
    for neighbour in others:
        replayed = Replayed(noise.kept)
        curator, reservation = curator_of(people(neighbour), replayed, neighbours)
        assert to_bytes(IntegerTables.from_model(by_name(name).fit(curator, RHO))) == fitted
        assert [charge.fields for charge in reservation.drawn] == lines
        assert replayed.left == []
