"""What one entity can move when values are found, by brute force over all neighbours of small tables.

The noise lifts every count above the threshold, so that what it was given is read off the answer: the number of
entities that hold each value that occurs. Two neighbouring tables then differ in two ways: counts of values that occur
in both, which the noise hides, and values that occur in one alone, which the threshold hides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, product
from math import erfc, exp, prod, sqrt

import pandas as pd
import pytest

from dpsynth.curator import Curator
from dpsynth.privacy import gaussian_cost, threshold
from dpsynth.privacy.interval import Interval
from dpsynth.privacy.normal import upper_tail
from dpsynth.schema import Schema
from tests.curator.bench import RHO, LightReservation
from tests.curator.test_partitions import DELTA, Raised

Row = tuple[str, str]
Rows = tuple[Row, ...]
Held = dict[str, int]

TOWNS = ("a", "b", "c", "d")
OTHERS: list[Rows] = [
    (),
    (("ann", "a"),),
    (("ann", "a"), ("ann", "b"), ("bob", "a"), ("", "d")),
    (("ann", "a"), ("ann", "a"), ("bob", "b"), ("eve", "c"), ("eve", "d")),
]


def schema_of(neighbours: str, max_rows: int) -> Schema:
    unit = f'entity = "person"\ncolumn = "id"\nmax_rows = {max_rows}\n' if max_rows else ""
    return Schema.parse(
        f'[unit]\nneighbours = "{neighbours}"\n{unit}[columns.town]\ntype = "categorical"\nvalues = "private"\n'
        "nullable = true\n"
    )


def run(rows: Sequence[Row], schema: Schema) -> tuple[Held, LightReservation]:
    """How many entities hold each value, as the noise is given it."""
    noise, reservation = Raised(), LightReservation()
    data = pd.DataFrame(list(rows), columns=["id", "town"], dtype=str)
    with Curator.open(data, schema, reservation, _noise=noise) as curator:  # type: ignore[arg-type]
        answer = curator.partitions("town", RHO, DELTA)
    assert (answer.counts - noise.by).tolist() == noise.inputs[0][1].tolist()
    return dict(zip(answer.values, (answer.counts - noise.by).tolist(), strict=True)), reservation


def of_mine(max_rows: int) -> Iterator[Rows]:
    """All tables of one entity with up to one row more than it may have, nulls among them."""
    for size in range(max_rows + 2):
        for content in combinations_with_replacement((*TOWNS, ""), size):
            yield tuple(("me", town) for town in content)


@cache  # what is asserted of them are three tests
def neighbours_of(relation: str, max_rows: int) -> tuple[tuple[tuple[Held, Held], ...], LightReservation]:
    schema = schema_of(relation, max_rows)
    pairs: list[tuple[Held, Held]] = []
    for others in OTHERS:
        without, reservation = run(others, schema)
        mine = [(("me", town),) for town in (*TOWNS, "")] if not max_rows else of_mine(max_rows)
        found = [run(others + rows, schema)[0] for rows in mine]
        pairs += [(without, one) for one in found] if relation == "add-remove" else [*product(found, found)]
    return tuple(pairs), reservation


@pytest.mark.parametrize("max_rows", [0, 1, 2, 3])
@pytest.mark.parametrize("relation", ["add-remove", "replace-one"])
class TestAllNeighbours:
    def test_counts_of_common_values_move_by_no_more_than_is_charged(self, relation: str, max_rows: int) -> None:
        pairs, reservation = neighbours_of(relation, max_rows)
        (charge,) = reservation.drawn
        bound = Fraction(charge.fields["sensitivity_squared"])
        moved = [sum((one[town] - other[town]) ** 2 for town in one.keys() & other.keys()) for one, other in pairs]
        most = max(1, max_rows)
        assert bound == most * (1 if relation == "add-remove" else 2)
        assert max(moved) == min(bound, len(TOWNS))
        sigma = Fraction(charge.fields["mechanism"]["sigma"])
        assert charge.cost.amount == gaussian_cost("gdp", bound, sigma).amount <= RHO

    def test_values_of_one_table_alone_are_few_and_held_once(self, relation: str, max_rows: int) -> None:
        pairs, _ = neighbours_of(relation, max_rows)
        alone = [
            [held[town] for town in held.keys() - other.keys()] for one in pairs for held, other in (one, one[::-1])
        ]
        assert {count for counts in alone for count in counts} == {1}
        assert max(map(len, alone)) == max(1, max_rows)

    def test_that_any_of_them_shows_has_a_probability_of_at_most_delta(self, relation: str, max_rows: int) -> None:
        pairs, reservation = neighbours_of(relation, max_rows)
        (charge,) = reservation.drawn
        mechanism = charge.fields["mechanism"]
        sigma, least = Fraction(mechanism["sigma"]), mechanism["threshold"]
        # Held once, it shows if 1 + round(sigma Z) >= least: the exact law of the rounded Gaussian.
        survives = Fraction(upper_tail(Interval.of((least - 1 - Fraction(1, 2)) / sigma, 50)).hi)
        for one, other in pairs:
            for held, without in ((one, other), (other, one)):
                assert 1 - (1 - survives) ** len(held.keys() - without.keys()) <= DELTA
        assert charge.cost.delta == Fraction(mechanism["delta"]) == DELTA


def named(count: int, sigma: float, least: int) -> dict[int | None, float]:
    """The law of what is shown of a value with such a count: a number of at least ``least``, or nothing (None)."""
    reach = range(least, count + int(40 * sigma) + 2)
    edges = {y: erfc((y - 0.5 - count) / (sigma * sqrt(2))) / 2 for y in (*reach, reach.stop)}
    return {None: 1 - edges[least], **{y: edges[y] - edges[y + 1] for y in reach}}


def law(held: Held, towns: Sequence[str], sigma: float, least: int) -> dict[tuple[int | None, ...], float]:
    """The law of the whole answer; of a value that does not occur nothing is shown."""
    each = [named(held[town], sigma, least) if town in held else {None: 1.0} for town in towns]
    return {
        tuple(shown for shown, _ in chosen): prod(likely for _, likely in chosen)
        for chosen in product(*(one.items() for one in each))
    }


@pytest.mark.parametrize(
    ("one", "other", "moved"),
    [
        ({"a": 4, "s": 1}, {"a": 3}, 2),
        ({"r": 1, "s": 1}, {}, 2),
        ({"a": 8, "s": 1}, {"a": 8, "t": 1}, 4),
        ({"a": 8, "b": 8}, {"a": 7, "b": 7}, 2),
        ({"r": 1, "s": 1}, {"t": 1, "u": 1}, 4),
    ],
)
def test_the_exact_law_of_the_answer_is_as_private_as_charged(one: Held, other: Held, moved: int) -> None:
    """The privacy curve of the answer, summed over all outcomes, under that of the Gaussian and delta_0, both ways."""
    sigma, delta = 2.0, Fraction(1, 1000)
    least, towns = threshold(Fraction(sigma), 2, delta), sorted(one.keys() | other.keys())
    mu = sqrt(moved) / sigma
    for held, without in ((one, other), (other, one)):
        left, right = (law(table, towns, sigma, least) for table in (held, without))
        for epsilon in (0.0, 0.1, 0.5, 1.0, 2.0, 4.0):
            spent = sum(max(0.0, likely - exp(epsilon) * right.get(shown, 0.0)) for shown, likely in left.items())
            gaussian = (
                erfc((epsilon / mu - mu / 2) / sqrt(2)) / 2 - exp(epsilon) * erfc((epsilon / mu + mu / 2) / sqrt(2)) / 2
            )
            assert spent <= gaussian + float(delta) + 1e-12
