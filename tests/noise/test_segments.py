"""The table: the finite checks of its proof, for every entry, and answers against certified inequalities."""

from collections.abc import Iterator
from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.noise import segments as room
from dpsynth.noise.normal import inverse_density, upper_tail
from dpsynth.noise.segments import FARTHEST, PER_UNIT, cells, propose, segments

TABLE = segments()
LAST = FARTHEST * PER_UNIT
TOP = 2**64 - 1
UNIT = 1 << 32
"""Tails below are taken at 96 bits; the table holds 64."""


def entries() -> Iterator[tuple[int, Fraction, int, int, int]]:
    """Number, centre, tail, first and last v of each entry but the tail's."""
    firsts = [*TABLE.edges.tolist(), 2**63]
    for i in range(1, LAST + 2):
        yield i, Fraction(LAST + 1 - i, PER_UNIT), int(TABLE.tails[i]), firsts[i - 1], firsts[i] - 1


class TestFiniteChecks:
    """What proofs/noise/segments.md says is checked for every centre."""

    def test_tails(self) -> None:
        for _, centre, tail, _, _ in entries():
            low, high = upper_tail(centre, 96)
            assert tail * UNIT <= low
            assert high <= (tail + 1) * UNIT + 4

    def test_entries_are_in_order_and_hold_their_centre(self) -> None:
        for _, centre, tail, first, last in entries():
            assert first <= tail <= last + (centre == 0)
        assert TABLE.edges[0] > 0
        assert TABLE.edges.dtype == TABLE.tails.dtype == np.uint64

    def test_both_inequalities(self) -> None:
        for _, centre, tail, first, last in entries():
            most = max(tail - first, last - tail) + 64
            low, _ = upper_tail(centre, 96)
            assert most * UNIT <= low - upper_tail(centre + Fraction(1, 240), 96)[1]
            assert 45 * most * UNIT <= low - upper_tail(centre + Fraction(1, 2), 96)[1]

    def test_gains(self) -> None:
        for i, centre, _, _, _ in entries():
            low, high = inverse_density(centre, 128)
            for end in (low, high):
                truth = Fraction(end, 2**192)
                assert abs(Fraction(float(TABLE.gains[i])) - truth) <= truth / 2**52

    def test_constants_of_the_proof(self) -> None:
        u = Fraction(1, 2**53)
        horner = 20 * u / (1 - 20 * u) / 240
        left_out = Fraction(1, 2) / 45**11 / (1 - Fraction(1, 45))
        scaled = Fraction("1.03") * Fraction(2**-50.9) / 240
        assert room.DEGREE == 10
        assert Fraction(room.OFF) > 6 * (horner + left_out + scaled)


class TestCoefficients:
    @pytest.mark.parametrize("centre", [Fraction(0), Fraction(1, 128), Fraction(77, 128), Fraction(5)])
    def test_they_invert_the_integral(self, centre: Fraction) -> None:
        """Put x(delta) into the series of the integral: exactly delta must come out, up to the power kept."""
        count = room.DEGREE
        x = [Fraction(0)] + [self.exact(k, centre) for k in range(1, count + 1)]
        # exp(-c t - t^2/2) = sum e_i t^i with (i+1) e_{i+1} = -c e_i - e_{i-1}
        e = [Fraction(1), -centre]
        for i in range(1, count):
            e.append((-centre * e[i] - e[i - 1]) / (i + 1))
        total, power = [Fraction(0)] * (count + 1), [Fraction(1)] + [Fraction(0)] * count
        for i in range(count):
            power = [sum((power[a] * x[k - a] for a in range(k + 1)), Fraction(0)) for k in range(count + 1)]
            total = [t + e[i] / (i + 1) * p for t, p in zip(total, power, strict=True)]
        assert total == [Fraction(0), Fraction(1)] + [Fraction(0)] * (count - 1)

    def test_the_table_holds_them_rounded(self) -> None:
        for i, centre, _, _, _ in list(entries())[::37]:
            for k in range(1, room.DEGREE + 1):
                assert TABLE.series[k - 1, i] == float(self.exact(k, centre))

    @staticmethod
    def exact(k: int, centre: Fraction) -> Fraction:
        terms = (factor * centre**power for power, factor in enumerate(room._polynomial(k)))
        return sum(terms, Fraction(0)) / factorial(k)


def test_the_table_cannot_be_written_to() -> None:
    law = cells(Fraction(100))
    for array in (TABLE.edges, TABLE.tails, TABLE.gains, TABLE.series, law.whole, law.part, law.near):
        assert not array.flags.writeable


def hard_words() -> list[int]:
    """First, last, middle and neighbouring words of entries, on both sides."""
    v = [
        w
        for _, _, tail, first, last in entries()
        for w in (first, first + 1, last, min(tail, last), (tail + last) // 2)
    ]
    return [*v[::7], *(TOP - w for w in v[3::7])]


SIGMAS = [Fraction(x) for x in (1 / 1024, 0.3, 1.0, 5.7787, 100.0, 12345.678, 2.0**31 + 0.5, 2.0**40, 2.0**50)]


def right(word: int, noise: int, sigma: Fraction) -> bool:
    """Whether every U that begins with these 64 bits is in the cell of ``noise``: certified, without a float."""
    upper = word >> 63
    v = TOP - word if upper else word
    size = noise if upper else -noise
    inner = size == 0 or upper_tail((size - Fraction(1, 2)) / sigma, 96)[0] >= (v + 1) * UNIT
    return size >= 0 and inner and upper_tail((size + Fraction(1, 2)) / sigma, 96)[1] <= v * UNIT


@pytest.mark.parametrize("sigma", SIGMAS, ids=float)
def test_what_is_certain_is_right(sigma: Fraction) -> None:
    words = hard_words()
    noise, sure = propose(np.array(words, dtype=np.uint64), cells(sigma))
    assert sure.mean() > (0.98 if sigma <= 2**40 else 0.3)
    assert all(right(w, n, sigma) for w, n, s in zip(words, noise.tolist(), sure.tolist(), strict=True) if s)


@given(st.lists(st.integers(0, TOP), min_size=1, max_size=20), st.floats(2**-20, 2**51))
def test_what_is_certain_is_right_anywhere(words: list[int], sigma: float) -> None:
    exact = Fraction(sigma)
    noise, sure = propose(np.array(words, dtype=np.uint64), cells(exact))
    assert all(right(w, n, exact) for w, n, s in zip(words, noise.tolist(), sure.tolist(), strict=True) if s)


@pytest.mark.parametrize("sigma", [Fraction(1, 4), Fraction(3), Fraction(100), Fraction(2**30)])
def test_words_next_to_a_boundary_are_never_certain_of_the_wrong_cell(sigma: Fraction) -> None:
    for size in {0, 1, 2, int(sigma / 3), int(sigma), int(2 * sigma), int(4 * sigma)}:
        boundary = upper_tail((size + Fraction(1, 2)) / sigma, 64)[0]
        words = [w for d in (-(10**9), -1000, -2, -1, 0, 1, 2, 1000, 10**9) if 0 <= (w := boundary + d) < 2**63]
        noise, sure = propose(np.array(words, dtype=np.uint64), cells(sigma))
        assert all(right(w, n, sigma) for w, n, s in zip(words, noise.tolist(), sure.tolist(), strict=True) if s)
        assert not any(s for w, s in zip(words, sure.tolist(), strict=True) if w == boundary)


def test_the_error_is_as_small_as_proved() -> None:
    """At sigma = 2^40 the roundings of the sum are small beside the error of x, whose bound is 1.04 G + 2^-56."""
    sigma = Fraction(2**40)
    law = cells(sigma)
    for i, _, tail, first, last in list(entries())[::16]:
        for v in (first, last, (first + tail) // 2):
            word = np.array([v], dtype=np.uint64)
            probe = propose(word, law)[0][0]
            allowed = Fraction("1.04") * Fraction(float(TABLE.gains[i])) + Fraction(1, 2**55) + Fraction(1, 2**41)
            outer, inner = -int(probe) / sigma + allowed, max(Fraction(0), -int(probe) / sigma - allowed)
            assert upper_tail(outer, 96)[0] <= (v + 1) * UNIT
            assert upper_tail(inner, 96)[1] >= v * UNIT


def test_the_tail_is_never_certain() -> None:
    words = np.array([0, 1, int(TABLE.edges[0]) - 1, TOP, TOP - int(TABLE.edges[0]) + 1], dtype=np.uint64)
    for sigma in (Fraction(1, 2**100), Fraction(1, 1024), Fraction(1), Fraction(2**60)):
        assert not propose(words, cells(sigma))[1].any()


def test_at_the_coarsest_nothing_is_certain_and_nothing_overflows() -> None:
    with np.errstate(all="raise"):
        noise, sure = propose(np.array(hard_words(), dtype=np.uint64), cells(Fraction(2**60)))
    assert not sure.any()
    assert np.abs(noise).max() < 2**63 - 1


def test_doubt_is_rare() -> None:
    """Of a million words, evenly spread, none but the tail's is uncertain at sigma 100."""
    words = np.arange(10**6, dtype=np.uint64) * np.uint64(TOP // 10**6) + np.uint64(12345)
    v = np.minimum(words, ~words)
    _, sure = propose(words, cells(Fraction(100)))
    assert sure[v >= TABLE.edges[0]].all()
