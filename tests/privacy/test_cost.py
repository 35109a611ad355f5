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
from dpsynth.privacy import COARSEST, FINEST, Cost, exponential_rho, gaussian_rho, scale_for, sigma_for

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
        rho = float(gaussian_rho(moved**2, sigma))
        worst = max(renyi(alpha, p, q) / alpha for alpha in ORDERS)
        assert worst <= rho * (1 + 1e-9)
        assert worst >= 0.9 * rho or sigma < 1

    def test_is_exact(self) -> None:
        assert gaussian_rho(2, Fraction(20)) == Fraction(1, 400)
        assert gaussian_rho(0, Fraction(3)) == 0

    @pytest.mark.parametrize("sigma", [0, Fraction(-1), 1.5, True, "2"])
    def test_refuses_a_sigma_that_is_none(self, sigma: Fraction) -> None:
        with pytest.raises(ConfigurationError, match="sigma"):
            gaussian_rho(1, sigma)


def log_exponential(scores: tuple[int, ...], scale: float) -> NDArray[np.float64]:
    weights = np.array(scores) / scale
    return np.asarray(weights - logsumexp(weights))


class TestExponential:
    @pytest.mark.parametrize(("bound", "scale"), [(1, Fraction(2)), (2, Fraction(3)), (3, Fraction(3, 4))])
    def test_bounds_every_neighbour_of_small_score_vectors(self, bound: int, scale: Fraction) -> None:
        rho, epsilon = float(exponential_rho(bound, scale, 1)), 2 * bound / float(scale)
        worst = 0.0
        for scores in product(range(3), repeat=3):
            p = log_exponential(scores, float(scale))
            for steps in product((-bound, 0, bound), repeat=3):
                q = log_exponential(tuple(a + b for a, b in zip(scores, steps, strict=True)), float(scale))
                assert np.ptp(p - q) <= epsilon + 1e-12
                worst = max(worst, *(renyi(alpha, p, q) / alpha for alpha in ORDERS))
        assert worst <= rho * (1 + 1e-9)
        assert worst > 0.25 * rho, "the halved cost of monotonic scores would pass too"

    def test_is_exact_and_adds_over_picks(self) -> None:
        assert exponential_rho(1024, Fraction(2048), 1) == Fraction(1, 8)
        assert exponential_rho(1024, Fraction(2048), 13) == Fraction(13, 8)

    @pytest.mark.parametrize("picks", [0, -1, True, 1.0])
    def test_refuses_picks_that_are_none(self, picks: int) -> None:
        with pytest.raises(ConfigurationError, match="picks"):
            exponential_rho(1, Fraction(1), picks)

    def test_refuses_a_negative_sensitivity(self) -> None:
        with pytest.raises(ConfigurationError, match="sensitivity"):
            exponential_rho(-1, Fraction(1), 1)


class TestCalibration:
    @given(st.integers(1, 10**6), prices)
    def test_sigma_is_the_smallest_float_that_the_price_buys(self, squared: int, rho: Fraction) -> None:
        sigma = sigma_for(squared, rho)
        assert Fraction(float(sigma)) == sigma
        assert gaussian_rho(squared, sigma) <= rho
        assert gaussian_rho(squared, Fraction(nextafter(float(sigma), 0))) > rho

    @given(st.integers(1, 10**6), prices, st.integers(1, 50))
    def test_scale_is_the_smallest_float_that_the_price_buys(self, bound: int, rho: Fraction, picks: int) -> None:
        scale = scale_for(bound, rho, picks)
        assert exponential_rho(bound, scale, picks) <= rho
        assert exponential_rho(bound, Fraction(nextafter(float(scale), 0)), picks) > rho

    def test_a_perfect_square_loses_nothing(self) -> None:
        assert sigma_for(2, Fraction(1, 400)) == 20
        assert scale_for(1024, Fraction(13, 8), 13) == 2048

    @pytest.mark.parametrize("rho", [Fraction(0), Fraction(-1)])
    def test_no_price_no_noise(self, rho: Fraction) -> None:
        with pytest.raises(BudgetFormatError, match="above zero"):
            sigma_for(1, rho)

    def test_noise_beyond_64_bits_or_below_any_is_refused(self) -> None:
        assert sigma_for(1, gaussian_rho(1, COARSEST)) == COARSEST
        assert sigma_for(1, gaussian_rho(1, FINEST)) == FINEST
        with pytest.raises(BudgetFormatError, match="64-bit"):
            sigma_for(1, gaussian_rho(1, COARSEST * 2))
        with pytest.raises(BudgetFormatError, match="no noise"):
            sigma_for(1, gaussian_rho(1, FINEST / 2))
        with pytest.raises(BudgetFormatError, match="64-bit"):
            sigma_for(1, Fraction(1, 10**900))


class TestCost:
    def test_adds_and_compares_both_parts_exactly(self) -> None:
        tenth = Cost(Fraction(1, 10), Fraction(1, 10**9))
        total = sum([tenth] * 10, Cost.nothing())
        assert total == Cost(Fraction(1), Fraction(1, 10**8))
        assert total.fits(Cost(Fraction(1), Fraction(1, 10**8)))
        assert not total.fits(Cost(Fraction(1) - Fraction(1, 10**40), Fraction(1)))
        assert not total.fits(Cost(Fraction(2), Fraction(1, 10**9)))
        assert total - tenth == sum([tenth] * 9, Cost.nothing())

    def test_is_never_negative(self) -> None:
        with pytest.raises(ValueError, match="never negative"):
            Cost(Fraction(1)) - Cost(Fraction(2))
        with pytest.raises(ValueError, match="never negative"):
            Cost(Fraction(1), Fraction(-1))

    @pytest.mark.parametrize("rho", [0.5, True, "1", None, inf, log(2)])
    def test_is_never_a_float(self, rho: Fraction) -> None:
        with pytest.raises(TypeError):
            Cost(rho)
