"""``privbayes``: a Bayesian network that grows by one column at a time, each with its most telling parents.

After Zhang, Cormode, Procopiuc, Srivastava and Xiao 2017 (TODS 42(4)), corrected and made modern:

1. The total, and every column by itself; cells too rare for the noise are merged.
2. Candidates (column X not yet in the network, parents Pi in it), each at the finest levels whose table is useful: the
   expected L1 norm of its noise is at most rows / theta.
3. The exponential mechanism picks by the L1 distance between the table of X and Pi and what the model so far expects
   if X were independent of Pi: P(Pi) by the fitted model times P(X) by the one-way table. All of that was paid
   before, so one person moves the score by s rows exactly. (The paper's mutual information compares the table with its
   own margins, which move with it.)
4. The table of X and Pi; the model is fitted again; on to 2 until all columns are in.
5. A Markov network fitted to all answers.

Differences from the paper: adding or removing a person, the number of rows is noisy; a few columns join under one
charge where there are many; all parent sets are tried only up to a public number, evenly spaced ones beyond it; more
than two parents only where no column must be merged for it; where no table is useful, what is left of the budget goes
to the one-way tables. On a pure account all noise is Laplace's: ``Rate`` alone turns prices into noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import combinations
from math import ceil, comb, prod

from dpsynth.measurement import NO_TREES, Candidate, Domain, Level, Measurer, NoisyMarginal, Query, Tree
from dpsynth.mechanisms.assemble import fit_model
from dpsynth.mechanisms.oneway import first_steps, measure_one_ways, shares
from dpsynth.mechanisms.protocol import Step
from dpsynth.mechanisms.rounds import CANDIDATE_CELLS, PAIR_CELLS, Columns, Ground, largest_tree, table_cells
from dpsynth.model import FittedModel, JunctionTree

SETS = 1500
"""Most candidates of a choice, but that every column out has one parent set at least."""

JOINING = 20
"""One column in so many of those that are wanted joins under one charge, rounded up."""

TREE_CELLS = 1 << 18
"""Most cells of the junction tree once a column has joined with two parents or more."""

WHOLE = 3
"""From so many parents on, no column may be merged."""


@dataclass(frozen=True)
class PrivBayes:
    """A network of conditional tables. The defaults do not depend on any data.

    ``one_way`` and ``select`` are shares of the budget; the tables get what these and the total leave. ``merge`` is the
    number of noise scales that a group of cells must hold, ``theta`` how many times the rows must exceed the noise of
    a table, ``parents`` the most parents of a column.
    """

    one_way: Fraction = Fraction(2, 5)
    select: Fraction = Fraction(1, 10)
    merge: Fraction = Fraction(6)
    theta: Fraction = Fraction(6)
    parents: int = 4
    name: str = "privbayes"

    def largest(self, domain: Domain, levels: Mapping[str, Level]) -> int:
        """The limit on the tree, or the whole table where that is smaller."""
        return largest_tree(domain, levels)

    def compared(self, domain: Domain, levels: Mapping[str, Level]) -> tuple[int, int]:
        """Every pair at first; later so many sets of parents as are tried, each with a column of the largest tables."""
        names = domain.names
        pairs = table_cells(combinations(names, 2), levels, CANDIDATE_CELLS)
        sets = max(SETS, len(names))
        sizes = sorted((levels[name].size for name in names), reverse=True)
        later = sets * min(prod(sizes[: self.parents + 1]), CANDIDATE_CELLS // sets) if len(names) > 2 else 0
        return max(len(pairs), sets), max(min(sum(pairs), CANDIDATE_CELLS), later)

    def plan(
        self, domain: Domain, levels: Mapping[str, Level], trees: Mapping[str, Tree] = NO_TREES
    ) -> tuple[Step, ...]:
        """The total, each column, the choices of all rounds together, and the tables of what joins.

        Where no further table is useful, ``fit`` asks the one-way tables again for what is left.
        """
        one_way, select, tables = shares(len(domain.names), self.one_way, self.select)
        first = first_steps(domain, levels, one_way, trees)
        if not tables:
            return first
        joins = len(domain.names) - 1
        largest = sorted((levels[name].size for name in domain.names), reverse=True)[: self.parents + 1]
        chosen = (Step("select", None, joins, select, None),) if select else ()
        return (*first, *chosen, Step("marginals", None, joins, tables, min(prod(largest), PAIR_CELLS), joins))

    def fit(self, measurer: Measurer, budget: Fraction) -> FittedModel:
        """Measure, then choose, measure and fit until every column is in."""
        names = measurer.domain.names
        one_way, *later = shares(len(names), self.one_way, self.select)
        ground = Ground.measured(measurer, budget, one_way, self.merge)
        select, tables = (budget * share for share in later)
        joint: list[NoisyMarginal] = []
        again: tuple[NoisyMarginal, ...] = ()
        inside: set[str] = set()
        wanted, fitted = len(names) - 1, None
        while wanted:
            fitted = ground.model((), joint, fitted)
            joins = self._joins(ground, fitted, inside, tables / wanted)
            if not joins:
                break
            picks = ceil(Fraction(wanted, JOINING)) if inside else 1
            if len(joins) > 1:
                price = select * picks / wanted
                answer = measurer.select([join.candidate for join in joins], "l1-to-model", picks, price)
                joining = _first_of_each(joins[i] for i in answer.picks)
                select -= price
            else:
                joining = joins
                tables, select = tables + select / wanted, select - select / wanted
            price = tables * len(joining) / wanted
            joint += measurer.marginals([join.candidate.query for join in joining], price)
            tables -= price
            wanted -= len(joining)
            inside.update(name for join in joining for name in join.candidate.query.columns)
        tree = (
            None
            if fitted is None
            else reduce(JunctionTree.grown, (answer.query.columns for answer in joint), fitted.network.tree)
        )
        if select + tables:
            again = measure_one_ways(measurer, ground.first.levels, select + tables)
        return fit_model(ground.first, joint, again, tree)

    def _joins(self, ground: Ground, fitted: FittedModel, inside: set[str], price: Fraction) -> list[_Join]:
        """What may join next: the useful tables at this price, with their counts if the column were independent."""
        names = tuple(ground.rungs)
        out = [name for name in names if name not in inside]
        if inside:
            sets = parent_sets([name for name in names if name in inside], self.parents, SETS // len(out))
            families = [(column, parents) for parents in sets for column in out]
        else:
            families = [(column, (parent,)) for parent, column in combinations(names, 2)]
        limit = ground.useful(ground.sigma(price), self.theta, len(families))
        rows = max(ground.rows, 1.0)
        asked: list[tuple[str, Query]] = []
        for column, parents in families:
            query = ground.query((*parents, column), limit)
            if query is None or (len(parents) >= WHOLE and not ground.finest(query)):
                continue
            if len(parents) > 1 and fitted.network.tree.cells_with(query.columns) > TREE_CELLS:
                continue
            asked.append((column, query))
        known = ground.known
        above = list(dict.fromkeys(Query(query.levels[:-1]) for _, query in asked))
        expected = dict(zip(above, fitted.expected_all(above), strict=True))
        alone = {level: known[level.column].at(level, rows) / rows for level in {q.levels[-1] for _, q in asked}}
        joins = []
        for column, query in asked:
            table = expected[Query(query.levels[:-1])]
            if table is not None:
                joins.append(_Join(column, Candidate.of(query, table[..., None] * alone[query.levels[-1]])))
        return joins


@dataclass(frozen=True, eq=False)
class _Join:
    """A column that may join the network, with the table of its parents and itself."""

    column: str
    candidate: Candidate


def parent_sets(names: Sequence[str], largest: int, most: int) -> list[Columns]:
    """Sets of up to ``largest`` of the names, the smaller ones first; evenly spaced ones of a size beyond ``most``."""
    found: list[Columns] = []
    for size in range(1, min(largest, len(names)) + 1):
        every = comb(len(names), size)
        take = min(every, max(most, 1) - len(found))
        found += [_subset(names, size, (2 * i + 1) * every // (2 * take)) for i in range(take)]
    return found


def _subset(names: Sequence[str], size: int, rank: int) -> Columns:
    """The subset of this rank among those of its size, in lexicographic order."""
    found: list[str] = []
    for at, name in enumerate(names):
        with_it = comb(len(names) - at - 1, size - len(found) - 1) if len(found) < size else 0
        if rank < with_it:
            found.append(name)
        else:
            rank -= with_it
    return tuple(found)


def _first_of_each(joins: Iterable[_Join]) -> list[_Join]:
    """The first table of each column: it joins once."""
    found: dict[str, _Join] = {}
    for join in joins:
        found.setdefault(join.column, join)
    return list(found.values())
