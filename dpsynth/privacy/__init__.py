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
from dpsynth.privacy.gdp import delta_of_gdp, epsilon_of_gdp, mu_squared_of
from dpsynth.privacy.gdp_cost import (
    exponential_mu_squared,
    gaussian_mu_squared,
    laplace_mu_squared,
    pure_mu_squared,
    scale_for_mu_squared,
    sigma_for_mu_squared,
)
from dpsynth.privacy.sensitivity import NEIGHBOURS, l1_to_model, marginal_squared, total
from dpsynth.privacy.tradeoff import highest_tpr, highest_tpr_of_gdp

__all__ = [
    "COARSEST",
    "FINEST",
    "GRID",
    "NEIGHBOURS",
    "Budget",
    "Cost",
    "ceil_to_grid",
    "decimal_text",
    "delta_of_gdp",
    "epsilon_of_gdp",
    "epsilon_of_rho",
    "exact_text",
    "exponential_mu_squared",
    "exponential_rho",
    "floor_to_grid",
    "gaussian_mu_squared",
    "gaussian_rho",
    "highest_tpr",
    "highest_tpr_of_gdp",
    "l1_to_model",
    "laplace_mu_squared",
    "marginal_squared",
    "mu_squared_of",
    "parse_fraction",
    "pure_mu_squared",
    "rho_of_epsilon",
    "scale_for",
    "scale_for_mu_squared",
    "sigma_for",
    "sigma_for_mu_squared",
    "total",
]
