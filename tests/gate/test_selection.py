"""Every private choice by its exact probabilities, on all neighbours of small tables, against what its charge claims.

The scores are those that the gate hands to the draw (frozen noise records them); P is proportional to exp(score/scale),
which tests/noise/test_choice.py and the last test here say of the draw itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from math import exp, isqrt, log, sqrt
from typing import cast

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.special import chdtri, ndtr, ndtri

from dpsynth.accountant import Charge, Reservation
from dpsynth.curator import Curator
from dpsynth.measurement import Candidate, Law, Query, Rule, Selection
from dpsynth.privacy import Measure
from dpsynth.schema import Schema
from tests.curator.bench import Frozen, LightReservation

PRICES: dict[Measure, Fraction] = {"gdp": Fraction(2), "zcdp": Fraction(1), "pure": Fraction(3)}
LAWS: dict[Measure, Law] = {"gdp": "rounded_gaussian", "zcdp": "rounded_gaussian", "pure": "discrete_laplace"}


@dataclass(frozen=True)
class Choice:
    """A rule, so many picks by it, and the queries, expected counts, weights and offsets of its candidates.

    A row is a text with a value for each column. The models are wrong to different sides: a row that brings a table
    nearer to one takes it away from another.
    """

    rule: Rule
    picks: int
    columns: str
    values: str
    longest: int
    judged: Mapping[Sequence[str], tuple[Sequence[float], int, float]]

    def select(
        self, rows: Sequence[str], neighbours: str, measure: Measure, noise: Frozen | None = None
    ) -> tuple[Selection, Charge]:
        reservation = LightReservation(measure)
        frame = pd.DataFrame([list(row) for row in rows], columns=list(self.columns), dtype=str)
        schema = schema_of(self.columns, self.values, neighbours)
        with Curator.open(frame, schema, cast(Reservation, reservation), _noise=noise) as curator:
            candidates = []
            for names, (expected, weight, offset) in self.judged.items():
                query = Query(tuple(curator.levels[name[0]] for name in names))
                candidates.append(Candidate.of(query, np.array(expected).reshape(query.shape), weight, offset))
            picked = curator.select(candidates, "l1-to-model", self.picks, PRICES[measure], self.rule)
        (charge,) = reservation.drawn
        return picked, charge

    def scores_of(self, rows: Sequence[str], neighbours: str, measure: Measure) -> tuple[list[int], Charge]:
        noise = Frozen(LAWS[measure])
        _, charge = self.select(rows, neighbours, measure, noise)
        return noise.inputs[0][1].tolist(), charge

    def law(self, scores: Sequence[int], scale: Fraction) -> dict[tuple[int, ...], float]:
        """The probability of each ordered list of picks."""
        found: dict[tuple[int, ...], float] = {(): 1.0}
        for _ in range(self.picks):
            after = {}
            for picks, chance in found.items():
                rest = [i for i in range(len(scores)) if self.remains(i, picks)]
                weights = {i: exp(float((scores[i] - max(scores[j] for j in rest)) / scale)) for i in rest}
                after.update({(*picks, i): chance * weights[i] / sum(weights.values()) for i in rest})
            found = after
        return found

    def remains(self, i: int, picks: tuple[int, ...]) -> bool:
        if self.rule == "distinct":
            return i not in picks
        sets = list(self.judged)
        return i not in picks and nx.is_forest(nx.Graph([tuple(sets[pick]) for pick in (*picks, i)]))

    def neighbours(self, relation: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """All neighbouring pairs of tables of up to ``longest`` rows."""
        rows = ["".join(values) for values in product(self.values, repeat=len(self.columns))]
        tables = [table for size in range(self.longest) for table in product(rows, repeat=size)]
        if relation == "add-remove":
            return [(table, (*table, more)) for table in tables for more in rows]
        return [((*table, one), (*table, other)) for table in tables for one, other in combinations(rows, 2)]


DISTINCT = Choice(
    "distinct",
    2,
    "a",
    "xyz",
    3,
    {("a0",): ([9.0, 0.0, 0.0], 1, 0.0), ("a1",): ([0.0, 2.0, 9.0], 3, 12.0), ("a2",): ([1.5, 0.25, 0.0], 2, -4.5)},
)
FOREST = Choice(
    "spanning-forest",
    3,
    "abcd",
    "xy",
    2,
    {
        pair: ([1.5 * (i % 2), 0.25 * i, 2.0 * (i % 3), 0.5], 1 + i % 3, 2.0 * (i % 2))
        for i, pair in enumerate(combinations("abcd", 2))
    },
)
choices = pytest.mark.parametrize("choice", [DISTINCT, FOREST], ids=lambda choice: choice.rule)


def schema_of(columns: str, values: str, neighbours: str) -> Schema:
    named = "".join(f'[columns.{name}]\ntype = "categorical"\nvalues = {list(values)!r}\n' for name in columns)
    return Schema.parse(f'[unit]\nneighbours = "{neighbours}"\n{named}')


@choices
@pytest.mark.parametrize("relation", ["add-remove", "replace-one"])
@pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
def test_probabilities_keep_what_is_charged(choice: Choice, measure: Measure, relation: str) -> None:
    """Range and measure: each pick of its share, and all picks together."""
    pairs = choice.neighbours(relation)
    known = {rows: choice.scores_of(rows, relation, measure) for rows in {rows for pair in pairs for rows in pair}}
    (charge,) = {str(charge): charge for _, charge in known.values()}.values()  # the same for every table
    scale, cost = Fraction(charge.fields["mechanism"]["scale"]), charge.cost.amount
    sensitivity = isqrt(int(charge.fields["sensitivity_squared"]))
    widest, steepest = Fraction(0), 0.0
    laws = {rows: choice.law(scores, scale) for rows, (scores, _) in known.items()}
    for one, other in pairs:
        first, second = known[one][0], known[other][0]
        gaps = [a - b for a, b in zip(first, second, strict=True)]
        widest = max(widest, Fraction(max(gaps) - min(gaps)) / scale)
        for p, q in ((laws[one], laws[other]), (laws[other], laws[one])):
            steepest = max(steepest, max(log(p[picks] / q[picks]) for picks in p))
            keeps(measure, list(p.values()), list(q.values()), float(cost))
    assert widest <= 2 * sensitivity / scale
    assert steepest <= choice.picks * 2 * sensitivity / scale
    if measure == "pure":
        assert choice.picks * 2 * sensitivity / scale == cost
        assert steepest > float(cost) / 4, "the bound is not idle"


def keeps(measure: Measure, p: list[float], q: list[float], cost: float) -> None:
    """Whether two laws are as close as the cost says, up to rounding."""
    one, other = np.array(p), np.array(q)
    loss = np.log(one / other)
    if measure == "zcdp":
        for order in (1.001, 1.1, 1.5, 2.0, 4.0, 16.0, 64.0):
            assert log(one @ np.exp((order - 1) * loss)) / (order - 1) <= cost * order + 1e-9
    elif measure == "gdp":
        best = np.argsort(-loss)  # the most powerful tests, by Neyman and Pearson
        size, power = np.cumsum(other[best]), np.cumsum(one[best])
        assert np.all(power <= ndtr(ndtri(np.minimum(size, 1.0)) + sqrt(cost)) + 1e-9)
    else:
        assert np.abs(loss).max() <= cost + 1e-9


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
        with Curator.open(frame, schema_of("a", "xyz", "add-remove"), LightReservation.new(), _noise=noise) as curator:
            query = Query((curator.levels["a"],))
            curator.select(
                [Candidate.of(query, np.array([9.0, 0, 0])), Candidate.of(query, np.zeros(3))],
                "l1-to-model",
                1,
                Fraction(1),
            )
        found.append(noise.inputs[0][1])
    assert (found[1] - found[0]).tolist() == [-1024, 1024]


@choices
@pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
def test_the_gate_draws_by_these_probabilities(choice: Choice, measure: Measure) -> None:
    """Real draws of whole choices, in chi-square at a level of 1e-6, anew where the first are rejected."""
    rows = [value * len(choice.columns) for value in (*choice.values, choice.values[1])]
    scores, charge = choice.scores_of(rows, "add-remove", measure)
    expected = choice.law(scores, Fraction(charge.fields["mechanism"]["scale"]))
    number = 1000
    rare = {picks for picks, chance in expected.items() if number * chance <= 5}

    def statistic() -> float:
        found = Counter(choice.select(rows, "add-remove", measure)[0].picks for _ in range(number))
        assert set(found) <= set(expected)
        cells = [(found[picks], chance) for picks, chance in expected.items() if picks not in rare]
        cells.append((number - sum(seen for seen, _ in cells), 1 - sum(chance for _, chance in cells)))
        return sum((seen - number * chance) ** 2 / (number * chance) for seen, chance in cells if chance > 1e-9)

    degrees = len(expected) - max(len(rare), 1)
    assert degrees >= 5
    assert any(statistic() < chdtri(degrees, 1e-6) for _ in range(2))
