"""From zCDP to (epsilon, delta) and back, certified: what is claimed is never below what was spent.

rho-zCDP gives (epsilon, delta)-DP for every alpha > 1, here alpha = 1 + u, with

    epsilon(u) = rho (1 + u) + (ln(1/delta) - ln(1 + u)) / u - ln((1 + u) / u)

Source: Canonne, Kamath, Steinke 2020, arXiv 2004.00010v3, page 13. Its derivative in u is
rho - (ln(1/delta) - ln(1 + u)) / u^2, so the best u is the one root of rho u^2 + ln(1 + u) = ln(1/delta).
That root is only approximated; every u > 0 gives a valid bound, and the bound at the chosen u is what is rounded
outward. Proofs: proofs/privacy/epsilon_of_rho.md and rho_of_epsilon.md.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy.exact import GRID, floor_to_grid
from dpsynth.privacy.interval import Interval, context

QUOTE = 10**18
"""A converted epsilon is a multiple of 1/QUOTE, so that it has a finite decimal."""

_GUARD = 60
_MOST_STEPS = 200
_SETTLED = Decimal("1e-30")


def epsilon_of_rho(rho: Fraction, delta: Fraction) -> Fraction:
    """The epsilon that ``rho``-zCDP gives at ``delta``, as an upper bound and a multiple of 10^-18.

    Never below the exact infimum over alpha (0 where that is negative) and less than 2^-50 above it. ``rho`` >= 0,
    0 < ``delta`` < 1; BudgetFormatError otherwise.
    """
    _check(delta)
    if rho < 0:
        raise BudgetFormatError("rho: must not be below zero")
    if rho == 0:
        return Fraction(0)
    digits = _digits(rho, delta)
    u = _best_order(rho, delta, digits)
    bound = Fraction((Interval.of(rho, digits) * _alpha(u, digits) + _rest(u, delta, digits)).hi)
    return max(Fraction(0), Fraction(-(-bound * QUOTE // 1), QUOTE))


def rho_of_epsilon(epsilon: Fraction, delta: Fraction) -> Fraction:
    """The largest rho, as a lower bound and a multiple of 2^-60, whose ``epsilon_of_rho`` at ``delta`` <= ``epsilon``.

    0 where not even 2^-60 fits. For a fixed u the bound on epsilon is linear in rho, so every u gives a rho that is
    allowed, and going back and forth between the best u and the rho it allows is Newton's method on a concave curve.
    """
    _check(delta)
    if epsilon <= 0:
        raise BudgetFormatError("epsilon: must be above zero")
    target = Fraction(epsilon * QUOTE // 1, QUOTE)
    if target == 0:
        return Fraction(0)
    digits = _digits(target, delta)
    near = context(digits)
    goal = Interval.of(target, digits)
    root = near.sqrt(_log_inverse(delta, digits).lo)
    half = near.divide(goal.lo, near.add(near.sqrt(near.fma(root, root, goal.lo)), root))
    rho = near.multiply(half, half)
    for _ in range(_MOST_STEPS):
        before = rho
        u = _best_order(Fraction(before), delta, digits)
        rho = ((goal - _rest(u, delta, digits)) / _alpha(u, digits)).lo
        if near.subtract(rho, before) <= _SETTLED:
            break
    result = max(Fraction(0), floor_to_grid(Fraction(rho)))
    while epsilon_of_rho(result, delta) > epsilon:
        result -= Fraction(1, GRID)
    return result


def _check(delta: Fraction) -> None:
    if delta == 0:
        raise BudgetFormatError("delta: 0 needs an account of pure differential privacy; zCDP never gives it")
    if not 0 < delta < 1:
        raise BudgetFormatError("delta: must be between 0 and 1")


def _digits(size: Fraction, delta: Fraction) -> int:
    """Significant digits that leave _GUARD of them behind the point, and as many in ln(1/delta)."""
    near_one = 1 / (1 - delta)
    return _GUARD + len(str(int(size))) + len(str(int(near_one)))


def _log_inverse(delta: Fraction, digits: int) -> Interval:
    """ln(1/delta)."""
    return Interval.of(1 / delta, digits).ln()


def _alpha(u: Decimal, digits: int) -> Interval:
    """The order alpha = 1 + u."""
    return Interval.of(1, digits) + Interval.of(u, digits)


def _rest(u: Decimal, delta: Fraction, digits: int) -> Interval:
    """The part of epsilon(u) without rho: (ln(1/delta) - ln(1 + u)) / u - ln((1 + u) / u)."""
    alpha, order = _alpha(u, digits), Interval.of(u, digits)
    return (_log_inverse(delta, digits) - alpha.ln()) / order - (alpha / order).ln()


def _best_order(rho: Fraction, delta: Fraction, digits: int) -> Decimal:
    """Nearly the root u of rho u^2 + ln(1 + u) = ln(1/delta), for rho > 0. Nothing needs to be certified here.

    Newton's method inside a bracket: the left side is at least ln(1/delta) once one of its terms is, and at most that
    while neither term is above half of it.
    """
    near = context(digits)
    size = near.divide(Decimal(rho.numerator), Decimal(rho.denominator))
    goal = _log_inverse(delta, digits).lo
    half = near.divide(goal, Decimal(2))
    high = min(near.sqrt(near.divide(goal, size)), near.subtract(near.exp(goal), Decimal(1)))
    low = min(near.sqrt(near.divide(half, size)), near.subtract(near.exp(half), Decimal(1)))
    u = high
    for _ in range(_MOST_STEPS):
        alpha = near.add(Decimal(1), u)
        miss = near.subtract(near.fma(near.multiply(size, u), u, near.ln(alpha)), goal)
        if miss > 0:
            high = u
        else:
            low = u
        slope = near.add(near.multiply(Decimal(2), near.multiply(size, u)), near.divide(Decimal(1), alpha))
        step = near.subtract(u, near.divide(miss, slope))
        if not low < step < high:
            step = near.sqrt(near.multiply(low, high))
        moved = near.abs(near.subtract(step, u))
        u = step
        if near.scaleb(moved, Decimal(digits // 2 + 2)) < u:
            break
    return u
