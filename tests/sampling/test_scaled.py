from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.sampling import ONE
from dpsynth.sampling.scaled import Scaled, bits, distributions

words = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 64).map(lambda n: 2**n - 1), st.sampled_from([1, 2**63]))


def fractions(numbers: Scaled) -> list[Fraction]:
    return [
        Fraction(int(m)) * Fraction(2) ** int(e)
        for m, e in zip(numbers.mantissa.ravel(), numbers.exponent.ravel(), strict=True)
    ]


def array(integers: list[int]) -> np.ndarray:
    return np.array(integers, dtype=np.uint64)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=8))
def test_integers_are_kept_exactly(integers):
    assert bits(array(integers)).tolist() == [number.bit_length() for number in integers]
    scaled = Scaled.of(array(integers))
    assert fractions(scaled) == integers
    assert ((scaled.mantissa >= 2**63) | (scaled.mantissa == 0)).all()


@settings(deadline=None)
@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=8))
def test_products_are_too_small_by_one_part_in_2_to_the_62_each(triples):
    one, two, three = (Scaled.of(array(list(column))) for column in zip(*triples, strict=True))
    for (a, b, c), found in zip(triples, fractions(one * two * three), strict=True):
        exact = a * b * c
        assert 0 <= exact - found <= Fraction(exact, 2**61)
        assert (found == 0) == (exact == 0)


@settings(deadline=None)
@given(st.lists(st.tuples(words, st.integers(-3000, 0)), min_size=1, max_size=12), st.integers(-3000, 3000))
def test_rows_become_distributions(numbers, scale):
    """... within the bound that is stated, at any scale; and a row of its own scale beside it changes nothing."""
    weights = Scaled.of(array([[number for number, _ in numbers]]))
    weights = Scaled(weights.mantissa, weights.exponent + np.array([[e + scale for _, e in numbers]], dtype=np.int32))
    exact = fractions(weights)
    share, total = distributions(weights)
    (found,) = fractions(total)
    assert 0 <= sum(exact) - found <= sum(exact) * len(numbers) / 2**54
    if not any(exact):
        assert not share.any()
        return
    assert share.sum() == ONE
    for got, wanted in zip(share[0].tolist(), exact, strict=True):
        assert abs(got - wanted / sum(exact) * ONE) < 1 + Fraction(len(numbers), 2**22)
        assert wanted > 0 or got == 0
    twice = Scaled(np.repeat(weights.mantissa, 2, axis=0), np.repeat(weights.exponent, 2, axis=0))
    twice.exponent[1] += 77
    shares, totals = distributions(twice)
    assert np.array_equal(shares, np.repeat(share, 2, axis=0))
    assert fractions(totals) == [found, found * 2**77]


def test_remainders_are_exact_and_ties_go_to_the_lowest_index():
    assert distributions(Scaled.of(array([[1, 1, 1]])))[0].tolist() == [[ONE // 3 + 1, ONE // 3, ONE // 3]]
    weights = [[ONE - 11, 7, 4], [3, 0, 1], [0, 0, 9]]
    assert distributions(Scaled.of(array(weights)))[0].tolist() == [
        [ONE - 11, 7, 4],
        [3 * ONE // 4, 0, ONE // 4],
        [0, 0, ONE],
    ]
