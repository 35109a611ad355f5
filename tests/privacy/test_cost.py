"""Costs against the divergences of the laws themselves, and the noise that a price buys."""

from fractions import Fraction
from itertools import product
from math import inf, log, nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp

from dpsynth.errors import BudgetFormatError, ConfigurationError
from dpsynth.privacy import (
    COARSEST,
    FINEST,
    MEASURES,
    PI_ABOVE,
    UNITS,
    Cost,
    Measure,
    exponential_cost,
    exponential_scale,
    gaussian_cost,
    gaussian_sigma,
    laplace_cost,
    laplace_scale,
)

ORDERS = [1.001, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 40.0]
prices = st.fractions(min_value=Fraction(1, 10**12), max_value=1000, max_denominator=10**15)


def renyi(alpha: float, log_p: NDArray[np.float64], log_q: NDArray[np.float64]) -> float:
    return float(logsumexp(alpha * log_p + (1 - alpha) * log_q)) / (alpha - 1)


def log_gaussian(centre: int, sigma: float) -> NDArray[np.float64]:
    """Log probabilities of the discrete Gaussian on a range that holds all but 1e-300 of it."""
    reach = int(60 * sigma) + 60
    weights = -((np.arange(-reach, reach + 1) - centre) ** 2) / (2 * sigma**2)
    return np.asarray(weights - logsumexp(weights))


class TestGaussian:
    @pytest.mark.parametrize("sigma", [Fraction(1, 2), Fraction(1), Fraction(7, 2), Fraction(20)])
    @pytest.mark.parametrize("moved", [1, 2, 5])
    def test_is_the_divergence_of_the_discrete_law(self, sigma: Fraction, moved: int) -> None:
        p, q = log_gaussian(0, float(sigma)), log_gaussian(moved, float(sigma))
        rho = float(gaussian_cost("zcdp", moved**2, sigma).amount)
        worst = max(renyi(alpha, p, q) / alpha for alpha in ORDERS)
        assert worst <= rho * (1 + 1e-9)
        assert worst >= 0.9 * rho or sigma < 1

    def test_is_exact(self) -> None:
        assert gaussian_cost("zcdp", 2, Fraction(20)) == Cost("zcdp", Fraction(1, 400))
        assert gaussian_cost("gdp", 2, Fraction(20)) == Cost("gdp", Fraction(1, 200))
        assert gaussian_cost("zcdp", 0, Fraction(3)) == Cost.nothing("zcdp")

    def test_is_never_pure(self) -> None:
        for refused in (lambda: gaussian_cost("pure", 1, Fraction(3)), lambda: gaussian_sigma("pure", 1, Fraction(3))):
            with pytest.raises(ConfigurationError, match=r"never pure.*Laplace"):
                refused()

    @pytest.mark.parametrize("sigma", [0, Fraction(-1), 1.5, True, "2"])
    def test_refuses_a_sigma_that_is_none(self, sigma: Fraction) -> None:
        with pytest.raises(ConfigurationError, match="sigma"):
            gaussian_cost("zcdp", 1, sigma)


def log_exponential(scores: tuple[int, ...], scale: float) -> NDArray[np.float64]:
    weights = np.array(scores) / scale
    return np.asarray(weights - logsumexp(weights))


class TestExponential:
    @pytest.mark.parametrize(("bound", "scale"), [(1, Fraction(2)), (2, Fraction(3)), (3, Fraction(3, 4))])
    def test_bounds_every_neighbour_of_small_score_vectors(self, bound: int, scale: Fraction) -> None:
        rho = float(exponential_cost("zcdp", bound, scale, 1).amount)
        epsilon = float(exponential_cost("pure", bound, scale, 1).amount)
        worst = 0.0
        for scores in product(range(3), repeat=3):
            p = log_exponential(scores, float(scale))
            for steps in product((-bound, 0, bound), repeat=3):
                q = log_exponential(tuple(a + b for a, b in zip(scores, steps, strict=True)), float(scale))
                assert np.ptp(p - q) <= epsilon + 1e-12
                assert np.abs(p - q).max() <= epsilon + 1e-12
                worst = max(worst, *(renyi(alpha, p, q) / alpha for alpha in ORDERS))
        assert worst <= rho * (1 + 1e-9)
        assert worst > 0.25 * rho, "the halved cost of monotonic scores would pass too"

    def test_is_exact_and_adds_over_picks(self) -> None:
        for measure, amount in (("zcdp", Fraction(1, 8)), ("gdp", Fraction(355, 904)), ("pure", Fraction(1))):
            assert exponential_cost(measure, 1024, Fraction(2048), 1) == Cost(measure, amount)
            assert exponential_cost(measure, 1024, Fraction(2048), 13) == Cost(measure, 13 * amount)

    @pytest.mark.parametrize("picks", [0, -1, True, 1.0])
    def test_refuses_picks_that_are_none(self, picks: int) -> None:
        with pytest.raises(ConfigurationError, match="picks"):
            exponential_cost("zcdp", 1, Fraction(1), picks)

    def test_refuses_a_negative_sensitivity(self) -> None:
        with pytest.raises(ConfigurationError, match="sensitivity"):
            exponential_cost("zcdp", -1, Fraction(1), 1)


class TestLaplace:
    @pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(3), Fraction(20)])
    @pytest.mark.parametrize("moved", [1, 2, 5])
    def test_is_the_worst_ratio_of_the_discrete_law(self, scale: Fraction, moved: int) -> None:
        """P(x) proportional to exp(-|x|/scale), of two centres."""
        x = np.arange(-400, 401)
        log_p, log_q = -np.abs(x) / float(scale), -np.abs(x - moved) / float(scale)
        epsilon = float(laplace_cost("pure", moved, scale).amount)
        assert np.abs(log_p - log_q).max() == pytest.approx(epsilon)

    @pytest.mark.parametrize("measure", ["gdp", "zcdp"])
    def test_is_charged_in_pure_dp_alone(self, measure: Measure) -> None:
        with pytest.raises(ConfigurationError, match="pure differential privacy only"):
            laplace_cost(measure, 1, Fraction(2))
        with pytest.raises(ConfigurationError, match="pure differential privacy only"):
            laplace_scale(measure, 1, Fraction(2))

    @pytest.mark.parametrize("scale", [0, Fraction(-1), 1.5, True, "2"])
    def test_refuses_a_scale_that_is_none(self, scale: Fraction) -> None:
        with pytest.raises(ConfigurationError, match="scale"):
            laplace_cost("pure", 1, scale)


class TestCalibration:
    @pytest.mark.parametrize("measure", ["gdp", "zcdp"])
    @given(st.integers(1, 10**6), prices)
    def test_sigma_is_the_smallest_float_that_the_price_buys(
        self, measure: Measure, squared: int, price: Fraction
    ) -> None:
        sigma = gaussian_sigma(measure, squared, price)
        assert Fraction(float(sigma)) == sigma
        assert gaussian_cost(measure, squared, sigma).amount <= price
        assert gaussian_cost(measure, squared, Fraction(nextafter(float(sigma), 0))).amount > price

    @pytest.mark.parametrize("measure", MEASURES)
    @given(st.integers(1, 10**4), prices, st.integers(1, 50))
    def test_scale_is_the_smallest_float_that_the_price_buys(
        self, measure: Measure, bound: int, price: Fraction, picks: int
    ) -> None:
        price = price * 10**3  # a pure price goes as 1/scale: it soon buys noise that nothing holds
        scale = exponential_scale(measure, bound, price, picks)
        assert Fraction(float(scale)) == scale
        assert exponential_cost(measure, bound, scale, picks).amount <= price
        assert exponential_cost(measure, bound, Fraction(nextafter(float(scale), 0)), picks).amount > price

    @given(st.integers(1, 10**6), prices)
    def test_laplace_scale_is_the_smallest_float_that_the_price_buys(self, bound: int, price: Fraction) -> None:
        scale = laplace_scale("pure", bound, price)
        assert Fraction(float(scale)) == scale
        assert laplace_cost("pure", bound, scale).amount <= price
        assert laplace_cost("pure", bound, Fraction(nextafter(float(scale), 0))).amount > price

    def test_a_perfect_square_loses_nothing(self) -> None:
        assert gaussian_sigma("zcdp", 2, Fraction(1, 400)) == gaussian_sigma("gdp", 2, Fraction(1, 200)) == 20
        assert exponential_scale("zcdp", 1024, Fraction(13, 8), 13) == 2048
        assert exponential_scale("gdp", 1024, PI_ABOVE * Fraction(13, 8), 13) == 2048
        assert exponential_scale("pure", 1024, Fraction(13), 13) == 2048
        assert laplace_scale("pure", 6, Fraction(1, 8)) == 48

    @pytest.mark.parametrize("price", [Fraction(0), Fraction(-1)])
    def test_no_price_no_noise(self, price: Fraction) -> None:
        for buy in (
            lambda: gaussian_sigma("gdp", 1, price),
            lambda: exponential_scale("pure", 1, price, 1),
            lambda: laplace_scale("pure", 1, price),
        ):
            with pytest.raises(BudgetFormatError, match="above zero"):
                buy()

    def test_noise_beyond_64_bits_or_below_any_is_refused(self) -> None:
        for end in (COARSEST, FINEST):
            assert gaussian_sigma("zcdp", 1, gaussian_cost("zcdp", 1, end).amount) == end
            assert laplace_scale("pure", 1, laplace_cost("pure", 1, end).amount) == end
        with pytest.raises(BudgetFormatError, match="64-bit"):
            gaussian_sigma("gdp", 1, gaussian_cost("gdp", 1, COARSEST * 2).amount)
        with pytest.raises(BudgetFormatError, match="no noise"):
            gaussian_sigma("gdp", 1, gaussian_cost("gdp", 1, FINEST / 2).amount)
        with pytest.raises(BudgetFormatError, match="64-bit"):
            laplace_scale("pure", 1, laplace_cost("pure", 1, COARSEST * 2).amount)
        with pytest.raises(BudgetFormatError, match="no noise"):
            laplace_scale("pure", 1, laplace_cost("pure", 1, FINEST / 2).amount)
        with pytest.raises(BudgetFormatError, match="64-bit"):
            gaussian_sigma("zcdp", 1, Fraction(1, 10**900))


class TestCost:
    def test_adds_and_compares_both_parts_exactly(self) -> None:
        tenth = Cost("gdp", Fraction(1, 10), Fraction(1, 10**9))
        total = sum([tenth] * 10, Cost.nothing("gdp"))
        assert total == Cost("gdp", Fraction(1), Fraction(1, 10**8))
        assert total.fits(Cost("gdp", Fraction(1), Fraction(1, 10**8)))
        assert not total.fits(Cost("gdp", Fraction(1) - Fraction(1, 10**40), Fraction(1)))
        assert not total.fits(Cost("gdp", Fraction(2), Fraction(1, 10**9)))
        assert total - tenth == sum([tenth] * 9, Cost.nothing("gdp"))

    @pytest.mark.parametrize("one", MEASURES)
    @pytest.mark.parametrize("other", MEASURES)
    def test_two_measures_are_neither_added_nor_compared(self, one: Measure, other: Measure) -> None:
        left, right = Cost(one, Fraction(1)), Cost(other, Fraction(1))
        assert (left == right) == (one == other)
        for mix in (lambda: left + right, lambda: left - right, lambda: left.fits(right)):
            if one == other:
                mix()
            else:
                with pytest.raises(ValueError, match=f"{UNITS[one]} and in {UNITS[other]} are neither"):
                    mix()

    def test_gaussian_dp_is_charged_to_zcdp_as_half_and_never_the_reverse(self) -> None:
        spend = Cost("gdp", Fraction(1, 3), Fraction(1, 10**9))
        assert spend.as_zcdp() == Cost("zcdp", Fraction(1, 6), Fraction(1, 10**9))
        assert spend.as_zcdp().as_zcdp() == spend.as_zcdp()
        with pytest.raises(ValueError, match="not charged to an account of zCDP"):
            Cost("pure", Fraction(1)).as_zcdp()

    def test_is_never_negative(self) -> None:
        with pytest.raises(ValueError, match="never negative"):
            Cost("zcdp", Fraction(1)) - Cost("zcdp", Fraction(2))
        with pytest.raises(ValueError, match="never negative"):
            Cost("zcdp", Fraction(1), Fraction(-1))

    def test_a_pure_cost_has_no_delta(self) -> None:
        with pytest.raises(ValueError, match="no delta"):
            Cost("pure", Fraction(1), Fraction(1, 10**9))

    @pytest.mark.parametrize("amount", [0.5, True, "1", None, inf, log(2)])
    def test_is_never_a_float(self, amount: Fraction) -> None:
        with pytest.raises(TypeError):
            Cost("gdp", amount)

    def test_an_unknown_measure_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(ConfigurationError, match=r"measure 'gpd'.*did you mean 'gdp'"):
            Cost("gpd", Fraction(1))  # type: ignore[arg-type]
        for act in (
            lambda: gaussian_cost("rdp", 1, Fraction(1)),  # type: ignore[arg-type]
            lambda: exponential_cost("rdp", 1, Fraction(1), 1),  # type: ignore[arg-type]
            lambda: laplace_cost("rdp", 1, Fraction(1)),  # type: ignore[arg-type]
        ):
            with pytest.raises(ConfigurationError, match="measure 'rdp'"):
                act()
