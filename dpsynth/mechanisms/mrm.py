"""``mrm``: marginals at many resolutions, chosen together.

1. The total, and every column by itself.
2. For each column a ladder of coarser and coarser levels, from its smoothed one-way table and its noise.
3. The distance of every pair's table from what independent columns would give, at several resolutions, all with noise
   for one price. Where there are many pairs, the exponential mechanism first says which to compare. Marginals of three
   columns that the workload lists, a few, are on offer as well.
4. In public: which tables to buy, at which levels and for how much, so that what remains of all distances is least
   (:mod:`dpsynth.mechanisms.purchase`). Asking a column by itself again is one of the offers.
5. These tables, with all that is left of the budget, for one price.
6. A Markov network fitted to all answers.

Where the score of a pair would be as noisy as its whole table (columns of two cells, or two and four), nothing is
scored: all pairs are on offer alike.

Scores are distances to numbers that are fixed beforehand: one person moves each by at most s rows, and all N together
by s sqrt(N) in L2, whatever the levels (the fine error that a coarse table would remove moves by up to three times as
much; the optimisation estimates it from the distances at both resolutions instead).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from itertools import combinations
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import (
    LATTICE,
    NO_TREES,
    Candidate,
    Domain,
    Level,
    Measurer,
    NoisyMarginal,
    NoisyScores,
    Query,
    Tree,
)
from dpsynth.mechanisms.assemble import fit_model
from dpsynth.mechanisms.oneway import TOTAL_SHARE, first_steps, measure_first, measure_one_ways, one_way_weights
from dpsynth.mechanisms.protocol import Step
from dpsynth.mechanisms.purchase import Offer, choose
from dpsynth.mechanisms.rate import MEAN_SIZE
from dpsynth.mechanisms.rounds import CANDIDATE_CELLS, SLACK, Columns, Ground, table_cells, whole_tree
from dpsynth.mechanisms.workload import Workload
from dpsynth.model import FittedModel, JunctionTree

RESOLUTIONS = (1 << 20, 400, 100, 25)
"""Most cells of a pair's table at each resolution at which it is scored."""

MODEL_CELLS = 1 << 20
"""Most cells of the junction tree."""

APART = 0.4
"""How far from independence pairs are taken to be that nobody scored, in parts of the rows: by this, columns alone are
weighed against pairs, and pairs are left out whose noise would be louder by LOUDEST. Chosen among 0.1, 0.2, 0.4 and 1
on surveys of artificial people; between 0.2 and 1 it hardly matters but where the noise is as large as the table."""

PARTS = 1_000_000
"""Prices of the tables that are bought are split to this precision."""


@dataclass(frozen=True)
class MRM:
    """Multi-resolution marginals. The defaults do not depend on any data.

    ``one_way`` and ``select`` are shares of the budget for the first one-way tables and for the scores; ``found`` is
    the former's where the bins of all columns are found, which those tables decide. ``merge`` is the number of noise
    scales that a group of cells must hold; ``again`` how much an error of one column counts in each pair that holds it
    (0: no column is asked again). ``scored`` is the number of pairs above which a private choice comes before the
    scores, ``cells`` the limit on the junction tree.

    ``residual`` asks for what a pair's table adds to its columns alone instead of the whole table, which the first
    answers know already; under a pure measure, whose Laplace noise gains nothing by it, the table is asked, and so
    it is of three columns, of which not all pairs may be known. ``triples`` is how many of these the workload may list
    for each column; where it lists more, none is on offer. ``batches`` are the parts of what is left for several rounds
    of scores and tables, each against the model of the last one; from the second on, all marginals of three columns of
    the workload are on offer, too. More than one did not pay on any table that was tried (benchmarks/model_fit.py
    --ablation), so there is one, and the plan is of one. ``outright``: pairs are not scored where a score is worth no
    more than the table.
    """

    workload: Workload = field(default_factory=Workload)
    one_way: Fraction = Fraction(3, 20)
    found: Fraction = Fraction(2, 5)
    select: Fraction = Fraction(1, 25)
    merge: Fraction = Fraction(4)
    again: Fraction = Fraction(1, 2)
    resolutions: tuple[int, ...] = RESOLUTIONS
    scored: int = 400
    cells: int = MODEL_CELLS
    batches: tuple[int, ...] = (1,)
    residual: bool = True
    outright: bool = True
    triples: int = 1
    name: str = "mrm"

    def largest(self, domain: Domain, levels: Mapping[str, Level]) -> int:
        """The limit on the tree, or the whole table where that is smaller."""
        return min(max(self.cells, sum(level.size for level in levels.values())), whole_tree(domain))

    def compared(self, domain: Domain, levels: Mapping[str, Level]) -> tuple[int, int]:
        """Every table on offer where some are chosen; each of those that are scored, at all resolutions.

        Of the first batch: later ones score more sets of three columns.
        """
        sets = self._sets(domain.names)
        if not sets or self._unscored(levels, sets):
            return 0, 0
        picks, (finest, *coarser) = self._picks(len(domain.names), len(sets)), self._resolutions(len(sets))
        chosen = table_cells(sets, levels, self._coarse(len(sets))) if picks else []
        scored = [
            cells
            for most in (finest, *coarser)
            for cells in sorted(table_cells(sets, levels, most), reverse=True)[: picks or len(sets)]
        ]
        return max(len(chosen), len(scored)), max(sum(chosen), sum(scored))

    def plan(
        self, domain: Domain, levels: Mapping[str, Level], trees: Mapping[str, Tree] = NO_TREES
    ) -> tuple[Step, ...]:
        """The total, each column, the scores, and at most so many tables as there are sets and columns."""
        names = domain.names
        sets = self._sets(names)
        if not sets:
            return first_steps(domain, levels, 1 - TOTAL_SHARE, trees)
        one_way = self._first(names, levels, trees)
        first, left = first_steps(domain, levels, one_way, trees), self._left - (one_way - self.one_way)
        picks = self._picks(len(names), len(sets))
        kept, select = min(picks or len(sets), len(sets)), self.select
        chosen: tuple[Step, ...] = ()
        if picks:
            chosen, select = (Step("select", None, picks, select / 2, None),), select / 2
        most = max(*(levels[name].size for name in names), *table_cells(sets, levels, self.cells))
        if self._unscored(levels, sets):
            every = len(sets) + len(names)
            return (*first, Step("marginals", None, every, left + self.select, most, every))
        scores = Step("scores", None, kept * len(self.resolutions), select, None)
        bought = Step("marginals", None, kept + len(names), left, most, min(3 * len(names), kept + len(names)))
        return (*first, *chosen, scores, bought)

    def fit(self, measurer: Measurer, budget: Fraction) -> FittedModel:
        """Measure, score, optimise, measure, estimate."""
        names = measurer.domain.names
        sets = self._sets(names)
        if not sets:
            return fit_model(measure_first(measurer, budget, 1 - TOTAL_SHARE))
        finest, *coarser = self._resolutions(len(sets))
        one_way = self._first(names, measurer.levels, measurer.trees)
        ground = Ground.measured(measurer, budget, one_way, self.merge, finest)
        first, again = ground.first, list[NoisyMarginal]()
        unscored = self._unscored(measurer.levels, sets)
        residual = 0
        if self.residual and first.one_ways[0].law != "discrete_laplace":
            residual = 3 if unscored else 2  # all pairs are known where none is scored
        weights: dict[Columns, int] = sets
        joint: list[NoisyMarginal] = []
        fitted: FittedModel | None = None
        tree: JunctionTree | None = None
        for batch, part in enumerate(self.batches):
            share = Fraction(part, sum(self.batches))
            price, left = budget * self.select * share, budget * (self._left - (one_way - self.one_way)) * share
            if batch == 0 and (picks := self._picks(len(names), len(sets))):
                price /= 2
                asked = _candidates(ground, sets, (self._coarse(len(sets)),))
                if asked:
                    answer = measurer.select(asked, "l1-to-model", picks, price)
                    picked = [asked[i].query.columns for i in sorted(answer.picks)]
                    weights = {columns: sets[columns] for columns in picked}
            if fitted is not None:
                residual = 3 if residual else 0
                weights = {**weights, **_inside(fitted, self.workload.inside(names, 3))}
            asked = [] if unscored else _candidates(ground, weights, (finest, *coarser), fitted)
            last = batch == len(self.batches) - 1
            offers = _again(ground, sets, float(self.again)) if last else []
            if unscored:
                offers += _alike(ground, sets, residual)
            if asked:
                scores = measurer.scores(asked, "l1-to-model", price)
                offers += _offers(asked, scores, weights, residual)
            else:
                left += budget * self.select * share
            basket = choose(offers, ground.rate, float(left), self.cells, [answer.query for answer in joint])
            if basket is None:
                again += measure_one_ways(measurer, first.levels, left)
                continue
            tree, bought = basket.tree, basket.purchases
            queries = [offers[purchase.offer].query for purchase in bought]
            if residual:
                queries = [Query(q.levels, "residual") if 1 < len(q.levels) <= residual else q for q in queries]
            answers = measurer.marginals(queries, left, [max(1, int(p.share * PARTS)) for p in bought])
            again += [answer for answer in answers if len(answer.query.columns) == 1]
            joint += [answer for answer in answers if len(answer.query.columns) > 1]
            if not last:
                fitted = fit_model(first, joint, again, tree, slack=SLACK)
        return fit_model(first, joint, again, tree)

    def _sets(self, names: Sequence[str]) -> dict[Columns, int]:
        """What is on offer beside single columns, and how much it counts: pairs, and a few listed triples."""
        pairs, triples = self.workload.inside(names, 2), self.workload.triples(names)
        return {**pairs, **triples} if len(triples) <= self.triples * len(names) else pairs

    def _first(self, names: Sequence[str], levels: Mapping[str, Level], trees: Mapping[str, Tree]) -> Fraction:
        """The share of the first one-way tables: ``found`` to the part that columns have of it whose bins are found."""
        weights = dict(zip(names, one_way_weights(levels, names, trees), strict=True))
        part = Fraction(sum(weights[name] for name in trees), sum(weights.values()))
        return self.one_way + (self.found - self.one_way) * part

    @property
    def _left(self) -> Fraction:
        """The share of the budget for what the scores decide, where no bins are found."""
        return 1 - TOTAL_SHARE - self.one_way - self.select

    def _unscored(self, levels: Mapping[str, Level], sets: Iterable[Columns]) -> bool:
        """Would the L1 norm of the noise of any pair's table, all bought alike, be no more than that of its score?

        For the price of a score a table of cells m x n has the noise sqrt(2/pi) felt(m, n), and the tables have
        ``_left`` where the scores have ``select``. All pairs must fit the tree, for nothing says which to leave out.
        """
        if not self.outright or prod(level.size for level in levels.values()) > self.cells:
            return False
        loudest = max(MEAN_SIZE * _felt([levels[name].size for name in pair], 2) for pair in sets if len(pair) == 2)
        return loudest**2 * self.select <= self._left

    def _resolutions(self, pairs: int) -> tuple[int, ...]:
        """Most cells of a table at each resolution at which so many pairs may be scored."""
        return min(self.cells, CANDIDATE_CELLS // (2 * pairs)), *self.resolutions[1:]

    def _coarse(self, pairs: int) -> int:
        """Most cells of a table where some of so many pairs are chosen."""
        return min(self.resolutions[1], CANDIDATE_CELLS // pairs)

    def _picks(self, columns: int, pairs: int) -> int:
        """How many pairs a private choice keeps; 0 where all are scored."""
        return 4 * columns if pairs > max(self.scored, 4 * columns) else 0


def _candidates(
    ground: Ground, asked: Iterable[Columns], resolutions: Sequence[int], fitted: FittedModel | None = None
) -> list[Candidate]:
    """Each set of columns at each resolution that differs, with what the model expects (at first: independence)."""
    found = [ground.query(columns, Fraction(cells)) for columns in asked for cells in resolutions]
    queries = [query for query in dict.fromkeys(found) if query is not None]
    if fitted is None:
        alone: dict[Level, NDArray[np.float64]] = {}
        return [Candidate.of(query, _independent(ground, query, alone)) for query in queries]
    expected = zip(queries, fitted.expected_all(queries), strict=True)
    return [Candidate.of(query, table) for query, table in expected if table is not None]


def _independent(ground: Ground, query: Query, alone: dict[Level, NDArray[np.float64]]) -> NDArray[np.float64]:
    """The expected counts if the columns were independent; ``alone`` keeps the shares of levels that occurred."""
    rows = max(ground.rows, 1.0)
    for level in query.levels:
        if level not in alone:
            alone[level] = ground.known[level.column].at(level, rows) / rows
    return np.asarray(reduce(np.multiply.outer, [alone[level] for level in query.levels]) * rows)


def _again(ground: Ground, pairs: Mapping[Columns, int], counts: float) -> list[Offer]:
    """The offers to ask each column by itself again.

    What it leaves wrong now: sqrt(2/pi) sigma a cell, or half of it where the nearest count is none.
    """
    offers = []
    for name, found in ground.known.items():
        weight = counts * sum(count for pair, count in pairs.items() if name in pair and len(pair) == 2)
        cells = float(np.minimum(1.0, 0.5 + 0.5 * found.mass(ground.rows) / found.sigma).sum())
        wrong = MEAN_SIZE * cells * found.sigma
        if weight > 0 and found.level.size > 1:
            offers.append(Offer(Query((found.level,)), wrong, wrong, cells, weight))
    return offers


def _alike(ground: Ground, sets: Mapping[Columns, int], residual: int) -> list[Offer]:
    """Every table, all as far from independence, at the declared levels: few cells need no merging."""
    distance, offers = APART * ground.rows, []
    for columns, weight in sets.items():
        query = Query(tuple(ground.known[name].level for name in columns))
        if min(query.shape) > 1:
            offers.append(Offer(query, distance, distance, _felt(query.shape, residual), float(weight)))
    return offers


def _felt(shape: Sequence[int], residual: int) -> float:
    """The number of cells whose noise is felt: a residual of axes of m cells costs prod(1 - 1/m) times what a table of
    the same noise costs. ``residual`` is the number of columns up to which residuals are asked.
    """
    return prod(shape) * (sqrt(prod(1 - 1 / size for size in shape)) if len(shape) <= residual else 1.0)


def _inside(fitted: FittedModel, weights: Mapping[Columns, int]) -> dict[Columns, int]:
    """The sets of columns that lie inside a node of the model's tree: asking for them makes it no larger."""
    tree = fitted.network.tree
    return {columns: weight for columns, weight in weights.items() if tree.host(columns) is not None}


def _offers(
    candidates: Sequence[Candidate], scores: NoisyScores, weights: Mapping[Columns, int], residual: int
) -> list[Offer]:
    """Each candidate as an offer; the largest distance of its columns at any resolution is the whole of it.

    Of three columns only what those of their pairs that were scored do not tell counts, as if orthogonal to these.
    """
    seen = [max(float(value) / LATTICE, 0.0) for value in scores.values.tolist()]
    whole: dict[Columns, float] = {}
    for candidate, distance in zip(candidates, seen, strict=True):
        whole[candidate.query.columns] = max(whole.get(candidate.query.columns, 0.0), distance)
    told = {columns: sum(whole.get(pair, 0.0) ** 2 for pair in _pairs_inside(columns)) for columns in whole}
    offers = []
    for candidate, distance in zip(candidates, seen, strict=True):
        query, columns = candidate.query, candidate.query.columns
        own, shown = (sqrt(max(apart**2 - told[columns], 0.0)) for apart in (whole[columns], distance))
        offers.append(Offer(query, own, shown, _felt(query.shape, residual), float(weights[columns])))
    return offers


def _pairs_inside(columns: Columns) -> tuple[Columns, ...]:
    """The pairs of three columns; of two there are none beside themselves."""
    return tuple(combinations(columns, 2)) if len(columns) > 2 else ()
