"""RoundedGaussianNoise: round(count + sigma Z), Z a real normal, with exactly that law, from bits of the system.

Inversion of a uniform U that is revealed bit by bit (Knuth and Yao 1976; exact normals: Karney 2016, arXiv 1303.6257).
64 bits decide nearly every draw by the table of ``segments``, whose answer is taken only where its proved bound of the
error leaves no doubt; the others are decided by the certified integers of ``normal``, with further bits of the same U
where 64 do not suffice. No step is approximate: the law has no error term.

The noise is an integer made of bits and sigma alone, added to the exact count. Rounding commutes with adding an
integer, so this *is* the rounded sum of count and continuous noise, with no float between.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Law
from dpsynth.noise.arguments import binary64, vector
from dpsynth.noise.choice import choose
from dpsynth.noise.entropy import entropy as _entropy
from dpsynth.noise.normal import upper_tail
from dpsynth.noise.segments import cells, propose

_BLOCK = 1 << 14
"""So many counts are drawn at a time that their words and floats stay in the processor's cache."""
_BITS = 64
"""Random bits are read by the word."""
_GUARD = 32
"""Tails are certified to that many bits beyond the known ones, so that they are rarely what leaves a doubt."""
_LIMITS = np.iinfo(np.int64)


class RoundedGaussianNoise:
    """The Noise of Gaussian DP and of zCDP: the continuous Gaussian, rounded; the exact choice of ``choice``.

    Stateless: every word comes from ``os.urandom`` in the call that uses it, and is used once, so that neither threads
    nor forks can share one.
    """

    law: Law = "rounded_gaussian"

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        """round(count + scale Z) for each count, Z independent; what would leave int64 stays at its limit."""
        vector(counts)
        binary64(scale, "scale")
        exact = Fraction(scale)
        law = cells(exact)
        answer = np.empty(counts.size, dtype=np.int64)
        for start in range(0, counts.size, _BLOCK):
            block = counts[start : start + _BLOCK]
            words = np.frombuffer(_entropy(8 * block.size), dtype=np.uint64)
            noise, sure = propose(words, law)
            answer[start : start + block.size] = _saturated_sum(block, noise)
            for i in np.flatnonzero(~sure).tolist():
                total = int(block[i]) + _decided(int(words[i]), exact, abs(int(noise[i])))
                answer[start + i] = min(max(total, _LIMITS.min), _LIMITS.max)
        return answer

    def exponential(self, scores: NDArray[np.int64], scale: Fraction) -> int:
        """Draw an index by the exponential mechanism; higher scores are likelier."""
        return choose(scores, scale)


class _Size:
    """|Z| for a q = min(U, 1 - U) of which only the first bits are known; the others are drawn when they matter."""

    def __init__(self, v: int) -> None:
        self._known, self._bits = v, _BITS

    def exceeds(self, edge: Fraction) -> bool:
        """Whether |Z| > edge, that is q < Q(edge): exactly, for the one U that the bits will have spelt out."""
        while True:
            low, high = upper_tail(edge, self._bits + _GUARD)
            if (self._known + 1) << _GUARD <= low:
                return True
            if self._known << _GUARD >= high:
                return False
            self._known = self._known << _BITS | int.from_bytes(_entropy(_BITS // 8), "big")
            self._bits += _BITS


def _decided(word: int, sigma: Fraction, guess: int) -> int:
    """round(sigma Z) for the U whose first 64 bits are ``word``, by exact comparisons; ``guess`` only saves some."""
    upper = word >> 63
    size = _Size((1 << 64) - 1 - word if upper else word)

    def above(n: int) -> bool:
        return n < 0 or size.exceeds(Fraction(2 * n + 1, 2) / sigma)

    step = 1
    if above(guess):
        low, high = guess, guess + step
        while above(high):
            step *= 2
            low, high = high, high + step
    else:
        low, high = guess - step, guess
        while not above(low):
            step *= 2
            low, high = low - step, low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return high if upper else -high


def _saturated_sum(counts: NDArray[np.int64], noise: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts plus noise, at the limit of int64 where the sum would leave it (both terms then have the same sign)."""
    total = counts + noise
    left = ((counts ^ total) & (noise ^ total)) < 0
    return np.where(left, np.where(noise < 0, _LIMITS.min, _LIMITS.max), total)
