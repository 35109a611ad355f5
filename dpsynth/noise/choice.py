"""The exponential mechanism on exact integer scores, without any error: inversion of a uniform revealed bit by bit.

Candidate i has the weight w_i = exp((score_i - highest) / scale), so that the highest one has the weight 1, and is
chosen where U times the sum of all weights falls between the sums of the weights before it and up to it. 64 bits of U
and enclosures of the weights of some 100 bits decide nearly every draw; where they leave a doubt, more bits of the same
U and narrower enclosures do. No step is approximate: the law has no error term.

Scores and scale are exact, differences of scores are unbounded integers. A weight is the product of the numbers
exp(-2^k / scale) over the binary digits k of the difference; ``privacy.interval`` encloses these, once for a scale, and
the products are integers, rounded down, with a proved bound of what that loses.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError
from dpsynth.noise.arguments import binary64, vector
from dpsynth.noise.entropy import entropy as _entropy
from dpsynth.privacy.interval import Interval

_BITS = 64
"""Random bits are read by the word."""
_GUARD = 32
"""Weights are enclosed to that many bits beyond the known ones, so that they are rarely what leaves a doubt."""


def choose(scores: NDArray[np.int64], scale: Fraction) -> int:
    """An index drawn with P exactly proportional to exp(score / scale); ConfigurationError if there is none."""
    vector(scores)
    binary64(scale, "scale")
    if scores.size == 0:
        raise ConfigurationError("a private choice needs at least one candidate")
    values: list[int] = scores.tolist()
    highest = max(values)
    gaps = [highest - value for value in values]
    known = bits = 0
    while True:
        known = known << _BITS | int.from_bytes(_entropy(_BITS // 8), "big")
        bits += _BITS
        found = decided(weights(gaps, Fraction(scale), bits + _GUARD + len(gaps).bit_length()), known, bits)
        if found is not None:
            return found


@dataclass(frozen=True)
class Weights:
    """For each candidate ``lows[i] <= w_i 2^places <= highs[i]``."""

    lows: Sequence[int]
    highs: Sequence[int]


def decided(found: Weights, known: int, bits: int) -> int | None:
    """The index for *every* uniform in [known, known + 1] / 2^bits and all weights enclosed; None if there is none."""
    below = list(accumulate(found.lows))
    most = (known + 1) * sum(found.highs)
    index = bisect_left(below, -(-most >> bits), hi=len(below) - 1)
    before = sum(found.highs[:index]) << bits
    return index if before <= known * below[-1] else None


def weights(gaps: Sequence[int], scale: Fraction, places: int) -> Weights:
    """exp(-gap / scale) for each gap >= 0, enclosed in units of 2^-places."""
    table = _table(scale, places)
    lows, highs = [], []
    for gap in gaps:
        low, lost = 0, 1
        if gap < table.reach:
            low, lost = 1 << places, 0
            for factor in table.factors:
                if gap & 1:
                    low = low * factor >> places
                    lost += table.loss
                gap >>= 1
                if not gap:
                    break
        lows.append(low)
        highs.append(low + lost)
    return Weights(lows, highs)


@dataclass(frozen=True)
class _Table:
    """For one scale: below ``reach`` a gap's weight is a product of ``factors``, floors of exp(-2^k / scale) 2^places.

    Each of its multiplications loses less than ``loss``. From ``reach`` on a weight is below 2^-places.
    """

    reach: int
    factors: tuple[int, ...]
    loss: int


@lru_cache(maxsize=16)
def _table(scale: Fraction, places: int) -> _Table:
    """The table, which is public as the scale is."""
    reach = -(-25 * places * scale.numerator // (36 * scale.denominator))  # ln 2 = 0.6931.. < 25/36 = 0.6944..
    digits = places // 3 + 12
    factors, loss = [], 1
    for k in range((reach - 1).bit_length()):
        value = Interval.of(-(2**k) / scale, digits).exp()
        (low, below), (high, above) = value.lo.as_integer_ratio(), value.hi.as_integer_ratio()
        factors.append((low << places) // below)
        loss = max(loss, 1 - (-(high << places) // above) - factors[-1])
    return _Table(reach, tuple(factors), loss)
