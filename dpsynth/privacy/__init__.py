"""Pure mathematics of privacy on exact numbers: budgets, sensitivities, costs, conversions, the trade-off curve.

No data, no chance, no float in anything that is compared with a budget: ``fractions``, ``decimal`` and ``math`` only.
Every bound is rounded to the safe side and proved under ``proofs/privacy/``.
"""

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.cost import (
    COARSEST,
    FINEST,
    PI_ABOVE,
    Cost,
    exponential_cost,
    exponential_scale,
    gaussian_cost,
    gaussian_sigma,
    laplace_cost,
    laplace_scale,
)
from dpsynth.privacy.exact import GRID, ceil_to_grid, decimal_text, exact_text, parse_fraction
from dpsynth.privacy.measure import MEASURES, NAMES, UNITS, Measure, require_measure
from dpsynth.privacy.promise import amount_of, epsilon_of
from dpsynth.privacy.sensitivity import NEIGHBOURS, l1_to_model, marginal_l1, marginal_squared, residual_squared, total
from dpsynth.privacy.tradeoff import highest_tpr

__all__ = [
    "COARSEST",
    "FINEST",
    "GRID",
    "MEASURES",
    "NAMES",
    "NEIGHBOURS",
    "PI_ABOVE",
    "UNITS",
    "Budget",
    "Cost",
    "Measure",
    "amount_of",
    "ceil_to_grid",
    "decimal_text",
    "epsilon_of",
    "exact_text",
    "exponential_cost",
    "exponential_scale",
    "gaussian_cost",
    "gaussian_sigma",
    "highest_tpr",
    "l1_to_model",
    "laplace_cost",
    "laplace_scale",
    "marginal_l1",
    "marginal_squared",
    "parse_fraction",
    "require_measure",
    "residual_squared",
    "total",
]
