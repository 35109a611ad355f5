"""FittedModel: what a mechanism hands to the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.measurement import Level, Query
from dpsynth.model.factor import Floats
from dpsynth.model.network import MarkovNetwork


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
            mass = np.bincount(level.cells, weight, minlength=level.size)
            if not np.isfinite(weight).all() or (weight < 0).any() or not (mass > 0).all():
                raise ValueError(f"the weights of column {name!r} leave a model cell without a fine one")

    def spread(self, name: str) -> Floats:
        """The share that each fine cell of a column has of its model cell."""
        level, weight = self.levels[name], np.asarray(self.weights[name], dtype=np.float64)
        shares: Floats = weight / np.bincount(level.cells, weight, minlength=level.size)[level.cells]
        return shares

    def expected(self, query: Query) -> Floats:
        """The expected counts of a query, summing to the network's total: an array of the query's shape."""
        table = self.network.marginal(query.columns)
        for axis, level in enumerate(query.levels):
            name = level.column
            matrix = np.zeros((self.levels[name].size, level.size))
            np.add.at(matrix, (self.levels[name].cells, level.cells), self.spread(name))
            table = np.moveaxis(np.tensordot(table, matrix, axes=(axis, 0)), -1, axis)
        return table

    def marginal(self, names: Sequence[str]) -> Floats:
        """The expected counts of some columns on their finest grids."""
        return self.expected(Query(tuple(Level.identity(name, self.levels[name].fine) for name in names)))
