"""The one counting kernel: exact int64 tables of codes seen through levels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
        # adding a table never costs more than its block
        self._step = max([BLOCK_ROWS, *(total.size for total in self._totals)])

    def add(self, columns: Mapping[str, Codes], rows: int, weights: Codes | None = None) -> None:
        """Count ``rows`` more rows; ``columns`` holds their codes of each column's finest grid.

        Each code is below the number of fine cells of every level of its column that is asked. A row adds one to
        exactly one cell of each query: the mixed-radix number of its coarse codes. With ``weights``, it adds its own.
        """
        for begin in range(0, rows, self._step):
            end = min(begin + self._step, rows)
            seen: dict[Level, NDArray[np.uint16]] = {}
            for joint, total in zip(self._joints, self._totals, strict=True):
                place = np.zeros(end - begin, dtype=_holding(total.size))
                for level in joint:
                    if level not in seen:
                        seen[level] = level.cells.take(columns[level.column][begin:end])
                    place *= place.dtype.type(level.size)
                    place += seen[level]
                if weights is None:
                    found = np.bincount(place, minlength=total.size)
                else:  # sums in binary64, exact: of a block they are far below 2^53
                    weighed = np.bincount(place, weights=weights[begin:end], minlength=total.size)
                    found = weighed.astype(np.int64)
                total += found.reshape(total.shape)

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


def count(
    columns: Mapping[str, Codes], rows: int, queries: Sequence[Query], weights: Codes | None = None
) -> tuple[NDArray[np.int64], ...]:
    """For each query the number of rows in each of its cells, or the sum of their ``weights``, in the query's shape.

    ``columns`` holds ``rows`` codes of each column's finest grid, each below the number of fine cells of every level
    of it that is asked.
    """
    tables = Tables(queries)
    tables.add(columns, rows, weights)
    return tables.counts()


def _joints(queries: Sequence[Query]) -> tuple[list[tuple[Level, ...]], list[int]]:
    """Sets of levels, and for each query the one that holds its levels: greedy, from the shapes of the queries alone.

    The largest table that is still missing is joined, while it stays within JOINT_CELLS, with the level that completes
    most of the other missing tables.
    """
    levels = list(dict.fromkeys(level for query in queries for level in query.levels))
    number = {level: at for at, level in enumerate(levels)}
    masks = [sum(1 << number[level] for level in query.levels) for query in queries]
    asked = {mask: query.cells for mask, query in zip(masks, queries, strict=True)}
    missing: dict[int, set[int]] = defaultdict(set)  # by level
    for mask in asked:
        for at in _members(mask):
            missing[at].add(mask)
    joints: list[tuple[Level, ...]] = []
    homes: dict[int, int] = {}
    for mask in sorted(asked, key=lambda mask: (-asked[mask], mask)):
        if mask in homes:
            continue
        joint, cells = mask, asked[mask]
        while True:
            near = {other for at in _members(joint) for other in missing[at]}
            rests = Counter(rest for rest in (other & ~joint for other in near) if rest.bit_count() == 1)
            sizes = {rest: levels[rest.bit_length() - 1].size for rest in rests}
            fitting = [rest for rest in rests if cells * sizes[rest] <= JOINT_CELLS]
            if not fitting or joint.bit_count() >= JOINT_LEVELS:
                break
            best = min(fitting, key=lambda rest: (-rests[rest], sizes[rest], rest))
            joint, cells = joint | best, cells * sizes[best]
        for other in {mask, 0, *(other for at in _members(joint) for other in missing[at])}:
            if not other & ~joint:
                homes[other] = len(joints)
                for at in _members(other):
                    missing[at].discard(other)
        joints.append(tuple(levels[at] for at in _members(joint)))
    return joints, [homes[mask] for mask in masks]


def _members(mask: int) -> Iterator[int]:
    """The positions of the ones of a mask, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _holding(cells: int) -> type[np.integer[Any]]:
    """The fastest type that holds the number of each cell."""
    return np.uint16 if cells <= 1 << 16 else np.uint32 if cells <= 1 << 32 else np.int64
