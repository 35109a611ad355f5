"""A network given evidence against the joint table times the weights."""

from __future__ import annotations

from itertools import permutations
from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model import JunctionTree, MarkovNetwork
from tests.model.networks import chain, from_joint, network_of
from tests.model.worlds import World, summed, worlds


def draw_evidence(world: World, data: st.DataObject) -> dict[str, np.ndarray]:
    """Masks and weights with zeros on some columns."""
    evidence = {}
    for name in data.draw(st.lists(st.sampled_from(world.domain.names), unique=True)):
        size = world.domain.size(name)
        if data.draw(st.booleans()):
            evidence[name] = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
        else:
            weight = st.sampled_from([0.0, 1e-3, 0.5, 1.0, 7.0])
            evidence[name] = np.array(data.draw(st.lists(weight, min_size=size, max_size=size)))
    return evidence


def weighted(joint: np.ndarray, domain: Domain, evidence: dict[str, np.ndarray]) -> np.ndarray:
    for name, weight in evidence.items():
        shape = [1] * joint.ndim
        shape[domain.names.index(name)] = -1
        joint = joint * weight.reshape(shape)
    return joint


@settings(max_examples=150)
@given(worlds(), st.sampled_from([0.0, 0.5]), st.data())
def test_evidence_is_conditioning(world: World, zeros: float, data: st.DataObject) -> None:
    network, joint = network_of(world, zeros)
    evidence = draw_evidence(world, data)
    exact = weighted(joint, world.domain, evidence)
    probability = float(exact.sum())
    if probability == 0:
        assert network.log_probability(evidence) == -inf
        with pytest.raises(ConfigurationError, match=", ".join(repr(name) for name in evidence)):
            network.given(evidence)
        return
    found = network.given(evidence)
    assert network.log_probability(evidence) == pytest.approx(log(probability), abs=1e-9)
    assert found.total == pytest.approx(1000 * probability)
    assert found.tree is network.tree
    for node, belief in zip(found.tree.nodes, found.beliefs, strict=True):
        expected = summed(exact / probability, world.domain, node.columns)
        np.testing.assert_allclose(belief, expected, rtol=1e-9, atol=1e-14)
        assert (belief[expected == 0] == 0).all()
    whole = found.probabilities(world.domain.names)
    np.testing.assert_allclose(whole, exact / probability, rtol=1e-9, atol=1e-14)


@settings(max_examples=40)
@given(worlds(), st.data())
def test_evidence_one_piece_after_the_other(world: World, data: st.DataObject) -> None:
    network, _ = network_of(world)
    evidence = draw_evidence(world, data)
    assume(network.log_probability(evidence) > -inf)
    one_by_one = network
    for name, weight in evidence.items():
        one_by_one = one_by_one.given({name: weight})
    together = network.given(evidence)
    assert one_by_one.total == pytest.approx(together.total)
    for one, two in zip(one_by_one.beliefs, together.beliefs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-14)


def test_without_evidence_nothing_changes() -> None:
    network, _ = network_of(World(Domain(("a", "b", "c"), (2, 3, 4)), (("a", "b"), ("b", "c")), 5), zeros=0.4)
    found = network.given({})
    assert found.total == pytest.approx(network.total)
    for one, two in zip(network.beliefs, found.beliefs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=0)


def test_evidence_too_unlikely_for_a_float() -> None:
    """A chain of 500 columns that moves at every step, the one in the middle unknown: 0.001^497 x ..."""
    step = np.array([[0.999, 0.001], [0.001, 0.999]])
    network = chain(500, step, total=1e6)
    evidence = {f"x{i}": np.array([i % 2 == 0, i % 2 == 1]) for i in range(500) if i != 250}
    found = network.given(evidence)
    between = np.array([0.001**2, 0.999**2])
    exact = 497 * log(0.001) + log(between.sum() / 2)
    assert network.log_probability(evidence) == pytest.approx(exact, rel=1e-12)
    np.testing.assert_allclose(found.probabilities(("x250",)), between / between.sum(), rtol=1e-9)
    assert found.total == 0.0


@pytest.mark.parametrize("roles", sorted(set(permutations("wwwcd"))))
def test_a_state_that_only_the_rest_makes_likely_keeps_its_digits(roles: tuple[str, ...]) -> None:
    """Three witnesses say 1e-200 of hub = 1, another rules hub = 0 out; hub = 2 is impossible. Wherever the root is."""
    names = tuple(f"x{i}" for i in range(len(roles)))
    domain = Domain(("hub", *names), (3, 2, 2, 2, 2, 2))
    tree = JunctionTree.of(domain, [("hub", name) for name in names])
    says = {
        "w": np.array([[1.0, 0.0], [1e-200, 1.0], [1.0, 0.0]]),
        "c": np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]),
        "d": np.array([[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]),
    }
    beliefs = []
    for node in tree.nodes:
        (other,) = set(node.columns) - {"hub"}
        table = np.array([0.5, 0.5, 0.0])[:, None] * says[roles[names.index(other)]]
        beliefs.append(table if node.columns[0] == "hub" else table.T)
    network = MarkovNetwork(tree, tuple(beliefs), 1.0)
    evidence = {name: np.array([True, False]) for name, role in zip(names, roles, strict=True) if role != "d"}
    found = network.given(evidence)
    np.testing.assert_array_equal(found.probabilities(("hub",)), [0.0, 1.0, 0.0])
    np.testing.assert_allclose(found.probabilities((names[roles.index("d")],)), [0.25, 0.75])
    assert network.log_probability(evidence) == pytest.approx(log(0.5) + 3 * log(1e-200))


def test_how_far_the_exact_minimum_may_be() -> None:
    """Conditioning divides a distance by the probability of the evidence; a constant weight changes nothing."""
    network = chain(3, np.full((2, 2), 0.5))
    assert network.given({"x0": np.array([True, False])}).convergence.distance == pytest.approx(4e-6)
    assert network.given({"x0": np.array([3.0, 3.0])}).convergence.distance == pytest.approx(2e-6)
    step = np.array([[1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9]])
    rare = chain(3, step).given({"x0": np.array([1, 0]), "x1": np.array([0, 1])})
    assert rare.convergence.distance == 1.0
    assert rare.convergence.evaluations == 3


def test_evidence_that_does_not_fit_is_refused() -> None:
    domain = Domain(("age", "sex"), (3, 2))
    network = from_joint(JunctionTree.of(domain, []), np.full((3, 2), 1 / 6))
    with pytest.raises(ConfigurationError, match="no column 'agee'; did you mean 'age'"):
        network.given({"agee": np.ones(3)})
    for weight in (np.ones(2), np.array([1.0, -1.0, 1.0]), np.array([1.0, np.nan, 1.0]), np.array([1.0, inf, 1.0])):
        with pytest.raises(ValueError, match="'age' needs a weight >= 0 for each of its 3 cells"):
            network.given({"age": weight})
    assert exp(network.log_probability({"age": np.array([True, False, True])})) == pytest.approx(2 / 3)
