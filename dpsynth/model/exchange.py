"""Directions in which two tables nearly cancel, as a third column says almost the same as a second one.

Where y is nearly a function of z, a function f(x, y) is nearly the function E[f | x, z] of x and z: with both tables
measured, what one gains the other may lose at the cost of little but the ridge. Divided by the probability of its
cells, such a step is far too short. Here are these directions, for every three columns whose pairs are all measured:
f in the table of x and y, -E[f | x, z] in that of x and z. Along them the Hessian is about the diagonal of
``rows x E[Var(f | x, z)]`` and the ridges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from dpsynth.model.factor import Floats
from dpsynth.model.levels import Nests
from dpsynth.model.operators import Marginal
from dpsynth.model.stack import Ints, Stack, added

TOLD = 0.2
"""How much a column must tell about the other, given the third: as a share of what there is to tell."""

ENTRIES = 12
"""Most entries of all conditional expectations, in units of the cells of all tables."""

MOST = 4
"""Most directions that a table is part of: what many have in common they would count many times."""

LEAST = 0.2
"""Least variance that is believed, in units of a table's mean: expectations are not known better."""

TOGETHER = 1 << 16
"""Cells of three columns that are worked on at a time."""

TINY = 1e-300

Axis = tuple[str, bytes]


@dataclass(frozen=True, eq=False)
class _Table:
    """A table of two axes in the stack, taken in either order: its first cell, and how far apart its cells are."""

    start: int
    shape: tuple[int, int]
    strides: tuple[int, int]

    @property
    def turned(self) -> _Table:
        """With its axes exchanged."""
        return _Table(self.start, self.shape[::-1], self.strides[::-1])


@dataclass(frozen=True, eq=False)
class _Direction:
    """From cells of the table of x and y to those of x and z: ``shares`` holds P(y | x, z), axes x, y, z.

    ``place`` says when it was found.
    """

    told: float
    place: tuple[int, int]
    here: _Table
    there: _Table
    shares: Floats
    left: Floats


@dataclass(frozen=True, eq=False)
class Exchange:
    """The directions of all triples: ``cells``, ``onto`` number the cells of f and of its expectation in the stack.

    Entry k: a share ``shares[k]`` of the function's cell ``source[k]`` goes to cell ``target[k]`` of the expectation.
    ``left`` is the share of a cell's probability that stays in its variance, ``ridge`` what the ridges of both add.
    """

    cells: Ints
    onto: Ints
    source: Ints
    target: Ints
    shares: Floats
    left: Floats
    ridge: Floats

    @classmethod
    def of(
        cls, queries: Sequence[Marginal], stack: Stack, ridge: Floats, seen: Floats, coarse: Ints, across: Nests = ()
    ) -> Exchange:
        """``seen`` holds the probabilities of the stack's cells at a point near to the search.

        Tables that begin in one of the cells ``coarse`` are left out. ``across`` holds cells of tables and those of
        coarser tables of the same columns that hold them: what the coarser one gains all finer cells may lose.
        """
        left_out, probabilities = set(coarse.tolist()), np.maximum(seen, TINY)
        telling = _telling(stack, probabilities)
        tables = {
            (_axis(query, 0), _axis(query, 1)): _Table(start, (query.shape[0], query.shape[1]), (query.shape[1], 1))
            for query, start in zip(queries, stack.starts.tolist(), strict=True)
            if len(query.shape) == 2 and start not in left_out
        }
        found, room, met = list[_Direction](), ENTRIES * stack.size, Counter[int]()
        for direction in sorted(_directions(tables, telling, probabilities), key=lambda d: (-d.told, d.place)):
            ends = direction.here.start, direction.there.start
            if direction.shares.size <= room and max(met[end] for end in ends) < MOST:
                room -= direction.shares.size
                met.update(ends)
                found.append(direction)
        nothing = np.zeros(0, dtype=np.intp)
        cells, onto, source, target = [nothing], [nothing], [nothing], [nothing]
        shares, left, ridges = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
        at = to = 0
        for d in found:
            shape, here, there = d.shares.shape, _cells([d.here])[0], _cells([d.there])[0]
            cells.append(here.ravel())
            onto.append(there.ravel())
            one, two = (np.arange(part.size).reshape(part.shape) for part in (here, there))
            source.append(np.broadcast_to(at + one[:, :, None], shape).ravel())
            target.append(np.broadcast_to(to + two[:, None, :], shape).ravel())
            shares.append(d.shares.ravel())
            left.append(d.left.ravel())
            ridges.append((ridge[here] + np.einsum("xyz,xz->xy", d.shares**2, ridge[there])).ravel())
            at, to = at + here.size, to + there.size
        for fine, holding in across:
            own, group = np.unique(holding, return_inverse=True)
            cells.append(own)
            onto.append(fine)
            source.append(at + group)
            target.append(to + np.arange(fine.size))
            shares.append(np.ones(fine.size))
            left.append(np.zeros(own.size))
            ridges.append(ridge[own] + np.bincount(group, ridge[fine]))
            at, to = at + own.size, to + fine.size
        return cls(
            np.concatenate(cells), np.concatenate(onto), np.concatenate(source), np.concatenate(target),
            np.concatenate(shares), np.concatenate(left), np.concatenate(ridges),
        )  # fmt: skip

    def inverse(self, weights: Floats) -> Floats:
        """1 / the diagonal of the Hessian along the directions; ``weights`` are rows x probability of all cells."""
        return 1 / (weights[self.cells] * self.left + self.ridge)

    def step(self, inverse: Floats, slope: Floats) -> Floats:
        """The step along the directions for a slope of the stack's cells."""
        expected = added(self.source, self.shares * slope[self.onto][self.target], self.cells.size)
        moved = (slope[self.cells] - expected) * inverse
        lost = added(self.target, self.shares * moved[self.source], self.onto.size)
        return added(self.cells, moved, slope.size) - added(self.onto, lost, slope.size)


def _axis(query: Marginal, axis: int) -> Axis:
    groups = query.groups[axis]
    return query.columns[axis], b"" if groups is None else groups.tobytes()


def _telling(stack: Stack, seen: Floats) -> set[int]:
    """The first cells of the tables of two axes of which one tells about the other half of what is asked for."""
    pairs = sum(len(shape) == 2 for shape in stack.shapes)
    if not pairs:
        return set()
    starts, end, told = stack.starts[:pairs], int(stack.lengths[:pairs].sum()), np.zeros(pairs)
    for axis in (0, 1):  # about this axis, given the other
        along, across = stack.lines[axis], stack.lines[1 - axis]
        lengths = np.array([shape[axis] for shape in stack.shapes[:pairs]])
        alone = across.sums(seen)[: lengths.sum()]
        chance = np.add.reduceat(alone**2, np.cumsum(lengths) - lengths)
        known = np.add.reduceat((seen**2 / along.spread(along.sums(seen)))[:end], starts)
        told = np.maximum(told, (known - chance) / np.maximum(1 - chance, TINY))
    return set(starts[told > TOLD / 2].tolist())


def _cells(tables: Sequence[_Table]) -> Ints:
    """The cells of tables of one shape, in their order of the axes."""
    starts, strides = np.array([t.start for t in tables], dtype=np.intp), np.array([t.strides for t in tables])
    rows, columns = (np.arange(length) for length in tables[0].shape)
    return np.add(starts[:, None, None] + strides[:, :1, None] * rows[:, None], strides[:, 1:, None] * columns)


def _directions(tables: Mapping[tuple[Axis, Axis], _Table], telling: set[int], seen: Floats) -> Iterator[_Direction]:
    """Those of all triples, the triples of one shape together."""
    near: dict[Axis, dict[Axis, _Table]] = {}
    for (one, two), table in tables.items():
        near.setdefault(one, {})[two] = table
        near.setdefault(two, {})[one] = table.turned
    alike: dict[tuple[int, ...], list[tuple[int, _Table, _Table, _Table]]] = {}
    number = 0
    for (y, z), both in tables.items():
        if both.start in telling:
            for x in near[y]:
                if x in near[z]:
                    first, second = near[x][y], near[x][z]
                    alike.setdefault((first.shape[0], *both.shape), []).append((number, first, second, both))
                    number += 1
    for shape, triples in alike.items():
        count = max(1, TOGETHER // prod(shape))
        for low in range(0, len(triples), count):
            yield from _of_one_shape(triples[low : low + count], seen)


def _of_one_shape(triples: Sequence[tuple[int, _Table, _Table, _Table]], seen: Floats) -> Iterator[_Direction]:
    numbers, *ends = zip(*triples, strict=True)
    first, second, both = (seen[_cells(tables)] for tables in ends)
    # the three columns together, as if they had no interaction of their own
    joint = both[:, None] * (first / both.sum(axis=2)[:, None])[..., None]
    joint *= (second / both.sum(axis=1)[:, None])[:, :, None]
    sides = (first, second, joint), (second, first, joint.swapaxes(2, 3))
    for side, (given, other, table) in enumerate(sides):
        shares = table / table.sum(axis=2, keepdims=True)
        kept = np.minimum(np.einsum("nxyz,nxz->nxy", shares**2, other) / given, 1.0)
        chance = ((given**2).sum(axis=2) / given.sum(axis=2)).sum(axis=1)
        mean = (given * kept).sum(axis=(1, 2)) / given.sum(axis=(1, 2))
        for i in np.flatnonzero(mean - chance > TOLD * (1 - chance)).tolist():
            left = np.maximum(1 - kept[i], LEAST * (1 - mean[i]))
            here, there = ends[side][i], ends[1 - side][i]
            yield _Direction(float(mean[i]), (numbers[i], side), here, there, shares[i], left)
