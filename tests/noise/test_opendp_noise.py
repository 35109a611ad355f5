"""OpenDPNoise: the cost that is stated, and no room for a message. What every noise promises: test_every_noise.py."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from dpsynth.errors import DpsynthError
from dpsynth.noise import Noise, OpenDPNoise, laplace
from dpsynth.noise import opendp as room
from dpsynth.privacy import (
    exponential_cost,
    exponential_scale,
    gaussian_cost,
    gaussian_sigma,
    laplace_cost,
    laplace_scale,
)

NOISE: Noise = OpenDPNoise()


def test_the_law_has_the_ledgers_name() -> None:
    assert NOISE.law == "discrete_gaussian"


class TestCostsAgree:
    """OpenDP's own maps against the ledger's costs, over sensitivities and scales."""

    SCALES = (Fraction(1, 2**20), Fraction(5.7787), Fraction(20), Fraction(12345.678), Fraction(2**40))

    @pytest.mark.parametrize("sigma", SCALES, ids=float)
    @pytest.mark.parametrize("moved", [1, 2, 5, 1000])
    def test_gaussian(self, sigma: Fraction, moved: int) -> None:
        theirs, ours = Fraction(room._gaussian(float(sigma)).map(moved)), gaussian_cost("zcdp", moved**2, sigma).amount
        assert ours <= theirs <= ours * (1 + Fraction(1, 2**50))

    @pytest.mark.parametrize("scale", SCALES, ids=float)
    @pytest.mark.parametrize("moved", [1, 2, 1024, 2048 * 7])
    def test_exponential(self, scale: Fraction, moved: int) -> None:
        theirs, ours = (
            Fraction(room._noisy_max(float(scale)).map(moved)),
            exponential_cost("zcdp", moved, scale, 1).amount,
        )
        assert ours <= theirs <= ours * (1 + Fraction(1, 2**50))

    @pytest.mark.parametrize("scale", SCALES, ids=float)
    @pytest.mark.parametrize("moved", [1, 2, 5, 1000])
    def test_laplace(self, scale: Fraction, moved: int) -> None:
        theirs, ours = Fraction(laplace._laplace(float(scale)).map(moved)), laplace_cost("pure", moved, scale).amount
        assert ours <= theirs <= ours * (1 + Fraction(1, 2**50))

    def test_calibrated_scales_keep_the_price(self) -> None:
        rho = Fraction("0.014973057673588525")
        assert room._gaussian(float(gaussian_sigma("zcdp", 1, rho))).map(1) <= float(rho) * (1 + 2**-50)
        assert laplace._laplace(float(laplace_scale("pure", 2, rho))).map(2) <= float(rho) * (1 + 2**-50)
        assert room._noisy_max(float(exponential_scale("zcdp", 1024, rho, 1))).map(1024) <= float(rho) * (1 + 2**-50)


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
            room.agreed(Fake(promised), Fraction(1, 2))
        assert room.agreed(Fake(0.5), Fraction(1, 2))

    @pytest.mark.parametrize("old", ["0.14.1", "0.14.0", "0.9.2", "0.14.1.dev2"])
    def test_a_library_with_biased_samplers_is_not_used(self, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room, "version", lambda name: old)
        with pytest.raises(DpsynthError, match="biased"):
            laplace.LaplaceNoise().noisy(np.array([1], dtype=np.int64), Fraction(1))
        with pytest.raises(DpsynthError, match="biased"):
            NOISE.noisy(np.array([1], dtype=np.int64), Fraction(1))
        with pytest.raises(DpsynthError, match="biased"):
            NOISE.exponential(np.array([1], dtype=np.int64), Fraction(1))

    def test_a_failure_does_not_quote_a_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room, "_gaussian", lambda sigma: Fake(0.5))
        monkeypatch.setattr(room, "_noisy_max", lambda scale: Fake(0.5))
        monkeypatch.setattr(laplace, "_laplace", lambda scale: Fake(1.0))
        canary = np.array([424_242], dtype=np.int64)
        for call in (NOISE.noisy, NOISE.exponential, laplace.LaplaceNoise().noisy):
            with pytest.raises(DpsynthError) as caught:
                call(canary, Fraction(1))
            assert "424" not in str(caught.value)
            assert caught.value.__suppress_context__
            assert caught.value.__cause__ is None


def test_the_library_is_imported_at_the_first_draw_and_never_its_prelude() -> None:
    program = """
import sys
import numpy as np
from fractions import Fraction
from dpsynth.noise import LaplaceNoise, OpenDPNoise, RoundedGaussianNoise, noise_for
noise, own = OpenDPNoise(), noise_for("gdp")
own.exponential(np.array([1, 2]), Fraction(1))
own.noisy(np.array([1, 2]), Fraction(1))
LaplaceNoise().exponential(np.array([1, 2]), Fraction(1))
assert "opendp" not in sys.modules
noise.exponential(np.array([1, 2]), Fraction(1))
noise.noisy(np.array([1, 2]), Fraction(1))
assert "opendp.measurements" in sys.modules
assert not {"opendp.prelude", "opendp.extras", "opendp.context", "scipy", "polars"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
