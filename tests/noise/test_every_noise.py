"""What every source of noise promises: exact on every int64, and refusals that read no value."""

from fractions import Fraction

import numpy as np
import pytest

from dpsynth.errors import ConfigurationError
from dpsynth.noise import LaplaceNoise, Noise, OpenDPNoise, RoundedGaussianNoise
from dpsynth.privacy import COARSEST, FINEST


@pytest.fixture(params=[OpenDPNoise, RoundedGaussianNoise, LaplaceNoise])
def noise(request: pytest.FixtureRequest) -> Noise:
    made: Noise = request.param()
    return made


NONE = Fraction(1, 2**30)
"""A scale at which another value than the count itself has probability below exp(-2^29)."""

LIMITS = np.iinfo(np.int64)
LARGE = np.array(
    [0, 1, -1, 10**8, 10**8 + 1, 2**24 + 1, 2**53, 2**53 + 1, 2**62 + 3, -(2**60) - 7, LIMITS.max, LIMITS.min],
    dtype=np.int64,
)


class TestNoisy:
    def test_is_drawn_on_the_exact_count(self, noise: Noise) -> None:
        drawn = noise.noisy(LARGE, NONE)
        assert drawn.dtype == np.int64
        assert np.array_equal(drawn, LARGE)

    def test_leaves_its_input_alone_and_keeps_the_shape(self, noise: Noise) -> None:
        counts = np.arange(7, dtype=np.int64)
        drawn = noise.noisy(counts, Fraction(1000))
        assert drawn.shape == counts.shape
        assert np.array_equal(counts, np.arange(7))
        assert not np.array_equal(drawn, counts)
        assert noise.noisy(np.empty(0, dtype=np.int64), Fraction(1)).shape == (0,)

    def test_takes_any_layout(self, noise: Noise) -> None:
        counts = np.arange(20, dtype=np.int64)
        counts.flags.writeable = False
        assert np.array_equal(noise.noisy(counts[::-2], NONE), counts[::-2])

    def test_stays_at_the_limits_of_int64_and_never_wraps(self, noise: Noise) -> None:
        ends = np.array([LIMITS.max, LIMITS.min] * 50, dtype=np.int64)
        drawn = noise.noisy(ends, Fraction(10**6))
        assert np.all(np.sign(drawn) == np.sign(ends))
        assert np.any(drawn == LIMITS.max)
        assert np.any(drawn == LIMITS.min)
        assert np.any((drawn != LIMITS.max) & (drawn != LIMITS.min))

    def test_the_coarsest_noise_works(self, noise: Noise) -> None:
        drawn = noise.noisy(np.zeros(200, dtype=np.int64), COARSEST)
        assert 2.0**59 < float(np.std(drawn.astype(float))) < 2.0**61.5

    def test_the_finest_noise_works(self, noise: Noise) -> None:
        assert noise.noisy(np.array([3], dtype=np.int64), FINEST).tolist() == [3]

    def test_two_draws_differ(self, noise: Noise) -> None:
        counts = np.zeros(16, dtype=np.int64)
        assert not np.array_equal(noise.noisy(counts, Fraction(2**40)), noise.noisy(counts, Fraction(2**40)))


class TestExponential:
    @pytest.mark.parametrize("base", [0, 2**40, 2**53, 2**60, LIMITS.max - 1, LIMITS.min])
    def test_scores_are_compared_exactly(self, noise: Noise, base: int) -> None:
        """Beyond 2^53 a float would see two equal scores; here the lower one has probability e^-64."""
        scale = Fraction(1, 64)
        for scores, best in (([base, base + 1], 1), ([base + 1, base], 0)):
            picks = {noise.exponential(np.array(scores, dtype=np.int64), scale) for _ in range(8)}
            assert picks == {best}

    def test_the_whole_range_does_not_overflow(self, noise: Noise) -> None:
        scores = np.array([LIMITS.min, LIMITS.max, 0, LIMITS.min], dtype=np.int64)
        assert {noise.exponential(scores, Fraction(2**40)) for _ in range(8)} == {1}
        assert noise.exponential(scores, FINEST) == 1
        assert noise.exponential(scores, COARSEST) in range(4)

    def test_one_candidate_is_picked(self, noise: Noise) -> None:
        pick = noise.exponential(np.array([-5], dtype=np.int64), Fraction(1))
        assert pick == 0
        assert type(pick) is int

    def test_no_candidate_is_refused(self, noise: Noise) -> None:
        with pytest.raises(ConfigurationError, match="at least one candidate"):
            noise.exponential(np.empty(0, dtype=np.int64), Fraction(1))


@pytest.mark.parametrize(
    "scale",
    [0, Fraction(0), Fraction(-1), 1.0, True, "1", None, Fraction(1, 3), FINEST / 2, COARSEST * 2, 2**53 + 1, 10**6000],
    ids=range(12),
)
def test_a_scale_that_was_not_calibrated_is_refused(noise: Noise, scale: Fraction) -> None:
    with pytest.raises(ConfigurationError, match=r"^scale"):
        noise.noisy(np.array([1], dtype=np.int64), scale)
    with pytest.raises(ConfigurationError, match=r"^scale"):
        noise.exponential(np.array([1], dtype=np.int64), scale)


@pytest.mark.parametrize(
    "values",
    [[1, 2], np.array([1, 2], np.int32), np.array([1.0]), np.array([[1]]), np.array(1), np.array([1], ">i8")],
)
def test_anything_but_a_vector_of_int64_is_refused(noise: Noise, values: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match="vector of int64"):
        noise.noisy(values, Fraction(1))
    with pytest.raises(ConfigurationError, match="vector of int64"):
        noise.exponential(values, Fraction(1))
