"""Many marginals at once against the joint table, and what they are made of."""

from __future__ import annotations

from itertools import combinations, permutations
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model import JunctionTree, MarkovNetwork, marginals
from dpsynth.model.routes import Routes
from tests.model.networks import chain, from_joint, network_of
from tests.model.worlds import World, summed, worlds

BLOCKS = st.sampled_from([1, 60, 1 << 22])
"""Every query by itself, a few together, all together."""

HUB = Domain(("hub", "a", "b", "c", "d"), (4, 3, 2, 5, 1))
SPOKES = (("hub", "a"), ("hub", "b"), ("hub", "c"), ("hub", "d"))


@settings(max_examples=100)
@given(worlds(), st.sampled_from([0.0, 0.5]), BLOCKS)
def test_all_pairs_are_those_of_the_joint(world: World, zeros: float, block: int) -> None:
    network, joint = network_of(world, zeros)
    with mock.patch.object(marginals, "BLOCK", block):
        found = list(network.pairs())
    assert sorted(pair for pair, _ in found) == sorted(combinations(world.domain.names, 2))
    for pair, table in found:
        assert table is not None
        exact = summed(joint, world.domain, pair)
        np.testing.assert_allclose(table, exact, rtol=1e-9, atol=1e-14)
        assert (table[exact == 0] == 0).all()


@settings(max_examples=100)
@given(worlds(columns=7), st.sampled_from([0.0, 0.5]), BLOCKS, st.data())
def test_any_tables_together_are_those_of_the_joint(
    world: World, zeros: float, block: int, data: st.DataObject
) -> None:
    """Of none to five columns, repeated, and the same columns in several orders."""
    network, joint = network_of(world, zeros)
    names = st.lists(st.sampled_from(world.domain.names), unique=True, max_size=5).map(tuple)
    asked = data.draw(st.lists(names, max_size=12))
    asked += [tuple(reversed(x)) for x in asked[:3]]
    with mock.patch.object(marginals, "BLOCK", block):
        found = list(network.tables(asked))
    assert sorted(x for x, _ in found) == sorted(set(asked))
    for chosen, table in found:
        assert table is not None
        np.testing.assert_allclose(table, summed(joint, world.domain, chosen), rtol=1e-9, atol=1e-14)


@settings(max_examples=40)
@given(worlds(columns=6, cells=300))
def test_all_triples_are_those_of_the_joint(world: World) -> None:
    network, joint = network_of(world)
    for names, table in network.tables(combinations(world.domain.names, 3)):
        assert table is not None
        np.testing.assert_allclose(table, summed(joint, world.domain, names), rtol=1e-9, atol=1e-14)


@settings(max_examples=60)
@given(worlds(), st.integers(1, 60), st.data())
def test_the_limit_holds_for_each_table_by_itself(world: World, limit: int, data: st.DataObject) -> None:
    """What is refused does not depend on what else is asked; what is given is right."""
    network, joint = network_of(world)
    names = st.lists(st.sampled_from(world.domain.names), unique=True, max_size=4).map(tuple)
    for chosen, table in network.tables(data.draw(st.lists(names, max_size=12)), limit):
        if table is not None:
            assert table.size <= limit
            np.testing.assert_allclose(table, network.probabilities(chosen, limit), rtol=1e-12)
            np.testing.assert_allclose(table, summed(joint, world.domain, chosen), rtol=1e-9, atol=1e-14)
            continue
        with pytest.raises(ConfigurationError, match=f"the limit is {limit} cells"):
            network.probabilities(chosen, limit)


def test_a_table_on_the_way_counts_for_the_limit() -> None:
    """In the chain a - (h, i) - b the smaller end, with 2 cells, passes 6 x 7 states: 84 cells for a table of 10."""
    domain = Domain(("a", "h", "i", "b"), (2, 6, 7, 5))
    tree = JunctionTree.of(domain, [("a", "h", "i"), ("h", "i", "b")])
    joint = np.full(domain.sizes, 1 / (2 * 6 * 7 * 5))
    network = from_joint(tree, joint)
    for pair in permutations(("a", "b")):
        assert network.probabilities(pair, limit=84).sum() == pytest.approx(1.0)
        with pytest.raises(ConfigurationError, match="larger tables on the way to it and the limit is 83 cells"):
            network.probabilities(pair, limit=83)
    assert dict(network.pairs(83)).keys() == dict(network.pairs()).keys()


@pytest.mark.parametrize("block", [1 << 22, 5_000])
def test_a_hundred_columns_take_each_step_together(block: int) -> None:
    """All 4,950 pairs of a chain need a product a node and not one a pair."""
    step = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
    network = chain(100, step)
    with (
        mock.patch.object(marginals, "BLOCK", block),
        mock.patch.object(marginals._Plan, "_absorb", autospec=True, side_effect=marginals._Plan._absorb) as products,
    ):
        found = dict(network.pairs())
    assert products.call_count <= (300 if block > 5_000 else 100 * 100)
    power = np.eye(4)
    for distance in range(1, 100):
        power = power @ step
        for i in range(0, 100 - distance, 7):
            np.testing.assert_allclose(found[f"x{i}", f"x{i + distance}"], power / 4, rtol=1e-9)


def test_few_pairs_cost_few_steps() -> None:
    network = chain(100, np.full((2, 2), 0.5))
    with mock.patch.object(marginals._Plan, "_absorb", autospec=True, side_effect=marginals._Plan._absorb) as products:
        list(network.tables([("x10", "x14"), ("x14", "x10"), ("x10", "x12")]))
    assert products.call_count <= 8


def test_the_model_cannot_be_changed_through_a_table() -> None:
    rng = np.random.default_rng(4)
    network, _ = network_of(World(HUB, SPOKES, 3))
    before = [belief.copy() for belief in network.beliefs]
    for names, table in network.tables([*permutations(HUB.names, 2), *((x,) for x in HUB.names), HUB.names, ()]):
        assert table is not None
        with pytest.raises(ValueError, match="read-only"):
            table[...] = rng.random()
        assert table.shape == HUB.shape(names)
    for belief, held in zip(network.beliefs, before, strict=True):
        np.testing.assert_array_equal(belief, held)


def test_independent_columns_multiply() -> None:
    domain = Domain(("a", "b", "c"), (3, 1, 2))
    parts = (np.array([0.2, 0.0, 0.8]), np.array([1.0]), np.array([0.75, 0.25]))
    tree = JunctionTree.of(domain, [])
    network = MarkovNetwork(tree, tuple(parts[domain.names.index(node.new[0])] for node in tree.nodes), 10.0)
    found = dict(network.tables([("a", "c"), ("c", "b"), ("c", "a", "b")]))
    np.testing.assert_allclose(found["a", "c"], np.outer(parts[0], parts[2]))
    np.testing.assert_allclose(found["c", "b"], np.outer(parts[2], parts[1]))
    np.testing.assert_allclose(found["c", "a", "b"], np.outer(parts[2], parts[0])[:, :, None])


@settings(max_examples=100)
@given(worlds(columns=7), st.data())
def test_routes(world: World, data: st.DataObject) -> None:
    """A set inside a node meets in one that holds it; on each way the set only gets smaller, down to nothing."""
    tree = JunctionTree.of(world.domain, world.cliques)
    routes = Routes.of(tree)
    names = tuple(data.draw(st.lists(st.sampled_from(world.domain.names), unique=True)))
    node = routes.meeting(names)
    if tree.host(names) is not None:
        assert routes.columns[node] >= set(names)
    pending = [(node, names, None)]
    while pending:
        here, part, came = pending.pop()
        inside, outside = routes.split(here, part)
        assert sorted((*inside, *(x for _, found in outside for x in found))) == sorted(part)
        assert routes.columns[here] >= set(inside)
        for way, found in outside:
            assert way != came
            there = routes.source(way)
            assert here in ((routes.parents[there],) if way[1] else routes.children[there])
            assert routes.columns[here] & routes.columns[there] == set(routes.shared(way))
            assert not routes.columns[here] & set(found)
            pending.append((there, found, (way[0], not way[1])))


@pytest.mark.parametrize("arms", list(permutations("abc")))
def test_three_columns_meet_between_them(arms: tuple[str, ...]) -> None:
    """At the ends of three arms, wherever the root is: each comes on its own way."""
    cliques = [pair for arm in arms for pair in (("hub", f"{arm}0"), (f"{arm}0", f"{arm}1"), (f"{arm}1", f"{arm}2"))]
    names = ("hub", *(f"{arm}{i}" for arm in arms for i in range(3)))
    routes = Routes.of(JunctionTree.of(Domain(names, (2,) * 10), cliques))
    ends = ("a2", "b2", "c2")
    assert [len(found) for _, found in routes.split(routes.meeting(ends), ends).outside] in ([1, 1], [1, 1, 1])


def test_a_product_on_the_way_counts_for_the_limit() -> None:
    """Three columns of 5 cells at the corners (h, i), (i, j), (j, h): two of them make 400 cells."""
    domain = Domain(("h", "i", "j", "a", "b", "c"), (4, 4, 4, 5, 5, 5))
    tree = JunctionTree.of(domain, [("h", "i", "j"), ("h", "i", "a"), ("i", "j", "b"), ("j", "h", "c")])
    network = from_joint(tree, np.full(domain.sizes, 1 / 8000))
    ends = ("a", "b", "c")
    np.testing.assert_allclose(network.probabilities(ends, limit=400), np.full((5, 5, 5), 1 / 125))
    ((_, refused),) = network.tables([ends], limit=399)
    assert refused is None
