"""Routes: which way through a junction forest leads from a node to a column, and where a set of columns best meets.

The forest is taken as one tree under a node without columns that joins its roots, and its nodes are numbered so that
a subtree is an interval. A *way* (i, True) leads up from node i to its parent, (i, False) down from the parent to i;
on both the columns that the two nodes share are ``given`` of node i.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from dpsynth.model.junction import JunctionTree

Way = tuple[int, bool]
Names = tuple[str, ...]


class Split(NamedTuple):
    """Some columns as a node sees them: those of its own, and the others by the way on which they come to it."""

    inside: Names
    outside: tuple[tuple[Way, Names], ...]

    @property
    def last(self) -> Names:
        """The columns that come on the last way; none where all are inside."""
        return self.outside[-1][1] if self.outside else ()


@dataclass(frozen=True)
class Routes:
    """The forest of ``tree``, for asking the way. Node ``len(tree.nodes)`` joins the roots."""

    tree: JunctionTree
    sizes: Mapping[str, int]
    columns: tuple[frozenset[str], ...]
    parents: tuple[int, ...]
    children: tuple[tuple[int, ...], ...]
    start: tuple[int, ...]
    """Position of each node, parents first, each subtree in one piece."""
    end: tuple[int, ...]
    """Position after the last node of each node's subtree."""
    home: Mapping[str, int]
    """The node in which each column is new: the one nearest to the root that holds it."""
    states: tuple[int, ...]
    """Joint cells of what each node shares with its parent."""

    @classmethod
    def of(cls, tree: JunctionTree) -> Routes:
        """Number the nodes of a forest."""
        top = len(tree.nodes)
        parents = (*(top if node.parent is None else node.parent for node in tree.nodes), top)
        children: list[list[int]] = [[] for _ in range(top + 1)]
        for i in range(top):
            children[parents[i]].append(i)
        order, pending = [], [top]
        while pending:
            node = pending.pop()
            order.append(node)
            pending.extend(reversed(children[node]))
        start, below = [0] * (top + 1), [1] * (top + 1)
        for position, node in enumerate(order):
            start[node] = position
        for node in reversed(order[1:]):
            below[parents[node]] += below[node]
        return cls(
            tree,
            dict(zip(tree.domain.names, tree.domain.sizes, strict=True)),
            (*(frozenset(node.columns) for node in tree.nodes), frozenset()),
            parents,
            tuple(tuple(found) for found in children),
            tuple(start),
            tuple(position + count for position, count in zip(start, below, strict=True)),
            {name: i for i, node in enumerate(tree.nodes) for name in node.new},
            tuple(tree.domain.cells(node.given) for node in tree.nodes),
        )

    def cells(self, names: Iterable[str]) -> int:
        """Number of joint cells of some columns."""
        count = 1
        for name in names:
            count *= self.sizes[name]
        return count

    def position(self, name: str) -> int:
        """Where a column is new, as a position among the nodes."""
        return self.start[self.home[name]]

    def source(self, way: Way) -> int:
        """The node at which a way begins."""
        node, up = way
        return node if up else self.parents[node]

    def shared(self, way: Way) -> Names:
        """The columns that both ends of a way hold."""
        return self.tree.nodes[way[0]].given

    def split(self, node: int, names: Names) -> Split:
        """The columns that the node holds, and the ways to the others, first those whose message shrinks a table most.

        A message makes it larger by the cells of its columns and smaller by those of what is shared on its way alone.
        """
        held = self.columns[node]
        if len(names) == 1:
            (name,) = names
            if name in held:
                return Split(names, ())
            return Split((), ((self._towards(node, self.position(name)), names),))
        inside: list[str] = []
        outside: dict[Way, list[str]] = {}
        for name in names:
            if name in held:
                inside.append(name)
            else:
                outside.setdefault(self._towards(node, self.position(name)), []).append(name)
        ways = [(way, tuple(found)) for way, found in outside.items()]
        if len(ways) > 1:
            often = Counter((*inside, *(name for way in outside for name in self.shared(way))))

            def growth(part: tuple[Way, Names]) -> tuple[float, Way]:
                summed = self.cells(name for name in self.shared(part[0]) if often[name] == 1)
                return self.cells(part[1]) / summed, part[0]

            ways.sort(key=growth)
        return Split(tuple(inside), tuple(ways))

    def meeting(self, names: Names) -> int:
        """The node to which some columns are best brought: where the largest table on any one way has fewest rows.

        It is looked for where one of the columns is new and where two of their routes to the root join, which for
        three columns includes the node between them. A set inside one node meets in such a node.
        """
        if not names:
            return len(self.tree.nodes)
        places = {self.home[name] for name in names}
        last = max(places, key=self.start.__getitem__)
        if self.columns[last].issuperset(names):
            return last
        if len(names) == 2:
            return self.home[max(names, key=lambda name: (self.sizes[name], self.position(name)))]
        homes = sorted(places, key=self.start.__getitem__)
        places |= {self._above(one, two) for one, two in pairwise(homes)}

        def rows(node: int) -> tuple[int, int, int]:
            ways = self.split(node, names).outside
            return max(self.cells(found) for _, found in ways), len(ways), -self.start[node]

        return min(places, key=rows)

    def _towards(self, node: int, position: int) -> Way:
        """The way on which a column that is new at a position comes to a node that does not hold it."""
        if not self.start[node] <= position < self.end[node]:
            return node, False
        below = self.children[node]
        return below[bisect_right(below, position, key=self.start.__getitem__) - 1], True

    def _above(self, one: int, two: int) -> int:
        """The lowest node whose subtree holds both."""
        while not self.start[one] <= self.start[two] < self.end[one]:
            one = self.parents[one]
        return one
