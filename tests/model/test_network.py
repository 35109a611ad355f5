"""Questions to a fitted network, one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model import JunctionTree, MarkovNetwork
from tests.model.networks import chain, network_of
from tests.model.worlds import World, summed, worlds


@settings(max_examples=100)
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
    """Both ends of a chain of 1,500 columns: their joint table would have 3^1500 cells."""
    step = np.array([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01], [0.01, 0.01, 0.98]])
    network = chain(1500, step)
    exact = np.linalg.matrix_power(step, 1499) / 3
    np.testing.assert_allclose(network.probabilities(("x1499", "x0"), limit=9), exact, rtol=1e-9)


def test_what_is_too_large_or_unknown_is_refused() -> None:
    domain = Domain(("a", "b"), (10, 10))
    network = MarkovNetwork(JunctionTree.of(domain, []), (np.full(10, 0.1),) * 2, 1.0)
    with pytest.raises(ConfigurationError, match="a, b needs 100 cells and the limit is 99"):
        network.probabilities(("a", "b"), limit=99)
    for names in (("a", "a"), ("c",)):
        with pytest.raises(ValueError, match="once"):
            network.probabilities(names)
        with pytest.raises(ValueError, match="once"):
            network.tables([("a",), names])
    assert network.probabilities(()) == pytest.approx(1.0)


def test_a_negative_total_expects_no_rows() -> None:
    network = MarkovNetwork(JunctionTree.of(Domain(("a",), (2,)), []), (np.full(2, 0.5),), -3.0)
    assert network.rows == 0.0
    assert (network.marginal(("a",)) == 0).all()
