"""The one counting kernel: exact int64 tables of codes seen through levels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Level, Query

Codes = NDArray[np.unsignedinteger[Any]]
"""uint8 for up to 256 cells, uint16 beyond."""

BLOCK_ROWS = 1 << 16
"""Rows counted at a time, so that what is looked up stays in the processor's cache."""

JOINT_CELLS = 1 << 14
"""Largest table counted for the sake of several queries: it still stays in the cache."""

JOINT_LEVELS = 14
"""Most levels joined for the sake of several queries: binary ones fill the table, and an array has at most 64 axes."""


class Tables:
    """The tables of some queries, to which rows are added part by part, in any order.

    A pass of ``np.bincount`` costs the same for a large table as for a small one, so queries share passes: the tables
    of (a, b), (b, c) and (a, c) are sums of the one of (a, b, c). Threads would not pay: ``np.bincount`` holds the
    interpreter's lock while it counts.
    """

    def __init__(self, queries: Sequence[Query]) -> None:
        self.queries = tuple(queries)
        self._joints, self._homes = _joints(self.queries)
        self._totals = [np.zeros([level.size for level in joint], dtype=np.int64) for joint in self._joints]

    def add(self, columns: Mapping[str, Codes], rows: int, weights: Codes | None = None) -> None:
        """Count ``rows`` more rows; ``columns`` holds their codes of each column's finest grid.

        Each code is below the number of fine cells of every level of its column that is asked. A row adds one to
        exactly one cell of each query: the mixed-radix number of its coarse codes. With ``weights``, it adds its own.
        """
        for begin in range(0, rows, BLOCK_ROWS):
            end = min(begin + BLOCK_ROWS, rows)
            seen: dict[Level, NDArray[np.uint16]] = {}
            for joint, total in zip(self._joints, self._totals, strict=True):
                place = np.zeros(end - begin, dtype=_holding(total.size))
                for level in joint:
                    if level not in seen:
                        seen[level] = level.cells.take(columns[level.column][begin:end])
                    place *= place.dtype.type(level.size)
                    place += seen[level]
                own = None if weights is None else weights[begin:end]
                if total.size > BLOCK_ROWS:  # to add a table would cost more than its block
                    np.add.at(total.reshape(-1), place.astype(np.intp), 1 if own is None else own.astype(np.int64))
                elif own is None:
                    total += np.bincount(place, minlength=total.size).reshape(total.shape)
                else:  # sums in binary64, exact: of a block they are far below 2^53
                    weighed = np.bincount(place, weights=own, minlength=total.size)
                    total += weighed.astype(np.int64).reshape(total.shape)

    def counts(self) -> tuple[NDArray[np.int64], ...]:
        """For each query the number of rows so far in each of its cells, in the query's shape; new arrays."""
        found: list[NDArray[np.int64]] = []
        for query, home in zip(self.queries, self._homes, strict=True):
            joint, total = self._joints[home], self._totals[home]
            axes = [joint.index(level) for level in query.levels]
            left = sorted(axes)
            summed = total.sum(axis=tuple(axis for axis in range(total.ndim) if axis not in left))
            table = summed.transpose([left.index(axis) for axis in axes])
            found.append(np.array(table, dtype=np.int64, order="C"))
        return tuple(found)


def portions(queries: Sequence[Query], cells: int) -> tuple[tuple[int, ...], ...]:
    """The indices of some queries in groups: to count one takes so many cells of eight bytes at most, answers included.

    As few groups as joints that lie side by side allow; a query that is larger by itself is a group by itself. It
    depends on the shapes of the queries alone.
    """
    joints, homes = _joints(queries)
    together: dict[int, list[int]] = defaultdict(list)
    for at, home in enumerate(homes):
        together[home].append(at)
    groups: list[list[int]] = []
    filled = cells
    for home in range(len(joints)):
        size = _cells(joints[home]) + sum(queries[at].cells for at in together[home])
        if groups and filled + size <= cells:
            groups[-1] += together[home]
            filled += size
        else:
            groups.append(together[home])
            filled = size
    return tuple(tuple(sorted(part)) for group in groups for part in _within(queries, group, cells))


def _within(queries: Sequence[Query], group: list[int], cells: int) -> list[list[int]]:
    """The group, or halves of it: among themselves queries may have other joints than among all."""
    asked = [queries[at] for at in group]
    if len(group) == 1 or needed(asked) <= cells:
        return [group]
    half = len(group) // 2
    return [*_within(queries, group[:half], cells), *_within(queries, group[half:], cells)]


def needed(queries: Sequence[Query]) -> int:
    """The cells of eight bytes that counting some queries at once takes, with their answers."""
    return sum(map(_cells, _joints(queries)[0])) + sum(query.cells for query in queries)


def _joints(queries: Sequence[Query]) -> tuple[list[tuple[Level, ...]], list[int]]:
    """Sets of levels, and for each query the one that holds its levels: greedy, from the shapes of the queries alone.

    The largest table that is still missing is joined, while it stays within JOINT_CELLS, with the level that completes
    most of the other missing tables. Each step costs as much as the tables that the joined level is in: for all pairs
    of d columns d for each, which numpy does at once.
    """
    numbers: dict[Level, int] = {}
    sets = [frozenset(numbers.setdefault(level, len(numbers)) for level in query.levels) for query in queries]
    levels = list(numbers)
    sizes = np.array([level.size for level in levels], dtype=np.int64)
    place: dict[frozenset[int], int] = {}
    for members in sets:
        place.setdefault(members, len(place))
    missing = _Missing(list(place), len(levels))
    cells = {members: query.cells for members, query in zip(sets, queries, strict=True)}
    order = sorted(place, key=lambda members: (-cells[members], sum(1 << at for at in members)))
    homes = np.full(len(place), -1, dtype=np.intp)
    joints: list[tuple[Level, ...]] = []
    for members in order:
        if homes[place[members]] >= 0:
            continue
        joint, size = sorted(members), cells[members]
        missing.begin(joint)
        while len(joint) < JOINT_LEVELS:
            fitting = np.flatnonzero((missing.completes > 0) & (sizes <= JOINT_CELLS // size))
            if not fitting.size:
                break
            best = int(fitting[np.lexsort((fitting, sizes[fitting], -missing.completes[fitting]))[0]])
            joint, size = [*joint, best], size * int(sizes[best])
            missing.join(best)
        homes[missing.complete()] = len(joints)
        joints.append(tuple(levels[at] for at in sorted(joint)))
    return joints, [int(homes[place[members]]) for members in sets]


class _Missing:
    """Sets of levels that no joint holds yet, while one joint grows by a level at a time.

    ``completes`` (levels,) says how many of them hold this level and otherwise levels of the joint alone.
    """

    def __init__(self, sets: Sequence[frozenset[int]], levels: int) -> None:
        self._number = np.array([len(members) for members in sets], dtype=np.intp)
        self._sum = np.array([sum(members) for members in sets], dtype=np.intp)
        self._missing = np.ones(len(sets), dtype=np.bool_)
        having: list[list[int]] = [[] for _ in range(levels)]
        for at, members in enumerate(sets):
            for level in members:
                having[level].append(at)
        self._empty = np.flatnonzero(self._number == 0)
        self._having = [np.array(found, dtype=np.intp) for found in having]
        # of each set, how many of its levels are not in the joint, and the sum of these levels' numbers
        self._left, self._rest = self._number.copy(), self._sum.copy()
        self._touched: list[NDArray[np.intp]] = []
        self.completes = np.zeros(levels, dtype=np.intp)

    def begin(self, joint: Sequence[int]) -> None:
        """A new joint of these levels."""
        for found in self._touched:
            self._left[found], self._rest[found] = self._number[found], self._sum[found]
        self._touched = []
        self.completes[:] = 0
        for level in joint:
            self.join(level)

    def join(self, level: int) -> None:
        """One more level."""
        found = self._having[level]
        found = self._having[level] = found[self._missing[found]]
        self._touched.append(found)
        self._left[found] -= 1
        self._rest[found] -= level
        single = self._rest[found[self._left[found] == 1]]
        self.completes += np.bincount(single, minlength=self.completes.size)
        self.completes[level] = 0

    def complete(self) -> NDArray[np.intp]:
        """The sets that the joint holds: they are missing no longer."""
        touched = np.unique(np.concatenate([self._empty, *self._touched]))
        found: NDArray[np.intp] = touched[(self._left[touched] == 0) & self._missing[touched]]
        self._missing[found] = False
        return found


def _cells(joint: Sequence[Level]) -> int:
    return prod(level.size for level in joint)


def _holding(cells: int) -> type[np.integer[Any]]:
    """The fastest type that holds the number of each cell."""
    return np.uint16 if cells <= 1 << 16 else np.uint32 if cells <= 1 << 32 else np.int64
