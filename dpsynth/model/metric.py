"""An approximate inverse of the Hessian of a fit, which is rows x covariance of the effects + ridge.

It is a sum over effects and their axes. The functions on an effect's cells whose mean is zero given all but one axis
are, under independence, uncorrelated with those of every other effect; on a tree, given the parent, they are so
whatever the dependence (they are differences of a martingale). On them the Hessian is about ``diag(rows x probability +
ridge)``. So each term brings a gradient to a space of such functions, divides, and brings the result back: an additive
Schwarz method (Toselli and Widlund 2005, chapter 2), symmetric and not negative.

What two tables may give each other, as their columns say almost the same, is added (:mod:`dpsynth.model.exchange`).
Where tables of the same columns are seen at nested levels, the distribution depends on the sum of their functions
alone, a function of the finest cells: its step is found as above, but with the ridge that the sum costs when it is
divided best. How it is divided moves no probability: there the Hessian is the ridge, inverted exactly.
"""

from __future__ import annotations

import numpy as np

from dpsynth.model.effects import Effects
from dpsynth.model.exchange import Exchange
from dpsynth.model.factor import Floats
from dpsynth.model.levels import Levels

LEAST = 1e-300
"""Least probability of a cell, so that what is given can be divided by."""


class Metric:
    """The inverse at a point where ``seen`` holds the probabilities of the cells of the effects."""

    def __init__(self, effects: Effects, rows: float, seen: Floats, exchange: Exchange) -> None:
        self._effects, main = effects, effects.main
        self._main = seen[: main.size]
        self._inverse = 1 / (rows * self._main + main.diagonal)
        shares = np.maximum(seen[main.size :], LEAST)
        self._exchange, self._exchanged = exchange, exchange.inverse(rows * shares)
        self._inverses = 1 / (rows * shares + effects.strengths)
        self._levels = effects.nests and Levels(effects.nests, effects.strengths, rows * shares)
        self._given = [
            shares[lines.first :] / lines.spread(lines.sums(shares[lines.first :])) for lines in effects.stack.lines
        ]

    def __call__(self, gradient: Floats) -> Floats:
        """The inverse times a gradient."""
        effects, main = self._effects, self._effects.main
        raw = effects.pulled(gradient)
        found = np.empty(effects.size)
        step = main.less_share(self._main, raw[: main.size]) * self._inverse
        found[: main.size] = main.less_mean(self._main, step)
        slope = raw[main.size :]
        if not self._levels:
            found[main.size :] = self._finest(slope)
        else:
            ridge, split = effects.strengths, effects.split(slope)
            step = self._finest(np.where(effects.coarse, 0.0, slope - ridge * split))
            found[main.size :] = split + step - effects.split(ridge * step)
        return effects.pushed(found)

    def _finest(self, slope: Floats) -> Floats:
        """The step of the interactions at the finest levels."""
        total = self._exchange.step(self._exchanged, slope)
        for lines, given in zip(self._effects.stack.lines, self._given, strict=True):
            cells = slice(lines.first, None)
            step = np.zeros(slope.size)
            step[cells] = slope[cells] - given * lines.spread(lines.sums(slope[cells]))
            step = self._solved(step)
            total += step
            total[cells] -= lines.spread(lines.sums(given * step[cells]))
        return total

    def _solved(self, slope: Floats) -> Floats:
        levels = self._levels
        return levels.total(levels(levels.summed(slope))) if levels else slope * self._inverses
