"""The coordinates of the dual: one table for each effect that anything measured tells about.

Measured tables overlap: each of ten pairs that hold a column tells about that column again. In coordinates of measured
cells the same distribution then has many potentials, which differ in the ridge alone, and the search crawls along them.
So the answers that tell about the same effect (same columns, same levels) are made one answer to it, exactly, because
the parts of a table with equal independent noise have independent noises. Main effects are one even where the levels
differ; interactions of the same columns at different levels stay apart and overlap.

A point is one vector: the main effects (:mod:`dpsynth.model.main_effects`), then the interactions, those of equal shape
stacked in one block, so that the work on hundreds of tables is a few array operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain
from dpsynth.model.factor import Floats
from dpsynth.model.main_effects import MainEffects, Seen
from dpsynth.model.operators import Groups, LinearQuery, Marginal, Measurement, centred

Ints = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Block:
    """Interactions of one shape: ``values`` has shape (interactions, *shape), ``ridge`` (interactions, 1, ...)."""

    queries: tuple[Marginal, ...]
    values: Floats
    ridge: Floats
    where: slice

    def of(self, vector: Floats) -> Floats:
        """Its part of a vector, as a stack of tables."""
        return vector[self.where].reshape(self.values.shape)


@dataclass(frozen=True, eq=False)
class _Part:
    """The means of a block's tables over the axes ``others``: shape, cells that each averages, place."""

    block: Block
    others: tuple[int, ...]
    shape: tuple[int, ...]
    averaged: int
    where: slice


@dataclass(frozen=True, eq=False)
class _Pushes:
    """Where the means of interactions belong: entry ``target[i]`` of a vector gets ``source[i]`` of all means."""

    parts: tuple[_Part, ...]
    size: int
    target: Ints
    source: Ints


@dataclass(frozen=True, eq=False)
class Effects:
    """All effects that some measurements tell about, over the cells of a domain."""

    domain: Domain
    main: MainEffects
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, domain: Domain, measured: Sequence[tuple[Measurement, Floats]], rows: float) -> Effects:
        """``measured`` pairs each measurement with its ridge: a number, or one a cell for a query of one column."""
        seen: dict[str, list[Seen]] = {}
        precision: dict[str, float] = {}
        weighted: dict[str, Floats] = {}
        queries: dict[str, Marginal] = {}
        for m, ridge in measured:
            for axes in m.query.effects:
                others = tuple(i for i in range(len(m.columns)) if i not in axes)
                table = m.values.sum(axis=others)
                strength = ridge * prod(m.values.shape[i] for i in others)
                if len(axes) == 1:
                    name, groups = m.columns[axes[0]], m.query.groups[axes[0]]
                    cells = np.arange(domain.size(name)) if groups is None else groups
                    each = np.broadcast_to(strength, table.shape)
                    seen.setdefault(name, []).append(Seen(cells, summing(table, each, rows), each))
                elif min(table.shape) > 1:
                    order, query = _ordered(domain, m.columns, m.query.groups, axes)
                    key = query.key
                    queries.setdefault(key, query)
                    precision[key] = precision.get(key, 0.0) + 1 / float(strength)
                    part = centred(table.transpose(order)) / float(strength)
                    weighted[key] = weighted[key] + part if key in weighted else part
        main = MainEffects.of(domain, seen, rows)
        shapes: dict[tuple[int, ...], list[str]] = {}
        for key, query in queries.items():
            shapes.setdefault(query.shape, []).append(key)
        blocks, at = [], main.size
        for shape, keys in shapes.items():
            ridge = np.array([1 / precision[key] for key in keys]).reshape(-1, *(1 for _ in shape))
            values = np.stack([weighted[key] for key in keys]) * ridge
            blocks.append(Block(tuple(queries[key] for key in keys), values, ridge, slice(at, at + values.size)))
            at += values.size
        return cls(domain, main, tuple(blocks))

    @property
    def size(self) -> int:
        """Length of a point."""
        return self.blocks[-1].where.stop if self.blocks else self.main.size

    @cached_property
    def interactions(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each interaction, in the order of :meth:`tables`, where they come after the main effects."""
        return tuple(query.columns for block in self.blocks for query in block.queries)

    @cached_property
    def values(self) -> Floats:
        """What the answers say of each effect."""
        return np.concatenate([self.main.values, *(block.values.ravel() for block in self.blocks)])

    def tables(self, point: Floats) -> list[Floats]:
        """The point as log-potentials over model cells, one table an effect."""
        result = [point[cells] for cells in self.main.cells]
        for block in self.blocks:
            result += [query.adjoint(table) for query, table in zip(block.queries, block.of(point), strict=True)]
        return result

    def point(self, potentials: Mapping[str, Floats]) -> Floats:
        """The point with these potentials, as :meth:`named` gives them; zero where there is none that fits."""
        result = np.zeros(self.size)
        for name, cells in zip(self.main.names, self.main.cells, strict=True):
            table = potentials.get(name)
            if table is not None and table.shape == cells.shape:
                result += np.bincount(cells, table, minlength=self.size) / np.maximum(
                    np.bincount(cells, minlength=self.size), 1
                )
        for block in self.blocks:
            for table, query in zip(block.of(result), block.queries, strict=True):
                table += potentials.get(query.key, 0.0)
        return self.centred(result)

    def named(self, point: Floats) -> dict[str, Floats]:
        """The potentials of main effects under their columns, of interactions under the keys of their queries."""
        found = {name: point[cells] for name, cells in zip(self.main.names, self.main.cells, strict=True)}
        for block in self.blocks:
            found |= {query.key: table.copy() for query, table in zip(block.queries, block.of(point), strict=True)}
        return found

    def key(self, query: LinearQuery) -> str | None:
        """The name of the potential of the interaction of all columns of a query; None if it has no place here."""
        key = self._ordered(query)[1].key
        return key if key in self._places else None

    def add(self, vector: Floats, query: LinearQuery, table: Floats) -> None:
        """Add a table of a query's shape to a vector, at the place of the interaction of all its columns."""
        order, ordered = self._ordered(query)
        start = self._places[ordered.key]
        vector[start : start + table.size] += table.transpose(order).ravel()

    def _ordered(self, query: LinearQuery) -> tuple[list[int], Marginal]:
        return _ordered(self.domain, query.columns, query.groups, tuple(range(len(query.columns))))

    def seen(self, marginals: Sequence[Floats]) -> Floats:
        """The adjoint: the marginals over model cells, as coarsely as each effect is seen, in one vector."""
        result = np.empty(self.size)
        columns = len(self.main.names)
        if columns:
            masses = np.concatenate(marginals[:columns])
            result[: self.main.size] = np.bincount(self.main.index, masses, minlength=self.main.size)
        at = columns
        for block in self.blocks:
            stack = block.of(result)
            for i, query in enumerate(block.queries):
                stack[i] = query.apply(marginals[at + i])
            at += len(block.queries)
        return result

    def centred(self, vector: Floats) -> Floats:
        """The part of a vector that effects can hold: centred where they are interactions."""
        result, main = vector.copy(), self.main.size
        result[:main] = self.main.held(vector[:main])
        for block in self.blocks:
            block.of(result)[...] = centred(block.of(vector), 1)
        return result

    def ridge(self, point: Floats) -> Floats:
        """The gradient of the ridge; half its product with the point is the ridge."""
        result = np.empty(self.size)
        result[: self.main.size] = self.main.ridge(point[: self.main.size])
        for block in self.blocks:
            np.multiply(block.of(point), block.ridge, out=block.of(result))
        return result

    def gap(self, gradient: Floats) -> float:
        """The duality gap at a point of this gradient: primal value less dual value."""
        main = gradient[: self.main.size]
        total = float(np.sum(main * self.main.informed(main)))
        for block in self.blocks:
            total += float(np.sum(block.of(gradient) ** 2 / block.ridge))
        return total / 2

    def pushed(self, functions: Floats) -> Floats:
        """Any functions on the cells of the effects, as effects: what an interaction cannot hold goes to smaller ones.

        What would belong to an effect that nothing measured tells about is dropped.
        """
        result, pushes = self.centred(functions), self._pushes
        means = np.empty(pushes.size)
        for part in pushes.parts:
            stack = part.block.of(functions)
            means[part.where] = centred(np.add.reduce(stack, axis=part.others) / part.averaged, 1).ravel()
        pushed: Floats = np.bincount(pushes.target, means[pushes.source], minlength=self.size).astype(np.float64)
        pushed[: self.main.size] = self.main.held(pushed[: self.main.size])
        return result + pushed

    def pulled(self, gradient: Floats) -> Floats:
        """The adjoint of :meth:`pushed`."""
        result, pushes = self.centred(gradient), self._pushes
        back = np.bincount(pushes.source, result[pushes.target], minlength=pushes.size)
        for part in pushes.parts:
            means = centred(back[part.where].reshape(part.shape) / part.averaged, 1)
            stack = part.block.of(result)
            stack += np.expand_dims(means, part.others)
        return result

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each interaction begins, by the key of its query."""
        return {
            query.key: block.where.start + i * prod(query.shape)
            for block in self.blocks
            for i, query in enumerate(block.queries)
        }

    @cached_property
    def _pushes(self) -> _Pushes:
        parts, at = [], 0
        target, source = [np.zeros(0, dtype=np.intp)], [np.zeros(0, dtype=np.intp)]
        main = dict(zip(self.main.names, self.main.cells, strict=True))
        for block in self.blocks:
            stack, order = block.values, block.values.ndim - 1
            for axes in (axes for n in range(1, order) for axes in combinations(range(order), n)):
                others = tuple(1 + axis for axis in range(order) if axis not in axes)
                shape = (stack.shape[0], *(stack.shape[1 + axis] for axis in axes))
                part = _Part(block, others, shape, stack.size // prod(shape), slice(at, at + prod(shape)))
                for query in block.queries:
                    to, from_ = self._entries(query.part(axes), main)
                    target.append(to)
                    source.append(at + from_)
                    at += prod(shape[1:])
                parts.append(part)
        return _Pushes(tuple(parts), at, np.concatenate(target), np.concatenate(source))

    def _entries(self, query: Marginal, main: Mapping[str, Ints]) -> tuple[Ints, Ints]:
        """Which entries of a vector, if any, hold the cells of an effect, and which cells they hold."""
        if len(query.columns) > 1:
            cells = np.arange(prod(query.shape) if query.key in self._places else 0)
            return self._places.get(query.key, 0) + cells, cells
        fine = main.get(query.columns[0])
        if fine is None:
            return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
        if query.groups[0] is None:
            return fine, np.arange(fine.size)
        both = np.unique(np.stack([fine, query.groups[0]]), axis=1)
        return both[0], both[1]


def _ordered(
    domain: Domain, columns: tuple[str, ...], groups: Groups, axes: tuple[int, ...]
) -> tuple[list[int], Marginal]:
    """The marginal of some axes with its columns in the order of the domain, and the order that brings them there."""
    order = sorted(range(len(axes)), key=lambda i: domain.position[columns[axes[i]]])
    names = tuple(columns[axes[i]] for i in order)
    return order, Marginal(names, domain.shape(names), tuple(groups[axes[i]] for i in order))


def summing(values: Floats, weights: Floats, rows: float) -> Floats:
    """Values shifted along the weights to sum to the rows: it changes the fit's objective by a constant only."""
    shifted: Floats = values + (rows - float(values.sum())) * (weights / float(weights.sum()))
    return shifted
