"""Tables of many shapes, one after another in one vector: work on all of them is a few array operations.

Hundreds of small tables of different shapes would otherwise cost a call of numpy each for every sum along an axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, combinations, takewhile
from math import prod

import numpy as np
from numpy.typing import NDArray

from dpsynth.model.factor import Floats

Ints = NDArray[np.intp]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines along one axis of those tables that have it, which come last: the cells from ``first`` on.

    ``line[i]`` is the number of the line that holds cell ``first + i``, ``lengths`` the cells of each line.
    """

    first: int
    line: Ints
    lengths: Floats

    def sums(self, cells: Floats) -> Floats:
        """The sum of each line."""
        return added(self.line, cells, self.lengths.size)

    def spread(self, numbers: Floats) -> Floats:
        """Give each cell the number of its line."""
        return numbers[self.line]


@dataclass(frozen=True, eq=False)
class Faces:
    """The tables of all fewer axes, at least one, of each table of a stack: sets of axes by size, then by table.

    ``owners[i]`` says which table face i belongs to and ``axes[i]`` which of its axes it has. ``firsts`` holds the
    first cell of the stack of each set of axes, ``cells`` the cell of a face for each cell of the stack from there on,
    ``averaged`` how many cells of the stack each cell of a face sums.
    """

    stack: Stack
    owners: tuple[int, ...]
    axes: tuple[tuple[int, ...], ...]
    firsts: tuple[int, ...]
    cells: Ints
    averaged: Floats

    def means(self, vector: Floats) -> Floats:
        """The means of the stack's tables over the axes that a face lacks."""
        if not self.firsts:
            return np.zeros(0)
        values = np.concatenate([vector[first:] for first in self.firsts])
        return added(self.cells, values, self.stack.size) / self.averaged

    def add_back(self, means: Floats, vector: Floats) -> None:
        """Add the adjoint of :meth:`means`, in place."""
        values, at = (means / self.averaged)[self.cells], 0
        for first in self.firsts:
            length = vector.size - first
            vector[first:] += values[at : at + length]
            at += length


@dataclass(frozen=True, eq=False)
class Stack:
    """The layout of tables of some ``shapes``, those of fewer axes first."""

    shapes: tuple[Shape, ...]

    @cached_property
    def lengths(self) -> Ints:
        """The number of cells of each table."""
        return np.array([prod(shape) for shape in self.shapes], dtype=np.intp)

    @cached_property
    def starts(self) -> Ints:
        """The first cell of each table."""
        return np.cumsum(self.lengths, dtype=np.intp) - self.lengths

    @cached_property
    def size(self) -> int:
        """The number of all cells."""
        return int(self.lengths.sum())

    def tables(self, vector: Floats) -> Iterable[Floats]:
        """The tables in a vector, as views."""
        ends = zip(self.starts.tolist(), self.lengths.tolist(), self.shapes, strict=True)
        return (vector[start : start + length].reshape(shape) for start, length, shape in ends)

    def each(self, numbers: Sequence[int]) -> Ints:
        """Give every cell the number of its table, or of those tables at the end that ``numbers`` is for."""
        return np.repeat(np.array(numbers, dtype=np.intp), self.lengths[self.lengths.size - len(numbers) :])

    @cached_property
    def lines(self) -> tuple[Lines, ...]:
        """The lines along each axis: the first, the second, ..."""
        found = []
        for axis in range(len(self.shapes[-1]) if self.shapes else 0):
            held, first = self._having(axis)
            inner = [prod(shape[axis + 1 :]) for shape in held]
            below = self.each(inner)
            counts = [prod(shape) // shape[axis] for shape in held]
            offset = self._offsets[first:]
            line = self.each(_starts(counts))
            line += offset // self.each([n * shape[axis] for n, shape in zip(inner, held, strict=True)]) * below
            line += offset % below
            lengths = np.repeat([float(shape[axis]) for shape in held], counts)
            found.append(Lines(first, line, lengths))
        return tuple(found)

    @cached_property
    def faces(self) -> Faces:
        """See :class:`Faces`."""
        order = len(self.shapes[-1]) if self.shapes else 0
        patterns = [axes for n in range(1, order) for axes in combinations(range(order), n)]
        owners: list[int] = []
        shapes: list[Shape] = []
        named: list[tuple[int, ...]] = []
        firsts: list[int] = []
        cells, averaged = [np.zeros(0, dtype=np.intp)], [np.zeros(0)]
        at = 0
        for axes in patterns:
            held, first = self._having(max(axes[-1], len(axes)))
            faces = [tuple(shape[axis] for axis in axes) for shape in held]
            counts = [prod(face) for face in faces]
            cell = self.each(_starts(counts, at))
            for i, axis in enumerate(axes):
                inner, length = self.each([prod(s[axis + 1 :]) for s in held]), self.each([s[axis] for s in held])
                cell += self._offsets[first:] // inner % length * self.each([prod(face[i + 1 :]) for face in faces])
            cells.append(cell)
            averaged.append(np.repeat([prod(s) / n for s, n in zip(held, counts, strict=True)], counts))
            at += sum(counts)
            owners += range(len(self.shapes) - len(held), len(self.shapes))
            shapes += faces
            named += [axes] * len(held)
            firsts.append(first)
        return Faces(
            Stack(tuple(shapes)), tuple(owners), tuple(named), tuple(firsts), np.concatenate(cells),
            np.concatenate(averaged),
        )  # fmt: skip

    def centred(self, vector: Floats) -> Floats:
        """A vector less the means along every axis of each of its tables."""
        result = vector.copy()
        for lines in self.lines:
            cells = result[lines.first :]
            cells -= lines.spread(lines.sums(cells) / lines.lengths)
        return result

    def _having(self, axis: int) -> tuple[tuple[Shape, ...], int]:
        """The tables that have an axis, and the first cell of the first of them."""
        lacking = sum(1 for _ in takewhile(lambda shape: len(shape) <= axis, self.shapes))
        return self.shapes[lacking:], int(self.starts[lacking])

    @cached_property
    def _offsets(self) -> Ints:
        """The number of each cell in its own table."""
        return np.arange(self.size, dtype=np.intp) - np.repeat(self.starts, self.lengths)


def added(places: Ints, values: Floats, size: int) -> Floats:
    """A vector of ``size`` in which each value is added at its place."""
    return np.bincount(places, values, minlength=size).astype(np.float64, copy=False)


def _starts(counts: Sequence[int], first: int = 0) -> list[int]:
    return list(accumulate(counts, initial=first))[:-1]
