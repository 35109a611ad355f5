"""Naming the values that so many entities hold that noise and a threshold hide each of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dpsynth.measurement import Partitions
from dpsynth.noise import Noise
from dpsynth.schema.text import canonical
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
        named: list[tuple[str, int]] = []
        for texts, counts in table.holders(self.column, canonical(self.otherwise)):
            noisy = noise.noisy(counts, self.scale)
            kept = np.flatnonzero(noisy >= self.least).tolist()
            named += [(texts[place], int(noisy[place])) for place in kept]
        named.sort()  # their order is that of their texts, not of the parts
        values = tuple(text for text, _ in named)
        found = np.array([number for _, number in named], dtype=np.int64)
        return Partitions(self.column, values, found, self.scale, noise.law, self.least, self.delta, entry)
