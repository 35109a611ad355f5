"""What a plan will ask, with prices and expected errors, before a row is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import pi, sqrt

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import LATTICE
from dpsynth.mechanisms import Step, with_finding
from dpsynth.mechanisms.rounds import table_cells
from dpsynth.privacy import (
    exponential_scale,
    gaussian_sigma,
    laplace_scale,
    partitions_squared,
    sensitivity,
    threshold,
)
from dpsynth.release.plan import Plan


@dataclass(frozen=True)
class PlannedQuery:
    """One line of ``dpsynth plan``.

    ``scale`` is the standard deviation of the noise in people: of a choice that of the Gumbel noise that would make it,
    on the distance of a candidate of the largest weight. ``misplaced`` is the expected number of people that the noise
    puts into a wrong cell: half the expected L1 norm of the noise (a cell of Gaussian noise adds scale x sqrt(2/pi),
    one of Laplace noise scale / sqrt(2)); None where no table is measured, or not at a price known beforehand.
    ``threshold`` is the noisy number of entities that a value needs to be found.
    """

    what: str
    columns: tuple[str, ...] | None
    cells: int | None
    share: Fraction
    scale: float
    misplaced: float | None
    threshold: int | None = None


MOST_TOTAL_NOISE = 1_000_000
"""Standard deviation, in people, above which a noisy total is no number of rows to write."""

SIZES = (10, 100, 1000, 10_000)
"""Cells of the tables for which a plan tells the error to expect."""


def most_measured_cells(plan: Plan) -> int:
    """The cells of all answers together, at worst: what the archive, the fit and the model take memory for.

    Tables of which a number is not fixed lie inside the model's tree: those of all pairs in a node have at most twice
    its cells (k columns of two cells: 2 k (k - 1) of 2^k). Beside them there are columns, and triples that are listed.
    """
    steps = plan.algorithm().plan(plan.domain, plan.levels, plan.grid.trees)
    fixed = sum(step.count * step.cells for step in steps if step.cells and step.likely is None)
    listed = table_cells(plan.workload.triples(plan.domain.names), plan.levels, largest_model(plan))
    inside = 2 * largest_model(plan) + sum(level.size for level in plan.levels.values()) + sum(listed)
    return fixed + sum(min(step.count * step.cells, inside) for step in steps if step.cells and step.likely)


def largest_model(plan: Plan) -> int:
    """Most cells of the model's junction tree."""
    return plan.algorithm().largest(plan.domain, plan.levels)


def errors_by_size(plan: Plan) -> tuple[tuple[int, float], ...]:
    """For tables of :data:`SIZES` cells: how many people the noise misplaces in one that is bought at a likely price.

    The tables are those of the plan's last step; empty if it measures nothing but single columns.
    """
    last = _steps(plan)[-1]
    if last.verb != "marginals" or (last.columns is not None and len(last.columns) < 2):
        return ()
    _, off = _spread(plan, plan.cost.amount * last.share / (last.likely or last.count))
    return tuple((cells, cells * off / 2) for cells in SIZES if cells <= (last.cells or 0))


def preview(plan: Plan) -> tuple[PlannedQuery, ...]:
    """Every query that the plan will ask with its price and expected error. Reads no row.

    Prices are those of the worst case, but where a step says among how many it is likely to be divided.
    BudgetFormatError for a price that no noise fits; ConfigurationError where the number of rows would be mere noise.
    """
    lines = []
    for step in _steps(plan):
        columns, cells, share = step.columns, step.cells, step.share
        if step.verb == "partitions":
            scale, least = _finding_spread(plan, plan.cost.amount * share)
            lines.append(PlannedQuery("find the values of", columns, None, share, scale, None, least))
            continue
        if step.verb == "total":
            scale, off = _total_spread(plan, plan.cost.amount * share)
            lines.append(PlannedQuery("total", columns, cells, share, scale, off / 2))
            continue
        if step.verb == "select":
            scale = _choice_spread(plan, plan.cost.amount * share, step.count, step.weight)
            lines.append(PlannedQuery(f"choose {step.count:,} privately", columns, None, share, scale, None))
            continue
        if step.verb == "scores":
            scale = _score_spread(plan, plan.cost.amount * share, step.count)
            lines.append(PlannedQuery(f"up to {step.count:,} distances", columns, None, share, scale, None))
            continue
        scale, off = _spread(plan, plan.cost.amount * share / (step.likely or step.count))
        if step.likely is not None:
            lines.append(PlannedQuery(f"up to {step.count:,} marginals", columns, cells, share, scale, None))
            continue
        what = "marginal" if step.count == 1 else f"{step.count:,} marginals"
        lines.append(PlannedQuery(what, columns, cells, share, scale, None if cells is None else cells * off / 2))
    return tuple(lines)


def _steps(plan: Plan) -> tuple[Step, ...]:
    """All steps; where the total is public its share goes to the tables of one column, as in the fit."""
    return with_finding(plan.unfound, _fitting_steps(plan))


def _fitting_steps(plan: Plan) -> tuple[Step, ...]:
    steps = plan.algorithm().plan(plan.domain, plan.levels, plan.grid.trees)
    if _moved_total(plan):
        return steps
    freed = sum((step.share for step in steps if step.verb == "total"), Fraction(0))
    single = [step for step in steps if step.verb == "marginals" and step.columns and len(step.columns) == 1]
    grown = 1 + freed / sum((step.share for step in single), Fraction(0))
    return tuple(
        replace(step, share=Fraction(0) if step.verb == "total" else step.share * (grown if step in single else 1))
        for step in steps
    )


def _moved_total(plan: Plan) -> int:
    """By how much one entity moves the number of rows: 0 where that number is public."""
    unit = plan.schema.unit
    return sensitivity.total(unit.most, unit.neighbours, unit.row_unit and plan.cell is None)


def _total_spread(plan: Plan, price: Fraction) -> tuple[float, float]:
    """As of :func:`_spread`, for the number of rows; ConfigurationError where that would be noise alone."""
    moved = _moved_total(plan)
    if not moved:
        return 0.0, 0.0
    scale, off = _noise(plan, moved, moved**2, price)
    if plan.rows is None and scale > MOST_TOTAL_NOISE:
        raise ConfigurationError(
            f"the number of rows would be a total with noise of {scale:,.0f} people, above {MOST_TOTAL_NOISE:,}: give "
            "[release] rows (or rows=...), or a larger epsilon"
        )
    return scale, off


def _finding_spread(plan: Plan, price: Fraction) -> tuple[float, int]:
    """Standard deviation, in entities, of the noise of a value's count, and the threshold that this must reach."""
    unit = plan.schema.unit
    sigma = gaussian_sigma(plan.measure, partitions_squared(unit.max_rows, unit.neighbours), price)
    return float(sigma), threshold(sigma, unit.max_rows, plan.delta0)


def _choice_spread(plan: Plan, price: Fraction, picks: int, weight: int) -> float:
    """Standard deviation, in people, of the Gumbel noise on the distance of a candidate of this weight, the largest.

    BudgetFormatError where so many private choices cannot be bought for a price.
    """
    unit = plan.schema.unit
    lattice = LATTICE * weight
    moved = lattice * sensitivity.l1_to_model(unit.most, unit.neighbours)
    return pi / sqrt(6) * float(exponential_scale(plan.measure, moved, price, picks) / lattice * unit.people_a_unit)


def _score_spread(plan: Plan, price: Fraction, scores: int) -> float:
    """Standard deviation, in people, of the noise of each of so many scores at one price."""
    unit = plan.schema.unit
    moved = LATTICE * sensitivity.l1_to_model(unit.most, unit.neighbours)
    return _noise(plan, scores * moved, scores * moved**2, price)[0] / LATTICE


def _spread(plan: Plan, price: Fraction) -> tuple[float, float]:
    """Standard deviation and mean absolute value of the noise that a price buys for a cell of a marginal."""
    unit = plan.schema.unit
    one = sensitivity.marginal_l1(unit.most, unit.neighbours)
    return _noise(plan, one, sensitivity.marginal_squared(unit.most, unit.neighbours), price)


def _noise(plan: Plan, l1: int, squared: int, price: Fraction) -> tuple[float, float]:
    """Standard deviation and mean absolute value, in people, of the noise for a sensitivity in L1 and in L2 squared."""
    people = float(plan.schema.unit.people_a_unit)
    if plan.measure == "pure":
        scale = people * float(laplace_scale("pure", l1, price))
        return sqrt(2) * scale, scale
    sigma = people * float(gaussian_sigma(plan.measure, squared, price))
    return sigma, sigma * sqrt(2 / pi)
