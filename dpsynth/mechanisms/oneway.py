"""What every mechanism measures first: the total and each column by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from dpsynth.measurement import Domain, Level, Measurer, NoisyMarginal, Query
from dpsynth.mechanisms.protocol import Step

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


def best_total(answers: Iterable[NoisyMarginal]) -> Fraction:
    """The number of rows that all answers together say: the mean of their sums weighted by precision, exact.

    The sum of an answer has variance cells x sigma^2. A public count (sigma 0) is taken as it stands.
    """
    sums, precision = Fraction(0), Fraction(0)
    for answer in answers:
        counted = int(answer.values.sum())
        if answer.sigma == 0:
            return Fraction(counted)
        weight = 1 / (answer.query.cells * answer.sigma**2)
        sums, precision = sums + weight * counted, precision + weight
    return sums / precision


def _cube_root(number: int) -> int:
    """The smallest integer whose cube is at least the number."""
    root = 1
    while root**3 < number:
        root += 1
    return root
