"""One way to write a JSON value as bytes, and a reader that refuses what two readers could understand differently."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NoReturn

from dpsynth.errors import SignatureInvalid

MAX_BYTES = 64 * 2**20
"""Nothing longer than 64 MiB is parsed."""

MAX_DEPTH = 32
"""Objects and lists lie at most this deep in each other."""

MAX_BITS = 8192
"""The longest numerator or denominator. Sums of costs with many different denominators are rounded up before that."""


def canonical(value: Mapping[str, Any]) -> bytes:
    """The bytes of a JSON object: ASCII, keys sorted, no white space, no newline at the end.

    Holds text, integers, booleans, None, lists and objects only. A float or anything else is a ValueError: exact
    numbers are written as text (:func:`fraction_text`).
    """
    _refuse_others(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def read_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object that these bytes hold.

    SignatureInvalid for doubled keys, floats, bad UTF-8, more than MAX_DEPTH inside each other, or another value.
    """
    if len(data) > MAX_BYTES:
        raise SignatureInvalid(f"{what} is longer than {MAX_BYTES} bytes")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_distinct, parse_float=_refuse, parse_constant=_refuse
        )
        _refuse_others(value)
    except (ValueError, RecursionError):
        raise SignatureInvalid(
            f"{what} is not strict JSON (UTF-8, each key once, integers and text, no fractions)"
        ) from None
    if not isinstance(value, dict):
        raise SignatureInvalid(f"{what} is not a JSON object")
    return value


def fraction_text(value: Fraction | int) -> str:
    """An exact non-negative number as text: ``"p/q"`` in lowest terms, or ``"p"`` when it is whole."""
    if isinstance(value, bool) or not isinstance(value, Fraction | int):
        raise ValueError("an exact number of the ledger is a Fraction or an int, never a float")
    if value < 0:
        raise ValueError("no number of the ledger is negative")
    if max(Fraction(value).as_integer_ratio()).bit_length() > MAX_BITS:
        raise ValueError(
            f"a number of the ledger has at most {MAX_BITS} bits above and below the line: round it outward"
        )
    return str(Fraction(value))


def _refuse_others(value: object, depth: int = 0) -> None:
    if isinstance(value, Mapping | list | tuple) and depth == MAX_DEPTH:
        raise ValueError(f"objects and lists lie at most {MAX_DEPTH} deep in each other")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError("the keys of a JSON object are text")
            _refuse_others(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_others(item, depth + 1)
    elif isinstance(value, str):
        value.encode("utf-8")  # a lone surrogate is no text: UnicodeEncodeError is a ValueError
    elif not (value is None or isinstance(value, int)):
        raise ValueError(f"a {type(value).__name__} cannot be written into the ledger")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse(_: str) -> NoReturn:
    raise ValueError("not an exact number")
