"""What any pure mechanism, and Laplace noise, cost in Gaussian differential privacy: mu^2, rounded up to the grid.

An account of Gaussian DP charges Gaussian noise and choices by ``cost``; these say what a pure step would be.
"""

from __future__ import annotations

from fractions import Fraction

from dpsynth.errors import ConfigurationError
from dpsynth.privacy.exact import ceil_to_grid
from dpsynth.privacy.interval import Interval
from dpsynth.privacy.normal import quantile

_DIGITS = 60
_LARGEST = 1000


def pure_mu_squared(epsilon: Fraction) -> Fraction:
    """mu^2 of any pure epsilon-DP mechanism, (2 Phi^-1(1/(1 + exp(-epsilon))))^2, rounded up to the grid of 2^-60.

    Above epsilon 1000 it is the bound 8 epsilon. ``epsilon`` >= 0, exact; ConfigurationError otherwise.
    """
    _check(epsilon)
    if epsilon > _LARGEST:
        return ceil_to_grid(Fraction(8 * epsilon))
    one = Interval.of(1, _DIGITS)
    return _two_sided(one / (one + Interval.of(Fraction(epsilon), _DIGITS).exp()))


def laplace_mu_squared(epsilon: Fraction) -> Fraction:
    """mu^2 of continuous Laplace noise, (2 Phi^-1(1 - exp(-epsilon/2)/2))^2, rounded up to the grid of 2^-60.

    ``epsilon`` is the L1 sensitivity over the noise's scale; several numbers may be answered at once. Discrete Laplace
    noise is not of this law: it costs ``pure_mu_squared``. Above epsilon 1000 it is the bound 4 epsilon.
    ``epsilon`` >= 0, exact; ConfigurationError otherwise.
    """
    _check(epsilon)
    if epsilon > _LARGEST:
        return ceil_to_grid(Fraction(4 * epsilon))
    return _two_sided(Interval.of(-Fraction(epsilon) / 2, _DIGITS).exp() / Interval.of(2, _DIGITS))


def _two_sided(tail: Interval) -> Fraction:
    """(2 z)^2 with Phi(-z) = ``tail`` <= 1/2, rounded up to the grid."""
    return ceil_to_grid(4 * max(Fraction(0), Fraction(quantile(tail).hi)) ** 2)


def _check(epsilon: Fraction) -> None:
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | Fraction) or epsilon < 0:
        raise ConfigurationError("epsilon: must be an exact number (int or Fraction) of at least zero")
