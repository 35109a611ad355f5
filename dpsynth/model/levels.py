"""Tables of the same columns at nested levels: which they are, and the linear systems in which they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from dpsynth.model.factor import Floats
from dpsynth.model.operators import Marginal
from dpsynth.model.stack import Ints, Stack, added

Nests = tuple[tuple[Ints, Ints], ...]
"""Chains of tables from fine to coarse: entry k maps cells of those that come k-th in their chain to the cells of the
next ones that hold them."""


def nests_of(queries: Sequence[Marginal], stack: Stack) -> tuple[Nests, Nests]:
    """The chains of tables of the same columns, each table in one of them; what is alone in its chain is left out.

    Then, each by itself, the cells of a chain's finest table and those of another chain's finest one that hold them:
    levels that cut through each other are in different chains though a finer one holds both.
    """
    chains: list[list[int]] = []
    maps: dict[int, Ints] = {}
    across: list[tuple[int, int, Ints]] = []
    alike: dict[tuple[str, ...], list[int]] = {}
    for i, query in enumerate(queries):
        alike.setdefault(query.columns, []).append(i)
    for same in alike.values():
        own: list[list[int]] = []
        for i in sorted(same, key=lambda i: -prod(queries[i].shape)):
            for chain in reversed(own):
                found = _nested(queries[chain[-1]], queries[i])
                if found is not None:
                    maps[chain[-1]] = found
                    chain.append(i)
                    break
            else:
                for chain in reversed(own):
                    found = _nested(queries[chain[0]], queries[i])
                    if found is not None:
                        across.append((chain[0], i, found))
                        break
                own.append([i])
        chains += own

    def cells(links: Sequence[tuple[int, int, Ints]]) -> tuple[Ints, Ints]:
        fine = np.concatenate([stack.starts[i] + np.arange(onto.size) for i, _, onto in links])
        return fine, np.concatenate([stack.starts[j] + onto for _, j, onto in links])

    depth = max(map(len, chains), default=1)
    steps = [[(c[k], c[k + 1], maps[c[k]]) for c in chains if len(c) > k + 1] for k in range(depth - 1)]
    return tuple(cells(links) for links in steps), tuple(cells([link]) for link in across)


def _nested(fine: Marginal, coarse: Marginal) -> Ints | None:
    """The cell of the coarser table that holds each cell of the finer one; None if one cuts through cells."""
    axes = []
    for size, one, two in zip(fine.sizes, fine.groups, coarse.groups, strict=True):
        inner = np.arange(size) if one is None else one
        outer = np.arange(size) if two is None else two
        onto = np.empty(int(inner.max()) + 1, dtype=np.intp)
        onto[inner] = outer
        if not np.array_equal(onto[inner], outer):
            return None
        axes.append(onto)
    cells: Ints = np.ravel_multi_index(np.ix_(*axes), coarse.shape).ravel().astype(np.intp, copy=False)
    return cells


class Levels:
    """The inverse of ``L diag(w) L' + diag(ridge)`` where tables of the same columns at nested levels overlap.

    L sums the finest cells over the groups of each level. Gaussian elimination from the finest level on leaves a
    diagonal at every step, as conductances in series: what is left of the weights w after a level with ridge r is
    ``w r / (w + r)``, summed over the groups of the next level. ``nests[k]`` maps cells of the k-th levels of all
    chains to cells of the next ones. Where ``weights`` is None they are infinite.
    """

    def __init__(self, nests: Nests, ridge: Floats, weights: Floats | None) -> None:
        self._nests, self._size = nests, ridge.size
        left = np.full(ridge.size, np.inf) if weights is None else weights.copy()
        for fine, coarse in nests:
            left[coarse] = added(coarse, 1 / (1 / left[fine] + 1 / ridge[fine]), ridge.size)[coarse]
        self._inverse = 1 / (left + ridge)
        self._share = 1 - ridge * self._inverse

    def __call__(self, vector: Floats) -> Floats:
        """The inverse times a vector."""
        rest, carried = vector.copy(), np.zeros(self._size)
        for fine, coarse in self._nests:
            carried += added(coarse, carried[fine] + self._share[fine] * rest[fine], self._size)
            rest[coarse] = vector[coarse] - carried[coarse]
        found, above = rest * self._inverse, np.zeros(self._size)
        for fine, coarse in reversed(self._nests):
            above[fine] = found[coarse] + above[coarse]
            found[fine] -= self._share[fine] * above[fine]
        return found

    def summed(self, vector: Floats) -> Floats:
        """L times a vector of the finest cells, at all levels."""
        result = vector.copy()
        for fine, coarse in self._nests:
            result += added(coarse, result[fine], self._size)
        return result

    def total(self, vector: Floats) -> Floats:
        """L' times a vector: what all levels together give each of the finest cells."""
        result = vector.copy()
        for fine, coarse in reversed(self._nests):
            result[fine] += result[coarse]
            result[coarse] = 0.0
        return result
