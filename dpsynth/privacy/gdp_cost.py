"""What a mechanism costs in Gaussian differential privacy, as mu^2, and which noise a price buys.

mu^2 adds up, also when queries and noise scales are chosen from earlier answers, and the filter is the sum of mu^2
against a cap fixed beforehand (Smith, Thakurta 2022, arXiv 2210.17520; Koskela, Tobaben, Honkela 2023,
arXiv 2209.15596). So does the delta_0 of thresholded steps. Proof: proofs/privacy/gdp_composition.md.
"""

from __future__ import annotations

from fractions import Fraction

from dpsynth.errors import ConfigurationError
from dpsynth.privacy.cost import exponential_rho, gaussian_rho, scale_for, sigma_for
from dpsynth.privacy.exact import ceil_to_grid
from dpsynth.privacy.interval import Interval
from dpsynth.privacy.normal import quantile

PI_ABOVE = Fraction(355, 113)
"""A rational number just above pi."""

_DIGITS = 60
_LARGEST = 1000


def gaussian_mu_squared(sensitivity_squared: int | Fraction, sigma: Fraction) -> Fraction:
    """mu^2 of the Gaussian, also if its answer is rounded: Delta_2^2 / sigma^2.

    Not for the discrete Gaussian, which is zCDP only. Source: Dong, Roth, Su 2022 (arXiv 1905.02383), Theorem 2.7.
    """
    return 2 * gaussian_rho(sensitivity_squared, sigma)


def exponential_mu_squared(sensitivity: int | Fraction, scale: Fraction, picks: int) -> Fraction:
    """mu^2 of ``picks`` draws with P proportional to exp(score / scale): (355/113) picks D^2 / (2 scale^2).

    One draw is eps-bounded-range with eps = 2 D / scale, which is mu-GDP for mu = 2 Phi^-1(1/(1 + exp(-eps/2))), and
    mu^2 <= pi eps^2/8 < 355 eps^2/904 (proofs/privacy/exponential_mu_squared.md).
    """
    return PI_ABOVE * exponential_rho(sensitivity, scale, picks)


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


def sigma_for_mu_squared(sensitivity_squared: int | Fraction, mu_squared: Fraction) -> Fraction:
    """The smallest binary64 number whose ``gaussian_mu_squared`` is at most ``mu_squared``, as its exact value.

    Raises BudgetFormatError where that noise would be below 2^-100 or above 2^60.
    """
    return sigma_for(sensitivity_squared, Fraction(mu_squared) / 2)


def scale_for_mu_squared(sensitivity: int | Fraction, mu_squared: Fraction, picks: int) -> Fraction:
    """The smallest binary64 number whose ``exponential_mu_squared`` for all picks together is at most ``mu_squared``.

    Raises BudgetFormatError where that scale would be below 2^-100 or above 2^60.
    """
    return scale_for(sensitivity, Fraction(mu_squared) / PI_ABOVE, picks)


def _two_sided(tail: Interval) -> Fraction:
    """(2 z)^2 with Phi(-z) = ``tail`` <= 1/2, rounded up to the grid."""
    return ceil_to_grid(4 * max(Fraction(0), Fraction(quantile(tail).hi)) ** 2)


def _check(epsilon: Fraction) -> None:
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | Fraction) or epsilon < 0:
        raise ConfigurationError("epsilon: must be an exact number (int or Fraction) of at least zero")
