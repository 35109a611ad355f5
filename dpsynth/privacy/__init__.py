"""Pure mathematics of privacy on exact numbers: budgets, sensitivities, costs, conversions, the trade-off curve.

No data, no chance, no float in anything that is compared with a budget: ``fractions``, ``decimal`` and ``math`` only.
Every bound is rounded to the safe side and proved under ``proofs/privacy/``.
"""

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.conversion import epsilon_of_rho, rho_of_epsilon
from dpsynth.privacy.cost import (
    COARSEST,
    FINEST,
    Cost,
    exponential_rho,
    gaussian_rho,
    scale_for,
    sigma_for,
)
from dpsynth.privacy.exact import GRID, ceil_to_grid, decimal_text, exact_text, floor_to_grid, parse_fraction
from dpsynth.privacy.sensitivity import NEIGHBOURS, l1_to_model, marginal_squared, total
from dpsynth.privacy.tradeoff import highest_tpr

__all__ = [
    "COARSEST",
    "FINEST",
    "GRID",
    "NEIGHBOURS",
    "Budget",
    "Cost",
    "ceil_to_grid",
    "decimal_text",
    "epsilon_of_rho",
    "exact_text",
    "exponential_rho",
    "floor_to_grid",
    "gaussian_rho",
    "highest_tpr",
    "l1_to_model",
    "marginal_squared",
    "parse_fraction",
    "rho_of_epsilon",
    "scale_for",
    "sigma_for",
    "total",
]
