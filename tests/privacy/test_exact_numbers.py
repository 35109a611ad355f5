"""What a user may write, the grid, and finite decimals."""

import subprocess
import sys
import time
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy import GRID, Budget, Cost, ceil_to_grid, decimal_text, parse_fraction
from dpsynth.privacy.exact import floor_to_grid

GOOD = [
    ("1", Fraction(1)),
    ("0.5", Fraction(1, 2)),
    (" .5 ", Fraction(1, 2)),
    ("2.", Fraction(2)),
    ("1e-9", Fraction(1, 10**9)),
    ("1E+3", Fraction(1000)),
    ("1/3", Fraction(1, 3)),
    ("293764/114921", Fraction(293764, 114921)),
    ("1e-300", Fraction(1, 10**300)),
    (7, Fraction(7)),
    (Fraction(2, 7), Fraction(2, 7)),
    (Decimal("0.1"), Fraction(1, 10)),
]
BAD = [
    0.5, 1.0, float("nan"), float("inf"), True, False, None, b"1", [1], "", " ", "one", "nan", "inf", "-inf", "1,5",
    "1_000", "1e", "1e-", "1//3", "1/0", "0/0", "0", "0.0", "0e5", "-1", "-1/2", "−1", "+1", "0x10", "١", "1 / 3",
    0, -1, Fraction(0), Fraction(-1, 3), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-1"),
    Decimal(0), "1e-999999999", "1e999999999", "1e-1001", "9" * 100_000, "1/" + "9" * 100_000, "1e" + "9" * 5000,
    Decimal("1e-999999"), Decimal("1e999999"), 10**5000, Fraction(1, 10**5000), Decimal("0e-999999"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), GOOD)
def test_exact_numbers_are_taken_as_written(written: object, meant: Fraction) -> None:
    got = parse_fraction(written, "epsilon")  # type: ignore[arg-type]
    assert got == meant
    assert isinstance(got, Fraction)


@pytest.mark.parametrize("written", BAD, ids=range(len(BAD)))
def test_anything_else_is_refused_at_once_and_names_the_key(written: object) -> None:
    before = time.process_time()
    with pytest.raises(BudgetFormatError, match=r"^epsilon: ") as caught:
        parse_fraction(written, "epsilon")  # type: ignore[arg-type]
    assert time.process_time() - before < 0.5
    assert len(str(caught.value)) < 300
    assert caught.value.exit_code == 2


def test_a_float_is_answered_with_the_text_to_write() -> None:
    with pytest.raises(BudgetFormatError, match=r'epsilon: 0\.1 is a float.*write it as text, "0\.1"'):
        parse_fraction(0.1, "epsilon")  # type: ignore[arg-type]


@given(st.text(max_size=30))
def test_text_never_raises_anything_else(text: str) -> None:
    with suppress(BudgetFormatError):
        assert parse_fraction(text, "delta") > 0


class TestBudget:
    def test_holds_what_was_written(self) -> None:
        budget = Budget("0.1", delta="1e-9")
        assert (budget.epsilon, budget.delta) == (Fraction(1, 10), Fraction(1, 10**9))
        assert budget == Budget(Fraction(1, 10), Decimal("1e-9"))
        assert hash(budget) == hash(Budget("1/10", "1/1000000000"))

    def test_is_frozen(self) -> None:
        with pytest.raises(AttributeError):
            Budget("1", "1e-9").epsilon = Fraction(2)  # type: ignore[misc]

    @pytest.mark.parametrize("delta", ["0", "0.000", "0e-9", "0/7", 0, Fraction(0), Decimal(0)])
    def test_delta_zero_buys_in_pure_dp_alone(self, delta: str) -> None:
        budget = Budget("1", delta)
        assert budget.delta == 0
        assert budget.cost("pure") == Cost("pure", Fraction(1))
        for measure in ("gdp", "zcdp"):
            with pytest.raises(BudgetFormatError, match=r"^delta: 0 needs an account of pure differential privacy"):
                budget.cost(measure)

    @pytest.mark.parametrize("delta", ["1", "1.0", "2", 5, "1e10"])
    def test_delta_of_one_or_more_is_refused(self, delta: str) -> None:
        with pytest.raises(BudgetFormatError, match=r"^delta: must be below 1"):
            Budget("1", delta)

    @pytest.mark.parametrize("delta", [1e-9, True, "", "-1", "x"])
    def test_other_bad_deltas_name_delta(self, delta: object) -> None:
        with pytest.raises(BudgetFormatError, match=r"^delta: "):
            Budget("1", delta)  # type: ignore[arg-type]

    def test_an_epsilon_too_small_to_buy_anything_says_so(self) -> None:
        with pytest.raises(BudgetFormatError, match=r"^epsilon: .*buys nothing"):
            Budget("1e-12", "1e-12").cost("zcdp")
        with pytest.raises(BudgetFormatError, match=r"^epsilon: .*buys nothing"):
            Budget("1e-19", "0").cost("pure")
        assert Budget("1e-3", "1e-12").cost().measure == "gdp"


@given(st.fractions(min_value=-5, max_value=5))
def test_the_grid_rounds_outward_by_less_than_a_step(value: Fraction) -> None:
    low, high = floor_to_grid(value), ceil_to_grid(value)
    assert low <= value <= high
    assert value - low < Fraction(1, GRID) > high - value
    assert (low * GRID).denominator == (high * GRID).denominator == 1
    assert floor_to_grid(low) == ceil_to_grid(low) == low


@given(st.integers(-(10**12), 10**12), st.integers(0, 12), st.integers(0, 12))
def test_decimal_text_is_exact(top: int, twos: int, fives: int) -> None:
    value = Fraction(top, 2**twos * 5**fives)
    text = decimal_text(value)
    assert Fraction(text) == value
    assert "e" not in text.lower()
    assert not text.startswith(".")
    assert "." not in text or not text.endswith("0")


def test_decimal_text_refuses_what_has_none() -> None:
    assert decimal_text(Fraction(171435507436, 10**10)) == "17.1435507436"
    with pytest.raises(ValueError, match="no finite decimal"):
        decimal_text(Fraction(1, 3))


def test_the_room_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys; import dpsynth.privacy; "
        "assert not {'numpy', 'scipy', 'pandas', 'opendp', 'pydantic', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
