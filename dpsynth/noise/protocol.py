"""Noise: what the curator needs from a source of secret randomness."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Law


class Noise(Protocol):
    """Draws on exact integers. Every call is independent of every other one.

    ``scale`` is the exact value of a binary64 number between privacy.FINEST and privacy.COARSEST, anything else is a
    ConfigurationError; it is public. Nothing that is raised depends on counts or scores.
    """

    @property
    def law(self) -> Law:
        """The ledger's name of the law that ``noisy`` draws from."""
        ...

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        """``counts`` (a vector) with independent noise of the law on each, as int64 of the same shape.

        ``scale`` is the law's parameter: sigma of a Gaussian, b of Laplace.
        """
        ...

    def exponential(self, scores: NDArray[np.int64], scale: Fraction) -> int:
        """An index into ``scores`` (a vector, not empty), drawn with P proportional to exp(score / scale)."""
        ...
