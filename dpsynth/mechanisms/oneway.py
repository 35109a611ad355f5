"""What every mechanism measures first: the total and each column by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import LATTICE, NO_TREES, Domain, Level, Measurer, NoisyMarginal, Query, Tree
from dpsynth.mechanisms.bins import Found, Support, sum_cells
from dpsynth.mechanisms.density import Counted
from dpsynth.mechanisms.protocol import Step
from dpsynth.mechanisms.rate import Rate
from dpsynth.mechanisms.smoothing import smoothed
from dpsynth.model import project

MOST_ROWS = 1 << 50
"""More rows than any table has; the gate compares counts with no larger ones."""

Floats = NDArray[np.float64]

TOTAL_SHARE = Fraction(1, 200)
"""Share of the budget for the number of rows; the one-way tables add to what is known of it."""

RATIO = 2
"""Where bins are found, each level gets so many times the price of the next coarser one."""


def one_way_weights(
    levels: Mapping[str, Level], names: Sequence[str], trees: Mapping[str, Tree] = NO_TREES
) -> tuple[int, ...]:
    """How a price is split over the one-way tables: in proportion to cells^(2/3), rounded up to a tenth.

    It minimises the sum of expected L1 errors, cells / sqrt(price), for a given sum of prices. A column whose bounds
    are found counts as often as its tree has levels.
    """
    times = {name: len(tree.levels) for name, tree in trees.items() if not tree.bounded}
    return tuple(times.get(name, 1) * _cube_root(1000 * levels[name].size ** 2) for name in names)


def shares(columns: int, one_way: Fraction, select: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """Shares of the one-way tables, of private choices and of larger tables, which get what these and the total leave.

    Nothing for what there is none of: one column has no larger table, and of two there is no choice.
    """
    if columns == 1:
        return 1 - TOTAL_SHARE, Fraction(0), Fraction(0)
    choices = select if columns > 2 else Fraction(0)
    return one_way, choices, 1 - TOTAL_SHARE - one_way - choices


def first_steps(
    domain: Domain, levels: Mapping[str, Level], share: Fraction, trees: Mapping[str, Tree] = NO_TREES
) -> tuple[Step, ...]:
    """The plan of the total and of all one-way tables; ``share`` is for the latter.

    A column whose bins are found has a table for each level of its tree, of which the finest ones may turn out smaller,
    down to the coarsest one asked again.
    """
    steps = [Step("total", (), 1, TOTAL_SHARE, 1)]
    weights = one_way_weights(levels, domain.names, trees)
    for name, weight in zip(domain.names, weights, strict=True):
        asked = trees[name].levels if name in trees else (levels[name],)
        part = share * Fraction(weight, sum(weights))
        steps += [
            Step("marginals", (name,), 1, part * share_of, level.size)
            for share_of, level in zip(_split(name, asked, trees), asked, strict=True)
        ]
    return tuple(steps)


def measure_one_ways(measurer: Measurer, levels: Mapping[str, Level], price: Fraction) -> tuple[NoisyMarginal, ...]:
    """Every column by itself, at these levels."""
    names = measurer.domain.names
    return measurer.marginals([Query((levels[name],)) for name in names], price, one_way_weights(levels, names))


def measure_first(measurer: Measurer, budget: Fraction, one_way: Fraction) -> First:
    """The total for its share of the budget, the one-way tables for the share ``one_way``.

    Where the total is public and free, its share goes to the one-way tables. A column whose bins are found is asked
    at the coarsest level of its tree first, and then at what that leaves.
    """
    names, declared, trees = measurer.domain.names, measurer.levels, measurer.trees
    total = measurer.total(budget * TOTAL_SHARE)
    price = budget * (one_way if total.sigma else one_way + TOTAL_SHARE)
    each = one_way_weights(declared, names, trees)

    def ask(asked: Sequence[tuple[Level, Fraction]]) -> list[NoisyMarginal]:
        """Levels of one column each, each for its part of the price."""
        parts = [part for _, part in asked]
        common = lcm(*(part.denominator for part in parts))
        weights = [int(part * common) for part in parts]
        return list(measurer.marginals([Query((level,)) for level, _ in asked], price * sum(parts), weights))

    first: list[tuple[Level, Fraction]] = []
    later: dict[str, Fraction] = {}
    for name, weight in zip(names, each, strict=True):
        levels = trees[name].levels if name in trees else (declared[name],)
        split = _split(name, levels, trees)
        every = [(level, Fraction(weight, sum(each)) * part) for level, part in zip(levels, split, strict=True)]
        kept = every[-1:] if name in trees else every
        first += kept
        if len(kept) < len(every):
            later[name] = sum((part for _, part in every[:-1]), Fraction(0))
    answers = ask(first)
    rate = Rate.of(answers[0], price * first[0][1])
    of: dict[str, list[NoisyMarginal]] = {}
    for answer in answers:
        of.setdefault(answer.query.columns[0], []).append(answer)
    supports = {
        name: (Support.bounded if tree.bounded else Support.found)(tree, of[name][0]) for name, tree in trees.items()
    }
    second: list[tuple[Level, Fraction]] = []
    for name, part in later.items():
        # The coarsest is what was asked; where nothing finer is worth a price, it is asked again.
        levels = supports[name].levels(trees[name])[:-1] or (supports[name].level,)
        second += [(level, part / len(levels)) for level in levels]
    for answer in ask(second) if second else ():
        column = of[answer.query.columns[0]]
        column.insert(len(column) - 1, answer)
    answers = [answer for name in names for answer in of[name]]
    rows = float(best_total([total, *answers]))
    known: dict[str, OneWay] = {}
    for name in names:
        if name in trees:
            found = Found.of(supports[name], of[name], rows, declared[name].size)
            known[name] = OneWay(found.level, found.counts, found.sigma, found.inside, found.counted)
        else:
            known[name] = OneWay.of(of[name])
    return First(total, tuple(answers), {name: one.level for name, one in known.items()}, known, rate)


@dataclass(frozen=True, eq=False)
class OneWay:
    """What is known of one column by itself: smoothed ``counts`` of the cells of ``level``.

    ``sigma`` is the standard deviation of the noise that each count had before it was smoothed. ``inside`` says how the
    rows of each cell lie over the fine cells, where that was measured: non-negative, shape (level.fine,). ``counted``
    are the answers to which both are a density, where one was fitted.
    """

    level: Level
    counts: Floats
    sigma: float
    inside: Floats | None = None
    counted: Counted | None = None

    @classmethod
    def of(cls, answers: Sequence[NoisyMarginal]) -> OneWay:
        """All answers to one query: their mean weighted by precision, smoothed."""
        (level,) = answers[0].query.levels
        mean, sigma = _mean(answers)
        return cls(level, smoothed(mean, sigma), sigma)

    def and_of(self, again: Sequence[NoisyMarginal]) -> OneWay:
        """With further answers at the same level: the mean weighted by precision."""
        mean, sigma = _mean(again)
        precision = self.sigma**-2 + sigma**-2
        if self.counted is not None:
            counted = self.counted.and_of(again)
            counts = sum_cells(counted.level.onto(self.level), counted.mass, self.level.size)
            inside = (counted.mass / np.bincount(counted.level.cells))[counted.level.cells]
            return replace(self, counts=counts, sigma=precision**-0.5, inside=inside, counted=counted)
        counts = (self.sigma**-2 / precision) * self.counts + (sigma**-2 / precision) * mean
        return replace(self, counts=np.rint(counts * LATTICE) / LATTICE, sigma=precision**-0.5)

    def mass(self, rows: float) -> Floats:
        """The nearest table without negative counts that sums to so many rows (at least 1)."""
        return project(self.counts, np.ones_like(self.counts), max(rows, 1.0))

    def at(self, level: Level, rows: float) -> Floats:
        """:meth:`mass` at a coarser level."""
        return sum_cells(self.level.onto(level), self.mass(rows), level.size)

    def spread(self, model: Level, rows: float) -> Floats:
        """Weights of the fine cells inside each cell of a coarser level: shape (level.fine,).

        In proportion to the mass of each cell of this level, and inside of it evenly, or as was measured. A model cell
        without any mass spreads evenly over the cells of this level; a cell without any over its fine cells in use.
        """
        cell, mass = self.level.onto(model), self.mass(rows)
        held = sum_cells(cell, mass, model.size)
        kept = np.where(held[cell] > 0, mass, 1.0)
        if self.inside is None:
            return np.asarray((kept / np.bincount(self.level.cells))[self.level.cells])
        within = sum_cells(self.level.cells, self.inside, self.level.size)
        use = np.where(within[self.level.cells] > 0, self.inside, 1.0)
        return np.asarray(use * (kept / sum_cells(self.level.cells, use, self.level.size))[self.level.cells])


@dataclass(frozen=True, eq=False)
class First:
    """The total and every column by itself, and what these answers say.

    ``levels`` holds each column's declared level, or the bins that were found. ``known`` is what is known of each
    column there; ``rate`` what a price buys.
    """

    total: NoisyMarginal
    one_ways: tuple[NoisyMarginal, ...]
    levels: Mapping[str, Level]
    known: Mapping[str, OneWay]
    rate: Rate

    def and_known(self, again: Iterable[NoisyMarginal]) -> Mapping[str, OneWay]:
        """What is known of each column with further answers about single columns, at their ``levels``."""
        later: dict[str, list[NoisyMarginal]] = {}
        for answer in again:
            later.setdefault(answer.query.columns[0], []).append(answer)
        known = dict(self.known)
        for name, answers in later.items():
            if known[name].inside is None:
                asked = [answer for answer in self.one_ways if answer.query.columns == (name,)]
                known[name] = OneWay.of([*asked, *answers])
            else:
                known[name] = known[name].and_of(answers)
        return known

    def rows(self, again: Iterable[NoisyMarginal] = ()) -> Fraction:
        """The number of rows that these answers and further ones say."""
        return best_total([self.total, *self.one_ways, *again])


def _mean(answers: Sequence[NoisyMarginal]) -> tuple[Floats, float]:
    """The mean of answers to one query, weighted by precision, and the standard deviation of its noise."""
    precisions = [1 / float(answer.sigma) ** 2 for answer in answers]
    total = sum(precisions)
    mean = np.sum([w / total * a.values for w, a in zip(precisions, answers, strict=True)], axis=0)
    return np.asarray(mean, dtype=np.float64), total**-0.5


def _split(name: str, levels: Sequence[Level], trees: Mapping[str, Tree]) -> tuple[Fraction, ...]:
    """How the price of one column is split over its levels, from fine to coarse.

    In equal parts where the bounds are found, which the coarsest level does.
    """
    ratio = RATIO if name not in trees or trees[name].bounded else 1
    weights = [ratio**power for power in reversed(range(len(levels)))]
    return tuple(Fraction(weight, sum(weights)) for weight in weights)


def best_total(answers: Iterable[NoisyMarginal]) -> Fraction:
    """The number of rows that all answers together say: the mean of their sums weighted by precision, exact.

    The sum of an answer has variance cells x sigma^2. A public count (sigma 0) is taken as it stands. More rows than
    ``MOST_ROWS`` can only be noise.
    """
    sums, precision = Fraction(0), Fraction(0)
    for answer in answers:
        counted = int(answer.values.sum())
        if answer.sigma == 0:
            return Fraction(counted)
        weight = 1 / (answer.query.cells * answer.sigma**2)
        sums, precision = sums + weight * counted, precision + weight
    return min(sums / precision, Fraction(MOST_ROWS))


def _cube_root(number: int) -> int:
    """The smallest integer whose cube is at least the number."""
    root = 1
    while root**3 < number:
        root += 1
    return root
