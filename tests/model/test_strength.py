from __future__ import annotations

import numpy as np

from dpsynth.model.strength import LEAST, STRENGTHS, likelihoods, ridges

RNG = np.random.default_rng(4)
EXPECTED = RNG.dirichlet(np.full(400, 0.5)).reshape(20, 20) * 50_000
NOISE = 25.0


def ridge(off: np.ndarray, stddev: float, expected: np.ndarray) -> float:
    return float(together(off.reshape(1, -1), np.array([stddev]), expected.reshape(1, -1))[0])


def together(off: np.ndarray, stddev: np.ndarray, expected: np.ndarray, freedom: float = 1.0) -> np.ndarray:
    seen = likelihoods(off, stddev, expected, np.full(len(off), freedom))
    return ridges(seen, stddev, expected.mean(axis=1))


def test_a_table_that_is_noise_is_drawn_to_independence() -> None:
    noisy = EXPECTED + RNG.normal(0, 25, EXPECTED.shape)
    assert 100 < ridge(noisy - EXPECTED, NOISE, EXPECTED) <= STRENGTHS[-1] * NOISE**2


def test_a_strong_dependence_is_left_alone() -> None:
    noisy = np.roll(EXPECTED, 3, axis=1) + RNG.normal(0, 25, EXPECTED.shape)
    assert ridge(noisy - EXPECTED, NOISE, EXPECTED) == LEAST * NOISE


def test_the_strength_is_that_of_the_prior_it_was_drawn_from() -> None:
    for strength in (0.02, 0.2, 1.0):
        table = EXPECTED + RNG.normal(0, np.sqrt(EXPECTED / strength)) + RNG.normal(0, 5, EXPECTED.shape)
        found = ridge(table - EXPECTED, 5.0, EXPECTED)
        assert 0.5 * strength * 25 <= max(found, 1.25) <= max(2 * strength * 25, 1.25)


def test_likelihoods_are_those_of_each_table_however_many_come_together() -> None:
    rng = np.random.default_rng(6)
    expected = rng.dirichlet(np.full(9000, 0.5), size=3) * 50_000
    stddev = np.array([3.0, 25.0, 200.0])
    off = rng.normal(0, stddev[:, None], expected.shape) + rng.normal(0, np.sqrt(expected / 0.3))
    rows = zip(off, stddev, expected, strict=True)
    alone = [likelihoods(o[None], np.array([s]), e[None], np.ones(1))[0] for o, s, e in rows]
    np.testing.assert_allclose(likelihoods(off, stddev, expected, np.ones(3)), alone, rtol=1e-12)


def test_what_most_small_tables_show_decides_for_one_that_could_be_either() -> None:
    """A table of one free number, twice its noise, among such that are mere noise, and among dependent ones."""
    sign, cells, rng = np.array([1.0, -1.0, -1.0, 1.0]), np.full((60, 4), 250.0), np.random.default_rng(7)
    noise, doubtful = np.full(60, 20.0), 2 * 20.0 / 2
    quiet, loud = (np.append(doubtful, rng.normal(0, scale / 2, 59))[:, None] * sign for scale in (20.0, 120.0))
    among_noise, among_dependent = (together(off, noise, cells, 0.25)[0] for off in (quiet, loud))
    assert among_noise > 5 * among_dependent
    assert among_dependent < 250 / 4


def test_the_freedom_of_a_table_counts() -> None:
    """Sixty centred tables whose interaction varies as much as its noise are drawn half way."""
    rng, sign = np.random.default_rng(8), np.array([1.0, -1.0, -1.0, 1.0])
    found = rng.normal(0, np.sqrt(2) * 20.0 / 2, 400)[:, None] * sign
    drawn = together(found, np.full(400, 20.0), np.full((400, 4), 250.0), 0.25)
    assert 0.35 < np.median(250 / (250 + drawn)) < 0.65
