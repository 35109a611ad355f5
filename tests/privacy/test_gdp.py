"""Conversions of Gaussian DP against mpmath on the two tails themselves, and against dp-accounting."""

from decimal import ROUND_UP, Decimal, localcontext
from fractions import Fraction
from math import sqrt

import mpmath
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy import GRID
from dpsynth.privacy.conversion import QUOTE, rho_of_epsilon
from dpsynth.privacy.gdp import _delta, _digits, epsilon_of_gdp, mu_squared_of

DELTA = Fraction(1, 10**9)
STEP = Fraction(1, GRID)
CONTEXT = mpmath.mp.clone()
CONTEXT.dps = 200


def power_of_ten(low: float, high: float) -> st.SearchStrategy[Fraction]:
    return st.floats(low, high).map(lambda power: Fraction(Decimal(10) ** Decimal(power)))


def number(value: Fraction) -> mpmath.mpf:
    return CONTEXT.mpf(value.numerator) / value.denominator


def exact(mu_squared: Fraction, epsilon: Fraction) -> mpmath.mpf:
    """Phi(-epsilon/mu + mu/2) - exp(epsilon) Phi(-epsilon/mu - mu/2), as printed: 200 digits, less a dozen."""
    mu, e = CONTEXT.sqrt(number(mu_squared)), number(epsilon)

    def cumulative(x: mpmath.mpf) -> mpmath.mpf:
        return CONTEXT.erfc(-x / CONTEXT.sqrt(2)) / 2

    return cumulative(-e / mu + mu / 2) - CONTEXT.exp(e) * cumulative(-e / mu - mu / 2)


class TestDelta:
    @settings(max_examples=120, deadline=None)
    @given(power_of_ten(-6, 1.7), st.floats(-8, 25))
    @example(Fraction(1), 1.0)
    @example(Fraction(1, 10**6), 30.0)
    @example(Fraction(50), -20.0)
    def test_encloses_the_formula(self, mu: Fraction, a: float) -> None:
        epsilon = mu * Fraction(a) + mu * mu / 2
        assume(epsilon >= 0)
        truth, (stated, _, _) = exact(mu * mu, epsilon), _delta(mu * mu, epsilon, _digits(mu * mu, Fraction(1, 2)))
        low, high = number(Fraction(stated.lo)), number(Fraction(stated.hi))
        assert low <= truth <= high <= low * (1 + CONTEXT.mpf(10) ** -29)


class TestEpsilon:
    @settings(max_examples=60, deadline=None)
    @given(power_of_ten(-6, 1.69), power_of_ten(-30, -0.302))
    @example(Fraction(50), Fraction(1, 10**30))
    @example(Fraction(1, 10**6), Fraction(1, 10**30))
    @example(Fraction(50), Fraction(1, 2))
    @example(Fraction(20), 1 - Fraction(1, 10**20))
    def test_is_within_two_units_of_the_exact_one(self, mu: Fraction, delta: Fraction) -> None:
        mu_squared = mu * mu
        epsilon = epsilon_of_gdp(mu_squared, delta)
        assert (epsilon * QUOTE).denominator == 1
        assert exact(mu_squared, epsilon) <= number(delta), "below the truth"
        if epsilon > 0:
            assert exact(mu_squared, max(Fraction(0), epsilon - Fraction(2, QUOTE))) > number(delta)

    def test_rises_with_mu_and_falls_with_delta(self) -> None:
        amounts = [epsilon_of_gdp(32 * Fraction(1, 2**k), DELTA) for k in range(0, 50, 5)]
        assert amounts == sorted(amounts, reverse=True)
        deltas = [epsilon_of_gdp(Fraction(1, 30), Fraction(1, 10**k)) for k in range(1, 30, 3)]
        assert deltas == sorted(deltas)

    def test_zero_where_delta_covers_it_all(self) -> None:
        assert epsilon_of_gdp(Fraction(0), Fraction(1, 10**300)) == 0
        assert epsilon_of_gdp(Fraction(1, 10**40), DELTA) == 0
        assert epsilon_of_gdp(Fraction(1), Fraction(1, 2)) == 0

    def test_thresholded_steps_use_their_part_of_delta(self) -> None:
        for spent in (Fraction(1, 10**10), DELTA / 2, DELTA * 999 / 1000):
            assert epsilon_of_gdp(Fraction(1, 30), DELTA, spent) == epsilon_of_gdp(Fraction(1, 30), DELTA - spent)
            assert mu_squared_of(Fraction(1), DELTA, spent) == mu_squared_of(Fraction(1), DELTA - spent)
        assert epsilon_of_gdp(Fraction(1, 30), DELTA, DELTA / 2) > epsilon_of_gdp(Fraction(1, 30), DELTA)


FIGURES = [("0.1", "4.0e-4", "3.967e-4"), ("1", "0.0331", "0.033115"), ("10", "2.365", "2.36507")]


class TestBudget:
    @pytest.mark.parametrize(("epsilon", "research", "digits"), FIGURES)
    def test_figures(self, epsilon: str, research: str, digits: str) -> None:
        found = float(mu_squared_of(Fraction(epsilon), DELTA))
        assert found == pytest.approx(float(research), rel=1e-2)
        assert found == pytest.approx(float(digits), rel=1e-4)

    @pytest.mark.parametrize(
        ("epsilon", "delta", "sigma"),
        [("0.1", "1e-9", 50.210), ("1", "1e-9", 5.4953), ("1", "1e-5", 3.7306), ("10", "1e-9", 0.6502)],
    )
    def test_the_noise_of_one_count(self, epsilon: str, delta: str, sigma: float) -> None:
        assert 1 / sqrt(float(mu_squared_of(Fraction(epsilon), Fraction(delta)))) == pytest.approx(sigma, rel=1e-4)

    @settings(max_examples=40, deadline=None)
    @given(power_of_ten(-6, 3.1), power_of_ten(-30, -0.302))
    @example(Fraction(1, 3), DELTA)
    @example(Fraction(10**30), Fraction(1, 10**12))
    @example(Fraction(10**300), DELTA)
    @example(Fraction(1, 10**8), Fraction(999, 1000))
    @example(Fraction(1, 10**17), Fraction(1, 10**8))
    def test_is_the_largest_on_the_grid(self, epsilon: Fraction, delta: Fraction) -> None:
        found = mu_squared_of(epsilon, delta)
        assert (found * GRID).denominator == 1
        assert epsilon_of_gdp(found, delta) <= epsilon
        assert epsilon_of_gdp(found + STEP, delta) > epsilon

    @pytest.mark.parametrize("epsilon", ["0.1", "1", "10", "100"])
    @pytest.mark.parametrize("delta", ["1e-5", "1e-9", "1e-15"])
    def test_ordinary_budgets_lose_next_to_nothing(self, epsilon: str, delta: str) -> None:
        found = mu_squared_of(Fraction(epsilon), Fraction(delta))
        assert Fraction(epsilon) - epsilon_of_gdp(found, Fraction(delta)) < Fraction(1, 10**15)

    @pytest.mark.parametrize(("epsilon", "gain"), [("0.1", 0.1196), ("1", 0.1058), ("10", 0.0841)])
    def test_buys_more_than_zcdp_at_the_same_budget(self, epsilon: str, gain: float) -> None:
        mu_squared, rho = mu_squared_of(Fraction(epsilon), DELTA), rho_of_epsilon(Fraction(epsilon), DELTA)
        assert float(mu_squared / (2 * rho)) - 1 == pytest.approx(gain, abs=1e-4)

    def test_an_epsilon_below_the_grid_buys_nothing(self) -> None:
        assert mu_squared_of(Fraction(1, 10**10), Fraction(1, 10**12)) == 0

    def test_an_epsilon_below_its_own_grid_buys_what_delta_covers(self) -> None:
        found = mu_squared_of(Fraction(1, 10**300), DELTA)
        assert 0 < found < 2 * 3.1416 * Fraction(1, 10**18)
        assert epsilon_of_gdp(found, DELTA) == 0
        assert epsilon_of_gdp(found + STEP, DELTA) > 0


@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1), Fraction(-1, 2), Fraction(2)])
def test_a_delta_outside_is_refused(delta: Fraction) -> None:
    with pytest.raises(BudgetFormatError, match="delta"):
        epsilon_of_gdp(Fraction(1), delta)
    with pytest.raises(BudgetFormatError, match="delta"):
        mu_squared_of(Fraction(1), delta)


@pytest.mark.parametrize("spent", [DELTA, 2 * DELTA, -DELTA])
def test_thresholded_steps_that_leave_no_delta_are_refused(spent: Fraction) -> None:
    with pytest.raises(BudgetFormatError, match="delta"):
        epsilon_of_gdp(Fraction(1), DELTA, spent)
    with pytest.raises(BudgetFormatError, match="delta"):
        mu_squared_of(Fraction(1), DELTA, spent)


def test_a_negative_amount_is_refused() -> None:
    with pytest.raises(BudgetFormatError, match="mu"):
        epsilon_of_gdp(Fraction(-1), DELTA)
    for epsilon in (Fraction(0), Fraction(-1)):
        with pytest.raises(BudgetFormatError, match="epsilon"):
            mu_squared_of(epsilon, DELTA)


def test_the_ambient_decimal_context_does_not_matter() -> None:
    amount = Fraction(1, 3)
    before = epsilon_of_gdp(amount, DELTA), mu_squared_of(amount, DELTA)
    with localcontext(prec=3, rounding=ROUND_UP, Emax=5, Emin=-5):
        assert (epsilon_of_gdp(amount, DELTA), mu_squared_of(amount, DELTA)) == before


@pytest.mark.parametrize("mu", ["0.01", "0.18197", "0.5", "1", "3", "10"])
@pytest.mark.parametrize("delta", ["1e-5", "1e-9", "1e-12"])
def test_dp_accounting_says_the_same(mu: str, delta: str) -> None:
    from dp_accounting import get_epsilon_gaussian
    from dp_accounting.pld.privacy_loss_mechanism import GaussianPrivacyLoss

    ours = float(epsilon_of_gdp(Fraction(mu) ** 2, Fraction(delta)))
    theirs = get_epsilon_gaussian(1 / float(mu), float(delta))
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)
    back = GaussianPrivacyLoss(1 / float(mu)).get_delta_for_epsilon(ours)
    assert float(back) == pytest.approx(float(delta), rel=1e-6)
