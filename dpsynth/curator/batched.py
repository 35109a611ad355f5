"""What the private rows answer, counted in batches that fit a limit on memory, each one pass over the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.residuals import residual
from dpsynth.curator.scores import SCORES
from dpsynth.measurement import Candidate, NoisyMarginal, Query, Score
from dpsynth.noise import Noise
from dpsynth.table import PrivateTable, portions

Counts = NDArray[np.int64]

PART = 16
"""Tables that are counted at once take at most one part in so many of the limit on memory, or are one query."""

MOST = 1 << 28
"""Bytes of tables that are counted at once at most, however much memory there is: more would save few passes."""

MANY = 1000
"""From so many candidates on, a comparison tells how far it is."""


def cells_at_once(memory: int) -> int:
    """The cells of eight bytes that may be counted at once within a limit on memory, in bytes."""
    return max(1, min(memory // PART, MOST) // 8)


def counted(table: PrivateTable, queries: Sequence[Query], cells: int) -> Iterator[tuple[int, Counts]]:
    """Each query's place and its exact table; a batch that takes at most so many cells is counted at a time.

    Batches and their order follow from the queries and ``cells`` alone, and so does the order of the places.
    """
    for batch in portions(queries, cells):
        yield from zip(batch, table.count([queries[at] for at in batch]), strict=True)


def noised(
    table: PrivateTable,
    queries: Sequence[Query],
    scales: Sequence[Fraction],
    entries: Sequence[int],
    noise: Noise,
    cells: int,
) -> list[NoisyMarginal]:
    """Exact tables, or their residuals, with independent noise on each cell."""
    found: dict[int, NoisyMarginal] = {}
    for at, counts in counted(table, queries, cells):
        query = queries[at]
        exact = residual(counts) if query.basis == "residual" else counts
        noisy = noise.noisy(exact.reshape(-1), scales[at]).reshape(query.shape)
        found[at] = NoisyMarginal(query, noisy, scales[at], noise.law, entries[at])
    return [found[at] for at in range(len(queries))]


def compared(
    table: PrivateTable, candidates: Sequence[Candidate], score: Score, cells: int, tell: Callable[[str], None] | None
) -> Counts:
    """The exact score of every candidate, whose table is dropped once it is scored: int64, shape (candidates,).

    ``tell`` hears how many candidates are compared, where they are MANY: a public number. What it raises is passed
    over, since the answer that is being drawn would be lost.
    """
    evaluate, number = SCORES[score].evaluate, len(candidates)
    scores = np.zeros(number, dtype=np.int64)
    done = 0
    for batch in portions([candidate.query for candidate in candidates], cells):
        asked = [candidates[at] for at in batch]
        scores[list(batch)] = evaluate(table.count([candidate.query for candidate in asked]), asked)
        done += len(batch)
        if tell is not None and number >= MANY:
            with suppress(Exception):
                tell(f"compared {done:,} of {number:,} candidates with the model")
    return scores
