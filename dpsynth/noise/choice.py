"""The exponential mechanism on exact integer scores, without any error: inversion of a uniform revealed bit by bit.

Candidate i has the weight w_i = exp((score_i - highest) / scale), so that the highest one has the weight 1, and is
chosen where U times the sum of all weights falls between the sums of the weights before it and up to it. 64 bits of U
and enclosures of the weights of some 100 bits decide nearly every draw; where they leave a doubt, more bits of the same
U and narrower enclosures do. No step is approximate: the law has no error term.

Scores and scale are exact, differences of scores are unbounded integers. A weight is the product of the numbers
exp(-2^k / scale) over the binary digits k of the difference; ``privacy.interval`` encloses these, once for a scale, and
the products are integers, rounded down, with a proved bound of what that loses.

Among many candidates nearly every draw is decided sooner: 64 bits of U and weights in binary64, products of rounded
entries of a table, whose answer is taken only where the proved bound of their error leaves no doubt. Nothing but sums
and products of binary64 is used there, which IEEE 754 rounds correctly.
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
_DIGIT = 8
_DIGITS = 1 << _DIGIT
"""Binary64 weights are products over the digits of a gap to the base 256."""
_OFF = 2.0**-53
"""The error of a rounded number between 1/2 and 1, twice."""


def choose(scores: NDArray[np.int64], scale: Fraction) -> int:
    """An index drawn with P exactly proportional to exp(score / scale); ConfigurationError if there is none."""
    vector(scores)
    binary64(scale, "scale")
    if scores.size == 0:
        raise ConfigurationError("a private choice needs at least one candidate")
    exact, known, bits = Fraction(scale), _word(), _BITS
    found = proposed(scores, exact, known)
    if found is not None:
        return found
    values: list[int] = scores.tolist()
    highest = max(values)
    gaps = [highest - value for value in values]
    while True:
        found = decided(weights(gaps, exact, bits + _GUARD + len(gaps).bit_length()), known, bits)
        if found is not None:
            return found
        known, bits = known << _BITS | _word(), bits + _BITS


def _word() -> int:
    """64 fresh bits."""
    return int.from_bytes(_entropy(_BITS // 8), "big")


def proposed(scores: NDArray[np.int64], scale: Fraction, known: int) -> int | None:
    """The index for *every* uniform in [known, known + 1] / 2^64, as far as binary64 can tell; None where it cannot."""
    table = _rounded(scale)
    gaps = scores.max().astype(np.uint64) - scores.astype(np.uint64)  # modulo 2^64, so exact
    near = np.flatnonzero(gaps < table.reach) if table.reach < 2**64 else np.arange(gaps.size)
    left = gaps[near]
    found = np.ones(near.size)
    for part in table.parts:
        found *= part[(left & np.uint64(_DIGITS - 1)).astype(np.intp)]
        left >>= np.uint64(_DIGIT)
    weighed = np.zeros(scores.size)
    weighed[near] = found
    below = np.cumsum(weighed)
    total = float(below[-1])
    off = scores.size * (40 + 8 * total) * _OFF
    at = float(known) * 2.0**-_BITS * total
    index = int(np.searchsorted(below, at + off))
    if index == scores.size or (index and below[index - 1] > at - off):
        return None
    return index


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


@dataclass(frozen=True, eq=False)
class _Rounded:
    """For one scale: below ``reach`` a gap's weight is near the product of ``parts``, an entry of each.

    Entry d of part j, shape (256,), is exp(-d 256^j / scale) to 2^-53. From ``reach`` on a weight is below 2^-64.
    """

    reach: int
    parts: tuple[NDArray[np.float64], ...]


@lru_cache(maxsize=16)
def _rounded(scale: Fraction) -> _Rounded:
    """The table, which is public as the scale is."""
    reach, places = _table(scale, _BITS).reach, _BITS + _GUARD
    digits = -(-(min(reach, 2**64) - 1).bit_length() // _DIGIT)
    parts = []
    for j in range(digits):
        lows = weights([d << _DIGIT * j for d in range(_DIGITS)], scale, places).lows
        parts.append(np.array([low / (1 << places) for low in lows]))
    return _Rounded(reach, tuple(parts))
