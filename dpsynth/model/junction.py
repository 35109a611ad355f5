"""Junction tree: the cliques of a triangulated graph, each with its separator to its parent, parents first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model.forest import CliqueForest
from dpsynth.model.triangulation import cells, members, triangulate

CELLS = 50_000_000
"""Default limit on the cells of a model: 0.4 GB a table of its size, of which a fit holds one or two at its end. While
it searches it holds some tens of numbers for each cell of what was measured, and no table of a node."""


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
    def of(
        cls, domain: Domain, cliques: Iterable[Iterable[str]], limit: int = CELLS, known: JunctionTree | None = None
    ) -> JunctionTree:
        """The tree in which every clique lies inside a node. Columns in no clique stand alone.

        ``known``, a tree over the same domain, is grown by the cliques that it lacks and taken if that is smaller: what
        ``known.cells_with`` found to fit is never refused. ConfigurationError if the tables of the tree would hold more
        than ``limit`` cells in all.
        """
        if known is not None and known.domain != domain:
            raise ValueError("the known tree is over another domain")
        bits = _bits(domain)
        asked = [_mask(bits, clique) for clique in cliques]
        forest = CliqueForest.of(triangulate(asked, domain.sizes), domain.sizes)
        if known is not None:
            forest = min(forest, reduce(CliqueForest.grown, asked, known._forest), key=lambda found: found.cells)
        if forest.cells > limit:
            raise ConfigurationError(_refusal(domain, asked, forest, limit))
        return cls._of(domain, forest)

    @classmethod
    def _of(cls, domain: Domain, forest: CliqueForest) -> JunctionTree:
        nodes = []
        for bag, parent in zip(forest.bags, forest.parents, strict=True):
            above = 0 if parent < 0 else forest.bags[parent]
            given, new = (tuple(domain.names[v] for v in members(part)) for part in (bag & above, bag & ~above))
            nodes.append(Node(given, new, None if parent < 0 else parent))
        tree = cls(domain, tuple(nodes))
        tree.__dict__["_forest"] = forest  # what the cached property would find
        return tree

    def cells_with(self, clique: Iterable[str], domain: Domain | None = None) -> int:
        """``grown(clique, domain).cells``: the size of the tree with one more clique inside a node.

        It takes microseconds, and with another domain a look at every node besides.

        ValueError for a column that the domain lacks.
        """
        return self._resized(domain).cells_with(self._mask(clique))

    def grown(self, clique: Iterable[str], domain: Domain | None = None) -> JunctionTree:
        """The tree in which one more clique lies inside a node: this one where it does already.

        ``domain``, if given, has the same columns, in other sizes. Only the nodes between the clique's columns change.
        A tree that grew many times may be larger than one made of all cliques afresh: ``JunctionTree.of(domain,
        cliques, limit, known=tree)`` is the smaller of the two.
        """
        forest = self._resized(domain).grown(self._mask(clique))
        return self if forest is self._forest else self._of(domain or self.domain, forest)

    def _resized(self, domain: Domain | None) -> CliqueForest:
        if domain is not None and domain.names != self.domain.names:
            raise ValueError("the other domain has other columns")
        return self._forest if domain is None else self._forest.resized(domain.sizes)

    @property
    def cells(self) -> int:
        """Number of cells of all node tables together."""
        return self._forest.cells

    def node_domain(self, index: int) -> Domain:
        """The domain of one node's table."""
        return self.domain.project(self.nodes[index].columns)

    @cached_property
    def _forest(self) -> CliqueForest:
        sizes, bags = self.domain.sizes, tuple(self._mask(node.columns) for node in self.nodes)
        parents = tuple(-1 if node.parent is None else node.parent for node in self.nodes)
        return CliqueForest(sizes, bags, tuple(cells(bag, sizes) for bag in bags), parents)

    @cached_property
    def _bits(self) -> dict[str, int]:
        return _bits(self.domain)

    def _mask(self, columns: Iterable[str]) -> int:
        return _mask(self._bits, columns)

    def host(self, columns: Iterable[str]) -> int | None:
        """The node with the fewest cells that holds all of these columns; None if there is none."""
        wanted, forest = self._mask(columns), self._forest
        found = [i for i, bag in enumerate(forest.bags) if not wanted & ~bag]
        return min(found, key=lambda i: (forest.weights[i], i), default=None)


def _bits(domain: Domain) -> dict[str, int]:
    return {name: 1 << v for v, name in enumerate(domain.names)}


def _mask(bits: Mapping[str, int], columns: Iterable[str]) -> int:
    mask = 0
    for name in columns:
        if name not in bits:
            raise ValueError(f"the domain has no column {name!r}")
        mask |= bits[name]
    return mask


def _refusal(domain: Domain, asked: Sequence[int], forest: CliqueForest, limit: int) -> str:
    """The size asked, the limit, and how many of the cliques would fit: every number is that of a tree made for it."""

    def names(mask: int) -> str:
        return ", ".join(domain.names[v] for v in members(mask))

    def needed(first: int) -> int:
        return triangulate(asked[:first], domain.sizes).cells

    largest = forest.weights.index(max(forest.weights))
    message = (
        f"the model would need {forest.cells:,} cells and the limit is {limit:,}; its largest table joins "
        f"{names(forest.bags[largest])} ({forest.weights[largest]:,} cells). "
    )
    alone = needed(0)
    if alone > limit:
        return message + f"The columns by themselves need {alone:,}: give them fewer bins"
    fits, fails = 0, len(asked)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if needed(middle) <= limit else (fits, middle)
    advice = "leave that out, or give its columns fewer bins"
    if not fits:
        return message + f"{names(asked[0])} alone, beside single columns, needs {needed(1):,}: {advice}"
    return message + (
        f"Of the {len(asked)} groups of columns asked together the first {fits} fit ({needed(fits):,} cells), and with "
        f"{names(asked[fits])} it would be {needed(fails):,}: {advice}"
    )
