"""Growing a clique forest by one clique at a time, with networkx as the oracle."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dpsynth.model.forest import CliqueForest
from dpsynth.model.triangulation import cells, members, triangulate
from tests.model.test_triangulation import graph_of, problems, require_clique_forest


@st.composite
def growths(draw: st.DrawFn, vertices: int = 9, least: int = 1) -> tuple[CliqueForest, list[int]]:
    """A forest, and cliques of 0 to 4 vertices to grow it by."""
    cliques, sizes = draw(problems(vertices))
    sizes = [max(size, least) for size in sizes]
    more = draw(st.lists(st.sets(st.integers(0, len(sizes) - 1), max_size=4), min_size=1, max_size=6))
    forest = CliqueForest.of(triangulate(cliques, sizes), tuple(sizes))
    return forest, [sum(1 << v for v in clique) for clique in more]


def links(forest: CliqueForest) -> list[tuple[int, int]]:
    return [(i, parent) for i, parent in enumerate(forest.parents) if parent >= 0]


@settings(max_examples=200)
@given(growths())
def test_a_grown_forest_is_a_clique_forest_of_the_size_foretold(growth: tuple[CliqueForest, list[int]]) -> None:
    forest, cliques = growth
    for clique in cliques:
        before, foretold = forest, forest.cells_with(clique)
        forest = forest.grown(clique)
        assert foretold == forest.cells == sum(cells(bag, forest.sizes) for bag in forest.bags)
        asked = graph_of([*before.bags, clique], len(forest.sizes))
        require_clique_forest(list(forest.bags), links(forest), asked)
        assert all(parent < i for i, parent in enumerate(forest.parents))
        assert any(not clique & ~bag for bag in forest.bags)
        assert (forest is before) == any(not clique & ~bag for bag in before.bags)
        assert forest.weights == tuple(cells(bag, forest.sizes) for bag in forest.bags)


@settings(max_examples=100)
@given(growths(12), st.data())
def test_the_fill_of_a_pair_is_minimal(growth: tuple[CliqueForest, list[int]], data: st.DataObject) -> None:
    """No added edge can be left out (Rose, Tarjan and Lueker 1976: single edges suffice)."""
    forest, _ = growth
    assume(len(forest.sizes) > 3)
    pair = data.draw(st.sets(st.integers(0, len(forest.sizes) - 1), min_size=2, max_size=2))
    asked = graph_of([*forest.bags, sum(1 << v for v in pair)], len(forest.sizes))
    held = graph_of(list(forest.grown(sum(1 << v for v in pair)).bags), len(forest.sizes))
    for edge in [edge for edge in held.edges if not asked.has_edge(*edge)]:
        held.remove_edge(*edge)
        assert not nx.is_chordal(held)
        held.add_edge(*edge)


def along_the_path(forest: CliqueForest, left: int, right: int) -> int:
    """The cells of the cheapest forest made by adding one or the other vertex to every bag of the path between."""
    tree = nx.Graph(links(forest))
    tree.add_nodes_from(range(len(forest.bags)))
    ends = [[i for i, bag in enumerate(forest.bags) if bag & side] for side in (left, right)]
    paths = [nx.shortest_path(tree, a, b) for a in ends[0] for b in ends[1] if nx.has_path(tree, a, b)]
    if not paths:
        bags = [*forest.bags, left | right]
        return sum(cells(b, forest.sizes) for b in bags if not any(b != c and not b & ~c for c in bags))
    path, found = min(paths, key=len), []
    for meeting in range(len(path)):
        added = dict.fromkeys(path[: meeting + 1], left)
        for node in path[meeting:]:
            added[node] = added.get(node, 0) | right
        bags = [bag | added.get(i, 0) for i, bag in enumerate(forest.bags)]
        kept = {b for b in bags if not any(b != c and not b & ~c for c in bags)}
        found.append(sum(cells(bag, forest.sizes) for bag in kept))
    return min(found)


@settings(max_examples=150)
@given(growths(12, least=2))
def test_never_larger_than_along_the_path(growth: tuple[CliqueForest, list[int]]) -> None:
    forest, _ = growth
    for one, two in combinations(range(len(forest.sizes)), 2):
        assert forest.cells_with(1 << one | 1 << two) <= along_the_path(forest, 1 << one, 1 << two)


def test_two_ends_of_a_chain_meet_where_it_is_cheapest() -> None:
    """The chain 0-1-2-3-4 with wide 1 and 3: the ends meet at 2, each having passed one wide vertex."""
    sizes = (2, 50, 2, 50, 2)
    forest = CliqueForest.of(triangulate([0b00011, 0b00110, 0b01100, 0b11000], sizes), sizes)
    grown = forest.grown(0b10001)
    assert {frozenset(members(bag)) for bag in grown.bags} == {frozenset(s) for s in ({0, 1, 2}, {0, 2, 4}, {2, 3, 4})}
    assert forest.cells_with(0b10001) == grown.cells == 200 + 8 + 200


def test_separators_that_hold_others_are_walked_around() -> None:
    """Bags 0-1-2, 1-2-3, 2-3-4: from 0 to 4 only vertex 2 lies on every way, so 0 and 4 meet with it alone."""
    sizes = (10,) * 5
    forest = CliqueForest.of(triangulate([0b00111, 0b01110, 0b10100], sizes), sizes)
    assert forest.cells_with(0b10001) == 1000 + 1000 + 1000
