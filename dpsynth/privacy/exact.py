"""Exact numbers: parsing what a user wrote, the grid of 2^-60, and finite decimals. No float ever enters a budget."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

from dpsynth.errors import BudgetFormatError

GRID = 2**60
"""Caps and reservations are multiples of 1/GRID: what is stated rounds up to it, what is allowed rounds down."""

_LONGEST = 1000
"""Most characters, and most decimal digits of magnitude, that a number may have (no caller needs a tenth of it)."""

_TEXT = re.compile(r"-?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]{1,6}))?|[0-9]+/[0-9]+)")
_EXAMPLES = 'write exact text such as "1", "0.5", "1e-9" or "1/3"'


def parse_fraction(value: str | int | Fraction | Decimal, key: str) -> Fraction:
    """The exact positive number that ``value`` says; ``key`` names it in the error.

    Text is a decimal ("0.5", "1e-9") or a ratio of integers ("1/3"), white space around it ignored. Raises
    BudgetFormatError for a float (it is not the number that was meant), a bool, NaN, infinity, anything that is not
    above zero, and anything with more than 1,000 digits.
    """
    number = read_number(value, key)
    if number <= 0:
        raise BudgetFormatError(f"{key}: must be above zero; {_EXAMPLES}")
    return number


def read_number(value: str | int | Fraction | Decimal, key: str) -> Fraction:
    """As ``parse_fraction``, zero and negative numbers included."""
    if isinstance(value, float):
        shown = repr(value)
        raise BudgetFormatError(f'{key}: {shown} is a float, which is not exact; write it as text, "{shown}"')
    if isinstance(value, bool) or not isinstance(value, str | int | Fraction | Decimal):
        raise BudgetFormatError(f"{key}: a {type(value).__name__} is not a number; {_EXAMPLES}")
    if isinstance(value, str):
        return _from_text(value.strip(), key)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise BudgetFormatError(f"{key}: {value} is not a finite number; {_EXAMPLES}")
        if value and abs(value.adjusted()) > _LONGEST:
            raise _too_long(key)
    number = Fraction(value)
    if max(abs(number.numerator), number.denominator).bit_length() > _LONGEST * 10 // 3:
        raise _too_long(key)
    return number


def _from_text(text: str, key: str) -> Fraction:
    """The number that a text says; BudgetFormatError if it says none."""
    if len(text) > _LONGEST:
        raise _too_long(key)
    found = _TEXT.fullmatch(text)
    if found is None:
        shown = text if len(text) <= 40 else text[:40] + "…"
        raise BudgetFormatError(f"{key}: {shown!r} is not an exact number; {_EXAMPLES}")
    if abs(int(found["exponent"] or 0)) > _LONGEST:
        raise _too_long(key)
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise BudgetFormatError(f"{key}: {text!r} divides by zero; {_EXAMPLES}") from None


def _too_long(key: str) -> BudgetFormatError:
    return BudgetFormatError(f"{key}: more than {_LONGEST:,} digits; {_EXAMPLES}")


def floor_to_grid(value: Fraction) -> Fraction:
    """The largest multiple of 1/GRID that is not above ``value``: for caps, which may only shrink."""
    return Fraction(value * GRID // 1, GRID)


def ceil_to_grid(value: Fraction) -> Fraction:
    """The smallest multiple of 1/GRID that is not below ``value``: for charges, which may only grow."""
    return Fraction(-(-value * GRID // 1), GRID)


def decimal_text(value: Fraction) -> str:
    """``value`` as an exact finite decimal without exponent ("17.1435507436"); ValueError if it has none ("1/3")."""
    value = Fraction(value)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        raise ValueError(f"{value} has no finite decimal")
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def exact_text(value: Fraction) -> str:
    """The value itself: ``1``, ``0.5``, ``1e-9``; ``p/q`` where it has no short finite decimal."""
    if value.denominator == 1:
        return f"{value.numerator:,}" if abs(value) < 10**9 else str(value.numerator)
    exponent = next((e for e in range(1, 41) if (value * 10**e).denominator == 1), None)
    if exponent is None:
        return f"{value.numerator}/{value.denominator}"
    digits = int(value * 10**exponent)
    if exponent <= 6:
        return f"{Decimal(digits).scaleb(-exponent):f}"
    text = str(abs(digits))
    power = len(text) - 1 - exponent
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{'-' if digits < 0 else ''}{mantissa}e{power}"
