"""From costs to the (epsilon, delta) that people speak of, and back, in whichever measure: outward, never below."""

from __future__ import annotations

from fractions import Fraction

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy.conversion import QUOTE, epsilon_of_rho, rho_of_epsilon
from dpsynth.privacy.cost import Cost
from dpsynth.privacy.exact import floor_to_grid
from dpsynth.privacy.gdp import epsilon_of_gdp, mu_squared_of
from dpsynth.privacy.measure import Measure, require_measure


def epsilon_of(cost: Cost, delta: Fraction) -> Fraction:
    """The epsilon that ``cost`` gives at ``delta``, rounded up to a multiple of 10^-18; nothing costs 0.

    The cost's own delta uses up its part of ``delta``. Pure differential privacy has its epsilon at any delta, 0
    included. BudgetFormatError where gdp or zcdp is asked for delta 0, or where the cost's own delta leaves nothing.
    """
    if not cost.amount and not cost.delta:
        return Fraction(0)
    if cost.measure == "pure":
        return Fraction(-(-cost.amount * QUOTE // 1), QUOTE)
    if cost.measure == "gdp":
        return epsilon_of_gdp(cost.amount, delta, cost.delta)
    if delta and cost.delta >= delta:
        raise BudgetFormatError("delta: thresholded steps (their delta_0) use all of it; write a larger delta")
    return epsilon_of_rho(cost.amount, delta - cost.delta)


def amount_of(measure: Measure, epsilon: Fraction, delta: Fraction) -> Fraction:
    """The largest multiple of 2^-60 whose ``epsilon_of`` at ``delta`` is at most ``epsilon`` > 0; 0 where none is."""
    if require_measure(measure) == "gdp":
        return mu_squared_of(epsilon, delta)
    if measure == "zcdp":
        return rho_of_epsilon(epsilon, delta)
    return floor_to_grid(Fraction(epsilon * QUOTE // 1, QUOTE))
