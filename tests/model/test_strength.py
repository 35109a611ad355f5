from __future__ import annotations

import numpy as np

from dpsynth.model.strength import COARSE, FINE, LEAST, ridges

RNG = np.random.default_rng(4)
EXPECTED = RNG.dirichlet(np.full(400, 0.5)).reshape(20, 20) * 50_000
NOISE = 25.0


def ridge(off: np.ndarray, stddev: float, expected: np.ndarray) -> float:
    return float(ridges(off.reshape(1, -1), np.array([stddev]), expected.reshape(1, -1))[0])


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


def test_tables_are_taken_one_by_one_however_many_come_together() -> None:
    rng = np.random.default_rng(6)
    expected = rng.dirichlet(np.full(9000, 0.5), size=3) * 50_000
    stddev = np.array([3.0, 25.0, 200.0])
    off = rng.normal(0, stddev[:, None], expected.shape) + rng.normal(0, np.sqrt(expected / 0.3))
    alone = [ridge(*one) for one in zip(off, stddev, expected, strict=True)]
    np.testing.assert_array_equal(ridges(off, stddev, expected), alone)
