"""What every source of noise refuses, before it draws: each check reads public things alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError
from dpsynth.privacy import COARSEST, FINEST


def binary64(value: Fraction, name: str) -> float:
    """The float that a scale exactly is: what is drawn with is what the ledger states."""
    if isinstance(value, bool) or not isinstance(value, int | Fraction) or not FINEST <= value <= COARSEST:
        raise ConfigurationError(f"{name}: must be an exact number (int or Fraction) from 2^-100 to 2^60")
    if Fraction(float(value)) != value:
        raise ConfigurationError(
            f"{name}: must be exactly a binary64 number; privacy.gaussian_sigma and its like give one"
        )
    return float(value)


def vector(values: NDArray[np.int64]) -> None:
    """Refuse anything but a vector of int64: the type and the number of axes are public, the values are not read."""
    if not isinstance(values, np.ndarray) or values.dtype != np.int64 or values.ndim != 1:
        raise ConfigurationError("noise is drawn on a vector of int64")
