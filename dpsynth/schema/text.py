"""The text of a value, and the number that a text denotes.

Storage types are data: one null turns a pandas integer column into floats, and a CSV file holds text alone. So every
room compares values by these two functions, never by the type that happens to store them.
"""

from __future__ import annotations

import re
from unicodedata import normalize

# Both take time linear in the text: no two repeats side by side can match the same digits.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_WHOLE = re.compile(r"([+-]?)([0-9]+)(?:\.0*)?").fullmatch
_WORDS = {
    "true": 1.0,
    "false": 0.0,
    **{f"{sign}{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "infinity")},
}


def clean(text: str) -> str:
    """The text without white space around it, in Unicode normal form C; a lone surrogate becomes U+FFFD.

    ``""`` stands for a missing value everywhere, as in CSV.
    """
    text = text.strip()
    if text.isascii():
        return text
    return normalize("NFC", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def number(text: str) -> float:
    """The number that a clean text denotes, correctly rounded to binary64; NaN when it denotes none.

    ASCII digits with a point and an exponent at will, ``inf``, ``infinity``, and ``true`` and ``false`` for 1 and 0,
    in any case. No thousands separators, underscores or other digits. Too large a number is infinite.
    """
    if _NUMBER(text):
        return float(text)
    return _WORDS.get(text.lower(), float("nan"))


def plain(value: float) -> str:
    """The plain text of a number: an integral one has no ``.0`` and no exponent; the shortest that reads back else."""
    return str(int(value)) if value.is_integer() else repr(value)


def canonical(text: str) -> str:
    """A clean text; where it is how a float column prints a whole number, the plain one: ``3.0`` and ``1e+16``.

    ``03.0``, ``3.00`` and ``3.5`` stay: no float is printed as the first two, and the third has no plainer text.
    """
    if not text[-1:].isdigit() or not _NUMBER(text) or text.isdigit():
        return text
    value = float(text)
    return plain(value) if repr(value) == text else text


def spelling(text: str) -> str | None:
    """The one spelling of all clean texts that denote the same number, or None: ``3``, ``3.0``, ``+03`` give ``3``.

    Digits without an exponent are exact at any length; other texts are read as binary64, since a float column printed
    to text looks like them. ``true`` and ``false`` give 1 and 0.
    """
    whole = _WHOLE(text)
    if whole:
        digits = whole[2].lstrip("0") or "0"
        return f"-{digits}" if whole[1] == "-" and digits != "0" else digits
    value = number(text)
    return None if value != value else plain(value)
