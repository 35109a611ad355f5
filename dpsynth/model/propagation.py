"""Belief propagation on a junction tree: from log-potentials on the nodes to their joint probabilities.

Scaled linear space, one exponential a cell; where a message would underflow, the pass is
repeated in log space. A log-potential of minus infinity is a structural zero and gives an exact zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log

import numpy as np
from numpy.typing import NDArray

from dpsynth.model.contraction import Layout, Sum, plan
from dpsynth.model.factor import Alignment, Floats
from dpsynth.model.junction import JunctionTree
from dpsynth.model.leaves import Group, Leaves, grouped

TINY = 1e-280
"""A row of a message below this, and not structurally zero, has lost digits: log space then."""


FLUSHED = 2.0**-1074
"""Largest error of a float64 operation that underflows."""

HARMLESS = 1e-250
SMALLEST, LARGEST = 1e-30, 1e30

_NONE: Floats = np.empty(0)


@dataclass(frozen=True)
class Calibrated:
    """``beliefs[i]`` holds the probabilities of node i's cells; ``log_partition`` the log of the sum of all weights."""

    beliefs: tuple[Floats, ...]
    log_partition: float


class _Underflow(Exception):
    """A message left the range of linear space."""


class BeliefPropagation:
    """Message passing over one tree, from log-potentials on some cliques to the probabilities of their cells.

    ``cliques[k]`` names the columns of a table, in the order of its axes. Each lies inside a node of the tree; cliques
    may repeat, nest and have no column. Without cliques there is one for each node: its own table.
    """

    def __init__(self, tree: JunctionTree, cliques: Sequence[tuple[str, ...]] | None = None) -> None:
        """ValueError if no node holds a clique."""
        self.tree = tree
        self.cliques = tuple(node.columns for node in tree.nodes) if cliques is None else tuple(cliques)
        self._hosts = tuple(_host(tree, clique) for clique in self.cliques)
        self._lie = tuple(
            Alignment.of(tree.domain.project(clique), tree.node_domain(host))
            for clique, host in zip(self.cliques, self._hosts, strict=True)
        )
        domain = tree.domain
        self._plan()
        self._given = tuple(domain.shape(node.given) for node in tree.nodes)
        self._rows = tuple(domain.cells(node.given) for node in tree.nodes)
        self._up = tuple(
            None if node.parent is None else Alignment.of(domain.project(node.given), tree.node_domain(node.parent))
            for node in tree.nodes
        )

    def _plan(self) -> None:
        domain = self.tree.domain
        index = {name: c for c, name in enumerate(domain.names)}
        cliques = [tuple(index[name] for name in clique) for clique in self.cliques]
        self._scalars = [k for k, clique in enumerate(cliques) if not clique]
        covered = {c for clique in cliques for c in clique}
        self._free = sum(log(size) for c, size in enumerate(domain.sizes) if c not in covered)
        groups: list[Group] = []
        pools: list[dict[int, frozenset[int]]] = []
        for i in range(len(self.tree.nodes)):
            held = {k: cliques[k] for k, host in enumerate(self._hosts) if host == i and cliques[k]}
            mine = grouped(held, domain.sizes)
            pools.append({len(groups) + j: group.columns for j, group in enumerate(mine)})
            groups += mine
        given = [frozenset(index[name] for name in node.given) for node in self.tree.nodes]
        parents = [node.parent for node in self.tree.nodes]
        contractions, self._roots = plan(pools, given, parents, domain.sizes, len(groups))
        layout = Layout(contractions, domain.sizes, len(groups))
        self._steps = layout.build(self._roots)
        orders = [layout.orders[i] for i in range(len(groups))]
        self._leaves = Leaves(groups, cliques, orders, domain.sizes)

    def marginals(self, potentials: Sequence[Floats]) -> tuple[float, tuple[Floats, ...]]:
        """The log-partition, and the probabilities of each clique's cells; ValueError if no cell is possible.

        ``potentials[k]`` is the table of clique k; minus infinity is a structural zero.
        """
        if len(potentials) != len(self.cliques):
            raise ValueError(f"{len(potentials)} tables for {len(self.cliques)} cliques")
        constant = self._free + float(sum(float(potentials[k]) for k in self._scalars))
        try:
            value, tables = self._contract(potentials)
            if not isfinite(constant):
                raise ValueError("the potentials leave no possible cell, or are not numbers")
            return constant + value, tuple(tables)
        except _Underflow:
            calibrated = self.calibrate(potentials)
        found = (lie.gather(calibrated.beliefs[host]) for host, lie in zip(self._hosts, self._lie, strict=True))
        return calibrated.log_partition, tuple(found)

    def _contract(self, potentials: Sequence[Floats]) -> tuple[float, list[Floats]]:
        if not self._steps:
            return 0.0, [np.ones(())] * len(self.cliques)
        leaves, value = self._leaves.load(potentials)
        tables: list[Floats] = leaves + [_NONE] * len(self._steps)
        above, lost, factors = [1.0] * len(tables), [FLUSHED] * len(tables), [1.0] * len(self._steps)
        for s, step in enumerate(self._steps):
            table = step.forward(tables)
            top = float(np.maximum.reduce(table))
            left = step.left.number
            if isinstance(step, Sum):
                loss = step.terms * lost[left]
            else:
                right = step.right.number
                loss = step.terms * (lost[left] * above[right] + lost[right] * above[left] + FLUSHED)
            if not SMALLEST <= top <= LARGEST:
                if not 1e-290 < top < 1e290:
                    raise _Underflow
                table *= 1 / top
                factors[s] = 1 / top
                value += log(top)
                loss /= top
                top = 1.0
            if loss > HARMLESS * top:
                low = float(np.minimum.reduce(table))
                if not low * 1e-17 >= loss:
                    if not loss <= 1e-20 * top or step.out in self._roots:
                        raise _Underflow
                else:
                    loss = FLUSHED
            tables[step.out], above[step.out], lost[step.out] = table, top, loss
        slopes: list[Floats] = [_NONE] * len(tables)
        for root in self._roots:
            value += log(float(tables[root][0]))
            slopes[root] = 1 / tables[root]
        for s in range(len(self._steps) - 1, -1, -1):
            step = self._steps[s]
            slope = slopes[step.out]
            if factors[s] != 1.0:
                slope = slope * factors[s]
            step.reverse(slope, tables, slopes)
            slopes[step.out] = tables[step.out] = _NONE
        found, sound = self._leaves.read(tables, slopes, len(self.cliques))
        if not sound:
            raise _Underflow
        return value, found

    def calibrate(self, potentials: Sequence[Floats]) -> Calibrated:
        """The beliefs of all nodes; ValueError if the potentials leave no possible cell.

        ``potentials[k]`` is the table of clique k. A row of a belief whose separator state is impossible is 0.
        """
        tables = [np.zeros(self.tree.node_domain(i).sizes) for i in range(len(self.tree.nodes))]
        for host, lie, table in zip(self._hosts, self._lie, potentials, strict=True):
            tables[host] += lie.spread(table)
        return self.run(tables)

    def run(self, potentials: Sequence[Floats]) -> Calibrated:
        """Calibrate; ValueError if the potentials leave no possible cell.

        ``potentials[i]`` has the shape of node i's table. A row of a belief whose separator state is impossible is 0.
        """
        tops = [float(np.maximum.reduce(table, axis=None)) for table in potentials]
        if not all(isfinite(top) for top in tops):
            raise ValueError("the potentials leave no possible cell, or are not numbers")
        try:
            return self._linear(potentials, tops)
        except _Underflow:
            return self._logarithmic(potentials)

    def _linear(self, potentials: Sequence[Floats], tops: Sequence[float]) -> Calibrated:
        possible = self._possible(potentials)
        tables = [np.exp(table - top) for table, top in zip(potentials, tops, strict=True)]
        sums: list[Floats] = [np.empty(0)] * len(tables)
        log_partition = sum(tops)
        for i in range(len(tables) - 1, -1, -1):
            row = np.add.reduce(tables[i].reshape(self._rows[i], -1), axis=1)
            scale = float(np.maximum.reduce(row))
            kept = row if possible is None else row[possible[i]]
            if kept.size == 0:
                raise ValueError("the potentials leave no possible cell")
            if not np.minimum.reduce(kept) >= TINY:
                raise _Underflow
            log_partition += log(scale)
            sums[i] = row
            parent, up = self.tree.nodes[i].parent, self._up[i]
            if parent is not None and up is not None:
                tables[parent] *= up.spread((row / scale).reshape(self._given[i]))
        for i, table in enumerate(tables):
            parent, up = self.tree.nodes[i].parent, self._up[i]
            above = np.ones(1) if parent is None or up is None else up.gather(tables[parent]).reshape(-1)
            rows = table.reshape(self._rows[i], -1)
            rows *= (above / sums[i] if possible is None else _ratio(above, sums[i]))[:, None]
        return Calibrated(tuple(tables), log_partition)

    def _logarithmic(self, potentials: Sequence[Floats]) -> Calibrated:
        tables = [np.array(table) for table in potentials]
        sums: list[Floats] = [np.empty(0)] * len(tables)
        log_partition = 0.0
        for i in range(len(tables) - 1, -1, -1):
            row = _log_row_sums(tables[i].reshape(self._rows[i], -1))
            scale = float(row.max())
            if not np.isfinite(scale):
                raise ValueError("the potentials leave no possible cell")
            log_partition += scale
            sums[i] = row
            parent, up = self.tree.nodes[i].parent, self._up[i]
            if parent is not None and up is not None:
                tables[parent] += up.spread((row - scale).reshape(self._given[i]))
        for i, table in enumerate(tables):
            parent, up = self.tree.nodes[i].parent, self._up[i]
            above = np.ones(1) if parent is None or up is None else up.gather(tables[parent]).reshape(-1)
            rows = table.reshape(self._rows[i], -1)
            top = rows.max(axis=1)
            rows -= np.where(np.isfinite(top), top, 0.0)[:, None]
            np.exp(rows, out=rows)
            rows *= _ratio(above, rows.sum(axis=1))[:, None]
        return Calibrated(tuple(tables), log_partition)

    def _possible(self, potentials: Sequence[Floats]) -> list[NDArray[np.bool_]] | None:
        """For each node, which separator states the subtree below it allows; None where all do."""
        if all(np.minimum.reduce(table, axis=None) > -np.inf for table in potentials):
            return None
        supports: list[NDArray[np.bool_]] = [np.asarray(table > -np.inf) for table in potentials]
        result: list[NDArray[np.bool_]] = [np.empty(0, dtype=np.bool_)] * len(supports)
        for i in range(len(supports) - 1, -1, -1):
            result[i] = np.asarray(supports[i].reshape(self._rows[i], -1).any(axis=1))
            parent, up = self.tree.nodes[i].parent, self._up[i]
            if parent is not None and up is not None:
                supports[parent] &= result[i].reshape(self._given[i]).transpose(up.order).reshape(up.shape)
        return result


def _host(tree: JunctionTree, clique: tuple[str, ...]) -> int:
    host = tree.host(clique)
    if host is None:
        raise ValueError(f"no node of the tree holds {clique}")
    return host


def _ratio(above: Floats, below: Floats) -> Floats:
    """above / below with 0 / 0 = 0."""
    shares: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return shares


def _log_row_sums(rows: Floats) -> Floats:
    """log(sum(exp(row))) of each row; minus infinity for a row of structural zeros."""
    top = rows.max(axis=1)
    finite = np.where(np.isfinite(top), top, 0.0)
    total = np.exp(rows - finite[:, None]).sum(axis=1)
    result: Floats = finite + np.log(total, out=np.full_like(total, -np.inf), where=total > 0)
    return result
