"""Rows that count with survey weights: what one entity can move, by brute force over all neighbours of small tables."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations_with_replacement, product
from typing import cast

import numpy as np
import pandas as pd
import pytest

from dpsynth.accountant import Reservation
from dpsynth.curator import Curator
from dpsynth.measurement import Candidate, Law, Query
from dpsynth.privacy import Measure
from dpsynth.schema import Schema
from tests.curator.bench import RHO, Frozen, LightReservation
from tests.gate.test_sensitivity import Inputs, check, declared

Row = tuple[str, str, str, str]
Rows = tuple[Row, ...]

CONTENT = [("x", "u", "8"), ("x", "v", "999"), ("y", "v", "8"), ("x", "v", "0.001"), ("y", "u", ""), ("y", "u", "-2")]
OTHERS: list[Rows] = [(), (("ann", "x", "u", "3"), ("bob", "y", "v", "nan"), ("", "x", "u", "8"))]
LAWS: dict[Measure, Law] = {"gdp": "rounded_gaussian", "zcdp": "discrete_gaussian", "pure": "discrete_laplace"}
UNITS = 64


def schema_of(neighbours: str, max_rows: int) -> Schema:
    unit = f'entity = "person"\ncolumn = "id"\nmax_rows = {max_rows}\n' if max_rows else ""
    return Schema.parse(
        f'[unit]\nneighbours = "{neighbours}"\n{unit}weight = "w"\nmax_weight = 8.0\nweight_origin = "design"\n'
        '[columns.a]\ntype = "categorical"\nvalues = ["x", "y"]\n'
        '[columns.b]\ntype = "categorical"\nvalues = ["u", "v"]\n'
    )


def run(rows: Rows, schema: Schema, measure: Measure) -> tuple[Inputs, LightReservation]:
    """Every kind of query on a table; the exact inputs of its noise, in order."""
    frame = pd.DataFrame(list(rows), columns=["id", "a", "b", "w"], dtype=str)
    noise, reservation = Frozen(LAWS[measure]), LightReservation(measure)
    with Curator.open(frame, schema, cast(Reservation, reservation), _noise=noise) as curator:
        a, b = curator.levels["a"], curator.levels["b"]
        curator.total(RHO)
        curator.marginals([Query((a,)), Query((a, b))], RHO)
        if measure != "pure":
            curator.marginals([Query((a, b), "residual")], RHO)
        far = np.array([[900.5, 0.0], [0.0, 300.0]])  # a model that is wrong in each cell, above and below
        curator.select([Candidate.of(Query((a, b)), far, 2, 7.5)], "l1-to-model", 1, RHO)
        curator.scores([Candidate.of(Query((a, b)), far)], "l1-to-model", RHO)
    return [given for _, given, _ in noise.inputs], reservation


def mine(most: int) -> Iterator[Rows]:
    """All tables of one entity with up to so many rows."""
    for size in range(most + 1):
        for content in combinations_with_replacement(CONTENT, size):
            yield tuple(("me", *cells) for cells in content)


@pytest.mark.parametrize("measure", ["gdp", "pure"])
@pytest.mark.parametrize("max_rows", [1, 2])
@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
def test_an_entity_moves_at_most_its_rows_times_the_largest_weight(
    neighbours: str, max_rows: int, measure: Measure
) -> None:
    schema, s = schema_of(neighbours, max_rows), max_rows * UNITS
    pairs: list[tuple[Inputs, Inputs]] = []
    bounds: list[tuple[str, Fraction]] = []
    for others in OTHERS:
        without, reservation = run(others, schema, measure)
        bounds = declared(reservation)
        inputs = [run(others + rows, schema, measure)[0] for rows in mine(max_rows + 1)]
        pairs += [(without, one) for one in inputs] if neighbours == "add-remove" else list(product(inputs, repeat=2))
    twice = 1 if neighbours == "add-remove" else 2
    square = (twice * s) ** 2 if measure == "pure" else twice * s**2
    score = (twice * s * 1024) ** 2
    residual = [] if measure == "pure" else [4 * twice**2 * s**2]
    expected = [s**2, square, square, *residual, 4 * score, score]
    assert [int(bound) for _, bound in bounds] == expected
    assert check(pairs, bounds) == expected


@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
def test_the_sum_of_weights_is_never_public(neighbours: str) -> None:
    schema = schema_of(neighbours, 0)
    one, reservation = run((("", "x", "u", "8"),), schema, "gdp")
    other, _ = run((("", "x", "u", ""),), schema, "gdp")
    assert declared(reservation)[0] == ("rounded_gaussian", UNITS**2)
    assert (one[0].tolist(), other[0].tolist()) == ([UNITS], [0])


def test_a_weight_moves_its_own_row_alone() -> None:
    """The units of a row depend on its weight and on no other: the sum is that of the rows one by one."""
    schema = schema_of("add-remove", 0)
    rows = tuple(("", a, b, w) for a, b, w in CONTENT)
    alone = [run((row,), schema, "gdp")[0] for row in rows]
    together = run(rows, schema, "gdp")[0]
    for at in range(3):
        assert np.array_equal(together[at], np.sum([inputs[at] for inputs in alone], axis=0))
