"""Estimation of a Markov network from noisy marginals.

The fitted distribution p minimises

    N KL(p || p0) + sum over measurements of |Q(N p) - y|^2 / (2 r)

where p0 makes the columns independent (each at its own noisy one-way table) and r is the ridge of
:mod:`dpsynth.model.strength`. Its dual is smooth and convex. It has one number a cell of each effect that was measured
(:mod:`dpsynth.model.effects`), so potentials live on what was measured, never on the nodes of a tree:

    N log sum p0 exp(sum Q' theta) - <theta, y> + r |theta|^2 / 2,    gradient  Q(N p) - y + r theta.

The duality gap is sum(gradient^2 / 2 r) and bounds N KL(p || best), so by Pinsker's inequality the fit lies within
sqrt(gap / 2 N) of the only minimum in total variation. The search stops on that bound: two processors end within twice
of it, but for the rounding of the sums themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from math import inf, isfinite, prod, sqrt

import numpy as np

from dpsynth.measurement import Domain
from dpsynth.model.closed_form import beginning
from dpsynth.model.dual import Dual
from dpsynth.model.effects import Effects
from dpsynth.model.factor import Floats
from dpsynth.model.junction import CELLS, JunctionTree
from dpsynth.model.network import Convergence, MarkovNetwork
from dpsynth.model.operators import Marginal, Measurement, Residual
from dpsynth.model.optimise import minimise
from dpsynth.model.projection import project
from dpsynth.model.strength import likelihoods, ridges

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
    known: JunctionTree | None = None,
    limit: int = CELLS,
    tolerance: float = TOLERANCE,
    slack: float = 0.0,
    shrinkage: float = 1.0,
    cap: int = CAP,
) -> MarkovNetwork:
    """Fit a distribution over the domain's cells to noisy marginals; deterministic, and no private value is seen.

    ``total`` is the number of rows that is known or estimated; below 1 the shape is fitted as if it were 1. A column
    that nothing measures is uniform. A column measured alone gets its exact least-squares table. ``start`` is an
    earlier fit, perhaps of other measurements: the potentials of effects that it shares are taken over, and what its
    tree's ``cells_with`` found to fit is not refused. Nor is what fits the nodes of ``known``, a tree whose columns are
    among the domain's and have no fewer cells there.

    The search stops at a total variation distance of ``tolerance`` to the minimum, or where the objective is within
    ``slack`` of it for each number fitted, by a cautious estimate of the search's own: chi-square varies by more than
    0.01 a number with the noise alone, so 0.01 is enough for a fit that only decides what to measure next. The
    ``distance`` that such a fit states is a bound, and far from tight. ``shrinkage`` says how strongly tables are drawn
    towards independence, 1 being what the noise asks for; near 0 the fit is that of least squares, weighted by
    precision.

    ConfigurationError if the junction tree would need more than ``limit`` cells.
    """
    if not isfinite(total) or not (0 <= shrinkage < inf and 0 <= slack < inf and 0 < tolerance < inf):
        raise ValueError("estimate needs a finite total, a positive tolerance, and slack and shrinkage from 0 on")
    rows = max(float(total), 1.0)
    merged = _merged([_in_order(m, domain) for m in measurements if m.columns])
    if known is not None:
        known = JunctionTree.of(domain, [node.columns for node in known.nodes], limit)
    elif start is not None and start.tree.domain == domain:
        known = start.tree
    tree = JunctionTree.of(domain, [m.columns for m in merged], limit, known)
    touched = Counter(name for m in merged for name in m.columns)
    plain = {m.columns[0]: project(m.values, m.stddev**2, rows) / rows for m in merged if _plain(m)}
    shares = {
        name: plain.get(name, np.full(size, 1 / size)) for name, size in zip(domain.names, domain.sizes, strict=True)
    }
    joint = [m for m in merged if not (_plain(m) and touched[m.columns[0]] == 1)]
    prior = {name: np.maximum(shares[name], FLOOR / shares[name].size) for name in domain.names}
    measured = list(zip(joint, _ridges(joint, domain, prior, rows, shrinkage), strict=True))
    effects = Effects.of(domain, measured, rows)
    dual = Dual(tree, effects, rows, prior)
    point, convergence = np.zeros(effects.size), Convergence(0, 0.0, True)
    if effects.size:
        least = slack * effects.size
        enough = max(2 * rows * tolerance**2, least)
        begin = beginning(effects, measured, rows, prior, start, limit)
        found = minimise(dual, begin, lambda there: there.gap <= enough, cap, least)
        point = found.point
        convergence = Convergence(found.evaluations, sqrt(found.there.gap / (2 * rows)), found.done)
    beliefs = list(dual.beliefs(point))
    searched = {name for m in joint for name in m.columns}
    for i, node in enumerate(tree.nodes):
        if searched.isdisjoint(node.columns):
            beliefs[i] = reduce(np.multiply.outer, [shares[name] for name in node.columns])
    return MarkovNetwork(tree, tuple(beliefs), float(total), effects.named(point), convergence)


def _plain(m: Measurement) -> bool:
    """Is it the table of one column, cell by cell?"""
    return len(m.columns) == 1 and isinstance(m.query, Marginal) and m.query.groups[0] is None


def _in_order(m: Measurement, domain: Domain) -> Measurement:
    """A table with its columns in the order of the domain, so that equal questions are seen to be equal."""
    order = sorted(range(len(m.columns)), key=lambda axis: domain.position[m.columns[axis]])
    if order == list(range(len(order))) or not isinstance(m.query, Marginal):
        return m
    return Measurement(m.query.part(tuple(order)), m.values.transpose(order), m.stddev)


def _merged(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Measurements of the same linear map as one: the mean weighted by precision, in order of first appearance."""
    groups: dict[str, list[Measurement]] = {}
    for m in measurements:
        groups.setdefault(m.query.key, []).append(m)
    result = []
    for same in groups.values():
        precision = sum((1 / m.stddev**2 for m in same), np.zeros(()))
        weighted = sum((m.values / m.stddev**2 for m in same), np.zeros(same[0].values.shape))
        result.append(same[0] if len(same) == 1 else Measurement(same[0].query, weighted / precision, precision**-0.5))
    return result


def _ridges(
    measurements: Sequence[Measurement], domain: Domain, prior: Mapping[str, Floats], rows: float, shrinkage: float
) -> list[Floats]:
    """The ridge of each measurement. As the shrinkage falls they become alike in units of the noise's variance."""
    own = _own_ridges(measurements, domain, prior, rows)
    if shrinkage < 1:
        least = min((float(np.min(r / m.stddev**2)) for m, r in zip(measurements, own, strict=True)), default=0.0)
        even = (1 - shrinkage) * least
        own = [shrinkage * r + even * m.stddev**2 for m, r in zip(measurements, own, strict=True)]
    return [np.maximum(shrinkage * r, SMALLEST * rows) for r in own]


def _own_ridges(
    measurements: Sequence[Measurement], domain: Domain, prior: Mapping[str, Floats], rows: float
) -> list[Floats]:
    """The ridge r that each measurement's noise asks for: a number, or one a cell for a query of one column."""
    result = [m.stddev for m in measurements]
    shares = {name: prior[name] / prior[name].sum() for name in domain.names}
    alike: dict[int, list[tuple[int, Floats, Floats, float]]] = {}
    for i, m in enumerate(measurements):
        if len(m.columns) > 1:
            joint = reduce(np.multiply.outer, [shares[name] for name in m.columns]) * rows
            expected = Marginal(m.columns, joint.shape, m.query.groups).apply(joint)
            off = m.values - m.query.apply(joint)
            free = prod(1 - 1 / size for size in off.shape) if isinstance(m.query, Residual) else 1.0
            alike.setdefault(off.size, []).append((i, off.ravel(), expected.ravel(), free))
    if not alike:
        return result
    places, seen, means = [], [], []
    for same in alike.values():
        at, off, expected, free = (np.array(found) for found in zip(*same, strict=True))
        stddev = np.array([float(result[i]) for i in at])
        places.append(at)
        seen.append(likelihoods(off, stddev, expected, free))
        means.append(expected.mean(axis=1))
    every = np.concatenate(places)
    stddev = np.array([float(result[i]) for i in every])
    for i, r in zip(every.tolist(), ridges(np.concatenate(seen), stddev, np.concatenate(means)), strict=True):
        result[i] = np.array(r)
    return result
