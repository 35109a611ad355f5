"""Evidence: a calibrated junction tree given what is known of some columns.

Every node's conditional P(new | given) is multiplied by the weights of the columns that are new in it. One pass from
the leaves to the roots finds, for each separator state, the probability of the evidence below it; one pass back turns
the rows, now normalised, into beliefs (Hugin propagation: Jensen, Lauritzen and Olesen 1990).

What is sent up stays a logarithm and is scaled by its largest value before it is used. Rows whose mass is too
small to have kept its digits are done again in log space, so that only what is impossible has probability zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.model.factor import Alignment, Floats
from dpsynth.model.junction import JunctionTree

TINY = 1e-280
"""A row of less mass than this has lost digits."""


@dataclass(frozen=True, eq=False)
class Collected:
    """The upward pass: ``rows[i]`` is P(new | given, evidence below) of node i, one row a state of ``given``, all 0
    where the evidence leaves a state impossible; ``log_probability`` is minus infinity where it leaves none.
    """

    rows: tuple[Floats, ...]
    log_probability: float


def collect(tree: JunctionTree, beliefs: Sequence[Floats], weights: Mapping[str, Floats]) -> Collected:
    """Take in non-negative weights of the model cells of some columns."""
    domain = tree.domain
    rows: list[Floats] = [np.empty(0)] * len(tree.nodes)
    received: list[list[Floats]] = [[] for _ in tree.nodes]
    log_probability = 0.0
    for i in range(len(tree.nodes) - 1, -1, -1):
        node, own = tree.nodes[i], tree.node_domain(i)
        for name in node.new:
            if name in weights:
                lie = Alignment.of(domain.project((name,)), own)
                received[i].append(lie.spread(_log(weights[name])))
        rows[i], log_mass = _rows(beliefs[i].reshape(domain.cells(node.given), -1), received[i], own.sizes)
        received[i] = []
        if node.parent is None:
            log_probability += float(log_mass[0])
        else:
            lie = Alignment.of(domain.project(node.given), tree.node_domain(node.parent))
            received[node.parent].append(lie.spread(log_mass.reshape(domain.shape(node.given))))
    return Collected(tuple(rows), log_probability)


def distribute(tree: JunctionTree, rows: Sequence[Floats]) -> tuple[Floats, ...]:
    """The downward pass: the beliefs, from the rows of ``collect``, which must not be impossible."""
    beliefs: list[Floats] = []
    for i, node in enumerate(tree.nodes):
        own = tree.node_domain(i)
        above = np.ones(1)
        if node.parent is not None:
            lie = Alignment.of(tree.domain.project(node.given), tree.node_domain(node.parent))
            above = lie.gather(beliefs[node.parent]).reshape(-1)
        beliefs.append((rows[i] * above[:, None]).reshape(own.sizes))
    return tuple(beliefs)


def _rows(belief: Floats, received: Sequence[Floats], sizes: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Rows of a belief times the exponentials of what was received (arrays that broadcast to ``sizes``).

    Returns the rows, normalised, and the log of what they summed to, minus infinity for a row of zeros.
    """
    mass = belief.sum(axis=1)
    rows = np.divide(belief, mass[:, None], out=np.zeros_like(belief), where=mass[:, None] > 0)
    if not received:
        return rows, _log((mass > 0).astype(np.float64))
    shaped, shift = rows.reshape(sizes), 0.0
    for logs in received:
        top = float(logs.max())
        shift += top if np.isfinite(top) else 0.0
        shaped *= np.exp(logs - top) if np.isfinite(top) else 0.0
    sums = rows.sum(axis=1)
    log_sums = _log(sums) + shift
    lost = np.flatnonzero((sums < TINY) & (mass > 0))
    if lost.size:
        logs = _log(belief[lost] / mass[lost, None])
        for part in received:
            logs += np.broadcast_to(part, sizes).reshape(belief.shape)[lost]
        top = logs.max(axis=1)
        finite = np.where(np.isfinite(top), top, 0.0)
        rows[lost] = np.exp(logs - finite[:, None])
        sums[lost] = rows[lost].sum(axis=1)
        log_sums[lost] = _log(sums[lost]) + finite
    np.divide(rows, sums[:, None], out=rows, where=sums[:, None] > 0)
    return rows, log_sums


def _log(values: Floats) -> Floats:
    """Logarithms, minus infinity of 0, without a warning."""
    result: Floats = np.log(values, out=np.full(values.shape, -np.inf), where=values > 0)
    return result
