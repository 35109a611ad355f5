"""What mechanisms build on that ask, fit, and ask again: the first answers, the levels to ask at, the model so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, prod

import numpy as np

from dpsynth.measurement import Domain, Level, Measurer, NoisyMarginal, Query
from dpsynth.mechanisms.assemble import assembled
from dpsynth.mechanisms.merging import fitting, ladder
from dpsynth.mechanisms.oneway import (
    First,
    OneWay,
    measure_first,
)
from dpsynth.mechanisms.rate import MEAN_SIZE, Rate
from dpsynth.model import FittedModel

CANDIDATE_CELLS = 1 << 26
"""Most cells of all candidates of a choice: their exact counts take eight bytes a cell."""

TREE_CELLS = 1 << 20
"""Most cells of the junction tree; ``privbayes`` has less, but pairs may join beyond it."""

PAIR_CELLS = 1 << 20
"""Most cells of a tree of pairs, whatever it joins: no column is asked with others more finely."""

LARGEST_OFFSET = 2.0**50
"""Largest offset of a candidate in rows: that of the measurement room, in rows."""

SLACK = 0.01
"""How well a model is fitted that only decides what to ask next (see model.estimate)."""

Columns = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Ground:
    """The total, every column by itself, and what follows from these answers.

    ``rungs`` are the levels at which each column may be asked with others, from fine to coarse, ``rows`` is the number
    of rows that all answers say (at least 0).
    """

    first: First
    rungs: Mapping[str, tuple[Level, ...]]
    rows: float

    @classmethod
    def measured(
        cls, measurer: Measurer, budget: Fraction, one_way: Fraction, merge: Fraction, largest: int | None = None
    ) -> Ground:
        """Ask the total for its share of the budget, the one-way tables for theirs.

        A group of cells holds at least ``merge`` noise scales on the finest rung, which has at most ``largest`` cells:
        so many that any tree of pairs fits PAIR_CELLS, if it is not given.
        """
        first, hierarchies = measure_first(measurer, budget, one_way), measurer.hierarchies
        most = largest or isqrt(PAIR_CELLS // max(len(first.known) - 1, 1))
        rungs = {name: ladder(one, merge, most, hierarchies.get(name, ())) for name, one in first.known.items()}
        return cls(first, rungs, max(float(first.rows()), 0.0))

    @property
    def known(self) -> Mapping[str, OneWay]:
        """What the first answers say of each column."""
        return self.first.known

    @property
    def rate(self) -> Rate:
        """What a price buys."""
        return self.first.rate

    def sigma(self, price: Fraction) -> float:
        """The standard deviation of the noise that a price buys."""
        return float(self.rate.sigmas(np.array(float(price))))

    def useful(self, sigma: float, scales: Fraction, candidates: int) -> Fraction:
        """Most cells of a table so that the L1 norm of its noise is at most rows / ``scales``.

        All of so many candidates together fit ``CANDIDATE_CELLS``.
        """
        cells = self.rows / (float(scales) * MEAN_SIZE * sigma)
        return min(Fraction(cells), Fraction(CANDIDATE_CELLS, max(candidates, 1)))

    def query(self, columns: Sequence[str], cells: Fraction) -> Query | None:
        """The table of some columns at the finest levels of so many cells; None if a column would be left out."""
        levels = fitting([self.rungs[name] for name in columns], cells)
        return Query(levels) if all(level.size > 1 for level in levels) else None

    def finest(self, query: Query) -> bool:
        """Is every column of a query on its finest rung?"""
        return all(level == self.rungs[level.column][0] for level in query.levels)

    def model(
        self, again: Sequence[NoisyMarginal], joint: Sequence[NoisyMarginal], before: FittedModel | None = None
    ) -> FittedModel:
        """The model so far, for deciding what to ask next.

        All columns are in the cells of their finest rung, whatever was asked: so a fit can start from the one before.
        ``again`` are further answers about single columns, at the levels of the first ones.
        """
        levels = {name: rungs[0] for name, rungs in self.rungs.items()}
        start = None if before is None else before.network
        rows = float(self.first.rows(again))
        return assembled(levels, self.first.and_known(again), joint, rows, start=start, slack=SLACK)


def table_cells(sets: Iterable[Columns], levels: Mapping[str, Level], most: int) -> list[int]:
    """The cells of the table of each set of columns, none of which has more than ``most``."""
    sizes = {name: level.size for name, level in levels.items()}
    return [min(prod(sizes[name] for name in columns), most) for columns in sets]


def whole_tree(domain: Domain) -> int:
    """Most cells that a junction tree ever has: those of all columns' table, and columns of one cell by themselves."""
    return domain.cells(domain.names) + domain.sizes.count(1)


def largest_tree(domain: Domain, levels: Mapping[str, Level]) -> int:
    """The limit on a tree that pairs may have grown beyond ``TREE_CELLS``, or the whole table where that is smaller."""
    alone = sum(level.size for level in levels.values())
    return min(max(TREE_CELLS + PAIR_CELLS, alone), whole_tree(domain))


def noise_size(query: Query, sigma: float) -> float:
    """The expected L1 norm of a table's noise, in rows."""
    return MEAN_SIZE * sigma * query.cells


def spaced(items: Sequence[Columns], most: int) -> list[Columns]:
    """At most so many of the items, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[(2 * i + 1) * len(items) // (2 * most)] for i in range(most)]
