"""Level: a public coarsening of one column's finest grid. Nothing is re-encoded, only seen more coarsely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Level:
    """A map fine cell -> coarse cell of one column.

    ``cells`` is a read-only uint16 array whose length is the number of fine cells; every coarse cell 0..size-1 has at
    least one fine cell. Public: declared in the schema, or computed from noisy answers. Two levels are equal when
    their digests are.
    """

    column: str
    cells: NDArray[np.uint16]

    def __post_init__(self) -> None:
        cells = np.array(self.cells, dtype=np.uint16)
        if cells.ndim != 1 or not 0 < cells.size <= 65_535:
            raise ValueError(f"a level of {self.column!r} needs a vector of 1 to 65,535 fine cells")
        if not np.array_equal(np.unique(cells), np.arange(int(cells.max()) + 1)):
            raise ValueError(f"a level of {self.column!r} leaves a coarse cell without a fine one")
        cells.flags.writeable = False
        object.__setattr__(self, "cells", cells)

    @classmethod
    def identity(cls, column: str, size: int) -> Level:
        """The finest level: every fine cell stands alone."""
        return cls(column, np.arange(size, dtype=np.uint16))

    @property
    def fine(self) -> int:
        """Number of fine cells."""
        return int(self.cells.size)

    @cached_property
    def size(self) -> int:
        """Number of coarse cells."""
        return int(self.cells.max()) + 1

    @cached_property
    def digest(self) -> str:
        """``sha256:...`` over the column name, the sizes and the map (little-endian uint16)."""
        head = f"dpsynth-level-v1\n{self.column}\n{self.fine}\n{self.size}\n".encode()
        return "sha256:" + sha256(head + self.cells.astype("<u2").tobytes()).hexdigest()

    def merged(self, groups: NDArray[np.integer]) -> Level:
        """The coarser level that maps this level's cell c to ``groups[c]``."""
        return Level(self.column, np.asarray(groups, dtype=np.uint16)[self.cells])

    def onto(self, coarser: Level) -> NDArray[np.uint16]:
        """The map from this level's cells to those of a coarser one; ValueError if it is not coarser."""
        if coarser.column != self.column or coarser.fine != self.fine:
            raise ValueError(f"levels of different columns: {self.column!r} and {coarser.column!r}")
        result = np.zeros(self.size, dtype=np.uint16)
        result[self.cells] = coarser.cells
        if not np.array_equal(result[self.cells], coarser.cells):
            raise ValueError(f"the level of {self.column!r} is not a coarsening of the other")
        return result

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Level) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)
