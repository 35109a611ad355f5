"""Linear queries on a table and their noisy answers, as estimation sees them.

Whatever was measured enters through one protocol: a query reads the table of some columns, perhaps more coarsely, and
says which *effects* its answer tells about. The effects of a table (Scheffe 1959, chapter 4) are its main effects and
interactions: for each set of axes the part that sums to zero along each of them. Those of a table with independent
noise of equal scale have independent noises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain
from dpsynth.model.factor import Floats

Groups = tuple[NDArray[np.intp] | None, ...]
"""For each axis the group 0..g-1 of each cell, each of them used; None leaves the axis as it is."""


class LinearQuery(Protocol):
    """answer = Q (table of the columns). Two queries with the same key are the same linear map."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that it reads, in the order of its axes."""
        ...

    @property
    def groups(self) -> Groups:
        """How coarsely each axis is seen."""
        ...

    @property
    def effects(self) -> tuple[tuple[int, ...], ...]:
        """The sets of axes (ascending, not empty) whose effect the answer tells about."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the answer."""
        ...

    @property
    def key(self) -> str:
        """Names the linear map."""
        ...

    def apply(self, table: Floats) -> Floats:
        """Q table."""
        ...

    def adjoint(self, answer: Floats) -> Floats:
        """Q' answer, of the shape of the table."""
        ...


@dataclass(frozen=True, eq=False)
class Marginal:
    """The table itself, or the table with each axis summed over groups of cells."""

    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    groups: Groups

    @classmethod
    def of(cls, domain: Domain, columns: tuple[str, ...], groups: Mapping[str, NDArray[np.integer]]) -> Marginal:
        """ValueError if a map does not fit its column. A map that merges nothing is dropped."""
        maps: list[NDArray[np.intp] | None] = []
        for name in columns:
            given = groups.get(name)
            cells = None if given is None else np.array(given, dtype=np.intp)
            if cells is not None:
                if cells.shape != (domain.size(name),) or not np.array_equal(np.unique(cells), range(cells.max() + 1)):
                    raise ValueError(f"the groups of column {name!r} do not fit its {domain.size(name)} cells")
                if np.array_equal(cells, range(cells.size)):
                    cells = None
            maps.append(cells)
        return cls(columns, domain.shape(columns), tuple(maps))

    @cached_property
    def effects(self) -> tuple[tuple[int, ...], ...]:
        """All of them."""
        axes = range(len(self.columns))
        return tuple(part for order in axes for part in combinations(axes, order + 1))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Number of groups on each axis."""
        both = zip(self.sizes, self.groups, strict=True)
        return tuple(size if cells is None else int(cells.max()) + 1 for size, cells in both)

    @cached_property
    def _sorted(self) -> tuple[tuple[int, NDArray[np.intp], NDArray[np.intp]], ...]:
        """For each axis that is grouped: its cells in the order of their groups, and where each group starts."""
        found = []
        for axis, cells in enumerate(self.groups):
            if cells is not None:
                order = np.argsort(cells, kind="stable")
                found.append((axis, order, np.searchsorted(cells[order], np.arange(self.shape[axis]))))
        return tuple(found)

    @cached_property
    def key(self) -> str:
        """Columns, sizes and groups."""
        return key_of(self.columns, self.sizes, self.groups)

    def part(self, axes: tuple[int, ...]) -> Marginal:
        """The marginal of some of the columns, as coarsely."""
        columns, sizes, groups = zip(*((self.columns[i], self.sizes[i], self.groups[i]) for i in axes), strict=True)
        return Marginal(columns, sizes, groups)

    def apply(self, table: Floats) -> Floats:
        """Sum the cells of each group, axis by axis."""
        for axis, order, starts in self._sorted:
            table = np.add.reduceat(table.take(order, axis=axis), starts, axis=axis)
        return table

    def adjoint(self, answer: Floats) -> Floats:
        """Give every cell the number of its group."""
        for axis, cells in enumerate(self.groups):
            if cells is not None:
                answer = answer.take(cells, axis=axis)
        return answer


def key_of(columns: tuple[str, ...], sizes: tuple[int, ...], groups: Groups) -> str:
    """The name of a marginal, which takes no longer than a look-up where nothing is grouped."""
    name = f"{columns} {sizes}"
    for axis, cells in enumerate(groups):
        if cells is not None:
            name += f" {axis}:{sha256(cells.astype('<i8').tobytes()).hexdigest()}"
    return name


@dataclass(frozen=True, eq=False)
class Residual:
    """What a marginal adds to all smaller ones: its highest interaction (Xiao et al. 2023, arXiv 2305.08175).

    The answer has the shape of the marginal and sums to zero along every axis. Noise of a scale means that of the
    marginal's cells, independent and normal, less what lies in smaller marginals, too.
    """

    marginal: Marginal

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the marginal."""
        return self.marginal.columns

    @property
    def groups(self) -> Groups:
        """Those of the marginal."""
        return self.marginal.groups

    @property
    def effects(self) -> tuple[tuple[int, ...], ...]:
        """The one of all axes."""
        return (tuple(range(len(self.columns))),)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the marginal."""
        return self.marginal.shape

    @property
    def key(self) -> str:
        """That of the marginal, marked."""
        return f"residual {self.marginal.key}"

    def apply(self, table: Floats) -> Floats:
        """The marginal, centred along every axis."""
        return centred(self.marginal.apply(table))

    def adjoint(self, answer: Floats) -> Floats:
        """Centre, then give every cell the number of its group."""
        return self.marginal.adjoint(centred(answer))


def centred(table: Floats, first: int = 0) -> Floats:
    """The table less its means along each axis from ``first`` on."""
    for axis in range(first, table.ndim):
        table = table - np.add.reduce(table, axis=axis, keepdims=True) / table.shape[axis]
    return table


@dataclass(frozen=True, eq=False)
class Measurement:
    """The model's view of a noisy answer: ``values`` = query(table of counts) + normal noise of ``stddev``.

    ``values`` is a float64 array of the query's shape; ``stddev`` is one positive, finite number for all of its cells,
    or for a query of one column an array with one a cell.
    """

    query: LinearQuery
    values: Floats
    stddev: Floats

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        stddev = np.array(self.stddev, dtype=np.float64)
        if values.shape != self.query.shape:
            raise ValueError(f"values of shape {values.shape} for a query of shape {self.query.shape}")
        if len(self.columns) == 1 and not stddev.shape:
            stddev = np.full(values.shape, float(stddev))
        if stddev.shape != (values.shape if len(self.columns) == 1 else ()):
            raise ValueError(f"the measurement of {self.columns} needs one noise scale for all of its cells")
        if not np.isfinite(values).all() or not (np.isfinite(stddev) & (stddev > 0)).all():
            raise ValueError(f"the measurement of {self.columns} needs finite values and positive noise scales")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "stddev", stddev)

    @classmethod
    def of(
        cls,
        domain: Domain,
        columns: tuple[str, ...],
        values: Floats,
        stddev: Floats | float,
        groups: Mapping[str, NDArray[np.integer]] | None = None,
    ) -> Measurement:
        """A marginal of some columns of the model, some of them perhaps seen more coarsely."""
        return cls(Marginal.of(domain, columns, groups or {}), values, np.asarray(stddev, dtype=np.float64))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the model that it says something about."""
        return self.query.columns
