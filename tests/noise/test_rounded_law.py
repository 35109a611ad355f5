"""Fresh draws of the rounded Gaussian follow its law: chi-square tests, each at a level of 1e-6, never seeded, and done
anew where the first rejects.

There are 10 of them: together they fail by chance once in a hundred thousand million runs. That they can fail is tested
too.
"""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from dpsynth.noise import RoundedGaussianNoise
from tests.noise.oracle import probability
from tests.statistical.test_laws_of_noise import departs, frequencies, gaussian_law, in_pairs, rejects

NUMBER = 400_000


def law_of(sigma: Fraction, reach: int) -> NDArray[np.float64]:
    """Probabilities of -reach..reach, ends collecting what lies beyond."""
    law = np.array([float(probability(abs(n), sigma)) for n in range(-reach, reach + 1)])
    law[[0, -1]] += (1 - law.sum()) / 2
    return law


def draws(sigma: Fraction, number: int = NUMBER, centre: int = 0) -> NDArray[np.int64]:
    return RoundedGaussianNoise().noisy(np.full(number, centre, dtype=np.int64), sigma) - centre


@pytest.mark.parametrize("sigma", [0.1875, 0.35, 1.0, 5.7787, 40.0])
def test_it_follows_its_law(sigma: float) -> None:
    reach = int(4.5 * sigma) + 1
    assert not departs(lambda: frequencies(draws(Fraction(sigma)), reach), law_of(Fraction(sigma), reach))


@pytest.mark.parametrize("centre", [-7, 2**53 + 1, -(2**62) - 1])
def test_it_is_the_same_around_every_count(centre: int) -> None:
    assert not departs(lambda: frequencies(draws(Fraction(5, 2), centre=centre), 12), law_of(Fraction(5, 2), 12))


def test_wide_noise_is_normal() -> None:
    def thousandths() -> NDArray[np.int64]:
        return np.bincount((ndtr(draws(Fraction(2**40)) / 2.0**40) * 1000).astype(int), minlength=1000)

    assert not departs(thousandths, np.full(1000, 1e-3))


def test_neighbouring_cells_are_independent() -> None:
    law = law_of(Fraction(3, 4), 1)
    assert not departs(lambda: in_pairs(draws(Fraction(3, 4))), np.outer(law, law).ravel())


def test_other_laws_would_be_noticed() -> None:
    """The discrete Gaussian, another sigma, and a shift of the uniform by a thousandth."""
    sigma = Fraction(3, 4)
    generator = np.random.default_rng(8)
    discrete = generator.choice(np.arange(-8, 9), NUMBER, p=gaussian_law(0.75, 8))
    assert rejects(frequencies(discrete, 4), law_of(sigma, 4))
    assert rejects(frequencies(draws(sigma * Fraction(65, 64)), 4), law_of(sigma, 4))
    shifted = np.rint(0.75 * (generator.normal(size=NUMBER) + 0.02)).astype(np.int64)
    assert rejects(frequencies(shifted, 4), law_of(sigma, 4))
