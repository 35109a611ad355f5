"""OpenDPNoise: the reference samplers of OpenDP, exact on rationals, fed by the operating system's randomness.

Discrete Gaussian: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), Algorithm 3. Exponential mechanism: under zCDP
OpenDP's ``make_noisy_max`` proposes an index uniformly and accepts it with probability exp((score - highest) / scale),
again and again. Both work on unbounded integers, so any int64 is exact. OpenDP is imported at the first draw.
"""

from __future__ import annotations

import re
from fractions import Fraction
from importlib.metadata import version
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError, DpsynthError
from dpsynth.measurement import Law
from dpsynth.noise.arguments import binary64, vector
from dpsynth.privacy import exponential_cost, gaussian_cost

_SOUND = (0, 14, 2)
"""The first OpenDP whose samplers follow their law: earlier ones divide rationals wrongly (opendp issue 2638)."""

_AGREES = Fraction(1, 2**50)


class Measured(Protocol):
    """An OpenDP measurement on integer vectors."""

    def __call__(self, arg: list[int]) -> int | list[int]:
        """Draw around each number, or an index into the numbers."""
        ...

    def map(self, d_in: int) -> float:
        """What is promised for inputs at this distance, rounded up."""
        ...


class OpenDPNoise:
    """The vetted reference, for zCDP alone. Stateless: each call builds its own measurement, so threads share nothing.

    OpenDP reads OpenSSL's generator for private values: one per thread, under one per process that the operating
    system seeds, and seeds again after a fork.
    """

    law: Law = "discrete_gaussian"

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        """Draw from the discrete Gaussian centred on each count; what would leave int64 stays at its limit."""
        vector(counts)
        drawn = draw(_gaussian(binary64(scale, "scale")), counts)
        return np.array(drawn, dtype=np.int64)

    def exponential(self, scores: NDArray[np.int64], scale: Fraction) -> int:
        """Draw an index by the exponential mechanism; higher scores are likelier."""
        vector(scores)
        if scores.size == 0:
            raise ConfigurationError("a private choice needs at least one candidate")
        return cast(int, draw(_noisy_max(binary64(scale, "scale")), scores))


def _gaussian(sigma: float) -> Measured:
    """OpenDP's discrete Gaussian on integer vectors under the L2 distance."""
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    made = make_gaussian(vector_domain(atom_domain(T="i64")), l2_distance(T="i64"), scale=sigma)
    return agreed(cast(Measured, made), gaussian_cost("zcdp", 1, Fraction(sigma)).amount)


def _noisy_max(scale: float) -> Measured:
    """OpenDP's exponential mechanism: noisy max under zCDP, for scores that may move in opposite directions."""
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_noisy_max
    from opendp.measures import zero_concentrated_divergence
    from opendp.metrics import linf_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    metric = linf_distance(T="i64", monotonic=False)
    made = make_noisy_max(vector_domain(atom_domain(T="i64")), metric, zero_concentrated_divergence(), scale=scale)
    return agreed(cast(Measured, made), exponential_cost("zcdp", 1, Fraction(scale), 1).amount)


def agreed(made: Measured, stated: Fraction) -> Measured:
    """The measurement, if this OpenDP is sound and promises for distance 1 the cost that the ledger states.

    OpenDP rounds its promise up to a float. A difference beyond that would mean that the library now draws from
    another law than the proofs are about: then nothing is drawn.
    """
    installed = version("opendp")
    if tuple(int(part) for part in re.findall("[0-9]+", installed)[:3]) < _SOUND:
        raise DpsynthError(f"OpenDP {installed} has biased samplers: install 0.16 (pip install 'opendp>=0.16')")
    promised = Fraction(made.map(1))
    if not stated <= promised <= stated * (1 + _AGREES):
        raise DpsynthError(f"OpenDP {installed} states another cost than the ledger: install 0.16")
    return made


def draw(made: Measured, values: NDArray[np.int64]) -> int | list[int]:
    """Invoke a measurement; whatever goes wrong in it is told without its message, which could quote a value."""
    try:
        return made(values.tolist())
    except Exception:
        raise DpsynthError("the noise could not be drawn; nothing was answered, and what was charged stays") from None
