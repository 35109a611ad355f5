"""Certified values: the truth lies inside, and the enclosures are narrow."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.noise import normal
from dpsynth.noise.normal import inverse_density, upper_tail
from dpsynth.privacy import normal as other
from dpsynth.privacy.interval import Interval
from tests.noise.oracle import PI, density, number, tail

EDGES = st.fractions(0, 12, max_denominator=10**9) | st.builds(Fraction, st.integers(0, 11 * 2**60), st.just(2**60))


def inside(truth: Decimal, bits: int, low: int, high: int) -> bool:
    with localcontext(prec=150):
        return low - Decimal("1e-40") <= truth * Decimal(2) ** bits <= high + Decimal("1e-40")


@given(EDGES, st.integers(0, 180))
def test_the_tail_is_enclosed_within_one_unit(edge: Fraction, bits: int) -> None:
    low, high = upper_tail(edge, bits)
    assert 0 <= low <= high <= low + 1
    assert inside(tail(edge), bits, low, high)


@given(EDGES, st.integers(1, 180))
def test_the_inverse_of_the_density_is_enclosed(point: Fraction, bits: int) -> None:
    low, high = inverse_density(point, bits)
    with localcontext(prec=150):
        truth = 1 / density(point) * 2**bits
        assert low - truth * Decimal("1e-95") <= truth <= high + truth * Decimal("1e-95")
        assert high - low <= 2 + truth / 2**bits


@given(st.fractions(0, 3, max_denominator=1000), st.integers(6, 40))
def test_they_hold_without_guard_bits(edge: Fraction, bits: int) -> None:
    """The guard bits only narrow them: each rounding goes outward by itself, and here one that did not would show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normal, "GUARD", 0)
        assert inside(tail(edge), bits, *upper_tail(edge, bits))
        assert inside(1 / density(edge), bits, *inverse_density(edge, bits))


@given(st.fractions(1, 5, max_denominator=1000), st.integers(4, 40))
def test_the_series_holds_at_any_precision(edge: Fraction, work: int) -> None:
    with localcontext(prec=110):
        truth = (Decimal("0.5") - tail(edge)) * (2 * PI).sqrt()
    assert inside(truth, work, *normal._series(edge, edge * edge, work))


@pytest.mark.parametrize("n", [2, 5, 239])
@pytest.mark.parametrize("bits", [4, 11, 20, 64, 97])
def test_the_arctangent_is_between_both_ends(n: int, bits: int) -> None:
    terms = [Fraction((-1) ** k, (2 * k + 1) * n ** (2 * k + 1)) for k in range(bits)]
    below, above = sorted((sum(terms), sum(terms[:-1])))
    low, high = normal._arctan_of_inverse(n, bits)
    assert low <= below * 2**bits <= above * 2**bits <= high
    assert high - low <= bits + 4


def test_at_zero_it_is_exact() -> None:
    assert upper_tail(Fraction(0), 64) == (2**63, 2**63)


@pytest.mark.parametrize("edge", [6, 9, 14, 20, Fraction(73, 2), Fraction(10**6, 10**5 + 1)])
@pytest.mark.parametrize("bits", [400, 1000])
def test_far_out_it_keeps_to_the_bounds_of_mills(edge: int | Fraction, bits: int) -> None:
    x = number(Fraction(edge))
    low, high = upper_tail(Fraction(edge), bits)
    with localcontext(prec=330):
        # PI holds 108 digits, so that phi is known to a relative 1e-105
        phi = (-x * x / 2).exp() / (2 * PI).sqrt() * Decimal(2) ** bits
        assert phi * x / (x * x + 1) < high
        assert low < phi / x
    assert high - low <= 1


@pytest.mark.parametrize("edge", [13, 500, 2**99, Fraction(2**120, 3)])
def test_beyond_what_the_bits_show_it_costs_nothing(edge: int | Fraction) -> None:
    assert upper_tail(Fraction(edge), 96) == (0, 1)


def test_the_short_cut_is_taken_only_where_it_is_true() -> None:
    for bits in range(1, 200):
        shortest = Fraction(int((25 * bits / 18) ** 0.5 * 2**20) + 2, 2**20)
        assert upper_tail(shortest, bits) == (0, 1)
        assert tail(shortest) * 2**bits < 1


@given(EDGES, EDGES)
def test_the_tail_falls(one: Fraction, other: Fraction) -> None:
    near, far = sorted((one, other))
    assert upper_tail(far, 128)[0] <= upper_tail(near, 128)[1]


@pytest.mark.parametrize("bits", [32, 64, 150])
def test_the_root_of_two_pi(bits: int) -> None:
    low, high = normal._root_two_pi(bits)
    with localcontext(prec=110):
        assert low <= (2 * PI).sqrt() * 2**bits <= high
    assert high - low <= 2


@given(st.fractions(0, 9, max_denominator=10**9))
def test_it_agrees_with_the_certified_law_of_the_privacy_room(edge: Fraction) -> None:
    """Two enclosures of one number overlap: series in binary integers here, Mills' ratio in decimals there."""
    bits, digits = 120, 60
    low, high = upper_tail(edge, bits)
    tail_ = other.upper_tail(Interval.of(edge, digits))
    assert low <= Fraction(tail_.hi) * 2**bits
    assert Fraction(tail_.lo) * 2**bits <= high
    low, high = inverse_density(edge, bits)
    bell = other.density(Interval.of(edge, digits))
    assert low * Fraction(bell.lo) <= 2**bits
    assert 2**bits <= high * Fraction(bell.hi)
