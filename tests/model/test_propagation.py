"""Beliefs against the joint table."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import Domain
from dpsynth.model import BeliefPropagation, JunctionTree
from tests.model.worlds import World, joint_of, joint_over, summed, worlds


def check(world: World, potentials: list[np.ndarray], tree: JunctionTree, atol: float = 1e-13) -> None:
    joint, log_partition = joint_of(world.domain, tree, potentials)
    found = BeliefPropagation(tree).run(potentials)
    assert found.log_partition == pytest.approx(log_partition, rel=1e-12, abs=1e-10)
    for node, belief in zip(tree.nodes, found.beliefs, strict=True):
        exact = summed(joint, world.domain, node.columns)
        np.testing.assert_allclose(belief, exact, rtol=1e-9, atol=atol)
        assert ((belief == 0) | (exact > 0)).all()


@settings(max_examples=100)
@given(worlds(), st.sampled_from([0.1, 1.0, 10.0]))
def test_beliefs_are_the_marginals_of_the_joint(world: World, scale: float) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    check(world, [world.rng.normal(0, scale, tree.node_domain(i).sizes) for i in range(len(tree.nodes))], tree)


@settings(max_examples=100)
@given(worlds(), st.sampled_from([0.1, 3.0, 1e3, 1e5]))
def test_marginals_of_cliques_are_those_of_the_joint(world: World, scale: float) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    potentials = [world.rng.normal(0, scale, world.domain.shape(clique)) for clique in world.cliques]
    joint, log_partition = joint_over(world.domain, world.cliques, potentials)
    found, tables = BeliefPropagation(tree, world.cliques).marginals(potentials)
    assert found == pytest.approx(log_partition, rel=1e-12, abs=1e-10)
    for clique, table in zip(world.cliques, tables, strict=True):
        np.testing.assert_allclose(table, summed(joint, world.domain, clique), rtol=1e-9, atol=1e-9)


@settings(max_examples=100)
@given(worlds(), st.floats(0.05, 0.8), st.sampled_from([1.0, 2000.0]))
def test_structural_zeros_are_exact(world: World, share: float, scale: float) -> None:
    tree, rng = JunctionTree.of(world.domain, world.cliques), world.rng
    tables = [rng.normal(0, scale, tree.node_domain(i).sizes) for i in range(len(tree.nodes))]
    tables = [np.where(rng.random(t.shape) < share, -np.inf, t) for t in tables]
    joint = None
    with np.errstate(all="ignore"):
        joint, _ = joint_of(world.domain, tree, tables)
    if np.isfinite(joint).all():
        check(world, tables, tree)
    else:
        with pytest.raises(ValueError, match="no possible cell"):
            BeliefPropagation(tree).run(tables)


@settings(max_examples=60)
@given(worlds(), st.sampled_from([300.0, 3000.0, 1e6]))
def test_potentials_beyond_the_range_of_floats(world: World, scale: float) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    check(world, [world.rng.normal(0, scale, tree.node_domain(i).sizes) for i in range(len(tree.nodes))], tree, 1e-9)


def test_a_chain_that_underflows_in_linear_space() -> None:
    """The only likely states are unlikely in every single table."""
    names = tuple(f"x{i}" for i in range(12))
    domain = Domain(names, (2,) * 12)
    tree = JunctionTree.of(domain, pairwise(names))
    potentials = []
    for node in tree.nodes:
        table = np.zeros((2, 2))
        table[1, 1] = -390.0 if "x0" not in node.columns else 0.0
        table[0, :] = -800.0 if "x0" in node.columns else 0.0
        potentials.append(table)
    joint, log_partition = joint_of(domain, tree, potentials)
    found = BeliefPropagation(tree).run(potentials)
    assert found.log_partition == pytest.approx(log_partition, rel=1e-12)
    for node, belief in zip(tree.nodes, found.beliefs, strict=True):
        np.testing.assert_allclose(belief, summed(joint, domain, node.columns), rtol=1e-9, atol=1e-300)


@settings(max_examples=60)
@given(worlds())
def test_log_space_agrees_with_linear_space(world: World) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    tables = [world.rng.normal(0, 3, tree.node_domain(i).sizes) for i in range(len(tree.nodes))]
    rooms = BeliefPropagation(tree)
    linear, logarithmic = rooms.run(tables), rooms._logarithmic(tables)
    assert linear.log_partition == pytest.approx(logarithmic.log_partition, rel=1e-12, abs=1e-11)
    for one, two in zip(linear.beliefs, logarithmic.beliefs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10)


def test_inputs_are_left_alone_and_nonsense_is_refused() -> None:
    tree = JunctionTree.of(Domain(("a", "b"), (2, 2)), [("a", "b")])
    table = np.array([[0.0, 1.0], [2.0, 3.0]])
    BeliefPropagation(tree).run([table])
    np.testing.assert_array_equal(table, [[0.0, 1.0], [2.0, 3.0]])
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="possible cell"):
            BeliefPropagation(tree).run([np.full((2, 2), bad)])
