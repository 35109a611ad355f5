"""What a measurement says about a model: linear operators from a table of model cells to a noisy answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain
from dpsynth.model.factor import Floats


class LinearQuery(Protocol):
    """answer = Q (table of the columns). Two queries with the same key are the same linear map."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that it reads, in the order of its axes."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the answer."""
        ...

    @property
    def key(self) -> str:
        """Names the linear map: potentials are kept under it when the structure of the model changes."""
        ...

    def apply(self, table: Floats) -> Floats:
        """Q table."""
        ...

    def adjoint(self, answer: Floats) -> Floats:
        """Q' answer: an array that broadcasts to the shape of the table."""
        ...


@dataclass(frozen=True, eq=False)
class Marginal:
    """The table itself, or the table with each axis summed over groups of cells.

    ``groups[axis]`` maps a cell to its group 0..g-1, each of them used; None leaves the axis as it is.
    """

    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    groups: tuple[NDArray[np.intp] | None, ...]

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
        """Columns and a digest of the groups."""
        state = sha256(repr((self.columns, self.sizes)).encode())
        for cells in self.groups:
            state.update(b"-" if cells is None else cells.astype("<i8").tobytes())
        return state.hexdigest()

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


@dataclass(frozen=True, eq=False)
class Measurement:
    """The model's view of a noisy answer: ``values`` = query(table of counts) + normal noise of ``stddev``.

    ``values`` and ``stddev`` are float64 arrays of the query's shape; every stddev is positive and finite.
    """

    query: LinearQuery
    values: Floats
    stddev: Floats

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        stddev = np.array(np.broadcast_to(np.asarray(self.stddev, dtype=np.float64), values.shape))
        if values.shape != self.query.shape:
            raise ValueError(f"values of shape {values.shape} for a query of shape {self.query.shape}")
        if not np.isfinite(values).all() or not (np.isfinite(stddev) & (stddev > 0)).all():
            raise ValueError(f"the measurement of {self.query.columns} needs finite values and positive noise scales")
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
