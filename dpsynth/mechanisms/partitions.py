"""Finding the values that nobody listed, before anything else is asked of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from dpsynth.measurement import Finder
from dpsynth.mechanisms.protocol import Mechanism, Step
from dpsynth.model import FittedModel

SHARE = Fraction(1, 10)
"""Share of the budget for finding the values of one column: it decides how many people a value needs to be found."""

MOST = Fraction(1, 4)
"""Share of the budget for finding those of all columns together, at most."""


def finding_share(columns: int) -> Fraction:
    """The share of the budget that finding the values of so many columns takes, split equally."""
    return min(SHARE * columns, MOST)


def finding_steps(unfound: Sequence[str]) -> tuple[Step, ...]:
    """What is asked before the mechanism begins."""
    number = len(unfound)
    return tuple(Step("partitions", (name,), 1, finding_share(number) / number, None) for name in unfound)


def with_finding(unfound: Sequence[str], steps: Sequence[Step]) -> tuple[Step, ...]:
    """All steps: finding values, and a mechanism's own for what is left."""
    rest = 1 - finding_share(len(unfound))
    return (*finding_steps(unfound), *(replace(step, share=step.share * rest) for step in steps))


def fit_found(mechanism: Mechanism, measurer: Finder, budget: Fraction, delta: Fraction) -> FittedModel:
    """Find what is unfound for its share of the budget and ``delta`` for each column; then let the mechanism fit.

    The mechanism sees found columns alone, and what is left of the budget.
    """
    names = measurer.unfound
    for step in finding_steps(names):
        for name in step.columns or ():
            measurer.partitions(name, budget * step.share, delta)
    return mechanism.fit(measurer, budget * (1 - finding_share(len(names))))
