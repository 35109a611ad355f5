"""Which two tables to contract next: the plan of a sum-product over the tables of a junction tree.

The tables of the nodes are never built. Inside a node the tables at hand (measured ones and the messages of children)
are multiplied two at a time, and a column is summed out with the last two tables that hold it, so that most of the
work is products of matrices (pairwise contraction of tensor networks; the greedy rule of Gray and Kourtis 2021,
Quantum 5, 410). No table on the way holds more columns than its node. A set of columns is an int with one bit each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from dpsynth.model.triangulation import cells, members


@dataclass(frozen=True)
class Contraction:
    """out = left x right summed over k, or left summed over k where ``right`` is None.

    The columns fall into four sets: b in all three tables, k in left and right alone, m in left and out, n in right and
    out. Tables go by numbers.
    """

    left: int
    right: int | None
    out: int
    b: int
    m: int
    k: int
    n: int


def plan(
    pools: Sequence[Mapping[int, int]],
    given: Sequence[int],
    parents: Sequence[int | None],
    sizes: Sequence[int],
    first: int,
) -> tuple[list[Contraction], list[int]]:
    """The contractions of a forest, children before parents, and the numbers of the tables that its roots end with.

    ``pools[i]`` holds the columns of each table that node i starts from, ``given[i]`` those it shares with its parent,
    an earlier node. The result of contraction s gets the number ``first + s``; a root's result has no columns.
    """
    waiting = [dict(pool) for pool in pools]
    steps: list[Contraction] = []
    roots: list[int] = []
    for i in range(len(pools) - 1, -1, -1):
        left = _contract(waiting[i], given[i], sizes, first + len(steps))
        steps += left
        if left:
            waiting[i] = {left[-1].out: left[-1].b | left[-1].m | left[-1].n}
        parent = parents[i]
        if parent is None:
            roots += waiting[i]
        else:
            waiting[parent] |= waiting[i]
    return steps, roots


def _contract(pool: Mapping[int, int], given: int, sizes: Sequence[int], first: int) -> list[Contraction]:
    """Contract the tables of one node into one over given columns."""
    size = cache(lambda mask: cells(mask, sizes))
    tables = dict(pool)
    steps: list[Contraction] = []
    for number, columns in pool.items():
        others = given
        for other, mask in tables.items():
            others |= mask if other != number else 0
        if alone := columns & ~others:
            del tables[number]
            tables[first + len(steps)] = columns & others
            steps.append(Contraction(number, None, first + len(steps), 0, columns & others, alone, 0))
    times = {c: sum(mask >> c & 1 for mask in tables.values()) for mask in tables.values() for c in members(mask)}
    last = sum(1 << c for c, n in times.items() if n == 2) & ~given

    def price(pair: tuple[int, int]) -> tuple[bool, int, int]:
        """Tables without a common column last; then the least growth of what is stored, then the least work."""
        a, b = tables[pair[0]], tables[pair[1]]
        return not a & b, size((a | b) & ~(a & b & last)) - size(a) - size(b), size(a | b)

    prices = {pair: price(pair) for pair in combinations(sorted(tables), 2)}
    while prices:
        left, right = min(prices, key=lambda pair: (prices[pair], pair))
        a, b = tables.pop(left), tables.pop(right)
        k = a & b & last
        out = first + len(steps)
        steps.append(Contraction(left, right, out, a & b & ~k, a & ~b, k, b & ~a))
        tables[out] = (a | b) & ~k
        fresh = 0
        for c in members(a & b):
            times[c] -= 1
            fresh |= 1 << c if times[c] == 2 else 0
        last = last & ~k | fresh & ~given
        prices = {
            pair: price(pair) if fresh & tables[pair[0]] & tables[pair[1]] else value
            for pair, value in prices.items()
            if left not in pair and right not in pair
        }
        prices |= {(other, out): price((other, out)) for other in sorted(tables) if other != out}
    return steps
