"""What one entity can move, by brute force: the exact inputs of every query on all neighbours of small tables.

The noise is frozen: it records what it is given and answers the same for every table, so the questions are the same
and only their inputs differ. No input may move by more than the ledger says, and each bound is attained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations, combinations_with_replacement, product
from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.accountant import Reservation
from dpsynth.curator import Curator
from dpsynth.measurement import Candidate, Law, Query
from dpsynth.privacy import MEASURES, Measure
from dpsynth.schema import Schema
from tests.curator.bench import RHO, Frozen, LightReservation

Row = tuple[str, str, str]
Rows = tuple[Row, ...]
Inputs = list[np.ndarray]

CONTENT = [(a, b) for a in "xy" for b in "uv"]
OTHERS: list[Rows] = [
    (),
    (("ann", "x", "u"),),
    (("ann", "x", "u"), ("ann", "y", "v"), ("bob", "x", "u"), ("", "y", "u")),
]
ME = "me"
LAWS: dict[Measure, Law] = {"gdp": "rounded_gaussian", "zcdp": "discrete_gaussian", "pure": "discrete_laplace"}


def schema_of(neighbours: str, max_rows: int, unit: bool) -> Schema:
    person = 'entity = "person"\ncolumn = "id"\n' if unit else ""
    return Schema.parse(
        f'[unit]\nneighbours = "{neighbours}"\nmax_rows = {max_rows}\n{person}'
        '[columns.a]\ntype = "categorical"\nvalues = ["x", "y"]\n'
        '[columns.b]\ntype = "categorical"\nvalues = ["u", "v"]\n'
    )


def run(rows: Sequence[Row], schema: Schema, measure: Measure = "gdp") -> tuple[Inputs, LightReservation]:
    """Every kind of query on a table; the exact inputs of its noise, in order."""
    frame = pd.DataFrame(list(rows), columns=["id", "a", "b"], dtype=str)
    noise, reservation = Frozen(LAWS[measure]), LightReservation(measure)
    with Curator.open(frame, schema, reservation, _noise=noise) as curator:  # type: ignore[arg-type]
        a, b = curator.levels["a"], curator.levels["b"]
        coarse = Query((a.merged(np.zeros(2, dtype=np.int64)),))
        total = curator.total(RHO)
        curator.marginals([Query((a,)), Query((a, b)), coarse], RHO, [1, 2, 3])
        if measure != "pure":
            curator.marginals([Query((a, b), "residual"), Query((b,), "residual")], RHO)
        far = [[9.5, 0.25], [0.0, 3.0]]  # a model that is wrong in each cell, above and below
        candidates = [
            Candidate.of(Query((a, b)), np.array(far), 2, 7.5),
            Candidate.of(Query((b,)), np.array([9.0, 0.0]), 3, -1.25),
        ]
        curator.select(candidates, "l1-to-model", 2, RHO)
        alike = [Candidate(candidate.query, candidate.expected, 1, candidate.offset) for candidate in candidates]
        curator.scores(alike, "l1-to-model", RHO)
    first = [total.values.reshape(1)] if total.sigma == 0 else []
    return first + [given for _, given, _ in noise.inputs], reservation


def declared(reservation: LightReservation) -> list[tuple[str, Fraction]]:
    """For each input its mechanism and the squared sensitivity that its entry states."""
    kinds: list[tuple[str, Fraction]] = []
    for charge in reservation.drawn:
        times = charge.fields["mechanism"].get("picks", 1)
        type_ = charge.fields["mechanism"]["type"]
        kinds += [(type_, Fraction(charge.fields["sensitivity_squared"]))] * times
    return kinds


def moved(kind: str, one: np.ndarray, other: np.ndarray) -> int:
    """The squared distance: L2 for what gets Gaussian noise, L1 for Laplace, the largest of all scores for a choice."""
    assert one.shape == other.shape
    gap = (one - other).astype(object)
    if kind == "exponential":
        return int(abs(gap).max()) ** 2
    return int(abs(gap).sum()) ** 2 if kind == "discrete_laplace" else int((gap**2).sum())


def of_mine(max_rows: int) -> Iterator[Rows]:
    """All tables of one entity with up to one row more than it may have."""
    for size in range(max_rows + 2):
        for content in combinations_with_replacement(CONTENT, size):
            yield tuple((ME, *cells) for cells in content)


def people(
    neighbours: str, max_rows: int, measure: Measure
) -> tuple[list[tuple[Inputs, Inputs]], list[tuple[str, Fraction]]]:
    """Every pair of neighbouring tables of people with several rows, and the bounds that their entries state."""
    schema = schema_of(neighbours, max_rows, unit=True)
    pairs: list[tuple[Inputs, Inputs]] = []
    bounds: list[tuple[str, Fraction]] = []
    for others in OTHERS:
        without, reservation = run(others, schema, measure)
        bounds = declared(reservation)
        inputs = [run(others + mine, schema, measure)[0] for mine in of_mine(max_rows)]
        pairs += [(without, one) for one in inputs] if neighbours == "add-remove" else list(product(inputs, repeat=2))
    return pairs, bounds


def check(pairs: list[tuple[Inputs, Inputs]], bounds: list[tuple[str, Fraction]]) -> list[int]:
    """Assert every bound on every pair of neighbours; the largest move of each query."""
    largest = [0] * len(bounds)
    for one, other in pairs:
        for at, (kind, bound) in enumerate(bounds):
            move = moved(kind, one[at], other[at])
            assert move <= bound, (at, kind)
            largest[at] = max(largest[at], move)
    return largest


@pytest.mark.parametrize("max_rows", [1, 2, 3])
@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
def test_people_with_several_rows(neighbours: str, max_rows: int) -> None:
    pairs, bounds = people(neighbours, max_rows, "gdp")
    s, twice = max_rows, 1 if neighbours == "add-remove" else 2
    residuals, score = [4 * twice**2 * s**2, 2 * twice**2 * s**2], (twice * s * 1024) ** 2
    scores = [9 * score, 9 * score, 2 * score]
    assert [int(bound) for _, bound in bounds] == [s**2, *[twice * s**2] * 3, *residuals, *scores]
    attained = check(pairs, bounds)
    # A coarse table of one cell cannot lose a row in one cell and gain it in another: there s^2 is all.
    assert attained == [s**2, twice * s**2, twice * s**2, s**2, *residuals, *scores]


@pytest.mark.parametrize("max_rows", [1, 2])
@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
def test_in_l1_for_laplace_noise(neighbours: str, max_rows: int) -> None:
    pairs, bounds = people(neighbours, max_rows, "pure")
    s, twice = max_rows, 1 if neighbours == "add-remove" else 2
    score = (twice * s * 1024) ** 2
    scores = [9 * score, 9 * score, 4 * score]
    assert [int(bound) for _, bound in bounds] == [s**2, *[(twice * s) ** 2] * 3, *scores]
    assert check(pairs, bounds) == [s**2, (twice * s) ** 2, (twice * s) ** 2, s**2, *scores]
    assert {kind for kind, _ in bounds} == {"discrete_laplace", "exponential"}


@pytest.mark.parametrize("max_rows", [1, 2])
@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
def test_residuals_of_axes_of_three_cells(neighbours: str, max_rows: int) -> None:
    """Where the shortest axis has three cells the bound under replace-one is not four times that of add/remove."""
    schema = Schema.parse(
        f'[unit]\nneighbours = "{neighbours}"\nmax_rows = {max_rows}\nentity = "person"\ncolumn = "id"\n'
        '[columns.a]\ntype = "categorical"\nvalues = ["x", "y", "z"]\n'
        '[columns.b]\ntype = "integer"\nmin = 0\nmax = 3\n'
    )
    content = [(a, b) for a in "xyz" for b in "0123"]

    def inputs(rows: Rows) -> tuple[Inputs, LightReservation]:
        noise, reservation = Frozen(), LightReservation()
        frame = pd.DataFrame(list(rows), columns=["id", "a", "b"], dtype=str)
        with Curator.open(frame, schema, cast(Reservation, reservation), _noise=noise) as curator:
            a, b = curator.levels["a"], curator.levels["b"]
            half = b.merged(np.array([0, 0, 1, 1]))
            asked = [Query(levels, "residual") for levels in ((a,), (a, b), (a, half))]
            curator.marginals(asked, RHO)
        return [given for _, given, _ in noise.inputs], reservation

    others: Rows = (("ann", "x", "0"), ("bob", "z", "3"))
    without, reservation = inputs(others)
    mine = [
        tuple((ME, *cells) for cells in chosen)
        for size in range(max_rows + 1)
        for chosen in combinations_with_replacement(content, size)
    ]
    found = [inputs(others + rows)[0] for rows in mine]
    pairs = [(without, one) for one in found] if neighbours == "add-remove" else list(combinations(found, 2))
    bounds = declared(reservation)
    s = max_rows**2
    expected = {"add-remove": [6 * s, 72 * s, 12 * s], "replace-one": [18 * s, 216 * s, 48 * s]}[neighbours]
    assert [int(bound) for _, bound in bounds] == expected == check(pairs, bounds)


@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
def test_rows_as_their_own_entities(neighbours: str) -> None:
    schema = schema_of(neighbours, 1, unit=False)
    pairs = []
    bounds: list[tuple[str, Fraction]] = []
    for others in OTHERS:
        inputs = [run((*others, (ME, *cells)), schema)[0] for cells in CONTENT]
        without, reservation = run(others, schema)
        bounds = declared(reservation)
        pairs += [(without, one) for one in inputs] if neighbours == "add-remove" else list(product(inputs, repeat=2))
    once, twice = ([weight * score**2 for weight in (9, 9, 2)] for score in (1024, 2048))
    if neighbours == "add-remove":
        assert check(pairs, bounds) == [1, 1, 1, 1, 4, 2, *once] == [int(bound) for _, bound in bounds]
    else:
        assert [int(bound) for _, bound in bounds] == [0, 2, 2, 2, 16, 8, *twice]
        assert check(pairs, bounds) == [0, 2, 2, 0, 16, 8, *twice]


a_row = st.tuples(
    st.sampled_from(["ann", "bob", " ann", "", "me "]), st.sampled_from("xyz?"), st.sampled_from(["u", "v", ""])
)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(a_row, max_size=12),
    st.lists(st.tuples(st.just(ME), st.sampled_from("xyz?"), st.sampled_from("uv")), max_size=5),
    st.lists(st.tuples(st.just(ME), st.sampled_from("xyz?"), st.sampled_from("uv")), max_size=5),
    st.integers(1, 3),
    st.sampled_from(["add-remove", "replace-one"]),
    st.sampled_from(MEASURES),
    st.randoms(use_true_random=False),
)
def test_tables_at_random(
    others: list[Row],
    mine: list[Row],
    instead: list[Row],
    max_rows: int,
    neighbours: str,
    measure: Measure,
    order: object,
) -> None:
    others = [row for row in others if row[0].strip() != ME]
    schema = schema_of(neighbours, max_rows, unit=True)
    with_me = others + mine
    order.shuffle(with_me)  # type: ignore[attr-defined]
    one, reservation = run(with_me, schema, measure)
    other, _ = run(others + (instead if neighbours == "replace-one" else []), schema, measure)
    check([(one, other)], declared(reservation))
