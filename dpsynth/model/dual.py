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
        columns = np.split(np.arange(sum(tree.domain.sizes)), np.cumsum(tree.domain.sizes)[:-1])
        held = [column for name, column in zip(names, columns, strict=True) if name in effects.main.names]
        rest = np.arange(sum(tree.domain.cells(interaction) for interaction in effects.interactions))
        self._prior = np.concatenate([*(np.log(prior[name]) for name in names), np.zeros(rest.size)])
        self._held = np.concatenate([*held, sum(tree.domain.sizes) + rest])
        self._propagation = BeliefPropagation(tree, [*((name,) for name in names), *effects.interactions])

    def __call__(self, point: Floats) -> DualPoint:
        """Value and gradient."""
        log_partition, marginals = self._propagation.marginals(self._potentials(point))
        seen = self.effects.seen(marginals[self._held])
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

    def _potentials(self, point: Floats) -> Floats:
        result = self._prior.copy()
        result[self._held] += self.effects.spread(point)
        return result
