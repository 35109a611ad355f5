"""The fitted distribution: domain, factor, junction tree, belief propagation, estimation, Markov network.

Everything here is a deterministic function of noisy answers: no row, no randomness, no budget. It may import
measurement and errors. Its modules, in the order in which they build on each other:

- structure: triangulation, forest, junction (the tree, and what one more clique would make it);
- tables: factor, products; leaves, contraction, steps, tables and propagation (belief propagation);
- the fit: operators, stack, levels, main_effects, effects (what was measured), strength, projection, exchange, metric,
  dual, closed_form, optimise and estimation;
- what is asked of a fit: network, routes, marginals, evidence and fitted.
"""

from dpsynth.model.estimation import estimate
from dpsynth.model.factor import Factor
from dpsynth.model.fitted import FittedModel
from dpsynth.model.junction import CELLS, JunctionTree, Node
from dpsynth.model.network import Convergence, MarkovNetwork
from dpsynth.model.operators import LinearQuery, Marginal, Measurement, Residual
from dpsynth.model.projection import project
from dpsynth.model.propagation import BeliefPropagation, Calibrated

__all__ = [
    "CELLS",
    "BeliefPropagation",
    "Calibrated",
    "Convergence",
    "Factor",
    "FittedModel",
    "JunctionTree",
    "LinearQuery",
    "Marginal",
    "MarkovNetwork",
    "Measurement",
    "Node",
    "Residual",
    "estimate",
    "project",
]
