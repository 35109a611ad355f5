"""Costs as integers: what a database can add and compare exactly."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dpsynth.errors import ConfigurationError
from dpsynth.privacy import GRID, Cost, Measure, ceil_to_grid

WHOLE = 2**40
"""The largest whole part that a store keeps."""


@dataclass(frozen=True)
class Amount:
    """The amount is ``whole + units / GRID``, the delta ``delta / GRID``; units below GRID."""

    whole: int
    units: int
    delta: int


def split(cost: Cost) -> Amount:
    """A cost on the grid as integers. ConfigurationError if it is not on the grid, or too large to be meant."""
    amount, delta = cost.amount * GRID, cost.delta * GRID
    if amount.denominator != 1 or delta.denominator != 1:
        raise ConfigurationError("an account holds multiples of 2^-60 only: round the cost up, or the cap down, to it")
    if cost.amount > WHOLE or cost.delta >= 1:
        raise ConfigurationError(
            f"an account holds a {cost.unit} of at most {WHOLE} and a delta below 1: this protects nobody"
        )
    whole, units = divmod(amount.numerator, GRID)
    return Amount(whole, units, delta.numerator)


def cost_of(measure: Measure, amount: Amount) -> Cost:
    """The cost that these integers stand for in a measure."""
    return Cost(measure, amount.whole + Fraction(amount.units, GRID), Fraction(amount.delta, GRID))


def round_up(cost: Cost) -> Cost:
    """The smallest cost on the grid that covers this one."""
    return Cost(cost.measure, ceil_to_grid(cost.amount), ceil_to_grid(cost.delta))
