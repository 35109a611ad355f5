"""Pure mathematics of privacy on exact numbers: budgets, sensitivities, costs, conversions, the trade-off curve.

No data, no chance, no float in anything that is compared with a budget: ``fractions``, ``decimal`` and ``math`` only.
Every bound is rounded to the safe side and proved under ``proofs/privacy/``.
"""

from dpsynth.privacy.budget import Budget, part_of
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
from dpsynth.privacy.exact import GRID, ceil_to_grid, decimal_text, exact_text, floor_to_grid, parse_fraction
from dpsynth.privacy.measure import MEASURES, NAMES, UNITS, Measure, require_measure
from dpsynth.privacy.parallel import MOST_CELLS, Cell, Cells, moved_cells, together
from dpsynth.privacy.partitions import threshold
from dpsynth.privacy.promise import amount_of, epsilon_of
from dpsynth.privacy.sensitivity import (
    NEIGHBOURS,
    l1_to_model,
    marginal_l1,
    marginal_squared,
    partitions_squared,
    residual_squared,
    total,
)
from dpsynth.privacy.tradeoff import highest_tpr

__all__ = [
    "COARSEST",
    "FINEST",
    "GRID",
    "MEASURES",
    "MOST_CELLS",
    "NAMES",
    "NEIGHBOURS",
    "PI_ABOVE",
    "UNITS",
    "Budget",
    "Cell",
    "Cells",
    "Cost",
    "Measure",
    "amount_of",
    "ceil_to_grid",
    "decimal_text",
    "epsilon_of",
    "exact_text",
    "exponential_cost",
    "exponential_scale",
    "floor_to_grid",
    "gaussian_cost",
    "gaussian_sigma",
    "highest_tpr",
    "l1_to_model",
    "laplace_cost",
    "laplace_scale",
    "marginal_l1",
    "marginal_squared",
    "moved_cells",
    "parse_fraction",
    "part_of",
    "partitions_squared",
    "require_measure",
    "residual_squared",
    "threshold",
    "together",
    "total",
]
