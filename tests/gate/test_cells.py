"""A release of a cell's account sees the rows of its cell and no other, and its prices are those of a cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.accountant import Reservation
from dpsynth.curator import Curator
from dpsynth.measurement import LATTICE, Candidate, Query
from dpsynth.privacy import Cells
from dpsynth.schema import Schema
from tests.curator.bench import RHO, Frozen, LightReservation

REGIONS = Cells("region", ("north", "south"))
RELATIONS = ("add-remove", "replace-one")
TOWNS = ("Bonn", "Cork", "Ulm")
TEXTS = 1
"""The place of the one answer about texts, which are not the same ones in two tables."""
Row = tuple[str, str, str, str]
"""Who, in which region, of which sex, in which town."""

ROWS: list[Row] = [
    ("ann", "north", "f", "Ulm"),
    ("ann", "north", "m", "Ulm"),
    ("bob", "north", "m", "Bonn"),
    ("cid", "south", "m", "Cork"),
    ("dan", "south", "m", "Ulm"),
    ("eve", "south", "f", "Cork"),
    ("fay", "sea", "f", "Bonn"),
]


class Counted(Frozen):
    """Names every value that it is asked of."""

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        super().noisy(counts, scale)
        return counts + 10**6


def schema_of(relation: str, unit: bool) -> Schema:
    column = 'column = "id"\nmax_rows = 2\n' if unit else ""
    return Schema.parse(
        f'[unit]\nentity = "person"\nneighbours = "{relation}"\n{column}'
        '[columns.sex]\ntype = "categorical"\nvalues = ["f", "m"]\n'
        '[columns.town]\ntype = "categorical"\nvalues = "private"\n'
    )


def asked(
    rows: Sequence[Row], label: str, relation: str, unit: bool, place: Path, noise: Frozen
) -> tuple[list[NDArray[np.int64]], LightReservation]:
    """What a release of the cell hands to the noise: its total, its towns, its sexes, scores and a choice of pairs."""
    reservation = LightReservation()
    terms = {"entity": "person", "column": "id" if unit else None, "neighbours": relation}
    reservation.account = replace(reservation.account, cell=REGIONS.cell("study", label), **terms)  # type: ignore[arg-type]
    place.write_text("id,region,sex,town\n" + "".join(",".join(row) + "\n" for row in rows))
    with Curator.open(place, schema_of(relation, unit), cast(Reservation, reservation), _noise=noise) as curator:
        curator.total(RHO / 8)
        curator.partitions("town", RHO / 8, Fraction(1, 2**30))
        sex, town = (curator.levels[name] for name in ("sex", "town"))
        curator.marginals([Query((sex,)), Query((town,))], RHO / 8)
        pair = Candidate(Query((sex, town)), np.zeros((2, curator.domain.size("town"))))
        curator.scores([pair], "l1-to-model", RHO / 8)
        curator.select([pair], "l1-to-model", 1, RHO / 8)
    return [given for _, given, _ in noise.inputs], reservation


def expected(rows: Sequence[Row], unit: bool) -> Iterator[list[int]]:
    """Total, towns by entities, sexes, towns and the rest by rows, and how far all of it is from nothing, twice."""
    towns = [town for town in TOWNS if any(row[3] == town for row in rows)]
    pairs = [(row[0], row[3]) for row in rows]
    held = Counter(town for _, town in (set(pairs) if unit else pairs))
    yield [len(rows)]
    yield [held[town] for town in towns]
    yield [sum(row[2] == sex for row in rows) for sex in "fm"]
    yield [*(sum(row[3] == town for row in rows) for town in towns), 0]
    yield [LATTICE * len(rows)]
    yield [LATTICE * len(rows)]


@pytest.mark.parametrize("label", REGIONS.labels)
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("relation", RELATIONS)
def test_every_answer_is_of_the_cell_alone(relation: str, unit: bool, label: str, tmp_path: Path) -> None:
    inputs, reservation = asked(ROWS, label, relation, unit, tmp_path / "people.csv", Counted())
    own = [row for row in ROWS if row[1] == label]
    assert [given.tolist() for given in inputs] == list(expected(own, unit))
    assert all(charge.cost.amount > 0 for charge in reservation.drawn), "the number of a cell's rows is never public"


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("relation", RELATIONS)
def test_one_entity_moves_no_more_cells_than_are_paid_for(relation: str, unit: bool, tmp_path: Path) -> None:
    """Under add-remove a divided account holds the largest of its cells' sums, under replace-one the two largest."""
    own = [("ann", region, sex, "Ulm") for region, sex in product((*REGIONS.labels, "sea"), "fm")]
    selves: list[list[Row]] = [[row] for row in own] + ([list(pair) for pair in combinations(own, 2)] if unit else [])
    neighbours = combinations(selves, 2) if relation == "replace-one" else (([], self) for self in selves)
    most = 1 if relation == "add-remove" else 2
    known: dict[tuple[str, ...], list[NDArray[np.int64]]] = {}
    bounds: list[Fraction] = []

    def inputs(rows: Sequence[Row], label: str) -> list[NDArray[np.int64]]:
        key = (label, *map(repr, rows))
        if key not in known:
            given, reservation = asked([*ROWS[2:], *rows], label, relation, unit, tmp_path / "people.csv", Frozen())
            known[key] = given
            bounds[:] = [Fraction(charge.fields["sensitivity_squared"]) for charge in reservation.drawn]
        return known[key]

    seen = set()
    for before, after in neighbours:
        cells = 0
        for label in REGIONS.labels:
            pairs = zip(inputs(before, label), inputs(after, label), bounds, strict=True)
            shared = [pair for place, pair in enumerate(pairs) if place != TEXTS]
            moves = [int(np.square(other - one).sum()) for one, other, _ in shared]
            assert all(move <= bound for move, (_, _, bound) in zip(moves, shared, strict=True)), (before, after, label)
            cells += any(moves)
        assert cells <= most, (before, after)
        seen.add(cells)
    assert seen == set(range(most + 1))
