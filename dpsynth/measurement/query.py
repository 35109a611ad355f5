"""Queries, candidates and answers: frozen values whose meaning never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from math import prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement.level import Level

Basis = Literal["marginal", "residual"]
Law = Literal["rounded_gaussian", "discrete_gaussian", "discrete_laplace", "public_count"]
Score = Literal["l1-to-model"]
Rule = Literal["distinct", "spanning-forest"]

LATTICE = 1024
"""Scores are integers in units of 1/LATTICE of a row: a model's marginal is rounded to this public grid."""

MOST_COLUMNS = 64
"""Columns of a query: numpy's arrays have no more axes."""

LARGEST_WEIGHT = 2**32
"""Largest weight of a candidate."""

LARGEST_OFFSET = 2**62
"""Largest offset of a candidate, in lattice units and in size."""

ROOT_TWO_ABOVE = Fraction(99, 70)
"""A rational number just above the root of two: the standard deviation of Laplace noise of scale 1 is below it."""


@dataclass(frozen=True)
class Query:
    """A marginal: the joint table of some columns, each at a level. No columns: the total number of rows.

    ``basis`` says which linear function of the table x is asked. ``"marginal"`` is the table itself. ``"residual"`` is
    kron over the axes of (m I - 11') x, m being the axis' cells: what the table says beyond all smaller ones, in
    integers of prod m times its size. It has the table's shape, and two cells or more on each of one or more axes.
    """

    levels: tuple[Level, ...]
    basis: Basis = "marginal"

    def __post_init__(self) -> None:
        if len(set(self.columns)) != len(self.levels):
            raise ValueError("a query names each column once")
        if len(self.levels) > MOST_COLUMNS:
            raise ValueError(f"a query of {len(self.levels)} columns: at most {MOST_COLUMNS} fit an array")
        if self.basis not in ("marginal", "residual"):
            raise ValueError(f"basis {self.basis!r}: a query asks for the 'marginal' or the 'residual'")
        if self.basis == "residual" and (not self.levels or 1 in self.shape):
            raise ValueError("a residual has one or more columns, each at a level of two or more cells")

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


class _Noisy:
    """What has int64 ``values``, each with independent noise of one ``law`` and ``scale``, in the ``shape`` asked."""

    values: NDArray[np.int64]
    scale: Fraction
    law: Law

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.int64)
        if values.shape != self.shape:
            raise ValueError(f"values of shape {values.shape} do not answer what was asked in shape {self.shape}")
        if self.law not in get_args(Law):
            raise ValueError(f"law {self.law!r}: the laws of noise are {', '.join(get_args(Law))}")
        if self.scale < 0 or (self.scale == 0) != (self.law == "public_count"):
            raise ValueError("noise has a scale above zero, and a public count has the scale zero")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @property
    def sigma(self) -> Fraction:
        """A standard deviation of the noise of each value, whatever its law: for Laplace just above sqrt(2) scale."""
        return ROOT_TWO_ABOVE * self.scale if self.law == "discrete_laplace" else self.scale


@dataclass(frozen=True, eq=False)
class NoisyMarginal(_Noisy):
    """A noisy answer: int64 ``values`` of the query's shape, each with independent noise of one law and scale.

    ``scale`` is the exact parameter of the ``law``: sigma of a Gaussian, b of Laplace, and 0 for a public count (the
    total under replace-one of single rows), which alone has no noise. ``entry`` is the sequence number of the ledger
    entry that paid for it.
    """

    query: Query
    values: NDArray[np.int64]
    scale: Fraction
    law: Law
    entry: int

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the query."""
        return self.query.shape


@dataclass(frozen=True, eq=False)
class Candidate:
    """Something a private selection may pick: a query, what the public model expects of it, and how it is judged.

    ``expected`` holds the model's counts of the query's shape in units of 1/LATTICE, as int64. The score is the exact
    integer ``weight * sum |LATTICE * count - expected| - offset``; ``offset``, in lattice units too, says how large the
    weighted distance would be by chance, or what the answer costs. The query is a marginal.
    """

    query: Query
    expected: NDArray[np.int64]
    weight: int = 1
    offset: int = 0

    def __post_init__(self) -> None:
        expected = np.array(self.expected, dtype=np.int64)
        if expected.shape != self.query.shape:
            raise ValueError(f"expected counts of shape {expected.shape} for a query of shape {self.query.shape}")
        if self.query.basis != "marginal":
            raise ValueError("a candidate is a marginal: what it adds may be asked as a residual afterwards")
        if type(self.weight) is not int or not 1 <= self.weight <= LARGEST_WEIGHT:
            raise ValueError(f"the weight of a candidate is an integer from 1 to {LARGEST_WEIGHT}")
        if type(self.offset) is not int or not -LARGEST_OFFSET <= self.offset <= LARGEST_OFFSET:
            raise ValueError(f"the offset of a candidate is an integer of at most {LARGEST_OFFSET} in size")
        expected.flags.writeable = False
        object.__setattr__(self, "expected", expected)

    @classmethod
    def of(cls, query: Query, expected: NDArray[np.float64], weight: int = 1, offset: float = 0.0) -> Candidate:
        """Round a model's float counts, and an offset in rows, to the public lattice."""
        lattice = np.rint(np.asarray(expected) * LATTICE).astype(np.int64)
        return cls(query, lattice, weight, round(offset * LATTICE))


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


@dataclass(frozen=True, eq=False)
class NoisyScores(_Noisy):
    """The scores of all candidates at once: int64 ``values`` in lattice units, each with independent noise.

    ``scale`` and ``law`` are those of :class:`NoisyMarginal`. ``candidates`` holds the columns of every candidate.
    """

    score: Score
    candidates: tuple[tuple[str, ...], ...]
    values: NDArray[np.int64]
    scale: Fraction
    law: Law
    entry: int

    @property
    def shape(self) -> tuple[int, ...]:
        """One score a candidate."""
        return (len(self.candidates),)


@dataclass(frozen=True, eq=False)
class Partitions:
    """The values of a column that were found privately, sorted, and the noisy number of entities that hold each.

    ``counts`` are int64, none below the ``threshold``: of a value that fewer seem to hold nothing is known, not even
    that there is one. ``scale`` and ``law`` are those of :class:`NoisyMarginal`. ``delta`` is the probability at most
    with which a value that a single entity holds is among them.
    """

    column: str
    values: tuple[str, ...]
    counts: NDArray[np.int64]
    scale: Fraction
    law: Law
    threshold: int
    delta: Fraction
    entry: int

    def __post_init__(self) -> None:
        counts = np.array(self.counts, dtype=np.int64)
        if counts.shape != (len(self.values),) or list(self.values) != sorted(set(self.values)):
            raise ValueError(f"the values found of {self.column!r} are sorted, each with one count")
        if (counts < self.threshold).any() or self.law not in ("rounded_gaussian", "discrete_gaussian"):
            raise ValueError(f"a value found of {self.column!r} has a Gaussian count of at least the threshold")
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)


def candidates_digest(candidates: Sequence[Candidate]) -> str:
    """``sha256:...`` over the levels, weights, offsets and expected counts of a list of candidates."""
    state = sha256(b"dpsynth-candidates-v2\n")
    for candidate in candidates:
        for level in candidate.query.levels:
            state.update(f"{level.digest} ".encode())
        state.update(f"{candidate.weight} {candidate.offset}\n".encode())
        state.update(candidate.expected.astype("<i8").tobytes())
    return "sha256:" + state.hexdigest()
