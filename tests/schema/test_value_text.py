"""The text of a value and the number that it denotes: the rules by which all rooms compare values."""

import time
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dpsynth.schema.text import canonical, clean, number, plain, spelling


@given(st.text())
@example("\u2000a\u3000")
@example("\ud83d")
@example("\ud83d\ude00")
def test_clean_is_idempotent_and_utf8(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert once.encode().decode() == once


@given(st.floats())
def test_a_printed_float_is_the_float(value: float) -> None:
    text = repr(value)
    if value != value:
        assert number(text) != number(text)
        assert spelling(text) is None
        return
    assert number(text) == value
    assert spelling(text) == spelling(plain(value))
    assert canonical(text) == canonical(plain(value)) == (plain(value) if value else "0")


@given(st.integers())
def test_whole_numbers_of_any_length(value: int) -> None:
    forms = [str(value), f"{value}.0", f"{value}.", f"{value}.000", f"{'-' if value < 0 else '+'}000{abs(value)}"]
    assert {spelling(form) for form in forms} == {str(value)}
    assert {canonical(str(value)), spelling(str(value))} == {str(value)}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-1e9, max_value=1e9))
def test_decimals_round_correctly(value: Decimal) -> None:
    assert number(str(value)) == float(value)
    assert number(f"{value:E}") == float(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e400", float("inf")),
        ("-1E+400", float("-inf")),
        ("Infinity", float("inf")),
        ("-inf", float("-inf")),
        (".5", 0.5),
        ("5.", 5.0),
        ("+5", 5.0),
        ("True", 1.0),
        ("FALSE", 0.0),
        ("9" * 5000, float("inf")),
    ],
)
def test_numbers(text: str, expected: float) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    "text", ["", "nan", "1_000", "1,5", "0x1f", "1e", "e5", ".", "+", "١", "１", "1 2", "--1", "1e5.0", "t", "yes", "½"]
)
def test_what_is_no_number(text: str) -> None:
    assert number(text) != number(text)
    assert spelling(text) is None
    assert canonical(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3.0", "3"), ("-3.0", "-3"), ("1e+16", "1" + "0" * 16), ("-0.0", "0"), ("3.5", "3.5")]
    + [(text, text) for text in ("03", "03.0", "3.00", "250.00", "1.10", "+3.0", "3.", "1e16", "E11.0", "3", "true")],
)
def test_only_what_a_float_prints_is_put_plainly(text: str, expected: str) -> None:
    assert canonical(text) == expected


def test_only_ascii_spells_a_number() -> None:
    """No other character is cleaned or folded into one of a number or of a word; other white space is not ASCII."""
    letters = set("0123456789.+-eEinftyrualsINFTYRUALS")
    for code in range(128, 0x110000):
        assert letters.isdisjoint(clean(chr(code)).lower()) or clean(chr(code)).lower() == "i\u0307", hex(code)
    assert {letter for letter in map(chr, range(128)) if not letter.strip()} <= set(map(chr, range(33)))


def test_no_text_takes_more_than_linear_time() -> None:
    for text in ("0" * 200_000 + "x", "0." + "1" * 200_000 + "x", "1" * 200_000 + "e", "+" * 200_000, " " * 200_000):
        start = time.process_time()
        number(text), spelling(text), canonical(text)
        assert time.process_time() - start < 1
