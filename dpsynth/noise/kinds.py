"""Which source of noise an account's measure takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Law
from dpsynth.noise.laplace import LaplaceNoise
from dpsynth.noise.opendp import OpenDPNoise
from dpsynth.noise.protocol import Noise
from dpsynth.noise.rounded import RoundedGaussianNoise
from dpsynth.privacy import Measure, require_measure

Kind = Literal["exact", "opendp"]
"""The engine's own samplers, or OpenDP's reference."""

LAWS: Mapping[Measure, frozenset[Law]] = MappingProxyType(
    {
        "gdp": frozenset({"rounded_gaussian"}),
        "zcdp": frozenset({"rounded_gaussian", "discrete_gaussian"}),
        "pure": frozenset({"discrete_laplace"}),
    }
)
"""The laws that have a proved cost in each measure. The discrete Gaussian has none in Gaussian DP."""


def noise_for(measure: Measure, kind: str = "exact") -> Noise:
    """The noise of an account; ConfigurationError where the kind is unknown or has no cost in the measure."""
    if kind not in get_args(Kind):
        raise ConfigurationError(f"noise {kind!r}: must be 'exact' or 'opendp'")
    if kind == "opendp":
        return permitted(OpenDPNoise(), measure)
    return permitted(LaplaceNoise() if require_measure(measure) == "pure" else RoundedGaussianNoise(), measure)


def permitted(noise: Noise, measure: Measure) -> Noise:
    """The noise itself, if its law has a proved cost in the measure; ConfigurationError otherwise."""
    if noise.law not in LAWS[require_measure(measure)]:
        raise ConfigurationError(
            f"noise of the law {noise.law} is not charged to an account of the measure {measure}: its guarantee is not "
            'of that kind. noise = "opendp" needs an account of the measure "zcdp"; noise = "exact" fits every account'
        )
    return noise
