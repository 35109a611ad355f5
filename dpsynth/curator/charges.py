"""Charges: what a query is, what it costs, and the words in which the ledger says so. No private value comes here."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from dpsynth.accountant import Charge
from dpsynth.ledger import fraction_text
from dpsynth.measurement import LATTICE, Candidate, Query, Rule, Score, candidates_digest
from dpsynth.privacy import Cost, Measure, exponential_cost, gaussian_cost
from dpsynth.schema import Unit


def noisy(
    measure: Measure, query: Query, law: str, sigma: Fraction, squared: int, unit: Unit, chosen_by: Sequence[int]
) -> Charge:
    """The charge for one table with Gaussian noise ``sigma``, whose squared L2 sensitivity is ``squared``."""
    cost = gaussian_cost(measure, squared, sigma)
    return _measured(query, {"type": law, "sigma": fraction_text(sigma)}, squared, cost, unit, chosen_by)


def public(measure: Measure, query: Query, unit: Unit, chosen_by: Sequence[int]) -> Charge:
    """The charge, of nothing, for a number that the neighbour relation makes public."""
    return _measured(query, {"type": "public_count"}, 0, Cost.nothing(measure), unit, chosen_by)


def _measured(
    query: Query, mechanism: dict[str, str], squared: int, cost: Cost, unit: Unit, chosen_by: Sequence[int]
) -> Charge:
    asked = {
        "columns": list(query.columns),
        "levels": [level.digest for level in query.levels],
        "shape": list(query.shape),
        "basis": query.basis,
    }
    return Charge("measure", cost, {"mechanism": mechanism, "query": asked, **_context(squared, unit, chosen_by)})


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
    digest = candidates_digest(candidates)
    asked = {"score": score, "lattice": LATTICE, "weight": 1, "candidates": len(candidates), "digest": digest}
    cost = exponential_cost(measure, sensitivity, scale, picks)
    return Charge("select", cost, {"mechanism": mechanism, "query": asked, **_context(sensitivity**2, unit, chosen_by)})


def _context(squared: int, unit: Unit, chosen_by: Sequence[int]) -> dict[str, Any]:
    return {
        "unit": {"entity": unit.entity, "column": unit.column, "max_rows": unit.max_rows},
        "neighbours": unit.neighbours,
        "sensitivity_squared": fraction_text(Fraction(squared)),
        "chosen_by": list(chosen_by),
    }
