"""From noisy answers to the fitted model: which cells the model keeps, and how they spread over the finest grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dpsynth.measurement import Domain, Level, NoisyMarginal
from dpsynth.mechanisms.bins import sum_cells
from dpsynth.mechanisms.oneway import First, OneWay
from dpsynth.model import FittedModel, JunctionTree, Marginal, MarkovNetwork, Measurement, Residual, estimate
from dpsynth.model.operators import centred


def fit_model(
    first: First,
    joint: Sequence[NoisyMarginal] = (),
    again: Sequence[NoisyMarginal] = (),
    tree: JunctionTree | None = None,
    slack: float = 0.0,
) -> FittedModel:
    """Fit a network to the total, one or more tables of every column, and some joint answers.

    ``joint`` holds tables of two columns or more, and residuals; ``again`` further tables of single columns, at the
    ``first.levels``. The model's cells of a column are those of the finest level at which a joint answer holds it (that
    of ``first`` if none does): the levels of a column must be coarsenings of one another. Within a model cell the
    one-way tables decide. ``tree`` is one in whose nodes ``joint`` lies: what fits it is not refused, however a fresh
    triangulation turns out. ``slack`` is that of ``model.estimate``.
    """
    used: dict[str, Level] = {}
    for level in (level for answer in joint for level in answer.query.levels):
        if level.column not in used or level.size > used[level.column].size:
            used[level.column] = level
    rows = float(first.rows(again))
    return assembled({**first.levels, **used}, first.and_known(again), joint, rows, tree=tree, slack=slack)


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
        weights[name] = found.spread(level, rows)
    network = estimate(domain, measured, rows, start=start, known=tree, slack=slack)
    return FittedModel(network, levels, weights, max(0, round(rows)))


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
