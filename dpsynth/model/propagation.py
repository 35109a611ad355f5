"""Belief propagation: from log-potentials on cliques to their joint probabilities, on a junction tree.

Marginals come from contractions of small tables in scaled linear space (one exponential a cell of a clique, none a cell
of the tree) and their derivatives. A bound on what underflows is carried along; where it is not harmless the exact pass
over the nodes' tables is made instead. A log-potential of minus infinity is a structural zero and gives an exact zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log

import numpy as np

from dpsynth.model.contraction import plan
from dpsynth.model.factor import Alignment, Floats
from dpsynth.model.junction import JunctionTree
from dpsynth.model.leaves import Leaf, Potentials, leaves_of
from dpsynth.model.steps import Layout, Pair
from dpsynth.model.tables import IMPOSSIBLE, NodeTables, Underflow

FLUSHED = 2.0**-1074
"""Largest error of a float64 operation whose result underflows."""

MODEST = 1e-30, 1e30
"""A table whose largest entry lies within is left as it is; others are scaled to a largest entry of 1."""

DOUBT = 1e-250
"""A possible loss of this share of a table's largest entry is compared with its smallest."""

LOSS = 1e-20
"""Larger possible losses than this share are not carried on."""


@dataclass(frozen=True)
class Calibrated:
    """``beliefs[i]`` holds the probabilities of node i's cells; ``log_partition`` the log of the sum of all weights."""

    beliefs: tuple[Floats, ...]
    log_partition: float


class BeliefPropagation:
    """Message passing over one tree, from log-potentials on some cliques to the probabilities of their cells.

    ``cliques[k]`` names the columns of a table, in the order of its axes. Each lies inside a node of the tree; cliques
    may repeat, nest and have no column. Without cliques there is one for each node: its own table. What can be worked
    out once is, so an object is worth keeping; it holds no state between calls.
    """

    def __init__(self, tree: JunctionTree, cliques: Sequence[tuple[str, ...]] | None = None) -> None:
        """ValueError if no node holds a clique."""
        self.tree = tree
        self.cliques = tuple(node.columns for node in tree.nodes) if cliques is None else tuple(cliques)
        self._hosts = tuple(_host(tree, clique) for clique in self.cliques)
        self._plan()

    def marginals(self, potentials: Floats) -> tuple[float, Floats]:
        """The log-partition, and the probabilities of the cliques' cells.

        ``potentials`` holds the log-potentials of all cells of all cliques, clique after clique, each below plus
        infinity; so does the result. ValueError if they leave no possible cell or are not as many. The same bits on any
        number of threads.
        """
        if potentials.shape != (self._cells,):
            raise ValueError(f"potentials of shape {potentials.shape} for cliques of {self._cells} cells in all")
        constant = self._free + float(np.add.reduce(potentials[self._scalars]))
        if not isfinite(constant):
            raise ValueError(IMPOSSIBLE)
        try:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                value, found = self._contract(potentials)
            return constant + value, found
        except Underflow:
            calibrated = self.calibrate(potentials)
        lies = (self._lie(clique, host) for clique, host in zip(self.cliques, self._hosts, strict=True))
        tables = (lie.gather(calibrated.beliefs[host]) for host, lie in zip(self._hosts, lies, strict=True))
        return calibrated.log_partition, np.concatenate([table.ravel() for table in tables])

    def calibrate(self, potentials: Floats) -> Calibrated:
        """The beliefs of all nodes, from the same potentials. ValueError if they leave no possible cell.

        A row of a belief whose separator state is impossible is 0.
        """
        passes = NodeTables(self.tree)
        try:
            beliefs = self._spread(potentials)
            return Calibrated(beliefs, passes.linear(beliefs))
        except Underflow:
            del beliefs
        beliefs = self._spread(potentials)
        return Calibrated(beliefs, passes.logarithmic(beliefs))

    def _lie(self, clique: tuple[str, ...], host: int) -> Alignment:
        return Alignment.of(self.tree.domain.project(clique), self.tree.node_domain(host))

    def _spread(self, potentials: Floats) -> tuple[Floats, ...]:
        """The sums of potentials on the nodes, by way of the leaves, where cells are few."""
        tables = tuple(np.zeros(self.tree.node_domain(i).sizes) for i in range(len(self.tree.nodes)))
        domain = self.tree.domain
        if tables:
            tables[0][...] += np.add.reduce(potentials[self._scalars])
        if self._leaves is not None:
            for table, order, i in zip(self._leaves.logarithms(potentials), self._orders, self._homes, strict=True):
                own = domain.project(tuple(domain.names[c] for c in order))
                lie = Alignment.of(own, self.tree.node_domain(i))
                tables[i][...] += lie.spread(table.reshape(own.sizes))
        return tables

    def _plan(self) -> None:
        domain = self.tree.domain
        index = {name: c for c, name in enumerate(domain.names)}
        cliques = [tuple(index[name] for name in clique if domain.size(name) > 1) for clique in self.cliques]
        masks = [sum(1 << c for c in clique) for clique in cliques]
        lengths = np.array([domain.cells(clique) for clique in self.cliques], dtype=np.intp)
        self._cells = int(lengths.sum())
        self._scalars = (np.cumsum(lengths) - lengths)[np.array([not mask for mask in masks], dtype=np.bool_)]
        covered = {c for clique in cliques for c in clique}
        self._free = sum(log(size) for c, size in enumerate(domain.sizes) if c not in covered)
        hosted: list[dict[int, int]] = [{} for _ in self.tree.nodes]
        for k, (host, mask) in enumerate(zip(self._hosts, masks, strict=True)):
            if mask:
                hosted[host][k] = mask
        leaves: list[Leaf] = []
        pools: list[dict[int, int]] = []
        self._homes: list[int] = []
        for i, held in enumerate(hosted):
            own = leaves_of(held, domain.sizes)
            pools.append({len(leaves) + j: leaf.columns for j, leaf in enumerate(own)})
            leaves += own
            self._homes += [i] * len(own)
        given = [sum(1 << index[name] for name in node.given) for node in self.tree.nodes]
        parents = [node.parent for node in self.tree.nodes]
        contractions, self._roots = plan(pools, given, parents, domain.sizes, len(leaves))
        natural = [cliques[leaf.cliques[0]] for leaf in leaves]
        layout = Layout(contractions, natural, self._roots, domain.sizes)
        self._steps = layout.steps
        self._orders = [layout.orders[i] for i in range(len(leaves))]
        self._leaves = Potentials(leaves, cliques, self._orders, domain.sizes) if leaves else None

    def _contract(self, potentials: Floats) -> tuple[float, Floats]:
        """Log-partition and marginals; Underflow if they may have lost digits.

        An entry of table t is exact but for rounding and for an error of at most ``lost[t]``, which stems from
        underflow. A result's loss follows from its operands' and their largest entries; a loss that is negligible
        beside every entry is forgotten. Backwards nothing has to be watched: the loss of the last number bounds the
        probability that any table's cells lack, and those of each leaf are summed to see that none is infinite.
        """
        if self._leaves is None:
            return 0.0, np.ones(self._cells)
        leaves, value = self._leaves.exponentials(potentials)
        tables = leaves + [np.empty(0)] * len(self._steps)
        top, lost = [1.0] * len(tables), [FLUSHED] * len(tables)
        scales = [1.0] * len(self._steps)
        for s, step in enumerate(self._steps):
            out, left = step.out, step.left.number
            table = step.forward(tables)
            high = float(np.maximum.reduce(table))
            loss = lost[left]
            if isinstance(step, Pair):
                right = step.right.number
                loss = lost[left] * top[right] + lost[right] * top[left] + FLUSHED
            loss *= step.terms
            if not MODEST[0] <= high <= MODEST[1]:
                if not 1e-300 < high < 1e300:
                    raise Underflow
                scales[s] = 1 / high
                table *= scales[s]
                value += log(high)
                loss, high = loss / high, 1.0
            if loss > DOUBT * high:
                if loss <= 1e-17 * float(np.minimum.reduce(table)):
                    loss = FLUSHED
                elif loss > LOSS * high:
                    raise Underflow
            tables[out], top[out], lost[out] = table, high, loss
        slopes = [np.empty(0)] * len(tables)
        for root in self._roots:
            value += log(float(tables[root][0]))
            slopes[root] = 1 / tables[root]
        for s in range(len(self._steps) - 1, -1, -1):
            step = self._steps[s]
            slope = slopes[step.out] if scales[s] == 1.0 else slopes[step.out] * scales[s]
            tables[step.out] = slopes[step.out] = slope[:0]
            step.reverse(slope, tables, slopes)
        found, whole = self._leaves.marginals(tables, slopes)
        if not whole:
            raise Underflow
        return value, found


def _host(tree: JunctionTree, clique: tuple[str, ...]) -> int:
    host = tree.host(clique)
    if host is None:
        raise ValueError(f"no node of the tree holds {clique}")
    return host
