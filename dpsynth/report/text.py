"""Numbers as text. A bound is never shown smaller than it is."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from math import floor, log10

THIN = "\u202f"
"""What stands between groups of digits, and before the sign of per cent."""

_WIDE = Context(prec=60)


def above(value: Fraction | float, digits: int = 4) -> str:
    """At least the value, with so many significant digits: for upper bounds."""
    return _rounded(Fraction(value), digits, ROUND_CEILING)


def near(value: Fraction | float, digits: int = 3) -> str:
    """The value to so many significant digits."""
    return _rounded(Fraction(value), digits, ROUND_HALF_EVEN)


def percent(value: Fraction | float, digits: int = 3) -> str:
    """A share in per cent, to the nearest of so many significant digits but at most two decimals."""
    return _share(Fraction(value), digits, ROUND_HALF_EVEN)


def percent_above(value: Fraction | float, digits: int = 3) -> str:
    """A share in per cent, never shown smaller than it is."""
    return _share(Fraction(value), digits, ROUND_CEILING)


def printable(text: str) -> str:
    """The text with control characters (but line ends) as blanks."""
    return "".join(c if c.isprintable() or c in "\n\u202f\u2003" else " " for c in text)


def brief(text: str) -> str:
    """Digests cut to their first 12 digits, for the sheet that people read; the whole ones stand elsewhere."""
    return re.sub(r"\b(sha256:[0-9a-f]{12})[0-9a-f]{52}\b", r"\1…", text)


def count(value: float) -> str:
    """A whole number with thin groups."""
    return f"{round(value):,}".replace(",", THIN)


def _share(value: Fraction, digits: int, rounding: str) -> str:
    scaled = value * 100
    if scaled == 0:
        return f"0{THIN}%"
    places = max(0, min(2, digits - 1 - floor(log10(abs(scaled)))))
    return f"{_quantised(scaled, places, rounding)}{THIN}%"


def _rounded(value: Fraction, digits: int, rounding: str) -> str:
    if value == 0:
        return "0"
    size = floor(log10(abs(value)))
    mantissa = _quantised(value / Fraction(10) ** size, digits - 1, rounding)
    if abs(Decimal(mantissa)) == 10:  # 9.99... was rounded to it
        mantissa, size = mantissa.replace("10", "1"), size + 1
    if -5 <= size < 6:
        return f"{Decimal(_quantised(value, max(0, digits - 1 - size), rounding)):,f}".replace(",", THIN)
    return f"{mantissa}e{size}"


def _quantised(value: Fraction, places: int, rounding: str) -> str:
    quotient = _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))
    if rounding == ROUND_CEILING and Fraction(quotient) < value:
        quotient = quotient.next_plus(_WIDE)
    text = f"{quotient.quantize(Decimal(1).scaleb(-places), rounding, _WIDE):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
