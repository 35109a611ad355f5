"""``mrm``: marginals at many resolutions, chosen together.

1. The total, and every column by itself.
2. For each column a ladder of coarser and coarser levels, from its smoothed one-way table and its noise.
3. The distance of every pair's table from what independent columns would give, at several resolutions, all with noise
   for one price. Where there are many pairs, the exponential mechanism first says which to compare.
4. In public: which tables to buy, at which levels and for how much, so that what remains of all distances is least
   (:mod:`dpsynth.mechanisms.purchase`). Asking a column by itself again is one of the offers.
5. These tables, with all that is left of the budget, for one price.
6. A Markov network fitted to all answers.

Scores are distances to numbers that are fixed beforehand: one person moves each by at most s rows, and all N together
by s sqrt(N) in L2, whatever the levels (the fine error that a coarse table would remove moves by up to three times as
much; the optimisation estimates it from the distances at both resolutions instead).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from dpsynth.measurement import LATTICE, Candidate, Domain, Level, Measurer, Query
from dpsynth.mechanisms.assemble import fit_model
from dpsynth.mechanisms.merging import fitting, ladder
from dpsynth.mechanisms.oneway import (
    TOTAL_SHARE,
    OneWay,
    best_total,
    first_steps,
    known_one_ways,
    measure_one_ways,
    one_way_share,
)
from dpsynth.mechanisms.protocol import Step
from dpsynth.mechanisms.purchase import Offer, choose
from dpsynth.mechanisms.rate import MEAN_SIZE, Rate
from dpsynth.mechanisms.workload import Workload
from dpsynth.model import FittedModel

RESOLUTIONS = (1 << 20, 400, 100, 25)
"""Most cells of a pair's table at each resolution at which it is scored."""

MODEL_CELLS = 1 << 20
"""Most cells of the junction tree."""

CANDIDATE_CELLS = 1 << 26
"""Most cells of all candidates together: their exact counts take eight bytes a cell."""

FINEST_WEIGHT = 1_000_000
"""Prices of the tables that are bought are split to this precision."""


@dataclass(frozen=True)
class MRM:
    """Multi-resolution marginals. The defaults do not depend on any data.

    ``one_way`` and ``select`` are shares of the budget for the first one-way tables and for the scores; ``merge`` is
    the number of noise scales that a group of cells must hold; ``again`` how much an error of one column counts in each
    pair that holds it (0: no column is asked again). ``scored`` is the number of pairs above which a private choice
    comes before the scores.
    """

    workload: Workload = field(default_factory=Workload)
    one_way: Fraction = Fraction(3, 20)
    select: Fraction = Fraction(1, 25)
    merge: Fraction = Fraction(4)
    again: Fraction = Fraction(1, 2)
    resolutions: tuple[int, ...] = RESOLUTIONS
    scored: int = 400
    cells: int = MODEL_CELLS
    name: str = "mrm"

    def largest(self, domain: Domain, levels: Mapping[str, Level]) -> int:
        """The limit on the tree, or the whole table where that is smaller."""
        return min(max(self.cells, sum(level.size for level in levels.values())), domain.cells(domain.names))

    def plan(self, domain: Domain, levels: Mapping[str, Level]) -> tuple[Step, ...]:
        """The total, each column, the scores, and at most so many tables as there are pairs and columns."""
        names = domain.names
        pairs = self._pairs(names)
        if not pairs:
            return first_steps(domain, levels, 1 - TOTAL_SHARE)
        first = first_steps(domain, levels, self.one_way)
        picks = self._picks(len(names), len(pairs))
        kept, select = min(picks or len(pairs), len(pairs)), self.select
        chosen: tuple[Step, ...] = ()
        if picks:
            chosen, select = (Step("select", None, picks, select / 2, None),), select / 2
        scores = Step("scores", None, kept * len(self.resolutions), select, None)
        one, two = sorted((levels[name].size for name in names), reverse=True)[:2]
        most = max(one, min(one * two, self.cells))
        bought = Step("marginals", None, kept + len(names), self._left, most, min(3 * len(names), kept + len(names)))
        return (*first, *chosen, scores, bought)

    def fit(self, measurer: Measurer, budget: Fraction) -> FittedModel:
        """Measure, score, optimise, measure, estimate."""
        names, declared = measurer.domain.names, measurer.levels
        pairs = self._pairs(names)
        total = measurer.total(budget * TOTAL_SHARE)
        if not pairs:
            return fit_model(declared, total, measure_one_ways(measurer, budget * (1 - TOTAL_SHARE)))
        one_ways = measure_one_ways(measurer, budget * self.one_way)
        rows = max(float(best_total([total, *one_ways])), 1.0)
        known = known_one_ways(one_ways)
        finest = min(self.cells, CANDIDATE_CELLS // (2 * len(pairs)))
        rungs = {name: ladder(found, self.merge, finest) for name, found in known.items()}
        price = budget * self.select
        picks = self._picks(len(names), len(pairs))
        if picks:
            price /= 2
            asked = self._candidates(pairs, rungs, known, rows, self.resolutions[1:2])
            if asked:
                answer = measurer.select(asked, "l1-to-model", picks, price)
                picked = [asked[i].query.columns for i in sorted(answer.picks)]
                pairs = {columns: pairs[columns] for columns in picked}
        asked = self._candidates(pairs, rungs, known, rows, (finest, *self.resolutions[1:]))
        rate = Rate.of(one_ways[0], budget * self.one_way * one_way_share(declared, names, names[0]))
        left = budget * self._left if asked else budget * (self._left + self.select)
        offers = self._again(known, pairs, rows)
        if asked:
            scores = measurer.scores(asked, "l1-to-model", price)
            offers += _offers(asked, [float(value) / LATTICE for value in scores.values.tolist()], pairs)
        bought = choose(offers, rate, float(left), self.cells)
        if not bought:
            return fit_model(declared, total, (*one_ways, *measure_one_ways(measurer, left)))
        queries = [offers[purchase.offer].query for purchase in bought]
        weights = [max(1, int(purchase.share * FINEST_WEIGHT)) for purchase in bought]
        answers = measurer.marginals(queries, left, weights)
        again = [answer for answer in answers if len(answer.query.columns) == 1]
        joint = [answer for answer in answers if len(answer.query.columns) > 1]
        return fit_model(declared, total, (*one_ways, *again), joint)

    @property
    def _left(self) -> Fraction:
        """The share of the budget for what the scores decide."""
        return 1 - TOTAL_SHARE - self.one_way - self.select

    def _pairs(self, names: Sequence[str]) -> dict[tuple[str, ...], int]:
        """The pairs that the workload asks about, with their weights."""
        return self.workload.inside(names, 2)

    def _picks(self, columns: int, pairs: int) -> int:
        """How many pairs a private choice keeps; 0 where all are scored."""
        return 4 * columns if pairs > max(self.scored, 4 * columns) else 0

    def _candidates(
        self,
        pairs: Mapping[tuple[str, ...], int],
        rungs: Mapping[str, Sequence[Level]],
        known: Mapping[str, OneWay],
        rows: float,
        resolutions: Sequence[int],
    ) -> list[Candidate]:
        """Each pair at each resolution that differs, with its expected counts if the columns were independent."""
        found = []
        for one, two in pairs:
            seen = set()
            for cells in resolutions:
                levels = fitting(rungs[one], rungs[two], Fraction(cells))
                if min(level.size for level in levels) > 1 and levels not in seen:
                    seen.add(levels)
                    left, right = (known[level.column].at(level, rows) for level in levels)
                    found.append(Candidate.of(Query(levels), left[:, None] * right / rows))
        return found

    def _again(self, known: Mapping[str, OneWay], pairs: Mapping[tuple[str, ...], int], rows: float) -> list[Offer]:
        """The offers to ask each column by itself again.

        What it leaves wrong now: sqrt(2/pi) sigma a cell, or half of it where the nearest count is none.
        """
        offers = []
        for name, found in known.items():
            weight = float(self.again) * sum(count for pair, count in pairs.items() if name in pair)
            cells = float(np.minimum(1.0, 0.5 + 0.5 * found.mass(rows) / found.sigma).sum())
            wrong = MEAN_SIZE * cells * found.sigma
            if weight > 0 and found.level.size > 1:
                offers.append(Offer(Query((found.level,)), wrong, wrong, cells, weight))
        return offers


def _offers(
    candidates: Sequence[Candidate], scores: Sequence[float], pairs: Mapping[tuple[str, ...], int]
) -> list[Offer]:
    """Each candidate as an offer; the largest distance of a pair at any resolution is the whole of it."""
    whole: dict[tuple[str, ...], float] = {}
    for candidate, score in zip(candidates, scores, strict=True):
        whole[candidate.query.columns] = max(whole.get(candidate.query.columns, 0.0), score)
    return [
        Offer(c.query, whole[c.query.columns], max(score, 0.0), float(c.query.cells), float(pairs[c.query.columns]))
        for c, score in zip(candidates, scores, strict=True)
    ]
