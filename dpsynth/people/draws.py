"""Public pseudo-random draws that are the same on every machine, and how they are turned into choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
Table = Sequence[Sequence[float]]


class Draws:
    """Uniform numbers from the raw words of a counter-based generator, whose stream never changes."""

    def __init__(self, seed: int, chunk: int = 0) -> None:
        self._words = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(chunk,) if chunk else ()))

    def uniform(self, size: int) -> Floats:
        """``size`` numbers in [0, 1), multiples of 2^-53."""
        words: NDArray[np.uint64] = self._words.random_raw(size)
        result: Floats = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return result

    def bell(self, size: int) -> Floats:
        """``size`` numbers of mean 0 and variance 1, bell-shaped, within +-3.5: a sum of four uniform ones."""
        total = np.zeros(size)
        for _ in range(4):
            total += self.uniform(size)
        result: Floats = (total - 2.0) * 3.0**0.5
        return result

    def happens(self, chance: Floats | float, size: int) -> NDArray[np.bool_]:
        """``size`` events of these probabilities."""
        return self.uniform(size) < chance

    def choose(self, weights: Sequence[float], size: int) -> Codes:
        """``size`` codes 0, 1, ... drawn in proportion to ``weights``."""
        return self.choose_by(np.zeros(size, dtype=np.uint8), [weights])

    def choose_by(self, group: NDArray[np.integer], weights: Table) -> Codes:
        """A code for each row, drawn in proportion to the weights of the row's group."""
        edges = np.cumsum(np.asarray(weights, dtype=np.float64), axis=1)
        edges /= edges[:, -1:]
        uniform = self.uniform(len(group))
        codes = np.zeros(len(group), dtype=np.uint8)
        for edge in edges[:, :-1].T:  # one column at a time: a row of weights for each person would not fit a million
            codes += uniform >= edge[group]
        return codes

    def quantile_by(self, group: NDArray[np.integer], points: Table) -> Floats:
        """A number for each row, from the quantiles at equal steps of the row's group, linear between them."""
        table = np.asarray(points, dtype=np.float64)
        place = self.uniform(len(group)) * (table.shape[1] - 1)
        below = place.astype(np.intp)
        low, high = table[group, below], table[group, below + 1]
        result: Floats = low + (place - below) * (high - low)
        return result
