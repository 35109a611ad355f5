"""The estimate against generic optimisers, its certificate, and everything odd that may be measured."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model import JunctionTree, MarkovNetwork, Measurement, estimate, project
from dpsynth.model.dual import Dual
from dpsynth.model.effects import Effects
from dpsynth.model.estimation import FLOOR, _in_order, _merged, _own_ridges
from tests.model.worlds import World, summed, summing, worlds

DOMAIN = Domain(("a", "b", "c"), (3, 2, 4))


def measured(world: World, scale: float, rows: float = 1000.0, groups: bool = True) -> list[Measurement]:
    """Noisy marginals of a random joint on the cliques of a world, some of them seen coarsely."""
    rng = world.rng
    joint = rng.dirichlet(np.full(int(np.prod(world.domain.sizes)), 0.5)).reshape(world.domain.sizes) * rows
    result = []
    for columns in world.cliques:
        maps = {}
        for name in columns:
            if groups and rng.random() < 0.3:
                maps[name] = np.unique(rng.integers(0, 2, world.domain.size(name)), return_inverse=True)[1]
        empty = Measurement.of(world.domain, columns, np.zeros(()), 1.0) if not columns else None
        if empty is not None:
            result.append(empty)
            continue
        shape = tuple(int(maps[n].max()) + 1 if n in maps else world.domain.size(n) for n in columns)
        blank = Measurement.of(world.domain, columns, np.zeros(shape), scale, maps)
        exact = blank.query.apply(summed(joint, world.domain, columns))
        noisy = exact + rng.normal(0, scale, shape)
        result.append(Measurement(blank.query, noisy, blank.stddev))
    return result


def plain(m: Measurement) -> bool:
    return len(m.columns) == 1 and m.query.groups[0] is None  # type: ignore[attr-defined]


def valid(network: MarkovNetwork) -> None:
    for node, belief in zip(network.tree.nodes, network.beliefs, strict=True):
        assert belief.shape == network.domain.shape(node.columns)
        assert np.isfinite(belief).all()
        assert (belief >= 0).all()
        assert belief.sum() == pytest.approx(1.0, abs=1e-9)
    for i, node in enumerate(network.tree.nodes):
        if node.parent is not None:
            above = network.beliefs[node.parent]
            names = network.tree.nodes[node.parent].columns
            outer = summed(above, network.domain.project(names), node.given)
            inner = summed(network.beliefs[i], network.domain.project(node.columns), node.given)
            np.testing.assert_allclose(outer, inner, atol=1e-10)


def joint(network: MarkovNetwork) -> np.ndarray:
    return network.probabilities(network.domain.names)


@settings(max_examples=25, deadline=None)
@given(worlds(columns=3, cells=18), st.sampled_from([3.0, 30.0, 300.0]))
def test_it_is_the_minimum_that_a_generic_optimiser_finds(world: World, scale: float) -> None:
    """Over the whole joint, by its logits, of the primal objective as the module states it."""
    rows, domain = 1000.0, world.domain
    measurements = _merged([_in_order(m, domain) for m in measured(world, scale) if m.columns])
    found = estimate(domain, measurements, rows)
    valid(found)
    prior = {n: np.full(domain.size(n), 1 / domain.size(n)) for n in domain.names}
    for m in measurements:
        if plain(m):
            shares = project(m.values, m.stddev**2, rows) / rows
            prior[m.columns[0]] = np.maximum(shares, FLOOR / shares.size)
    touched = [n for m in measurements for n in m.columns]
    solo = [m for m in measurements if plain(m) and touched.count(m.columns[0]) == 1]
    joined = [m for m in measurements if m not in solo]
    terms = list(zip(joined, _own_ridges(joined, domain, prior, rows), strict=True))
    base = np.ones(())
    for name in domain.names:
        base = np.multiply.outer(base, prior[name] / prior[name].sum())

    def objective(logits: np.ndarray) -> tuple[float, np.ndarray]:
        logits = logits.reshape(domain.sizes)
        p = np.exp(logits - logits.max())
        p /= p.sum()
        ratio = np.log(p / base)
        value, slope = rows * float(np.sum(p * ratio)), rows * ratio
        for m, r in terms:
            off = m.query.apply(summed(p, domain, m.columns)) * rows - summing(m.values, r, rows)
            value += float(np.sum(off**2 / (2 * r)))
            back = np.broadcast_to(m.query.adjoint(off / r), domain.shape(m.columns))
            order = [m.columns.index(n) for n in domain.names if n in m.columns]
            shape = [domain.size(n) if n in m.columns else 1 for n in domain.names]
            slope = slope + rows * back.transpose(order).reshape(shape)
        gradient = p * (slope - np.sum(p * slope))
        return value, gradient.ravel()

    best = minimize(
        objective, np.log(base).ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30},
    )  # fmt: skip
    exact = np.exp(best.x - best.x.max())
    exact = (exact / exact.sum()).reshape(domain.sizes)
    for m in solo:
        (name,) = m.columns
        axis = domain.names.index(name)
        held = exact.sum(axis=tuple(i for i in range(exact.ndim) if i != axis))
        shares = project(m.values, m.stddev**2, rows) / rows
        exact = exact * (shares / held).reshape([-1 if i == axis else 1 for i in range(exact.ndim)])
    assert np.abs(joint(found) - exact).sum() / 2 < 2e-4


@settings(max_examples=40, deadline=None)
@given(worlds(columns=4, cells=60), st.sampled_from([1.0, 100.0]))
def test_the_gradient_is_that_of_finite_differences(world: World, scale: float) -> None:
    measurements = [m for m in measured(world, scale) if m.columns]
    if not measurements:
        return
    tree = JunctionTree.of(world.domain, [m.columns for m in measurements])
    prior = {n: world.rng.dirichlet(np.ones(world.domain.size(n))) + 1e-3 for n in world.domain.names}
    ridges = _own_ridges(measurements, world.domain, prior, 1000.0)
    effects = Effects.of(world.domain, list(zip(measurements, ridges, strict=True)), 1000.0)
    dual = Dual(tree, effects, 1000.0, prior)
    point = effects.pushed(world.rng.normal(0, 0.3, effects.size))
    for direction in effects.pushed(1e-4 * world.rng.normal(0, 1, effects.size)), effects.pushed(dual(point).gradient):
        step = direction * 1e-4 / max(np.abs(direction).max(), 1e-300)
        numeric = dual(point + step).value - dual(point - step).value
        assert numeric == pytest.approx(2 * float(dual(point).gradient @ step), rel=1e-5, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(worlds(columns=5, cells=200), st.sampled_from([3.0, 30.0, 1000.0]))
def test_it_ends_within_the_distance_that_it_states(world: World, scale: float) -> None:
    """From another start and much further, it lands within the sum of the two bounds."""
    measurements = measured(world, scale)
    one = estimate(world.domain, measurements, 1000.0)
    assert one.convergence.converged
    assert one.convergence.distance <= 1e-9
    loose = estimate(world.domain, measurements, 1000.0, tolerance=1e-4)
    two = estimate(world.domain, measurements, 1000.0, start=loose)
    for left, right, rough in zip(one.beliefs, two.beliefs, loose.beliefs, strict=True):
        assert np.abs(left - right).sum() / 2 <= 2.1e-9
        assert np.abs(left - rough).sum() / 2 <= 1.1e-4


def test_columns_alone_get_their_exact_table() -> None:
    values = {"a": np.array([500.0, -20.0, 300.0]), "c": np.array([1.0, 2.0, 3.0, 4.0])}
    network = estimate(DOMAIN, [Measurement.of(DOMAIN, (n,), v, 9.0) for n, v in values.items()], 700.0)
    np.testing.assert_allclose(network.marginal(("a",)), project(values["a"], np.ones(3), 700.0))
    np.testing.assert_allclose(network.marginal(("c",)), project(values["c"], np.ones(4), 700.0))
    np.testing.assert_allclose(network.marginal(("b",)), [350.0, 350.0])
    assert network.convergence.evaluations == 0


def test_precise_answers_are_met() -> None:
    """Noise far below a row, consistent tables: the fit reproduces them, and joins them by maximum entropy."""
    rng = np.random.default_rng(5)
    full = rng.integers(1, 200, DOMAIN.sizes).astype(float)
    pairs = [("a", "b"), ("b", "c")]
    measurements = [Measurement.of(DOMAIN, pair, summed(full, DOMAIN, pair), 1e-3) for pair in pairs]
    network = estimate(DOMAIN, measurements, full.sum())
    for pair in pairs:
        np.testing.assert_allclose(network.marginal(pair), summed(full, DOMAIN, pair), atol=0.05)
    left, right, middle = (summed(full, DOMAIN, n) for n in (*pairs, ("b",)))
    markov = left[:, :, None] * right[None] / middle[None, :, None]
    np.testing.assert_allclose(network.marginal(("a", "b", "c")), markov, atol=0.1)


def test_several_answers_to_one_question_count_as_their_weighted_mean() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.normal(100, 30, (2, 3, 2))
    mean = (one / 4 + two / 9) / (1 / 4 + 1 / 9)
    both = [Measurement.of(DOMAIN, ("a", "b"), one, 2.0), Measurement.of(DOMAIN, ("a", "b"), two, 3.0)]
    merged = [Measurement.of(DOMAIN, ("a", "b"), mean, (1 / 4 + 1 / 9) ** -0.5)]
    np.testing.assert_allclose(joint(estimate(DOMAIN, both, 600.0)), joint(estimate(DOMAIN, merged, 600.0)), atol=4e-9)


def test_coarse_answers_say_nothing_about_the_cells_inside() -> None:
    groups = {"c": np.array([0, 0, 1, 1])}
    coarse = Measurement.of(DOMAIN, ("b", "c"), np.array([[400.0, 100.0], [100.0, 400.0]]), 5.0, groups)
    network = estimate(DOMAIN, [coarse], 1000.0)
    table = network.marginal(("b", "c"))
    np.testing.assert_allclose(table[:, 0], table[:, 1])
    np.testing.assert_allclose(table[:, [0, 2]] * 2, [[400, 100], [100, 400]], rtol=0.05)
    fine = Measurement.of(DOMAIN, ("c",), np.array([400.0, 100.0, 250.0, 250.0]), 5.0)
    table = estimate(DOMAIN, [coarse, fine], 1000.0).marginal(("b", "c"))
    assert table[0, 0] / table[0, 1] == pytest.approx(4.0, rel=0.05)
    assert table[1, 0] / table[1, 1] == pytest.approx(4.0, rel=0.05)


def test_a_warm_start_survives_a_change_of_structure() -> None:
    rng = np.random.default_rng(2)
    domain = Domain(tuple("abcde"), (6, 5, 4, 5, 6))
    full = rng.dirichlet(np.full(3600, 0.05)).reshape(domain.sizes) * 20_000

    def noisy(pair: tuple[str, str]) -> Measurement:
        table = summed(full, domain, pair)
        return Measurement.of(domain, pair, table + rng.normal(0, 10, table.shape), 10.0)

    chain = [noisy(pair) for pair in pairwise("abcde")]
    before = estimate(domain, chain, 20_000.0)
    closed = [*chain, noisy(("a", "e"))]  # a ring: other nodes, other separators
    cold, warm = estimate(domain, closed, 20_000.0), estimate(domain, closed, 20_000.0, start=before)
    assert warm.tree != before.tree
    assert warm.convergence.evaluations < cold.convergence.evaluations
    assert np.abs(joint(cold) - joint(warm)).sum() / 2 <= 2.1e-9
    again = estimate(domain, closed, 20_000.0, start=cold)
    assert again.convergence.evaluations == 1


@settings(max_examples=30, deadline=None)
@given(worlds(columns=5, cells=200), st.sampled_from([3.0, 30.0, 300.0]), st.integers(1, 3))
def test_a_loop_that_adds_measurements_ends_where_a_cold_fit_does(world: World, scale: float, per: int) -> None:
    measurements = measured(world, scale)
    cold, warm = estimate(world.domain, measurements, 1000.0), None
    for end in range(per, len(measurements) + per, per):
        warm = estimate(world.domain, measurements[:end], 1000.0, start=warm, slack=0.01)
        valid(warm)
    last = estimate(world.domain, measurements, 1000.0, start=warm)
    assert last.convergence.converged
    assert np.abs(joint(cold) - joint(last)).sum() / 2 <= 2.1e-9


@settings(max_examples=30, deadline=None)
@given(worlds(columns=4, cells=60), st.sampled_from([3.0, 30.0, 300.0]))
def test_a_fit_at_the_noise_is_near_the_minimum(world: World, scale: float) -> None:
    """rows x KL(minimum || fit) is at most how far the dual is from its minimum."""
    measurements = measured(world, scale)
    rough, exact = (estimate(world.domain, measurements, 1000.0, slack=slack) for slack in (0.01, 0.0))
    p, q = joint(exact), joint(rough)
    kept = p > 0
    lost = 1000.0 * float(np.sum(p[kept] * np.log(p[kept] / q[kept])))
    assert lost <= 0.01 * sum(table.size for table in exact.potentials.values()) + 1e-6


def test_a_start_may_hold_columns_together_that_nothing_measures_now() -> None:
    domain = Domain(("a", "b"), (3, 1))
    start = estimate(domain, [Measurement.of(domain, ("a", "b"), np.array([[5.0], [3.0], [2.0]]), 1.0)], 10.0)
    found = estimate(domain, [Measurement.of(domain, ("a",), np.array([5.0, 3.0, 2.0]), 1.0)], 10.0, start=start)
    valid(found)
    np.testing.assert_allclose(found.probabilities(("a",)), [0.5, 0.3, 0.2])


def test_the_order_of_the_columns_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    one, two = rng.normal(100, 30, (2, 3, 4))
    ac = [Measurement.of(DOMAIN, ("a", "c"), table, 30.0) for table in (one, two)]
    ca = [ac[0], Measurement.of(DOMAIN, ("c", "a"), two.T, 30.0)]
    np.testing.assert_allclose(joint(estimate(DOMAIN, ac, 1200.0)), joint(estimate(DOMAIN, ca, 1200.0)), atol=1e-8)


@pytest.mark.parametrize("rows", [1e5, 1e7, 3e8])
@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_one_column_at_two_levels(rows: float, scale: float) -> None:
    """Where the dual is near zero its rounding is that of its terms."""
    rng = np.random.default_rng(6)
    domain = Domain(("a",), (30,))
    counts = rng.dirichlet(np.full(30, 0.3)) * rows
    coarse = np.arange(30) // 6
    answers = [
        Measurement.of(domain, ("a",), counts + rng.normal(0, scale, 30), scale),
        Measurement.of(domain, ("a",), np.bincount(coarse, counts) + rng.normal(0, scale, 5), scale, {"a": coarse}),
    ]
    found = estimate(domain, answers, rows)
    assert found.convergence.converged
    assert found.convergence.evaluations < 50
    assert np.abs(found.marginal(("a",)) - counts).max() < 10 * scale + 1e-6 * rows


@pytest.mark.parametrize(
    "wrong",
    [{"total": np.nan}, {"total": np.inf}, {"shrinkage": -1.0}, {"shrinkage": np.nan}, {"slack": -1}, {"tolerance": 0}],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="finite total"):
        estimate(DOMAIN, [], **{"total": 1.0, **wrong})  # type: ignore[arg-type]


ODD = [-1e15, -1e6, -3.0, 0.0, 1e-9, 5.0, 1e6, 1e15]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "ab", "bc", "ac", "abc"]), st.sampled_from(ODD), st.sampled_from(
        [1e-6, 1.0, 1e12])), max_size=6),
    st.sampled_from([-1e12, -1.0, 0.0, 0.3, 1.0, 5000.0, 1e12]),
    st.integers(0, 99),
)  # fmt: skip
def test_anything_measured_gives_a_distribution(asked: list[tuple[str, float, float]], total: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    measurements = []
    for names, level, scale in asked:
        shape = DOMAIN.shape(tuple(names))
        values = level * rng.choice([1.0, 1.0, 0.5, 0.0], shape)
        measurements.append(Measurement.of(DOMAIN, tuple(names), values, scale))
    network = estimate(DOMAIN, measurements, total, cap=300)
    valid(network)
    assert network.total == total


def test_all_zero_and_negative_counts() -> None:
    for level in (0.0, -50.0):
        values = np.full((3, 2), level)
        network = estimate(DOMAIN, [Measurement.of(DOMAIN, ("a", "b"), values, 10.0)], 0.0)
        np.testing.assert_allclose(network.probabilities(("a", "b")), 1 / 6, atol=1e-9)
        assert (network.marginal(("a", "b")) == 0).all()


def test_nothing_measured_is_uniform() -> None:
    for measurements in ([], [Measurement.of(DOMAIN, (), np.array(7.0), 1.0)]):
        np.testing.assert_allclose(joint(estimate(DOMAIN, measurements, 12.0)), 1 / 24)
    one = Domain(("only",), (1,))
    assert estimate(one, [Measurement.of(one, ("only",), np.array([3.0]), 1.0)], 3.0).marginal(("only",)) == [3.0]


def test_a_model_beyond_the_limit_is_refused() -> None:
    big = Measurement.of(DOMAIN, ("a", "b", "c"), np.zeros((3, 2, 4)), 1.0)
    with pytest.raises(ConfigurationError, match="24 cells and the limit is 23"):
        estimate(DOMAIN, [big], 1.0, limit=23)


FIT = """
import sys
import numpy as np
from dpsynth.measurement import Domain
from dpsynth.model import Measurement, estimate
rng = np.random.default_rng(3)
domain = Domain(tuple("abcdef"), (12, 20, 9, 7, 2, 25))
measurements = []
for names in ["a", "b", "c", "d", "e", "f", "ab", "bc", "cd", "de", "ac", "af"]:
    shape = domain.shape(tuple(names))
    values = rng.dirichlet(np.full(int(np.prod(shape)), 0.2)).reshape(shape) * 2e4 + np.rint(rng.normal(0, 30, shape))
    measurements.append(Measurement.of(domain, tuple(names), values, 30.0))
coarse = np.arange(25) // 5
values = rng.dirichlet(np.full(5, 0.2)) * 2e4
measurements.append(Measurement.of(domain, ("f",), values, 0.01, {"f": coarse}))
network = estimate(domain, measurements, 2e4)
sys.stdout.buffer.write(np.concatenate([b.ravel() for b in network.beliefs]).tobytes())
"""


def test_every_processor_finds_the_same_fit() -> None:
    kinds = [
        {},
        {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3 AVX512F AVX2 FMA3", "OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_NUM_THREADS": "1"},
    ]
    root = Path(__file__).parents[2]
    found = []
    for extra in kinds:
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore", **extra}
        run = subprocess.run([sys.executable, "-c", FIT], env=environment, capture_output=True, check=True)
        found.append(np.frombuffer(run.stdout))
    for other in found[1:]:
        assert np.abs(other - found[0]).max() < 1e-9
