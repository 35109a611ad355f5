"""``aim``: in each round, the marginals on which the model so far is most wrong.

After McKenna, Mullins, Sheldon and Miklau 2022 (arXiv 2201.12677). The total, every column by itself, then in rounds:

1. Candidates are all sets of columns inside a marginal of the workload, weighed by how much of the workload they share:
   w = sum over the workload's marginals of weight x common columns. A candidate must leave the junction tree within
   the share of its limit that the share of the budget used allows, or lie inside the tree.
2. The exponential mechanism picks by w (L1 distance to the model - sqrt(2/pi) sigma cells), sensitivity max w.
3. The picks are measured, and the model fitted again from where it was.
4. Where the model has changed by no more than the noise, the noise is halved. A last round spends all that is left.

What is changed, and why: 16 rounds of about 5 d / 16 picks each under one charge, for the paper's 16 d rounds of one
pick (the fits are what takes time); two fifths
of the budget for the one-way tables, which decide which rare cells are merged (a paper's round for each would leave
them to the noise); candidates are asked at the finest levels at which their noise is at most a sixth of the rows, and
the budget goes to the one-way tables where that leaves none; a tree has 2^20 cells at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from math import ceil, gcd, prod

import numpy as np

from dpsynth.measurement import NO_TREES, Candidate, Domain, Level, Measurer, NoisyMarginal, Query, Tree
from dpsynth.mechanisms.assemble import fit_model
from dpsynth.mechanisms.oneway import TOTAL_SHARE, first_steps, measure_one_ways
from dpsynth.mechanisms.protocol import Step
from dpsynth.mechanisms.rounds import (
    CANDIDATE_CELLS,
    LARGEST_OFFSET,
    PAIR_CELLS,
    TREE_CELLS,
    Columns,
    Ground,
    largest_tree,
    noise_size,
    spaced,
    table_cells,
)
from dpsynth.mechanisms.workload import Workload
from dpsynth.model import FittedModel, JunctionTree

SETS = 4000
"""Most candidates of a round; beyond it the largest sets are taken evenly spaced."""

HEAVIEST = 1 << 20
"""Largest weight of a candidate; heavier ones are scaled down."""


@dataclass(frozen=True)
class AIM:
    """Adaptive and iterative. The defaults do not depend on any data.

    ``one_way`` is a share of the budget, ``select`` the share of each round for its choice; ``merge`` is the number of
    noise scales that a group of cells must hold, ``useful`` how many times the rows must exceed the noise of a table.
    At first as many ``rounds`` are foreseen, with ``picks`` for each column over all of them.
    """

    workload: Workload = field(default_factory=Workload)
    one_way: Fraction = Fraction(2, 5)
    select: Fraction = Fraction(1, 10)
    merge: Fraction = Fraction(6)
    useful: Fraction = Fraction(6)
    rounds: int = 16
    picks: int = 5
    name: str = "aim"

    def largest(self, domain: Domain, levels: Mapping[str, Level]) -> int:
        """The limit on the tree, or the whole table where that is smaller."""
        return largest_tree(domain, levels)

    def compared(self, domain: Domain, levels: Mapping[str, Level]) -> tuple[int, int]:
        """Every set of columns inside a marginal of the workload, as far as they are tried."""
        closure = self._closure(domain.names)
        return len(closure), sum(table_cells(closure, levels, CANDIDATE_CELLS // max(1, len(closure))))

    def plan(
        self, domain: Domain, levels: Mapping[str, Level], trees: Mapping[str, Tree] = NO_TREES
    ) -> tuple[Step, ...]:
        """The total, each column, the choices of all rounds together, and what they pick.

        Where no table is useful, ``fit`` asks the one-way tables again for what is left.
        """
        closure = self._closure(domain.names)
        if not closure:
            return first_steps(domain, levels, 1 - TOTAL_SHARE, trees)
        left, picks = 1 - TOTAL_SHARE - self.one_way, self.rounds * self._picks(len(domain.names))
        one = max(level.size for level in levels.values())
        most = max(prod(levels[name].size for name in columns) for columns in closure)
        return (
            *first_steps(domain, levels, self.one_way, trees),
            Step("select", None, picks, left * self.select, None, weight=max(closure.values())),
            Step("marginals", None, picks, left * (1 - self.select), max(one, min(most, PAIR_CELLS)), picks),
        )

    def fit(self, measurer: Measurer, budget: Fraction) -> FittedModel:
        """Measure, then choose, measure and fit until the budget is spent."""
        names = measurer.domain.names
        closure = self._closure(names)
        one_way = self.one_way if closure else 1 - TOTAL_SHARE
        ground = Ground.measured(measurer, budget, one_way, self.merge)
        left = budget * (1 - TOTAL_SHARE - one_way)
        price, picks = left / self.rounds, self._picks(len(names))
        again: list[NoisyMarginal] = []
        joint: list[NoisyMarginal] = []
        fitted = ground.model((), ()) if closure else None
        tree: JunctionTree | None = None
        while left and fitted is not None:
            price, sigma, offers = self._offers(ground, fitted, closure, left, price, budget)
            left -= price
            if not offers:
                again += measure_one_ways(measurer, ground.first.levels, price)
                continue
            choice = price * self.select if len(offers) > 1 else Fraction(0)
            queries = [offer.query for offer in offers]
            if choice:
                answer = measurer.select(offers, "l1-to-model", min(picks, len(offers)), choice)
                queries = [offers[i].query for i in answer.picks]
            queries, tree = _fitting(fitted.network.tree, queries, self._capacity(left, budget))
            answers = measurer.marginals(queries, price - choice)
            again += [answer for answer in answers if len(answer.query.columns) == 1]
            joint += [answer for answer in answers if len(answer.query.columns) > 1]
            if left:
                before, fitted = fitted, ground.model(again, joint, fitted)
                if _settled(before, fitted, queries, sigma):
                    price *= 2 if ground.rate.laplace else 4
        return fit_model(ground.first, joint, again, tree)

    def _picks(self, columns: int) -> int:
        """How many marginals are picked in a round."""
        return ceil(Fraction(self.picks * columns, self.rounds))

    def _closure(self, names: Sequence[str]) -> dict[Columns, int]:
        """All sets of columns inside a marginal of the workload, with their weights; nothing if none joins columns.

        The sum over marginals of weight x common columns is the sum over the columns of what contains them.
        """
        weights = self.workload.weights(names)
        largest = max(map(len, weights), default=0)
        if largest < 2:
            return {}
        column = {name: sum(weight for columns, weight in weights.items() if name in columns) for name in names}
        sets: list[Columns] = []
        for size in range(1, largest + 1):
            inside = dict.fromkeys(part for columns in weights for part in combinations(columns, size))
            sets += spaced(list(inside), max(1, SETS - len(sets)))
        found = {columns: sum(column[name] for name in columns) for columns in sets}
        scale = max(Fraction(gcd(*found.values())), Fraction(max(found.values()), HEAVIEST))
        return {columns: max(1, int(weight / scale)) for columns, weight in found.items()}

    def _capacity(self, left: Fraction, budget: Fraction) -> int:
        """Most cells of the tree once only so much of the budget is left."""
        return int(TREE_CELLS * (budget - left) / budget)

    def _offers(
        self,
        ground: Ground,
        fitted: FittedModel,
        closure: Mapping[Columns, int],
        left: Fraction,
        price: Fraction,
        budget: Fraction,
    ) -> tuple[Fraction, float, list[Candidate]]:
        """The price of the next round, its noise, and what may be picked for it.

        Where no table of two columns or more would be useful, rounds get dearer, as long as the budget would still do
        for d - 1 picks. Then nothing may be picked, and the price is all that is left.
        """
        picks, columns = self._picks(len(ground.rungs)), len(ground.rungs)
        while True:
            price = left if left < 2 * price else price
            sigma = ground.sigma(price * (1 - self.select) / picks)
            queries = self._queries(ground, fitted.network.tree, closure, sigma, self._capacity(left - price, budget))
            if any(len(query.columns) > 1 for query in queries):
                break
            if price == left or 4 * price * (columns - 1) > left * picks:
                return left, sigma, []
            price *= 4
        offers = []
        for query, table in zip(queries, fitted.expected_all(queries), strict=True):
            if table is not None:
                weight = closure[query.columns]
                offers.append(
                    Candidate.of(query, table, weight, min(weight * noise_size(query, sigma), LARGEST_OFFSET))
                )
        return price, sigma, offers

    def _queries(
        self, ground: Ground, tree: JunctionTree, closure: Mapping[Columns, int], sigma: float, capacity: int
    ) -> list[Query]:
        """Marginals of the closure that fit the tree: one column at its first level, more at the finest useful ones."""
        limit = ground.useful(sigma, self.useful, len(closure))
        found = []
        for columns in closure:
            if len(columns) == 1:
                level = ground.first.levels[columns[0]]
                if level.size > 1:
                    found.append(Query((level,)))
                continue
            query = ground.query(columns, limit)
            if query is not None and (tree.host(columns) is not None or tree.cells_with(columns) <= capacity):
                found.append(query)
        return found


def _fitting(tree: JunctionTree, queries: Sequence[Query], capacity: int) -> tuple[list[Query], JunctionTree]:
    """The queries in order, without those that would take the tree beyond its capacity after those before; the tree."""
    kept: list[Query] = []
    for query in queries:
        grown = tree.grown(query.columns)
        if grown.cells <= max(capacity, tree.cells):
            tree, kept = grown, [*kept, query]
    return kept, tree


def _settled(before: FittedModel, after: FittedModel, queries: Sequence[Query], sigma: float) -> bool:
    """Have the answers to these queries changed the model by no more than their noise?"""
    pairs = zip(queries, before.expected_all(queries), after.expected_all(queries), strict=True)
    return all(
        old is not None and new is not None and float(np.abs(old - new).sum()) <= noise_size(query, sigma)
        for query, old, new in pairs
    )
