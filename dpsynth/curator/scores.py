"""The named scores that a private selection may use. Each has a proved sensitivity; a callable is never accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dpsynth import privacy
from dpsynth.errors import ConfigurationError
from dpsynth.measurement import LATTICE, Candidate, Score

Counts = NDArray[np.int64]

LARGEST = 2**61
"""Bound on the sum of a candidate's expected counts, in lattice units, so that int64 holds every distance."""

_LIMITS = np.iinfo(np.int64)


@dataclass(frozen=True)
class NamedScore:
    """How a score is computed from exact counts, and how far one entity can move it. Both in lattice units.

    ``evaluate`` takes the exact table of each candidate's query and gives one int64 a candidate. ``sensitivity`` takes
    the candidates, which are public, max_rows and the neighbour relation: it bounds the move of every candidate.
    """

    evaluate: Callable[[Sequence[Counts], Sequence[Candidate]], Counts]
    sensitivity: Callable[[Sequence[Candidate], int, str], int]


def l1_to_model(counts: Sequence[Counts], candidates: Sequence[Candidate]) -> Counts:
    """For each candidate ``weight * sum |LATTICE * count - expected| - offset``: int64, shape (candidates,), exact.

    ``counts`` holds the exact table of each candidate's query, in its shape. What would leave int64 stays at its limit.
    """
    scores = np.zeros(len(candidates), dtype=np.int64)
    for at, (table, candidate) in enumerate(zip(counts, candidates, strict=True)):
        distance = int(np.abs(LATTICE * table - candidate.expected).sum())
        scores[at] = min(max(candidate.weight * distance - candidate.offset, _LIMITS.min), _LIMITS.max)
    return scores


def l1_sensitivity(candidates: Sequence[Candidate], max_rows: int, neighbours: str) -> int:
    """How far one entity moves ``l1_to_model``: the largest weight times LATTICE times the bound in rows."""
    return max(candidate.weight for candidate in candidates) * LATTICE * privacy.l1_to_model(max_rows, neighbours)


SCORES: Mapping[Score, NamedScore] = MappingProxyType({"l1-to-model": NamedScore(l1_to_model, l1_sensitivity)})
"""Every score that there is."""


def require_expected(candidates: Sequence[Candidate]) -> None:
    """ConfigurationError where a model expects so many rows that a score could leave int64: all of it public."""
    for candidate in candidates:
        if _size(candidate.expected) > LARGEST:
            raise ConfigurationError(
                f"the candidate {candidate.query.columns} expects counts beyond what int64 can hold in units of "
                f"1/{LATTICE} row: a model of so many rows cannot be compared"
            )


def _size(expected: Counts) -> int:
    """The exact sum of absolute values, which int64 need not hold."""
    absolute = np.abs(expected).astype(np.uint64)
    return (int((absolute >> np.uint64(32)).sum()) << 32) + int((absolute & np.uint64(2**32 - 1)).sum())
