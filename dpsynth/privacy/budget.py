"""Budget: the (epsilon, delta) that people speak of, held exactly."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy.cost import Cost
from dpsynth.privacy.exact import ceil_to_grid, parse_fraction, read_number
from dpsynth.privacy.measure import Measure
from dpsynth.privacy.promise import amount_of


@dataclass(frozen=True, init=False)
class Budget:
    """An exact epsilon > 0 and 0 <= delta < 1, as ``Budget("1", "1e-9")``.

    Delta 0 is given by pure differential privacy alone. Text, int, Fraction and Decimal are taken as they are; a float
    is refused because it is not the number that was written. Raises BudgetFormatError naming the key and what to write
    instead.
    """

    epsilon: Fraction
    delta: Fraction

    def __init__(self, epsilon: str | int | Fraction | Decimal, delta: str | int | Fraction | Decimal) -> None:
        object.__setattr__(self, "epsilon", parse_fraction(epsilon, "epsilon"))
        object.__setattr__(self, "delta", _delta(delta))

    def require(self, measure: Measure) -> None:
        """BudgetFormatError for a delta that the measure does not give: pure gives 0 alone, the others never 0."""
        if measure == "pure" and self.delta:
            raise BudgetFormatError('delta: an account of measure "pure" promises delta 0; write delta = "0"')
        if measure != "pure" and not self.delta:
            raise BudgetFormatError(
                f'delta: measure "{measure}" never gives 0; write a small one such as "1e-9", or take measure = "pure"'
            )

    def cost(self, measure: Measure = "gdp", delta0: Fraction | int = 0) -> Cost:
        """The most, rounded down to the grid of 2^-60, that stays within epsilon at delta in this measure.

        It is the largest amount whose ``epsilon_of`` at delta is at most epsilon. ``delta0``, the sum of the delta_0 of
        thresholded steps, is a part of delta that is set aside for them. BudgetFormatError if epsilon is so small that
        nothing is left, if delta is 0 and the measure not ``"pure"``, or if ``delta0`` does not leave some of it.
        """
        if delta0:
            self._require_part(measure, Fraction(delta0))
        amount = amount_of(measure, self.epsilon, self.delta - delta0)
        if amount == 0:
            raise BudgetFormatError("epsilon: so small that it buys nothing; write a larger one")
        return Cost(measure, amount, Fraction(delta0))

    def _require_part(self, measure: Measure, delta0: Fraction) -> None:
        if measure == "pure":
            raise BudgetFormatError(
                "delta_0: finding values privately shows a rare one with a small probability, which pure differential "
                'privacy does not allow: list the values, or take measure = "gdp"'
            )
        if not 0 < delta0 < self.delta:
            raise BudgetFormatError(f"delta_0: must be above 0 and below delta, {self.delta}, of which it is a part")


def part_of(value: str | int | Fraction | Decimal) -> Fraction:
    """The part of a delta that is set aside for thresholded steps, 0 or above, rounded up to the grid of 2^-60."""
    if read_number(value, "delta0") == 0:
        return Fraction(0)
    return ceil_to_grid(parse_fraction(value, "delta0"))


def _delta(value: str | int | Fraction | Decimal) -> Fraction:
    """An exact delta, with the reason why it is not 1 or more."""
    if read_number(value, "delta") == 0:
        return Fraction(0)
    delta = parse_fraction(value, "delta")
    if delta >= 1:
        raise BudgetFormatError('delta: must be below 1, and far below one over the number of people: "1e-9"')
    return delta
