"""Hand-made tables, and the sampler written once more from its description: slow, plain Python integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Philox, SeedSequence
from numpy.typing import NDArray

from dpsynth.measurement import Level
from dpsynth.sampling import CHUNK, ONE, IntegerTables, Node

EVIDENCE = {
    "d": np.array([False, True, False, True, True]),
    "e": np.array([0, 0, 5, 0, 1, 2, 2, 0, 2, 2, 9], dtype=np.uint64),
    "c": np.array([True, False, True]),
}
"""Evidence on ``forest()``: below its two-column separator, weighted inside model cells, and beside both."""


def exact(masses: Sequence[int]) -> list[int]:
    """Largest remainders in exact arithmetic: integers that sum to 2^32."""
    total = sum(masses)
    result = [mass * ONE // total for mass in masses]
    order = sorted(range(len(masses)), key=lambda cell: (-(masses[cell] * ONE % total), cell))
    for cell in order[: ONE - sum(result)]:
        result[cell] += 1
    return result


def fully_sorted(mass: NDArray[np.float64]) -> NDArray[np.uint64]:
    """``fixed_rows`` with every row sorted whole, all rows at once: the same floating-point steps, the plain way."""
    peak = mass.max(axis=1, keepdims=True)
    empty = peak[:, 0] == 0
    share = mass / np.where(peak > 0, peak, 1.0)
    if empty.any():
        total = (mass / (mass.max() or 1.0)).sum(axis=0)
        share[empty] = total if total.any() else np.ones_like(total)
    share = share / share.sum(axis=1, keepdims=True)
    scaled = share * float(ONE)
    whole = np.floor(scaled)
    result = whole.astype(np.int64)
    missing = ONE - result.sum(axis=1)
    remainder = np.where(share > 0, scaled - whole, -1.0)
    order = np.argsort(-remainder, axis=1, kind="stable")
    unit = np.empty_like(result)
    np.put_along_axis(unit, order, np.arange(mass.shape[1]) < missing[:, np.newaxis], axis=1)
    return (result + unit).astype(np.uint64)


def forest() -> IntegerTables:
    """Two trees over six columns: joint root, siblings, a two-column separator, a spread and a permuted column.

    ``a`` is a root with children ``b`` and ``c``; ``d`` depends on (b, a); ``e`` and ``f`` are a root of their own,
    drawn together. ``e`` has 11 fine cells for 3 model cells with uneven weights; ``f``'s fine cells are a permutation
    of its model cells. Made of integers alone, so that it is the same on every processor.
    """

    def node(given: tuple[str, ...], new: tuple[str, ...], rows: list[list[int]]) -> Node:
        return Node(given, new, np.array([exact(row) for row in rows], dtype=np.uint64))

    e_level = np.array([0, 2, 0, 0, 1, 2, 2, 2, 2, 2, 1], dtype=np.uint16)
    e_weight = np.zeros(11, dtype=np.uint64)
    for cell in range(3):
        e_weight[e_level == cell] = exact([3 * f % 7 for f in range(11) if e_level[f] == cell])
    return IntegerTables(
        (
            node((), ("a",), [[4, 1, 3]]),
            node(("a",), ("b",), [[1, 9, 25, 4], [7, 0, 1, 1], [2, 2, 3, 3]]),
            node(("a",), ("c",), [[1, 4, 0], [1, 4, 3], [1, 2, 3]]),
            node(("b", "a"), ("d",), [[1 + (5 * s + 3 * j * j) % 17 for j in range(5)] for s in range(12)]),
            node((), ("e", "f"), [[1 + 7 * cell * cell % 23 for cell in range(12)]]),
        ),
        (
            Level.identity("a", 3),
            Level.identity("b", 4),
            Level.identity("c", 3),
            Level.identity("d", 5),
            Level("e", e_level),
            Level("f", np.array([2, 0, 3, 1], dtype=np.uint16)),
        ),
        (*(np.full(size, ONE, dtype=np.uint64) for size in (3, 4, 3, 5)), e_weight, np.full(4, ONE, dtype=np.uint64)),
        1000,
    )


def stream(seed: int, chunk: int, purpose: int, index: int, count: int) -> list[int]:
    key = SeedSequence(seed, spawn_key=(chunk, purpose, index)).generate_state(2, np.uint64)
    return [int(word) for word in Philox(key=key, counter=0).random_raw(count)]


def place(table: Sequence[Sequence[tuple[int, int]]], states: Sequence[int], words: Sequence[int]) -> list[int]:
    """``table[s]`` lists (cell, mass); lay the points on the cells one by one."""
    result = [-1] * len(states)
    bits = (len(table) - 1).bit_length()
    for state, cells in enumerate(table):
        rows = [row for row, found in enumerate(states) if found == state]
        rows.sort(key=lambda row: (words[len(table) + row] >> (bits + 20), row))
        offset = words[state] >> 32
        for position, row in enumerate(rows):
            point, edge = offset + position * ONE, 0
            for cell, mass in cells:
                edge += mass * len(rows)
                if point < edge:
                    result[row] = cell
                    break
    return result


def oracle(tables: IntegerTables, rows: int, seed: int, chunk: int) -> dict[str, list[int]]:
    """One chunk, from the description in ``dpsynth.sampling.draw`` and ``words``."""
    count = min(CHUNK, rows - chunk * CHUNK)
    domain = tables.model_domain
    coarse: dict[str, list[int]] = {}
    for index, node in enumerate(tables.nodes):
        states = [0] * count
        for name in node.given:
            states = [s * domain.size(name) + code for s, code in zip(states, coarse[name], strict=True)]
        table = [list(enumerate(int(mass) for mass in row)) for row in node.table]
        placed = place(table, states, stream(seed, chunk, 0, index, len(table) + count))
        for name in reversed(node.new):
            coarse[name] = [cell % domain.size(name) for cell in placed]
            placed = [cell // domain.size(name) for cell in placed]
    fine: dict[str, list[int]] = {}
    for j, (level, weights) in enumerate(zip(tables.levels, tables.weights, strict=True)):
        members = [[f for f in range(level.fine) if level.cells[f] == c] for c in range(level.size)]
        if all(len(cells) == 1 for cells in members):
            fine[level.column] = [members[code][0] for code in coarse[level.column]]
            continue
        spread = [[(f, int(weights[f])) for f in cells] for cells in members]
        words = stream(seed, chunk, 1, j, level.size + count)
        fine[level.column] = place(spread, coarse[level.column], words)
    return fine


def tvd(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    return float(np.abs(left - right).sum() / 2)
