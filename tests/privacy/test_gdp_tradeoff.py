"""The curve of Gaussian DP: above the exact power, by no more than rounding, and no test beats it."""

from fractions import Fraction

import mpmath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.privacy import Cost, highest_tpr
from tests.privacy.test_gdp import exact

CONTEXT = mpmath.mp.clone()
CONTEXT.dps = 60


def highest_tpr_of_gdp(mu_squared: Fraction, fpr: Fraction | float, delta0: Fraction = Fraction(0)) -> float:
    return highest_tpr(Cost("gdp", mu_squared, delta0), fpr)


def power(mu: float, fpr: float) -> mpmath.mpf:
    """Phi(Phi^-1(fpr) + mu): by root-finding on erfc, 60 digits."""
    rate, start = CONTEXT.mpf(fpr), CONTEXT.mpf(0)
    for _ in range(400):  # Newton on the logarithm, from the middle
        tail = CONTEXT.erfc(-start / CONTEXT.sqrt(2)) / 2
        density = CONTEXT.exp(-start * start / 2) / CONTEXT.sqrt(2 * CONTEXT.pi)
        step = (CONTEXT.log(tail) - CONTEXT.log(rate)) * tail / density
        start -= step
        if abs(step) < CONTEXT.mpf(10) ** -55:
            break
    return CONTEXT.erfc(-(start + mu) / CONTEXT.sqrt(2)) / 2


@settings(max_examples=60, deadline=None)
@given(st.floats(-6, 1.69), st.floats(-30, -0.31))
@example(1.69, -300.0)
@example(-6.0, -0.31)
def test_is_the_power_of_the_best_test_rounded_up(log_mu: float, log_rate: float) -> None:
    mu, rate = 10**log_mu, 10**log_rate
    cap = highest_tpr_of_gdp(Fraction(mu) ** 2, rate)
    truth = power(mu, rate)
    assert truth <= CONTEXT.mpf(cap) <= truth * (1 + CONTEXT.mpf(2) ** -52)


@pytest.mark.parametrize(("rho", "percent"), [("0.05", (0.277, 2.221, 16.719)), ("0.5", (1.830, 9.236, 38.914))])
def test_figures_lie_below_those_of_zcdp(rho: str, percent: tuple[float, ...]) -> None:
    for rate, figure in zip(("0.001", "0.01", "0.1"), percent, strict=True):
        found = highest_tpr_of_gdp(2 * Fraction(rho), Fraction(rate))
        assert 100 * found == pytest.approx(figure, abs=1e-3)
        assert found < highest_tpr(Cost("zcdp", Fraction(rho)), Fraction(rate))


def test_no_epsilon_and_delta_of_the_same_mu_are_broken_and_one_is_touched() -> None:
    mu_squared, rate = Fraction(1, 4), Fraction(1, 50)
    cap = highest_tpr_of_gdp(mu_squared, rate)
    lines = [
        float(exact(mu_squared, epsilon)) + float(mpmath.exp(float(epsilon))) * float(rate)
        for epsilon in (Fraction(k, 100) for k in range(200))
    ]
    assert cap <= min(lines) * (1 + 1e-12)
    assert min(lines) < cap * 1.0001


def test_rises_with_mu_and_the_rate() -> None:
    by_mu = [highest_tpr_of_gdp(Fraction(k, 10), Fraction(1, 100)) for k in range(12)]
    by_rate = [highest_tpr_of_gdp(Fraction(1, 10), Fraction(k, 12)) for k in range(13)]
    assert by_mu == sorted(by_mu)
    assert by_rate == sorted(by_rate)
    assert by_rate[0] == 0
    assert by_rate[-1] == 1


def test_at_the_ends() -> None:
    assert highest_tpr_of_gdp(Fraction(0), Fraction(1, 4)) == 0.25
    assert highest_tpr_of_gdp(Fraction(10**40), Fraction(1, 10**9)) == 1
    assert 0 < highest_tpr_of_gdp(Fraction(1), Fraction(1, 10**400)) < 1e-300
    assert highest_tpr_of_gdp(Fraction(1), 1 - Fraction(1, 10**400)) == 1


def test_delta0() -> None:
    mu_squared, x, slack = Fraction(1, 5), Fraction(1, 100), Fraction(1, 1000)
    plain = Fraction(highest_tpr_of_gdp(mu_squared, x / (1 - slack)))
    found = highest_tpr_of_gdp(mu_squared, x, slack)
    assert found == pytest.approx(float(slack + (1 - slack) * plain), rel=1e-15)
    assert highest_tpr_of_gdp(mu_squared, x) < found <= highest_tpr_of_gdp(mu_squared, x) + 0.001
    assert highest_tpr_of_gdp(mu_squared, 0, slack) >= 0.001
    assert highest_tpr_of_gdp(mu_squared, x, Fraction(1)) == 1
    assert highest_tpr_of_gdp(mu_squared, Fraction(1, 2), Fraction(1, 2)) == 1
