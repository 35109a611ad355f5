"""What a mechanism costs in each measure, exactly, and which noise a price buys.

Costs add up, also when queries and noise scales are chosen from earlier answers: mu^2 of Gaussian DP (Smith, Thakurta
2022, arXiv 2210.17520), rho of zCDP (Whitehouse et al. 2023, arXiv 2203.05481), epsilon of pure DP (Rogers et al. 2016,
arXiv 1605.08294), and the delta_0 of thresholded steps. Proofs: proofs/privacy/cost.md and gdp_composition.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, nextafter, sqrt

from dpsynth.errors import BudgetFormatError, ConfigurationError
from dpsynth.privacy.measure import UNITS, Measure, require_measure

FINEST = Fraction(1, 2**100)
"""The smallest noise scale that is drawn (below it there is no noise to speak of)."""
COARSEST = Fraction(2**60)
"""The largest noise scale that is drawn: 8 times more and noise would no longer fit 64-bit integers."""
PI_ABOVE = Fraction(355, 113)
"""A rational number just above pi."""

_ONE = Fraction(1)


@dataclass(frozen=True)
class Cost:
    """An exact price or sum of prices: an ``amount`` in the unit of its ``measure`` and ``delta``.

    ``delta`` is the sum of the delta_0 of thresholded steps; pure DP has none. Amounts of two measures are never added
    nor compared: ValueError.
    """

    measure: Measure
    amount: Fraction
    delta: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        require_measure(self.measure)
        for name in ("amount", "delta"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | Fraction):
                raise TypeError(f"a cost's {name} is a Fraction, not a {type(value).__name__}")
            if value < 0:
                raise ValueError(f"a cost's {name} is never negative")
            object.__setattr__(self, name, Fraction(value))
        if self.measure == "pure" and self.delta:
            raise ValueError("a cost of pure differential privacy has no delta")

    @classmethod
    def nothing(cls, measure: Measure) -> Cost:
        """The cost of asking nothing; also the start of a sum."""
        return cls(measure, Fraction(0))

    @property
    def unit(self) -> str:
        """The unit of the amount: mu2, rho or epsilon."""
        return UNITS[self.measure]

    def __add__(self, other: Cost) -> Cost:
        """Sequential, fully adaptive composition: both parts add."""
        self._require_same(other)
        return Cost(self.measure, self.amount + other.amount, self.delta + other.delta)

    def __sub__(self, other: Cost) -> Cost:
        """What is left of a cap; ValueError if ``other`` does not fit."""
        self._require_same(other)
        return Cost(self.measure, self.amount - other.amount, self.delta - other.delta)

    def fits(self, cap: Cost) -> bool:
        """Whether this is at most ``cap`` in both parts, compared exactly."""
        self._require_same(cap)
        return self.amount <= cap.amount and self.delta <= cap.delta

    def as_zcdp(self) -> Cost:
        """What a zCDP account is charged for this: rho = mu^2/2. There is no way back; ValueError for pure DP."""
        if self.measure == "pure":
            raise ValueError("a cost of pure differential privacy is not charged to an account of zCDP")
        return self if self.measure == "zcdp" else Cost("zcdp", self.amount / 2, self.delta)

    def _require_same(self, other: Cost) -> None:
        if self.measure != other.measure:
            raise ValueError(f"costs in {self.unit} and in {other.unit} are neither added nor compared")


def gaussian_cost(measure: Measure, sensitivity_squared: int | Fraction, sigma: Fraction) -> Cost:
    """What Gaussian noise costs: mu^2 = Delta_2^2 / sigma^2, or rho = Delta_2^2 / (2 sigma^2).

    mu^2 is of the continuous law, also if its answer is rounded, and never of the discrete one (Dong, Roth, Su 2022,
    arXiv 1905.02383, Theorem 2.7); rho is of both (Canonne, Kamath, Steinke 2020, arXiv 2004.00010). It has no pure
    cost: ConfigurationError. ``sigma`` is the law's parameter, above 0.
    """
    _positive(sigma, "sigma")
    if require_measure(measure) == "pure":
        raise ConfigurationError(
            "Gaussian noise is never pure differential privacy: a pure account takes Laplace noise"
        )
    mu_squared = _not_negative(sensitivity_squared, "sensitivity") / Fraction(sigma) ** 2
    return Cost(measure, mu_squared if measure == "gdp" else mu_squared / 2)


def exponential_cost(measure: Measure, sensitivity: int | Fraction, scale: Fraction, picks: int) -> Cost:
    """What ``picks`` draws with P proportional to exp(score / scale) cost, for scores that move by at most D.

    Two scores move apart by at most 2 D, so one draw is eps-bounded-range with eps = 2 D / scale. That is eps-DP;
    eps^2/8-zCDP (Cesar, Rogers 2021, arXiv 2004.07223); and mu-GDP with mu^2 <= pi eps^2/8 < 355 eps^2/904
    (proofs/privacy/exponential_cost.md).
    """
    _positive(scale, "scale")
    if isinstance(picks, bool) or not isinstance(picks, int) or picks < 1:
        raise ConfigurationError(f"picks: {picks!r} is not an integer of at least 1")
    bounded_range = 2 * _not_negative(sensitivity, "sensitivity") / Fraction(scale)
    if require_measure(measure) == "pure":
        return Cost(measure, picks * bounded_range)
    rho = picks * bounded_range**2 / 8
    return Cost(measure, PI_ABOVE * rho if measure == "gdp" else rho)


def laplace_cost(measure: Measure, l1_sensitivity: int | Fraction, scale: Fraction) -> Cost:
    """What (discrete) Laplace noise of ``scale`` costs: epsilon = Delta_1 / scale, in pure DP alone."""
    _positive(scale, "scale")
    if require_measure(measure) != "pure":
        raise ConfigurationError(
            f"Laplace noise is charged in pure differential privacy only: an account of {measure} takes Gaussian noise"
        )
    return Cost(measure, _not_negative(l1_sensitivity, "sensitivity") / Fraction(scale))


def gaussian_sigma(measure: Measure, sensitivity_squared: int | Fraction, price: Fraction) -> Fraction:
    """The smallest binary64 number whose ``gaussian_cost`` is at most ``price``, as its exact value.

    Raises BudgetFormatError where that noise would be below 2^-100 or above 2^60. So do the two below.
    """
    return _smallest(gaussian_cost(measure, sensitivity_squared, _ONE), 2, price)


def exponential_scale(measure: Measure, sensitivity: int | Fraction, price: Fraction, picks: int) -> Fraction:
    """The smallest binary64 number whose ``exponential_cost`` for all picks together is at most ``price``, exact."""
    power = 1 if measure == "pure" else 2
    return _smallest(exponential_cost(measure, sensitivity, _ONE, picks), power, price)


def laplace_scale(measure: Measure, l1_sensitivity: int | Fraction, price: Fraction) -> Fraction:
    """The smallest binary64 number whose ``laplace_cost`` is at most ``price``, as its exact value."""
    return _smallest(laplace_cost(measure, l1_sensitivity, _ONE), 1, price)


def _smallest(at_one: Cost, power: int, price: Fraction) -> Fraction:
    """The smallest binary64 x >= 2^-100 at which a cost that goes as 1 / x^power is at most ``price``, exactly."""
    if price <= 0:
        raise BudgetFormatError("the price of a query must be above zero: the budget is too small for this plan")
    needed = at_one.amount / price
    if needed > COARSEST**power:
        raise BudgetFormatError(
            "the price of a query is so small that its noise would not fit 64-bit integers: ask less, or pay more"
        )
    if needed < FINEST**power:
        raise BudgetFormatError("the price of a query is so large that it would buy no noise: pay less")
    guess = sqrt(needed) if power == 2 else float(needed)
    while Fraction(guess) ** power < needed:
        guess = nextafter(guess, inf)
    while Fraction(below := nextafter(guess, 0.0)) ** power >= needed:
        guess = below
    return Fraction(guess)


def _positive(value: Fraction, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Fraction) or value <= 0:
        raise ConfigurationError(f"{name}: must be an exact number (int or Fraction) above zero")


def _not_negative(value: int | Fraction, name: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Fraction) or value < 0:
        raise ConfigurationError(f"{name}: must be an exact number (int or Fraction) of at least zero")
    return Fraction(value)
