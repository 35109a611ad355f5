from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import LATTICE
from dpsynth.mechanisms import smoothing
from dpsynth.mechanisms.smoothing import smoothed

TABLES = st.lists(st.integers(-1000, 10**6), min_size=1, max_size=40).map(lambda cells: np.array(cells, dtype=float))


@settings(max_examples=60, deadline=None)
@given(TABLES, st.floats(0.01, 1e6))
def test_the_sum_stays_and_the_grid_is_public(table: np.ndarray, sigma: float) -> None:
    found = smoothed(table, sigma)
    assert found.shape == table.shape and np.isfinite(found).all()
    assert found.sum() == pytest.approx(table.sum(), abs=table.size / LATTICE + 1e-9 * np.abs(table).sum())
    assert (np.rint(found * LATTICE) == found * LATTICE).all()


@given(TABLES)
def test_without_noise_nothing_changes(table: np.ndarray) -> None:
    assert (smoothed(table, 0.0) == table).all()
    assert np.allclose(smoothed(table, 1e-9), table, rtol=0, atol=1 / LATTICE + 1e-6 * np.abs(table).max())


def test_noise_alone_becomes_flat() -> None:
    rng = np.random.default_rng(1)
    flat = np.full(64, 500.0)
    off = [np.abs(smoothed(flat + rng.normal(0, 30, 64), 30.0) - flat).mean() for _ in range(20)]
    assert np.mean(off) < 30 * 0.8 / 3


@pytest.mark.parametrize("sigma", [10.0, 100.0, 300.0])
def test_slopes_and_spikes_come_nearer_to_the_truth(sigma: float) -> None:
    rng = np.random.default_rng(2)
    truth = 400 * np.exp(-((np.arange(90) - 35.0) ** 2) / 500)
    truth[40] += 9000
    noisy = [truth + rng.normal(0, sigma, truth.size) for _ in range(30)]
    before = np.mean([np.abs(y - truth).sum() for y in noisy])
    after = np.mean([np.abs(smoothed(y, sigma) - truth).sum() for y in noisy])
    assert after < 0.95 * before


def test_unlike_neighbours_are_left_alone() -> None:
    rng = np.random.default_rng(3)
    truth = rng.permutation(np.array([9000.0, 4000, 100, 2500, 6000, 1200, 300, 8000, 40, 700, 5000, 3000]))
    noisy = [truth + rng.normal(0, 20, truth.size) for _ in range(30)]
    before = np.mean([np.abs(y - truth).sum() for y in noisy])
    assert np.mean([np.abs(smoothed(y, 20.0) - truth).sum() for y in noisy]) < 1.1 * before


def test_many_cells_are_smoothed_by_weights_of_groups_as_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    truth = np.where(rng.random(9000) < 0.01, 2000.0, 0.0) + 300 * np.exp(-((np.arange(9000) - 3000.0) ** 2) / 10**6)
    noisy = np.rint(truth + rng.normal(0, 40, 9000))
    grouped = smoothed(noisy, 40.0)
    monkeypatch.setattr(smoothing, "MOST_WEIGHED", 10**6)
    assert np.abs(grouped - smoothed(noisy, 40.0)).max() < 0.1
