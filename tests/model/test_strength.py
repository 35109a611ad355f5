from __future__ import annotations

import numpy as np

from dpsynth.model.strength import COARSE, FINE, LEAST, ridge

RNG = np.random.default_rng(4)
EXPECTED = RNG.dirichlet(np.full(400, 0.5)).reshape(20, 20) * 50_000
NOISE = 25.0


def test_a_table_that_is_noise_is_drawn_to_independence() -> None:
    noisy = EXPECTED + RNG.normal(0, 25, EXPECTED.shape)
    assert 100 < ridge(noisy - EXPECTED, NOISE, EXPECTED) <= max(COARSE) * max(FINE) * NOISE**2


def test_a_strong_dependence_is_left_alone() -> None:
    noisy = np.roll(EXPECTED, 3, axis=1) + RNG.normal(0, 25, EXPECTED.shape)
    assert ridge(noisy - EXPECTED, NOISE, EXPECTED) == LEAST * NOISE


def test_the_strength_is_that_of_the_prior_it_was_drawn_from() -> None:
    for strength in (0.02, 0.2, 1.0):
        table = EXPECTED + RNG.normal(0, np.sqrt(EXPECTED / strength)) + RNG.normal(0, 5, EXPECTED.shape)
        found = ridge(table - EXPECTED, 5.0, EXPECTED)
        assert 0.5 * strength * 25 <= max(found, 1.25) <= max(2 * strength * 25, 1.25)
