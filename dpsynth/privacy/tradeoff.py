"""The worst case in words: how well could anyone tell whether one entity is in the table?

zCDP bounds the Rényi divergence of every order alpha > 1, in both directions, by alpha rho. A test that says "present"
with probability x when the entity is absent and y when it is present is a function of the release, so the two-point
distributions (x, 1 - x) and (y, 1 - y) obey the same bounds (data processing). For each alpha and direction that caps
y; every alpha gives a valid cap and the best one is kept. Proof: proofs/privacy/highest_tpr.md.

mu-GDP is itself a curve, that of telling N(0, 1) from N(mu, 1), and so is epsilon-DP, of two straight pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import exp, inf, log, log1p, nextafter, sqrt

from dpsynth.errors import ConfigurationError
from dpsynth.privacy.cost import Cost
from dpsynth.privacy.exact import GRID
from dpsynth.privacy.interval import Interval
from dpsynth.privacy.normal import quantile_of, upper_tail

_DIGITS = 60
_ORDERS = 48
_CERTAIN = 40
"""Phi(40) is 1 to three hundred digits."""
_VACUOUS = 10**4
_GOLDEN = (sqrt(5) - 1) / 2


def highest_tpr(cost: Cost, fpr: Fraction | float) -> float:
    """The highest true-positive rate that any test of one entity's presence can have at false-positive rate ``fpr``.

    An upper bound, rounded up, over the whole curve of the cost's measure (not one epsilon of it): of Gaussian DP
    Phi(Phi^-1(fpr) + mu), of zCDP the best of all orders, of pure DP min(e^epsilon fpr, 1 - e^-epsilon (1 - fpr)). With
    the cost's ``delta`` above 0 it is delta + (1 - delta) TPR(fpr / (1 - delta)). 0 <= ``fpr`` <= 1, read exactly;
    ConfigurationError otherwise.
    """
    x, slack = Fraction(fpr), cost.delta
    if not 0 <= x <= 1:
        raise ConfigurationError("a false-positive rate is between 0 and 1")
    if slack + x >= 1:
        return 1.0
    rate = x / (1 - slack)
    inner = _CURVES[cost.measure](cost.amount, rate) if rate and cost.amount else rate
    return _rounded_up(min(Fraction(1), slack + (1 - slack) * inner))


def _gaussian_power(mu_squared: Fraction, rate: Fraction) -> Fraction:
    """Phi(Phi^-1(rate) + mu) for 0 < rate < 1, from above."""
    mu = Interval.of(mu_squared, _DIGITS).sqrt()
    threshold = quantile_of(rate, _DIGITS) - mu
    return Fraction(1) if threshold.lo < -_CERTAIN else Fraction(upper_tail(threshold).hi)


def _pure_power(epsilon: Fraction, rate: Fraction) -> Fraction:
    """min(e^epsilon rate, 1 - e^-epsilon (1 - rate)) for 0 < rate < 1, from above; 1 for an epsilon beyond words."""
    if epsilon > _VACUOUS:
        return Fraction(1)
    gained = Interval.of(epsilon, _DIGITS).exp() * Interval.of(rate, _DIGITS)
    missed = Interval.of(-epsilon, _DIGITS).exp() * Interval.of(1 - rate, _DIGITS)
    return min(Fraction(gained.hi), 1 - Fraction(missed.lo))


def _cap(rho: Fraction, x: Fraction) -> Fraction:
    """The cap on y at 0 < x < 1 under rho-zCDP, rho > 0, certified."""
    rho = max(rho, Fraction(1, GRID))
    rate, price = float(x), float(min(rho, Fraction(10**6)))
    if rate == 0.0 or rate == 1.0:
        return Fraction(1)
    y, order, forward = min(_best(rate, price, True), _best(rate, price, False))
    slack = 1e-13
    while y < 1.0:
        if _excluded(Fraction(y), x, rho, order, forward):
            return Fraction(y)
        y, slack = y + slack * y, slack * 4
    return Fraction(1)


def _best(rate: float, price: float, forward: bool) -> tuple[float, float, bool]:
    """The order that caps y most, found in floats: (y, alpha, direction)."""
    top = log(100 + 10 * sqrt(-log(rate) / price))
    low, high = log(1e-4), top

    def at(position: float) -> float:
        return _largest(rate, price, 1 + exp(position), forward)

    width = (high - low) / _ORDERS
    positions = [low + i * width for i in range(_ORDERS + 1)]
    middle = min(positions, key=at)
    position = _minimise(at, middle - width, middle + width)
    return at(position), 1 + exp(position), forward


def _minimise(curve: Callable[[float], float], low: float, high: float) -> float:
    """Golden-section search."""
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_a, at_b = curve(a), curve(b)
    for _ in range(30):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - _GOLDEN * (high - low)
            at_a = curve(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + _GOLDEN * (high - low)
            at_b = curve(b)
    return (low + high) / 2


def _largest(rate: float, price: float, alpha: float, forward: bool) -> float:
    """Nearly the largest y >= rate that one order allows (bisection; nothing needs to be certified here)."""
    budget = alpha * (alpha - 1) * price
    low, high = rate, 1.0
    for _ in range(60):
        y = (low + high) / 2
        if y in (low, high):
            break
        p, q = (y, rate) if forward else (rate, y)
        inside = alpha * log(p) + (1 - alpha) * log(q)
        outside = alpha * log1p(-p) + (1 - alpha) * log1p(-q)
        larger = max(inside, outside)
        if larger + log1p(exp(min(inside, outside) - larger)) > budget:
            high = y
        else:
            low = y
    return high


def _excluded(y: Fraction, x: Fraction, rho: Fraction, order: float, forward: bool) -> bool:
    """Whether y > x certainly breaks the bound of this order: then so does every larger y."""
    if not x < y < 1:
        return False
    p, q = (y, x) if forward else (x, y)
    alpha = Interval.of(Decimal(order), _DIGITS)
    one = Interval.of(1, _DIGITS)

    def log_power(a: Fraction, b: Fraction) -> Interval:
        """ln(a^alpha b^(1 - alpha))."""
        return alpha * Interval.of(a, _DIGITS).ln() + (one - alpha) * Interval.of(b, _DIGITS).ln()

    inside, outside = log_power(p, q), log_power(1 - p, 1 - q)
    smaller, larger = sorted((inside, outside), key=lambda term: term.lo)
    divergence = larger + (one + (smaller - larger).exp()).ln()
    return divergence.lo > (alpha * (alpha - one) * Interval.of(rho, _DIGITS)).hi


def _rounded_up(value: Fraction) -> float:
    """The smallest float that is not below ``value`` <= 1."""
    near = float(value)
    return near if Fraction(near) >= value else nextafter(near, inf)


_CURVES = {"gdp": _gaussian_power, "zcdp": _cap, "pure": _pure_power}
