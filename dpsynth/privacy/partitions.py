"""From how many people on a value may be named: the threshold of a noisy count of entities.

A value that one entity alone has is counted once, and named if 1 + round(sigma Z) >= T. That needs sigma Z >= T - 3/2
and has probability q = Phi(-(T - 3/2)/sigma): the half is what rounding adds. Of the k values that one entity may hold
alone none is named with probability (1 - q)^k, which is at least 1 - delta if T >= 3/2 + sigma Phi^-1((1-delta)^(1/k)).

The discrete Gaussian has P(X >= T - 1) <= q, too, wherever T - 3/2 >= sigma: beyond sigma its weights are convex, so
each is at most the integral over the unit around it, and their sum is at least sigma sqrt(2 pi) (Poisson's formula).
Proof: proofs/privacy/threshold.md.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy.interval import Interval
from dpsynth.privacy.normal import quantile

LARGEST = 2**62
"""Largest threshold: counts and their noise are 64-bit integers."""

_GUARD = 40
_HALF_STEP = Fraction(3, 2)


def threshold(sigma: Fraction, most: int, delta: Fraction) -> int:
    """The least noisy count at which a value is named, for noise of scale ``sigma`` > 0, rounded or discrete Gaussian.

    With it an entity of at most ``most`` values shows none that it holds alone, but for a probability of ``delta``.
    The exact bound by certified intervals, rounded up. BudgetFormatError unless 0 < ``delta`` < 1, or where the
    threshold would be no 64-bit number.
    """
    if not 0 < delta < 1:
        raise BudgetFormatError("delta_0: finding values privately takes a part of delta above 0; write a larger delta")
    digits = _GUARD + len(str(int(1 / delta))) + len(str(int(1 / (1 - delta)))) + len(str(most))
    one = Interval.of(1, digits)
    kept = (Interval.of(1 - delta, digits).ln() / Interval.of(most, digits)).exp()
    tail = one - kept  # the same for all values, from below
    reach = max(Fraction(quantile(Interval(tail.lo, tail.lo, digits)).hi), Fraction(1))
    found = ceil(_HALF_STEP + Fraction(sigma) * reach)
    if found > LARGEST:
        raise BudgetFormatError("epsilon: so small that no value is common enough to be found; write a larger one")
    return found
