"""Where the search for a fit begins: the answer in closed form, exact for what is measured one table at a time.

A table measured alone has the fitted counts t with t + r log(t / e) = y in each cell, e the expected counts without
it. Tables that overlap like the nodes of a junction tree multiply: p = product of t_C / t_C(separator), so one pass
over them gives the fit of a fully measured decomposable model but for the noise in which their separators differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain

import numpy as np

from dpsynth.model.effects import Effects
from dpsynth.model.factor import Floats
from dpsynth.model.network import MarkovNetwork
from dpsynth.model.operators import LinearQuery, Marginal, Measurement

STEEPEST = 30.0
"""Largest change of a log-probability that the start may make."""

LEAST = 1e-9
"""Least expected count of a cell."""


def log_ratio(values: Floats, ridge: float, expected: Floats) -> Floats:
    """log(t / e) where t + ridge log(t / e) = values; all of one shape, expected counts and ridge positive.

    With u = log(t / ridge) that is exp(u) + u = log(e / ridge) + values / ridge, solved by Newton's method (Wright's
    omega function, Corless and Jeffrey 2002).
    """
    logs = np.log(expected / ridge)
    goal = logs + values / ridge
    u = np.where(goal > 1, np.log(np.maximum(goal, 1.0)), goal)
    for _ in range(8):
        power = np.exp(u)
        u -= (power + u - goal) / (power + 1)
    found: Floats = np.clip(u - logs, -STEEPEST, STEEPEST)
    return found


def beginning(
    effects: Effects,
    measured: Sequence[tuple[Measurement, Floats]],
    rows: float,
    prior: Mapping[str, Floats],
    start: MarkovNetwork | None,
    limit: int,
) -> Floats:
    """A point of the dual near its minimum.

    Without ``start`` the measured tables are taken in order of how far they are from independence, each if it meets
    those taken before in no more than one of them. With ``start`` its potentials hold, and every table that it lacks
    is taken as if it were the only one, unless its own table would need more than ``limit`` cells.
    """
    functions = np.zeros(effects.size)
    keys = [effects.key(m.query) if isinstance(m.query, Marginal) else None for m, _ in measured]
    tables = [(m, float(r), key) for (m, r), key in zip(measured, keys, strict=True) if key]
    if start is None:
        for query, logs in _forest([(m, r) for m, r, _ in tables], rows, prior):
            effects.add(functions, query, logs)
        return effects.pushed(functions)
    lacking = [(m, r) for m, r, key in tables if key not in start.potentials]
    known = dict(start.tables([m.columns for m, _ in lacking], limit)) if start.domain == effects.domain else {}
    for m, r in lacking:
        shares = known.get(m.columns)
        if shares is not None:
            expected = np.maximum(m.query.apply(shares) * rows, LEAST)
            effects.add(functions, m.query, log_ratio(_even(m.values, rows), r, expected))
    return effects.point(start.potentials) + effects.pushed(functions)


def _forest(
    tables: Sequence[tuple[Measurement, float]], rows: float, prior: Mapping[str, Floats]
) -> Iterator[tuple[LinearQuery, Floats]]:
    """Tables that form a junction forest, the most dependent first, with the factor's logarithm that each adds."""
    found = []
    for m, r in tables:
        alone = [
            prior[name] if groups is None else np.asarray(np.bincount(groups, prior[name]), dtype=np.float64)
            for name, groups in zip(m.columns, m.query.groups, strict=True)
        ]
        expected = np.maximum(reduce(np.multiply.outer, alone) * rows, LEAST)
        logs = np.log(expected) + log_ratio(_even(m.values, rows), r, expected)
        found.append((float(np.abs(np.exp(logs) - expected).sum()), m, logs, alone))
    trees: list[list[frozenset[str]]] = []
    for _, m, logs, alone in sorted(found, key=lambda entry: -entry[0]):
        columns = frozenset(m.columns)
        met = [tree for tree in trees if any(columns & node for node in tree)]
        shared = [columns & frozenset().union(*tree) for tree in met]
        if all(any(part <= node for node in tree) for part, tree in zip(shared, met, strict=True)):
            trees = [*(tree for tree in trees if tree not in met), [columns, *chain.from_iterable(met)]]
            yield m.query, _given(m.columns, logs, shared, alone)


def _given(columns: tuple[str, ...], logs: Floats, shared: Sequence[frozenset[str]], alone: Sequence[Floats]) -> Floats:
    """Log-counts less those of the parts that are already there, and less the prior of columns that are new."""
    counts, result = np.exp(logs), logs
    for part in shared:
        others = tuple(i for i, name in enumerate(columns) if name not in part)
        result = result - np.log(counts.sum(axis=others, keepdims=True))
    for i, name in enumerate(columns):
        if not any(name in part for part in shared):
            result = result - np.log(alone[i]).reshape([-1 if axis == i else 1 for axis in range(len(columns))])
    return result


def _even(values: Floats, rows: float) -> Floats:
    return values + (rows - float(values.sum())) / values.size
