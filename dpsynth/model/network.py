"""Markov network: a fitted distribution over the cells of a model, as the calibrated tables of a junction tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import ascii_letters

import numpy as np

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.model.factor import Factor, Floats
from dpsynth.model.junction import CELLS, JunctionTree


@dataclass(frozen=True)
class Convergence:
    """How a fit ended: ``distance`` bounds its total variation distance to the exact minimum of its objective."""

    evaluations: int
    distance: float
    converged: bool


@dataclass(frozen=True, eq=False)
class MarkovNetwork:
    """A distribution over ``tree.domain`` and a total of rows.

    ``beliefs[i]`` holds the joint probabilities of ``tree.nodes[i]``, axes ``given + new``, float64, summing to 1; the
    beliefs of neighbours agree on their separators. ``total`` is the estimated number of rows (real, may be 0).
    ``potentials`` holds the fit's log-potentials under the keys of what was measured: a later fit may start there.
    """

    tree: JunctionTree
    beliefs: tuple[Floats, ...]
    total: float
    potentials: Mapping[str, Floats] = field(default_factory=dict)
    convergence: Convergence = Convergence(0, 0.0, True)

    @property
    def domain(self) -> Domain:
        """The columns with their numbers of model cells."""
        return self.tree.domain

    def conditional(self, index: int) -> Factor:
        """P(new | given) of a node; for a root its probabilities. Zero where the given state is impossible."""
        domain = self.tree.node_domain(index)
        rows = self.beliefs[index].reshape(self.domain.cells(self.tree.nodes[index].given), -1)
        mass = rows.sum(axis=1, keepdims=True)
        shares = np.divide(rows, mass, out=np.zeros_like(rows), where=mass > 0)
        return Factor(domain, shares.reshape(domain.sizes))

    def probabilities(self, names: Iterable[str], limit: int = CELLS) -> Floats:
        """The joint probabilities of any columns, axes in the order given, by variable elimination.

        ConfigurationError if a table on the way would hold more than ``limit`` cells.
        """
        wanted = tuple(names)
        if len(set(wanted)) != len(wanted) or any(name not in self.domain for name in wanted):
            raise ValueError(f"a marginal names each of its columns once; asked {wanted}")
        if self.domain.cells(wanted) > limit:
            raise ConfigurationError(_too_large(wanted, self.domain.cells(wanted), limit))
        factors = self._relevant(set(wanted))
        while hidden := sorted({name for f in factors for name in f.domain.names} - set(wanted)):
            unions = {name: _union([f for f in factors if name in f.domain]) for name in hidden}
            name = min(hidden, key=lambda x: (unions[x].cells(unions[x].names), x))
            touched = [f for f in factors if name in f.domain]
            factors = [f for f in factors if name not in f.domain]
            factors.append(_join(touched, [x for x in unions[name].names if x != name], limit))
        return _join(factors, list(wanted), limit).values

    def marginal(self, names: Iterable[str]) -> Floats:
        """Expected counts of any columns: their probabilities times the total."""
        return self.probabilities(names) * max(self.total, 0.0)

    def _relevant(self, wanted: set[str]) -> list[Factor]:
        """Factors whose product, summed over the other columns, is the marginal: the smallest part of the forest."""
        nodes = self.tree.nodes
        children: list[set[int]] = [set() for _ in nodes]
        kept = set(range(len(nodes)))
        for i, node in enumerate(nodes):
            if node.parent is not None:
                children[node.parent].add(i)
        for i in range(len(nodes) - 1, -1, -1):
            parent = nodes[i].parent
            if not children[i] and not wanted.intersection(nodes[i].new):
                kept.discard(i)
                if parent is not None:
                    children[parent].discard(i)
        roots = {i for i in kept if nodes[i].parent is None}
        for i in sorted(kept):
            below = children[i]
            if i in roots and len(below) == 1:
                (child,) = below
                if not wanted.intersection(nodes[i].columns).difference(nodes[child].given):
                    kept.discard(i)
                    roots = roots - {i} | {child}
        return [
            Factor(self.tree.node_domain(i), self.beliefs[i]) if i in roots else self.conditional(i)
            for i in sorted(kept)
        ]


def _union(factors: list[Factor]) -> Domain:
    merged = {name: size for f in factors for name, size in zip(f.domain.names, f.domain.sizes, strict=True)}
    return Domain(tuple(merged), tuple(merged.values()))


def _too_large(names: Iterable[str], cells: int, limit: int) -> str:
    return f"the joint table of {', '.join(names)} needs {cells:,} cells and the limit is {limit:,}: ask fewer columns"


def _join(factors: list[Factor], keep: list[str], limit: int) -> Factor:
    """The product of some factors summed to the columns kept, two factors at a time, the smallest first."""
    if not factors:
        return Factor(Domain((), ()), np.ones(()))
    queue = sorted(factors, key=lambda f: f.values.size)
    result = queue[0]
    for n, factor in enumerate(queue[1:], start=2):
        union = _union([result, factor])
        later = {name for f in queue[n:] for name in f.domain.names}
        names = tuple(name for name in union.names if name in later or name in keep)
        if union.cells(names) > limit:
            raise ConfigurationError(_too_large(names, union.cells(names), limit))
        label = {name: ascii_letters[i] for i, name in enumerate(union.names)}
        left, right, kept = (
            "".join(label[x] for x in part) for part in (result.domain.names, factor.domain.names, names)
        )
        values = np.einsum(f"{left},{right}->{kept}", result.values, factor.values, optimize=True)
        result = Factor(union.project(names), values)
    return result.sum_to(keep)
