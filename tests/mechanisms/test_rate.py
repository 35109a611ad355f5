from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dpsynth.measurement import TOTAL, NoisyMarginal
from dpsynth.mechanisms.rate import Rate
from dpsynth.privacy import gaussian_cost, laplace_cost


@pytest.mark.parametrize("factor", [Fraction(1, 100), Fraction(1, 3), Fraction(7)])
def test_what_another_price_buys(factor: Fraction) -> None:
    gaussian = NoisyMarginal(TOTAL, np.array(5), Fraction(12), "rounded_gaussian", 1)
    price = gaussian_cost("gdp", 1, gaussian.scale).amount
    sigma = Rate.of(gaussian, price).sigmas(np.array([float(price * factor)]))[0]
    assert float(gaussian_cost("gdp", 1, Fraction(sigma)).amount) == pytest.approx(float(price * factor))
    laplace = NoisyMarginal(TOTAL, np.array(5), Fraction(12), "discrete_laplace", 1)
    price = laplace_cost("pure", 1, laplace.scale).amount
    sigma = Rate.of(laplace, price).sigmas(np.array([float(price * factor)]))[0]
    scale = Fraction(sigma) / (laplace.sigma / laplace.scale)
    assert float(laplace_cost("pure", 1, scale).amount) == pytest.approx(float(price * factor))
