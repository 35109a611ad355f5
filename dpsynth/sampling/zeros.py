"""Structural zeros: cells of the tables that no row which keeps the constraints lies in.

Where the columns of a constraint lie in one node of the tree, the node's table gives them no probability, so that few
drawn rows are left to repair. What was theirs goes to the other cells of the same row, in proportion: the distribution
of the given columns stays as it was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Constraints
from dpsynth.encoding.rules import Rule
from dpsynth.sampling.fixed import BLOCK, ONE
from dpsynth.sampling.scaled import Scaled, distributions
from dpsynth.sampling.tables import IntegerTables, Node

LEAST = 1024
"""Cells that constraints admit have at least one such part of a row together, or the row stays as it is."""


def zeroed(tables: IntegerTables, constraints: Constraints) -> IntegerTables:
    """The tables with exact zeros where constraints rule a cell out; integers, so the same on every processor.

    A row of a table that would have less than a LEASTth left stays as it is, and the repair of rows sees to it: what is
    left is noise then, and would be blown up by as much, and with it what two processors differ by.
    """
    nodes = [_node(node, tables, constraints.rules) for node in tables.nodes]
    return replace(tables, nodes=tuple(nodes))


def _node(node: Node, tables: IntegerTables, rules: Sequence[Rule]) -> Node:
    columns, domain = (*node.given, *node.new), tables.model_domain
    mine = [rule for rule in rules if set(rule.columns) <= set(columns) and set(rule.columns) & set(node.new)]
    if not mine:
        return node
    ruled_out = np.zeros(domain.shape(columns), dtype=np.bool_)
    for rule in mine:
        groups = [tables.levels[domain.position[name]].cells for name in rule.columns]
        ruled_out |= _spread(rule.forbidden(groups), rule.columns, columns)
    return Node(node.given, node.new, _without(node.table, ruled_out.reshape(node.table.shape)))


def _spread(forbidden: NDArray[np.bool_], names: Sequence[str], columns: Sequence[str]) -> NDArray[np.bool_]:
    """A table over ``names`` as one that stands against a table over ``columns``, axes in their order."""
    axes = [names.index(name) for name in columns if name in names]
    shape = [forbidden.shape[names.index(name)] if name in names else 1 for name in columns]
    return np.transpose(forbidden, axes).reshape(shape)


def _without(table: NDArray[np.uint64], ruled_out: NDArray[np.bool_]) -> NDArray[np.uint64]:
    result = table.copy()
    touched = np.flatnonzero((ruled_out & (table > 0)).any(axis=1))
    step = max(1, BLOCK // table.shape[1])
    for begin in range(0, touched.size, step):
        rows = touched[begin : begin + step]
        left = np.where(ruled_out[rows], np.uint64(0), table[rows])
        shares, _ = distributions(Scaled.of(left))
        some = left.sum(axis=1) >= ONE // LEAST
        result[rows[some]] = shares[some]
    return result
