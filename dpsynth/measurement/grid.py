"""The finest public grid of a table and the levels that its schema declares, from the codecs of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement.domain import Domain
from dpsynth.measurement.level import Level

if TYPE_CHECKING:
    from dpsynth.encoding import Codec


@dataclass(frozen=True)
class Tree:
    """The nested levels on which the bins of one column are found by noisy counts, from fine to coarse.

    ``bounded`` says that all of the grid is in use; else the coarsest level is asked first, and the others only where
    it holds enough. ``nullable`` says that the last cell of each level is null's; ``spikes`` are the fine cells, null's
    among them, that have nothing in common with their neighbours.
    """

    levels: tuple[Level, ...]
    bounded: bool
    nullable: bool
    spikes: NDArray[np.bool_]


NO_TREES: Mapping[str, Tree] = MappingProxyType({})
"""No column's bins are found."""


@dataclass(frozen=True)
class Grid:
    """What is declared of the columns' cells.

    ``domain`` holds the fine cells. ``levels`` are public bins, or the identity; of a column of ``trees`` bins of equal
    length, as many as will be found at most. ``hierarchies`` are declared coarsenings, from fine to coarse;
    where a column may be null, the coarsest one is the null indicator.
    """

    domain: Domain
    levels: Mapping[str, Level]
    hierarchies: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)
    trees: Mapping[str, Tree] = field(default_factory=dict)


def grid(codecs: Sequence[Codec]) -> Grid:
    """The grid of some codecs, a column each."""
    return Grid(
        Domain(tuple(codec.name for codec in codecs), tuple(codec.size for codec in codecs)),
        MappingProxyType({codec.name: Level(codec.name, codec.level()) for codec in codecs}),
        MappingProxyType({codec.name: _hierarchy(codec) for codec in codecs}),
        MappingProxyType({codec.name: tree for codec in codecs if (tree := _tree(codec))}),
    )


def _hierarchy(codec: Codec) -> tuple[Level, ...]:
    """The declared levels, and the null indicator as the last."""
    declared = [Level(codec.name, cells) for cells in codec.hierarchy()]
    if codec.leaves in (1, codec.size):
        return tuple(declared)
    indicator = Level(codec.name, (np.arange(codec.size) >= codec.leaves).astype(np.uint16))
    return tuple(dict.fromkeys([*declared, indicator]))


def _tree(codec: Codec) -> Tree | None:
    levels = tuple(Level(codec.name, cells) for cells in codec.tree())
    if not levels:
        return None
    return Tree(levels, codec.bounded, bool(codec.size - codec.leaves), codec.spikes)
