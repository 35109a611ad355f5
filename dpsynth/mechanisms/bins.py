"""Bins of a column found in noisy counts on nested levels, and how its values lie inside of them.

The counts of all levels are made consistent by generalised least squares: exactly, by one pass up the tree and one
down (Hay, Rastogi, Miklau and Suciu 2010, arXiv 0904.0942, for any tree and any variances). The finest ones are then
smoothed, or a density is fitted to all (:mod:`dpsynth.mechanisms.density`) where bounds are declared, and bins are runs
of them that hold enough. All of it is post-processing of the answers; what decides anything is rounded to the public
grid of 1/LATTICE first, so that two processors find the same bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import LATTICE, Level, NoisyMarginal, Tree
from dpsynth.mechanisms.density import MOST_CELLS, Counted
from dpsynth.mechanisms.smoothing import shrunk
from dpsynth.model import project

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

SCALES = 4
"""Noise scales that an octave holds at least that is refined."""

WINDOW = 5
"""Neighbouring octaves that are taken for those in use where noise drowns each by itself: the ones that hold most."""

SCALES_OF_PARTS = Fraction(3, 2)
"""Noise scales that each part of a coarse cell between declared bounds holds: smaller ones tell nothing but noise."""

SCALES_OF_LAPLACE = 7
"""Those of such an octave where noise is Laplace's, whose tails are heavier: one octave in 30,000 is found in vain."""


def sum_cells(groups: NDArray[np.integer], mass: Floats, size: int) -> Floats:
    """The mass of the cells of each group 0..size-1."""
    result: Floats = np.zeros(size)
    np.add.at(result, groups, mass)
    return result


@dataclass(frozen=True, eq=False)
class Consistent:
    """Noisy counts on nested levels, from fine to coarse: their values, and the variances of their noise."""

    levels: tuple[Level, ...]
    values: tuple[Floats, ...]
    variances: tuple[Floats, ...]

    @classmethod
    def of(cls, answers: Sequence[NoisyMarginal], levels: Sequence[Level]) -> Consistent:
        """Answers as seen at nested levels, each a coarsening of that of its answer."""
        values: list[Floats] = []
        variances: list[Floats] = []
        for answer, level in zip(answers, levels, strict=True):
            groups = answer.query.levels[0].onto(level)
            values.append(sum_cells(groups, answer.values.astype(np.float64), level.size))
            variances.append(float(answer.sigma) ** 2 * np.bincount(groups).astype(np.float64))
        return cls(tuple(levels), tuple(values), tuple(variances))

    @cached_property
    def parents(self) -> tuple[NDArray[np.uint16], ...]:
        """The cell of the next level that holds each cell of a level."""
        return tuple(fine.onto(coarse) for fine, coarse in zip(self.levels, self.levels[1:], strict=False))

    @cached_property
    def below(self) -> tuple[Floats, ...]:
        """The variance of each cell of a level by its own answer and those below it."""
        found = [self.variances[0]]
        for up, own in zip(self.parents, self.variances[1:], strict=True):
            found.append(1 / (1 / sum_cells(up, found[-1], own.size) + 1 / own))
        return tuple(found)

    @cached_property
    def counts(self) -> Floats:
        """The counts of the finest level that all levels together make likeliest."""
        return self._solved(self.values)

    def variance(self, groups: NDArray[np.integer], size: int) -> float:
        """The mean variance of the sum of those counts over the finest cells of each group 0..size-1."""
        nothing = [np.zeros(level.size) for level in self.levels[1:]]
        found = 0.0
        for group in range(size):
            # The covariance of the estimate times an indicator is the estimate from indicator x variance.
            inside = groups == group
            found += float(self._solved([inside * self.variances[0], *nothing])[inside].sum())
        return found / size

    def scales(self, cells: int) -> tuple[float, ...]:
        """The variance of the sum of 1, 2, 4, ... neighbouring counts of the finest level, by those within alone."""
        typical = [(counts.size, float(np.median(counts))) for counts in self.below]
        found = []
        for power in range(max(cells, 1).bit_length() + 1):
            width, variance = max(
                (self.levels[0].size / size, variance)
                for size, variance in typical
                if self.levels[0].size <= size << power
            )
            found.append(variance * 2**power / width)
        return tuple(found)

    def _solved(self, values: Sequence[Floats]) -> Floats:
        estimates, sums = [values[0]], []
        for at, up in enumerate(self.parents):
            size = self.levels[at + 1].size
            held, spread = sum_cells(up, estimates[at], size), sum_cells(up, self.below[at], size)
            sums.append((held, spread))
            own = values[at + 1] / self.variances[at + 1]
            estimates.append(self.below[at + 1] * (held / spread + own))
        found = estimates[-1]
        for at, up in reversed(list(enumerate(self.parents))):
            held, spread = sums[at]
            found = estimates[at] + self.below[at] * ((found - held) / spread)[up]
        return found


@dataclass(frozen=True, eq=False)
class Found:
    """Bins of one column: their ``level``, smoothed ``counts`` and the standard deviation of what these were before.

    ``inside`` says how the rows of each bin lie over the fine cells: non-negative, shape (level.fine,). ``counted`` are
    the answers, where a density was fitted to them.
    """

    level: Level
    counts: Floats
    sigma: float
    inside: Floats
    counted: Counted | None

    @classmethod
    def of(cls, support: Support, answers: Sequence[NoisyMarginal], rows: float, most: int) -> Found:
        """At most so many bins (null's is one) from answers on nested levels, from fine to coarse."""
        finest = support.level
        counted = Consistent.of(answers, [joined(answer.query.levels[0], finest) for answer in answers])
        values, smooth = finest.size - support.nullable, support.smooth
        dense = None
        if support.dense:
            dense = Counted(finest, ~smooth, support.nullable, tuple(answers), max(rows, 1.0))
        if dense is not None:
            counts = mass = dense.mass
        else:
            counts = counted.counts.copy()
            counts[smooth] = shrunk(counts[smooth], counted.scales(finest.size))
            counts = np.rint(counts * LATTICE) / LATTICE
            mass = project(counts, np.ones_like(counts), max(rows, 1.0))
        held: list[int] = np.rint(mass[:values] * LATTICE).astype(np.int64).tolist()
        noise = sum(float(np.median(variance)) for variance in counted.below) ** 0.5
        bins = runs(held, max(1, round(noise * LATTICE)), most - support.nullable)
        groups = np.array([*bins, *[bins[-1] + 1] * support.nullable])
        level = finest.merged(groups)
        sigma = counted.variance(groups, level.size) ** 0.5
        return cls(level, sum_cells(groups, counts, level.size), sigma, support.spread(mass), dense)


@dataclass(frozen=True, eq=False)
class Support:
    """Where the values of a column lie: the finest ``level`` at which they are counted, and the fine cells in use.

    ``inside`` is False for fine cells beyond the bounds, whose values are counted in the outermost cells of the level.
    ``dense`` says that a density is fitted, for the grid is even.
    """

    level: Level
    inside: NDArray[np.bool_]
    spikes: NDArray[np.bool_]
    nullable: bool
    dense: bool = False

    @property
    def smooth(self) -> NDArray[np.bool_]:
        """The cells of the level that hold more than a spike."""
        return np.bincount(self.level.cells, self.inside & ~self.spikes, minlength=self.level.size) > 0

    @classmethod
    def bounded(cls, tree: Tree, answer: NoisyMarginal) -> Support:
        """All of the grid: each cell of the coarsest level in as many parts as hold enough each, by ``answer`` there.

        What is enough doubles until there are at most MOST_CELLS.
        """
        coarse = tree.levels[-1].cells.astype(np.intp)
        widths = np.bincount(coarse)
        enough = SCALES_OF_PARTS * answer.sigma
        while True:
            held = np.array([int(count // enough) for count in answer.values.tolist()])
            parts = np.clip(held, 1, widths)
            if parts.sum() <= max(MOST_CELLS, widths.size):
                break
            enough *= 2
        within = np.arange(coarse.size) - np.searchsorted(coarse, coarse)
        places = np.cumsum(parts)[coarse] - parts[coarse] + within * parts[coarse] // widths[coarse]
        inside = np.ones(coarse.size, dtype=np.bool_)
        return cls(Level(tree.levels[0].column, places), inside, tree.spikes, tree.nullable, dense=True)

    @classmethod
    def found(cls, tree: Tree, answer: NoisyMarginal) -> Support:
        """The octaves between the outermost ones that hold enough; of these the ones that do are refined.

        ``answer`` is that at the coarsest level of the tree. Where none does, :data:`WINDOW` neighbouring ones do.
        """
        octave = tree.levels[-1].cells.astype(np.intp)
        values = octave.size - tree.nullable
        counts: list[int] = answer.values[: tree.levels[-1].size - tree.nullable].tolist()
        scales = SCALES_OF_LAPLACE if answer.law == "discrete_laplace" else SCALES
        enough = [count >= scales * answer.sigma for count in counts]
        if not any(enough):
            sums = [sum(counts[place : place + WINDOW]) for place in range(len(counts) - WINDOW + 1)]
            best = sums.index(max(sums))
            enough[best : best + WINDOW] = [True] * WINDOW
        refined = np.array([*enough, *[True] * tree.nullable])[octave]
        used = np.flatnonzero(refined[:values])
        first, last = int(used[0]), int(used[-1])
        # A cell begins where a refined fine cell or an octave does, and beyond the outermost ones nowhere.
        begins = refined | (np.diff(octave, prepend=-1) != 0)
        begins[: first + 1] = begins[last + 1 : values] = False
        inside = np.ones(octave.size, dtype=np.bool_)
        inside[:first] = inside[last + 1 : values] = False
        return cls(Level(answer.query.levels[0].column, np.cumsum(begins)), inside, tree.spikes, tree.nullable)

    def levels(self, tree: Tree) -> tuple[Level, ...]:
        """The levels of the tree as far as they tell cells of this level apart, from fine to coarse, each once."""
        if self.dense:
            return tuple(dict.fromkeys([self.level, tree.levels[-1]]))
        return tuple(dict.fromkeys(joined(level, self.level) for level in tree.levels))

    def spread(self, mass: Floats) -> Floats:
        """How the mass of the level's cells lies over the fine cells: evenly over those in use."""
        held = np.bincount(self.level.cells, self.inside, minlength=self.level.size)
        return np.where(self.inside, (mass / held)[self.level.cells], 0.0)


def joined(one: Level, two: Level) -> Level:
    """The finest level of which both are refinements. Their cells are runs, so it begins one where both do."""
    both = (np.diff(one.cells.astype(np.intp)) != 0) & (np.diff(two.cells.astype(np.intp)) != 0)
    return Level(one.column, np.append(0, np.cumsum(both)))


def runs(counts: Sequence[int], threshold: int, most: int) -> tuple[int, ...]:
    """The bin of each cell: runs that hold at least the threshold, and what is left between them; at most ``most``.

    A cell that holds enough by itself is a bin of its own; what is left before it, or at the end, joins the run before
    it if there is one. Until there are few enough bins, the threshold doubles.
    """
    while True:
        starts, held, heavy = [0], 0, True
        for cell, count in enumerate(counts):
            alone = count >= threshold
            if cell and (alone or heavy or held >= threshold):
                if not heavy and held < threshold and len(starts) > 1 and not _heavy(counts, starts, threshold):
                    starts.pop()
                starts.append(cell)
                held = 0
            held, heavy = held + count, alone
        if not heavy and held < threshold and len(starts) > 1 and not _heavy(counts, starts, threshold):
            starts.pop()
        if len(starts) <= most:
            begins = np.zeros(len(counts), dtype=np.intp)
            begins[starts[1:]] = 1
            return tuple(np.cumsum(begins).tolist())
        threshold *= 2


def _heavy(counts: Sequence[int], starts: Sequence[int], threshold: int) -> bool:
    """Is the bin before the last one a single cell that holds enough?"""
    return starts[-1] - starts[-2] == 1 and counts[starts[-2]] >= threshold
