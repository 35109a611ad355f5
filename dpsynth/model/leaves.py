"""Leaves: the tables that a contraction starts from, made of log-potentials on cliques, and read back the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from dpsynth.model.factor import Floats

SMALL = 512
"""Cliques are merged into one table, in log space, while it has at most so many cells."""

Columns = tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Some cliques of one node that share a table over the union of their columns."""

    columns: frozenset[int]
    members: tuple[int, ...]


def grouped(cliques: Mapping[int, Columns], sizes: Sequence[int]) -> list[Group]:
    """Partition the cliques of one node: small ones together while their union is small, each other alone."""

    def cells(columns: frozenset[int]) -> int:
        return prod(sizes[c] for c in columns)

    sets = {k: frozenset(columns) for k, columns in cliques.items()}
    waiting = sorted(sets, key=lambda k: (-cells(sets[k]), k))
    found: list[Group] = []
    while waiting:
        members = [waiting.pop(0)]
        columns = sets[members[0]]
        while cells(columns) <= SMALL:
            inside = [k for k in waiting if sets[k] <= columns]
            members += inside
            waiting = [k for k in waiting if k not in set(inside)]
            near = [k for k in waiting if cells(columns | sets[k]) <= SMALL and columns & sets[k]]
            if not near:
                break
            columns |= sets[min(near, key=lambda k: (cells(columns | sets[k]), k))]
        found.append(Group(columns, tuple(members)))
    return found


class Leaves:
    """The layout of all leaves in one buffer. ``orders[i]`` is the order of the axes of leaf i."""

    def __init__(
        self,
        groups: Sequence[Group],
        cliques: Sequence[Columns],
        orders: Sequence[Columns],
        sizes: Sequence[int],
    ) -> None:
        shapes = [tuple(sizes[c] for c in order) for order in orders]
        merged = [i for i, group in enumerate(groups) if len(group.members) > 1]
        plain = [i for i, group in enumerate(groups) if len(group.members) == 1]
        self._starts = np.zeros(len(groups), dtype=np.intp)
        position = 0
        for i in (*merged, *plain):
            self._starts[i] = position
            position += prod(shapes[i])
        self._size = position
        self._ranges = [(int(s), int(s) + prod(shape)) for s, shape in zip(self._starts, shapes, strict=True)]
        self._sequence = np.array([*merged, *plain], dtype=np.intp)
        self._lengths = np.array([prod(shapes[i]) for i in self._sequence], dtype=np.intp)
        self._cuts = self._starts[self._sequence]
        self._merged_cells = sum(prod(shapes[i]) for i in merged)
        self._plain: list[tuple[int, int, int, Columns, Columns, Columns]] = []
        for i in plain:
            (k,) = groups[i].members
            order = tuple(cliques[k].index(c) for c in orders[i])
            back = tuple(orders[i].index(c) for c in cliques[k])
            self._plain.append((k, *self._ranges[i], shapes[i], order, back))
        self._joined: list[tuple[int, int, int, Columns]] = []
        gather: list[NDArray[np.intp]] = []
        spread: list[NDArray[np.intp]] = []
        terms: list[int] = []
        per_cell: list[NDArray[np.intp]] = []
        offset = 0
        for i in merged:
            place = np.arange(prod(shapes[i]), dtype=np.intp).reshape(shapes[i])
            rows = []
            for k in groups[i].members:
                shape = tuple(sizes[c] for c in cliques[k])
                axes = [orders[i].index(c) for c in cliques[k]]
                others = [axis for axis in range(len(shapes[i])) if axis not in axes]
                by_parameter = place.transpose(axes + others).reshape(prod(shape), -1)
                spread.append(by_parameter.reshape(-1) + self._ranges[i][0])
                terms += [by_parameter.shape[1]] * by_parameter.shape[0]
                row = np.empty(place.size, dtype=np.intp)
                row[by_parameter] = (offset + np.arange(prod(shape), dtype=np.intp))[:, None]
                rows.append(row)
                self._joined.append((k, offset, offset + prod(shape), shape))
                offset += prod(shape)
            gather.append(np.stack(rows, axis=1).reshape(-1))
            per_cell.append(np.full(place.size, len(rows), dtype=np.intp))
        self._parameters = offset
        self._gather = np.concatenate([np.zeros(0, dtype=np.intp), *gather])
        self._spread = np.concatenate([np.zeros(0, dtype=np.intp), *spread])
        self._gather_cuts = _cuts(np.concatenate([np.zeros(0, dtype=np.intp), *per_cell]))
        self._spread_cuts = _cuts(np.array(terms, dtype=np.intp))

    def load(self, potentials: Sequence[Floats]) -> tuple[list[Floats], float]:
        """The exponentials of all leaves, each shifted to a largest entry of 1, and the sum of the shifts."""
        buffer = np.empty(self._size)
        for k, low, high, shape, order, _ in self._plain:
            buffer[low:high].reshape(shape)[...] = potentials[k].transpose(order)
        if self._joined:
            flat = np.empty(self._parameters)
            for k, low, high, shape in self._joined:
                flat[low:high].reshape(shape)[...] = potentials[k]
            np.add.reduceat(flat.take(self._gather), self._gather_cuts, out=buffer[: self._merged_cells])
        tops = np.maximum.reduceat(buffer, self._cuts)
        total = float(np.add.reduce(tops))
        if not np.isfinite(total):
            raise ValueError("the potentials leave no possible cell, or are not numbers")
        buffer -= np.repeat(tops, self._lengths)
        np.exp(buffer, out=buffer)
        return [buffer[low:high] for low, high in self._ranges], total

    def read(self, tables: Sequence[Floats], slopes: Sequence[Floats], count: int) -> tuple[list[Floats], bool]:
        """The probabilities of each of ``count`` cliques' cells, and whether those of each leaf sum to 1."""
        buffer = np.empty(self._size)
        for (low, high), table, slope in zip(self._ranges, tables, slopes, strict=False):
            np.multiply(table, slope, out=buffer[low:high])
        found: list[Floats] = [np.ones(())] * count
        for k, low, high, shape, _, back in self._plain:
            found[k] = buffer[low:high].reshape(shape).transpose(back)
        if self._joined:
            flat = np.add.reduceat(buffer.take(self._spread), self._spread_cuts)
            for k, low, high, shape in self._joined:
                found[k] = flat[low:high].reshape(shape)
        sums = np.add.reduceat(buffer, self._cuts)
        return found, bool(np.all(np.abs(sums - 1.0) <= 1e-9))


def _cuts(lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.concatenate([np.zeros(1, dtype=np.intp), np.cumsum(lengths)])[:-1]
