"""A smooth density behind noisy counts: exact without noise, no mass where noise put it, spikes apart, any answers."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dpsynth.encoding import codecs
from dpsynth.measurement import Level, NoisyMarginal, Query, grid
from dpsynth.mechanisms.bins import Found, Support
from dpsynth.mechanisms.density import Counted, fitted
from dpsynth.mechanisms.oneway import OneWay
from dpsynth.schema import Integer, Schema

CELLS = 60
PLACES = np.arange(CELLS)


def answer(level: Level, values: np.ndarray, sigma: Fraction) -> NoisyMarginal:
    return NoisyMarginal(Query((level,)), values.astype(np.int64), sigma, "rounded_gaussian", 1)


def counted(values: np.ndarray, sigma: Fraction, spikes: tuple[int, ...] = ()) -> Counted:
    level = Level.identity("a", values.size)
    apart = np.isin(np.arange(values.size), spikes)
    return Counted(level, apart, False, (answer(level, values, sigma),), max(float(values.sum()), 1.0))


@given(st.lists(st.integers(0, 10**5), min_size=1, max_size=40).filter(any))
def test_without_noise_counts_are_kept(values: list[int]) -> None:
    found = counted(np.array(values), Fraction(1, 1000)).mass
    assert np.abs(found - values).max() < 0.5


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 10**6), st.integers(1, 10**5))
def test_any_answers_have_a_density(seed: int, cells: int, sigma: int, scale: int) -> None:
    rng = np.random.default_rng(seed)
    noisy = counted(rng.normal(0, scale, cells), Fraction(sigma), (0, cells - 1))
    assert np.isfinite(noisy.mass).all() and noisy.mass.min() >= 0


@given(
    st.lists(st.sampled_from([0, 1, -1, 2**50, -(2**50)]) | st.integers(-(2**50), 2**50), min_size=1, max_size=20),
    st.sampled_from([Fraction(1, 1000), Fraction(7), Fraction(10**7)]),
    st.booleans(),
    st.integers(1, 20),
    st.booleans(),
    st.floats(1, 2**50),
)
@example([0] * 9, Fraction(7), True, 9, True, 1.0)
@example([-(2**50)] * 9, Fraction(7), True, 9, True, 2.0**50)
@example([2**50, -(2**50)] * 5, Fraction(1, 1000), True, 3, True, 1.0)
@example([-5], Fraction(7), True, 1, True, 1.0)
def test_no_answers_break_it(
    values: list[int], sigma: Fraction, nullable: bool, parts: int, spikes: bool, rows: float
) -> None:
    """However large, against each other or the number of rows, where the finest level is counted; no warning."""
    level = Level.identity("a", len(values))
    coarse = level.merged(np.minimum(np.arange(len(values)), parts - 1))
    answers = answer(level, np.array(values), sigma), answer(coarse, np.array(values[: coarse.size]), sigma)
    apart = np.full(len(values), spikes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for asked in (answers, answers[:1]):
            mass = Counted(level, apart, nullable, asked, rows).mass
            assert np.isfinite(mass).all() and mass.min() >= 0


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=40),
    st.sampled_from([Fraction(1, 1000), Fraction(7), Fraction(10**4)]),
    st.booleans(),
)
def test_it_holds_about_as_many_rows_as_were_counted(values: list[int], sigma: Fraction, nullable: bool) -> None:
    level, rows = Level.identity("a", len(values)), float(sum(values))
    asked = (answer(level, np.array(values), sigma),)
    mass = Counted(level, np.zeros(len(values), bool), nullable, asked, max(rows, 1.0)).mass
    assert abs(mass.sum() - rows) <= 2 + 0.01 * rows + float(sigma)


def test_a_tail_falls_off() -> None:
    """What the nearest non-negative table keeps of noise far out, a density does not."""
    rng = np.random.default_rng(3)
    true = 6000 * np.exp(-PLACES / 4) / np.exp(-PLACES / 4).sum()
    left, right = [], []
    for _ in range(10):
        noisy = np.rint(true + rng.normal(0, 30, CELLS))
        found = counted(noisy, Fraction(30)).mass
        left.append(np.abs(np.cumsum(found - true)).sum() / 6000)
        right.append(np.abs(np.cumsum(np.maximum(noisy, 0) / np.maximum(noisy, 0).sum() - true / 6000)).sum())
    assert np.mean(left) < 0.6 * np.mean(right)


@pytest.mark.parametrize(("held", "kept"), [(2000, True), (20, False)])
def test_a_spike_that_noise_does_not_explain_stands_apart(held: int, kept: bool) -> None:
    true = 3000 * np.exp(-((PLACES - 20) ** 2) / 50) / 12
    true[-1] = held
    found = counted(np.rint(true), Fraction(40), (CELLS - 1,)).mass
    assert (found[-1] > 0.9 * held) if kept else (found[-1] < 5)
    assert found[-2] < 1


def test_null_is_nobody_s_neighbour() -> None:
    level = Level.identity("a", CELLS)
    values = np.append(np.full(CELLS - 1, 100), 5)
    found = Counted(level, np.zeros(CELLS, bool), True, (answer(level, values, Fraction(20)),), 5905.0).mass
    assert found[-1] == pytest.approx(5, abs=2) and found[-2] == pytest.approx(100, abs=5)


def test_coarse_answers_tell_of_fine_cells_by_their_neighbours() -> None:
    level = Level.identity("a", CELLS)
    coarse = level.merged(PLACES // 6)
    true = 1000 * np.exp(-PLACES / 10)
    values = np.bincount(PLACES // 6, true)
    none = np.zeros(CELLS, bool)
    known = Counted(level, none, False, (answer(coarse, np.rint(values), Fraction(5)),), float(true.sum()))
    assert np.abs(known.mass - true).max() < 20


def test_wide_cells_hold_more() -> None:
    widths = np.array([1.0, 1, 2, 4, 4])
    found = fitted(np.eye(5) * 0.01, widths, widths, np.ones(5, bool))
    assert found == pytest.approx(100 * widths, rel=0.01)


def test_few_values_are_found_exactly_without_noise() -> None:
    """A column of a few values in found bins: its values are the private ones, however its bins are merged."""
    (codec,) = codecs(Schema(columns={"a": Integer(min=0, max=20, bins="private", nullable=True)}))
    tree = grid((codec,)).trees["a"]
    counts = np.bincount(codec.encode(pa.array([0] * 900 + [1] * 60 + [2] * 30 + [7] * 9 + [None] * 40)), minlength=22)
    asked = answer(tree.levels[0], counts, Fraction(1, 1000))
    support = Support.bounded(tree, asked)
    found = Found.of(support, [asked], 1039.0, 32)
    one = OneWay(found.level, found.counts, found.sigma, found.inside, found.counted)
    whole = one.level.merged(np.zeros(one.level.size, dtype=np.intp))
    np.testing.assert_allclose(one.spread(whole, 1039.0), counts, atol=0.1)
    again = one.and_of([answer(one.level, np.bincount(one.level.cells, counts), Fraction(1, 1000))])
    np.testing.assert_allclose(again.spread(whole, 1039.0), counts, atol=0.1)
    assert again.sigma < one.sigma
