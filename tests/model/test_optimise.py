from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.model.optimise import minimise


@dataclass(frozen=True, eq=False)
class Point:
    value: float
    gradient: np.ndarray
    metric: np.ndarray

    @property
    def size(self) -> float:
        return abs(self.value)

    @property
    def precondition(self) -> Callable[[np.ndarray], np.ndarray]:
        return lambda gradient: gradient / self.metric


def small(there: Point) -> bool:
    return float(np.abs(there.gradient).max()) < 1e-9


Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


def with_metric(function: Function, metric: np.ndarray) -> Callable[[np.ndarray], Point]:
    return lambda x: Point(*function(x), metric)


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(0, 999), st.floats(0.0, 4.0))
def test_quadratics(size: int, seed: int, decades: float) -> None:
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
    matrix = basis @ np.diag(10.0 ** rng.uniform(-decades / 2, decades / 2, size)) @ basis.T
    best = rng.normal(size=size)

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float((x - best) @ matrix @ (x - best)) / 2 + 1e6, matrix @ (x - best)

    found = minimise(with_metric(function, np.diag(matrix)), np.zeros(size), small, 10_000)
    assert found.done
    np.testing.assert_allclose(found.point, best, atol=1e-8 * 10**decades)


def test_steep_exponentials_from_far_away() -> None:
    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(over="ignore"):
            return float(np.sum(np.exp(x) - 3 * x)), np.exp(x) - 3

    found = minimise(with_metric(function, np.ones(3)), np.array([-40.0, 0.0, 60.0]), small, 2000)
    assert found.done
    np.testing.assert_allclose(found.point, np.log(3), rtol=1e-9)


def test_the_cap_is_kept_and_said() -> None:
    calls = []

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        calls.append(1)
        scale = 10.0 ** np.arange(8)
        return float(x @ (scale * x)), 2 * scale * x

    found = minimise(with_metric(function, np.ones(8)), np.ones(8), small, 5)
    assert not found.done
    assert found.evaluations == len(calls)
    assert len(calls) < 50


def test_a_function_without_digits_left_ends_the_search() -> None:
    found = minimise(with_metric(lambda x: (1.0, np.ones_like(x)), np.ones(2)), np.zeros(2), small, 10_000)
    assert not found.done


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(0, 999), st.floats(0.0, 3.0), st.sampled_from([1e-3, 1.0, 1e3]))
def test_near_enough_by_its_own_estimate(size: int, seed: int, decades: float, least: float) -> None:
    rng = np.random.default_rng(seed)
    diagonal = 10.0 ** rng.uniform(-decades / 2, decades / 2, size)
    best = rng.normal(0, 100, size)

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.sum(diagonal * (x - best) ** 2)) / 2, diagonal * (x - best)

    metric = diagonal * rng.uniform(0.5, 2, size)
    found = minimise(with_metric(function, metric), np.zeros(size), small, 10_000, least)
    assert found.done
    assert found.there.value <= least
