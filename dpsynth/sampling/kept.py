"""Rows drawn from a model brought to keep the constraints of the schema, and a condition beside them.

The repair is that of the private rows. Where rows are drawn given a condition, a repair may lead out of it: such a row
is drawn again, from words of its own, repaired and judged again, until all rows of the chunk fulfil the condition. So
they are rows of the model given the condition, repaired, given that they still fulfil it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Layout
from dpsynth.errors import ConfigurationError
from dpsynth.sampling.draw import Codes, Sampler
from dpsynth.sampling.tables import CHUNK

ATTEMPTS = 64
"""Draws in place of rows that a repair led out of the condition, before the condition is refused."""

SPARE = 1024
"""Rows drawn at least in an attempt."""


def kept(sampler: Sampler, layout: Layout, codes: Codes, seed: int, chunk: int) -> tuple[Codes, int]:
    """A chunk of rows that keeps the constraints and the condition of its layout, and how many rows were changed.

    Attempt t draws twice as many rows as are missing, or SPARE (at most a chunk), with the words of chunk
    ``chunk + t 2^20``; its repaired rows that fulfil the condition take the missing places in order. ConfigurationError
    where ATTEMPTS do not suffice.
    """
    if not layout.constraints.steps:
        return codes, 0
    repaired, changed = layout.constraints.repaired(codes)
    missing = np.flatnonzero(_outside(layout, repaired))
    if not missing.size:
        return repaired, int(np.count_nonzero(changed))
    changed[missing] = False
    result = {name: column.copy() for name, column in repaired.items()}
    for attempt in range(1, ATTEMPTS + 1):
        rows = min(CHUNK, max(SPARE, 2 * missing.size))
        others, moved = layout.constraints.repaired(sampler.again(rows, seed, chunk, attempt))
        found = np.flatnonzero(~_outside(layout, others))[: missing.size]
        places, missing = missing[: found.size], missing[found.size :]
        for name, column in result.items():
            column[places] = others[name][found]
        changed[places] = moved[found]
        if not missing.size:
            return result, int(np.count_nonzero(changed))
    columns = ", ".join(repr(name) for name in layout.shares)
    raise ConfigurationError(
        f"where: hardly a row that keeps the constraints of the schema has these values of {columns}: admit more, or "
        "look in the schema for the constraint that rules them out"
    )


def _outside(layout: Layout, codes: Codes) -> NDArray[np.bool_]:
    """Which rows have a cell that the condition does not admit at all."""
    outside = np.zeros(len(next(iter(codes.values()))), dtype=np.bool_)
    for name, share in layout.shares.items():
        outside |= share[codes[name]] == 0
    return outside
