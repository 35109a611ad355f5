"""The coordinates of the dual: what all answers say of each effect is what they say, and the maps are adjoint."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dpsynth.measurement import Domain
from dpsynth.model import JunctionTree, Marginal, Measurement, Residual, estimate
from dpsynth.model.dual import Dual
from dpsynth.model.effects import Effects
from dpsynth.model.main_effects import MainEffects, Seen
from tests.model.test_estimation import joint, measured
from tests.model.worlds import World, summed, summing, worlds

ROWS = 1000.0


def effects_of(world: World, scale: float = 20.0) -> tuple[Effects, list[tuple[Measurement, np.ndarray]]]:
    rng = world.rng
    asked = [(m, np.exp(rng.normal(2, 1, m.stddev.shape))) for m in measured(world, scale) if m.columns]
    for name in world.domain.names:
        size = world.domain.size(name)
        alone = Measurement.of(world.domain, (name,), rng.normal(ROWS / size, scale, size), scale)
        asked.append((alone, np.exp(rng.normal(2, 1, size))))
    for columns in world.cliques[:2]:
        if len(columns) > 1:
            marginal = Marginal.of(world.domain, columns, {})
            query = Residual(marginal)
            values = query.apply(rng.normal(0, 50, query.shape))
            asked.append((Measurement(query, values, np.array(scale)), np.exp(rng.normal(2, 1, ()))))
    return Effects.of(world.domain, asked, ROWS), asked


def flat(size: int) -> np.ndarray:
    return np.full(size, 1 / size)


@settings(max_examples=60, deadline=None)
@given(worlds(columns=5, cells=200))
def test_maps_are_adjoint(world: World) -> None:
    effects, _ = effects_of(world)
    rng = world.rng
    one, two = rng.normal(size=(2, effects.size))
    assert effects.pushed(one) @ two == pytest.approx(one @ effects.pulled(two), abs=1e-9)
    cliques = [*((name,) for name in effects.main.names), *effects.interactions]
    tables = [rng.normal(size=world.domain.shape(clique)) for clique in cliques]
    marginals = np.concatenate([np.zeros(0), *(table.ravel() for table in tables)])
    assert effects.spread(one) @ marginals == pytest.approx(one @ effects.seen(marginals), abs=1e-9)
    main = one[: effects.main.size]
    assert main @ effects.main.ridge(two[: main.size]) == pytest.approx(
        two[: main.size] @ effects.main.ridge(main), abs=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(worlds(columns=4, cells=100))
def test_effects_say_what_the_measurements_say(world: World) -> None:
    """Up to a constant, sum |Q t - y|^2 / (2 r) over all measurements is the same sum over all effects."""
    effects, asked = effects_of(world)
    if not effects.size:
        return
    rng = world.rng

    def both(shares: np.ndarray) -> tuple[float, float]:
        direct = 0.0
        for m, r in asked:
            values = (
                m.values
                if isinstance(m.query, Residual)
                else summing(m.values, np.broadcast_to(r, m.values.shape), ROWS)
            )
            direct += (
                float(np.sum((m.query.apply(summed(shares, world.domain, m.columns)) * ROWS - values) ** 2 / r)) / 2
            )
        cliques = [*((name,) for name in effects.main.names), *effects.interactions]
        tables = [summed(shares, world.domain, clique).ravel() * ROWS for clique in cliques]
        off = effects.centred(effects.seen(np.concatenate(tables))) - effects.values
        return direct, effects.gap(off)

    tables = [rng.dirichlet(np.ones(prod(world.domain.sizes))).reshape(world.domain.sizes) for _ in range(3)]
    direct, ours = np.array([both(table) for table in tables]).T
    np.testing.assert_allclose(np.diff(direct), np.diff(ours), rtol=1e-7, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(worlds(columns=4, cells=100))
def test_the_metric_is_symmetric_and_descends(world: World) -> None:
    effects, _ = effects_of(world)
    if not effects.size:
        return
    tree = JunctionTree.of(world.domain, [c for c in world.cliques if c])
    dual = Dual(tree, effects, ROWS, {n: flat(world.domain.size(n)) for n in world.domain.names})
    here = dual(effects.pushed(world.rng.normal(0, 0.5, effects.size)))
    one, two = world.rng.normal(size=(2, effects.size))
    assert one @ here.precondition(two) == pytest.approx(two @ here.precondition(one), rel=1e-9, abs=1e-9)
    assert one @ here.precondition(one) >= -1e-12
    assert here.gradient @ here.precondition(here.gradient) > 0 or np.abs(here.gradient).max() < 1e-9


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 7), st.integers(1, 4), st.integers(0, 999))
def test_answers_about_one_column_at_any_levels(size: int, levels: int, seed: int) -> None:
    """The counts that they point to are the least-squares ones, and the ridge is the inverse of their precision."""
    rng = np.random.default_rng(seed)
    seen = []
    for _ in range(levels):
        groups = np.unique(rng.integers(0, size, size), return_inverse=True)[1]
        count = int(groups.max()) + 1
        ridge = np.exp(rng.normal(0, 1, count))
        seen.append(Seen(groups, summing(rng.normal(50, 20, count), ridge, 100.0), ridge))
    seen.append(Seen(rng.permutation(size), np.full(size, 100.0 / size), np.exp(rng.normal(0, 1, size))))
    main = MainEffects.of(Domain(("a",), (size,)), {"a": seen}, 100.0)
    (cells,) = main.cells
    precision = np.zeros((size, size))
    for level in seen:
        matrix = np.equal.outer(np.arange(level.values.size), level.groups).astype(float)
        precision += matrix.T @ np.diag(1 / level.ridge) @ matrix

    def off(counts: np.ndarray) -> float:
        return sum(
            float(np.sum((np.bincount(x.groups, counts, minlength=x.values.size) - x.values) ** 2 / x.ridge))
            for x in seen
        )

    best = minimize(lambda free: off(np.append(free, 100.0 - free.sum())), np.full(size - 1, 100.0 / size), tol=1e-12)
    np.testing.assert_allclose(main.values[cells], np.append(best.x, 100.0 - best.x.sum()), atol=1e-3)
    zero = rng.normal(size=size)
    zero -= zero.mean()
    at = np.empty(size)
    at[cells] = zero
    np.testing.assert_allclose(main.informed(at)[cells], precision @ zero, atol=1e-9)
    np.testing.assert_allclose(main.ridge(main.informed(at)), at, atol=1e-9)
    inverse = np.linalg.inv(precision)
    inverse -= np.outer(inverse.sum(1), inverse.sum(1)) / inverse.sum()
    np.testing.assert_allclose(main.diagonal[cells], np.diag(inverse), atol=1e-9)


def test_cells_that_no_answer_tells_apart_follow_the_prior() -> None:
    domain = Domain(("a", "b"), (4, 2))
    groups = {"a": np.array([0, 0, 1, 1])}
    other = {"a": np.array([0, 1, 1, 1])}
    answers = [
        Measurement.of(domain, ("a", "b"), np.array([[300.0, 100.0], [200.0, 400.0]]), 3.0, groups),
        Measurement.of(domain, ("a",), np.array([350.0, 650.0]), np.array([3.0, 3.0]), other),
    ]
    network = estimate(domain, answers, 1000.0)
    np.testing.assert_allclose(network.marginal(("a",)), [350, 50, 300, 300], atol=10)


def test_a_table_and_its_residuals_give_the_same_fit() -> None:
    """The residuals of all subsets of a table, with the noise that they have in it, are the table."""
    domain = Domain(("a", "b", "c"), (3, 4, 2))
    rng = np.random.default_rng(8)
    table = rng.dirichlet(np.full(24, 0.5)).reshape(domain.sizes) * 5000
    noisy = table + rng.normal(0, 15, table.shape)
    whole = Effects.of(domain, [(Measurement.of(domain, tuple("abc"), noisy, 15.0), np.array(15.0))], 5000.0)
    parts = []
    for names in ("a", "b", "c", "ab", "ac", "bc", "abc"):
        query = Residual(Marginal.of(domain, tuple(names), {}))
        r = 15.0 * prod(domain.sizes) / prod(query.shape)
        values = query.apply(summed(noisy, domain, tuple(names)))
        parts.append(
            (Measurement(query, values, np.array(15.0) if len(names) > 1 else np.full(query.shape, 15.0)), np.array(r))
        )
    split = Effects.of(domain, parts, 5000.0)
    assert split.size == whole.size
    np.testing.assert_allclose(split.values, whole.values, atol=1e-9)
    point = np.random.default_rng(9).normal(size=whole.size)
    np.testing.assert_allclose(split.ridge(point), whole.ridge(point), atol=1e-9)


def test_residuals_alone_are_fitted() -> None:
    domain = Domain(("a", "b"), (3, 3))
    query = Residual(Marginal.of(domain, ("a", "b"), {}))
    values = query.apply(np.diag([300.0, 300.0, 300.0]))
    network = estimate(domain, [Measurement(query, values, np.array(1.0))], 900.0)
    assert network.convergence.converged
    np.testing.assert_allclose(query.apply(network.marginal(("a", "b"))), values, atol=15)
    np.testing.assert_allclose(joint(network).sum(axis=0), flat(3), atol=1e-6)


def test_few_evaluations_whatever_the_noise() -> None:
    """Overlapping tables, dependences that are nearly functions, counts a million times the noise: it stays short."""
    rng = np.random.default_rng(11)
    domain = Domain(tuple("abcdef"), (8, 8, 6, 10, 5, 7))
    base = rng.integers(0, 8, 50_000)
    codes = np.stack([base if rng.random() < 0.5 else (base * k + (rng.random(50_000) < 0.02)) for k in range(1, 7)])
    codes = codes % np.array(domain.sizes)[:, None]
    pairs = ["ab", "bc", "cd", "de", "ef", "fa"]
    for factor, scale in ((1.0, 30.0), (100.0, 3.0)):
        asked = []
        for names in [*"abcdef", *pairs]:
            axes = ["abcdef".index(n) for n in names]
            shape = domain.shape(tuple(names))
            counts = np.bincount(np.ravel_multi_index(tuple(codes[axes]), shape), minlength=prod(shape)).reshape(shape)
            asked.append(Measurement.of(domain, tuple(names), factor * counts + rng.normal(0, scale, shape), scale))
        found = estimate(domain, asked, 50_000 * factor).convergence
        assert found.converged
        assert found.evaluations < 150


def test_levels_of_very_different_noise_keep_their_digits() -> None:
    """The counts that two levels point to, against exact rational arithmetic, where 1 / r spans twelve orders."""
    size, coarse = 12, np.arange(12) // 4
    fine = Seen(np.arange(size), np.arange(size) * 7.0 + 5.0, np.full(size, 1e6))
    sums = Seen(coarse, np.array([100.0, 250.0, 172.0]), np.full(3, 1e-6))
    rows = 522.0
    main = MainEffects.of(Domain(("a",), (size,)), {"a": [fine, sums]}, rows)
    gap = (sums.values - np.bincount(coarse, fine.values)) / 4
    np.testing.assert_allclose(main.values[main.cells[0]], fine.values + gap[coarse], rtol=1e-9)
