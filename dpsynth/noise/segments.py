"""A table of the normal law that turns 64 random bits into a rounded normal, and knows when it cannot tell.

64 bits u stand for every uniform U of [u, u + 1] / 2^64. By symmetry a draw is a sign and q = min(U, 1 - U), which lies
in [v, v + 1] / 2^64 for v = min(u, 2^64 - 1 - u); its size a solves Q(a) = q, where Q(x) = P(Z > x). Around a centre c
it is a = c + x with

    delta = (Q(c) - q) / phi(c) = integral from 0 to x of exp(-c t - t^2 / 2) dt,

so x' = exp(c x + x^2 / 2), and the k-th derivative of x at delta = 0 is P_k(c), where P_1 = 1 and
P_{k+1}(w) = P_k'(w) + k w P_k(w) (Steinbrecher and Shaw 2008, "Quantile mechanics"). ``normal`` certifies Q(c) 2^64 to
an integer, so that Q(c) - q is an exact difference of integers, and x is small: binary64 gives it to 2^-53 and better.

Nothing but sums, products and conversions of binary64 is used, which IEEE 754 rounds correctly: neither exp nor log nor
a library's quantile is trusted. The bound of the error is proved in proofs/noise/segments.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

from dpsynth.noise.normal import inverse_density, upper_tail

PER_UNIT = 128
"""Centres lie at multiples of 1/128."""
FARTHEST = 5
"""The last centre. Beyond it, once in 1.7 million draws, nothing is proposed as certain."""
DEGREE = 10
"""The Taylor series ends with this power; what it leaves out is below 2^-61."""
OFF = 2.0**-53
"""Bounds the error of x eight times over, but for what the unknown bits of q leave open."""


@dataclass(frozen=True)
class Segments:
    """Entry 0 is the tail, of which nothing is known; entry i > 0 has centre (last - i) / 128, so that v ascends.

    ``edges`` (n - 1,): the first v of entries 1, 2, ...; ``tails`` (n,): floor(2^64 Q(c)); ``gains`` (n,):
    1 / (2^64 phi(c)) rounded; ``series`` (DEGREE, n): the coefficients of delta^1, delta^2, ... rounded.
    """

    edges: NDArray[np.uint64]
    tails: NDArray[np.uint64]
    gains: NDArray[np.float64]
    series: NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """The same for one sigma: sigma c = ``whole`` + ``part``, and how far from an integer an answer may be trusted.

    All (n,). ``near`` is 1/2 less the bound of the error of ``part`` + sigma x; negative where nothing is certain.
    """

    sigma: float
    whole: NDArray[np.int64]
    part: NDArray[np.float64]
    near: NDArray[np.float64]


@cache
def segments() -> Segments:
    """Build the table, which depends on nothing: about 50 ms, once in a process."""
    centres = range(FARTHEST * PER_UNIT, -1, -1)
    points = [Fraction(j, PER_UNIT) for j in centres]
    outer = [_floored_tail(Fraction(FARTHEST * PER_UNIT + 1, PER_UNIT))]
    tails = [_floored_tail(point) for point in points]
    edges = [(below + above) // 2 for below, above in zip(outer + tails[:-1], tails, strict=True)]
    gains = [inverse_density(point, 64)[0] / 2**128 for point in points]
    series = [[_coefficient(k, j) for j in centres] for k in range(1, DEGREE + 1)]
    made = Segments(
        np.array(edges, dtype=np.uint64),
        np.array([0, *tails], dtype=np.uint64),
        np.array([0.0, *gains]),
        np.pad(np.array(series), ((0, 0), (1, 0))),
    )
    for array in (made.edges, made.tails, made.gains, made.series):
        array.flags.writeable = False
    return made


@lru_cache(maxsize=64)
def cells(sigma: Fraction) -> Cells:
    """The table for one sigma, a binary64 number: public, like all that it is made of."""
    table = segments()
    up, down = sigma.numerator, sigma.denominator * PER_UNIT
    ends = [FARTHEST * PER_UNIT, *range(FARTHEST * PER_UNIT, -1, -1)]
    whole = [(2 * up * j + down) // (2 * down) for j in ends]
    part = [(up * j - n * down) / down for j, n in zip(ends, whole, strict=True)]
    near = 0.5 - (float(sigma) * (4 * table.gains + OFF) + 2.0**-40)
    near[0] = -1.0
    made = Cells(float(sigma), np.array(whole, dtype=np.int64), np.array(part), near)
    for array in (made.whole, made.part, made.near):
        array.flags.writeable = False
    return made


def propose(words: NDArray[np.uint64], law: Cells) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each 64 bits round(sigma Z), and whether that is certain for *every* U that begins with these bits."""
    table = segments()
    upper = (words >> np.uint64(63)).astype(np.bool_)
    v = np.minimum(words, ~words)
    entry = np.searchsorted(table.edges, v, side="right")
    # the difference is below 2^63 in size, so that it survives the wrap
    delta = (table.tails[entry] - v).view(np.int64).astype(np.float64)
    delta *= table.gains[entry]
    x = table.series[-1][entry]
    for coefficients in table.series[-2::-1]:
        x *= delta
        x += coefficients[entry]
    x *= delta
    x *= law.sigma
    x += law.part[entry]
    nearest = np.rint(x)
    sure = np.abs(x - nearest) < law.near[entry]
    size = law.whole[entry] + nearest.astype(np.int64)
    return np.where(upper, size, -size), sure


def _floored_tail(point: Fraction) -> int:
    """2^64 Q(point) lies between this and this + 1 + 2^-30 (the enclosure at 96 bits is at most 4 wide)."""
    return upper_tail(point, 96)[0] >> 32


def _coefficient(k: int, j: int) -> float:
    """P_k(j / 128) / k!, rounded to nearest."""
    terms = [factor * j**power * PER_UNIT ** (k - 1 - power) for power, factor in enumerate(_polynomial(k))]
    return float(Fraction(sum(terms), PER_UNIT ** (k - 1) * factorial(k)))


@cache
def _polynomial(k: int) -> tuple[int, ...]:
    """The coefficients of P_k, ascending; its degree is k - 1."""
    if k == 1:
        return (1,)
    before = _polynomial(k - 1)
    grown = [0] * k
    for power, factor in enumerate(before):
        grown[power + 1] += (k - 1) * factor
        if power:
            grown[power - 1] += power * factor
    return tuple(grown)
