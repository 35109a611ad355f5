"""Tables of the same columns at nested levels: the systems in which they overlap, against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import Domain
from dpsynth.model import Marginal, Measurement, estimate
from dpsynth.model.levels import Levels, nests_of
from dpsynth.model.stack import Stack
from tests.model.test_estimation import joint, valid

DOMAIN = Domain(("a", "b", "c"), (8, 6, 5))
FINE = {"a": np.arange(8), "b": np.arange(6)}
HALF = {"a": np.arange(8) // 2, "b": np.array([0, 0, 1, 1, 1, 2])}
FEW = {"a": np.arange(8) // 4, "b": np.array([0, 0, 1, 1, 1, 1])}
ACROSS = {"a": np.arange(8) % 3, "b": np.arange(6)}


def stacked(levels: list[dict[str, np.ndarray]]) -> tuple[tuple[Marginal, ...], Stack]:
    queries = tuple(Marginal.of(DOMAIN, ("a", "b"), groups) for groups in levels)
    other = Marginal.of(DOMAIN, ("b", "c"), {})
    queries = (*queries[:1], other, *queries[1:])
    return queries, Stack(tuple(query.shape for query in queries))


def test_chains_go_from_fine_to_coarse() -> None:
    queries, stack = stacked([FEW, FINE, HALF])
    ((one, two), (three, four)), _ = nests_of(queries, stack)
    few, _, fine, half = stack.starts
    np.testing.assert_array_equal(one, fine + np.arange(48))
    np.testing.assert_array_equal(three, half + np.arange(12))
    table = np.random.default_rng(0).normal(size=(8, 6))
    sums = np.bincount(two - half, table.ravel())
    np.testing.assert_allclose(sums.reshape(4, 3), Marginal.of(DOMAIN, ("a", "b"), HALF).apply(table))
    again = np.bincount(four - few, sums).reshape(2, 2)
    np.testing.assert_allclose(again, Marginal.of(DOMAIN, ("a", "b"), FEW).apply(table))


def test_levels_that_cut_through_each_other_are_in_different_chains() -> None:
    queries, stack = stacked([ACROSS, HALF])
    assert nests_of(queries, stack) == ((), ())
    queries, stack = stacked([ACROSS, FINE, HALF])
    ((cells, _),), ((fine, coarse),) = nests_of(queries, stack)
    np.testing.assert_array_equal(cells, stack.starts[2] + np.arange(48))
    np.testing.assert_array_equal(fine, cells)
    assert set(coarse) == {*range(stack.starts[3], stack.starts[3] + 12)}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([FEW, FINE, HALF]), min_size=1, max_size=3, unique_by=id),
    st.integers(0, 999),
    st.booleans(),
)
def test_systems_of_nested_levels(levels: list[dict[str, np.ndarray]], seed: int, infinite: bool) -> None:
    rng = np.random.default_rng(seed)
    queries, stack = stacked(levels)
    nests, _ = nests_of(queries, stack)
    fine = np.ones(stack.size, dtype=bool)
    for _, coarse in nests:
        fine[coarse] = False
    blank = Levels(nests, np.ones(stack.size), None)
    sums = np.column_stack([blank.summed(row) for row in np.eye(stack.size)])[:, fine]
    np.testing.assert_array_equal(np.vstack([blank.total(row) for row in np.eye(stack.size)])[:, fine], sums)
    ridge, weights = np.exp(rng.normal(0, 2, stack.size)), np.exp(rng.normal(0, 2, stack.size)) * fine
    vector = rng.normal(size=stack.size)
    if not infinite:
        matrix = sums @ np.diag(weights[fine]) @ sums.T + np.diag(ridge)
        found = Levels(nests, ridge, sums @ weights[fine])(vector)
        np.testing.assert_allclose(found, np.linalg.solve(matrix, vector), rtol=1e-9, atol=1e-12)
        return
    found = Levels(nests, ridge, None)(vector)
    np.testing.assert_allclose(sums.T @ found, 0, atol=1e-9 * np.abs(found).max(initial=1))
    left = (vector - ridge * found) - sums @ (vector - ridge * found)[fine]
    np.testing.assert_allclose(left, 0, atol=1e-8 * np.abs(vector).max())


@pytest.mark.parametrize(("levels", "most"), [((FEW, FINE), 80), ((FINE, HALF, FEW), 80), ((ACROSS, FINE, HALF), 120)])
def test_nested_levels_do_not_crawl(levels: tuple[dict[str, np.ndarray], ...], most: int) -> None:
    rng = np.random.default_rng(3)
    full = rng.dirichlet(np.full(240, 0.2)).reshape(DOMAIN.sizes) * 50_000
    answers = []
    for columns in (("a", "b"), ("b", "c"), ("a", "c")):
        for groups in levels if columns == ("a", "b") else [{}]:
            blank = Marginal.of(DOMAIN, columns, groups)
            exact = blank.apply(full.sum(axis=3 - sum(DOMAIN.position[n] for n in columns)))
            answers.append(Measurement(blank, exact + rng.normal(0, 10, exact.shape), np.array(10.0)))
    found = estimate(DOMAIN, answers, 50_000.0)
    valid(found)
    assert found.convergence.converged
    assert found.convergence.evaluations < most
    one = None
    for end in range(3, len(answers) + 1):
        one = estimate(DOMAIN, answers[:end], 50_000.0, start=one, slack=0.01)
    warm = estimate(DOMAIN, answers, 50_000.0, start=one)
    assert np.abs(joint(warm) - joint(found)).sum() / 2 <= 2.1e-9
