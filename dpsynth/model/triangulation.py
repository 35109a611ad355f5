"""Triangulation of the graph of measured cliques by greedy elimination, on bitsets.

Vertices are 0..n-1, a set of vertices is an int with one bit each. The elimination order by least fill and the one
by least weight are both tried and the one with fewer cells is kept (Koller and Friedman 2009, section 9.4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod


def members(mask: int) -> Iterator[int]:
    """The vertices of a set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def cells(mask: int, sizes: Sequence[int]) -> int:
    """Number of cells of the joint table of a set of vertices."""
    return prod(sizes[v] for v in members(mask))


def triangulate(cliques: Iterable[int], sizes: Sequence[int]) -> tuple[int, ...]:
    """The maximal cliques of a small chordal graph that holds every given clique and every vertex."""
    adjacent = [0] * len(sizes)
    for clique in cliques:
        for v in members(clique):
            adjacent[v] |= clique & ~(1 << v)
    found = [_eliminate(adjacent, sizes, key) for key in (_fill, _weight)]
    return min(found, key=lambda bags: sum(cells(bag, sizes) for bag in bags))


Key = Callable[[int, Sequence[int], Sequence[int]], int]


def _fill(v: int, adjacent: Sequence[int], sizes: Sequence[int]) -> int:
    """Twice the number of edges that eliminating v would add."""
    around = adjacent[v]
    return sum((around & ~adjacent[u]).bit_count() - 1 for u in members(around))


def _weight(v: int, adjacent: Sequence[int], sizes: Sequence[int]) -> int:
    """Number of cells of the clique that eliminating v would make."""
    return cells(adjacent[v] | 1 << v, sizes)


def _eliminate(graph: Sequence[int], sizes: Sequence[int], key: Key) -> tuple[int, ...]:
    """Eliminate the vertex of least key (then least weight, then lowest index) until none is left."""
    adjacent = list(graph)
    rank = {v: (key(v, adjacent, sizes), _weight(v, adjacent, sizes)) for v in range(len(sizes))}
    bags: list[int] = []
    while rank:
        v = min(rank, key=lambda u: (*rank[u], u))
        del rank[v]
        around = adjacent[v]
        bag = around | 1 << v
        if not any(bag & kept == bag for kept in bags):
            bags.append(bag)
        stale = around
        for u in members(around):
            adjacent[u] = (adjacent[u] | around) & ~(1 << u) & ~(1 << v)
        for u in members(around):
            stale |= adjacent[u]
        for u in members(stale):
            rank[u] = (key(u, adjacent, sizes), _weight(u, adjacent, sizes))
    return tuple(bags)
