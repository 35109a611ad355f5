"""Factor: a table of non-negative numbers over the cells of some columns, which never travels without its domain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Factor:
    """A float64 array with one axis a column of ``domain``, in its order. Read-only."""

    domain: Domain
    values: Floats

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64).view()
        if values.shape != self.domain.sizes:
            raise ValueError(f"values of shape {values.shape} for a domain of sizes {self.domain.sizes}")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __mul__(self, other: Factor) -> Factor:
        """The product over the union of the columns: ours first, then those that are only the other's."""
        fresh = tuple(name for name in other.domain.names if name not in self.domain)
        names = self.domain.names + fresh
        domain = Domain(names, self.domain.sizes + other.domain.shape(fresh))
        return Factor(domain, Alignment.of(self.domain, domain).spread(self.values) * other.spread(domain))

    def spread(self, domain: Domain) -> Floats:
        """A view that broadcasts over a domain that holds all of our columns."""
        return Alignment.of(self.domain, domain).spread(self.values)

    def sum_to(self, names: Iterable[str]) -> Factor:
        """Sum over every column that is not named; the axes come in the order of the names."""
        domain = self.domain.project(names)
        return Factor(domain, Alignment.of(domain, self.domain).gather(self.values))


@dataclass(frozen=True)
class Alignment:
    """How the axes of a small table lie in those of a larger one: worked out once, used in every pass.

    ``order`` permutes the small table's axes into the large table's order and ``back`` undoes it; ``shape`` has an
    axis of length one where the large table has a column of its own, ``absent`` are these axes.
    """

    order: tuple[int, ...]
    back: tuple[int, ...]
    shape: tuple[int, ...]
    absent: tuple[int, ...]

    @classmethod
    def of(cls, small: Domain, large: Domain) -> Alignment:
        """ValueError if the large domain lacks a column of the small one."""
        where = {name: axis for axis, name in enumerate(large.names)}
        missing = [name for name in small.names if name not in where]
        if missing:
            raise ValueError(f"columns {missing} are not among {list(large.names)}")
        position = {name: axis for axis, name in enumerate(small.names)}
        present = sorted(position, key=lambda name: where[name])
        return cls(
            tuple(position[name] for name in present),
            tuple(present.index(name) for name in small.names),
            tuple(large.size(name) if name in position else 1 for name in large.names),
            tuple(axis for axis, name in enumerate(large.names) if name not in position),
        )

    def spread(self, values: Floats) -> Floats:
        """A view of the small table that broadcasts over the large one."""
        return values.transpose(self.order).reshape(self.shape)

    def gather(self, values: Floats) -> Floats:
        """The large table summed over the columns that the small one lacks, axes in the small one's order."""
        summed: Floats = np.add.reduce(values, axis=self.absent) if self.absent else values
        return summed.transpose(self.back)
