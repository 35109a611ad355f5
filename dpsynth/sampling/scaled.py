"""Numbers of any size in integers: mantissas of 64 bits with powers of two, and rows of them made distributions.

Conditioning multiplies and adds probabilities that may be far below 2^-32. Floating-point sums would differ in their
last bits between processors; these differ nowhere, and each number keeps its 62 leading bits however small it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.sampling.fixed import BLOCK, ONE, largest

_HALF, _LOW = np.uint64(32), np.uint64(ONE - 1)
_TOP = np.uint64(1 << 63)
_BITS = 56
"""Bits of the sum of a row. Eight more are left, so that shares are divided out a byte at a time."""
_NOWHERE = np.int32(-(1 << 30))


@dataclass(frozen=True, eq=False)
class Scaled:
    """Non-negative numbers ``mantissa * 2^exponent``, arrays of one shape.

    ``mantissa`` (uint64) is 0 or at least 2^63; ``exponent`` (int32) means nothing where it is 0.
    """

    mantissa: NDArray[np.uint64]
    exponent: NDArray[np.int32]

    @classmethod
    def of(cls, integers: NDArray[np.uint64]) -> Scaled:
        """Integers as they are, exactly."""
        shift = np.minimum(64 - bits(integers), 63)
        return cls(integers << shift.astype(np.uint64), -shift)

    def __getitem__(self, places: NDArray[np.int64]) -> Scaled:
        return Scaled(self.mantissa[places], self.exponent[places])

    def __mul__(self, other: Scaled) -> Scaled:
        """The product of arrays of one shape, too small by less than one part in 2^62."""
        mantissa, exponent = np.empty_like(self.mantissa), self.exponent + other.exponent
        flat, powers = mantissa.reshape(-1), exponent.reshape(-1)
        left, right = self.mantissa.reshape(-1), other.mantissa.reshape(-1)
        for first in range(0, flat.size, BLOCK):
            block = slice(first, first + BLOCK)
            high = _product(left[block], right[block])
            short = high < _TOP
            flat[block] = high << short.astype(np.uint64)
            powers[block] += 64 - short.astype(np.int32)
        return Scaled(mantissa, exponent)


def bits(integers: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Binary digits of each integer: 0 for 0, n + 1 for 2^n."""
    high = integers >> _HALF
    large = high > 0
    # Either half is below 2^32 and so exact in binary64, whose exponent is the number of digits.
    digits = np.frexp(np.where(large, high, integers).astype(np.float64))[1]
    return np.asarray(digits + 32 * large, dtype=np.int32)


def distributions(weights: Scaled) -> tuple[NDArray[np.uint64], Scaled]:
    """Each row of ``weights`` (shape (rows, cells)) in shares of its sum, and the sums (shape (rows,)).

    Shares are integers that sum to 2^32, rounded by largest remainders (the lowest index first among equals); a row
    without any weight is all 0, as is its sum. Each row is first brought to integers whose sum has at most 56 bits, by
    dropping less than a unit a cell: a sum is too small by less than one part in 2^54 a cell, and a share is off by
    less than 1 + cells * 2^-22 units.
    """
    mantissa, exponent = weights.mantissa, np.where(weights.mantissa > 0, weights.exponent, _NOWHERE)
    highest = exponent.max(axis=1, keepdims=True)
    drop = highest - exponent
    aligned = _shifted(mantissa, drop)
    low, high = (aligned & _LOW).sum(axis=1), (aligned >> _HALF).sum(axis=1)
    high += low >> _HALF
    digits = np.where(high > 0, bits(high) + 32, bits(low))
    more = np.maximum(digits - _BITS, 0)[:, np.newaxis]
    aligned = _shifted(mantissa, drop + more)
    total = aligned.sum(axis=1)
    share, rest = _divided(aligned, np.maximum(total, np.uint64(1))[:, np.newaxis])
    missing = np.where(total > 0, ONE - share.sum(axis=1).view(np.int64), 0)
    share += largest(rest, missing)
    sums = Scaled.of(total)
    scale = np.where(total > 0, (highest + more)[:, 0], 0)
    return share, Scaled(sums.mantissa, sums.exponent + scale)


def _product(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The upper 64 of the 128 bits of the product: ``left * right // 2^64``, exactly."""
    left_high, left_low = left >> _HALF, left & _LOW
    right_high, right_low = right >> _HALF, right & _LOW
    middle = left_low * right_low
    middle >>= _HALF
    middle += left_high * right_low
    other = left_low * right_high
    other += middle & _LOW
    result = left_high * right_high
    result += middle >> _HALF
    result += other >> _HALF
    return result


def _shifted(integers: NDArray[np.uint64], by: NDArray[np.int32]) -> NDArray[np.uint64]:
    """``integers // 2^by``, exactly; ``by`` >= 0 may exceed 63."""
    shifted: NDArray[np.uint64] = integers >> np.minimum(by, 63).astype(np.uint64)
    shifted[by > 63] = 0
    return shifted


def _divided(part: NDArray[np.uint64], whole: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Quotient and remainder of ``part * 2^32 / whole`` for part <= whole < 2^56: long division, a byte at a time."""
    quotient, rest = np.zeros_like(part), part.copy()
    for _ in range(4):
        rest <<= np.uint64(8)
        digit = rest // whole
        rest -= digit * whole
        quotient <<= np.uint64(8)
        quotient += digit
    return quotient, rest
