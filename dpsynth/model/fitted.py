"""FittedModel: what a mechanism hands to the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError, nearest
from dpsynth.measurement import Level, Query
from dpsynth.model.factor import Floats
from dpsynth.model.junction import CELLS
from dpsynth.model.network import MarkovNetwork
from dpsynth.model.products import product


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A Markov network over model cells, and how each model cell spreads over the finest grid.

    For every column of the network's domain ``levels[name]`` maps fine cells to model cells, and ``weights[name]``
    holds a finite weight >= 0 for every fine cell, positive somewhere in each model cell: the cell's mass is spread in
    proportion. ``total`` is the number of rows that the noisy answers say, at least 0.
    """

    network: MarkovNetwork
    levels: Mapping[str, Level]
    weights: Mapping[str, Floats]
    total: int

    def __post_init__(self) -> None:
        domain = self.network.domain
        if self.total < 0:
            raise ValueError(f"a model of {self.total} rows")
        for name in domain.names:
            level, weight = self.levels[name], np.asarray(self.weights[name])
            if level.size != domain.size(name) or weight.shape != (level.fine,):
                raise ValueError(f"the level or the weights of column {name!r} do not fit the model's cells")
            mass = _summed(level, weight)
            if not np.isfinite(weight).all() or (weight < 0).any() or not (mass > 0).all():
                raise ValueError(f"the weights of column {name!r} leave a model cell without a fine one")

    def spread(self, name: str) -> Floats:
        """The share that each fine cell of a column has of its model cell."""
        level, weight = self.levels[name], np.asarray(self.weights[name], dtype=np.float64)
        shares: Floats = weight / _summed(level, weight)[level.cells]
        return shares

    def expected(self, query: Query, limit: int = CELLS) -> Floats:
        """The expected counts of a query, summing to the network's total: an array of the query's shape.

        ConfigurationError if a table on the way would hold more than ``limit`` cells.
        """
        return self._at_levels(self.network.marginal(query.columns, limit), query, {})

    def expected_all(self, queries: Sequence[Query], limit: int = CELLS) -> tuple[Floats | None, ...]:
        """The expected counts of many queries at once, each of its query's shape, sharing the work on the network.

        None for what would need a table of more than ``limit`` model cells on the way.
        """
        waiting: dict[tuple[str, ...], list[int]] = {}
        for i, query in enumerate(queries):
            waiting.setdefault(query.columns, []).append(i)
        maps: dict[Level, Floats | None] = {}
        result: list[Floats | None] = [None] * len(queries)
        for columns, table in self.network.tables(waiting, limit):
            if table is not None:
                counts: Floats = table * self.network.rows
                for i in waiting[columns]:
                    result[i] = self._at_levels(counts, queries[i], maps)
        return tuple(result)

    def marginal(self, names: Sequence[str]) -> Floats:
        """The expected counts of some columns on their finest grids."""
        return self.expected(Query(tuple(Level.identity(name, self.levels[name].fine) for name in names)))

    def log_probability(self, evidence: Mapping[str, NDArray[np.floating | np.bool_]]) -> float:
        """The log of the probability of some evidence; minus infinity if it is impossible: see ``given``."""
        return self.network.log_probability(self._on_model_cells(evidence))

    def given(self, evidence: Mapping[str, NDArray[np.floating | np.bool_]]) -> FittedModel:
        """The model given some evidence: for each of some columns a mask, or weights >= 0, of its fine cells.

        The totals are multiplied by the probability of the evidence. ConfigurationError for a column that is unknown
        and for evidence of probability zero, ValueError for weights that do not fit.
        """
        network = self.network.given(self._on_model_cells(evidence))
        weights = dict(self.weights)
        for name, mask in evidence.items():
            level, left = self.levels[name], self.spread(name) * mask
            possible = _summed(level, left) > 0
            weights[name] = np.where(possible[level.cells], left, weights[name])
        share = exp(self.network.log_probability(self._on_model_cells(evidence)))
        return FittedModel(network, self.levels, weights, round(self.total * share))

    def _on_model_cells(self, evidence: Mapping[str, NDArray[np.floating | np.bool_]]) -> dict[str, Floats]:
        """The expected weight of each model cell."""
        found = {}
        for name, given in evidence.items():
            if name not in self.levels:
                raise ConfigurationError(f"the model has no column {name!r}{nearest(name, self.levels)}")
            level, weight = self.levels[name], np.asarray(given, dtype=np.float64)
            if weight.shape != (level.fine,) or not np.isfinite(weight).all() or (weight < 0).any():
                raise ValueError(f"evidence on {name!r} needs a weight >= 0 for each of its {level.fine} fine cells")
            found[name] = _summed(level, self.spread(name) * weight)
        return found

    def _at_levels(self, table: Floats, query: Query, maps: dict[Level, Floats | None]) -> Floats:
        """A table of model cells at the levels of a query; ``maps`` remembers the maps for the next."""
        for axis, level in enumerate(query.levels):
            if level not in maps:
                maps[level] = self._map(level)
            if (matrix := maps[level]) is not None:
                moved = np.moveaxis(table, axis, -1)
                spread = product(moved.reshape(1, -1, len(matrix)), matrix[None])
                table = np.moveaxis(spread.reshape(*moved.shape[:-1], level.size), -1, axis)
        return table

    def _map(self, level: Level) -> Floats | None:
        """How the model cells of a column spread over the cells of a level; None if they are the same."""
        model = self.levels[level.column]
        if level == model:
            return None
        mass: Floats = np.zeros((model.size, level.size))
        np.add.at(mass, (model.cells, level.cells), self.spread(level.column))
        return mass


def _summed(level: Level, values: Floats) -> Floats:
    """The sum over the fine cells of each cell of a level."""
    return np.asarray(np.bincount(level.cells, values, minlength=level.size), dtype=np.float64)
