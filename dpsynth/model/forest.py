"""Clique forest: a chordal graph on bitsets that grows by one clique at a time, and says beforehand to what size.

Let L and R be in different bags. To become one clique they travel towards each other along the path between these
bags. Only the inclusion-minimal separators S1, ..., Sm of the path stand between them (the others are walked around),
and where they meet is free: with the meeting at Si the new bags are

    L + S1 + S2, ..., L + S(i-1) + Si,   L + R + Si,   R + Si + S(i+1), ..., R + S(m-1) + Sm,

a chain that takes the place of the minimal separators; what lies inside another bag is left out. The cheapest meeting
is taken. For a pair of vertices no edge could be left out again, and where every vertex has two values or more the
bags hold no more cells than if L or R were added to every bag of the path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from dpsynth.model.triangulation import Triangulation, cells, members


class _Cells(dict[int, int]):
    """Cells of a set of vertices, each worked out once."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self._sizes = sizes

    def __missing__(self, mask: int) -> int:
        self[mask] = found = cells(mask, self._sizes)
        return found


@dataclass(frozen=True)
class CliqueForest:
    """The maximal cliques (``bags``) of a chordal graph, as a forest with parents first.

    ``weights[i]`` are the cells of bag i, ``parents[i]`` is an earlier index or -1 for a root. Bags that hold a vertex
    are connected, every vertex is in a bag and no bag lies inside another.
    """

    sizes: tuple[int, ...]
    bags: tuple[int, ...]
    weights: tuple[int, ...]
    parents: tuple[int, ...]

    @classmethod
    def of(cls, found: Triangulation, sizes: tuple[int, ...]) -> CliqueForest:
        """The forest of a triangulation."""
        return cls._rooted(sizes, found.bags, [cells(bag, sizes) for bag in found.bags], found.links)

    @classmethod
    def _rooted(
        cls, sizes: tuple[int, ...], bags: Sequence[int], weights: Sequence[int], links: Iterable[tuple[int, int]]
    ) -> CliqueForest:
        """Each tree from its largest bag downwards. A bag of 0 is none."""
        linked: list[list[int]] = [[] for _ in bags]
        for i, j in links:
            linked[i].append(j)
            linked[j].append(i)
        order: list[int] = []
        parents: list[int] = []
        seen = [not bag for bag in bags]
        for root in sorted(range(len(bags)), key=lambda i: (-weights[i], bags[i])):
            if seen[root]:
                continue
            seen[root] = True
            head = len(order)
            order.append(root)
            parents.append(-1)
            while head < len(order):
                for i in linked[order[head]]:
                    if not seen[i]:
                        seen[i] = True
                        order.append(i)
                        parents.append(head)
                head += 1
        return cls(sizes, tuple(bags[i] for i in order), tuple(weights[i] for i in order), tuple(parents))

    def resized(self, sizes: tuple[int, ...]) -> CliqueForest:
        """The same bags, whose vertices have other sizes. A forest made afresh for these may hold fewer cells."""
        if sizes == self.sizes:
            return self
        return replace(self, sizes=sizes, weights=tuple(cells(bag, sizes) for bag in self.bags))

    @cached_property
    def cells(self) -> int:
        """Cells of all bags together."""
        return sum(self.weights)

    def cells_with(self, clique: int) -> int:
        """``grown(clique).cells``, found without growing anything but what a third and further vertex need."""
        forest, left, right = self._before_the_last(clique)
        return forest.cells if not right else forest.cells + forest._joining(left, right)[0]

    def grown(self, clique: int) -> CliqueForest:
        """The forest in which one more clique lies inside a bag; ``self`` if one holds it already."""
        forest, left, right = self._before_the_last(clique)
        return forest if not right else forest._joined(left, right)

    def _before_the_last(self, clique: int) -> tuple[CliqueForest, int, int]:
        """Grow until one vertex of the clique is missing: the forest, what a bag holds of the clique, the vertex (0
        where nothing is missing).

        It starts at a bag that holds most of the clique; the vertex that needs fewest cells comes next.
        """
        first, others = clique & -clique, clique & (clique - 1)
        if others and not others & (others - 1):  # a pair, as most candidates are
            held = not clique & ~self.bags[max(self._top(first), self._top(others))]
            return (self, clique, 0) if held else (self, first, others)
        forest = self
        while True:
            left = max((bag & clique for bag in forest.bags), key=int.bit_count)
            rest = clique ^ left
            if not rest & (rest - 1):
                return forest, left, rest
            _, vertex = min((forest._joining(left, 1 << v)[0], 1 << v) for v in members(rest))
            forest = forest._joined(left, vertex)

    @cached_property
    def _cells(self) -> _Cells:
        return _Cells(self.sizes)

    @cached_property
    def _weight_of(self) -> dict[int, int]:
        return dict(zip(self.bags, self.weights, strict=True))

    @cached_property
    def _above(self) -> list[int]:
        """What each bag shares with its parent."""
        return [0 if p < 0 else bag & self.bags[p] for bag, p in zip(self.bags, self.parents, strict=True)]

    @cached_property
    def _tops(self) -> dict[int, int]:
        return {}

    def _top(self, clique: int) -> int:
        """The highest bag that holds all of a clique that some bag holds: the first one, as parents are first."""
        found = self._tops.get(clique)
        if found is None:
            found = self._tops[clique] = next(i for i, bag in enumerate(self.bags) if not clique & ~bag)
        return found

    def _edges(self, left: int, right: int) -> tuple[list[int], list[int]]:
        """The path from the bags that hold ``left`` to those that hold ``right``, each edge named by its lower bag:
        those that go up and those that go down, in order. Both empty where the trees differ."""
        bags, parents = self.bags, self.parents
        a, b = self._top(left), self._top(right)
        up: list[int] = []
        down: list[int] = []
        while a != b:  # the later of the two is no ancestor of the other
            if a > b:
                if not right & ~bags[a]:
                    break
                up.append(a)
                a = parents[a]
            else:
                if not left & ~bags[b]:
                    break
                down.append(b)
                b = parents[b]
            if a < 0 or b < 0:
                return [], []
        down.reverse()
        return up, down

    def _minimal(self, edges: Iterable[int]) -> list[int]:
        """The edges of a path whose separators contain no other: nesting shows between neighbours on the path."""
        above, kept = self._above, list[int]()
        for edge in edges:
            separator = above[edge]
            while kept and not separator & ~above[kept[-1]]:
                kept.pop()
            if not kept or above[kept[-1]] & ~separator:
                kept.append(edge)
        return kept

    def _joining(self, left: int, right: int) -> tuple[int, int]:
        """The cells that making ``left + right`` a clique adds, and the index of the separator where they meet."""
        up, down = self._edges(left, right)
        separators = [self._above[edge] for edge in self._minimal(up + down)] or [0]
        table, weight = self._cells, self._weight_of
        both = left | right
        gone = weight.get(left | separators[0], 0) + weight.get(right | separators[-1], 0)
        if len(separators) == 1:
            (shared,) = separators
            return table[shared] * table[both & ~shared] - gone, 0
        unions = [a | b for a, b in pairwise(separators)]
        from_left, from_right = ([table[u] * table[side & ~u] for u in unions] for side in (left, right))
        if left & (left - 1):  # several vertices, which may hold so much of a separator that the next bag holds this
            from_left = [n if a & ~(left | b) else 0 for n, (a, b) in zip(from_left, pairwise(separators), strict=True)]
        total = sum(from_right)
        best, meeting = -1, 0
        for i, shared in enumerate(separators):
            found = total + table[shared] * table[both & ~shared]
            if best < 0 or found < best:
                best, meeting = found, i
            if i < len(unions):
                total += from_left[i] - from_right[i]
        return best - gone - sum(weight.get(u, 0) for u in unions), meeting

    def _joined(self, left: int, right: int) -> CliqueForest:
        """The forest in which ``left + right`` is a clique; each of them is one already, in different bags."""
        up, down = self._edges(left, right)
        cut = self._minimal(up + down)
        separators = [self._above[edge] for edge in cut] or [0]
        path = [*up, *(self.parents[edge] for edge in up[-1:] or down[:1]), *down]
        path = path or [self._top(left), self._top(right)]
        meeting = self._joining(left, right)[1]
        unions = [a | b for a, b in pairwise(separators)]
        chain: list[int] = []
        stands: list[int] = []  # where in the chain each union lies inside a new bag
        for i, union in enumerate(unions):
            if i == meeting:
                chain.append(left | right | separators[i])
            stands.append(len(chain))
            if i >= meeting:
                chain.append(right | union)
            elif separators[i] & ~(left | separators[i + 1]):
                chain.append(left | union)
        if meeting == len(unions):
            chain.append(left | right | separators[meeting])

        # Which old bag hangs on which new one: those at the ends, and of each stretch between two cuts the one that
        # holds both separators. An old bag that holds nothing else is absorbed.
        first = len(self.bags)
        hangs = [(path[0], first, left | separators[0]), (path[-1], first + len(chain) - 1, right | separators[-1])]
        for union, new in zip(unions, stands, strict=True):
            hangs.append((next(node for node in path if not union & ~self.bags[node]), first + new, union))
        became = {node: new for node, new, inside in hangs if self.bags[node] == inside}
        bags = [0 if i in became else bag for i, bag in enumerate(self.bags)] + chain
        weights = [*self.weights, *(self._cells[bag] for bag in chain)]
        gone = set(cut)
        links = [
            (became.get(i, i), became.get(parent, parent))
            for i, parent in enumerate(self.parents)
            if parent >= 0 and i not in gone
        ]
        links += [(node, new) for node, new, _ in hangs if node not in became]
        links += pairwise(range(first, first + len(chain)))
        return self._rooted(self.sizes, bags, weights, links)
