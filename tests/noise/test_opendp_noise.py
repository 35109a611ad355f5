"""OpenDPNoise: exact on every int64, the cost that is stated, refusals that read no value, no room for a message."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from dpsynth.errors import ConfigurationError, DpsynthError
from dpsynth.noise import Noise, OpenDPNoise
from dpsynth.noise import opendp as room
from dpsynth.privacy import COARSEST, FINEST, exponential_rho, gaussian_rho, scale_for, sigma_for

NOISE: Noise = OpenDPNoise()
NONE = Fraction(1, 2**30)
"""A sigma at which another value than the count itself has probability below exp(-2^59)."""

LIMITS = np.iinfo(np.int64)
LARGE = np.array(
    [0, 1, -1, 10**8, 10**8 + 1, 2**24 + 1, 2**53, 2**53 + 1, 2**62 + 3, -(2**60) - 7, LIMITS.max, LIMITS.min],
    dtype=np.int64,
)


class TestGaussian:
    def test_is_drawn_on_the_exact_count(self) -> None:
        drawn = NOISE.gaussian(LARGE, NONE)
        assert drawn.dtype == np.int64
        assert np.array_equal(drawn, LARGE)

    def test_leaves_its_input_alone_and_keeps_the_shape(self) -> None:
        counts = np.arange(7, dtype=np.int64)
        drawn = NOISE.gaussian(counts, Fraction(1000))
        assert drawn.shape == counts.shape
        assert np.array_equal(counts, np.arange(7))
        assert not np.array_equal(drawn, counts)
        assert NOISE.gaussian(np.empty(0, dtype=np.int64), Fraction(1)).shape == (0,)

    def test_takes_any_layout(self) -> None:
        counts = np.arange(20, dtype=np.int64)
        counts.flags.writeable = False
        assert np.array_equal(NOISE.gaussian(counts[::-2], NONE), counts[::-2])

    def test_stays_at_the_limits_of_int64_and_never_wraps(self) -> None:
        ends = np.array([LIMITS.max, LIMITS.min] * 50, dtype=np.int64)
        drawn = NOISE.gaussian(ends, Fraction(10**6))
        assert np.all(np.sign(drawn) == np.sign(ends))
        assert np.any(drawn == LIMITS.max)
        assert np.any(drawn == LIMITS.min)
        assert np.any((drawn != LIMITS.max) & (drawn != LIMITS.min))

    def test_the_coarsest_noise_works(self) -> None:
        drawn = NOISE.gaussian(np.zeros(200, dtype=np.int64), COARSEST)
        assert 2.0**59 < float(np.std(drawn.astype(float))) < 2.0**61

    def test_the_finest_noise_works(self) -> None:
        assert NOISE.gaussian(np.array([3], dtype=np.int64), FINEST).tolist() == [3]

    def test_two_draws_differ(self) -> None:
        counts = np.zeros(16, dtype=np.int64)
        assert not np.array_equal(NOISE.gaussian(counts, Fraction(2**40)), NOISE.gaussian(counts, Fraction(2**40)))

    def test_the_law_has_the_ledgers_name(self) -> None:
        assert NOISE.law == "discrete_gaussian"


class TestExponential:
    @pytest.mark.parametrize("base", [0, 2**40, 2**53, 2**60, LIMITS.max - 1, LIMITS.min])
    def test_scores_are_compared_exactly(self, base: int) -> None:
        """Beyond 2^53 a float would see two equal scores; here the lower one has probability e^-64."""
        scale = Fraction(1, 64)
        for scores, best in (([base, base + 1], 1), ([base + 1, base], 0)):
            picks = {NOISE.exponential(np.array(scores, dtype=np.int64), scale) for _ in range(8)}
            assert picks == {best}

    def test_the_whole_range_does_not_overflow(self) -> None:
        scores = np.array([LIMITS.min, LIMITS.max, 0, LIMITS.min], dtype=np.int64)
        assert {NOISE.exponential(scores, Fraction(2**40)) for _ in range(8)} == {1}
        assert NOISE.exponential(scores, FINEST) == 1
        assert NOISE.exponential(scores, COARSEST) in range(4)

    def test_one_candidate_is_picked(self) -> None:
        pick = NOISE.exponential(np.array([-5], dtype=np.int64), Fraction(1))
        assert pick == 0
        assert type(pick) is int

    def test_no_candidate_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="at least one candidate"):
            NOISE.exponential(np.empty(0, dtype=np.int64), Fraction(1))


@pytest.mark.parametrize(
    "scale",
    [0, Fraction(0), Fraction(-1), 1.0, True, "1", None, Fraction(1, 3), FINEST / 2, COARSEST * 2, 2**53 + 1, 10**6000],
    ids=range(12),
)
def test_a_scale_that_was_not_calibrated_is_refused(scale: Fraction) -> None:
    with pytest.raises(ConfigurationError, match=r"^sigma"):
        NOISE.gaussian(np.array([1], dtype=np.int64), scale)
    with pytest.raises(ConfigurationError, match=r"^scale"):
        NOISE.exponential(np.array([1], dtype=np.int64), scale)


@pytest.mark.parametrize(
    "values",
    [[1, 2], np.array([1, 2], np.int32), np.array([1.0]), np.array([[1]]), np.array(1), np.array([1], ">i8")],
)
def test_anything_but_a_vector_of_int64_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match="vector of int64"):
        NOISE.gaussian(values, Fraction(1))
    with pytest.raises(ConfigurationError, match="vector of int64"):
        NOISE.exponential(values, Fraction(1))


class TestCostsAgree:
    """OpenDP's own maps against the ledger's costs, over sensitivities and scales."""

    SCALES = (Fraction(1, 2**20), Fraction(5.7787), Fraction(20), Fraction(12345.678), Fraction(2**40))

    @pytest.mark.parametrize("sigma", SCALES, ids=float)
    @pytest.mark.parametrize("moved", [1, 2, 5, 1000])
    def test_gaussian(self, sigma: Fraction, moved: int) -> None:
        theirs, ours = Fraction(room._gaussian(float(sigma)).map(moved)), gaussian_rho(moved**2, sigma)
        assert ours <= theirs <= ours * (1 + Fraction(1, 2**50))

    @pytest.mark.parametrize("scale", SCALES, ids=float)
    @pytest.mark.parametrize("moved", [1, 2, 1024, 2048 * 7])
    def test_exponential(self, scale: Fraction, moved: int) -> None:
        theirs, ours = Fraction(room._noisy_max(float(scale)).map(moved)), exponential_rho(moved, scale, 1)
        assert ours <= theirs <= ours * (1 + Fraction(1, 2**50))

    def test_calibrated_scales_keep_the_price(self) -> None:
        rho = Fraction("0.014973057673588525")
        assert room._gaussian(float(sigma_for(1, rho))).map(1) <= float(rho) * (1 + 2**-50)
        assert room._noisy_max(float(scale_for(1024, rho, 1))).map(1024) <= float(rho) * (1 + 2**-50)


class Fake:
    """A measurement of a library that has changed, or that fails."""

    def __init__(self, rho: float) -> None:
        self.rho = rho

    def map(self, d_in: int) -> float:
        return self.rho

    def __call__(self, arg: list[int]) -> int:
        raise RuntimeError(f"the value was {arg}")


class TestGuards:
    @pytest.mark.parametrize("promised", [0.125, 0.49, 0.51, 2.0])
    def test_a_library_that_promises_something_else_is_not_used(self, promised: float) -> None:
        with pytest.raises(DpsynthError, match="another cost"):
            room._agreed(Fake(promised), Fraction(1, 2))
        assert room._agreed(Fake(0.5), Fraction(1, 2))

    @pytest.mark.parametrize("old", ["0.14.1", "0.14.0", "0.9.2", "0.14.1.dev2"])
    def test_a_library_with_biased_samplers_is_not_used(self, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room, "version", lambda name: old)
        with pytest.raises(DpsynthError, match="biased"):
            NOISE.gaussian(np.array([1], dtype=np.int64), Fraction(1))
        with pytest.raises(DpsynthError, match="biased"):
            NOISE.exponential(np.array([1], dtype=np.int64), Fraction(1))

    def test_a_failure_does_not_quote_a_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room, "_gaussian", lambda sigma: Fake(0.5))
        monkeypatch.setattr(room, "_noisy_max", lambda scale: Fake(0.5))
        canary = np.array([424_242], dtype=np.int64)
        for call in (lambda: NOISE.gaussian(canary, Fraction(1)), lambda: NOISE.exponential(canary, Fraction(1))):
            with pytest.raises(DpsynthError) as caught:
                call()
            assert "424" not in str(caught.value)
            assert caught.value.__suppress_context__
            assert caught.value.__cause__ is None


def test_the_library_is_imported_at_the_first_draw_and_never_its_prelude() -> None:
    program = """
import sys
import numpy as np
from fractions import Fraction
from dpsynth.noise import OpenDPNoise
noise = OpenDPNoise()
assert "opendp" not in sys.modules
noise.exponential(np.array([1, 2]), Fraction(1))
noise.gaussian(np.array([1, 2]), Fraction(1))
assert "opendp.measurements" in sys.modules
assert not {"opendp.prelude", "opendp.extras", "opendp.context", "scipy", "polars"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
