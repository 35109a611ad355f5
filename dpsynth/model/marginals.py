"""Marginals of a calibrated junction tree, many at a time, by conditional propagation.

The *message* of some columns A along a way is P(A | the columns that its two ends share). It is made of the belief of
the node where the way begins and of messages that reach this node, by matrix products:

    P(A | S) = sum over Y of P(Y | S) x P(A1 | S1) x P(A2 | S2) ...,    Y: the node's columns among S, S1, S2, ..., A

where A1, A2, ... are the parts of A that come to the node on different ways and S1, S2, ... what is shared on these.
A set of columns is brought to one node in the same manner, without S. Messages on the same way stand side by side in
one matrix, so that those of a hundred columns take the next step in one product, and every query uses those that an
earlier one has asked for. For all pairs the cost is the sum over columns and ways of |a| |S| (|b| + |S'|) for columns
b that are asked and next separators S' (Koller and Friedman 2009, section 10.3.3).

Every number is a conditional probability: nothing underflows, and a state of S that is impossible gives zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from dpsynth.model.factor import Floats
from dpsynth.model.products import product
from dpsynth.model.routes import Names, Routes, Split, Way

BLOCK = 1 << 22
"""Cells of messages and answers that are worked on together: 32 MB, more if a single query needs more."""


def answer(
    routes: Routes, beliefs: Sequence[Floats], asked: Iterable[Names], limit: int
) -> Iterator[tuple[Names, Floats | None]]:
    """The joint probabilities of each distinct tuple of columns, axes in its order, read-only; in no particular order.

    None for what would need a message, a product or an answer of more than ``limit`` cells. Whether it does depends on
    the tuple alone, never on what else is asked. Sums of a belief, which are never larger than it, do not count.
    """
    orders: dict[Names, list[Names]] = {}
    for names in dict.fromkeys(asked):
        orders.setdefault(tuple(sorted(names, key=lambda x: (routes.position(x), x))), []).append(names)
    queries = []
    for names in orders:
        node = routes.meeting(names)
        queries.append((node, names, routes.split(node, names)))
    queries.sort(key=lambda query: [[routes.position(x) for x in part] for _, part in query[2].outside])
    plan = _Plan(routes, beliefs, limit)
    for node, names, split in queries:
        fresh = plan.missing(names, split)
        if fresh is None:
            yield from ((order, None) for order in orders[names])
            continue
        if plan.cells and plan.cells + sum(plan.size(*key) for key in fresh) + routes.cells(names) > BLOCK:
            yield from _ordered(plan, orders)
            plan = _Plan(routes, beliefs, limit)
            fresh = plan.missing(names, split) or {}
        plan.add(node, names, split, fresh)
    yield from _ordered(plan, orders)


def _ordered(plan: _Plan, orders: Mapping[Names, list[Names]]) -> Iterator[tuple[Names, Floats]]:
    for names, table in plan.run():
        for order in orders[names]:
            view = table.transpose([names.index(x) for x in order])
            view.flags.writeable = False
            yield order, view


@dataclass(frozen=True, eq=False)
class _Stack:
    """Messages along one way side by side: a row a state of the shared columns, ``where`` the columns of each."""

    values: Floats
    where: Mapping[Names, tuple[int, int]]

    def of(self, parts: Sequence[Names]) -> Floats:
        """The messages of some sets of columns side by side, without copying where they already stand so."""
        spans = [self.where[names] for names in parts]
        if all(one[1] == two[0] for one, two in pairwise(spans)):
            return self.values[:, spans[0][0] : spans[-1][1]]
        return np.concatenate([self.values[:, start:stop] for start, stop in spans], axis=1)


@dataclass(eq=False)
class _Plan:
    """Some queries and all messages that they need."""

    routes: Routes
    beliefs: Sequence[Floats]
    limit: int
    cells: int = 0
    messages: dict[Way, dict[Names, Split]] = field(default_factory=dict)
    queries: dict[int, dict[Names, Split]] = field(default_factory=dict)
    _stacks: dict[Way, _Stack] = field(default_factory=dict)

    def missing(self, names: Names, split: Split) -> dict[tuple[Way, Names], Split] | None:
        """The messages that a query needs and the plan lacks; None if a table on the way is too large."""
        if self._largest(split.inside, split) > self.limit:
            return None
        fresh: dict[tuple[Way, Names], Split] = {}
        pending = list(split.outside)
        while pending:
            way, part = pending.pop()
            if (way, part) in fresh or part in self.messages.get(way, ()):
                continue
            found = self.routes.split(self.routes.source(way), part)
            if self._largest(self.routes.shared(way) + found.inside, found) > self.limit:
                return None
            fresh[way, part] = found
            pending.extend(found.outside)
        return fresh

    def add(self, node: int, names: Names, split: Split, fresh: Mapping[tuple[Way, Names], Split]) -> None:
        """Take a query and its messages into the plan."""
        self.queries.setdefault(node, {})[names] = split
        self.cells += self.routes.cells(names)
        for (way, part), found in fresh.items():
            self.messages.setdefault(way, {})[part] = found
            self.cells += self.size(way, part)

    def size(self, way: Way, names: Names) -> int:
        """Cells of a message."""
        return self.routes.states[way[0]] * self.routes.cells(names)

    def run(self) -> Iterator[tuple[Names, Floats]]:
        """The answers, once the messages are there: upwards the lowest first, then downwards the highest first.

        A message is dropped after its last use.
        """
        start = self.routes.start
        ways = sorted(self.messages, key=lambda way: (not way[1], -start[way[0]] if way[1] else start[way[0]]))
        steps = (*(self.messages[way] for way in ways), *self.queries.values())
        last = {way: i for i, wanted in enumerate(steps) for split in wanted.values() for way, _ in split.outside}
        done: dict[int, list[Way]] = {}
        for way, i in last.items():
            done.setdefault(i, []).append(way)
        for i, way in enumerate(ways):
            self._stacks[way] = self._stack(way)
            self._drop(done.get(i, ()))
        for i, (node, wanted) in enumerate(self.queries.items(), start=len(ways)):
            for group, members in _grouped(wanted).items():
                table = self._table(node, (), group, [wanted[names].last for names in members])
                for names, block in self._blocks(table, group, members, wanted):
                    yield names, block.reshape(block.shape[1:])
            self._drop(done.get(i, ()))

    def _drop(self, ways: Iterable[Way]) -> None:
        for way in ways:
            del self._stacks[way]

    def _stack(self, way: Way) -> _Stack:
        """All messages along one way."""
        wanted, given = self.messages[way], self.routes.shared(way)
        pieces: list[Floats] = []
        order: list[Names] = []
        for group, members in _grouped(wanted).items():
            table = self._table(self.routes.source(way), given, group, [wanted[names].last for names in members])
            if group.first:
                pieces.extend(b.reshape(len(b), -1) for _, b in self._blocks(table, group, members, wanted))
            else:
                pieces.append(table[:, 0])
            order.extend(members)
        ends = list(accumulate(self.routes.cells(names) for names in order))
        where = {names: (end - self.routes.cells(names), end) for names, end in zip(order, ends, strict=True)}
        return _Stack(pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1), where)

    def _blocks(
        self, table: Floats, group: _Group, members: Sequence[Names], wanted: Mapping[Names, Split]
    ) -> Iterator[tuple[Names, Floats]]:
        """Cut a group's table: for each member an axis of the given states, then one a column in its order."""
        sizes, stop = self.routes.sizes, 0
        for names in members:
            axes = group.first + wanted[names].last
            begin, stop = stop, stop + self.routes.cells(wanted[names].last)
            block = table[:, :, begin:stop].reshape(len(table), *(sizes[x] for x in axes))
            yield names, block if axes == names else block.transpose(0, *(1 + axes.index(x) for x in names))

    def _table(self, node: int, given: Names, group: _Group, last: Sequence[Names]) -> Floats:
        """P(first, last | given) of a group: axes given, ``group.first``, and the groups' last parts side by side."""
        ways = group.ways
        shared = [self.routes.shared(way) for way in ways]
        kept = given + group.inside
        columns = _union(kept, *shared)
        table = self._belief(node, columns)
        if given:
            rows = table.reshape(self.routes.cells(given), -1)
            mass = rows.sum(axis=1, keepdims=True)
            table = np.divide(rows, mass, out=np.zeros_like(rows), where=mass > 0).reshape(table.shape)
        table = table[..., None]
        for step, way in enumerate(ways):
            message = self._stacks[way].of(last if step == len(ways) - 1 else [group.parts[step]])
            later = _union(kept, *shared[step + 1 :])
            table, columns = self._absorb(table, columns, message, shared[step], later)
        table = table.transpose(*(columns.index(x) for x in kept), len(kept))
        rows_of_last = sum(self.routes.cells(part) for part in last) if ways else 1
        return table.reshape(self.routes.cells(given), -1, rows_of_last)

    def _absorb(
        self, table: Floats, columns: Names, message: Floats, shared: Names, later: Names
    ) -> tuple[Floats, Names]:
        """Multiply a table (axes: columns, rows so far) by a message and sum over what is shared and not used later."""
        size = self.routes.cells
        both = tuple(x for x in shared if x in later)
        summed = tuple(x for x in shared if x not in later)
        own = tuple(x for x in columns if x not in shared)
        left = table.transpose(
            *(columns.index(x) for x in both + own), len(columns), *(columns.index(x) for x in summed)
        )
        left = left.reshape(size(both), -1, size(summed))
        right = message.reshape(*(self.routes.sizes[x] for x in shared), -1)
        right = right.transpose(*(shared.index(x) for x in both + summed), len(shared))
        right = right.reshape(size(both), size(summed), -1)
        return product(left, right).reshape(*(self.routes.sizes[x] for x in both + own), -1), both + own

    def _belief(self, node: int, columns: Names) -> Floats:
        """The belief of a node, summed to some of its columns, axes in their order."""
        if node == len(self.beliefs):
            return np.ones(())
        held = self.routes.tree.nodes[node].columns
        absent = tuple(axis for axis, name in enumerate(held) if name not in columns)
        table: Floats = np.add.reduce(self.beliefs[node], axis=absent)
        left = [name for name in held if name in columns]
        return table.transpose([left.index(name) for name in columns])

    def _largest(self, kept: Names, split: Split) -> int:
        """Cells of the largest table that is made on the way to a message or an answer."""
        if len(split.outside) < 2:
            return self.routes.cells(kept) * self.routes.cells(split.last)
        shared = [self.routes.shared(way) for way, _ in split.outside]
        rows, largest = 1, self.routes.cells(kept)
        for step, (_, part) in enumerate(split.outside):
            rows *= self.routes.cells(part)
            largest = max(largest, rows * self.routes.cells(_union(kept, *shared[step + 1 :])))
        return largest


class _Group(NamedTuple):
    """What queries or messages at one node have in common, so that one product makes them all.

    ``first`` are the columns inside the node and the ``parts`` that come on all ``ways`` but the last.
    """

    inside: Names
    parts: tuple[Names, ...]
    ways: tuple[Way, ...]

    @property
    def first(self) -> Names:
        return self.inside + tuple(name for part in self.parts for name in part)


def _grouped(wanted: Mapping[Names, Split]) -> dict[_Group, list[Names]]:
    groups: dict[_Group, list[Names]] = {}
    for names, (inside, outside) in wanted.items():
        key = _Group(inside, tuple(part for _, part in outside[:-1]), tuple(way for way, _ in outside))
        groups.setdefault(key, []).append(names)
    return groups


def _union(*parts: Names) -> Names:
    """The columns of all parts, each once, in the order of their first appearance."""
    return tuple(dict.fromkeys(name for part in parts for name in part))
