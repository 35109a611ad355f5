"""Message passing on the full tables of a junction tree's nodes: exact at any potentials, a few passes over each cell.

Scaled linear space, one exponential a cell. Where a message underflows the caller repeats the pass in log space. A
log-potential of minus infinity is a structural zero and gives an exact zero. Both passes work in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, log

import numpy as np
from numpy.typing import NDArray

from dpsynth.model.factor import Alignment, Floats
from dpsynth.model.junction import JunctionTree

TINY = 1e-280
"""A row of a message below this, and not structurally zero, has lost digits: log space then."""

BLOCK = 1 << 16
"""Cells of a table that are worked on at a time where a pass needs memory of its own."""

IMPOSSIBLE = "the potentials leave no possible cell, or are not numbers"


class Underflow(Exception):
    """A number left the range of linear space."""


class NodeTables:
    """The layout of the tables of one tree: axes given + new, so a message up is a sum of contiguous rows."""

    def __init__(self, tree: JunctionTree) -> None:
        domain = tree.domain
        self._parents = tuple(node.parent for node in tree.nodes)
        self._given = tuple(domain.shape(node.given) for node in tree.nodes)
        self._rows = tuple(domain.cells(node.given) for node in tree.nodes)
        self._up = tuple(
            None if node.parent is None else Alignment.of(domain.project(node.given), tree.node_domain(node.parent))
            for node in tree.nodes
        )

    def linear(self, tables: Sequence[Floats]) -> float:
        """Replace log-potentials by joint probabilities, and give the log-partition.

        Underflow if a message leaves the range of linear space, ValueError if no cell is possible.
        """
        tops = [float(np.maximum.reduce(table, axis=None)) for table in tables]
        if not all(isfinite(top) for top in tops):
            raise ValueError(IMPOSSIBLE)
        possible = self._possible(tables)
        for table, top in zip(tables, tops, strict=True):
            table -= top
            np.exp(table, out=table)
        sums: list[Floats] = [np.empty(0)] * len(tables)
        log_partition = sum(tops)
        for i in range(len(tables) - 1, -1, -1):
            row = np.add.reduce(tables[i].reshape(self._rows[i], -1), axis=1)
            scale = float(np.maximum.reduce(row))
            kept = row if possible is None else row[possible[i]]
            if kept.size == 0:
                raise ValueError(IMPOSSIBLE)
            if not np.minimum.reduce(kept) >= TINY:
                raise Underflow
            log_partition += log(scale)
            sums[i] = row
            parent, up = self._parents[i], self._up[i]
            if parent is not None and up is not None:
                tables[parent][...] *= up.spread((row / scale).reshape(self._given[i]))
        for i, table in enumerate(tables):
            rows = table.reshape(self._rows[i], -1)
            rows *= _ratio(self._above(i, tables), sums[i])[:, None]
        return log_partition

    def logarithmic(self, tables: Sequence[Floats]) -> float:
        """The same in log space, whatever the range. ValueError if no cell is possible."""
        log_partition = 0.0
        for i in range(len(tables) - 1, -1, -1):
            row = _log_row_sums(tables[i].reshape(self._rows[i], -1))
            scale = float(row.max())
            if not isfinite(scale):
                raise ValueError(IMPOSSIBLE)
            log_partition += scale
            parent, up = self._parents[i], self._up[i]
            if parent is not None and up is not None:
                tables[parent][...] += up.spread((row - scale).reshape(self._given[i]))
        for i, table in enumerate(tables):
            rows = table.reshape(self._rows[i], -1)
            top = rows.max(axis=1)
            rows -= np.where(np.isfinite(top), top, 0.0)[:, None]
            np.exp(rows, out=rows)
            rows *= _ratio(self._above(i, tables), rows.sum(axis=1))[:, None]
        return log_partition

    def _above(self, i: int, tables: Sequence[Floats]) -> Floats:
        """The probabilities of node i's separator states, from its parent's finished table."""
        parent, up = self._parents[i], self._up[i]
        return np.ones(1) if parent is None or up is None else up.gather(tables[parent]).reshape(-1)

    def _possible(self, tables: Sequence[Floats]) -> list[NDArray[np.bool_]] | None:
        """For each node, which separator states the subtree below it allows; None where all do."""
        if all(np.minimum.reduce(table, axis=None) > -np.inf for table in tables):
            return None
        supports: list[NDArray[np.bool_]] = [np.asarray(table > -np.inf) for table in tables]
        result: list[NDArray[np.bool_]] = [np.empty(0, dtype=np.bool_)] * len(supports)
        for i in range(len(supports) - 1, -1, -1):
            result[i] = np.asarray(supports[i].reshape(self._rows[i], -1).any(axis=1))
            parent, up = self._parents[i], self._up[i]
            if parent is not None and up is not None:
                supports[parent] &= result[i].reshape(self._given[i]).transpose(up.order).reshape(up.shape)
        return result


def _ratio(above: Floats, below: Floats) -> Floats:
    """above / below with 0 / 0 = 0."""
    shares: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return shares


def _log_row_sums(rows: Floats) -> Floats:
    """log(sum(exp(row))) of each row, a block at a time; minus infinity for a row of structural zeros."""
    top = rows.max(axis=1)
    finite = np.where(np.isfinite(top), top, 0.0)
    total = np.zeros(len(rows))
    width = min(rows.shape[1], BLOCK)
    for i in range(0, len(rows), max(1, BLOCK // width)):
        part = slice(i, i + max(1, BLOCK // width))
        for j in range(0, rows.shape[1], width):
            total[part] += np.exp(rows[part, j : j + width] - finite[part, None]).sum(axis=1)
    result: Floats = finite + np.log(total, out=np.full_like(total, -np.inf), where=total > 0)
    return result
