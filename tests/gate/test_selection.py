"""Every private choice by its exact probabilities, on all neighbours of small tables, against what its charge claims.

The scores are those that the gate hands to the draw (frozen noise records them); P is proportional to exp(score/scale),
which tests/noise/test_choice.py and the last test here say of the draw itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations, product
from math import exp, isqrt, log, sqrt
from typing import cast

import numpy as np
import pandas as pd
import pytest
from scipy.special import chdtri, ndtr, ndtri

from dpsynth.accountant import Charge, Reservation
from dpsynth.curator import Curator
from dpsynth.measurement import Candidate, Query, Selection
from dpsynth.privacy import Measure
from dpsynth.schema import Schema
from tests.curator.bench import Frozen, LightReservation

VALUES = "xyz"
PRICES: dict[Measure, Fraction] = {"gdp": Fraction(2), "zcdp": Fraction(1), "pure": Fraction(3)}
EXPECTED = ([9.0, 0.0, 0.0], [0.0, 2.0, 9.0], [1.5, 0.25, 0.0])
"""Models that are wrong to different sides: a row that brings a table nearer to one takes it away from another."""
JUDGED = ((1, 0.0), (3, 12.0), (2, -4.5))
PICKS = 2


def schema_of(neighbours: str) -> Schema:
    return Schema.parse(
        f'[unit]\nneighbours = "{neighbours}"\n[columns.a]\ntype = "categorical"\nvalues = {list(VALUES)!r}\n'
    )


def select(rows: Sequence[str], neighbours: str, measure: Measure, noise: Frozen | None) -> tuple[Selection, Charge]:
    reservation = LightReservation(measure)
    frame = pd.DataFrame({"a": list(rows)}, dtype=str)
    with Curator.open(frame, schema_of(neighbours), cast(Reservation, reservation), _noise=noise) as curator:
        query = Query((curator.levels["a"],))
        candidates = [
            Candidate.of(query, np.array(expected), *judged) for expected, judged in zip(EXPECTED, JUDGED, strict=True)
        ]
        picked = curator.select(candidates, "l1-to-model", PICKS, PRICES[measure])
    (charge,) = reservation.drawn
    return picked, charge


LAWS = {"gdp": "rounded_gaussian", "zcdp": "rounded_gaussian", "pure": "discrete_laplace"}


def scores_of(rows: Sequence[str], neighbours: str, measure: Measure) -> tuple[list[int], Charge]:
    noise = Frozen(LAWS[measure])  # type: ignore[arg-type]
    _, charge = select(rows, neighbours, measure, noise)
    return noise.inputs[0][1].tolist(), charge


def law(scores: Sequence[int], scale: Fraction) -> dict[tuple[int, ...], float]:
    """The probability of each ordered list of distinct picks."""
    found = {}
    for picks in permutations(range(len(scores)), PICKS):
        chance, rest = 1.0, list(range(len(scores)))
        for pick in picks:
            weights = {i: exp(float((scores[i] - max(scores[j] for j in rest)) / scale)) for i in rest}
            chance *= weights[pick] / sum(weights.values())
            rest.remove(pick)
        found[picks] = chance
    return found


def neighbours_of(relation: str) -> list[tuple[str, str]]:
    """All neighbouring pairs of tables of up to three rows."""
    tables = ["".join(rows) for size in range(4) for rows in product(VALUES, repeat=size)]
    if relation == "add-remove":
        return [(rows, rows + more) for rows in tables if len(rows) < 3 for more in VALUES]
    return [(rows + one, rows + other) for rows in tables if len(rows) < 3 for one in VALUES for other in VALUES]


@pytest.mark.parametrize("relation", ["add-remove", "replace-one"])
@pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
def test_probabilities_keep_what_is_charged(measure: Measure, relation: str) -> None:
    """Range and measure: each pick of its share, and all picks together."""
    known = {rows: scores_of(rows, relation, measure) for pair in neighbours_of(relation) for rows in pair}
    (charge,) = {str(charge): charge for _, charge in known.values()}.values()  # the same for every table
    scale, cost = Fraction(charge.fields["mechanism"]["scale"]), charge.cost.amount
    sensitivity = isqrt(int(charge.fields["sensitivity_squared"]))
    widest, steepest = Fraction(0), 0.0
    for one, other in neighbours_of(relation):
        first, second = known[one][0], known[other][0]
        gaps = [a - b for a, b in zip(first, second, strict=True)]
        widest = max(widest, Fraction(max(gaps) - min(gaps)) / scale)
        for p, q in ((law(first, scale), law(second, scale)), (law(second, scale), law(first, scale))):
            steepest = max(steepest, max(log(p[picks] / q[picks]) for picks in p))
            keeps(measure, list(p.values()), list(q.values()), float(cost))
    assert widest <= 2 * sensitivity / scale
    assert steepest <= PICKS * 2 * sensitivity / scale
    if measure == "pure":
        assert PICKS * 2 * sensitivity / scale == cost
        assert steepest > float(cost) / 4, "the bound is not idle"


def keeps(measure: Measure, p: list[float], q: list[float], cost: float) -> None:
    """Whether two laws are as close as the cost says, up to rounding."""
    if measure == "zcdp":
        for order in (1.001, 1.1, 1.5, 2.0, 4.0, 16.0, 64.0):
            powers = [order * log(a) + (1 - order) * log(b) for a, b in zip(p, q, strict=True)]
            moment = max(powers) + log(sum(exp(power - max(powers)) for power in powers))
            assert moment / (order - 1) <= cost * order + 1e-9
    elif measure == "gdp":
        mu, size, power = sqrt(cost), 0.0, 0.0
        for a, b in sorted(zip(p, q, strict=True), key=lambda pair: pair[1] / pair[0]):
            size, power = size + b, power + a  # the most powerful tests, by Neyman and Pearson
            assert power <= ndtr(ndtri(min(size, 1.0)) + mu) + 1e-9
    else:
        assert max(abs(log(a / b)) for a, b in zip(p, q, strict=True)) <= cost + 1e-9


def test_the_check_can_fail() -> None:
    near, far = [0.5, 0.5], [0.01, 0.99]
    for measure in ("gdp", "zcdp", "pure"):
        with pytest.raises(AssertionError):
            keeps(cast(Measure, measure), near, far, 0.1)
        keeps(cast(Measure, measure), near, near, 0.0001)


def test_two_candidates_that_move_apart_reach_the_range() -> None:
    """A row in the one cell lowers one score by D and raises the other by D: no discount would be right."""
    frames = [pd.DataFrame({"a": rows}, dtype=str) for rows in ([], ["x"])]
    found = []
    for frame in frames:
        noise = Frozen()
        with Curator.open(frame, schema_of("add-remove"), LightReservation.new(), _noise=noise) as curator:
            query = Query((curator.levels["a"],))
            curator.select(
                [Candidate.of(query, np.array([9.0, 0, 0])), Candidate.of(query, np.zeros(3))],
                "l1-to-model",
                1,
                Fraction(1),
            )
        found.append(noise.inputs[0][1])
    assert (found[1] - found[0]).tolist() == [-1024, 1024]


@pytest.mark.parametrize("measure", ["gdp", "pure"])
def test_the_gate_draws_by_these_probabilities(measure: Measure) -> None:
    """Real draws of whole choices, in chi-square at a level of 1e-6, anew where the first are rejected."""
    rows = "xyy"
    scores, charge = scores_of(rows, "add-remove", measure)
    expected = law(scores, Fraction(charge.fields["mechanism"]["scale"]))
    number = 1000
    assert min(expected.values()) * number > 5

    def statistic() -> float:
        found = Counter(select(rows, "add-remove", measure, None)[0].picks for _ in range(number))
        assert set(found) <= set(expected)
        return sum((found[picks] - number * chance) ** 2 / (number * chance) for picks, chance in expected.items())

    assert any(statistic() < chdtri(len(expected) - 1, 1e-6) for _ in range(2))
