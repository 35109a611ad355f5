"""IntegerTables: a fitted model as integer conditional tables, the only thing that rows are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain, Level
from dpsynth.sampling.fixed import ONE, fixed_groups, fixed_rows

if TYPE_CHECKING:
    from dpsynth.model import FittedModel
    from dpsynth.sampling.condition import Evidence

CHUNK = 1 << 20
"""Rows of a chunk. A constant of the format: another value would give other rows."""

MAX_STATES = 1 << 32
"""Parent states a node may have: below it at least 12 bits are left to order the rows of a state at random."""


@dataclass(frozen=True, eq=False)
class Node:
    """The conditional distribution of some columns given columns of earlier nodes, in model cells.

    ``table`` is a read-only uint64 array of shape (states of ``given``, joint cells of ``new``), both in row-major
    order of the names; each row sums to 2^32.
    """

    given: tuple[str, ...]
    new: tuple[str, ...]
    table: NDArray[np.uint64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", _frozen(self.table))
        if self.table.ndim != 2 or not self.new:
            raise ValueError(f"the node of {self.new} needs a column and a matrix")
        if self.table.size == 0 or self.table.shape[0] > MAX_STATES:
            raise ValueError(f"the node of {self.new} has a table of shape {self.table.shape}")
        if (self.table > ONE).any() or (self.table.sum(axis=1) != ONE).any():
            raise ValueError(f"a row of the node of {self.new} does not sum to 2^32")

    @classmethod
    def of(cls, given: tuple[str, ...], new: tuple[str, ...], mass: NDArray[np.float64]) -> Node:
        """Round a table of non-negative masses (any scale; a row without mass falls back) to fixed point."""
        return cls(given, new, fixed_rows(mass))


@dataclass(frozen=True, eq=False)
class IntegerTables:
    """Everything that sampling reads: integers of the published model.

    ``nodes`` are in an order in which every node's ``given`` columns come earlier; each column is new in exactly one.
    ``levels[j]`` maps fine cells of column j to its model cells; ``weights[j]`` (uint64 a fine cell, summing to 2^32
    within each model cell) says how a model cell spreads over its fine cells. ``total`` is the model's number of rows.
    ValueError if any of this does not hold.
    """

    nodes: tuple[Node, ...]
    levels: tuple[Level, ...]
    weights: tuple[NDArray[np.uint64], ...]
    total: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(_frozen(weight) for weight in self.weights))
        if self.total < 0:
            raise ValueError(f"a model of {self.total} rows")
        if not self.levels or len(self.levels) != len(self.weights):
            raise ValueError(f"{len(self.levels)} levels with {len(self.weights)} weights")
        for level, weight in zip(self.levels, self.weights, strict=True):
            _check_weights(level, weight)
        _check_nodes(self.nodes, self.model_domain)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in the order of the rows."""
        return tuple(level.column for level in self.levels)

    @property
    def fine(self) -> tuple[int, ...]:
        """Number of fine cells of each column."""
        return tuple(level.fine for level in self.levels)

    @property
    def model_domain(self) -> Domain:
        """Columns with their numbers of model cells."""
        return Domain(self.columns, tuple(level.size for level in self.levels))

    @property
    def cells(self) -> int:
        """Cells of all tables together."""
        return sum(node.table.size for node in self.nodes)

    @classmethod
    def build(
        cls,
        nodes: Iterable[tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]],
        levels: Sequence[Level],
        weights: Mapping[str, NDArray[np.float64]],
        total: int,
    ) -> IntegerTables:
        """Round float tables (``given``, ``new``, masses) and weights to fixed point.

        A column without weights spreads its model cells evenly.
        """
        return cls(
            tuple(Node.of(given, new, mass) for given, new, mass in nodes),
            tuple(levels),
            tuple(
                fixed_groups(np.asarray(weights.get(level.column, np.ones(level.fine)), np.float64), level.cells)
                for level in levels
            ),
            total,
        )

    @classmethod
    def from_model(cls, model: FittedModel) -> IntegerTables:
        """The tables of a fitted model: the nodes of its junction tree, each given its separator to its parent."""
        network = model.network
        nodes = (
            (node.given, node.new, belief.reshape(network.domain.cells(node.given), -1))
            for node, belief in zip(network.tree.nodes, network.beliefs, strict=True)
        )
        return cls.build(nodes, [model.levels[name] for name in network.domain.names], model.weights, model.total)

    def given(self, evidence: Evidence) -> IntegerTables:
        """The same model conditioned on evidence: tables of its rows whose values are admitted, and of no others.

        ``evidence[name]`` says of each fine cell of a column whether it is admitted (bool, shape (fine,)), or how much
        of it is (uint64 up to 2^31, on any scale: only ratios count). Columns without evidence may hold anything. The
        result is a table for every table of this, in the same order and form, and holds no row that is not admitted:
        a cell that cannot be met has exactly 0. ``total`` stays. ConfigurationError for a column that the model lacks,
        evidence of a wrong form, or, naming the columns, evidence that no row of the model fulfils.

        Everything is computed in integers, so that it is the same on every processor. Tables with no evidence at or
        below them stay as they are. In every state that can be met, a cell of another table differs from the exact
        conditional probability (that of the integers of this model) by less than 2^-32 + w 2^-53, with w the cells in
        a row of the table and of those below it, and the number of columns; the share of a fine cell in its model
        cell by less than 2^-32 + w 2^-53, with w the fine cells of that model cell. This holds however rare the
        evidence is: every row and every message is scaled by a power of two of its own.
        """
        from dpsynth.sampling.condition import condition

        return condition(self, evidence)

    def save(self, path: str | Path) -> None:
        """Write ``model.npz``; equal tables give equal bytes."""
        from dpsynth.sampling.archive import to_bytes

        Path(path).write_bytes(to_bytes(self))

    @classmethod
    def load(cls, path: str | Path) -> IntegerTables:
        """Read ``model.npz``; DigestMismatch if it is damaged or breaks a rule of the format."""
        from dpsynth.sampling.archive import from_bytes

        return from_bytes(Path(path).read_bytes())


def _frozen(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    if values.dtype != np.uint64:
        raise ValueError(f"fixed-point tables hold uint64, not {values.dtype}")
    if values.flags.writeable or not values.flags.c_contiguous:
        values = np.array(values, order="C")
        values.flags.writeable = False
    return values


def _check_weights(level: Level, weight: NDArray[np.uint64]) -> None:
    if weight.shape != (level.fine,) or (weight > ONE).any():
        raise ValueError(f"the weights of {level.column!r} do not fit its {level.fine} fine cells")
    sums = np.zeros(level.size, dtype=np.uint64)
    np.add.at(sums, level.cells, weight)
    if (sums != ONE).any():
        raise ValueError(f"the weights of {level.column!r} do not sum to 2^32 within each model cell")


def _check_nodes(nodes: Sequence[Node], domain: Domain) -> None:
    known: set[str] = set()
    for node in nodes:
        names = (*node.given, *node.new)
        if len(set(names)) != len(names) or not known.issuperset(node.given) or known.intersection(node.new):
            raise ValueError(f"the node of {node.new} given {node.given} is out of order")
        if not all(name in domain for name in names):
            raise ValueError(f"the node of {node.new} given {node.given} names a column that the model lacks")
        if node.table.shape != (prod(domain.shape(node.given)), prod(domain.shape(node.new))):
            raise ValueError(f"the node of {node.new} has a table of shape {node.table.shape}")
        known.update(node.new)
    if known != set(domain.names):
        raise ValueError(f"no node draws {sorted(set(domain.names) - known)}")
