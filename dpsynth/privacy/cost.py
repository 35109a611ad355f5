"""What a mechanism costs, in exact zero-concentrated differential privacy, and which noise a price buys.

zCDP is that of Bun and Steinke (2016, arXiv 1605.02065): rho adds up, also when queries and noise scales are chosen
from earlier answers (Whitehouse et al. 2023, arXiv 2203.05481), and so does the delta_0 of thresholded steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, nextafter, sqrt

from dpsynth.errors import BudgetFormatError, ConfigurationError

FINEST = Fraction(1, 2**100)
"""The smallest noise scale that is drawn (below it there is no noise to speak of)."""
COARSEST = Fraction(2**60)
"""The largest noise scale that is drawn: 8 times more and noise would no longer fit 64-bit integers."""


@dataclass(frozen=True)
class Cost:
    """An exact price or sum of prices: ``rho`` of zCDP and ``delta``, the sum of the delta_0 of thresholded steps."""

    rho: Fraction
    delta: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        for name in ("rho", "delta"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | Fraction):
                raise TypeError(f"a cost's {name} is a Fraction, not a {type(value).__name__}")
            if value < 0:
                raise ValueError(f"a cost's {name} is never negative")
            object.__setattr__(self, name, Fraction(value))

    @classmethod
    def nothing(cls) -> Cost:
        """The cost of asking nothing; also the start of a sum."""
        return cls(Fraction(0))

    def __add__(self, other: Cost) -> Cost:
        """Sequential, fully adaptive composition: both parts add."""
        return Cost(self.rho + other.rho, self.delta + other.delta)

    def __sub__(self, other: Cost) -> Cost:
        """What is left of a cap; ValueError if ``other`` does not fit."""
        return Cost(self.rho - other.rho, self.delta - other.delta)

    def fits(self, cap: Cost) -> bool:
        """Whether this is at most ``cap`` in both parts, compared exactly."""
        return self.rho <= cap.rho and self.delta <= cap.delta


def gaussian_rho(sensitivity_squared: int | Fraction, sigma: Fraction) -> Fraction:
    """rho of the (discrete) Gaussian: Delta_2^2 / (2 sigma^2).

    Source: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010). ``sigma`` is the law's parameter, above 0.
    """
    _positive(sigma, "sigma")
    return _not_negative(sensitivity_squared, "sensitivity") / (2 * Fraction(sigma) ** 2)


def exponential_rho(sensitivity: int | Fraction, scale: Fraction, picks: int) -> Fraction:
    """rho of ``picks`` draws with P proportional to exp(score / scale): picks * D^2 / (2 scale^2).

    A score moves by at most D, so two scores move apart by at most 2 D: one draw is eps-bounded-range with
    eps = 2 D / scale, hence eps^2/8-zCDP. Source: Cesar, Rogers 2021 (arXiv 2004.07223).
    """
    _positive(scale, "scale")
    if isinstance(picks, bool) or not isinstance(picks, int) or picks < 1:
        raise ConfigurationError(f"picks: {picks!r} is not an integer of at least 1")
    return picks * _not_negative(sensitivity, "sensitivity") ** 2 / (2 * Fraction(scale) ** 2)


def sigma_for(sensitivity_squared: int | Fraction, rho: Fraction) -> Fraction:
    """The smallest binary64 number whose ``gaussian_rho`` is at most ``rho``, as its exact value.

    Raises BudgetFormatError where that noise would be below 2^-100 or above 2^60.
    """
    return _smallest(_not_negative(sensitivity_squared, "sensitivity"), rho)


def scale_for(sensitivity: int | Fraction, rho: Fraction, picks: int) -> Fraction:
    """The smallest binary64 number whose ``exponential_rho`` for all picks together is at most ``rho``, exact.

    Raises BudgetFormatError where that scale would be below 2^-100 or above 2^60.
    """
    unit = exponential_rho(sensitivity, Fraction(1), picks)
    return _smallest(2 * unit, rho)


def _smallest(squared: Fraction, rho: Fraction) -> Fraction:
    """The smallest binary64 x >= 2^-100 with squared / (2 x^2) <= rho, checked exactly on both sides."""
    if rho <= 0:
        raise BudgetFormatError("the price of a query must be above zero: the budget is too small for this plan")
    needed = squared / (2 * rho)
    if needed > COARSEST**2:
        raise BudgetFormatError(
            "the price of a query is so small that its noise would not fit 64-bit integers: ask less, or pay more"
        )
    if needed < FINEST**2:
        raise BudgetFormatError("the price of a query is so large that it would buy no noise: pay less")
    guess = sqrt(needed)
    while Fraction(guess) ** 2 < needed:
        guess = nextafter(guess, inf)
    while Fraction(below := nextafter(guess, 0.0)) ** 2 >= needed:
        guess = below
    return Fraction(guess)


def _positive(value: Fraction, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Fraction) or value <= 0:
        raise ConfigurationError(f"{name}: must be an exact number (int or Fraction) above zero")


def _not_negative(value: int | Fraction, name: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Fraction) or value < 0:
        raise ConfigurationError(f"{name}: must be an exact number (int or Fraction) of at least zero")
    return Fraction(value)
