"""Elimination on bitsets against networkx, and against an elimination that works every rank out afresh."""

from __future__ import annotations

from itertools import combinations
from math import prod

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.model.triangulation import Triangulation, cells, members, triangulate


@st.composite
def problems(draw: st.DrawFn, vertices: int = 9) -> tuple[list[int], list[int]]:
    """Cliques as bitsets and the sizes of the vertices."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=vertices))
    cliques = draw(st.lists(st.sets(st.integers(0, len(sizes) - 1), max_size=4), max_size=2 * len(sizes)))
    return [sum(1 << v for v in clique) for clique in cliques], sizes


def graph_of(cliques: list[int], vertices: int) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(vertices))
    graph.add_edges_from(pair for clique in cliques for pair in combinations(members(clique), 2))
    return graph


def require_clique_forest(bags: list[int], links: list[tuple[int, int]], graph: nx.Graph) -> None:
    """The bags are the maximal cliques of a chordal graph, the links a forest on which each vertex is connected."""
    held = graph_of(bags, len(graph))
    assert len(held) < 4 or nx.is_chordal(held)  # networkx asks for four vertices
    assert {frozenset(members(bag)) for bag in bags} == set(nx.chordal_graph_cliques(held))
    assert len(set(bags)) == len(bags)
    assert all(held.has_edge(*edge) for edge in graph.edges)
    forest = nx.Graph()
    forest.add_nodes_from(range(len(bags)))
    forest.add_edges_from(links)
    assert nx.is_forest(forest)
    assert forest.number_of_edges() == len(links)
    for v in graph:
        assert nx.is_connected(forest.subgraph([i for i, bag in enumerate(bags) if bag >> v & 1]))
    assert nx.number_connected_components(forest) == nx.number_connected_components(graph)


@settings(max_examples=150)
@given(problems())
def test_bags_and_links_are_a_clique_forest(problem: tuple[list[int], list[int]]) -> None:
    cliques, sizes = problem
    found = triangulate(cliques, sizes)
    require_clique_forest(list(found.bags), list(found.links), graph_of(cliques, len(sizes)))
    assert all(any(not clique & ~bag for bag in found.bags) for clique in cliques)
    assert found.cells == sum(prod(sizes[v] for v in members(bag)) for bag in found.bags)


def eliminate(cliques: list[int], sizes: list[int], by_fill: bool) -> set[int]:
    """The same greedy elimination with networkx, every rank worked out again at every step."""
    graph = graph_of(cliques, len(sizes))
    bags: set[int] = set()

    def rank(v: int) -> tuple[int, int, int]:
        around = list(graph[v])
        missing = sum(not graph.has_edge(a, b) for a, b in combinations(around, 2))
        return (missing if by_fill else 0), sizes[v] * prod(sizes[u] for u in around), v

    while graph:
        v = min(graph, key=rank)
        bags.add(1 << v | sum(1 << u for u in graph[v]))
        graph.add_edges_from(combinations(list(graph[v]), 2))
        graph.remove_node(v)
    return {bag for bag in bags if not any(bag != other and not bag & ~other for other in bags)}


@settings(max_examples=150)
@given(problems(12))
def test_ranks_kept_edge_by_edge_are_the_ranks(problem: tuple[list[int], list[int]]) -> None:
    cliques, sizes = problem
    tried = [eliminate(cliques, sizes, by_fill) for by_fill in (True, False)]
    costs = [sum(cells(bag, sizes) for bag in bags) for bags in tried]
    found = triangulate(cliques, sizes)
    assert found.cells == min(costs)
    assert set(found.bags) == tried[costs.index(min(costs))]


@settings(max_examples=50)
@given(problems(8))
def test_a_chordal_graph_is_left_as_it_is(problem: tuple[list[int], list[int]]) -> None:
    """But where a column of one value joins bags for nothing, which saves their separators."""
    cliques, sizes = problem
    first = triangulate(cliques, sizes)
    again = triangulate(first.bags, sizes)
    assert again.cells <= first.cells
    if min(sizes, default=2) > 1:
        assert set(again.bags) == set(first.bags)


def test_nothing_to_triangulate() -> None:
    assert triangulate([], []) == Triangulation((), (), 0)
    assert triangulate([0], [1, 7]) == Triangulation((1, 2), (), 8)
