"""From Gaussian differential privacy to (epsilon, delta) and back, certified: no claim is below what was spent.

A release is mu-GDP if telling two neighbours apart is never easier than telling N(0, 1) from N(mu, 1). Amounts are
mu^2, which add up. With a = epsilon/mu - mu/2, b = a + mu and Mills' ratio R(x) = Phi(-x)/phi(x), mu-GDP is exactly

    delta(epsilon) = Phi(-a) - exp(epsilon) Phi(-b) = phi(a) (R(a) - R(b))

Source: Dong, Roth, Su 2022 (arXiv 1905.02383), Corollary 2.13; the second form is the first, as
phi(a) = exp(epsilon) phi(b). Slopes: d ln delta / d epsilon = -R(b)/(R(a) - R(b)) and
d ln delta / d mu = 1/(R(a) - R(b)). Proofs: proofs/privacy/delta_of_gdp.md, epsilon_of_gdp.md and mu_squared_of.md.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import erfc, exp, log, sqrt

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy.conversion import QUOTE
from dpsynth.privacy.exact import GRID, floor_to_grid
from dpsynth.privacy.interval import Interval, context
from dpsynth.privacy.normal import density, mills, root

_GUARD = 60
_SETTLED = Decimal("1e-24")
_HALVINGS = 60
_LEAST = Fraction(1, 10**12)
"""Below it, and above its inverse, nothing is guessed."""


def epsilon_of_gdp(mu_squared: Fraction, delta: Fraction, delta0: Fraction | int = 0) -> Fraction:
    """The epsilon that mu-GDP gives at ``delta``, as an upper bound and a multiple of 10^-18.

    Never below the exact epsilon (0 where that would be negative) and less than 2 * 10^-18 above it. ``delta0`` is the
    sum of the delta_0 of thresholded steps: they use up their part of ``delta``, the Gaussian has the rest.
    ``mu_squared`` >= 0, 0 <= ``delta0`` < ``delta`` < 1; BudgetFormatError otherwise.
    """
    _check_amount(mu_squared)
    free = _free(delta, delta0)
    if mu_squared == 0:
        return Fraction(0)
    digits = _digits(mu_squared, free)
    near = context(digits)
    mu = Interval.of(mu_squared, digits).sqrt().hi
    high = near.add(near.multiply(mu, _reach(free, digits)), Interval.of(mu_squared / 2, digits).hi)
    goal = Interval.of(free, digits).ln().lo
    start = _guess(mu_squared, free, high)
    if not _LEAST < Fraction(start) < Fraction(high) and _fits(mu_squared, Fraction(0), free):
        return Fraction(0)

    def at(epsilon: Decimal) -> tuple[Decimal, Decimal]:
        delta_here, difference, farther = _parts(mu_squared, Fraction(epsilon), digits)
        return near.subtract(goal, near.ln(delta_here)), near.divide(farther, difference)

    found = Fraction(root(at, Decimal(0), high, start, _SETTLED, digits))
    step = Fraction(1, QUOTE)
    result = Fraction(-(-found * QUOTE // 1), QUOTE)
    while not _fits(mu_squared, result, free):
        result += step
    while _fits(mu_squared, result - step, free):
        result -= step
    return result


def mu_squared_of(epsilon: Fraction, delta: Fraction, delta0: Fraction | int = 0) -> Fraction:
    """The largest multiple of 2^-60 whose ``epsilon_of_gdp`` at ``delta`` and ``delta0`` is at most ``epsilon``.

    0 where not even 2^-60 fits. ``epsilon`` > 0, 0 <= ``delta0`` < ``delta`` < 1; BudgetFormatError otherwise.
    """
    free = _free(delta, delta0)
    if epsilon <= 0:
        raise BudgetFormatError("epsilon: must be above zero")
    target, step = Fraction(epsilon * QUOTE // 1, QUOTE), Fraction(1, GRID)
    if not _fits(step, target, free):
        return Fraction(0)
    low, high = _bracket(target, free)
    digits = _digits(Fraction(high), free)
    near = context(digits)
    goal = Interval.of(free, digits).ln().hi

    def at(amount: Decimal) -> tuple[Decimal, Decimal]:
        delta_here, difference, _ = _parts(Fraction(amount), target, digits)
        slope = near.multiply(near.multiply(Decimal(2), near.sqrt(amount)), difference)
        return near.subtract(near.ln(delta_here), goal), near.divide(Decimal(1), slope)

    result = floor_to_grid(Fraction(root(at, low, high, low, _SETTLED, digits)))
    while _fits(result + step, target, free):
        result += step
    while epsilon_of_gdp(result, free) > epsilon:
        result -= step
    return result


def _check_amount(mu_squared: Fraction) -> None:
    if mu_squared < 0:
        raise BudgetFormatError("mu^2: must not be below zero")


def _free(delta: Fraction, delta0: Fraction | int) -> Fraction:
    """The part of delta that is left to the Gaussian."""
    if delta == 0:
        raise BudgetFormatError("delta: 0 needs an account of pure differential privacy; Gaussian DP never gives it")
    if not 0 < delta < 1:
        raise BudgetFormatError("delta: must be between 0 and 1")
    if delta0 < 0:
        raise BudgetFormatError("delta_0: must not be below zero")
    if delta0 >= delta:
        raise BudgetFormatError("delta: thresholded steps (their delta_0) use all of it; write a larger delta")
    return Fraction(delta) - delta0


def _digits(mu_squared: Fraction, free: Fraction) -> int:
    """Digits that leave _GUARD of them whatever the size of epsilon, the difference R(a) - R(b) and 1 - delta."""
    return _GUARD + sum(len(str(int(size))) for size in (mu_squared, 1 / mu_squared, 1 / (1 - free)))


def _ends(mu_squared: Fraction, epsilon: Fraction, digits: int) -> tuple[Interval, Interval]:
    """a = epsilon/mu - mu/2 and b = epsilon/mu + mu/2."""
    mu = Interval.of(mu_squared, digits).sqrt()
    return Interval.of(epsilon - mu_squared / 2, digits) / mu, Interval.of(epsilon + mu_squared / 2, digits) / mu


def _delta(mu_squared: Fraction, epsilon: Fraction, digits: int) -> tuple[Interval, Interval, Interval]:
    """delta(epsilon), R(a) - R(b) and R(b)."""
    a, b = _ends(mu_squared, epsilon, digits)
    farther = mills(b)
    difference = mills(a) - farther
    return density(a) * difference, difference, farther


def _parts(mu_squared: Fraction, epsilon: Fraction, digits: int) -> tuple[Decimal, Decimal, Decimal]:
    """As ``_delta``, nearly: for slopes and starts, to half the digits of guard, which takes a quarter of the time."""
    delta, difference, farther = _delta(mu_squared, epsilon, digits - _GUARD // 2)
    return delta.hi, difference.hi, farther.hi


def _guess(mu_squared: Fraction, free: Fraction, high: Decimal) -> Decimal:
    """Nearly the epsilon at ``free``, from 0 to ``high``, by halving in binary64: a start, of which nothing is certain.

    It spares Newton's method most of its steps, each of which costs as much as a hundred of these.
    """
    if not _LEAST < mu_squared < 1 / _LEAST:
        return high
    mu, goal, below, above = sqrt(mu_squared), float(free), 0.0, float(high)
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        near, far = middle / mu - mu / 2, middle / mu + mu / 2
        rest = erfc(far / sqrt(2)) / 2
        delta = erfc(near / sqrt(2)) / 2 - (exp(middle + log(rest)) if rest > 0 else 0.0)
        below, above = (middle, above) if delta > goal else (below, middle)
    return min(Decimal(above), high)


def _fits(mu_squared: Fraction, epsilon: Fraction, free: Fraction) -> bool:
    """Whether mu-GDP certainly is (epsilon, free)-DP; no epsilon below zero is ever claimed."""
    if epsilon < 0:
        return False
    digits = _digits(mu_squared, free)
    a, _ = _ends(mu_squared, epsilon, digits)
    if a.hi < _reach(1 - free, digits).copy_negate():
        return False
    delta, _, _ = _delta(mu_squared, epsilon, digits)
    return delta.hi <= Interval.of(free, digits).lo


def _reach(tail: Fraction, digits: int) -> Decimal:
    """sqrt(2 ln(1/tail)): the tail beyond it is below ``tail``, as Phi(-x) <= exp(-x^2/2)."""
    near = context(digits)
    return near.sqrt(near.multiply(Decimal(2), Interval.of(1 / tail, digits).ln().hi))


def _bracket(epsilon: Fraction, free: Fraction) -> tuple[Decimal, Decimal]:
    """Two mu^2 between which delta(epsilon) passes ``free`` (or the grid's first step, if that is more).

    delta <= Phi(-a) <= exp(-a^2/2) for a > 0 and delta >= 1 - exp(-a^2/2) for a < 0 (as b >= -a where epsilon >= 0)
    bound a on both sides, and mu = sqrt(a^2 + 2 epsilon) - a falls with a.
    """
    digits = _digits(max(epsilon, Fraction(1)), free)
    near = context(digits)
    twice = Interval.of(2 * epsilon, digits)
    above, below = _reach(free, digits), _reach(1 - free, digits)
    small = near.divide(twice.lo, near.add(near.sqrt(near.fma(above, above, twice.lo)), above))
    large = near.add(near.sqrt(near.fma(below, below, twice.hi)), below)
    first = near.divide(Decimal(1), Decimal(GRID))
    return max(near.multiply(small, small), first), max(near.multiply(large, large), first)
