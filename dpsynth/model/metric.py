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
        self._shares = [np.maximum(block.of(seen), LEAST) for block in effects.blocks]
        self._rows = rows

    def __call__(self, gradient: Floats) -> Floats:
        """The inverse times a gradient."""
        effects, main = self._effects, self._effects.main
        raw = effects.pulled(gradient)
        found = np.empty(effects.size)
        step = main.less_share(self._main, raw[: main.size]) * self._inverse
        found[: main.size] = main.less_mean(self._main, step)
        for block, shares in zip(effects.blocks, self._shares, strict=True):
            slope, total = block.of(raw), np.zeros(block.values.shape)
            inverse = 1 / (self._rows * shares + block.ridge)
            for axis in range(1, shares.ndim):
                given = shares / np.add.reduce(shares, axis=axis, keepdims=True)
                step = slope - given * np.add.reduce(slope, axis=axis, keepdims=True)
                step *= inverse
                total += step
                step *= given
                total -= np.add.reduce(step, axis=axis, keepdims=True)
            block.of(found)[...] = total
        return effects.pushed(found)
