"""The dual function of a fit: its value, gradient and duality gap at a point, by one pass of belief propagation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dpsynth.model.effects import Effects
from dpsynth.model.exchange import Exchange
from dpsynth.model.factor import Floats
from dpsynth.model.junction import JunctionTree
from dpsynth.model.metric import Metric
from dpsynth.model.optimise import dot
from dpsynth.model.propagation import BeliefPropagation


@dataclass(frozen=True, eq=False)
class DualPoint:
    """The dual at one point; ``seen`` holds the probabilities of the cells of the effects, ``size`` sums the terms of
    the value without their signs."""

    dual: Dual
    value: float
    size: float
    gradient: Floats
    seen: Floats

    @property
    def gap(self) -> float:
        """Primal value less dual value, in units of the objective."""
        return self.dual.effects.gap(self.gradient)

    @cached_property
    def precondition(self) -> Metric:
        """An approximate inverse of the Hessian: what it gives for a gradient is a step."""
        return Metric(self.dual.effects, self.dual.rows, self.seen, self.dual.exchange(self))


class Dual:
    """N log sum p0 exp(effects) - <effects, values> + ridge, over a tree that holds every effect in a node.

    ``prior`` holds the probabilities of each column under p0.
    """

    def __init__(self, tree: JunctionTree, effects: Effects, rows: float, prior: Mapping[str, Floats]) -> None:
        self.tree, self.effects, self.rows = tree, effects, rows
        names = tree.domain.names
        self._exchange: Exchange | None = None
        self._prior = [np.log(prior[name]) for name in names]
        self._main = [names.index(name) for name in effects.main.names]
        self._propagation = BeliefPropagation(tree, [*((name,) for name in names), *effects.interactions])

    def __call__(self, point: Floats) -> DualPoint:
        """Value and gradient."""
        log_partition, tables = self._propagation.marginals(self._potentials(point))
        columns = len(self._prior)
        seen = self.effects.seen([*(tables[i] for i in self._main), *tables[columns:]])
        ridge = self.effects.ridge(point)
        linear = dot(point, 0.5 * ridge - self.effects.values)
        value, size = self.rows * log_partition + linear, self.rows * (1 + abs(log_partition)) + abs(linear)
        gradient = self.rows * self.effects.centred(seen) - self.effects.values + ridge
        return DualPoint(self, value, size, gradient, seen)

    def exchange(self, there: DualPoint) -> Exchange:
        """What tables may exchange, as the first point asked about shows it: for the metric of all later ones, too."""
        if self._exchange is None:
            effects = self.effects
            self._exchange = Exchange.of(
                effects.queries, effects.stack, effects.strengths, there.seen[effects.main.size :],
                np.flatnonzero(effects.coarse), effects.across,
            )  # fmt: skip
        return self._exchange

    def beliefs(self, point: Floats) -> tuple[Floats, ...]:
        """The calibrated tables of the nodes."""
        return self._propagation.calibrate(self._potentials(point)).beliefs

    def _potentials(self, point: Floats) -> list[Floats]:
        tables = self.effects.tables(point)
        result = list(self._prior)
        for i, table in zip(self._main, tables, strict=False):
            result[i] = result[i] + table
        return result + tables[len(self._main) :]
