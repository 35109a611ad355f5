"""Structure, with networkx as the oracle."""

from __future__ import annotations

from itertools import combinations, pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model import JunctionTree
from tests.model.worlds import World, worlds


def graph_of(cliques: list[tuple[str, ...]], domain: Domain) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(domain.names)
    graph.add_edges_from(pair for clique in cliques for pair in combinations(clique, 2))
    return graph


def domains(names: int, size: int = 2) -> Domain:
    return Domain(tuple(f"x{i}" for i in range(names)), (size,) * names)


@settings(max_examples=150)
@given(worlds(columns=7, cells=10**6))
def test_it_is_a_junction_tree(world: World) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    bags = [node.columns for node in tree.nodes]
    graph = graph_of(bags, world.domain)
    assert nx.is_chordal(graph) or len(graph) < 4
    assert {frozenset(bag) for bag in bags} == {frozenset(c) for c in nx.find_cliques(graph)}
    for clique in world.cliques:
        host = tree.host(clique)
        assert host is not None
        assert set(clique) <= set(bags[host])
    assert sorted(name for node in tree.nodes for name in node.new) == sorted(world.domain.names)
    for i, node in enumerate(tree.nodes):
        above = {name for bag in bags[:i] for name in bag}
        assert set(node.given) == set(node.columns) & above  # the running intersection property
        assert (node.parent is None) == (not node.given)
        if node.parent is not None:
            assert node.parent < i
            assert set(node.given) <= set(bags[node.parent])
    parts = nx.connected_components(graph_of(list(world.cliques), world.domain))
    assert sum(node.parent is None for node in tree.nodes) == len(list(parts))
    assert tree.cells == sum(world.domain.cells(bag) for bag in bags)


@given(st.integers(3, 12))
def test_a_ring_becomes_triangles(length: int) -> None:
    domain = domains(length)
    ring = [*pairwise(domain.names), (domain.names[-1], domain.names[0])]
    tree = JunctionTree.of(domain, ring)
    assert [len(node.columns) for node in tree.nodes] == [3] * (length - 2)


def test_no_more_cells_than_the_heuristic_of_networkx() -> None:
    ours = theirs = 0
    for seed in range(40):
        graph = nx.gnp_random_graph(12, 0.25, seed=seed)
        domain = domains(12)
        tree = JunctionTree.of(domain, [(f"x{a}", f"x{b}") for a, b in graph.edges])
        ours += tree.cells
        _, other = nx.algorithms.approximation.treewidth_min_fill_in(graph)
        theirs += sum(2 ** len(bag) for bag in other.nodes)
    assert ours <= theirs


def test_nothing_measured_is_a_forest_of_single_columns() -> None:
    assert [node.columns for node in JunctionTree.of(domains(3), [(), ()]).nodes] == [("x0",), ("x1",), ("x2",)]


def test_weight_decides_among_equal_fills() -> None:
    domain = Domain(("a", "b", "c", "d"), (50, 2, 50, 2))
    tree = JunctionTree.of(domain, [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")])
    assert tree.cells == 2 * 50 * 2 * 2  # the chord joins b and d, not a and c


def test_the_host_is_the_smallest_node() -> None:
    tree = JunctionTree.of(Domain(("a", "b", "c"), (2, 9, 3)), [("a", "b"), ("a", "c")])
    host = tree.host(("a",))
    assert host is not None
    assert set(tree.nodes[host].columns) == {"a", "c"}
    assert tree.host(("b", "c")) is None


def test_too_many_cells_are_refused_with_the_size() -> None:
    domain = domains(4, 100)
    with pytest.raises(ConfigurationError, match=r"100,000,000 cells and the limit is 50,000,000.*x0, x1, x2, x3"):
        JunctionTree.of(domain, [domain.names])
    assert JunctionTree.of(domain, [domain.names], limit=10**8).cells == 10**8


def test_a_hundred_columns_take_a_moment() -> None:
    domain = domains(100, 10)
    edges = nx.random_labeled_tree(100, seed=1).edges
    tree = JunctionTree.of(domain, [(f"x{a}", f"x{b}") for a, b in edges])
    assert len(tree.nodes) == 99
