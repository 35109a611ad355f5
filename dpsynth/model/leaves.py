"""Leaves: the tables that contractions start from, made of log-potentials on cliques, and read back the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import NDArray

from dpsynth.model.factor import Floats
from dpsynth.model.tables import IMPOSSIBLE
from dpsynth.model.triangulation import cells

SMALL = 256
"""Cliques share a leaf while it has at most so many cells: fewer steps, and all such leaves are one call of numpy."""

Columns = tuple[int, ...]
Indices = NDArray[np.intp]

NOWHERE: Indices = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True)
class Leaf:
    """The table over a set of columns (one bit each) in which some cliques of a node are multiplied, in log space."""

    columns: int
    cliques: tuple[int, ...]


def leaves_of(cliques: Mapping[int, int], sizes: Sequence[int]) -> list[Leaf]:
    """Partition the cliques of one node: small ones together while their union is small, each other one alone."""
    size = cache(lambda mask: cells(mask, sizes))
    waiting = sorted(cliques, key=lambda k: (-size(cliques[k]), k))
    found: list[Leaf] = []
    while waiting:
        held = [waiting[0]]
        columns = cliques[waiting.pop(0)]
        while size(columns) <= SMALL:
            held += [k for k in waiting if not cliques[k] & ~columns]
            waiting = [k for k in waiting if cliques[k] & ~columns]
            unions = [columns | cliques[k] for k in waiting if cliques[k] & columns]
            near = min((mask for mask in unions if size(mask) <= SMALL), key=size, default=None)
            if near is None:
                break
            columns = near
        found.append(Leaf(columns, tuple(held)))
    return found


class Potentials:
    """The layout of the leaves' tables in one buffer: those of several cliques first, then those of one.

    ``cliques[k]`` holds the columns of clique k in the order of its axes, ``orders[i]`` those of leaf i, both without
    the columns of size one. What belongs to the cliques' own cells is one vector, clique after clique.
    """

    def __init__(
        self, leaves: Sequence[Leaf], cliques: Sequence[Columns], orders: Sequence[Columns], sizes: Sequence[int]
    ) -> None:
        ranked = sorted(range(len(leaves)), key=lambda i: (len(leaves[i].cliques) == 1, i))
        lengths = [prod(sizes[c] for c in orders[i]) for i in ranked]
        ends = list(accumulate(lengths, initial=0))
        self._lengths, self._starts, self._cells = np.array(lengths), np.array(ends[:-1], dtype=np.intp), ends[-1]
        self._spans = [(0, 0)] * len(leaves)
        for i, low, high in zip(ranked, ends, ends[1:], strict=False):
            self._spans[i] = low, high
        shared = [i for i in ranked if len(leaves[i].cliques) > 1]
        self._shared = ends[len(shared)]
        places = list(accumulate((prod(sizes[c] for c in clique) for clique in cliques), initial=0))
        self.size = places[-1]
        members = [k for i in shared for k in leaves[i].cliques]
        self._sharing = np.concatenate([NOWHERE, *(np.arange(places[k], places[k + 1]) for k in members)])
        self._alone: list[tuple[slice, slice, _Turn | None]] = []
        for i in ranked[len(shared) :]:
            (k,) = leaves[i].cliques
            turn = None if orders[i] == cliques[k] else _Turn.of(cliques[k], orders[i], sizes)
            self._alone.append((slice(places[k], places[k + 1]), slice(*self._spans[i]), turn))
        (gathered, starts), self._to_parameters = _incidence(
            [(self._spans[i][0], orders[i], [cliques[k] for k in leaves[i].cliques]) for i in shared], sizes
        )
        self._to_cells = self._sharing[gathered], starts

    def exponentials(self, potentials: Floats) -> tuple[list[Floats], float]:
        """Each leaf's exp(sum of its potentials), scaled to a largest entry of 1, and the sum of the log-scales.

        The tables are flat. ValueError if a leaf leaves no possible cell or is not a number.
        """
        buffer = self._summed(potentials)
        tops = np.maximum.reduceat(buffer, self._starts)
        total = float(np.add.reduce(tops))
        if not np.isfinite(total):
            raise ValueError(IMPOSSIBLE)
        buffer -= np.repeat(tops, self._lengths)
        np.exp(buffer, out=buffer)
        return [buffer[low:high] for low, high in self._spans], total

    def logarithms(self, potentials: Floats) -> list[Floats]:
        """Each leaf's sum of its potentials, flat."""
        buffer = self._summed(potentials)
        return [buffer[low:high] for low, high in self._spans]

    def _summed(self, potentials: Floats) -> Floats:
        buffer = np.empty(self._cells)
        if self._shared:
            buffer[: self._shared] = _sums(potentials, self._to_cells)
        for clique, leaf, turn in self._alone:
            buffer[leaf] = potentials[clique] if turn is None else turn.there(potentials[clique])
        return buffer

    def marginals(self, tables: Sequence[Floats], slopes: Sequence[Floats]) -> tuple[Floats, bool]:
        """The probabilities of each clique's cells, leaf times slope, and whether those of every leaf sum to 1.

        The cell of a clique without a column has probability 1.
        """
        buffer = np.empty(self._cells)
        for (low, high), table, slope in zip(self._spans, tables, slopes, strict=False):
            np.multiply(table, slope, out=buffer[low:high])
        found = np.ones(self.size)
        if self._shared:
            found[self._sharing] = _sums(buffer, self._to_parameters)
        for clique, leaf, turn in self._alone:
            found[clique] = buffer[leaf] if turn is None else turn.back(buffer[leaf])
        sums = np.add.reduceat(buffer, self._starts)
        return found, bool(np.all(np.abs(sums - 1.0) <= 1e-9))


@dataclass(frozen=True)
class _Turn:
    """From the order of a clique's axes to that of its leaf, and back."""

    sizes: tuple[Columns, Columns]
    orders: tuple[Columns, Columns]

    @classmethod
    def of(cls, clique: Columns, leaf: Columns, sizes: Sequence[int]) -> _Turn:
        ends = tuple(sizes[c] for c in clique), tuple(sizes[c] for c in leaf)
        return cls(ends, (tuple(clique.index(c) for c in leaf), tuple(leaf.index(c) for c in clique)))

    def there(self, table: Floats) -> Floats:
        return table.reshape(self.sizes[0]).transpose(self.orders[0]).reshape(-1)

    def back(self, table: Floats) -> Floats:
        return table.reshape(self.sizes[1]).transpose(self.orders[1]).reshape(-1)


def _sums(values: Floats, incidence: tuple[Indices, Indices]) -> Floats:
    """Sums of chosen values: which ones, and where each sum starts among them."""
    sums: Floats = np.add.reduceat(values.take(incidence[0]), incidence[1])
    return sums


def _incidence(
    leaves: Sequence[tuple[int, Columns, Sequence[Columns]]], sizes: Sequence[int]
) -> tuple[tuple[Indices, Indices], tuple[Indices, Indices]]:
    """For each cell of the leaves the parameters of its cliques, and for each parameter its cells.

    A leaf is given by its place in the buffer, the order of its axes and its cliques; the parameters are the cells of
    all cliques one after another.
    """
    gathered, per_cell, spread, per_parameter = [NOWHERE], [NOWHERE], [NOWHERE], [NOWHERE]
    offset = 0
    for start, order, cliques in leaves:
        place = np.arange(prod(sizes[c] for c in order), dtype=np.intp)
        rows = []
        for clique in cliques:
            axes = [order.index(c) for c in clique]
            rest = [axis for axis in range(len(order)) if axis not in axes]
            count = prod(sizes[c] for c in clique)
            held = place.reshape([sizes[c] for c in order]).transpose(axes + rest).reshape(count, -1)
            row = np.empty(place.size, dtype=np.intp)
            row[held] = np.arange(offset, offset + count)[:, None]
            rows.append(row)
            spread.append(held.reshape(-1) + start)
            per_parameter.append(np.full(count, held.shape[1]))
            offset += count
        gathered.append(np.stack(rows, axis=1).reshape(-1))
        per_cell.append(np.full(place.size, len(rows)))
    return (
        (np.concatenate(gathered), _starts(np.concatenate(per_cell))),
        (np.concatenate(spread), _starts(np.concatenate(per_parameter))),
    )


def _starts(lengths: Indices) -> Indices:
    return np.cumsum(lengths, dtype=np.intp) - lengths
