"""The normal law, certified: Mills' ratio, the upper tail and its inverse as intervals that hold the truth.

All of it comes from Mills' ratio R(x) = Phi(-x) / phi(x), which falls from infinity to 0 and solves R' = x R - 1:

    R(x) = sqrt(pi/2) exp(x^2/2) - sum_k x^(2k+1) / (1 3 5 ... (2k+1))         (Abramowitz, Stegun 26.2.11)
    R(x) = 1/(x + 1/(x + 2/(x + 3/(x + ...)))),  x > 0                         (26.2.14, Laplace)
    R(x) + R(-x) = sqrt(2 pi) exp(x^2/2)

Series and fraction run on integers (numbers times a power of ten), each step rounded outward. Nothing here reads the
ambient decimal context. Proof: proofs/privacy/normal.md.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache

from dpsynth.privacy.interval import Interval, context

_MOST_STEPS = 400
_FIRST_TERMS = 32
_LOOSE = 10**8
"""Widest enclosure of the fraction, in units of its last digit: ten digits more than asked for are carried."""


def mills(x: Interval) -> Interval:
    """Mills' ratio R(x) = Phi(-x) / phi(x), to about ``x.digits`` digits behind the point (not significant ones)."""
    scale = 10**x.digits
    (low, below), (high, above) = x.lo.as_integer_ratio(), x.hi.as_integer_ratio()
    least, _ = _mills(_up(high * scale, above), x.digits)
    _, most = _mills(low * scale // below, x.digits)
    return Interval(
        Interval.of(Fraction(least, scale), x.digits).lo, Interval.of(Fraction(most, scale), x.digits).hi, x.digits
    )


def density(x: Interval) -> Interval:
    """phi(x) = exp(-x^2/2) / sqrt(2 pi)."""
    negative_half = Interval.of(Fraction(-1, 2), x.digits)
    return (negative_half * x * x).exp() / _root_two_pi(x.digits)


def upper_tail(x: Interval) -> Interval:
    """Phi(-x), the probability above x. Relatively precise for x > 0, absolutely for x < 0."""
    return density(x) * mills(x)


def quantile(tail: Interval) -> Interval:
    """The z with Phi(-z) = ``tail``, for 0 < ``tail`` < 1; best for tails below 1/2. ValueError outside.

    Newton's method on the logarithm of the tail only proposes; two tails on either side decide.
    """
    if not 0 < tail.lo <= tail.hi < 1:
        raise ValueError("a quantile needs a probability between 0 and 1")
    digits = tail.digits
    near = context(digits)
    goal, other = near.ln(tail.hi), near.ln(near.subtract(Decimal(1), tail.lo))

    def at(z: Decimal) -> tuple[Decimal, Decimal]:
        ratio = mills(_point(z, digits)).hi
        return near.subtract(goal, near.ln(near.multiply(density(_point(z, digits)).hi, ratio))), near.divide(
            Decimal(1), ratio
        )

    high = near.sqrt(near.multiply(Decimal(-2), goal))
    low = near.minus(near.sqrt(near.multiply(Decimal(-2), other)))
    settled = Decimal(1).scaleb(-digits // 2 - 5, near)
    z = root(at, low, high, high, settled, digits)
    margin = Decimal(1).scaleb(8 - digits, near)
    while True:
        left, right = near.subtract(z, margin), near.add(z, margin)
        if upper_tail(_point(left, digits)).lo >= tail.hi and upper_tail(_point(right, digits)).hi <= tail.lo:
            return Interval(left, right, digits)
        margin = near.multiply(margin, Decimal(10))


def quantile_of(tail: Fraction, digits: int) -> Interval:
    """The z with Phi(-z) = ``tail`` for an exact 0 < ``tail`` < 1, equally good at both ends."""
    if 2 * tail <= 1:
        return quantile(Interval.of(tail, digits))
    return Interval.of(0, digits) - quantile(Interval.of(1 - tail, digits))


def root(
    at: Callable[[Decimal], tuple[Decimal, Decimal]],
    low: Decimal,
    high: Decimal,
    start: Decimal,
    settled: Decimal,
    digits: int,
) -> Decimal:
    """Nearly the root of a rising curve between ``low`` and ``high``; nothing is certified here.

    ``at`` gives height and slope. Newton's method, replaced by halving wherever it leaves the bracket; it ends once a
    Newton step is at most ``settled`` (the next error is of the order of its square).
    """
    near = context(digits)
    x = start
    for _ in range(_MOST_STEPS):
        height, slope = at(x)
        if height > 0:
            high = x
        else:
            low = x
        step = near.subtract(x, near.divide(height, slope)) if slope > 0 else high
        moved = near.abs(near.subtract(step, x))
        if moved <= settled or low == high:
            return min(max(step, low), high)
        x = step if low < step < high else near.divide(near.add(low, high), Decimal(2))
    return x


def pi(digits: int) -> Interval:
    """pi = 16 atan(1/5) - 4 atan(1/239) (Machin), by alternating series whose rest is below its first term left out."""
    scale = 10 ** (digits + 5)
    (low5, high5), (low239, high239) = _arctangent(5, scale), _arctangent(239, scale)
    low, high = 16 * low5 - 4 * high239, 16 * high5 - 4 * low239
    return Interval(Interval.of(Fraction(low, scale), digits).lo, Interval.of(Fraction(high, scale), digits).hi, digits)


def _arctangent(inverse: int, scale: int) -> tuple[int, int]:
    """atan(1/inverse) times ``scale``, enclosed: each of the terms is rounded down, so off by less than 1."""
    power, total, terms = scale // inverse, 0, 0
    while power:
        total += (-1) ** terms * (power // (2 * terms + 1))
        terms += 1
        power = scale // inverse ** (2 * terms + 1)
    return total - terms - 1, total + terms + 1


@cache
def _root_two_pi(digits: int) -> Interval:
    return (Interval.of(2, digits) * pi(digits)).sqrt()


def _point(x: Decimal, digits: int) -> Interval:
    return Interval(x, x, digits)


def _up(top: int, bottom: int) -> int:
    """The quotient of integers (``bottom`` > 0) rounded up."""
    return -(-top // bottom)


def _mills(x: int, places: int) -> tuple[int, int]:
    """R(x / 10^places) times 10^places, enclosed."""
    scale = 10**places
    if x < 0:
        low, high = _mills(-x, places)
        least, most = _bell(x, scale)
        return least - high, most - low
    square = x * x // (scale * scale)
    if 5 * square >= 2 * places:
        shift = 10**10
        low, high = _fraction(x * shift, scale * shift)
    else:
        shift = 10 ** (square // 4 + 10)
        least, most = _bell(x * shift, scale * shift)
        smallest, largest = _series(x * shift, scale * shift)
        low, high = least // 2 - largest, _up(most, 2) - smallest
    return max(0, low // shift), _up(high, shift)


def _bell(x: int, scale: int) -> tuple[int, int]:
    """sqrt(2 pi) exp(x^2/2), enclosed (x and the result in units of 1/scale)."""
    square = Fraction(x * x, 2 * scale * scale)
    digits = len(str(scale)) + int(square) // 2 + 10
    value = Interval.of(square, digits).exp() * _root_two_pi(digits)
    (low, below), (high, above) = value.lo.as_integer_ratio(), value.hi.as_integer_ratio()
    return low * scale // below, _up(high * scale, above)


def _series(x: int, scale: int) -> tuple[int, int]:
    """sum_k x^(2k+1) / (1 3 5 ... (2k+1)) for x >= 0, enclosed (x and the result in units of 1/scale).

    It stops where each further term is at most half the one before, so that all of them are at most the last one.
    """
    square_low, square_high = x * x // scale, _up(x * x, scale)
    low = high = total_low = total_high = x
    odd = 3
    while high > 1 or 2 * square_high > odd * scale:
        low = low * square_low // (odd * scale)
        high = _up(high * square_high, odd * scale)
        total_low, total_high = total_low + low, total_high + high
        odd += 2
    return total_low, total_high + high


def _fraction(x: int, scale: int) -> tuple[int, int]:
    """R(x) = 1/(x + K_1), K_n = n / (x + K_(n+1)) for x > 0, enclosed (x and the result in units of 1/scale).

    Every K_n lies between 0 and n/x, which is where the first of them starts; rounding is outward at each step. The
    number of terms at first is about what the digits of ``scale`` need.
    """
    unit, digits = scale * scale, len(str(scale))
    terms = _FIRST_TERMS + 5 * (digits * scale) ** 2 // (3 * x * x)
    while True:
        low, high = 0, _up((terms + 1) * unit, x)
        for n in range(terms, 0, -1):
            low, high = n * unit // (x + high), _up(n * unit, x + low)
        low, high = unit // (x + high), _up(unit, x + low)
        if high - low <= _LOOSE:
            return low, high
        terms *= 2
