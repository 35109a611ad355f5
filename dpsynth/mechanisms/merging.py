"""Levels computed from noisy answers: cells too rare to be told from noise are merged with their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod

import numpy as np

from dpsynth.measurement import LATTICE, Level
from dpsynth.mechanisms.oneway import OneWay


def merge_rare(counts: Sequence[int], threshold: Fraction) -> tuple[int, ...]:
    """The group of each cell: neighbours are merged until each group's noisy count reaches the threshold.

    Cells are taken in the order of their codes. A group is closed as soon as it holds enough; what is left at the end
    joins the last group. Integers and fractions alone, so that every processor finds the same groups.
    """
    groups, group, held = [], 0, 0
    for count in counts:
        groups.append(group)
        held += count
        if held >= threshold:
            group, held = group + 1, 0
    last = max(group - 1, 0)
    return tuple(min(g, last) for g in groups)


def ladder(known: OneWay, scales: Fraction, largest: int, declared: Sequence[Level] = ()) -> tuple[Level, ...]:
    """Ever coarser levels of one column, each a coarsening of the one before, the last with a single cell.

    On the first rung every group of the smoothed one-way table holds at least ``scales`` noise scales; the threshold
    doubles from rung to rung. Rungs that merge nothing, or have more than ``largest`` cells, are left out.

    Where coarsenings are ``declared``, from fine to coarse, cells are merged inside a group of the finest of them. A
    group that is one cell by then is merged with others that are, inside one of the next, as long as it holds too
    little; what is left alone so stays what it is for the time. Once all cells are groups of the coarsest, these are.
    """
    counts: list[int] = np.rint(known.counts * LATTICE).astype(np.int64).tolist()
    threshold = scales * Fraction(known.sigma) * LATTICE
    rungs: list[Level] = []
    level = known.level
    nested = [coarser for coarser in declared if _coarser(level, coarser)]
    while level.size > 1 or not rungs:
        groups = _merged(level, counts, threshold, nested)
        if not rungs or groups[-1] + 1 < level.size:
            level = level.merged(np.array(groups))
            counts = np.bincount(groups, counts, minlength=level.size).astype(np.int64).tolist()
            rungs.append(level)
        threshold = 2 * threshold if threshold else Fraction(1)
    return tuple(rung for rung in rungs if rung.size <= largest)


def _coarser(level: Level, other: Level) -> bool:
    """Is the other level a coarsening of the level, with fewer cells and more than one?"""
    try:
        level.onto(other)
    except ValueError:
        return False
    return 1 < other.size < level.size


def _merged(level: Level, counts: Sequence[int], threshold: Fraction, nested: Sequence[Level]) -> tuple[int, ...]:
    """The group of each cell on the next rung; groups are numbered in the order of their first cells."""
    blocks = [_blocks(level, coarser) for coarser in nested]
    if not blocks or len(set(blocks[-1])) == level.size:
        return merge_rare(counts, threshold)
    group = inner = tuple(range(level.size))
    for outer in blocks:
        members: dict[int, dict[int, list[int]]] = {}
        for cell, (block, part) in enumerate(zip(outer, inner, strict=True)):
            members.setdefault(block, {}).setdefault(part, []).append(cell)
        found = list(group)
        for parts in members.values():
            # What was merged into several groups holds enough in each of them.
            whole = [cells for cells in parts.values() if len({group[cell] for cell in cells}) == 1]
            places = merge_rare([sum(counts[cell] for cell in cells) for cells in whole], threshold) if whole else ()
            first: dict[int, int] = {}
            for cells, place in zip(whole, places, strict=True):
                for cell in cells:
                    found[cell] = group[first.setdefault(place, cells[0])]
        group, inner = tuple(found), outer
    number = {first: place for place, first in enumerate(sorted(set(group)))}
    return tuple(number[first] for first in group)


def _blocks(level: Level, coarser: Level) -> tuple[int, ...]:
    """For each cell of a level the block that holds it: a group of another level, joined with those it shares cells
    with."""
    block = list(range(coarser.size))
    pairs = sorted(set(zip(level.cells.tolist(), coarser.cells.tolist(), strict=True)))
    first: dict[int, int] = {}
    for cell, group in pairs:
        one, two = block[first.setdefault(cell, group)], block[group]
        if one != two:
            block = [min(one, two) if at in (one, two) else at for at in block]
    return tuple(block[first[cell]] for cell in range(level.size))


def fitting(ladders: Sequence[Sequence[Level]], cells: Fraction) -> tuple[Level, ...]:
    """The finest rung of each column whose joint table has at most so many cells; the largest column gives way."""
    at = [0] * len(ladders)
    limit = max(cells, Fraction(1))
    while prod(sizes := [rungs[place].size for rungs, place in zip(ladders, at, strict=True)]) > limit:
        at[sizes.index(max(sizes))] += 1
    return tuple(rungs[place] for rungs, place in zip(ladders, at, strict=True))
