"""The coordinates of the dual: one table for each effect that anything measured tells about.

Measured tables overlap: each of ten pairs that hold a column tells about that column again. In coordinates of measured
cells the same distribution then has many potentials, which differ in the ridge alone, and the search crawls along them.
So the answers that tell about the same effect (same columns, same levels) are made one answer to it, exactly, because
the parts of a table with equal independent noise have independent noises. Main effects are one even where the levels
differ; interactions of the same columns at different levels stay apart and overlap.

A point is one vector: the main effects (:mod:`dpsynth.model.main_effects`), then the interactions, table after table
(:mod:`dpsynth.model.stack`), so that the work on hundreds of them is a few array operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain
from dpsynth.model.factor import Floats
from dpsynth.model.levels import Levels, Nests, nests_of
from dpsynth.model.main_effects import MainEffects, Seen
from dpsynth.model.operators import Groups, LinearQuery, Marginal, Measurement, centred, key_of
from dpsynth.model.stack import Ints, Stack, added


@dataclass(frozen=True, eq=False)
class _Pushes:
    """Where the means of interactions belong: entry ``target[i]`` of a vector gets cell ``source[i]`` of all faces."""

    target: Ints
    source: Ints


@dataclass(frozen=True, eq=False)
class Effects:
    """All effects that some measurements tell about, over the cells of a domain.

    ``queries`` names the interactions and ``stack`` is their layout; ``strengths`` holds the ridge and ``answers`` the
    answer of each of their cells.
    """

    domain: Domain
    main: MainEffects
    queries: tuple[Marginal, ...]
    stack: Stack
    strengths: Floats
    answers: Floats

    @classmethod
    def of(cls, domain: Domain, measured: Sequence[tuple[Measurement, Floats]], rows: float) -> Effects:
        """``measured`` pairs each measurement with its ridge: a number, or one a cell for a query of one column."""
        single: dict[tuple[str, bytes], tuple[Ints | None, list[Floats], list[Floats]]] = {}
        precision: dict[str, float] = {}
        weighted: dict[str, Floats] = {}
        queries: dict[str, Marginal] = {}
        for (m, ridge), tables in zip(measured, _parts([m for m, _ in measured]), strict=True):
            for axes, table in zip(m.query.effects, tables, strict=True):
                strength = ridge * (m.values.size // table.size)
                if len(axes) == 1:
                    groups = m.query.groups[axes[0]]
                    key = m.columns[axes[0]], b"" if groups is None else groups.tobytes()
                    level = single.setdefault(key, (groups, [], []))
                    level[1].append(table)
                    level[2].append(strength if strength.shape else np.full(table.shape, strength))
                elif min(table.shape) > 1:
                    order, named = _ordered(domain, m.columns, m.query.groups, axes)
                    told, weight = key_of(*named), 1 / float(strength)
                    if told not in queries:
                        queries[told] = Marginal(*named)
                        precision[told], weighted[told] = 0.0, np.zeros([table.shape[i] for i in order])
                    precision[told] += weight
                    weighted[told] += table.transpose(order) * weight
        seen: dict[str, list[Seen]] = {}
        for (name, _), (groups, values, ridges) in single.items():
            cells = np.arange(domain.size(name)) if groups is None else groups
            seen.setdefault(name, []).append(Seen.together(cells, np.stack(values), np.stack(ridges), rows))
        main = MainEffects.of(domain, seen, rows)
        found = list(queries)
        keys = [found[i] for i in Stack.order([queries[key].shape for key in found])]
        stack = Stack(tuple(queries[key].shape for key in keys))
        strengths = np.repeat([1 / precision[key] for key in keys], stack.lengths)
        answers = strengths * np.concatenate([np.zeros(0), *(weighted[key].ravel() for key in keys)])
        return cls(domain, main, tuple(queries[key] for key in keys), stack, strengths, answers)

    @property
    def size(self) -> int:
        """Length of a point."""
        return self.main.size + self.stack.size

    @cached_property
    def interactions(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each interaction, in the order of :meth:`spread`, where they come after the main effects."""
        return tuple(query.columns for query in self.queries)

    @cached_property
    def values(self) -> Floats:
        """What the answers say of each effect."""
        return np.concatenate([self.main.values, self.answers])

    def spread(self, point: Floats) -> Floats:
        """The point as log-potentials of model cells: the columns of the main effects, then the interactions."""
        rest = point[self.main.size :]
        return np.concatenate([point[self.main.index], rest if self._groups is None else rest[self._groups]])

    def seen(self, marginals: Floats) -> Floats:
        """The adjoint: marginals over model cells, as coarsely as each effect is seen."""
        columns = self.main.index.size
        rest = marginals[columns:]
        if self._groups is not None:
            rest = added(self._groups, rest, self.stack.size)
        return np.concatenate([added(self.main.index, marginals[:columns], self.main.size), rest])

    @cached_property
    def _groups(self) -> Ints | None:
        """The cell of the stack that holds each model cell of the interactions; None if each is a cell of its own."""
        if all(cells is None for query in self.queries for cells in query.groups):
            return None
        tables = self.stack.tables(np.arange(self.stack.size, dtype=np.float64))
        found = [query.adjoint(table).ravel() for query, table in zip(self.queries, tables, strict=True)]
        return np.concatenate(found).astype(np.intp)

    def point(self, potentials: Mapping[str, Floats]) -> Floats:
        """The point with these potentials, as :meth:`named` gives them; zero where there is none that fits."""
        result = np.zeros(self.size)
        for name, cells in zip(self.main.names, self.main.cells, strict=True):
            table = potentials.get(name)
            if table is not None and table.shape == cells.shape:
                result += np.bincount(cells, table, minlength=self.size) / np.maximum(
                    np.bincount(cells, minlength=self.size), 1
                )
        for table, query in zip(self.stack.tables(result[self.main.size :]), self.queries, strict=True):
            table += potentials.get(query.key, 0.0)
        return self.centred(result)

    def named(self, point: Floats) -> dict[str, Floats]:
        """The potentials of main effects under their columns, of interactions under the keys of their queries."""
        found = {name: point[cells] for name, cells in zip(self.main.names, self.main.cells, strict=True)}
        tables = self.stack.tables(point[self.main.size :].copy())
        return found | {query.key: table for query, table in zip(self.queries, tables, strict=True)}

    def key(self, query: LinearQuery) -> str | None:
        """The name of the potential of the interaction of all columns of a query; None if it has no place here."""
        key = self._named(query)[1]
        return key if key in self._places else None

    def add(self, vector: Floats, query: LinearQuery, table: Floats) -> None:
        """Add a table of a query's shape to a vector, at the place of the interaction of all its columns."""
        order, key = self._named(query)
        start = self._places[key]
        vector[start : start + table.size] += table.transpose(order).ravel()

    def _named(self, query: LinearQuery) -> tuple[list[int], str]:
        order, named = _ordered(self.domain, query.columns, query.groups, tuple(range(len(query.columns))))
        return order, key_of(*named)

    def centred(self, vector: Floats) -> Floats:
        """The part of a vector that effects can hold: centred where they are interactions."""
        main, rest = np.split(vector, [self.main.size])
        return np.concatenate([self.main.held(main), self.stack.centred(rest)])

    def ridge(self, point: Floats) -> Floats:
        """The gradient of the ridge; half its product with the point is the ridge."""
        main, rest = np.split(point, [self.main.size])
        return np.concatenate([self.main.ridge(main), self.strengths * rest])

    def gap(self, gradient: Floats) -> float:
        """The duality gap at a point of this gradient: primal value less dual value."""
        main, rest = np.split(gradient, [self.main.size])
        return float(np.sum(main * self.main.informed(main)) + np.sum(rest**2 / self.strengths)) / 2

    def pushed(self, functions: Floats) -> Floats:
        """Any functions on the cells of the effects, as effects: what an interaction cannot hold goes to smaller ones.

        What would belong to an effect that nothing measured tells about is dropped.
        """
        faces, pushes = self.stack.faces, self._pushes
        means = faces.stack.centred(faces.means(functions[self.main.size :]))
        result = self.centred(functions)
        result += added(pushes.target, means[pushes.source], self.size)
        result[: self.main.size] = self.main.held(result[: self.main.size])
        return result

    def pulled(self, gradient: Floats) -> Floats:
        """The adjoint of :meth:`pushed`."""
        faces, pushes, result = self.stack.faces, self._pushes, self.centred(gradient)
        back = added(pushes.source, result[pushes.target], faces.stack.size)
        faces.add_back(faces.stack.centred(back), result[self.main.size :])
        return result

    @cached_property
    def _nested(self) -> tuple[Nests, Nests]:
        return nests_of(self.queries, self.stack)

    @property
    def nests(self) -> Nests:
        """Interactions of the same columns at nested levels, in chains."""
        return self._nested[0]

    @property
    def across(self) -> Nests:
        """Pairs of interactions of the same columns at nested levels that are in different chains."""
        return self._nested[1]

    @cached_property
    def coarse(self) -> NDArray[np.bool_]:
        """Which cells of the stack belong to an interaction that is seen more finely, too."""
        found = np.zeros(self.stack.size, dtype=np.bool_)
        for _, coarse in self.nests:
            found[coarse] = True
        return found

    @cached_property
    def split(self) -> Levels:
        """Inverts the ridge over what nested levels can give each other: it changes no sum over levels."""
        return Levels(self.nests, self.strengths, None)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each interaction begins, by the key of its query."""
        starts = (self.main.size + self.stack.starts).tolist()
        return {query.key: start for query, start in zip(self.queries, starts, strict=True)}

    @cached_property
    def _pushes(self) -> _Pushes:
        faces = self.stack.faces
        target, source = [np.zeros(0, dtype=np.intp)], [np.zeros(0, dtype=np.intp)]
        main = dict(zip(self.main.names, self.main.cells, strict=True))
        known: dict[str, tuple[Ints, Ints]] = {}
        for owner, axes, start in zip(faces.owners, faces.axes, faces.stack.starts.tolist(), strict=True):
            named = _chosen(self.queries[owner], axes)
            key = key_of(*named)
            if key not in known:
                known[key] = self._entries(Marginal(*named), main)
            to, from_ = known[key]
            target.append(to)
            source.append(start + from_)
        return _Pushes(np.concatenate(target), np.concatenate(source))

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


Named = tuple[tuple[str, ...], tuple[int, ...], Groups]
"""What makes a marginal: its columns, their sizes and their groups."""


def _chosen(query: Marginal, axes: tuple[int, ...]) -> Named:
    """What makes the marginal of some axes of one."""
    return (
        tuple([query.columns[i] for i in axes]),
        tuple([query.sizes[i] for i in axes]),
        tuple([query.groups[i] for i in axes]),
    )


def _ordered(
    domain: Domain, columns: tuple[str, ...], groups: Groups, axes: tuple[int, ...]
) -> tuple[list[int], Named]:
    """What makes the marginal of some axes with its columns in the order of the domain; the order that brings them."""
    places = [domain.position[columns[i]] for i in axes]
    order = sorted(range(len(axes)), key=places.__getitem__)
    names = tuple([columns[axes[i]] for i in order])
    sizes = tuple([domain.sizes[places[i]] for i in order])
    return order, (names, sizes, tuple([groups[axes[i]] for i in order]))


def _parts(measurements: Sequence[Measurement]) -> list[tuple[Floats, ...]]:
    """The table of each effect of each measurement, centred if it is an interaction; those of one shape together."""
    found: list[tuple[Floats, ...]] = [()] * len(measurements)
    alike: dict[tuple[tuple[int, ...], tuple[tuple[int, ...], ...]], list[int]] = {}
    for i, m in enumerate(measurements):
        alike.setdefault((m.values.shape, m.query.effects), []).append(i)
    for (shape, effects), same in alike.items():
        values, tables = np.stack([measurements[i].values for i in same]), []
        for axes in effects:
            sums = np.add.reduce(values, axis=tuple(1 + i for i in range(len(shape)) if i not in axes))
            tables.append(sums if len(axes) == 1 else centred(sums, 1))
        for i, *own in zip(same, *tables, strict=True):
            found[i] = tuple(own)
    return found
