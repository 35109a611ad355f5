"""Naming the values that so many entities hold that noise and a threshold hide each of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dpsynth.measurement import Partitions
from dpsynth.noise import Noise
from dpsynth.table import PrivateTable


@dataclass(frozen=True)
class Naming:
    """How the values of one column are named: with noise of this ``scale``, from a noisy count of ``least`` on.

    ``otherwise`` is the text that stands for all others and is never named; ``delta`` is what the charge says.
    """

    column: str
    otherwise: str
    scale: Fraction
    least: int
    delta: Fraction

    def drawn(self, table: PrivateTable, noise: Noise, entry: int) -> Partitions:
        """The values with noise on the number of entities of each that occurs; those below ``least`` are forgotten."""
        texts, counts = table.holders(self.column, self.otherwise)
        noisy = noise.noisy(counts, self.scale)
        kept = np.flatnonzero(noisy >= self.least)
        values = tuple(texts[place] for place in kept.tolist())
        return Partitions(self.column, values, noisy[kept], self.scale, noise.law, self.least, self.delta, entry)
