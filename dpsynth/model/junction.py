"""Junction tree: the cliques of a triangulated graph, each with its separator to its parent, parents first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model.triangulation import cells, members, triangulate

CELLS = 50_000_000
"""Default limit on the cells of a model: 0.4 GB a table of its size, of which a fit holds about three."""


@dataclass(frozen=True)
class Node:
    """One clique. ``given`` is shared with the parent (empty for a root), ``new`` appears here first.

    A table of the node has its axes in the order ``given + new``, so that what a parent needs is a sum of contiguous
    rows and what a child receives is a scaling of them. ``parent`` is the index of an earlier node, or None.
    """

    given: tuple[str, ...]
    new: tuple[str, ...]
    parent: int | None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the clique, in the order of the axes."""
        return self.given + self.new


@dataclass(frozen=True)
class JunctionTree:
    """A forest of nodes over all columns of a domain; every column is ``new`` in exactly one of them."""

    domain: Domain
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, domain: Domain, cliques: Iterable[Iterable[str]], limit: int = CELLS) -> JunctionTree:
        """The tree in which every clique lies inside a node. Columns in no clique stand alone.

        ConfigurationError if the tables of the tree would hold more than ``limit`` cells in all.
        """
        index = {name: v for v, name in enumerate(domain.names)}
        masks = [sum(1 << index[name] for name in set(clique)) for clique in cliques]
        bags = triangulate(masks, domain.sizes)
        asked = sum(cells(bag, domain.sizes) for bag in bags)
        if asked > limit:
            largest = max(bags, key=lambda bag: cells(bag, domain.sizes))
            names = ", ".join(domain.names[v] for v in members(largest))
            raise ConfigurationError(
                f"the model would need {asked:,} cells and the limit is {limit:,}; its largest table joins {names}: "
                "measure fewer of them together, or give them fewer bins"
            )
        return cls(domain, _rooted(bags, domain))

    @property
    def cells(self) -> int:
        """Number of cells of all node tables together."""
        return sum(self.domain.cells(node.columns) for node in self.nodes)

    def node_domain(self, index: int) -> Domain:
        """The domain of one node's table."""
        return self.domain.project(self.nodes[index].columns)

    @cached_property
    def _sets(self) -> tuple[frozenset[str], ...]:
        return tuple(frozenset(node.columns) for node in self.nodes)

    def host(self, columns: Iterable[str]) -> int | None:
        """The node with the fewest cells that holds all of these columns; None if there is none."""
        wanted = frozenset(columns)
        found = [i for i, held in enumerate(self._sets) if wanted <= held]
        return min(found, key=lambda i: (self.domain.cells(self.nodes[i].columns), i), default=None)


def _rooted(bags: tuple[int, ...], domain: Domain) -> tuple[Node, ...]:
    """Join the bags by the spanning forest of largest separators (Jensen and Jensen 1994); root at the largest bag."""
    pairs = [(i, j) for j in range(len(bags)) for i in range(j) if bags[i] & bags[j]]
    pairs.sort(key=lambda pair: (-(bags[pair[0]] & bags[pair[1]]).bit_count(), pair))
    leader = list(range(len(bags)))
    linked: list[list[int]] = [[] for _ in bags]

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for i, j in pairs:
        if find(i) != find(j):
            leader[find(i)] = find(j)
            linked[i].append(j)
            linked[j].append(i)

    nodes: list[Node] = []
    seen: set[int] = set()
    for root in sorted(range(len(bags)), key=lambda i: (-cells(bags[i], domain.sizes), i)):
        queue: list[tuple[int, int | None, int]] = [] if root in seen else [(root, None, 0)]
        seen.add(root)
        for i, parent, above in queue:
            shared = bags[i] & above
            given = tuple(domain.names[v] for v in members(shared))
            new = tuple(domain.names[v] for v in members(bags[i] & ~shared))
            queue.extend((j, len(nodes), bags[i]) for j in sorted(linked[i]) if j not in seen)
            seen.update(linked[i])
            nodes.append(Node(given, new, parent))
    return tuple(nodes)
