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


def ladder(known: OneWay, scales: Fraction, largest: int) -> tuple[Level, ...]:
    """Ever coarser levels of one column, each a coarsening of the one before, the last with a single cell.

    On the first rung every group of the smoothed one-way table holds at least ``scales`` noise scales; the threshold
    doubles from rung to rung. Rungs that merge nothing, or have more than ``largest`` cells, are left out.
    """
    counts: list[int] = np.rint(known.counts * LATTICE).astype(np.int64).tolist()
    threshold = scales * Fraction(known.sigma) * LATTICE
    rungs: list[Level] = []
    level = known.level
    while level.size > 1 or not rungs:
        groups = merge_rare(counts, threshold)
        if not rungs or groups[-1] + 1 < level.size:
            level = level.merged(np.array(groups))
            counts = np.bincount(groups, counts, minlength=level.size).astype(np.int64).tolist()
            rungs.append(level)
        threshold = 2 * threshold if threshold else Fraction(1)
    return tuple(rung for rung in rungs if rung.size <= largest)


def fitting(ladders: Sequence[Sequence[Level]], cells: Fraction) -> tuple[Level, ...]:
    """The finest rung of each column whose joint table has at most so many cells; the largest column gives way."""
    at = [0] * len(ladders)
    limit = max(cells, Fraction(1))
    while prod(sizes := [rungs[place].size for rungs, place in zip(ladders, at, strict=True)]) > limit:
        at[sizes.index(max(sizes))] += 1
    return tuple(rungs[place] for rungs, place in zip(ladders, at, strict=True))
