"""Intervals enclose the truth, and tightly: checked against the same calculation with many more digits."""

from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.privacy.interval import Interval

DIGITS = 25
MANY = Context(prec=120)
numbers = st.fractions(min_value=-1000, max_value=1000, max_denominator=10**6)
positive = st.fractions(min_value=Fraction(1, 10**6), max_value=1000, max_denominator=10**6)


def encloses(interval: Interval, truth: Fraction) -> None:
    assert Fraction(interval.lo) <= truth <= Fraction(interval.hi)
    assert Fraction(interval.hi) - Fraction(interval.lo) <= 100 * max(abs(truth), Fraction(2000)) / 10**DIGITS


@given(numbers, numbers)
def test_arithmetic(a: Fraction, b: Fraction) -> None:
    x, y = Interval.of(a, DIGITS), Interval.of(b, DIGITS)
    encloses(x + y, a + b)
    encloses(x - y, a - b)
    product = x * y
    assert Fraction(product.lo) <= a * b <= Fraction(product.hi)


@given(numbers, positive)
def test_division(a: Fraction, b: Fraction) -> None:
    quotient = Interval.of(a, DIGITS) / Interval.of(b, DIGITS)
    assert Fraction(quotient.lo) <= a / b <= Fraction(quotient.hi)


@given(positive)
def test_functions(a: Fraction) -> None:
    x = Interval.of(a, DIGITS)
    number = MANY.divide(Decimal(a.numerator), Decimal(a.denominator))
    ln = x.ln()
    assert ln.lo <= MANY.ln(number) <= ln.hi
    assert MANY.subtract(ln.hi, ln.lo) < Decimal("1e-20")
    exp = x.exp()
    assert exp.lo <= MANY.exp(number) <= exp.hi


def test_wide_intervals_stay_wide() -> None:
    wide = Interval(Decimal(-2), Decimal(3), DIGITS)
    assert (wide * wide).lo == -6
    assert (wide * wide).hi == 9
    assert (wide / Interval(Decimal(1), Decimal(2), DIGITS)).lo == -2
    assert Interval.of(1, DIGITS).ln().lo < 0 < Interval.of(1, DIGITS).ln().hi


@pytest.mark.parametrize("low", [-1, 0])
def test_a_divisor_that_reaches_zero_is_refused(low: int) -> None:
    with pytest.raises(ZeroDivisionError):
        Interval.of(1, DIGITS) / Interval(Decimal(low), Decimal(2), DIGITS)
