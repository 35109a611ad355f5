"""Bins found in noisy counts: exact least squares on a tree, runs that hold enough, spikes, bounds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.encoding import Codec, codecs
from dpsynth.measurement import Grid, Level, NoisyMarginal, Query, Replayer, grid, pack
from dpsynth.mechanisms import REGISTRY, by_name
from dpsynth.mechanisms.bins import Consistent, Support, joined, runs
from dpsynth.mechanisms.density import MOST_CELLS
from dpsynth.mechanisms.oneway import first_steps, measure_first
from dpsynth.privacy import Measure
from dpsynth.sampling import IntegerTables
from dpsynth.sampling.archive import to_bytes
from dpsynth.schema import Integer, Real, Schema
from tests.mechanisms.fake import FakeMeasurer

ROWS = 8000
RNG = np.random.default_rng(5)
GAIN = np.where(RNG.random(ROWS) < 0.8, 0, np.where(RNG.random(ROWS) < 0.3, 99_999, RNG.integers(1, 30_000, ROWS)))
RATE = np.round(RNG.lognormal(1, 0.6, ROWS), 3)
AGE = np.clip(RNG.normal(45, 15, ROWS).astype(int), 17, 99)


def schema(found: bool) -> Schema:
    bounds = {"bounds": "private"} if found else {}
    return Schema(
        columns={
            "gain": Integer(**(bounds or {"min": 0, "max": 99_999, "bins": "private"}), nullable=True),
            "rate": Real(**(bounds or {"min": 0.0, "max": 50.0, "bins": "private"})),
            "age": Integer(**(bounds or {"min": 0, "max": 120, "bins": "private"})),
        }
    )


def codes_of(known: tuple[Codec, ...]) -> np.ndarray:
    missing = np.arange(ROWS) % 10 == 3
    values = [pa.array(GAIN, mask=missing), pa.array(RATE), pa.array(AGE)]
    return np.stack([codec.encode(column) for codec, column in zip(known, values, strict=True)], axis=1)


def fake_of(found: bool, seed: int = 1, measure: Measure = "gdp") -> tuple[FakeMeasurer, tuple[Codec, ...]]:
    known = codecs(schema(found))
    g = grid(known)
    return FakeMeasurer(g.domain, codes_of(known), seed, g.levels, measure, g.hierarchies, g.trees), known


def noisy(level: Level, values: np.ndarray, sigma: int) -> NoisyMarginal:
    return NoisyMarginal(Query((level,)), values.astype(np.int64), Fraction(sigma), "rounded_gaussian", 1)


@given(st.integers(0, 2**32), st.integers(2, 30))
def test_counts_on_a_tree_are_those_of_least_squares(seed: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    fine = Level.identity("a", cells)
    levels = [fine]
    while levels[-1].size > 1 and len(levels) < 4:
        cuts = rng.random(levels[-1].size) < 0.4
        cuts[0] = False
        levels.append(levels[-1].merged(np.cumsum(cuts)))
    sigmas = rng.integers(1, 9, len(levels)).tolist()
    answers = [noisy(level, rng.integers(-9, 90, level.size), s) for level, s in zip(levels, sigmas, strict=True)]
    design = np.concatenate([np.arange(level.size)[:, None] == level.cells for level in levels]) / 1.0
    weights = np.concatenate([np.full(level.size, s**-2.0) for level, s in zip(levels, sigmas, strict=True)])
    observed = np.concatenate([answer.values for answer in answers])
    covariance = np.linalg.inv(design.T @ (weights[:, None] * design))
    tree = Consistent.of(answers, levels)
    np.testing.assert_allclose(tree.counts, covariance @ (design.T @ (weights * observed)), atol=1e-6)
    groups = levels[-1].cells.astype(np.intp)
    sums = (np.arange(levels[-1].size)[:, None] == groups) / 1.0
    expected = float(np.mean(np.diag(sums @ covariance @ sums.T)))
    assert tree.variance(groups, levels[-1].size) == pytest.approx(expected)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.integers(1, 500), st.integers(1, 12))
def test_bins_are_few_runs_and_a_heavy_cell_is_alone(counts: list[int], threshold: int, most: int) -> None:
    bins = runs(counts, threshold, most)
    assert bins[0] == 0 and bins[-1] < most
    assert all(later - first in (0, 1) for first, later in pairwise(bins))
    held = [sum(c for c, b in zip(counts, bins, strict=True) if b == bin_) for bin_ in range(bins[-1] + 1)]
    assert most < 3 or len(held) == 1 or sum(h >= threshold for h in held) * 2 + 1 >= len(held)


def test_runs_close_when_they_hold_enough() -> None:
    assert runs([1, 1, 9, 1, 1, 1, 1], 3, 9) == (0, 0, 1, 2, 2, 2, 2)
    assert runs([1, 2, 1, 2, 1], 3, 9) == (0, 0, 1, 1, 1)
    assert runs([9, 1, 9], 3, 9) == (0, 1, 2)
    assert runs([9, 9, 9, 9], 3, 2) == (0, 0, 1, 1)
    assert runs([0, 0], 1, 5) == (0, 0)


def test_the_join_of_two_levels() -> None:
    one, two = Level("a", np.array([0, 0, 1, 1, 2, 2])), Level("a", np.array([0, 1, 1, 1, 2, 3]))
    assert joined(one, two).cells.tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("found", [False, True])
@pytest.mark.parametrize("measure", ["gdp", "pure"])
def test_spikes_keep_their_spike_and_bounds_are_kept(found: bool, measure: Measure) -> None:
    fake, known = fake_of(found, measure=measure)
    first = measure_first(fake, Fraction(30) if measure == "pure" else Fraction(2), Fraction(1, 2))
    codes = codes_of(known)
    for codec in known:
        one = first.known[codec.name]
        assert one.level.size <= fake.levels[codec.name].size
        weights = one.spread(one.level.merged(np.zeros(one.level.size, dtype=np.intp)), ROWS)
        share = weights / weights.sum()
        assert share.min() >= 0
        true = np.bincount(codes[:, known.index(codec)], minlength=codec.size) / ROWS
        assert np.abs(np.cumsum(share - true)).max() < 0.03
        if found:
            values = np.flatnonzero(true[: codec.leaves])
            low, high = (int(codec.octaves[place]) for place in (values[0], values[-1]))
            used = codec.octaves[np.flatnonzero(share[: codec.leaves])]
            assert low <= used.min() and used.max() <= high
    gain, codec = first.known["gain"], known[0]
    share = gain.spread(gain.level.merged(np.zeros(gain.level.size, dtype=np.intp)), ROWS) / ROWS
    zero, top, null = (int(codec.encode(pa.array([value], pa.int64()))[0]) for value in (0, 99_999, None))
    for spike, expected in ((zero, 0.72), (top, 0.9 * float(np.mean(GAIN == 99_999))), (null, 0.1)):
        assert share[spike] == pytest.approx(expected, abs=0.01)
        alone = gain.level.cells == gain.level.cells[spike]
        assert share[alone].sum() == pytest.approx(share[spike], abs=0.001)
    if not found:
        assert codec.decode(np.array([zero, top]), np.full(2, 2**63, np.uint64)).to_pylist() == [0, 99_999]


def test_no_octave_holds_enough() -> None:
    fake, known = fake_of(True)
    tree = fake.trees["age"]
    coarsest = tree.levels[-1]
    values = np.zeros(coarsest.size)
    values[7] = 1
    support = Support.found(tree, noisy(coarsest, values, 10))
    assert set(known[2].octaves[np.flatnonzero(support.inside)]) == set(range(3, 8))
    assert support.spread(np.ones(support.level.size))[~support.inside].max() == 0
    assert all(fine.onto(coarse) is not None for fine, coarse in pairwise(support.levels(tree)))


@pytest.mark.parametrize("found", [False, True])
def test_what_is_asked_is_planned(found: bool) -> None:
    fake, _ = fake_of(found)
    measure_first(fake, Fraction(1), Fraction(1, 2))
    steps = first_steps(fake.domain, fake.levels, Fraction(1, 2), fake.trees)
    assert sum(step.share for step in steps[1:]) == Fraction(1, 2)
    for name in fake.domain.names:
        planned = [step for step in steps if step.columns == (name,)]
        asked = [answer for answer in fake.answers if answer.query.columns == (name,)]
        assert len(asked) <= len(planned)
        assert all(
            a.query.cells <= s.cells for a, s in zip(sorted(asked, key=lambda a: -a.query.cells), planned, strict=False)
        )
    assert fake.spent <= Fraction(1, 2) + Fraction(1, 200)


@pytest.mark.parametrize("name", sorted(REGISTRY))
@pytest.mark.parametrize("found", [False, True])
def test_every_mechanism_builds_on_what_is_found_and_replays(name: str, found: bool) -> None:
    fake, _ = fake_of(found)
    fitted = by_name(name).fit(fake, Fraction(1, 2))
    assert fake.spent <= Fraction(1, 2)
    replayed = by_name(name).fit(Replayer.of(fake.grid, fake.answers), Fraction(1, 2))
    assert to_bytes(IntegerTables.from_model(replayed)) == to_bytes(IntegerTables.from_model(fitted))
    assert abs(fitted.total - ROWS) < 500
    assert pack(fake.answers)


@pytest.mark.parametrize("found", [False, True])
@pytest.mark.parametrize("name", ["privbayes", "mrm", "mst"])
def test_a_pure_account_too(name: str, found: bool) -> None:
    fake, _ = fake_of(found, measure="pure")
    assert by_name(name).fit(fake, Fraction(2)).total > 0
    assert fake.spent <= 2


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("found", [False, True])
def test_an_empty_table_runs_like_any_other(rows: int, found: bool) -> None:
    known = codecs(schema(found))
    g: Grid = grid(known)
    fake = FakeMeasurer(g.domain, codes_of(known)[:rows], 3, g.levels, "gdp", g.hierarchies, g.trees)
    assert by_name("mrm").fit(fake, Fraction(1, 30)).total >= 0


def test_no_noise_level_leaves_a_column_without_bins() -> None:
    for seed in range(5):
        fake, _ = fake_of(True, seed)
        first = measure_first(fake, Fraction(1, 10**6), Fraction(1, 2))
        assert all(one.level.size >= 1 for one in first.known.values())


@pytest.mark.parametrize(("held", "parts"), [(-9, 1), (29, 1), (30, 2), (76, 5), (10**6, 125)])
def test_a_coarse_cell_is_asked_in_parts_that_hold_enough(held: int, parts: int) -> None:
    fake, _ = fake_of(False)
    tree = fake.trees["gain"]
    coarsest = tree.levels[-1]
    spikes = np.bincount(coarsest.cells, tree.spikes) > 0
    values = np.where(spikes, 10**6, 0)
    cell = int(np.flatnonzero(~spikes)[3])
    values[cell] = held
    support = Support.bounded(tree, noisy(coarsest, values, 10))
    assert support.dense and support.inside.all() and support.level.size == coarsest.size + parts - 1
    widths = np.bincount(support.level.cells)[support.level.onto(coarsest) == cell]
    assert len(widths) == parts and widths.max() - widths.min() <= 1


def test_however_many_rows_there_are_the_parts_are_few() -> None:
    fake, _ = fake_of(False)
    tree = fake.trees["gain"]
    for held in (10**5, 10**9):
        support = Support.bounded(tree, noisy(tree.levels[-1], np.full(tree.levels[-1].size, held), 10))
        assert MOST_CELLS // 2 < support.level.size <= MOST_CELLS


@pytest.mark.parametrize(("price", "fewest", "most"), [(Fraction(1, 10**5), 33, 37), (Fraction(100), 129, MOST_CELLS)])
def test_either_way_the_whole_price_is_spent(price: Fraction, fewest: int, most: int) -> None:
    fake, _ = fake_of(False)
    measure_first(fake, price, Fraction(1, 2))
    assert fake.spent == price * Fraction(101, 200)
    asked = [answer.query.cells for answer in fake.answers if answer.query.columns == ("rate",)]
    assert len(asked) == 2 and fewest <= max(asked) <= most
