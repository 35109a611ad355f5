"""Certified real numbers: intervals of decimals whose ends are rounded outward, so that the truth is always inside.

Sums, products and quotients of ``decimal`` round as told; ``ln``, ``exp`` and ``sqrt`` are correctly rounded to the
nearest (Python's documentation of ``decimal.Context``), so that one step outward encloses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction

_TRAPS = [InvalidOperation, DivisionByZero, Overflow]


def context(digits: int, rounding: str = ROUND_HALF_EVEN) -> Context:
    """A fresh decimal context that traps what is not a number (never the ambient context of the thread)."""
    return Context(prec=digits, rounding=rounding, Emin=-999_999_999, Emax=999_999_999, traps=_TRAPS)


@dataclass(frozen=True)
class Interval:
    """A real number between ``lo`` and ``hi``, calculated with ``digits`` significant digits."""

    lo: Decimal
    hi: Decimal
    digits: int

    @classmethod
    def of(cls, value: Fraction | Decimal | int, digits: int) -> Interval:
        """Enclose an exact number: a point if ``digits`` hold it."""
        down, up = context(digits, ROUND_FLOOR), context(digits, ROUND_CEILING)
        if isinstance(value, Fraction):
            top, bottom = Decimal(value.numerator), Decimal(value.denominator)
            return cls(down.divide(top, bottom), up.divide(top, bottom), digits)
        return cls(down.create_decimal(value), up.create_decimal(value), digits)

    def __add__(self, other: Interval) -> Interval:
        down, up = self._contexts()
        return Interval(down.add(self.lo, other.lo), up.add(self.hi, other.hi), self.digits)

    def __sub__(self, other: Interval) -> Interval:
        down, up = self._contexts()
        return Interval(down.subtract(self.lo, other.hi), up.subtract(self.hi, other.lo), self.digits)

    def __mul__(self, other: Interval) -> Interval:
        down, up = self._contexts()
        ends = [(a, b) for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return Interval(min(down.multiply(a, b) for a, b in ends), max(up.multiply(a, b) for a, b in ends), self.digits)

    def __truediv__(self, other: Interval) -> Interval:
        """Divide by an interval above zero."""
        if other.lo <= 0:
            raise ZeroDivisionError("the divisor's interval reaches zero")
        down, up = self._contexts()
        ends = [(a, b) for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return Interval(min(down.divide(a, b) for a, b in ends), max(up.divide(a, b) for a, b in ends), self.digits)

    def ln(self) -> Interval:
        """The natural logarithm of an interval above zero."""
        near = context(self.digits)
        return Interval(near.next_minus(near.ln(self.lo)), near.next_plus(near.ln(self.hi)), self.digits)

    def exp(self) -> Interval:
        """The exponential."""
        near = context(self.digits)
        return Interval(near.next_minus(near.exp(self.lo)), near.next_plus(near.exp(self.hi)), self.digits)

    def sqrt(self) -> Interval:
        """The square root of an interval of numbers that are not negative."""
        near = context(self.digits)
        low = near.next_minus(near.sqrt(self.lo)) if self.lo else self.lo
        return Interval(low, near.next_plus(near.sqrt(self.hi)), self.digits)

    def _contexts(self) -> tuple[Context, Context]:
        return context(self.digits, ROUND_FLOOR), context(self.digits, ROUND_CEILING)
