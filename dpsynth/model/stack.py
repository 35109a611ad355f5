"""Tables of many shapes, one after another in one vector: work on all of them is a few array operations.

Hundreds of small tables of different shapes would otherwise cost a call of numpy each for every sum along an axis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, groupby
from math import prod

import numpy as np
from numpy.typing import NDArray

from dpsynth.model.factor import Floats

Ints = NDArray[np.intp]
Shape = tuple[int, ...]

LARGE = 1 << 12
"""Cells from which on tables of one shape are summed as an array; index arrays cost less for smaller ones."""


@dataclass(frozen=True, eq=False)
class Span:
    """Tables that come one after another: their cells, and where their sums go.

    Large tables of one shape are summed as one array of shape ``shape`` over ``axes``. For others ``place`` holds the
    number of each cell's sum, ``shape`` is empty.
    """

    cells: slice
    sums: slice
    place: Ints
    shape: Shape
    axes: tuple[int, ...]

    def add(self, cells: Floats, sums: Floats) -> None:
        """Put the sums of the cells where they go."""
        if self.shape:
            summed: Floats = np.add.reduce(cells[self.cells].reshape(self.shape), axis=self.axes)
            sums[self.sums] = summed.reshape(-1)
        else:
            sums[self.sums] = added(self.place, cells[self.cells], self.sums.stop - self.sums.start)

    def spread(self, sums: Floats, cells: Floats) -> None:
        """Give each cell the number of its sum."""
        if self.shape:
            kept = [1 if axis in self.axes else length for axis, length in enumerate(self.shape)]
            cells[self.cells].reshape(self.shape)[...] = sums[self.sums].reshape(kept)
        else:
            np.take(sums[self.sums], self.place, out=cells[self.cells])


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over some axes of those tables that have them, which come last: the cells from ``first`` on.

    ``lengths`` holds how many cells each sum has.
    """

    first: int
    size: int
    spans: tuple[Span, ...]
    lengths: Floats

    def sums(self, cells: Floats) -> Floats:
        """The sums."""
        result = np.empty(self.lengths.size)
        for span in self.spans:
            span.add(cells, result)
        return result

    def spread(self, numbers: Floats) -> Floats:
        """Give each cell the number of its sum."""
        result = np.empty(self.size)
        for span in self.spans:
            span.spread(numbers, result)
        return result


@dataclass(frozen=True, eq=False)
class Faces:
    """The tables of all fewer axes, at least one, of each table of a stack: sets of axes by size, then by table.

    ``owners[i]`` says which table face i belongs to and ``axes[i]`` which of its axes it has; ``parts`` makes the faces
    of one set of axes after another.
    """

    stack: Stack
    owners: tuple[int, ...]
    axes: tuple[tuple[int, ...], ...]
    parts: tuple[Sums, ...]

    def means(self, vector: Floats) -> Floats:
        """The means of the stack's tables over the axes that a face lacks."""
        return np.concatenate([np.zeros(0), *(part.sums(vector[part.first :]) / part.lengths for part in self.parts)])

    def add_back(self, means: Floats, vector: Floats) -> None:
        """Add the adjoint of :meth:`means`, in place."""
        at = 0
        for part in self.parts:
            end = at + part.lengths.size
            vector[part.first :] += part.spread(means[at:end] / part.lengths)
            at = end


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

    @cached_property
    def lines(self) -> tuple[Sums, ...]:
        """The sums along each axis: the first, the second, ..."""
        found = []
        for axis in range(self._order):
            rest = {n: tuple(i for i in range(n) if i != axis) for n in range(axis + 1, self._order + 1)}
            found.append(self._sums(self._having(axis), rest))
        return tuple(found)

    @cached_property
    def faces(self) -> Faces:
        """See :class:`Faces`."""
        owners: list[int] = []
        shapes: list[Shape] = []
        named: list[tuple[int, ...]] = []
        parts: list[Sums] = []
        for axes in (axes for n in range(1, self._order) for axes in combinations(range(self._order), n)):
            held = self._having(max(axes[-1], len(axes)))
            owners += held
            shapes += [tuple(self.shapes[i][axis] for axis in axes) for i in held]
            named += [axes] * len(held)
            parts.append(self._sums(held, dict.fromkeys(range(self._order + 1), axes)))
        return Faces(Stack(tuple(shapes)), tuple(owners), tuple(named), tuple(parts))

    @staticmethod
    def order(shapes: Sequence[Shape]) -> list[int]:
        """The order in which tables should come: fewer axes first, and large ones of the same shape together."""
        size = {shape: prod(shape) * n for shape, n in Counter(shapes).items()}
        return sorted(
            range(len(shapes)),
            key=lambda i: (len(shapes[i]), shapes[i] if size[shapes[i]] >= LARGE else ()),
        )

    def centred(self, vector: Floats) -> Floats:
        """A vector less the means along every axis of each of its tables."""
        result = vector.copy()
        for lines in self.lines:
            cells = result[lines.first :]
            cells -= lines.spread(lines.sums(cells) / lines.lengths)
        return result

    @property
    def _order(self) -> int:
        return len(self.shapes[-1]) if self.shapes else 0

    def _having(self, axis: int) -> range:
        """The tables that have an axis."""
        return range(sum(len(shape) <= axis for shape in self.shapes), len(self.shapes))

    def _sums(self, held: range, kept: Mapping[int, tuple[int, ...]]) -> Sums:
        """The sums of some tables, the last ones, over all but the axes kept in tables of their number of axes."""
        spans, lengths, at = [], [np.zeros(0)], 0
        first = int(self.starts[held.start])
        for large, run in self._runs(held):
            shapes = self.shapes[run.start : run.stop]
            axes = kept[len(shapes[0])]
            counts = [prod(shape[axis] for axis in axes) for shape in shapes]
            start, size = int(self.starts[run.start]), sum(map(prod, shapes))
            cells, sums = slice(start - first, start - first + size), slice(at, at + sum(counts))
            if large:
                others = tuple(1 + axis for axis in range(len(shapes[0])) if axis not in axes)
                spans.append(Span(cells, sums, np.zeros(0, dtype=np.intp), (len(run), *shapes[0]), others))
            else:
                spans.append(Span(cells, sums, _places(shapes, axes), (), ()))
            lengths.append(np.repeat([prod(s) / n for s, n in zip(shapes, counts, strict=True)], counts))
            at = sums.stop
        return Sums(first, self.size - first, tuple(spans), np.concatenate(lengths))

    def _runs(self, held: range) -> Iterator[tuple[bool, range]]:
        """Tables one after another, large ones of one shape, or small ones of as many axes."""
        alike = [list(run) for _, run in groupby(held, key=lambda i: self.shapes[i])]
        large = [len(run) * prod(self.shapes[run[0]]) >= LARGE for run in alike]
        for (big, _, _), runs in groupby(
            zip(large, alike, range(len(alike)), strict=True),
            key=lambda run: (run[0], len(self.shapes[run[1][0]]), run[2] if run[0] else 0),
        ):
            chosen = list(runs)
            yield big, range(chosen[0][1][0], chosen[-1][1][-1] + 1)


def _places(shapes: Sequence[Shape], axes: tuple[int, ...]) -> Ints:
    """For each cell of tables of as many axes the number of its sum over all but the given axes."""
    sizes = np.array(shapes, dtype=np.intp)
    lengths, kept = sizes.prod(axis=1), sizes[:, axes]
    counts = kept.prod(axis=1)
    offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = np.repeat(np.cumsum(counts) - counts, lengths)
    for i, axis in enumerate(axes):
        inner, stride = sizes[:, axis + 1 :].prod(axis=1), kept[:, i + 1 :].prod(axis=1)
        place += offset // np.repeat(inner, lengths) % np.repeat(sizes[:, axis], lengths) * np.repeat(stride, lengths)
    return place


def added(places: Ints, values: Floats, size: int) -> Floats:
    """A vector of ``size`` in which each value is added at its place."""
    return np.bincount(places, values, minlength=size).astype(np.float64, copy=False)
