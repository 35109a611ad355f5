"""Marginals of any columns against the joint table."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model import BeliefPropagation, JunctionTree, MarkovNetwork
from tests.model.worlds import World, joint_of, summed, worlds


def network_of(world: World, zeros: float = 0.0) -> tuple[MarkovNetwork, np.ndarray]:
    tree, rng = JunctionTree.of(world.domain, world.cliques), world.rng
    tables = [rng.normal(0, 2, tree.node_domain(i).sizes) for i in range(len(tree.nodes))]
    for table in tables:
        table[(rng.random(table.shape) < zeros) & (table < table.max())] = -800.0
    joint, _ = joint_of(world.domain, tree, tables)
    return MarkovNetwork(tree, BeliefPropagation(tree).run(tables).beliefs, 1000.0), joint


@settings(max_examples=150)
@given(worlds(), st.data(), st.sampled_from([0.0, 0.5]))
def test_any_marginal_is_that_of_the_joint(world: World, data: st.DataObject, zeros: float) -> None:
    network, joint = network_of(world, zeros)
    names = tuple(data.draw(st.lists(st.sampled_from(world.domain.names), unique=True)))
    exact = summed(joint, world.domain, names)
    np.testing.assert_allclose(network.probabilities(names), exact, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(network.marginal(names), 1000 * exact, rtol=1e-9, atol=1e-11)


@settings(max_examples=60)
@given(worlds())
def test_conditionals_multiply_to_the_joint(world: World) -> None:
    network, joint = network_of(world)
    product = np.ones(())
    for i in range(len(network.tree.nodes)):
        product = product * network.conditional(i).spread(world.domain)
    np.testing.assert_allclose(np.broadcast_to(product, joint.shape), joint, rtol=1e-9)


def test_a_long_chain_is_never_joined() -> None:
    """Both ends of a chain of 60 columns: eliminated one by one, the joint would have 3^60 cells."""
    names = tuple(f"x{i}" for i in range(60))
    domain = Domain(names, (3,) * 60)
    tree = JunctionTree.of(domain, pairwise(names))
    keep = np.full((3, 3), 0.0)
    np.fill_diagonal(keep, 1.0)
    beliefs = BeliefPropagation(tree).run([keep] * 59).beliefs
    network = MarkovNetwork(tree, beliefs, 1.0)
    step = np.exp(keep) / np.exp(keep).sum(axis=1)
    np.testing.assert_allclose(network.probabilities(("x59", "x0")), np.linalg.matrix_power(step, 59) / 3, rtol=1e-9)


def test_what_is_too_large_or_unknown_is_refused() -> None:
    domain = Domain(("a", "b"), (10, 10))
    tree = JunctionTree.of(domain, [])
    network = MarkovNetwork(tree, BeliefPropagation(tree).run([np.zeros(10)] * 2).beliefs, 1.0)
    with pytest.raises(ConfigurationError, match="a, b needs 100 cells and the limit is 99"):
        network.probabilities(("a", "b"), limit=99)
    for names in (("a", "a"), ("c",)):
        with pytest.raises(ValueError, match="once"):
            network.probabilities(names)
    assert network.probabilities(()) == pytest.approx(1.0)
