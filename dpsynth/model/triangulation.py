"""Triangulation of the graph of measured cliques by greedy elimination, on bitsets.

Vertices are 0..n-1, a set of vertices is an int with one bit each. The elimination order by least fill and the one
by least weight are both tried and the one with fewer cells is kept (Koller and Friedman 2009, section 9.4.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush


def members(mask: int) -> Iterator[int]:
    """The vertices of a set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def cells(mask: int, sizes: Sequence[int]) -> int:
    """Number of cells of the joint table of a set of vertices."""
    product = 1
    while mask:
        low = mask & -mask
        product *= sizes[low.bit_length() - 1]
        mask ^= low
    return product


@dataclass(frozen=True)
class Triangulation:
    """A chordal graph: its maximal cliques ``bags``, the ``links`` of a clique forest, and the cells of all bags."""

    bags: tuple[int, ...]
    links: tuple[tuple[int, int], ...]
    cells: int


def triangulate(cliques: Iterable[int], sizes: Sequence[int]) -> Triangulation:
    """A small chordal graph in which every given clique and every vertex lies inside a bag."""
    adjacent = [0] * len(sizes)
    for clique in cliques:
        for v in members(clique):
            adjacent[v] |= clique
    for v in range(len(sizes)):
        adjacent[v] &= ~(1 << v)
    weight = [cells(around | 1 << v, sizes) for v, around in enumerate(adjacent)]
    found = [_Elimination(adjacent, weight, sizes, by_fill).run() for by_fill in (True, False)]
    return min(found, key=lambda triangulation: triangulation.cells)


class _Elimination:
    """One greedy elimination: the vertex of least fill (or of least weight), then least weight, then lowest index.

    The fill of a vertex is the number of pairs of its neighbours that are not adjacent, its weight the cells of the
    clique that eliminating it would make. Both are kept up to date edge by edge: an elimination changes few of them.
    """

    def __init__(self, graph: Sequence[int], weight: Sequence[int], sizes: Sequence[int], by_fill: bool) -> None:
        self.adjacent, self.weight, self.sizes, self.by_fill = list(graph), list(weight), sizes, by_fill
        self.fill = [0] * len(graph)
        if by_fill:
            for v, around in enumerate(graph):
                if around & (around - 1):
                    self.fill[v] = sum((around & ~graph[u]).bit_count() - 1 for u in members(around)) // 2

    def run(self) -> Triangulation:
        """Eliminate every vertex."""
        adjacent, sizes = self.adjacent, self.sizes
        rank = [(self.fill[v], self.weight[v], v) for v in range(len(sizes))]
        waiting = list(rank)  # each vertex as it ranks, and as it ranked before
        heapify(waiting)
        bags: list[int] = []
        home = [0] * len(sizes)  # the bag that holds a vertex and its neighbours at its elimination
        inside: dict[int, int] = {}  # what was left of a clique when its first vertex went, and the bag that held it
        left = [0] * len(sizes)
        order: dict[int, int] = {}
        while waiting:
            least = heappop(waiting)
            v = least[2]
            if v in order or least != rank[v]:
                continue
            order[v] = len(order)
            around = left[v] = adjacent[v]
            bag = around | 1 << v
            home[v] = inside.get(bag, len(bags))
            if home[v] == len(bags):
                bags.append(bag)
            inside[around] = home[v]
            stale = (self._connect(around) | around) & ~(1 << v)
            for u in members(around):
                adjacent[u] &= ~(1 << v)
                self.weight[u] //= sizes[v]
                if self.by_fill:
                    self.fill[u] -= (adjacent[u] & ~around).bit_count()
            for u in members(stale):
                now = (self.fill[u], self.weight[u], u)
                if now != rank[u]:
                    rank[u] = now
                    heappush(waiting, now)
        # A bag hangs on the home of that vertex of what was left of it which was eliminated first.
        hung = ((home[v], home[min(members(around), key=order.__getitem__)]) for v, around in enumerate(left) if around)
        links = tuple((i, j) for i, j in hung if i != j)
        return Triangulation(tuple(bags), links, sum(cells(bag, sizes) for bag in bags))

    def _connect(self, clique: int) -> int:
        """Join all of a set; returns the vertices whose fill changed besides."""
        adjacent, sizes, touched = self.adjacent, self.sizes, 0
        if not clique & (clique - 1):
            return 0
        for a in members(clique):
            for b in members(clique & ~adjacent[a] & ~((2 << a) - 1)):
                if self.by_fill:
                    common = adjacent[a] & adjacent[b]
                    for u in members(common):
                        self.fill[u] -= 1
                    self.fill[a] += (adjacent[a] & ~common).bit_count()
                    self.fill[b] += (adjacent[b] & ~common).bit_count()
                    touched |= common
                adjacent[a] |= 1 << b
                adjacent[b] |= 1 << a
                self.weight[a] *= sizes[b]
                self.weight[b] *= sizes[a]
        return touched
