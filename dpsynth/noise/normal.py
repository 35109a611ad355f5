"""Certified values of the normal law in plain integers: every answer is a pair between which the truth lies.

A number x is held as (low, high) with low <= x 2^bits <= high. What may only shrink is rounded down, what may only grow
is rounded up: that the enclosures hold needs no analysis of errors, their width is a matter of speed alone. There is no
floating point here. Sources: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.5 (the series); Machin 1706
(pi).
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import isqrt

Enclosure = tuple[int, int]

GUARD = 32
"""Bits kept beyond those asked for: they pay for the roundings."""


def upper_tail(edge: Fraction, bits: int) -> Enclosure:
    """P(Z > edge) of a standard normal Z, for ``edge`` >= 0: (low, high) with low <= P 2^bits <= high.

    With b the edge, P = 1/2 - A / sqrt(2 pi), A = sum over k of (-1)^k b^(2k+1) / (2^k k! (2k+1)). The terms grow to
    about exp(b^2 / 2), hence the bits added for b^2. Far out P <= exp(-b^2 / 2) / 2 < 2^-bits, without the series.
    """
    square = edge * edge
    if 18 * square >= 25 * bits:  # exp(-b^2 / 2) = 2^(-0.7213.. b^2), and 18/25 = 0.72
        return 0, 1
    shift = GUARD + int(square * 3 / 4)
    work = bits + shift
    low, high = _series(edge, square, work)
    least, most = _root_two_pi(work)
    half = 1 << (work - 1)
    tail_low, tail_high = half - _ceil(high << work, least), half - (low << work) // most
    return max(0, tail_low) >> shift, _ceil(tail_high, 1 << shift)


def inverse_density(point: Fraction, bits: int) -> Enclosure:
    """1 / phi(point) = sqrt(2 pi) exp(point^2 / 2): (low, high) with low <= it 2^bits <= high."""
    exponent = point * point / 2
    up, down = exponent.numerator, exponent.denominator
    work = bits + GUARD
    low = high = sum_low = sum_high = 1 << work
    k = 0
    while high > 1 or k + 1 < 2 * exponent:
        k += 1
        low, high = low * up // (down * k), _ceil(high * up, down * k)
        sum_low, sum_high = sum_low + low, sum_high + high
    sum_high += high  # each further term is at most half of the one before
    least, most = _root_two_pi(work)
    shift = 2 * work - bits
    return (sum_low * least) >> shift, _ceil(sum_high * most, 1 << shift)


def _series(edge: Fraction, square: Fraction, work: int) -> Enclosure:
    """A of ``upper_tail``: an alternating series, summed until its terms fall and are next to nothing."""
    low, high = _enclose(edge, work)
    square_low, square_high = _enclose(square, work)
    sum_low = sum_high = k = 0
    while high > 2 or square_high >= (2 * k + 2) << work:
        odd = 2 * k + 1
        if k % 2 == 0:
            sum_low, sum_high = sum_low + low // odd, sum_high + _ceil(high, odd)
        else:
            sum_low, sum_high = sum_low - _ceil(high, odd), sum_high - low // odd
        k += 1
        divisor = 2 * k << work
        low, high = low * square_low // divisor, _ceil(high * square_high, divisor)
    return max(0, sum_low - high), sum_high + high


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def _enclose(value: Fraction, bits: int) -> Enclosure:
    """An exact number."""
    scaled = value.numerator << bits
    return scaled // value.denominator, _ceil(scaled, value.denominator)


@lru_cache(maxsize=16)
def _root_two_pi(bits: int) -> Enclosure:
    """sqrt(2 pi), from pi = 16 arctan(1/5) - 4 arctan(1/239)."""
    low5, high5 = _arctan_of_inverse(5, 2 * bits)
    low239, high239 = _arctan_of_inverse(239, 2 * bits)
    return isqrt(2 * (16 * low5 - 4 * high239)), isqrt(2 * (16 * high5 - 4 * low239)) + 1


def _arctan_of_inverse(n: int, bits: int) -> Enclosure:
    """arctan(1/n) = sum over k of (-1)^k / ((2k+1) n^(2k+1)): each floored term is less than 1 too small."""
    total, k, power = 0, 0, (1 << bits) // n
    while power:
        term = power // (2 * k + 1)
        total += -term if k % 2 else term
        power //= n * n
        k += 1
    return total - k - 1, total + k + 1
