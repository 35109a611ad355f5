"""The picture of the published model: which columns it ties together, and how strongly."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np

from dpsynth.model import Factor
from dpsynth.report import ModelPicture, Tie
from dpsynth.sampling import IntegerTables

_ONE = float(1 << 32)


def picture(tables: IntegerTables, asked: Iterable[tuple[str, ...]]) -> ModelPicture:
    """Every pair of columns inside a node, with its total variation distance from independence in the model.

    ``asked`` are the groups of columns that answers cover. A node is worked out from the table of the columns that it
    is given, which some earlier node holds (its parent in the junction tree), and then forgotten: at most one node's
    joint table is in memory.
    """
    domain = tables.model_domain
    order = {name: i for i, name in enumerate(domain.names)}
    covered = {frozenset(pair) for columns in asked for pair in combinations(columns, 2)}
    found: dict[tuple[str, str], float] = {}
    shares: dict[int, Factor] = {}
    for i, node in enumerate(tables.nodes):
        given = shares.pop(i).values.reshape(-1, 1) if node.given else np.ones((1, 1))
        inside = domain.project((*node.given, *node.new))
        joint = Factor(inside, (node.table * (given / _ONE)).reshape(inside.sizes))
        for j, later in enumerate(tables.nodes[i + 1 :], start=i + 1):
            if later.given and j not in shares and all(name in inside for name in later.given):
                shares[j] = joint.sum_to(later.given)
        for pair in combinations(sorted(inside.names, key=order.__getitem__), 2):
            if pair not in found:
                found[pair[0], pair[1]] = _dependence(joint.sum_to(pair))
    ties = (
        Tie(pair, found[pair], frozenset(pair) in covered)
        for pair in sorted(found, key=lambda p: [order[n] for n in p])
    )
    return ModelPicture(domain.names, tuple(ties))


def _dependence(joint: Factor) -> float:
    """Total variation distance between a joint table of two columns and the product of its margins."""
    table = joint.values
    apart = np.abs(table - table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True))
    return min(1.0, float(apart.sum()) / 2)
