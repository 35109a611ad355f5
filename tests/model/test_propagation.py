"""Marginals and beliefs against the joint table."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations, pairwise
from math import prod
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import Domain
from dpsynth.model import BeliefPropagation, Calibrated, JunctionTree, leaves
from dpsynth.model.tables import NodeTables
from tests.model.worlds import World, joint_of, joint_over, summed, worlds


@contextmanager
def leaves_of_at_most(cells: int) -> Iterator[None]:
    """In worlds this small all cliques of a node would share a leaf, and nothing would be contracted."""
    with mock.patch.object(leaves, "SMALL", cells):
        yield


class Room:
    """Belief propagation from one table a clique to one table a clique."""

    def __init__(self, tree: JunctionTree, cliques: Sequence[tuple[str, ...]] | None = None) -> None:
        self.of_vectors, self.tree = BeliefPropagation(tree, cliques), tree
        self.shapes = [tree.domain.shape(clique) for clique in self.of_vectors.cliques]

    def marginals(self, potentials: Sequence[np.ndarray]) -> tuple[float, list[np.ndarray]]:
        value, found = self.of_vectors.marginals(flat(potentials))
        parts = np.split(found, np.cumsum([prod(shape) for shape in self.shapes]))[:-1]
        return value, [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def calibrate(self, potentials: Sequence[np.ndarray]) -> Calibrated:
        return self.of_vectors.calibrate(flat(potentials))


def flat(tables: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(table.ravel() for table in tables)])


small = st.sampled_from([0, 8, 40, 512])


def check_marginals(world: World, potentials: list[np.ndarray], cells: int, atol: float = 1e-13) -> None:
    joint, log_partition = joint_over(world.domain, world.cliques, potentials)
    tree = JunctionTree.of(world.domain, world.cliques)
    with leaves_of_at_most(cells):
        found, tables = Room(tree, world.cliques).marginals(potentials)
    assert found == pytest.approx(log_partition, rel=1e-12, abs=1e-10)
    assert len(tables) == len(world.cliques)
    for clique, table in zip(world.cliques, tables, strict=True):
        exact = summed(joint, world.domain, clique)
        assert table.shape == exact.shape
        np.testing.assert_allclose(table, exact, rtol=1e-9, atol=atol)
        assert ((table == 0) | (exact > 0) | (table < 1e-290)).all()


@settings(max_examples=150, deadline=None)
@given(worlds(), small, st.sampled_from([0.1, 1.0, 10.0]))
def test_marginals_are_those_of_the_joint(world: World, cells: int, scale: float) -> None:
    check_marginals(world, [world.rng.normal(0, scale, world.domain.shape(c)) for c in world.cliques], cells)


@settings(max_examples=100, deadline=None)
@given(worlds(), small, st.sampled_from([100.0, 300.0, 1e3, 1e5]))
def test_marginals_of_potentials_beyond_the_range_of_floats(world: World, cells: int, scale: float) -> None:
    check_marginals(world, [world.rng.normal(0, scale, world.domain.shape(c)) for c in world.cliques], cells, 1e-9)


@settings(max_examples=150, deadline=None)
@given(worlds(), small, st.floats(0.05, 0.8), st.sampled_from([1.0, 1e3]))
def test_structural_zeros_of_marginals_are_exact(world: World, cells: int, share: float, scale: float) -> None:
    rng = world.rng
    potentials = [rng.normal(0, scale, world.domain.shape(c)) for c in world.cliques]
    potentials = [np.where(rng.random(p.shape) < share, -np.inf, p) for p in potentials]
    with np.errstate(all="ignore"):
        joint, _ = joint_over(world.domain, world.cliques, potentials)
    if np.isfinite(joint).all():
        check_marginals(world, potentials, cells, 1e-13 if scale == 1 else 1e-9)
        tree = JunctionTree.of(world.domain, world.cliques)
        with leaves_of_at_most(cells):
            _, tables = Room(tree, world.cliques).marginals(potentials)
        for table, potential in zip(tables, potentials, strict=True):
            assert (table[np.isneginf(potential)] == 0).all()
    else:
        with leaves_of_at_most(cells), pytest.raises(ValueError, match="no possible cell"):
            Room(JunctionTree.of(world.domain, world.cliques), world.cliques).marginals(potentials)


@settings(max_examples=60, deadline=None)
@given(worlds(), small, st.floats(-1e4, 1e4))
def test_a_shift_of_a_potential_shifts_the_log_partition_alone(world: World, cells: int, shift: float) -> None:
    potentials = [world.rng.normal(0, 1, world.domain.shape(c)) for c in world.cliques]
    with leaves_of_at_most(cells):
        room = Room(JunctionTree.of(world.domain, world.cliques), world.cliques)
    value, tables = room.marginals(potentials)
    moved, same = room.marginals([p + shift for p in potentials])
    assert moved - value == pytest.approx(shift * len(potentials), rel=1e-12, abs=1e-9)
    for one, two in zip(tables, same, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-300)


def ring(length: int, size: int) -> tuple[Domain, list[tuple[str, ...]]]:
    domain = Domain(tuple(f"x{i}" for i in range(length)), (size,) * length)
    return domain, [*pairwise(domain.names), (domain.names[-1], domain.names[0]), *((n,) for n in domain.names)]


@pytest.mark.parametrize("zeros", [False, True])
def test_the_exact_pass_is_not_needed_in_the_range_of_a_fit(zeros: bool) -> None:
    domain, cliques = ring(60, 5)
    rng = np.random.default_rng(0)
    potentials = [rng.normal(0, 4, domain.shape(c)) for c in cliques]
    if zeros:
        potentials = [np.where(rng.random(p.shape) < 0.15, -np.inf, p) if p.ndim == 2 else p for p in potentials]
    room = Room(JunctionTree.of(domain, cliques), cliques)
    exact = room.calibrate(potentials)
    with leaves_of_at_most(0), mock.patch.object(BeliefPropagation, "calibrate", side_effect=AssertionError):
        value, tables = Room(room.tree, cliques).marginals(potentials)
    assert value == pytest.approx(exact.log_partition, rel=1e-12)
    for table in tables:
        assert table.sum() == pytest.approx(1.0, abs=1e-12)


def underflowing() -> tuple[Domain, list[tuple[str, ...]], list[np.ndarray]]:
    """The only likely states are unlikely in every single table."""
    names = tuple(f"x{i}" for i in range(12))
    cliques = list(pairwise(names))
    potentials = []
    for clique in cliques:
        table = np.zeros((2, 2))
        table[1, 1] = -390.0 if "x0" not in clique else 0.0
        table[0, :] = -800.0 if "x0" in clique else 0.0
        potentials.append(table)
    return Domain(names, (2,) * 12), cliques, potentials


@pytest.mark.parametrize("cells", [0, 8, 512])
def test_a_chain_that_underflows_in_linear_space(cells: int) -> None:
    domain, cliques, potentials = underflowing()
    tree = JunctionTree.of(domain, cliques)
    joint, log_partition = joint_over(domain, tuple(cliques), potentials)
    with leaves_of_at_most(cells):
        room = Room(tree, cliques)
    value, tables = room.marginals(potentials)
    calibrated = room.calibrate(potentials)
    assert value == pytest.approx(log_partition, rel=1e-12)
    assert calibrated.log_partition == pytest.approx(log_partition, rel=1e-12)
    for clique, table in zip(cliques, tables, strict=True):
        np.testing.assert_allclose(table, summed(joint, domain, clique), rtol=1e-9, atol=1e-300)
    for node, belief in zip(tree.nodes, calibrated.beliefs, strict=True):
        np.testing.assert_allclose(belief, summed(joint, domain, node.columns), rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("height", [340.0, 372.0, 373.0, 380.0, 700.0, 744.0, 746.0, 760.0])
def test_what_underflows_in_one_product_alone_is_not_lost(height: float) -> None:
    """Two states share the mass evenly; one passes through two tables that are each exp(-height) there."""
    low = np.full((2, 2), -np.inf)
    first, second, rest = low.copy(), low.copy(), np.zeros(2)
    first[0, 0], first[1, 1], first[0, 1] = -height, 0.0, 0.0
    second[0, 0], second[1, 1], second[1, 0] = -height, -1500.0, -2 * height
    potentials = [first, second, rest]
    cliques = [("a", "b"), ("b", "c"), ("c",)]
    domain = Domain(("a", "b", "c"), (2, 2, 2))
    joint, log_partition = joint_over(domain, tuple(cliques), potentials)
    with leaves_of_at_most(0):
        value, tables = Room(JunctionTree.of(domain, cliques), cliques).marginals(potentials)
    assert value == pytest.approx(log_partition, rel=1e-12)
    for clique, table in zip(cliques, tables, strict=True):
        np.testing.assert_allclose(table, summed(joint, domain, clique), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("start", [300.0, 743.0, 746.0, 760.0])
def test_a_state_lost_at_one_end_of_a_chain_may_matter_at_the_other(steps: int, start: float) -> None:
    """State 1 is unlikely in the first table alone, state 0 a little in every other one; the root is the last node.

    The bound on what underflows finds this by itself, without the sums of the marginals.
    """
    names = ("root", *(f"x{i}" for i in range(steps + 2)))
    domain = Domain(names, (5, *(2,) * (steps + 2)))
    cliques = list(pairwise(names))
    potentials = [np.zeros((5, 2))]
    for i in range(steps + 1):
        table = np.full((2, 2), -2000.0)
        table[0, 0], table[1, 1] = (0.0, -start) if i == steps else (-(start + 20) / steps, 0.0)
        potentials.append(table)
    joint, log_partition = joint_over(domain, tuple(cliques), potentials)
    given = leaves.Potentials.marginals
    with leaves_of_at_most(0), mock.patch.object(leaves.Potentials, "marginals", lambda *a: (given(*a)[0], True)):
        value, tables = Room(JunctionTree.of(domain, cliques), cliques).marginals(potentials)
    assert value == pytest.approx(log_partition, rel=1e-12)
    for clique, table in zip(cliques, tables, strict=True):
        np.testing.assert_allclose(table, summed(joint, domain, clique), rtol=1e-9, atol=1e-13)


def test_more_constant_columns_than_numpy_has_axes() -> None:
    names = tuple(f"x{i}" for i in range(80))
    domain = Domain(names, (1,) * 79 + (2,))
    cliques = [*pairwise(names), names[:3], names[-2:]]
    potentials = [np.full(domain.shape(c), 0.5) for c in cliques]
    potentials[-1] = np.log([[1.0, 3.0]])
    value, tables = Room(JunctionTree.of(domain, cliques), cliques).marginals(potentials)
    assert value == pytest.approx(40.0 + np.log(4.0))
    np.testing.assert_allclose(tables[-1], [[0.25, 0.75]])
    np.testing.assert_allclose(tables[-3], [[0.25, 0.75]])
    assert tables[-2].shape == (1, 1, 1) and tables[-2].item() == 1.0


def test_marginals_that_do_not_sum_to_one_are_never_given() -> None:
    domain, cliques = ring(4, 3)
    potentials = [np.ones(domain.shape(c)) for c in cliques]
    room = Room(JunctionTree.of(domain, cliques), cliques)
    with mock.patch.object(np, "multiply", lambda a, b, out=None: np.add(a, b, out=out)):
        _, tables = room.marginals(potentials)
    for table in tables:
        np.testing.assert_allclose(table, 1 / table.size, rtol=1e-12)


def test_the_tables_of_nodes_are_never_built() -> None:
    domain, cliques = ring(8, 90)
    tree = JunctionTree.of(domain, cliques)
    room = BeliefPropagation(tree, cliques)
    potentials = np.zeros(sum(domain.cells(c) for c in cliques))
    tracemalloc.start()
    try:
        room.marginals(potentials)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * 8 * tree.cells


def digest() -> str:
    """Of an evaluation with products of matrices large enough for several threads."""
    state = hashlib.sha256()
    for domain, cliques in (ring(4, 250), _dense(5, 17, 2), _dense(13, 2, 3)):
        rng = np.random.default_rng(1)
        room = Room(JunctionTree.of(domain, cliques), cliques)
        value, tables = room.marginals([rng.normal(0, 1, domain.shape(c)) for c in cliques])
        state.update(np.float64(value).tobytes())
        for table in tables:
            state.update(np.ascontiguousarray(table).tobytes())
    return state.hexdigest()


def _dense(length: int, size: int, order: int) -> tuple[Domain, list[tuple[str, ...]]]:
    domain = Domain(tuple(f"x{i}" for i in range(length)), (size,) * length)
    return domain, list(combinations(domain.names, order))


def test_the_same_bits_on_any_number_of_threads() -> None:
    found = set()
    for threads in ("1", "2", "4"):
        code = "from tests.model.test_propagation import digest; print(digest())"
        env = os.environ | {
            "OPENBLAS_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


def test_potentials_are_left_alone_and_nonsense_is_refused() -> None:
    domain = Domain(("a", "b"), (2, 2))
    cliques = [("a", "b"), ()]
    tree = JunctionTree.of(domain, cliques)
    room = Room(tree, cliques)
    table, scalar = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array(2.0)
    value, tables = room.marginals([table, scalar])
    assert value == pytest.approx(2.0 + np.log(np.exp([0.0, 1.0, 2.0, 3.0]).sum()))
    assert tables[1].shape == () and tables[1] == 1.0
    room.calibrate([table, scalar])
    np.testing.assert_array_equal(table, [[0.0, 1.0], [2.0, 3.0]])
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="possible cell"):
            room.marginals([np.full((2, 2), bad), scalar])
        with pytest.raises(ValueError, match="possible cell"):
            room.calibrate([np.full((2, 2), bad), scalar])
        with pytest.raises(ValueError, match="possible cell"):
            room.marginals([table, np.array(bad)])
    with pytest.raises(ValueError, match=r"potentials of shape \(4,\) for cliques of 5 cells"):
        room.marginals([table])
    with pytest.raises(ValueError, match="no node"):
        Room(JunctionTree.of(domain, []), cliques)


def check_beliefs(world: World, potentials: list[np.ndarray], tree: JunctionTree, atol: float = 1e-13) -> None:
    joint, log_partition = joint_of(world.domain, tree, potentials)
    found = Room(tree).calibrate(potentials)
    assert found.log_partition == pytest.approx(log_partition, rel=1e-12, abs=1e-10)
    for node, belief in zip(tree.nodes, found.beliefs, strict=True):
        exact = summed(joint, world.domain, node.columns)
        np.testing.assert_allclose(belief, exact, rtol=1e-9, atol=atol)
        assert ((belief == 0) | (exact > 0)).all()


@settings(max_examples=100, deadline=None)
@given(worlds(), st.sampled_from([0.1, 1.0, 10.0, 300.0, 3000.0, 1e6]))
def test_beliefs_are_the_marginals_of_the_joint(world: World, scale: float) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    tables = [world.rng.normal(0, scale, tree.node_domain(i).sizes) for i in range(len(tree.nodes))]
    check_beliefs(world, tables, tree, 1e-13 if scale <= 10 else 1e-9)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.floats(0.05, 0.8), st.sampled_from([1.0, 2000.0]))
def test_structural_zeros_of_beliefs_are_exact(world: World, share: float, scale: float) -> None:
    tree, rng = JunctionTree.of(world.domain, world.cliques), world.rng
    tables = [rng.normal(0, scale, tree.node_domain(i).sizes) for i in range(len(tree.nodes))]
    tables = [np.where(rng.random(t.shape) < share, -np.inf, t) for t in tables]
    with np.errstate(all="ignore"):
        joint, _ = joint_of(world.domain, tree, tables)
    if np.isfinite(joint).all():
        check_beliefs(world, tables, tree)
    else:
        with pytest.raises(ValueError, match="no possible cell"):
            Room(tree).calibrate(tables)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_log_space_agrees_with_linear_space(world: World) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    tables = [world.rng.normal(0, 3, tree.node_domain(i).sizes) for i in range(len(tree.nodes))]
    linear, logarithmic = [t.copy() for t in tables], [t.copy() for t in tables]
    rooms = NodeTables(tree)
    assert rooms.linear(linear) == pytest.approx(rooms.logarithmic(logarithmic), rel=1e-12, abs=1e-11)
    for one, two in zip(linear, logarithmic, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10)
