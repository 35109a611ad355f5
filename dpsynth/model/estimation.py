"""Estimation of a Markov network from noisy marginals.

The fitted distribution p minimises

    N KL(p || p0) + sum over measurements of |Q(N p) - y|^2 / (2 r)

where p0 makes the columns independent (each at its own noisy one-way table) and r is the ridge of
:mod:`dpsynth.model.strength`. Its dual is smooth, strictly convex and has one number a measured cell, so potentials
live on what was measured, never on the nodes of a tree:

    N log sum p0 exp(sum Q' theta) - <theta, y> + r |theta|^2 / 2,    gradient  Q(N p) - y + r theta.

The duality gap is sum(gradient^2 / 2 r) and bounds N KL(p || best), so by Pinsker's inequality the fit lies within
sqrt(gap / 2 N) of the only minimum in total variation. The search stops on that bound: any processor ends within it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from dpsynth.measurement import Domain
from dpsynth.model.factor import Factor, Floats
from dpsynth.model.junction import CELLS, JunctionTree
from dpsynth.model.network import Convergence, MarkovNetwork
from dpsynth.model.operators import Marginal, Measurement
from dpsynth.model.optimise import minimise
from dpsynth.model.projection import project
from dpsynth.model.propagation import BeliefPropagation
from dpsynth.model.strength import ridge

TOLERANCE = 1e-9
"""Total variation distance to the exact minimum at which the search stops."""

CAP = 10_000
"""Evaluations after which it stops anyway: a guard, reported as ``converged=False``."""

SMALLEST = 1e-8
"""Smallest ridge as a share of the total: below it a float64 fit gains no digit."""

FLOOR = 1e-3
"""Smallest probability of a cell under p0, as a share of the even one: p0 rules nothing out."""


def estimate(
    domain: Domain,
    measurements: Sequence[Measurement],
    total: float,
    *,
    start: MarkovNetwork | None = None,
    limit: int = CELLS,
    tolerance: float = TOLERANCE,
    cap: int = CAP,
) -> MarkovNetwork:
    """Fit a distribution over the domain's cells to noisy marginals; deterministic, and no private value is seen.

    ``total`` is the number of rows that is known or estimated; below 1 the shape is fitted as if it were 1. A column
    that nothing measures is uniform. A column measured alone gets its exact least-squares table. ``start`` is an
    earlier fit, perhaps of other measurements: where the same linear map was measured, its potential is taken over.

    ConfigurationError if the junction tree would need more than ``limit`` cells.
    """
    rows = max(float(total), 1.0)
    merged = _merged([m for m in measurements if m.columns])
    tree = JunctionTree.of(domain, [m.columns for m in merged], limit)
    touched = Counter(name for m in merged for name in m.columns)
    shares = {name: _one_way(name, domain, merged, rows) for name in domain.names}
    joint = [m for m in merged if not (_plain(m) and touched[m.columns[0]] == 1)]
    prior = {name: np.maximum(shares[name], FLOOR / shares[name].size) for name in domain.names}
    dual = Dual(tree, joint, rows, prior)
    found = dual.minimise(start, tolerance, cap) if joint else None
    beliefs = list(dual.beliefs(found.point if found else np.zeros(0)))
    searched = {name for m in joint for name in m.columns}
    for i, node in enumerate(tree.nodes):
        if searched.isdisjoint(node.columns):
            beliefs[i] = shares[node.columns[0]]
    return MarkovNetwork(
        tree,
        tuple(beliefs),
        float(total),
        dual.named(found.point) if found else {},
        found.convergence if found else Convergence(0, 0.0, True),
    )


def _plain(m: Measurement) -> bool:
    """Is it the table of one column, cell by cell?"""
    return len(m.columns) == 1 and isinstance(m.query, Marginal) and m.query.groups[0] is None


def _merged(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Measurements of the same linear map as one: the mean weighted by precision, in order of first appearance."""
    groups: dict[str, list[Measurement]] = {}
    for m in measurements:
        groups.setdefault(m.query.key, []).append(m)
    result = []
    for same in groups.values():
        precision = sum((1 / m.stddev**2 for m in same), np.zeros(same[0].values.shape))
        weighted = sum((m.values / m.stddev**2 for m in same), np.zeros(same[0].values.shape))
        result.append(same[0] if len(same) == 1 else Measurement(same[0].query, weighted / precision, precision**-0.5))
    return result


def _one_way(name: str, domain: Domain, merged: Sequence[Measurement], rows: float) -> Floats:
    """The least-squares probabilities of one column from what was measured of it alone; uniform without that."""
    for m in merged:
        if m.columns == (name,) and _plain(m):
            return project(m.values, m.stddev**2, rows) / rows
    return np.full(domain.size(name), 1.0 / domain.size(name))


@dataclass(frozen=True)
class _Found:
    point: Floats
    convergence: Convergence


class Dual:
    """The dual function of a set of measurements on a tree, and its minimisation.

    A point is one vector: the potentials of all measurements, one after another.
    """

    def __init__(
        self, tree: JunctionTree, measurements: Sequence[Measurement], rows: float, prior: Mapping[str, Floats]
    ) -> None:
        self.tree, self.measurements, self.rows = tree, tuple(measurements), rows
        self._prior = [np.log(prior[name]) for name in tree.domain.names]
        cliques = [*(m.columns for m in self.measurements), *((name,) for name in tree.domain.names)]
        self._propagation = BeliefPropagation(tree, cliques)
        self._cuts = np.cumsum([0, *(m.values.size for m in self.measurements)])
        ridges = [_ridge(m, tree.domain, prior, rows) for m in self.measurements]
        self.ridge = np.concatenate([np.zeros(0), *(r.ravel() for r in ridges)])
        self.values = np.concatenate(
            [
                np.zeros(0),
                *(_summing(m.values, r, rows).ravel() for m, r in zip(self.measurements, ridges, strict=True)),
            ]
        )

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        """Value and gradient."""
        log_partition, tables = self._propagation.marginals(self._potentials(point))
        parts = [m.query.apply(table).ravel() for m, table in zip(self.measurements, tables, strict=False)]
        value = self.rows * log_partition + float(point @ (0.5 * self.ridge * point - self.values))
        return value, self.rows * np.concatenate(parts) - self.values + self.ridge * point

    def beliefs(self, point: Floats) -> tuple[Floats, ...]:
        """The calibrated tables of the nodes."""
        return self._propagation.calibrate(self._potentials(point)).beliefs

    def gap(self, gradient: Floats) -> float:
        """The duality gap: primal value less dual value, in units of the objective."""
        return float(np.sum(gradient**2 / self.ridge)) / 2

    def minimise(self, start: MarkovNetwork | None, tolerance: float, cap: int) -> _Found:
        """Search from zero, or from an earlier fit, until the certified distance is at most ``tolerance``."""
        point = np.zeros(self.values.size)
        if start is not None:
            for m, low, high in zip(self.measurements, self._cuts, self._cuts[1:], strict=False):
                if m.query.key in start.potentials:
                    point[low:high] = start.potentials[m.query.key].ravel()
        enough = 2 * self.rows * tolerance**2
        metric = self.ridge + np.maximum(self.values, 1.0)
        found = minimise(self, point, metric, lambda _, gradient: self.gap(gradient) <= enough, cap)
        gap = self.gap(found.gradient)
        return _Found(found.point, Convergence(found.evaluations, sqrt(gap / (2 * self.rows)), found.done))

    def named(self, point: Floats) -> dict[str, Floats]:
        """The potentials under the keys of what was measured."""
        return {
            m.query.key: point[low:high].reshape(m.values.shape)
            for m, low, high in zip(self.measurements, self._cuts, self._cuts[1:], strict=False)
        }

    def _potentials(self, point: Floats) -> list[Floats]:
        cuts = zip(self.measurements, self._cuts, self._cuts[1:], strict=False)
        return [*(m.query.adjoint(point[low:high].reshape(m.values.shape)) for m, low, high in cuts), *self._prior]


def _ridge(m: Measurement, domain: Domain, prior: Mapping[str, Floats], rows: float) -> Floats:
    least = SMALLEST * rows
    if len(m.columns) == 1:
        return np.maximum(m.stddev, least)
    joint = Factor(Domain((), ()), np.array(rows))
    for name in m.columns:
        joint = joint * Factor(domain.project((name,)), prior[name] / prior[name].sum())
    return np.maximum(ridge(m.values, m.stddev, m.query.apply(joint.values)), least)


def _summing(values: Floats, weights: Floats, rows: float) -> Floats:
    """Values shifted along the weights to sum to the rows: it changes the objective by a constant only."""
    shifted: Floats = values + (rows - float(values.sum())) * (weights / float(weights.sum()))
    return shifted
