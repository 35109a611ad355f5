"""From noisy answers to the fitted model: which cells the model keeps, and how they spread over the finest grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain, Level, NoisyMarginal
from dpsynth.mechanisms.oneway import OneWay, best_total, known_one_ways, sum_cells
from dpsynth.model import FittedModel, JunctionTree, Marginal, MarkovNetwork, Measurement, Residual, estimate
from dpsynth.model.operators import centred


def fit_model(
    declared: Mapping[str, Level],
    total: NoisyMarginal,
    one_ways: Sequence[NoisyMarginal],
    joint: Sequence[NoisyMarginal] = (),
    tree: JunctionTree | None = None,
    slack: float = 0.0,
) -> FittedModel:
    """Fit a network to the total, one or more tables of every column at its declared level, and some joint answers.

    ``joint`` holds tables of two columns or more, and residuals. The model's cells of a column are those of the finest
    level at which one of these holds it (the declared ones if none does): the levels of a column must be coarsenings of
    one another. Within a model cell the smoothed one-way tables decide. ``tree`` is one in whose nodes ``joint`` lies:
    what fits it is not refused, however a fresh triangulation turns out. ``slack`` is that of ``model.estimate``.
    """
    rows = float(best_total([total, *one_ways]))
    used: dict[str, Level] = {}
    for level in (level for answer in joint for level in answer.query.levels):
        if level.column not in used or level.size > used[level.column].size:
            used[level.column] = level
    return assembled({**declared, **used}, known_one_ways(one_ways), joint, rows, tree=tree, slack=slack)


def assembled(
    levels: Mapping[str, Level],
    known: Mapping[str, OneWay],
    joint: Sequence[NoisyMarginal],
    rows: float,
    *,
    start: MarkovNetwork | None = None,
    tree: JunctionTree | None = None,
    slack: float = 0.0,
) -> FittedModel:
    """The model whose cells are those of ``levels``, fitted to what is known of each column and to joint answers.

    ``start``, ``tree`` (there ``known``) and ``slack`` are those of ``model.estimate``.
    """
    domain = Domain(tuple(levels), tuple(level.size for level in levels.values()))
    measured = [seen(domain, levels, answer) for answer in joint]
    weights = {}
    for name, found in known.items():
        level = levels[name]
        cell = found.level.onto(level)
        counts = sum_cells(cell, found.counts, level.size)
        measured.append(Measurement.of(domain, (name,), counts, found.sigma * np.sqrt(np.bincount(cell))))
        weights[name] = spread(found.level, level, found.mass(rows))
    network = estimate(domain, measured, rows, start=start, known=tree, slack=slack)
    return FittedModel(network, levels, weights, max(0, round(rows)))


def spread(declared: Level, model: Level, mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the fine cells: the non-negative mass of each declared cell, evenly over the fine cells inside it.

    A model cell without any mass spreads evenly over its declared cells.
    """
    cell = declared.onto(model)
    held = sum_cells(cell, mass, model.size)
    kept = np.where(held[cell] > 0, mass, 1.0)
    weights: NDArray[np.float64] = (kept / np.bincount(declared.cells))[declared.cells]
    return weights


def seen(domain: Domain, levels: Mapping[str, Level], answer: NoisyMarginal) -> Measurement:
    """A noisy answer as the model sees it: perhaps more coarsely than in its own cells, a residual in rows.

    A residual q = kron(m I - 11') x is prod m times the table x centred along each axis. Its noise, of scale sigma in
    each cell, is centred with it: what is left is the noise of scale sigma / prod m of a table, centred.
    """
    groups = {level.column: levels[level.column].onto(level) for level in answer.query.levels}
    values, sigma = answer.values.astype(np.float64), float(answer.sigma)
    if answer.query.basis == "marginal":
        return Measurement.of(domain, answer.query.columns, values, sigma, groups)
    query = Residual(Marginal.of(domain, answer.query.columns, groups))
    return Measurement(query, centred(values) / answer.query.cells, np.array(sigma / answer.query.cells))
