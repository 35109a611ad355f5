"""An approximate inverse of the Hessian of a fit, which is rows x covariance of the effects + ridge.

It is a sum over effects and their axes. The functions on an effect's cells whose mean is zero given all but one axis
are, under independence, uncorrelated with those of every other effect; on a tree, given the parent, they are so
whatever the dependence (they are differences of a martingale). On them the Hessian is about ``diag(rows x probability +
ridge)``. So each term brings a gradient to a space of such functions, divides, and brings the result back: an additive
Schwarz method (Toselli and Widlund 2005, chapter 2), symmetric and not negative.
"""

from __future__ import annotations

import numpy as np

from dpsynth.model.effects import Effects
from dpsynth.model.factor import Floats

LEAST = 1e-300
"""Least probability of a cell, so that what is given can be divided by."""


class Metric:
    """The inverse at a point where ``seen`` holds the probabilities of the cells of the effects."""

    def __init__(self, effects: Effects, rows: float, seen: Floats) -> None:
        self._effects, main = effects, effects.main
        self._main = seen[: main.size]
        self._inverse = 1 / (rows * self._main + main.diagonal)
        shares = np.maximum(seen[main.size :], LEAST)
        self._inverses = 1 / (rows * shares + effects.strengths)
        self._given = [
            shares[lines.first :] / lines.spread(lines.sums(shares[lines.first :])) for lines in effects.stack.lines
        ]

    def __call__(self, gradient: Floats) -> Floats:
        """The inverse times a gradient."""
        effects, main = self._effects, self._effects.main
        raw = effects.pulled(gradient)
        found = np.zeros(effects.size)
        step = main.less_share(self._main, raw[: main.size]) * self._inverse
        found[: main.size] = main.less_mean(self._main, step)
        slope, total = raw[main.size :], found[main.size :]
        for lines, given in zip(effects.stack.lines, self._given, strict=True):
            cells = slice(lines.first, None)
            step = slope[cells] - given * lines.spread(lines.sums(slope[cells]))
            step *= self._inverses[cells]
            total[cells] += step - lines.spread(lines.sums(given * step))
        return effects.pushed(found)
