"""``mst``: a privately chosen maximum spanning tree of pair tables.

After McKenna, Miklau and Sheldon 2021 (arXiv 2108.04978):

1. The total, and every column by itself.
2. Cells too rare for the noise are merged; from here on only merged levels are asked.
3. d - 1 pairs that span the columns, by one exponential mechanism: the score of a pair is the L1 distance between its
   table and what independent columns would give.
4. The tables of these pairs.
5. A Markov network over the tree, fitted to all answers.

Differences from the paper: pairs are scored at merged levels, too; rare cells join their neighbours instead of one
rest; a pair too large for its noise is asked more coarsely; the fit weighs each table's noise against independence
(:mod:`dpsynth.model.strength`); the shares are tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import isqrt

import numpy as np

from dpsynth.measurement import NO_TREES, Candidate, Domain, Level, Measurer, Query, Tree
from dpsynth.mechanisms.assemble import fit_model
from dpsynth.mechanisms.merging import fitting, ladder
from dpsynth.mechanisms.oneway import (
    First,
    first_steps,
    measure_first,
    measure_one_ways,
    shares,
)
from dpsynth.mechanisms.protocol import Step
from dpsynth.mechanisms.rate import Rate
from dpsynth.mechanisms.rounds import CANDIDATE_CELLS, table_cells, whole_tree
from dpsynth.model import CELLS, FittedModel

MODEL_CELLS = CELLS // 2
"""Most cells of the fitted tree, whatever it joins: the fit must never be refused after the budget was spent."""


@dataclass(frozen=True)
class MST:
    """A spanning tree of pairs. The defaults do not depend on any data.

    ``one_way`` and ``select`` are shares of the budget; the pairs get what these and the total leave. ``merge`` is the
    number of noise scales that a group of cells must hold; ``useful`` the number of noise scales that a cell of a pair
    must hold on average.
    """

    one_way: Fraction = Fraction(1, 2)
    select: Fraction = Fraction(1, 10)
    merge: Fraction = Fraction(6)
    useful: Fraction = Fraction(6)
    name: str = "mst"

    def largest(self, domain: Domain, levels: Mapping[str, Level]) -> int:
        """So many tables of the largest pair as the tree has, and each column's cells; or the whole table."""
        edges = len(domain.names) - 1
        alone = sum(level.size for level in levels.values())
        return min(edges * self._pair(levels) + alone, whole_tree(domain))

    def compared(self, domain: Domain, levels: Mapping[str, Level]) -> tuple[int, int]:
        """Every pair of columns."""
        pairs = list(combinations(domain.names, 2))
        return len(pairs), sum(table_cells(pairs, levels, CANDIDATE_CELLS // len(domain.names) ** 2))

    def plan(
        self, domain: Domain, levels: Mapping[str, Level], trees: Mapping[str, Tree] = NO_TREES
    ) -> tuple[Step, ...]:
        """The total, each column, the choice of a tree, its pairs.

        Where no pair of columns holds rows enough for its noise, ``fit`` asks the one-way tables a second time for the
        price of the choice and the pairs instead.
        """
        one_way, select, pairs = shares(len(domain.names), self.one_way, self.select)
        first = first_steps(domain, levels, one_way, trees)
        if not pairs:
            return first
        edges = len(domain.names) - 1
        columns = domain.names if edges == 1 else None
        chosen = (Step("select", None, edges, select, None),) if select else ()
        return (*first, *chosen, Step("marginals", columns, edges, pairs, self._pair(levels)))

    def fit(self, measurer: Measurer, budget: Fraction) -> FittedModel:
        """Measure, choose, measure, estimate."""
        names = measurer.domain.names
        one_way, select, pairs = shares(len(names), self.one_way, self.select)
        first = measure_first(measurer, budget, one_way)
        if not pairs:
            return fit_model(first)
        limit = self._largest(first.rows(), first.rate, float(budget * pairs / (len(names) - 1)))
        most = min(limit, Fraction(CANDIDATE_CELLS, len(names) ** 2))
        candidates = self._candidates(first, measurer.hierarchies, most)
        if not candidates:
            return fit_model(first, again=measure_one_ways(measurer, first.levels, budget * (select + pairs)))
        tree = [candidate.query for candidate in candidates]
        if len(tree) == 1:
            pairs += select
        else:
            edges = len({name for query in tree for name in query.columns}) - 1
            picked = measurer.select(candidates, "l1-to-model", edges, budget * select, "spanning-forest")
            tree = [tree[i] for i in picked.picks]
        return fit_model(first, measurer.marginals(tree, budget * pairs))

    def _pair(self, levels: Mapping[str, Level]) -> int:
        """Most cells of a pair's table: what ``fit`` allows, or the two largest columns; 1 if there is no pair."""
        if len(levels) < 2:
            return 1
        one, two = sorted((level.size for level in levels.values()), reverse=True)[:2]
        return max(min(one * two, MODEL_CELLS // (len(levels) - 1)), one)

    def _largest(self, rows: Fraction, rate: Rate, price: float) -> Fraction:
        """Most cells of a pair bought at a price, so that its cells hold ``useful`` noise scales on average."""
        return Fraction(int(max(rows, Fraction(0)) / (self.useful * Fraction(float(rate.sigmas(np.array(price)))))))

    def _candidates(
        self, first: First, hierarchies: Mapping[str, tuple[Level, ...]], limit: Fraction
    ) -> list[Candidate]:
        """Every pair of columns at levels that fit, with its expected counts if the columns were independent."""
        total, known = max(float(first.rows()), 1.0), first.known
        largest = isqrt(MODEL_CELLS // (len(known) - 1))
        rungs = {name: ladder(one, self.merge, largest, hierarchies.get(name, ())) for name, one in known.items()}
        result = []
        for one, two in combinations(rungs, 2):
            levels = fitting((rungs[one], rungs[two]), limit)
            if all(level.size > 1 for level in levels):
                left, right = (known[level.column].at(level, total) for level in levels)
                result.append(Candidate.of(Query(levels), left[:, None] * right / total))
        return result
