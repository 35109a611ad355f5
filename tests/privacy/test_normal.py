"""Mills' ratio, tails and quantiles hold the truth that mpmath gives, and tightly."""

from decimal import Decimal
from fractions import Fraction

import mpmath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.privacy.interval import Interval
from dpsynth.privacy.normal import density, mills, pi, quantile, quantile_of, upper_tail

CONTEXT = mpmath.mp.clone()
CONTEXT.dps = 500


def number(value: Fraction | Decimal) -> mpmath.mpf:
    top, bottom = value.as_integer_ratio()
    return CONTEXT.mpf(top) / bottom


def tail_of(x: mpmath.mpf) -> mpmath.mpf:
    return CONTEXT.erfc(x / CONTEXT.sqrt(2)) / 2


def holds(interval: Interval, truth: mpmath.mpf, width: float) -> None:
    assert number(interval.lo) <= truth <= number(interval.hi)
    assert number(interval.hi) - number(interval.lo) <= width


points = st.one_of(
    st.fractions(-30, 70, max_denominator=10**9), st.floats(-14, 9).map(lambda power: Fraction(10**power))
)


@settings(max_examples=150, deadline=None)
@given(points, st.integers(25, 120))
@example(Fraction(0), 60)
@example(Fraction(27, 5), 70)
@example(Fraction(10**150), 200)
@example(Fraction(-1, 10**9), 80)
def test_mills_and_the_tail(x: Fraction, digits: int) -> None:
    argument = Interval.of(x, digits)
    point = number(x)
    phi = CONTEXT.exp(-point * point / 2) / CONTEXT.sqrt(2 * CONTEXT.pi)
    ratio = tail_of(point) / phi if x < 100 else (1 - 1 / point**2 + 3 / point**4) / point
    unit = CONTEXT.mpf(10) ** -digits
    steep = 1 + point * point
    if x < 100:
        holds(mills(argument), ratio, 50 * unit * steep * max(1, ratio))
        holds(density(argument), phi, 50 * unit * steep * phi)
        holds(upper_tail(argument), tail_of(point), 50 * unit * steep)
    else:
        found = mills(argument)
        assert number(found.hi) - number(found.lo) <= 2 * unit
        assert number(found.lo) <= 1 / point
        assert number(found.hi) >= 1 / point - 1 / point**3


@settings(max_examples=60, deadline=None)
@given(st.floats(-300, -0.302), st.integers(30, 90))
@example(-0.30102999566398114, 60)
def test_the_quantile_is_the_inverse_of_the_tail(power: float, digits: int) -> None:
    tail = Fraction(10**power)
    found = quantile_of(tail, digits)
    assert tail_of(number(found.lo)) >= number(tail) >= tail_of(number(found.hi))
    assert found.hi - found.lo <= Decimal(10) ** (12 - digits)
    other = quantile_of(1 - tail, digits)
    assert tail_of(number(other.lo)) >= 1 - number(tail) >= tail_of(number(other.hi))


def test_a_wide_argument_gives_a_wide_answer() -> None:
    wide = Interval(Decimal("0.9"), Decimal("1.1"), 40)
    for x in (Fraction(9, 10), Fraction(1), Fraction(11, 10)):
        truth = tail_of(number(x))
        assert number(upper_tail(wide).lo) <= truth <= number(upper_tail(wide).hi)
    tails = quantile(Interval(Decimal("0.1"), Decimal("0.2"), 40))
    assert tails.lo < Decimal("0.842") < Decimal("1.281") < tails.hi


def test_quantiles_at_the_ends() -> None:
    assert str(quantile_of(Fraction(1, 10**9), 50).hi).startswith("5.99780701500768687156231020491")
    assert quantile_of(Fraction(1, 2), 50).lo <= 0 <= quantile_of(Fraction(1, 2), 50).hi
    for wrong in (Fraction(0), Fraction(-1)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            quantile_of(wrong, 50)
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile(Interval.of(1, 50))


@pytest.mark.parametrize("digits", [10, 50, 300])
def test_pi(digits: int) -> None:
    holds(pi(digits), CONTEXT.pi, 10.0 ** -(digits - 2))
