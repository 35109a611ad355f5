from __future__ import annotations

import numpy as np

from dpsynth.model.strength import GRID, ridge

RNG = np.random.default_rng(4)
EXPECTED = RNG.dirichlet(np.full(400, 0.5)).reshape(20, 20) * 50_000
NOISE = np.full((20, 20), 25.0)


def test_a_table_that_is_noise_is_drawn_to_independence() -> None:
    noisy = EXPECTED + RNG.normal(0, 25, EXPECTED.shape)
    found = ridge(noisy, NOISE, EXPECTED)
    assert (found > 100).all()
    assert (found <= max(GRID) * NOISE**2).all()


def test_a_strong_dependence_is_left_alone() -> None:
    noisy = np.roll(EXPECTED, 3, axis=1) + RNG.normal(0, 25, EXPECTED.shape)
    assert (ridge(noisy, NOISE, EXPECTED) == NOISE).all()


def test_the_strength_is_that_of_the_prior_it_was_drawn_from() -> None:
    for strength in (0.02, 0.2, 1.0):
        table = EXPECTED + RNG.normal(0, np.sqrt(EXPECTED / strength)) + RNG.normal(0, 5, EXPECTED.shape)
        found = ridge(table, np.full((20, 20), 5.0), EXPECTED).mean()
        assert 0.5 * strength * 25 <= max(found, 5.0) <= max(2 * strength * 25, 5.0)


def test_each_cell_has_its_own_noise() -> None:
    noise = np.where(np.arange(20) < 10, 1.0, 100.0)[:, None] * np.ones((20, 20))
    assert (ridge(EXPECTED, noise, EXPECTED) >= noise).all()
