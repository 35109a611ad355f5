"""Budget: the (epsilon, delta) that people speak of, held exactly."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy.conversion import rho_of_epsilon
from dpsynth.privacy.cost import Cost
from dpsynth.privacy.exact import parse_fraction, read_number


@dataclass(frozen=True, init=False)
class Budget:
    """An exact epsilon > 0 and 0 < delta < 1, as ``Budget("1", "1e-9")``.

    Text, int, Fraction and Decimal are taken as they are; a float is refused because it is not the number that was
    written. Raises BudgetFormatError naming the key and what to write instead.
    """

    epsilon: Fraction
    delta: Fraction

    def __init__(self, epsilon: str | int | Fraction | Decimal, delta: str | int | Fraction | Decimal) -> None:
        object.__setattr__(self, "epsilon", parse_fraction(epsilon, "epsilon"))
        object.__setattr__(self, "delta", _delta(delta))

    def cost(self) -> Cost:
        """The largest rho, rounded down to the grid of 2^-60, that stays within epsilon at delta.

        Raises BudgetFormatError if epsilon is so small (below about 1e-8) that no rho is left.
        """
        rho = rho_of_epsilon(self.epsilon, self.delta)
        if rho == 0:
            raise BudgetFormatError("epsilon: so small that it buys nothing; write a larger one")
        return Cost(rho)


def _delta(value: str | int | Fraction | Decimal) -> Fraction:
    """An exact delta, with the reason why it is neither 0 nor 1 or more."""
    if read_number(value, "delta") == 0:
        raise BudgetFormatError(
            'delta: 0 needs an account of pure differential privacy; under zCDP write a small one such as "1e-9"'
        )
    delta = parse_fraction(value, "delta")
    if delta >= 1:
        raise BudgetFormatError('delta: must be below 1, and far below one over the number of people: "1e-9"')
    return delta
