"""What a price buys: the noise of any query, from that of one whose price is known.

The measurer alone knows the sensitivity; it is the same for every table. Square roots and divisions only, which all
processors round alike: a mechanism decides by these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import NoisyMarginal

Floats = NDArray[np.float64]

MEAN_SIZE = 0.7978845608028654
"""E|Z| of a standard normal Z: sqrt(2 / pi)."""


@dataclass(frozen=True)
class Rate:
    """Noise of standard deviation ``sigma`` costs ``price``."""

    sigma: float
    price: float
    laplace: bool

    @classmethod
    def of(cls, answer: NoisyMarginal, price: Fraction) -> Rate:
        """The rate at which an answer of positive scale was bought for a price."""
        return cls(float(answer.sigma), float(price), answer.law == "discrete_laplace")

    def sigmas(self, prices: Floats) -> Floats:
        """The standard deviation that each price buys: as price^(-1/2), for Laplace noise as 1 / price."""
        ratio = self.price / np.asarray(prices, dtype=np.float64)
        return self.sigma * (ratio if self.laplace else np.sqrt(ratio))
