"""The one counting kernel: exact int64 tables of codes seen through levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Level, Query

Codes = NDArray[np.unsignedinteger[Any]]
"""uint8 for up to 256 cells, uint16 beyond."""

BLOCK_ROWS = 1 << 16
"""Rows counted at a time, so that what is looked up stays in the processor's cache."""


def count(columns: Mapping[str, Codes], rows: int, queries: Sequence[Query]) -> tuple[NDArray[np.int64], ...]:
    """For each query the number of rows in each of its cells, in the query's shape.

    ``columns`` holds ``rows`` codes of each column's finest grid, each below the number of fine cells of every level
    of it that is asked. A row adds one to exactly one cell of each query: the mixed-radix number of its coarse codes.
    """
    totals = [np.zeros(query.cells, dtype=np.int64) for query in queries]
    step = max([BLOCK_ROWS, *(query.cells for query in queries)])  # adding a table never costs more than its block
    for begin in range(0, rows, step):
        end = min(begin + step, rows)
        seen: dict[Level, NDArray[np.intp]] = {}
        for query, total in zip(queries, totals, strict=True):
            place = np.zeros(end - begin, dtype=np.intp)
            for axis, level in enumerate(query.levels):
                if level not in seen:
                    seen[level] = level.cells.astype(np.intp)[columns[level.column][begin:end]]
                place = place * level.size + seen[level] if axis else seen[level]
            total += np.bincount(place, minlength=query.cells)
    return tuple(total.reshape(query.shape) for query, total in zip(queries, totals, strict=True))
