"""The exact exponential mechanism: from known bits to an index, against probabilities to a hundred digits."""

from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.noise import choice as room
from dpsynth.privacy import COARSEST, FINEST

LIMITS = np.iinfo(np.int64)
WORD = 2**64
DIGITS = 150


def chosen(scores: Sequence[int], scale: Fraction, words: Sequence[int]) -> tuple[int, int]:
    """The index that a stream of words leads to, and how many of them were read."""
    left = list(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_entropy", lambda number: left.pop(0).to_bytes(number, "big"))
        index = room.choose(np.array(scores, dtype=np.int64), scale)
    return index, len(words) - len(left)


def thresholds(scores: Sequence[int], scale: Fraction) -> list[Decimal]:
    """P(index <= i), by plain exponentials and sums in the order of the candidates."""
    with localcontext(prec=DIGITS, Emin=-(10**17), Emax=10**17):
        highest, scaled = max(scores), Decimal(scale.numerator) / scale.denominator
        sums = list(accumulate((Decimal(score - highest) / scaled).exp() for score in scores))
        return [part / sums[-1] for part in sums]


def true_index(scores: Sequence[int], scale: Fraction, words: Sequence[int]) -> int:
    """The cell that a uniform of these digits lies in. The two ends of what is unknown must agree."""
    with localcontext(prec=DIGITS):
        unit = Decimal(WORD) ** len(words)
        known = Decimal(int.from_bytes(b"".join(word.to_bytes(8, "big") for word in words), "big"))
        edges = thresholds(scores, scale)[:-1]
        ends = {sum(edge <= at for edge in edges) for at in (known / unit, (known + 1) / unit)}
    assert len(ends) == 1
    return ends.pop()


class Case:
    """Scores and scales: a handful of candidates, near and far, up to both ends of int64."""

    scores = st.lists(
        st.integers(-40, 40)
        | st.integers(-(10**6), 10**6)
        | st.sampled_from([LIMITS.min, LIMITS.max, 0, LIMITS.max - 1]),
        min_size=1,
        max_size=8,
    )
    scales = st.sampled_from(
        [Fraction(1), Fraction(0.1), Fraction(2.5), Fraction(1024), Fraction(21196.8), Fraction(2**60)]
    )


@settings(deadline=None, max_examples=200)
@given(Case.scores, Case.scales, st.lists(st.integers(1, WORD - 2), min_size=4, max_size=4))
def test_every_stream_leads_to_the_cell_it_lies_in(scores: list[int], scale: Fraction, words: list[int]) -> None:
    assert chosen(scores, scale, words)[0] == true_index(scores, scale, words)


@settings(deadline=None, max_examples=150)
@given(
    Case.scores.filter(lambda scores: len(scores) > 1),
    Case.scales,
    st.data(),
    st.lists(st.integers(1, WORD - 2), min_size=3, max_size=3),
)
def test_thresholds_are_exact(scores: list[int], scale: Fraction, data: st.DataObject, more: list[int]) -> None:
    """Words just below a threshold, at it and just above; where the word is shared by two cells, more are read."""
    edge = data.draw(st.sampled_from(thresholds(scores, scale)[:-1]))
    with localcontext(prec=DIGITS):
        at = int((edge * WORD).to_integral_value(ROUND_FLOOR))
    for first in range(at - 2, at + 3):
        if 0 <= first < WORD:
            words = [first, *more]
            assert chosen(scores, scale, words)[0] == true_index(scores, scale, words)


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_a_threshold_is_followed_as_deep_as_the_bits_go(digits: int) -> None:
    """The first words are those of the threshold itself: what comes after them decides."""
    scores, scale = [0, 3, -2, 1], Fraction(2.5)
    with localcontext(prec=DIGITS):
        edge = int((thresholds(scores, scale)[1] * WORD ** (digits + 1)).to_integral_value(ROUND_FLOOR))
    words = [(edge >> 64 * place) % WORD for place in range(digits, -1, -1)]
    for last, index in ((words[-1] - 5, 1), (words[-1] + 5, 2)):
        found, read = chosen(scores, scale, [*words[:-1], last, 7, 7])
        assert (found, read) == (index, digits + 1)


def test_equal_scores_share_the_uniform_evenly() -> None:
    for number in (1, 2, 3, 7, 1000):
        for word in (0, 1, WORD // 3, WORD // 2 + 1, 6 * WORD // 7 - 1, 6 * WORD // 7 + 1, WORD - 1):
            found, _ = chosen([-5] * number, Fraction(1024), [word, 123, 456])
            assert found == number * word // WORD


def test_equal_scores_have_sharp_weights() -> None:
    half = WORD // 2
    assert chosen([4, 4], Fraction(1), [half]) == (1, 1)
    assert chosen([4, 4], Fraction(1), [half - 1]) == (0, 1)
    assert chosen([4], Fraction(1), [0]) == (0, 1)
    assert chosen([4], Fraction(1), [WORD - 1]) == (0, 1)
    third = WORD // 3  # a threshold that is no dyadic number shares its word, however sharp the weights
    assert chosen([4, 4, 4], Fraction(1), [third, third - 1]) == (0, 2)
    assert chosen([4, 4, 4], Fraction(1), [third, third, third + 1]) == (1, 3)


@pytest.mark.parametrize("word", [0, WORD - 1])
def test_the_ends_of_the_uniform(word: int) -> None:
    """There the interval of the uniform reaches 0 or 1, where the first or last candidate lies, whatever its weight."""
    assert chosen([3, 1, 2], Fraction(1), [word, word, 5])[0] == (0 if word == 0 else 2)
    faint = [0, 10**6, 0]  # weights of exp(-10^6): only 1.4 million zeros or ones would choose them
    assert chosen(faint, Fraction(1), [word, 5, 5])[0] == 1


@pytest.mark.parametrize(
    ("scores", "scale"),
    [
        ([LIMITS.min, LIMITS.max], FINEST),
        ([LIMITS.max, LIMITS.min, 0], Fraction(2**58)),
        ([LIMITS.max, LIMITS.min, 0, 12], COARSEST),
        ([LIMITS.max, LIMITS.max - 1, LIMITS.max - 2], Fraction(1)),
        ([LIMITS.min, LIMITS.min + 1], Fraction(3, 4)),
        ([2**53, 2**53 + 1], Fraction(0.5)),
    ],
)
def test_frequencies_over_evenly_spaced_words(scores: list[int], scale: Fraction) -> None:
    """Words at the middles of 512 equal parts: each candidate gets its probability within one part."""
    parts = 512
    found = Counter(chosen(scores, scale, [(2 * k + 1) * WORD // (2 * parts), 1, 2])[0] for k in range(parts))
    edges = [Decimal(0), *thresholds(scores, scale)]
    for index in range(len(scores)):
        assert abs(found[index] - parts * (edges[index + 1] - edges[index])) <= 1


@settings(deadline=None, max_examples=60)
@given(Case.scores, st.integers(-(2**40), 2**40), st.lists(st.integers(0, WORD - 1), min_size=3, max_size=3))
def test_a_constant_added_to_all_scores_changes_nothing(scores: list[int], shift: int, words: list[int]) -> None:
    near = [score % 2**41 for score in scores]
    assert chosen(near, Fraction(2**38), words) == chosen([score + shift for score in near], Fraction(2**38), words)


gaps = st.lists(st.integers(0, 200) | st.integers(0, 2**64), min_size=1, max_size=6)


@settings(deadline=None, max_examples=200)
@given(gaps, Case.scales | st.just(FINEST), st.integers(64, 400))
def test_weights_are_enclosed_and_narrowly(gaps: list[int], scale: Fraction, places: int) -> None:
    found = room.weights(gaps, scale, places)
    with localcontext(prec=DIGITS, Emin=-(10**17), Emax=10**17, traps=[]):
        for gap, low, high in zip(gaps, found.lows, found.highs, strict=True):
            exact = (-Decimal(gap) * scale.denominator / scale.numerator).exp() * 2**places
            assert low <= exact <= high or (gap == 0 and low == high == 2**places)
            assert 0 <= high - low <= 200


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(0.3), Fraction(21196.8), COARSEST])
def test_out_of_reach_means_below_the_last_place(scale: Fraction) -> None:
    places = 107
    reach = room._table(scale, places).reach
    assert room.weights([reach], scale, places) == room.Weights([0], [1])
    assert room.weights([reach - 1], scale, places).highs[0] >= 0
    with localcontext(prec=60):
        assert (-Decimal(reach) * scale.denominator / scale.numerator).exp() * 2**places < 1


@settings(deadline=None, max_examples=200)
@given(Case.scores, Case.scales | st.sampled_from([FINEST, COARSEST]), st.integers(0, WORD - 1))
def test_what_is_proposed_is_what_is_decided(scores: list[int], scale: Fraction, word: int) -> None:
    found = room.proposed(np.array(scores, dtype=np.int64), scale, word)
    gaps = [max(scores) - score for score in scores]
    assert found in (None, room.decided(room.weights(gaps, scale, 400), word, 64))


def test_a_draw_among_many_is_proposed() -> None:
    """Weights of every size; each word's answer is that of the certified integers, and hardly any is in doubt."""
    rng = np.random.default_rng(5)
    scale = Fraction(21196.8)
    scores = rng.integers(-400_000, 400_000, 3000)
    exact = room.weights([int(scores.max()) - int(score) for score in scores], scale, 128)
    words = [int.from_bytes(rng.bytes(8), "big") for _ in range(100)]
    found = [room.proposed(scores, scale, word) for word in words]
    assert found == [room.decided(exact, word, 64) for word in words]
    assert None not in found


@pytest.mark.parametrize("scale", [FINEST, Fraction(0.3), Fraction(21196.8), Fraction(2**57), COARSEST])
def test_rounded_weights_are_as_near_as_they_say(scale: Fraction) -> None:
    table = room._rounded(scale)
    with localcontext(prec=60, Emin=-(10**17), Emax=10**17):
        for j, part in enumerate(table.parts):
            for d in (0, 1, 2, 77, 128, 255):
                exact = (-Decimal(d * 256**j) * scale.denominator / scale.numerator).exp()
                assert abs(Decimal(float(part[d])) - exact) <= Decimal(2) ** -53
    assert 256 ** len(table.parts) >= min(table.reach, WORD)


def test_a_doubt_is_never_decided() -> None:
    """By hand: with weights enclosed as [1, 2] and [1, 2], only U S <= 1 for every S up to 4 is certain to be below."""
    found = room.Weights([1, 1], [2, 2])
    assert [room.decided(found, known, 4) for known in range(16)] == [0] * 4 + [None] * 12
    sharp = room.Weights([8, 8], [8, 8])
    assert [room.decided(sharp, known, 4) for known in range(16)] == [0] * 8 + [1] * 8


def test_bits_are_read_once_and_only_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def urandom(number: int) -> bytes:
        asked.append(number)
        return b"\x3a" * number

    monkeypatch.setattr("os.urandom", urandom)
    scores = np.arange(1000, dtype=np.int64)
    room.choose(scores, Fraction(64))
    assert asked == [8]
    assert scores.tolist() == list(range(1000))
