"""Costs in Gaussian DP against every test between neighbours."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, logsumexp, ndtr, ndtri

from dpsynth.privacy import PI_ABOVE, exponential_cost, gaussian_cost
from dpsynth.privacy.normal import pi

EPSILONS = ["0.01", "0.1", "0.5", "1", "2", "4", "8", "16"]


def advantage(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """The smallest mu of two finite laws: the largest Phi^-1(TPR) - Phi^-1(FPR) of the best tests."""
    order = np.argsort(q / p)

    def quantiles(law: NDArray[np.float64]) -> NDArray[np.float64]:
        """Phi^-1 of the cumulated law, from the nearer end."""
        below, above = law[order].cumsum()[:-1], law[order][::-1].cumsum()[::-1][1:]
        return np.where(below < 0.5, ndtri(below), -ndtri(above))

    return float((quantiles(p) - quantiles(q)).max())


class TestExponential:
    @pytest.mark.parametrize(("bound", "scale"), [(1, Fraction(2)), (2, Fraction(3)), (3, Fraction(3, 4))])
    def test_bounds_every_test_between_neighbours(self, bound: int, scale: Fraction) -> None:
        charge = float(exponential_cost("gdp", bound, scale, 1).amount)
        tight = 2 * ndtri(expit(bound / float(scale)))
        worst = 0.0
        for scores in product(range(0, 7, 2), repeat=3):
            log_p = np.array(scores) / float(scale)
            p = np.exp(log_p - logsumexp(log_p))
            for steps in product((-bound, 0, bound), repeat=3):
                log_q = (np.array(scores) + steps) / float(scale)
                worst = max(worst, advantage(p, np.exp(log_q - logsumexp(log_q))))
        assert worst <= tight * (1 + 1e-9)
        assert tight**2 <= charge
        assert worst > 0.8 * tight, "the halved range of monotonic scores would pass too"

    @pytest.mark.parametrize("epsilon", EPSILONS)
    def test_two_points_at_half_the_range_attain_the_maximum(self, epsilon: str) -> None:
        """Every pair of two points with log-ratios t and t - eps, 0 < t < eps, on a fine grid."""
        size = float(epsilon)
        odds = np.linspace(-size - 4, 4, 40_001)
        mu = ndtri(expit(odds + size)) - ndtri(expit(odds))
        tight = 2 * ndtri(expit(size / 2))
        assert mu.max() <= tight * (1 + 1e-12)
        assert odds[mu.argmax()] == pytest.approx(-size / 2, abs=2e-2)
        charge = float(exponential_cost("gdp", 1, 2 / Fraction(epsilon), 1).amount)
        assert charge == pytest.approx(355 * size**2 / 904, rel=1e-14)
        assert tight**2 <= charge
        assert size > 0.1 or charge <= 1.001 * tight**2

    def test_the_function_of_the_proof_is_positive(self) -> None:
        z = np.linspace(1e-3, 8, 20_000)
        density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        assert np.all(4 * density * (2 * ndtr(z) - 1) > z * 4 * ndtr(z) * np.exp(log_ndtr(-z)))

    def test_355_over_113_is_just_above_pi(self) -> None:
        assert 0 < PI_ABOVE - Fraction(pi(40).hi) < Fraction(3, 10**7)


class TestGaussian:
    @pytest.mark.parametrize("sigma", [Fraction(1, 2), Fraction(2), Fraction(9)])
    @pytest.mark.parametrize("moved", [1, 3])
    def test_bounds_the_rounded_law(self, sigma: Fraction, moved: int) -> None:
        reach = int(6 * sigma) + moved
        edges = np.concatenate([[-np.inf], np.arange(-reach, reach) + 0.5, [np.inf]])

        def law(centre: int) -> NDArray[np.float64]:
            z = (edges - centre) / float(sigma)
            return np.asarray(np.where(z[:-1] > 0, ndtr(-z[:-1]) - ndtr(-z[1:]), ndtr(z[1:]) - ndtr(z[:-1])))

        laws = law(0), law(moved)
        worst = max(advantage(laws[0], laws[1]), advantage(laws[1], laws[0]))
        mu = float(gaussian_cost("gdp", moved**2, sigma).amount) ** 0.5
        assert 0.99 * mu < worst <= mu * (1 + 1e-6)
