"""What a mechanism is: a plan that reads no row, and a fit that sees only a Measurer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

from dpsynth.measurement import NO_TREES, Domain, Level, Measurer, Tree
from dpsynth.model import FittedModel


@dataclass(frozen=True)
class Step:
    """A group of queries that a mechanism will ask.

    At most ``count`` queries for ``share`` of the budget together: at the same price, unless ``likely`` says among how
    many the price is likely to be divided, each then getting what it is worth. ``columns`` is None where they are
    chosen privately; then ``cells`` is the largest a query can be. None cells: nothing is measured, something is
    scored or chosen, among candidates of at most this ``weight``, or the values of one column are found.
    """

    verb: Literal["total", "marginals", "scores", "select", "partitions"]
    columns: tuple[str, ...] | None
    count: int
    share: Fraction
    cells: int | None
    likely: int | None = None
    weight: int = 1


class Mechanism(Protocol):
    """Select, measure, estimate. A mechanism is stateless: the same answers give the same model."""

    @property
    def name(self) -> str:
        """The name in ``release.toml``."""
        ...

    def largest(self, domain: Domain, levels: Mapping[str, Level]) -> int:
        """Most cells that the model's junction tree is meant to have."""
        ...

    def compared(self, domain: Domain, levels: Mapping[str, Level]) -> tuple[int, int]:
        """The candidates of the largest comparison, and the cells of their tables together: both at most."""
        ...

    def plan(
        self, domain: Domain, levels: Mapping[str, Level], trees: Mapping[str, Tree] = NO_TREES
    ) -> tuple[Step, ...]:
        """All that ``fit`` may ask, worst case, in order. The shares sum to at most 1. Reads no row.

        ``trees`` are the columns whose bins are found: their ``levels`` are no finer than what will be found.
        """
        ...

    def fit(self, measurer: Measurer, budget: Fraction) -> FittedModel:
        """Measure for at most ``budget`` (in the units of the account's measure) and fit."""
        ...
