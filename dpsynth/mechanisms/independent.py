"""``independent``: every column by itself. The baseline, exact in its fit, blind to every dependence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from dpsynth.measurement import NO_TREES, Domain, Level, Measurer, Tree
from dpsynth.mechanisms.assemble import fit_model
from dpsynth.mechanisms.oneway import TOTAL_SHARE, first_steps, measure_first
from dpsynth.mechanisms.protocol import Step
from dpsynth.model import FittedModel


@dataclass(frozen=True)
class Independent:
    """The total and all one-way tables at their declared levels."""

    name: str = "independent"

    def largest(self, domain: Domain, levels: Mapping[str, Level]) -> int:
        """Each column's cells."""
        return sum(level.size for level in levels.values())

    def compared(self, domain: Domain, levels: Mapping[str, Level]) -> tuple[int, int]:
        """Nothing is compared."""
        return 0, 0

    def plan(
        self, domain: Domain, levels: Mapping[str, Level], trees: Mapping[str, Tree] = NO_TREES
    ) -> tuple[Step, ...]:
        """One step a query; nothing is chosen."""
        return first_steps(domain, levels, 1 - TOTAL_SHARE, trees)

    def fit(self, measurer: Measurer, budget: Fraction) -> FittedModel:
        """Measure, and take the nearest distribution of each column."""
        return fit_model(measure_first(measurer, budget, 1 - TOTAL_SHARE))
