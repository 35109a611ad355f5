"""The samplers follow their laws: chi-square tests against exact probabilities, each at a level of 1e-6, done anew
with fresh draws where the first rejects.

Together they fail by chance less than once in ten thousand million runs, were their tails a thousand times as heavy as
those of chi-square even once in ten thousand. That they can fail is tested too.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import chdtri

from dpsynth.noise import LaplaceNoise, OpenDPNoise
from dpsynth.noise import opendp as room
from dpsynth.noise.choice import choose

LEVEL = 1e-6
NOISE = OpenDPNoise()


def rejects(observed: NDArray[np.int64], probabilities: NDArray[np.float64]) -> bool:
    """Pearson's chi-square over cells of at least 10 expected draws; the rest is one cell."""
    expected = probabilities * observed.sum()
    large = expected >= 10
    seen = np.append(observed[large], observed[~large].sum()).astype(float)
    wanted = np.append(expected[large], expected[~large].sum())
    if wanted[-1] < 10:
        seen, wanted = np.append(seen[:-2], seen[-2:].sum()), np.append(wanted[:-2], wanted[-2:].sum())
    statistic = float(((seen - wanted) ** 2 / wanted).sum())
    return statistic > float(chdtri(len(wanted) - 1, LEVEL))


def departs(draw: Callable[[], NDArray[np.int64]], probabilities: NDArray[np.float64]) -> bool:
    """Whether two independent lots of frequencies are both rejected: what follows its law is with the level squared,
    and what does not is rejected by each."""
    return all(rejects(draw(), probabilities) for _ in range(2))


def gaussian_law(sigma: float, reach: int) -> NDArray[np.float64]:
    """Probabilities of -reach..reach, ends collecting what lies beyond."""
    wide = np.arange(-reach - 400, reach + 401)
    weights = np.exp(-(wide**2) / (2 * sigma**2))
    weights /= weights.sum()
    law = weights[400:-400].copy()
    law[0] += weights[:400].sum()
    law[-1] += weights[-400:].sum()
    return np.asarray(law)


def frequencies(noise: NDArray[np.int64], reach: int) -> NDArray[np.int64]:
    return np.bincount(np.clip(noise, -reach, reach) + reach, minlength=2 * reach + 1)


def in_pairs(noise: NDArray[np.int64]) -> NDArray[np.int64]:
    """Frequencies of neighbours, each as -1, 0 or 1."""
    pairs = np.clip(noise.reshape(-1, 2), -1, 1) + 1
    return np.bincount(pairs[:, 0] * 3 + pairs[:, 1], minlength=9)


def draws(sigma: float, number: int, centre: int = 0) -> NDArray[np.int64]:
    return NOISE.noisy(np.full(number, centre, dtype=np.int64), Fraction(sigma)) - centre


class TestDiscreteGaussian:
    @pytest.mark.parametrize("sigma", [0.35, 0.8, 1.0, 1.5, 5.7787, 40.0])
    def test_follows_its_law(self, sigma: float) -> None:
        reach = int(6 * sigma) + 3
        assert not departs(lambda: frequencies(draws(sigma, 15_000), reach), gaussian_law(sigma, reach))

    @pytest.mark.parametrize("centre", [-7, 10**8 + 1, 2**53 + 1, -(2**62) - 1])
    def test_is_the_same_around_every_count(self, centre: int) -> None:
        assert not departs(lambda: frequencies(draws(2.5, 8000, centre), 18), gaussian_law(2.5, 18))

    def test_neighbouring_cells_are_independent(self) -> None:
        law = gaussian_law(0.7, 1)
        assert not departs(lambda: in_pairs(draws(0.7, 20_000)), np.outer(law, law).ravel())

    def test_a_rounded_gaussian_or_another_sigma_would_be_noticed(self) -> None:
        """The laws it is easiest to mistake for it, at the number of draws used above."""
        generator = np.random.default_rng(5)
        rounded = np.rint(generator.normal(0, 0.8, 15_000)).astype(np.int64)
        assert rejects(frequencies(rounded, 7), gaussian_law(0.8, 7))
        assert rejects(frequencies(draws(5.7787 * 1.2, 15_000), 37), gaussian_law(5.7787, 37))
        assert rejects(frequencies(draws(5.7787, 15_000) + 1, 37), gaussian_law(5.7787, 37))


class TestDiscreteLaplace:
    @staticmethod
    def law(scale: float, reach: int) -> NDArray[np.float64]:
        """Probabilities of -reach..reach, ends collecting what lies beyond."""
        ratio = np.exp(-1 / scale)
        law = (1 - ratio) / (1 + ratio) * ratio ** np.abs(np.arange(-reach, reach + 1.0))
        law[[0, -1]] /= 1 - ratio
        return np.asarray(law)

    @pytest.mark.parametrize("scale", [0.35, 1.0, 5.7787, 40.0])
    @pytest.mark.parametrize("centre", [0, 10**8 + 1, 2**53 + 1])
    def test_follows_its_law(self, scale: float, centre: int) -> None:
        reach = int(8 * scale) + 3
        counts = np.full(12_000, centre, dtype=np.int64)

        def drawn() -> NDArray[np.int64]:
            return frequencies(LaplaceNoise().noisy(counts, Fraction(scale)) - centre, reach)

        assert not departs(drawn, self.law(scale, reach))

    def test_another_scale_would_be_noticed(self) -> None:
        drawn = LaplaceNoise().noisy(np.zeros(12_000, dtype=np.int64), Fraction(5.7787 * 1.2))
        assert rejects(frequencies(drawn, 49), self.law(5.7787, 49))


class TestExponential:
    @staticmethod
    def law(scores: Sequence[int], scale: float) -> NDArray[np.float64]:
        weights = np.exp((np.array(scores, dtype=float) - max(scores)) / scale)
        return np.asarray(weights / weights.sum())

    @staticmethod
    def picks(scores: Sequence[int], scale: float, number: int, own: bool = False) -> NDArray[np.int64]:
        """Draws of the engine's own choice, or of OpenDP's measurement, built once because a call takes 1 ms."""
        if own:
            exact, values = Fraction(scale), np.array(scores, dtype=np.int64)
            return np.bincount([choose(values, exact) for _ in range(number)], minlength=len(scores))
        made, vector = room._noisy_max(scale), np.array(scores, dtype=np.int64)
        return np.bincount([room.draw(made, vector) for _ in range(number)], minlength=len(scores))

    def test_the_public_call_follows_its_law(self) -> None:
        scores = np.array([0, 6, 6, 1], dtype=np.int64)

        def drawn() -> NDArray[np.int64]:
            return np.bincount([NOISE.exponential(scores, Fraction(7)) for _ in range(600)], minlength=4)

        assert not departs(drawn, self.law([0, 6, 6, 1], 7.0))

    @pytest.mark.parametrize(
        ("scores", "scale"),
        [
            ((0, 2), 3.0),  # exponents 2/3, 4/5, 6/7: rationals that a wrong division gets wrong
            ((0, 4, 1), 5.0),
            ((0, 6, 6, 1), 7.0),
            ((3, 1, 4, 1, 5, 9, 2, 6), 2.5),
            ((0, 0, 0, 0, 0), 1.0),
            ((-100, 900, 1000), 0.1 * 2**12),
        ],
    )
    @pytest.mark.parametrize("own", [True, False], ids=["own", "OpenDP"])
    def test_follows_its_law(self, scores: Sequence[int], scale: float, own: bool) -> None:
        assert not departs(lambda: self.picks(scores, scale, 4000, own), self.law(scores, scale))

    @pytest.mark.parametrize("own", [True, False], ids=["own", "OpenDP"])
    @pytest.mark.parametrize("base", [2**40, 2**53 + 1, 2**62, -(2**63)])
    def test_large_scores_are_exact(self, base: int, own: bool) -> None:
        scores = [base, base + 1, base + 3]
        assert not departs(lambda: self.picks(scores, 2.0, 4000, own), self.law([0, 1, 3], 2.0))

    def test_permute_and_flip_or_half_the_scale_would_be_noticed(self) -> None:
        scores = (0, 4, 1)
        flipped = np.zeros(3, dtype=np.int64)
        generator = np.random.default_rng(6)
        for _ in range(4000):
            for index in generator.permutation(3):
                if generator.random() < np.exp((scores[index] - 4) / 5.0):
                    flipped[index] += 1
                    break
        assert rejects(flipped, self.law(scores, 5.0))
        assert rejects(self.picks(scores, 2.5, 4000), self.law(scores, 5.0))
        assert rejects(self.picks(scores, 2.5, 4000, own=True), self.law(scores, 5.0))
