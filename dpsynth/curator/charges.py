"""Charges: what a query is, what it costs, and the words in which the ledger says so. No private value comes here."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt
from typing import Any

from dpsynth import privacy
from dpsynth.accountant import Charge
from dpsynth.errors import ConfigurationError
from dpsynth.ledger import fraction_text
from dpsynth.measurement import LATTICE, TOTAL, Candidate, Law, Query, Rule, Score, candidates_digest
from dpsynth.privacy import Cost, Measure
from dpsynth.schema import Unit

LAPLACE: Law = "discrete_laplace"
"""The one law whose sensitivities are in L1."""


def noisy(
    measure: Measure,
    query: Query,
    law: Law,
    price: Fraction,
    unit: Unit,
    chosen_by: Sequence[int],
    apart: bool = False,
) -> tuple[Charge, Fraction]:
    """The charge for one query with the least noise of a law that the price covers, and the scale of that noise.

    ``apart``: it is asked of one cell of a table. ConfigurationError where the law has no cost in the measure, or none
    for the query; BudgetFormatError where the price buys no noise that can be drawn.
    """
    moved = l1(query, unit, apart) ** 2 if law == LAPLACE else squared(query, unit, apart)
    mechanism, scale, cost = _least_noise(measure, law, moved, price)
    return _measured(query, mechanism, moved, cost, unit, chosen_by), scale


def scored(
    measure: Measure,
    candidates: Sequence[Candidate],
    score: Score,
    sensitivity: int,
    law: Law,
    price: Fraction,
    unit: Unit,
    chosen_by: Sequence[int],
) -> tuple[Charge, Fraction]:
    """The charge for the scores of all candidates with the least noise of a law that the price covers, and its scale.

    One entity may move each score by ``sensitivity``, in lattice units, and all of them at once: N scores by N times
    that in L1, and by sqrt(N) times that in L2. Errors as of ``noisy``.
    """
    number = len(candidates)
    moved = sensitivity**2 * (number**2 if law == LAPLACE else number)
    mechanism, scale, cost = _least_noise(measure, law, moved, price)
    fields = {"mechanism": mechanism, "query": _compared(candidates, score), **_context(moved, unit, chosen_by)}
    return Charge("score", cost, fields), scale


def _least_noise(measure: Measure, law: Law, moved: int, price: Fraction) -> tuple[dict[str, str], Fraction, Cost]:
    """Mechanism, scale and cost of the least noise; ``moved`` is the squared sensitivity in the norm of the law."""
    if law == LAPLACE:
        scale = privacy.laplace_scale(measure, isqrt(moved), price)
        return {"type": law, "scale": fraction_text(scale)}, scale, privacy.laplace_cost(measure, isqrt(moved), scale)
    scale = privacy.gaussian_sigma(measure, moved, price)
    return {"type": law, "sigma": fraction_text(scale)}, scale, privacy.gaussian_cost(measure, moved, scale)


def thresholded(
    measure: Measure, column: str, law: Law, price: Fraction, delta: Fraction, unit: Unit, chosen_by: Sequence[int]
) -> tuple[Charge, Fraction, int]:
    """The charge for finding the values of a column, the scale of its noise and the threshold of its counts.

    An entity counts once, whatever its weight, for each of the values that it has: at most as many as it has rows.
    ConfigurationError in a pure account, where a threshold is never allowed; BudgetFormatError for a delta_0 of
    nothing, or where the price buys no noise that can be drawn.
    """
    if measure == "pure":
        raise ConfigurationError(
            f"column {column!r}: values are found privately with a small probability that a rare one shows, which pure "
            'differential privacy does not allow: list the values, or use an account of measure "gdp" or "zcdp"'
        )
    moved = privacy.partitions_squared(unit.max_rows, unit.neighbours)
    mechanism, scale, cost = _least_noise(measure, law, moved, price)
    least = privacy.threshold(scale, unit.max_rows, delta)
    fields = {
        "mechanism": {**mechanism, "threshold": least, "delta": fraction_text(delta)},
        "query": {"column": column},
        **_context(moved, unit, chosen_by),
    }
    return Charge("partitions", Cost(measure, cost.amount, delta), fields), scale, least


def public(measure: Measure, query: Query, unit: Unit, chosen_by: Sequence[int]) -> Charge:
    """The charge, of nothing, for a number that the neighbour relation makes public."""
    return _measured(query, {"type": "public_count"}, 0, Cost.nothing(measure), unit, chosen_by)


def rows(unit: Unit, apart: bool = False) -> int:
    """How far one entity moves the number of rows, or the sum of their weights: 0 where it is public.

    That of a cell (``apart``) is never public: who is replaced may leave it.
    """
    return privacy.total(unit.most, unit.neighbours, unit.row_unit and not apart)


def squared(query: Query, unit: Unit, apart: bool = False) -> int:
    """The squared L2 sensitivity of a query."""
    if query == TOTAL:
        return rows(unit, apart) ** 2
    if query.basis == "residual":
        return privacy.residual_squared(query.shape, unit.most, unit.neighbours)
    return privacy.marginal_squared(unit.most, unit.neighbours)


def l1(query: Query, unit: Unit, apart: bool = False) -> int:
    """The L1 sensitivity of a query; ConfigurationError for a residual, which Laplace noise would only make worse."""
    if query == TOTAL:
        return rows(unit, apart)
    if query.basis == "residual":
        raise ConfigurationError("a residual takes Gaussian noise: on a pure account ask for the marginal")
    return privacy.marginal_l1(unit.most, unit.neighbours)


def _measured(
    query: Query, mechanism: dict[str, str], moved: int, cost: Cost, unit: Unit, chosen_by: Sequence[int]
) -> Charge:
    asked = {
        "columns": list(query.columns),
        "levels": [level.digest for level in query.levels],
        "shape": list(query.shape),
        "basis": query.basis,
    }
    return Charge("measure", cost, {"mechanism": mechanism, "query": asked, **_context(moved, unit, chosen_by)})


def picked(
    measure: Measure,
    candidates: Sequence[Candidate],
    score: Score,
    picks: int,
    rule: Rule,
    scale: Fraction,
    sensitivity: int,
    unit: Unit,
    chosen_by: Sequence[int],
) -> Charge:
    """The charge for ``picks`` draws of the exponential mechanism; scale and sensitivity in lattice units."""
    mechanism = {"type": "exponential", "scale": fraction_text(scale), "picks": picks, "rule": rule}
    asked = {**_compared(candidates, score), "weight": max(candidate.weight for candidate in candidates)}
    cost = privacy.exponential_cost(measure, sensitivity, scale, picks)
    return Charge("select", cost, {"mechanism": mechanism, "query": asked, **_context(sensitivity**2, unit, chosen_by)})


def _compared(candidates: Sequence[Candidate], score: Score) -> dict[str, Any]:
    """Which candidates are compared with the public model, and how."""
    return {
        "score": score,
        "lattice": LATTICE,
        "candidates": len(candidates),
        "digest": candidates_digest(candidates),
    }


def _context(moved: int, unit: Unit, chosen_by: Sequence[int]) -> dict[str, Any]:
    """``moved`` is the square of the sensitivity: in L2 for Gaussian noise, in L1 for Laplace, of a choice's score."""
    return {
        "unit": {
            "entity": unit.entity,
            "column": unit.column,
            "max_rows": unit.max_rows,
            **({} if unit.weight is None else {"weight_units": unit.weight_units}),
        },
        "neighbours": unit.neighbours,
        "sensitivity_squared": fraction_text(Fraction(moved)),
        "chosen_by": list(chosen_by),
    }
