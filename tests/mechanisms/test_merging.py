from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.measurement import Level
from dpsynth.mechanisms.merging import fitting, ladder, merge_rare
from dpsynth.mechanisms.oneway import OneWay

COUNTS = st.lists(st.integers(-50, 200), min_size=1, max_size=30)


def answer(counts: list[int], sigma: float = 10.0) -> OneWay:
    return OneWay(Level.identity("a", len(counts)), np.array(counts, dtype=np.float64), sigma)


@given(COUNTS, st.fractions(-10, 500))
def test_groups_are_runs_that_hold_enough(counts: list[int], threshold: Fraction) -> None:
    groups = merge_rare(counts, threshold)
    assert groups[0] == 0
    assert all(later - group in (0, 1) for group, later in pairwise(groups))
    held = [sum(c for c, g in zip(counts, groups, strict=True) if g == group) for group in range(groups[-1] + 1)]
    assert all(h >= threshold for h in held[:-1])
    first = [c for c, g in zip(counts, groups, strict=True) if g == groups[-1]]
    assert len(held) == 1 or any(sum(first[: n + 1]) >= threshold for n in range(len(first)))


@given(COUNTS, st.integers(1, 30))
def test_rungs_coarsen_down_to_one_cell(counts: list[int], largest: int) -> None:
    rungs = ladder(answer(counts), Fraction(3), largest)
    assert rungs[-1].size == 1
    assert all(rung.size <= largest for rung in rungs)
    for finer, coarser in pairwise(rungs):
        assert coarser.size < finer.size
        finer.onto(coarser)


def test_a_tie_stands_alone_and_the_rule_is_exact() -> None:
    third = Fraction(1, 3)
    assert merge_rare([30, 30, 30], Fraction(30)) == (0, 1, 2)
    assert merge_rare([30, 30, 30], 30 + third) == (0, 0, 0)
    assert merge_rare([1, 2, 30, 5, -9, 40], Fraction(30)) == (0, 0, 0, 1, 1, 1)
    assert merge_rare([40, 50, 3, 2], Fraction(30)) == (0, 1, 1, 1)
    assert merge_rare([-5, 0], Fraction(3)) == (0, 0)
    assert merge_rare([2**60, 1, 2**60 + 1], Fraction(2**60 + 1)) == (0, 0, 1)


def test_a_public_count_needs_no_merging() -> None:
    assert ladder(answer([0, 5, 0, 7], 0.0), Fraction(3), 99)[0].size == 4


@given(COUNTS, COUNTS, st.fractions(-5, 900))
def test_pairs_fit(one: list[int], two: list[int], cells: Fraction) -> None:
    first, second = ladder(answer(one), Fraction(1), 99), ladder(answer(two), Fraction(1), 99)
    left, right = fitting((first, second), cells)
    assert left.size * right.size <= max(cells, 1)
    if first[0].size * second[0].size <= cells:
        assert (left, right) == (first[0], second[0])


def test_the_larger_column_gives_way() -> None:
    wide, narrow = ladder(answer([100] * 16), Fraction(3), 99), ladder(answer([100] * 3), Fraction(3), 99)
    left, right = fitting((wide, narrow), Fraction(24))
    assert (left.size, right.size) == (8, 3)
    assert [level.size for level in fitting((wide, narrow, wide), Fraction(100))] == [4, 3, 8]


def test_declared_levels_stay_declared() -> None:
    declared = Level("a", np.array([0, 0, 1, 1, 2, 2]))
    rungs = ladder(OneWay(declared, np.array([5.0, 50.0, 50.0]), 10.0), Fraction(3), 99)
    assert rungs[0].cells.tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="not a coarsening"):
        rungs[0].onto(declared)


def declared(*groups: list[int]) -> list[Level]:
    return [Level("a", np.array(cells)) for cells in groups]


def test_rare_cells_merge_inside_their_group_then_whole_groups() -> None:
    state, region = declared([0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 1, 1])
    rungs = ladder(answer([50, 3, 40, 2, 9, 50, 30]), Fraction(3), 99, (state, region))
    assert [rung.cells.tolist() for rung in rungs] == [
        [0, 1, 1, 2, 2, 3, 4],  # 30: the second state holds too little, and nothing in its region is as whole
        [0, 0, 0, 0, 0, 1, 1],  # 60
        [0, 0, 0, 0, 0, 0, 0],  # 120
    ]


@given(COUNTS, st.integers(0, 2**32), st.integers(1, 30), st.booleans())
def test_rungs_respect_declared_groups(counts: list[int], seed: int, largest: int, null: bool) -> None:
    rng = np.random.default_rng(seed)
    size = len(counts)
    fine = np.sort(rng.integers(0, max(size // 2, 1), size)) if seed % 2 else rng.integers(0, max(size // 2, 1), size)
    fine = np.unique(fine, return_inverse=True)[1]
    coarse = np.unique(rng.integers(0, 3, fine.max() + 1), return_inverse=True)[1][fine]
    chain = [fine, coarse]
    if null:
        chain = [*(np.append(cells, cells.max() + 1) for cells in chain), np.append(np.zeros(size, dtype=int), 1)]
        counts = [*counts, 0]
    levels = declared(*chain)
    rungs = ladder(answer(counts), Fraction(3), largest, levels)
    assert rungs[-1].size == 1 and all(rung.size <= largest for rung in rungs)
    for finer, coarser in pairwise(rungs):
        assert coarser.size < finer.size
        finer.onto(coarser)
    for rung in rungs[:-1]:
        if null:
            assert (rung.cells == rung.cells[-1]).sum() == 1
        for group in range(rung.size):
            held = np.flatnonzero(rung.cells == group)
            if len(set(fine[held[held < size]])) > 1:  # of groups that are joined, each is there as a whole
                assert set(np.flatnonzero(np.isin(chain[0], chain[0][held]))) == set(held)


def test_null_stays_apart_to_the_last_rung() -> None:
    indicator = declared([0, 0, 0, 0, 1])
    rungs = ladder(answer([90, 80, 3, 40, 0]), Fraction(3), 99, indicator)
    assert all(rung.cells[4] == rung.size - 1 and (rung.cells == rung.size - 1).sum() == 1 for rung in rungs[:-1])
    assert rungs[-2].cells.tolist() == [0, 0, 0, 0, 1] and rungs[-1].size == 1
