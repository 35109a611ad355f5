"""Structure, with networkx as the oracle."""

from __future__ import annotations

import re
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


@settings(max_examples=100)
@given(worlds(columns=8, cells=10**6), st.data())
def test_what_was_found_to_fit_is_never_refused(world: World, data: st.DataObject) -> None:
    """The size foretold is the size of the grown tree, and the tree made afresh with it at hand is at most that."""
    tree = JunctionTree.of(world.domain, [])
    for n, clique in enumerate(world.cliques, start=1):
        limit = tree.cells_with(clique)
        grown = tree.grown(clique)
        assert grown.cells == limit == sum(world.domain.cells(node.columns) for node in grown.nodes)
        again = JunctionTree.of(world.domain, world.cliques[:n], limit, known=tree)
        assert again.cells <= limit
        assert all(again.host(asked) is not None and grown.host(asked) is not None for asked in world.cliques[:n])
        for i, node in enumerate(grown.nodes):
            above = {name for other in grown.nodes[:i] for name in other.columns}
            assert set(node.given) == set(node.columns) & above
            assert (node.parent is None) == (not node.given)
            assert node.parent is None or set(node.given) <= set(grown.nodes[node.parent].columns)
        tree = data.draw(st.sampled_from([grown, again]))
    assert JunctionTree(tree.domain, tree.nodes).cells_with(world.domain.names) == world.domain.cells(
        world.domain.names
    )


@settings(max_examples=60)
@given(worlds(columns=8, cells=10**6), st.data())
def test_a_tree_whose_columns_have_other_sizes(world: World, data: st.DataObject) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    names = world.domain.names
    other = Domain(names, tuple(data.draw(st.integers(1, 5)) for _ in names))
    clique = data.draw(st.sets(st.sampled_from(names)))
    same = JunctionTree(other, tree.nodes)
    grown = tree.grown(clique, other)
    assert grown.domain == other
    assert grown.cells == same.grown(clique).cells == tree.cells_with(clique, other) == same.cells_with(clique)
    assert grown.cells == sum(other.cells(node.columns) for node in grown.nodes)
    assert all(grown.host(asked) is not None for asked in [*world.cliques, clique])
    with pytest.raises(ValueError, match="other columns"):
        tree.cells_with(clique, Domain((*names, "more"), (*other.sizes, 2)))


def test_a_clique_that_is_held_changes_nothing() -> None:
    tree = JunctionTree.of(domains(4), [("x0", "x1", "x2")])
    assert tree.cells_with(("x2", "x0")) == tree.cells_with(()) == tree.cells_with(("x3",)) == tree.cells == 8 + 2
    assert tree.grown(("x2", "x0")) is tree


def test_a_known_tree_of_another_domain_and_unknown_columns_are_said() -> None:
    tree = JunctionTree.of(domains(3), [])
    with pytest.raises(ValueError, match="another domain"):
        JunctionTree.of(domains(4), [], known=tree)
    with pytest.raises(ValueError, match="no column 'y'"):
        tree.cells_with(("x0", "y"))


@settings(max_examples=60)
@given(worlds(columns=7, cells=10**6), st.integers(1, 400))
def test_a_refusal_says_what_fits(world: World, limit: int) -> None:
    """Every figure of the message is what asking for so many cliques would give."""
    found = JunctionTree.of(world.domain, world.cliques)
    if found.cells <= limit:
        assert JunctionTree.of(world.domain, world.cliques, limit).nodes == found.nodes
        return
    with pytest.raises(ConfigurationError) as caught:
        JunctionTree.of(world.domain, world.cliques, limit)
    message = str(caught.value)
    assert f"need {found.cells:,} cells and the limit is {limit:,}" in message
    if alone := re.search(r"columns by themselves need ([\d,]+)", message):
        assert JunctionTree.of(world.domain, []).cells == int(alone[1].replace(",", "")) > limit
        return
    if first := re.search(r"\. ([x\d, ]+) alone, beside single columns, needs ([\d,]+):", message):
        assert set(first[1].split(", ")) == set(world.cliques[0])
        assert JunctionTree.of(world.domain, world.cliques[:1]).cells == int(first[2].replace(",", "")) > limit
        return
    said = re.search(r"the first (\d+) fit \(([\d,]+) cells\), and with ([x\d, ]+) it would be ([\d,]+):", message)
    assert said is not None
    fits = int(said[1])
    assert JunctionTree.of(world.domain, world.cliques[:fits], limit).cells == int(said[2].replace(",", ""))
    assert set(said[3].split(", ")) == set(world.cliques[fits])
    assert JunctionTree.of(world.domain, world.cliques[: fits + 1]).cells == int(said[4].replace(",", "")) > limit


def test_too_many_cells_are_refused_with_the_size() -> None:
    domain = domains(4, 100)
    with pytest.raises(ConfigurationError, match=r"100,000,000 cells and the limit is 50,000,000.*x0, x1, x2, x3"):
        JunctionTree.of(domain, [domain.names])
    assert JunctionTree.of(domain, [domain.names], limit=10**8).cells == 10**8


def test_a_hundred_columns_of_ten_values_grow_to_a_million_cells() -> None:
    """Pairs added while they fit; not one structure is refused that was found to fit."""
    domain = domains(100, 10)
    graph = nx.random_geometric_graph(100, 0.2, seed=1)
    tree, kept = JunctionTree.of(domain, []), []
    for a, b in graph.edges:
        pair = (f"x{a}", f"x{b}")
        if tree.cells_with(pair) <= 10**6:
            kept.append(pair)
            tree = JunctionTree.of(domain, kept, 10**6, tree)
    assert len(kept) > 100
    assert 5 * 10**5 < tree.cells <= 10**6
