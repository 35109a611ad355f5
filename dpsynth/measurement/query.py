"""Queries, candidates and answers: frozen values whose meaning never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement.level import Level

Basis = Literal["marginal"]
Score = Literal["l1-to-model"]
Rule = Literal["distinct", "spanning-forest"]

LATTICE = 1024
"""Scores are integers in units of 1/LATTICE of a row: a model's marginal is rounded to this public grid."""


MOST_COLUMNS = 64
"""Columns of a query: numpy's arrays have no more axes."""


@dataclass(frozen=True)
class Query:
    """A marginal: the joint table of some columns, each at a level. No columns: the total number of rows.

    ``basis`` says which linear function of the table is asked; ``"marginal"`` is the table itself.
    """

    levels: tuple[Level, ...]
    basis: Basis = "marginal"

    def __post_init__(self) -> None:
        if len(set(self.columns)) != len(self.levels):
            raise ValueError("a query names each column once")
        if len(self.levels) > MOST_COLUMNS:
            raise ValueError(f"a query of {len(self.levels)} columns: at most {MOST_COLUMNS} fit an array")

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in the order of the axes."""
        return tuple(level.column for level in self.levels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of coarse cells on each axis."""
        return tuple(level.size for level in self.levels)

    @property
    def cells(self) -> int:
        """Number of cells of the table asked for."""
        return prod(self.shape)


TOTAL = Query(())
"""The number of rows."""


@dataclass(frozen=True, eq=False)
class NoisyMarginal:
    """A noisy answer: int64 ``values`` of the query's shape, each with independent noise of scale ``sigma``.

    ``sigma`` is exact; 0 only where the count is public (the total under replace-one of single rows).
    ``entry`` is the sequence number of the ledger entry that paid for it.
    """

    query: Query
    values: NDArray[np.int64]
    sigma: Fraction
    entry: int

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.int64)
        if values.shape != self.query.shape:
            raise ValueError(f"values of shape {values.shape} do not answer a query of shape {self.query.shape}")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)


@dataclass(frozen=True, eq=False)
class Candidate:
    """Something a private selection may pick: a query and what the public model expects of it.

    ``expected`` holds the model's counts of the query's shape in units of 1/LATTICE, as int64, so that the score
    ``sum |LATTICE * count - expected|`` is an exact integer.
    """

    query: Query
    expected: NDArray[np.int64]

    def __post_init__(self) -> None:
        expected = np.array(self.expected, dtype=np.int64)
        if expected.shape != self.query.shape:
            raise ValueError(f"expected counts of shape {expected.shape} for a query of shape {self.query.shape}")
        expected.flags.writeable = False
        object.__setattr__(self, "expected", expected)

    @classmethod
    def of(cls, query: Query, expected: NDArray[np.float64]) -> Candidate:
        """Round a model's float counts to the public lattice."""
        return cls(query, np.rint(np.asarray(expected) * LATTICE).astype(np.int64))


@dataclass(frozen=True)
class Selection:
    """The picks of one private selection: indices into the candidates, in the order drawn.

    ``scale`` is the Gumbel scale in lattice units, exact. ``candidates`` holds the columns of every candidate.
    """

    score: Score
    rule: Rule
    candidates: tuple[tuple[str, ...], ...]
    picks: tuple[int, ...]
    scale: Fraction
    entry: int


def candidates_digest(candidates: Sequence[Candidate]) -> str:
    """``sha256:...`` over the columns, levels and expected counts of a list of candidates."""
    state = sha256(b"dpsynth-candidates-v1\n")
    for candidate in candidates:
        for level in candidate.query.levels:
            state.update(f"{level.digest} ".encode())
        state.update(b"\n" + candidate.expected.astype("<i8").tobytes())
    return "sha256:" + state.hexdigest()
