"""What every mechanism measures first: the total and each column by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain, Level, Measurer, NoisyMarginal, Query
from dpsynth.mechanisms.protocol import Step
from dpsynth.mechanisms.smoothing import smoothed
from dpsynth.model import project

MOST_ROWS = 1 << 50
"""More rows than any table has; the gate compares counts with no larger ones."""

Floats = NDArray[np.float64]

TOTAL_SHARE = Fraction(1, 200)
"""Share of the budget for the number of rows; the one-way tables add to what is known of it."""


def one_way_weights(levels: Mapping[str, Level], names: Sequence[str]) -> tuple[int, ...]:
    """How a price is split over the one-way tables: in proportion to cells^(2/3), rounded up to a tenth.

    It minimises the sum of expected L1 errors, cells / sqrt(price), for a given sum of prices.
    """
    return tuple(_cube_root(1000 * levels[name].size ** 2) for name in names)


def one_way_share(levels: Mapping[str, Level], names: Sequence[str], name: str) -> Fraction:
    """The part of that price which one column gets."""
    weights = one_way_weights(levels, names)
    return Fraction(weights[names.index(name)], sum(weights))


def shares(columns: int, one_way: Fraction, select: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """Shares of the one-way tables, of private choices and of larger tables, which get what these and the total leave.

    Nothing for what there is none of: one column has no larger table, and of two there is no choice.
    """
    if columns == 1:
        return 1 - TOTAL_SHARE, Fraction(0), Fraction(0)
    choices = select if columns > 2 else Fraction(0)
    return one_way, choices, 1 - TOTAL_SHARE - one_way - choices


def first_steps(domain: Domain, levels: Mapping[str, Level], share: Fraction) -> tuple[Step, ...]:
    """The plan of the total and of all one-way tables; ``share`` is for the latter."""
    return (
        Step("total", (), 1, TOTAL_SHARE, 1),
        *(
            Step("marginals", (name,), 1, share * one_way_share(levels, domain.names, name), levels[name].size)
            for name in domain.names
        ),
    )


def measure_one_ways(measurer: Measurer, price: Fraction) -> tuple[NoisyMarginal, ...]:
    """Every column by itself, at its declared level."""
    names = measurer.domain.names
    queries = [Query((measurer.levels[name],)) for name in names]
    return measurer.marginals(queries, price, one_way_weights(measurer.levels, names))


def measure_first(
    measurer: Measurer, budget: Fraction, one_way: Fraction
) -> tuple[NoisyMarginal, tuple[NoisyMarginal, ...], Fraction]:
    """The total for its share of the budget, the one-way tables for the share ``one_way``, and the latter's price.

    Where the total is public and free, its share goes to the one-way tables.
    """
    total = measurer.total(budget * TOTAL_SHARE)
    price = budget * (one_way if total.sigma else one_way + TOTAL_SHARE)
    return total, measure_one_ways(measurer, price), price


@dataclass(frozen=True, eq=False)
class OneWay:
    """What is known of one column by itself: smoothed ``counts`` of the cells of ``level``.

    ``sigma`` is the standard deviation of the noise that each count had before it was smoothed.
    """

    level: Level
    counts: Floats
    sigma: float

    @classmethod
    def of(cls, answers: Sequence[NoisyMarginal]) -> OneWay:
        """All answers to one query: their mean weighted by precision, smoothed."""
        (level,) = answers[0].query.levels
        precisions = [1 / float(answer.sigma) ** 2 for answer in answers]
        total = sum(precisions)
        mean = np.sum([w / total * a.values for w, a in zip(precisions, answers, strict=True)], axis=0)
        return cls(level, smoothed(np.asarray(mean, dtype=np.float64), total**-0.5), total**-0.5)

    def mass(self, rows: float) -> Floats:
        """The nearest table without negative counts that sums to so many rows (at least 1)."""
        return project(self.counts, np.ones_like(self.counts), max(rows, 1.0))

    def at(self, level: Level, rows: float) -> Floats:
        """:meth:`mass` at a coarser level."""
        return sum_cells(self.level.onto(level), self.mass(rows), level.size)


def known_one_ways(answers: Iterable[NoisyMarginal]) -> dict[str, OneWay]:
    """What the answers about single columns say of each."""
    found: dict[str, list[NoisyMarginal]] = {}
    for answer in answers:
        found.setdefault(answer.query.columns[0], []).append(answer)
    return {name: OneWay.of(same) for name, same in found.items()}


def sum_cells(groups: NDArray[np.integer], mass: Floats, size: int) -> Floats:
    """The mass of the cells of each group 0..size-1."""
    result: Floats = np.zeros(size)
    np.add.at(result, groups, mass)
    return result


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
