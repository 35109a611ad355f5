"""Sum-product over many small tables as a sequence of contractions of two, and its derivatives in reverse.

The tables of a junction tree's nodes are never built. Inside a node the tables at hand (measured ones and messages of
children) are multiplied two at a time, and a column is summed out as soon as no other table needs it, so that most of
the work is matrix products (pairwise contraction of tensor networks; greedy order of Gray and Kourtis 2021). The
derivative of the last number with respect to a table, times the table, is its marginal (Darwiche 2003).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import prod

import numpy as np

from dpsynth.model.factor import Floats

PIECE = 1 << 18
"""Multiplications in one call of the BLAS: it stays on one thread below, so its bits depend on nothing else."""

Columns = tuple[int, ...]


@dataclass(frozen=True)
class Contraction:
    """out = sum over k of left x right. Columns are in four groups: b and k in both tables, m in left, n in right.

    Only k is summed out. ``right`` is None for the plain sum of one table over k.
    """

    left: int
    right: int | None
    b: frozenset[int]
    m: frozenset[int]
    k: frozenset[int]
    n: frozenset[int]


def plan(
    pools: Sequence[Mapping[int, frozenset[int]]],
    given: Sequence[frozenset[int]],
    parents: Sequence[int | None],
    sizes: Sequence[int],
    first: int,
) -> tuple[list[Contraction], list[int]]:
    """The contractions of a forest, children before parents, and the tables that hold its roots' sums.

    ``pools[i]`` holds the columns of the tables in node i under their numbers. A contraction's result gets the next
    number from ``first`` on.
    """
    waiting = [dict(pool) for pool in pools]
    steps: list[Contraction] = []
    roots: list[int] = []
    for i in range(len(pools) - 1, -1, -1):
        left = _contract(waiting[i], given[i], sizes, steps, first)
        parent = parents[i]
        for number, columns in left.items():
            if parent is None:
                roots.append(number)
            else:
                waiting[parent][number] = columns
    return steps, roots


def _contract(
    pool: dict[int, frozenset[int]], given: frozenset[int], sizes: Sequence[int], steps: list[Contraction], first: int
) -> dict[int, frozenset[int]]:
    """Contract the tables of one node to at most one over the given columns."""

    def cells(columns: Iterable[int]) -> int:
        return prod(sizes[c] for c in columns)

    def needed(without: tuple[int, ...]) -> frozenset[int]:
        return given.union(*(columns for number, columns in pool.items() if number not in without))

    for number, columns in list(pool.items()):
        if alone := columns - needed((number,)):
            steps.append(Contraction(number, None, frozenset(), columns - alone, alone, frozenset()))
            del pool[number]
            pool[first + len(steps) - 1] = columns - alone
    times: dict[int, int] = {}
    for columns in pool.values():
        for c in columns:
            times[c] = times.get(c, 0) + 1
    rank: dict[tuple[int, int], tuple[bool, int, int]] = {}

    def price(one: int, two: int) -> tuple[bool, int, int]:
        a, b = pool[one], pool[two]
        both = a & b
        gone = {c for c in both if times[c] == 2 and c not in given}
        union = cells(a | b)
        return not both, union // cells(gone) - cells(a) - cells(b), union

    for pair in combinations(sorted(pool), 2):
        rank[pair] = price(*pair)
    while rank:
        one, two = min(rank, key=lambda pair: (rank[pair], pair))
        a, b = pool[one], pool[two]
        k = frozenset(c for c in a & b if times[c] == 2 and c not in given)
        del pool[one], pool[two]
        steps.append(Contraction(one, two, (a & b) - k, a - b, k, b - a))
        for c in a & b:
            times[c] -= 1
        new = first + len(steps) - 1
        pool[new] = (a | b) - k
        touched = {c for c in a & b if times[c] == 2}
        rank = {pair: value for pair, value in rank.items() if one not in pair and two not in pair}
        for pair in rank:
            if touched and touched & pool[pair[0]] & pool[pair[1]]:
                rank[pair] = price(*pair)
        for other in sorted(pool):
            if other != new:
                rank[other, new] = price(other, new)
    return pool


@dataclass(frozen=True)
class _Operand:
    """How a stored table is seen by a step: sizes and order of its axes, where they have to be permuted first."""

    number: int
    sizes: Columns
    order: Columns | None
    shape: Columns
    back: Columns | None = None

    def view(self, flat: Floats) -> Floats:
        if self.order is None:
            return flat.reshape(self.shape)
        return flat.reshape(self.sizes).transpose(self.order).reshape(self.shape)

    def undo(self, table: Floats) -> Floats:
        if self.order is None or self.back is None:
            return table.reshape(-1)
        moved = table.reshape(tuple(self.sizes[axis] for axis in self.order))
        return moved.transpose(self.back).reshape(-1)


@dataclass(frozen=True)
class Sum:
    """The sum of one table over its columns k."""

    left: _Operand
    texts: str
    full: Columns
    terms: int
    out: int

    def forward(self, tables: Sequence[Floats]) -> Floats:
        """The result, flat."""
        result: Floats = np.einsum(self.texts, self.left.view(tables[self.left.number]))
        return result.reshape(-1)

    def reverse(self, slope: Floats, tables: Sequence[Floats], slopes: list[Floats]) -> None:
        """From the derivative by the result to those by the operands."""
        wide = np.broadcast_to(slope.reshape(self.full), self.left.shape)
        slopes[self.left.number] = self.left.undo(np.ascontiguousarray(wide))


@dataclass(frozen=True)
class Einsum:
    """A contraction by loops: small groups, or one of them empty."""

    left: _Operand
    right: _Operand
    texts: tuple[str, str, str]
    shape: Columns
    terms: int
    out: int

    def forward(self, tables: Sequence[Floats]) -> Floats:
        """The result, flat."""
        a, b = self.left.view(tables[self.left.number]), self.right.view(tables[self.right.number])
        result: Floats = np.einsum(self.texts[0], a, b)
        return result.reshape(-1)

    def reverse(self, slope: Floats, tables: Sequence[Floats], slopes: list[Floats]) -> None:
        """From the derivative by the result to those by the operands."""
        a, b = self.left.view(tables[self.left.number]), self.right.view(tables[self.right.number])
        above = slope.reshape(self.shape)
        slopes[self.left.number] = self.left.undo(np.einsum(self.texts[1], above, b))
        slopes[self.right.number] = self.right.undo(np.einsum(self.texts[2], above, a))


@dataclass(frozen=True)
class Matmul:
    """left b m k (stored b k m if ``flip[0]``) times right b k n (stored b n k if ``flip[1]``)."""

    left: _Operand
    right: _Operand
    flip: tuple[bool, bool, bool]
    shape: Columns
    terms: int
    out: int

    def forward(self, tables: Sequence[Floats]) -> Floats:
        """The result, flat."""
        a, b = self.left.view(tables[self.left.number]), self.right.view(tables[self.right.number])
        a = a.swapaxes(-1, -2) if self.flip[0] else a
        b = b.swapaxes(-1, -2) if self.flip[1] else b
        return _times(a, b, self.flip[2]).reshape(-1)

    def reverse(self, slope: Floats, tables: Sequence[Floats], slopes: list[Floats]) -> None:
        """From the derivative by the result to those by the operands."""
        a, b = self.left.view(tables[self.left.number]), self.right.view(tables[self.right.number])
        above = slope.reshape(self.shape)
        above = above.swapaxes(-1, -2) if self.flip[2] else above
        a = a if self.flip[0] else a.swapaxes(-1, -2)
        b = b if self.flip[1] else b.swapaxes(-1, -2)
        slopes[self.left.number] = self.left.undo(_times(above, b, self.flip[0]))
        slopes[self.right.number] = self.right.undo(_times(a, above, self.flip[1]))


def _times(a: Floats, b: Floats, flip: bool) -> Floats:
    """a b, or its transpose; in pieces of one thread each."""
    if flip:
        a, b = b.swapaxes(-1, -2), a.swapaxes(-1, -2)
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    if m * k * n <= PIECE:
        whole: Floats = np.matmul(a, b)
        return whole
    result: Floats = np.empty((*a.shape[:-1], n))
    columns = min(n, max(2, PIECE // (k * min(m, 64))))
    rows = min(m, max(2, PIECE // (k * columns)))
    for j in range(0, n, columns):
        for i in range(0, m, rows):
            result[..., i : i + rows, j : j + columns] = np.matmul(a[..., i : i + rows, :], b[..., j : j + columns])
    return result


Step = Sum | Einsum | Matmul


@dataclass
class Layout:
    """Chooses the order of the axes of every table, from the last one down, so that few have to be permuted."""

    steps: Sequence[Contraction]
    sizes: Sequence[int]
    first: int
    orders: dict[int, Columns] = field(default_factory=dict)

    def build(self, roots: Iterable[int]) -> list[Step]:
        """The executable steps; ``orders`` then holds the order in which each table is stored."""
        for root in roots:
            self.orders.setdefault(root, ())
        found: list[Step] = []
        for s in range(len(self.steps) - 1, -1, -1):
            found.append(self._step(self.steps[s], self.first + s))
        return found[::-1]

    def _size(self, columns: Iterable[int]) -> int:
        return prod(self.sizes[c] for c in columns)

    def _kind(self, step: Contraction) -> str:
        """matmul, or einsum with the shared columns first or last."""
        b, m, k, n = (self._size(group) for group in (step.b, step.m, step.k, step.n))
        total = b * m * k * n
        if min(m, k, n) > 1 and k <= PIECE // 4 and 120 * b + 0.04 * total < total * (0.4 + 12 / max(b, m, k, n)):
            return "matmul"
        return "last" if b >= max(m, k, n) else "first"

    def _arrangements(self, step: Contraction) -> tuple[str, str]:
        return ("mnb", "nmb") if self._kind(step) == "last" else ("bmn", "bnm")

    def _groups(self, step: Contraction, wanted: Columns) -> dict[str, Columns]:
        place = {c: i for i, c in enumerate(wanted)}
        groups = {"b": step.b, "m": step.m, "n": step.n}
        found = {name: tuple(sorted(group, key=lambda c: place.get(c, c))) for name, group in groups.items()}
        return found | {"k": tuple(sorted(step.k))}

    def _store(self, number: int, options: Sequence[Columns]) -> Columns:
        """Settle how a table is stored, one of the options if its maker can make one."""
        if number < self.first:
            self.orders[number] = options[0]
            return options[0]
        step = self.steps[number - self.first]
        for wanted in options:
            groups = self._groups(step, wanted)
            for text in self._arrangements(step):
                made = tuple(c for name in text for c in groups[name])
                if made == wanted:
                    self.orders[number] = wanted
                    return wanted
        groups = self._groups(step, options[0])
        self.orders[number] = tuple(c for name in self._arrangements(step)[0] for c in groups[name])
        return options[0]

    def _operand(self, number: int, groups: Mapping[str, Columns], texts: Sequence[str]) -> tuple[_Operand, str]:
        options = [tuple(c for name in text for c in groups[name]) for text in texts]
        used = self._store(number, options)
        text = texts[options.index(used)]
        stored = self.orders[number]
        shape = tuple(self._size(groups[name]) for name in text)
        if stored == used:
            return _Operand(number, (), None, shape), text
        order = tuple(stored.index(c) for c in used)
        back = tuple(used.index(c) for c in stored)
        return _Operand(number, tuple(self.sizes[c] for c in stored), order, shape, back), text

    def _step(self, step: Contraction, out: int) -> Step:
        wanted = self.orders[out]
        groups = self._groups(step, wanted)
        terms = self._size(step.k)
        if step.right is None:
            operand, text = self._operand(step.left, groups, ("mk", "km"))
            full = tuple(self._size(groups[name]) if name == "m" else 1 for name in text)
            return Sum(operand, f"{text}->m", full, terms, out)
        kind = self._kind(step)
        last = kind == "last"
        texts = (("mkb", "kmb"), ("knb", "nkb")) if last else (("bmk", "bkm"), ("bkn", "bnk"))
        made = next(
            text for text in self._arrangements(step) if tuple(c for name in text for c in groups[name]) == wanted
        )
        shape = tuple(self._size(groups[name]) for name in made)
        left, a = self._operand(step.left, groups, texts[0])
        right, b = self._operand(step.right, groups, texts[1])
        if kind == "matmul":
            if not step.b:
                shape, left, right = shape[1:], _flat(left), _flat(right)
            return Matmul(left, right, (a == "bkm", b == "bnk", made == "bnm"), shape, terms, out)
        present = {name for name in "bmkn" if groups[name]}
        a, b, made = ("".join(name for name in text if name in present) for text in (a, b, made))
        left, right = _squeezed(left, texts[0], a, self, groups), _squeezed(right, texts[1], b, self, groups)
        shape = tuple(self._size(groups[name]) for name in made)
        return Einsum(left, right, (f"{a},{b}->{made}", f"{made},{b}->{a}", f"{made},{a}->{b}"), shape, terms, out)


def _flat(operand: _Operand) -> _Operand:
    return _Operand(operand.number, operand.sizes, operand.order, operand.shape[1:], operand.back)


def _squeezed(
    operand: _Operand, _: Sequence[str], text: str, layout: Layout, groups: Mapping[str, Columns]
) -> _Operand:
    shape = tuple(layout._size(groups[name]) for name in text)
    return _Operand(operand.number, operand.sizes, operand.order, shape, operand.back)
