"""Executable contractions: the order of the axes of every table, and how each product is computed.

A table is stored flat. Its axes come in the groups of the contraction that makes it or that uses it (b, m, k, n, see
:class:`~dpsynth.model.contraction.Contraction`), so that numpy sees at most three axes. The bits of a
result do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from dpsynth.model.contraction import Contraction
from dpsynth.model.factor import Floats
from dpsynth.model.products import product
from dpsynth.model.triangulation import cells, members

VECTOR = 9_000
"""Multiplications up to which OpenBLAS leaves the product of a matrix and a vector to one thread (2,304 x 4)."""

EACH, TERM = 120.0, 0.05
"""Rough cost of a product in a batch of products of matrices, and of a multiplication in it."""

START, STEP = 12.0, 0.4
"""Rough cost of an inner loop of einsum, and of a step of it, in the same unit."""

Columns = tuple[int, ...]
Rule = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Source:
    """A stored table as a step sees it: its axes permuted first where they come in another order."""

    number: int
    sizes: Columns = ()
    order: Columns = ()
    back: Columns = ()

    def of(self, tables: Sequence[Floats]) -> Floats:
        """The table, flat, in the step's order."""
        table = tables[self.number]
        return table.reshape(self.sizes).transpose(self.order).reshape(-1) if self.order else table

    def put(self, table: Floats, tables: list[Floats]) -> None:
        """Store a table that is in the step's order."""
        if self.order:
            table = table.reshape([self.sizes[axis] for axis in self.order]).transpose(self.back).reshape(-1)
        tables[self.number] = table


@dataclass(frozen=True)
class Total:
    """The sum of one table over its columns k; ``axis`` is theirs among two."""

    left: Source
    shape: Columns
    axis: int
    terms: int
    out: int

    def forward(self, tables: Sequence[Floats]) -> Floats:
        """The result, flat."""
        result: Floats = np.add.reduce(self.left.of(tables).reshape(self.shape), axis=self.axis)
        return result

    def reverse(self, slope: Floats, tables: Sequence[Floats], slopes: list[Floats]) -> None:
        """From the derivative by the result to the one by the operand."""
        wide = np.empty(self.shape)
        wide[...] = slope[:, None] if self.axis else slope
        self.left.put(wide.reshape(-1), slopes)


@dataclass(frozen=True)
class Pair:
    """The contraction of two tables: the result from both, and each one's derivative from the other one."""

    left: Source
    right: Source
    rules: tuple[Rule, Rule, Rule]
    terms: int
    out: int

    def forward(self, tables: Sequence[Floats]) -> Floats:
        """The result, flat."""
        return self.rules[0](self.left.of(tables), self.right.of(tables))

    def reverse(self, slope: Floats, tables: Sequence[Floats], slopes: list[Floats]) -> None:
        """From the derivative by the result to those by the operands."""
        self.left.put(self.rules[1](slope, self.right.of(tables)), slopes)
        self.right.put(self.rules[2](slope, self.left.of(tables)), slopes)


Step = Total | Pair


def rule(x: str, y: str, out: str, size: Mapping[str, int]) -> Rule:
    """How to compute x, y -> out, given the letters of the axes and their sizes. All tables are flat."""
    summed = [letter for letter in x if letter in y and letter not in out]
    shape_x, shape_y = (tuple(size[letter] for letter in text) for text in (x, y))
    if not summed:
        wide_x, wide_y = (tuple(size[c] if c in text else 1 for c in out) for text in (x, y))
        return lambda a, b: np.multiply(a.reshape(wide_x), b.reshape(wide_y)).reshape(-1)
    work = prod(size[letter] for letter in {*x, *y})
    if len(x) == len(y) == 1 and work <= VECTOR:
        return lambda a, b: np.dot(a, b).reshape(-1)
    if {len(x), len(y)} == {1, 2} and work <= VECTOR:
        if len(x) == 2:
            return lambda a, b: np.dot(a.reshape(shape_x), b) if x[1] == y else np.dot(b, a.reshape(shape_x))
        return lambda a, b: np.dot(b.reshape(shape_y), a) if y[1] == x else np.dot(a, b.reshape(shape_y))
    batch = size["b"] if "b" in out else 1
    leading = "b" not in out or out[0] == x[0] == y[0] == "b"
    square = len(out) == len(x) == len(y) == 2 + ("b" in out)
    if leading and square and _matrices_pay(batch, work, max(size[letter] for letter in {*x, *y})):
        turns = x[-1] != summed[0], y[-2] != summed[0], out[-1] not in y
        full_x, full_y = (batch, *shape_x[-2:]), (batch, *shape_y[-2:])
        return lambda a, b: _matrices(a.reshape(full_x), b.reshape(full_y), turns).reshape(-1)
    text = f"{x},{y}->{out}"
    return lambda a, b: np.einsum(text, a.reshape(shape_x), b.reshape(shape_y)).reshape(-1)


def _matrices_pay(batch: int, work: int, longest: int) -> bool:
    """Is a batch of products of matrices faster than loops of which the inner one may be the longest?"""
    return EACH * batch + TERM * work < (STEP + START / longest) * work


def _matrices(a: Floats, b: Floats, turns: tuple[bool, bool, bool]) -> Floats:
    """a b for a batch of matrices, a factor or the product transposed where asked."""
    a = a.swapaxes(1, 2) if turns[0] else a
    b = b.swapaxes(1, 2) if turns[1] else b
    return product(b.swapaxes(1, 2), a.swapaxes(1, 2)) if turns[2] else product(a, b)


class Layout:
    """Chooses the order of the axes of every table, from the last one back, so that few have to be permuted.

    ``orders[number]`` is the order in which a table is stored. ``natural[number]`` is the order that suits a table that
    no contraction makes.
    """

    def __init__(
        self,
        contractions: Sequence[Contraction],
        natural: Sequence[Columns],
        roots: Iterable[int],
        sizes: Sequence[int],
    ) -> None:
        self._made = {step.out: step for step in contractions}
        self._natural, self._sizes = natural, sizes
        self.orders: dict[int, Columns] = dict.fromkeys(roots, ())
        self.steps: list[Step] = [self._step(step) for step in reversed(contractions)][::-1]

    def _step(self, step: Contraction) -> Step:
        stored = self.orders[step.out]
        groups = self._groups(step, stored)
        size = {letter: cells(getattr(step, letter), self._sizes) for letter in "bmkn"}
        if step.right is None:
            left, x = self._source(step.left, groups, ("mk", "km"))
            return Total(left, tuple(size[letter] for letter in x), x.index("k"), size["k"], step.out)
        made = next(text for text in self._texts(step)[2] if _joined(text, groups) == stored)
        left, x = self._source(step.left, groups, self._texts(step)[0])
        right, y = self._source(step.right, groups, self._texts(step)[1])
        x, y, made = ("".join(letter for letter in text if groups[letter]) for text in (x, y, made))
        return Pair(
            left, right, (rule(x, y, made, size), rule(made, y, x, size), rule(made, x, y, size)), size["k"], step.out
        )

    def _texts(self, step: Contraction) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str]]:
        """Orders of the groups that suit a contraction: the longest loop inside, or matrices under a leading b."""
        b, m, k, n = (cells(group, self._sizes) for group in (step.b, step.m, step.k, step.n))
        if b >= max(m, k, n) and not (min(m, k, n) > 1 and _matrices_pay(b, b * m * k * n, b)):
            return ("mkb", "kmb"), ("knb", "nkb"), ("mnb", "nmb")
        return ("bmk", "bkm"), ("bkn", "bnk"), ("bmn", "bnm")

    def _groups(self, step: Contraction, wanted: Columns) -> dict[str, Columns]:
        """The columns of each group, in the order in which they come in ``wanted``."""
        place = {c: i for i, c in enumerate(wanted)}
        return {
            letter: tuple(sorted(members(getattr(step, letter)), key=lambda c: place.get(c, c))) for letter in "bmkn"
        }

    def _source(self, number: int, groups: Mapping[str, Columns], texts: tuple[str, str]) -> tuple[Source, str]:
        """Settle how an operand is stored: in one of the orders that its user can take, if its maker can make one."""
        options = [_joined(text, groups) for text in texts]
        used = self._store(number, options)
        text, stored = texts[options.index(used)], self.orders[number]
        if stored == used:
            return Source(number), text
        order = tuple(stored.index(c) for c in used)
        back = tuple(used.index(c) for c in stored)
        return Source(number, tuple(self._sizes[c] for c in stored), order, back), text

    def _store(self, number: int, options: Sequence[Columns]) -> Columns:
        step = self._made.get(number)
        if step is None:
            best = self._natural[number] if self._natural[number] in options else options[0]
            self.orders[number] = best
            return best
        texts = ("m",) if step.right is None else self._texts(step)[2]
        for wanted in options:
            groups = self._groups(step, wanted)
            if wanted in (_joined(text, groups) for text in texts):
                self.orders[number] = wanted
                return wanted
        self.orders[number] = _joined(texts[0], self._groups(step, options[0]))
        return options[0]


def _joined(text: str, groups: Mapping[str, Columns]) -> Columns:
    return tuple(c for letter in text for c in groups[letter])
