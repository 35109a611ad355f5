"""LaplaceNoise: integer Laplace noise for pure epsilon-DP, by OpenDP's exact sampler on rationals.

The discrete Laplace law P(k) ~ exp(-|k| / scale) on the integers (Ghosh, Roughgarden, Sundararajan 2012; Canonne,
Kamath, Steinke 2020, Algorithm 2). OpenDP is imported at the first draw.
"""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Law
from dpsynth.noise.arguments import binary64, vector
from dpsynth.noise.choice import choose
from dpsynth.noise.opendp import Measured, agreed, draw
from dpsynth.privacy import laplace_cost


class LaplaceNoise:
    """The Noise of pure epsilon-DP. Stateless: each call builds its own measurement, so threads share nothing."""

    law: Law = "discrete_laplace"

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        """Draw from the discrete Laplace law centred on each count; what would leave int64 stays at its limit."""
        vector(counts)
        drawn = draw(_laplace(binary64(scale, "scale")), counts)
        return np.array(drawn, dtype=np.int64)

    def exponential(self, scores: NDArray[np.int64], scale: Fraction) -> int:
        """Draw an index by the exponential mechanism; higher scores are likelier."""
        return choose(scores, scale)


def _laplace(scale: float) -> Measured:
    """OpenDP's discrete Laplace on integer vectors under the L1 distance."""
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_laplace
    from opendp.metrics import l1_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    made = make_laplace(vector_domain(atom_domain(T="i64")), l1_distance(T="i64"), scale=scale)
    return agreed(cast(Measured, made), laplace_cost("pure", 1, Fraction(scale)).amount)
