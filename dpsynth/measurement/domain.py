"""Domain: named columns and their numbers of cells. Arrays never travel without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod


@dataclass(frozen=True)
class Domain:
    """Column names with the number of cells of each, in order.

    The curator's domain is the finest public grid (the null cell included); a model's domain is in the coarser cells
    that the model keeps. All of it is public.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.sizes) or len(set(self.names)) != len(self.names):
            raise ValueError("a domain needs one size for each of its distinct names")
        if any(size < 1 for size in self.sizes):
            raise ValueError("every column of a domain needs at least one cell")

    @cached_property
    def position(self) -> Mapping[str, int]:
        """The place of each column."""
        return {name: place for place, name in enumerate(self.names)}

    def __contains__(self, name: object) -> bool:
        return name in self.position

    def size(self, name: str) -> int:
        """Number of cells of one column; KeyError if there is no such column."""
        return self.sizes[self.position[name]]

    def shape(self, names: Iterable[str]) -> tuple[int, ...]:
        """Sizes of several columns, in the order given."""
        sizes, position = self.sizes, self.position
        return tuple([sizes[position[name]] for name in names])

    def cells(self, names: Iterable[str]) -> int:
        """Number of cells of the joint table of several columns."""
        return prod(self.shape(names))

    def project(self, names: Iterable[str]) -> Domain:
        """The domain of some of the columns, in the order given."""
        chosen = tuple(names)
        return Domain(chosen, self.shape(chosen))
