"""RoundedGaussianNoise: the exact law, cell by cell from known bits; nothing skipped, nothing used twice."""

from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtri

from dpsynth.noise import RoundedGaussianNoise
from dpsynth.noise import rounded as room
from dpsynth.noise.normal import upper_tail
from dpsynth.noise.segments import Cells, cells
from tests.noise.oracle import density, probability

TOP = 2**64 - 1
LIMITS = np.iinfo(np.int64)
COARSE = 16


class Stream:
    """A known stream in place of the operating system's: words for the counts, then those for the undecided."""

    def __init__(self, words: list[int], further: list[int]) -> None:
        self.words = np.array(words, dtype=np.uint64)
        self.further = further
        self.read = 0
        self.asked: list[int] = []

    def __call__(self, number: int) -> bytes:
        self.asked.append(number)
        if self.read < self.words.size:
            self.read += number // 8
            return self.words[self.read - number // 8 : self.read].tobytes()
        return self.further.pop(0).to_bytes(8, "big")


def noise_of(words: list[int], sigma: Fraction, further: list[int] | None = None, centre: int = 0) -> list[int]:
    """What the words become; every further word must be used."""
    stream = Stream(words, [] if further is None else further)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_entropy", stream)
        drawn = RoundedGaussianNoise().noisy(np.full(len(words), centre, dtype=np.int64), sigma)
    assert stream.read == len(words)
    assert stream.further == []
    found: list[int] = drawn.tolist()
    return found


class TestCells:
    """Every coarse prefix once: a cell holds its share of them, but for the two at its ends."""

    @pytest.mark.parametrize("sigma", [Fraction(1, 4), Fraction(0.35), Fraction(1), Fraction(5.7787), Fraction(100)])
    def test_each_holds_its_share_within_one(self, sigma: Fraction) -> None:
        middles = [(prefix << 64 - COARSE) + (1 << 63 - COARSE) for prefix in range(2**COARSE)]
        found = Counter(noise_of(middles, sigma))
        assert sum(found.values()) == 2**COARSE
        for n in range(-int(6 * sigma) - 3, int(6 * sigma) + 4):
            assert abs(found.pop(n, 0) - probability(n, sigma) * 2**COARSE) <= 1
        assert not found

    def test_the_order_is_kept(self) -> None:
        words = sorted(int.from_bytes(np.random.default_rng(3).bytes(8)) for _ in range(2000))
        noise = noise_of(words, Fraction(1000))
        assert noise == sorted(noise)

    def test_it_is_symmetrical(self) -> None:
        words = np.random.default_rng(4).integers(0, TOP, 2000, dtype=np.uint64, endpoint=True).tolist()
        assert noise_of([TOP - word for word in words], Fraction(7)) == [-n for n in noise_of(words, Fraction(7))]


class TestBoundaries:
    SIGMAS = (Fraction(1, 8), Fraction(1), Fraction(100), Fraction(12345.678), Fraction(2**40))

    @pytest.mark.parametrize("sigma", SIGMAS, ids=float)
    @pytest.mark.parametrize("share", [0, Fraction(1, 3), 2, 5, 7])
    def test_the_words_around_one(self, sigma: Fraction, share: Fraction) -> None:
        """Before, at and after the word that a boundary cuts, on both sides; there the next word decides."""
        size = int(share * sigma)
        edge = (size + Fraction(1, 2)) / sigma
        if edge > 9 or density(edge) * 2**64 < 10 * sigma:
            return  # cells narrower than a word have no words of their own
        boundary, rest = divmod(upper_tail(edge, 128)[0], 2**64)
        outer, inner = size + 1, size
        for sign, flip in ((-1, 0), (1, TOP)):
            assert noise_of([flip ^ (boundary - 1)], sigma) == [sign * outer]
            assert noise_of([flip ^ (boundary + 1)], sigma) == [sign * inner]
            assert noise_of([flip ^ boundary], sigma, [rest - 2]) == [sign * outer]
            assert noise_of([flip ^ boundary], sigma, [rest + 2]) == [sign * inner]

    def test_as_many_words_as_it_takes(self) -> None:
        sigma = Fraction(3)
        digits = upper_tail(Fraction(1, 2), 64 * 5)[0]
        words = [digits >> 64 * k & TOP for k in range(4, -1, -1)]
        for end, size in ((words[-1] - 2, 2), (words[-1] + 2, 1)):
            assert noise_of([words[0]], sigma, [*words[1:-1], end]) == [-size]
            assert noise_of([TOP - words[0]], sigma, [*words[1:-1], end]) == [size]


class TestTails:
    @pytest.mark.parametrize("zeros", [1, 2, 5])
    @pytest.mark.parametrize("sigma", [Fraction(1, 1024), Fraction(1), Fraction(100), Fraction(2**40)], ids=float)
    def test_zeros_and_ones_without_end_are_followed(self, zeros: int, sigma: Fraction) -> None:
        further = [0] * (zeros - 1) + [2**63 + 12345]
        (low,), (high,) = (noise_of([word], sigma, list(further)) for word in (0, TOP))
        assert high == -low >= 0
        known, bits = 2**63 + 12345, 64 * (zeros + 1)
        outer, inner = ((high + half) / sigma for half in (Fraction(1, 2), Fraction(-1, 2)))
        assert upper_tail(outer, bits + 64)[1] <= known << 64
        assert high == 0 or upper_tail(inner, bits + 64)[0] >= (known + 1) << 64

    @pytest.mark.parametrize("word", [2**20 + 3, 2**30, 2**43])
    def test_sizes(self, word: int) -> None:
        assert abs(noise_of([word], Fraction(100))[0] - 100 * ndtri((word + 0.5) / 2**64)) < 1
        assert abs(noise_of([0], Fraction(100), [word])[0] - 100 * ndtri((word + 0.5) / 2**128)) < 1

    def test_a_tiny_sigma_is_no_noise_and_costs_no_more_words(self) -> None:
        words = [1, 2, TOP - 1, 2**63, 2**63 - 1, 12345, 2**40]
        for sigma in (Fraction(1, 2**100), Fraction(1, 1024)):
            assert noise_of(words, sigma) == [0] * 7


class TestEveryWayAgrees:
    @given(st.lists(st.integers(2**20, TOP - 2**20), min_size=1, max_size=8), st.floats(2**-10, 2**60))
    def test_fast_and_exact(self, words: list[int], sigma: float) -> None:
        """With the table's word never taken, the integers alone come to the same."""

        def doubtful(exact: Fraction) -> Cells:
            law = cells(exact)
            return Cells(law.sigma, law.whole, law.part, np.full(law.near.size, -1.0))

        try:
            fast = noise_of(words, Fraction(sigma))
        except IndexError:  # a word that does not decide: not at random, but hypothesis may find one
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, "cells", doubtful)
            assert noise_of(words, Fraction(sigma)) == fast

    @pytest.mark.parametrize("guess", [0, 1, 99, 100, 101, 102, 5000, 2**40])
    def test_any_guess(self, guess: int) -> None:
        for word in (2**61, TOP - 2**61, 2**62 + 12345, 2**30):
            assert room._decided(word, Fraction(87), guess) == noise_of([word], Fraction(87))[0]


class TestSums:
    @given(st.lists(st.tuples(st.integers(LIMITS.min, LIMITS.max), st.integers(-(2**63) + 1, LIMITS.max)), max_size=9))
    def test_they_stay_at_the_limits(self, pairs: list[tuple[int, int]]) -> None:
        counts, noise = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
        wanted = [min(max(a + b, LIMITS.min), LIMITS.max) for a, b in pairs]
        assert room._saturated_sum(counts, noise).tolist() == wanted

    @pytest.mark.parametrize(
        "centre", [0, 2**24 + 1, 10**8, 2**53 + 1, 2**62 + 3, -(2**62) - 3, LIMITS.max, LIMITS.min]
    )
    def test_noise_does_not_depend_on_the_count(self, centre: int) -> None:
        words, further = [2**62, TOP - 2**61, 0, TOP, 2**63], [77 << 40, 78 << 40]
        for sigma in (Fraction(1, 1024), Fraction(100), Fraction(10**6)):
            noise = noise_of(words, sigma, list(further))
            wanted = [min(max(centre + n, LIMITS.min), LIMITS.max) for n in noise]
            assert noise_of(words, sigma, list(further), centre) == wanted

    def test_noise_beyond_int64_may_still_come_back_into_it(self) -> None:
        """At sigma 2^60 words of zeros give noise below -2^63; on a large count the sum fits."""
        word, further = [0], [2**63]
        assert noise_of(word, Fraction(2**60), list(further)) == [LIMITS.min]
        back = noise_of(word, Fraction(2**60), list(further), LIMITS.max)[0]
        assert LIMITS.min < back < 0
        assert back - LIMITS.max < LIMITS.min


class TestEntropy:
    def test_one_word_a_count_and_one_more_when_it_does_not_decide(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stream = Stream([2**62, 0, 2**61, TOP, 2**60], [0, 99, 98])
        monkeypatch.setattr(room, "_entropy", stream)
        RoundedGaussianNoise().noisy(np.zeros(5, dtype=np.int64), Fraction(10))
        assert stream.asked == [40, 8, 8, 8]

    @pytest.mark.parametrize("size", [0, 1, room._BLOCK - 1, room._BLOCK, room._BLOCK + 1, 3 * room._BLOCK + 7])
    def test_every_word_is_used_once_in_its_place(self, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Words that lead to 0, 1, 2, ... at a wide sigma: read back, they are all there and in order."""
        sigma = Fraction(2**30)
        words = (np.arange(1, size + 1, dtype=np.uint64) * np.uint64(TOP // (size + 2))).tolist()
        stream = Stream(words, [])
        monkeypatch.setattr(room, "_entropy", stream)
        noise: NDArray[np.int64] = RoundedGaussianNoise().noisy(np.zeros(size, dtype=np.int64), sigma)
        assert sum(stream.asked) == 8 * size
        assert np.all(np.diff(noise) > 0)
        assert noise.shape == (size,)

    def test_without_the_stream_it_is_the_operating_systems(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def urandom(number: int) -> bytes:
            asked.append(number)
            return bytes(range(1, 9)) * (number // 8)

        monkeypatch.setattr("os.urandom", urandom)
        RoundedGaussianNoise().noisy(np.zeros(3, dtype=np.int64), Fraction(1))
        assert asked == [24]


def test_the_law_has_a_name_of_its_own() -> None:
    assert RoundedGaussianNoise().law == "rounded_gaussian"


def test_the_oracle_is_a_law() -> None:
    with localcontext(prec=60):
        for sigma in (Fraction(1, 3), Fraction(2)):
            reach = range(-int(16 * sigma) - 1, int(16 * sigma) + 2)
            assert abs(sum((probability(n, sigma) for n in reach), Decimal(0)) - 1) < Decimal("1e-50")
