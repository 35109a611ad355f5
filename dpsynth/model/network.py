"""Markov network: a fitted distribution over the cells of a model, as the calibrated tables of a junction tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from math import exp

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError, nearest
from dpsynth.measurement import Domain
from dpsynth.model.evidence import collect, distribute
from dpsynth.model.factor import Factor, Floats
from dpsynth.model.junction import CELLS, JunctionTree
from dpsynth.model.marginals import answer
from dpsynth.model.routes import Routes


@dataclass(frozen=True)
class Convergence:
    """How a fit ended: ``distance`` bounds its total variation distance to the exact minimum of its objective."""

    evaluations: int
    distance: float
    converged: bool


@dataclass(frozen=True, eq=False)
class MarkovNetwork:
    """A distribution over ``tree.domain`` and a total of rows.

    ``beliefs[i]`` holds the joint probabilities of ``tree.nodes[i]``, axes ``given + new``, float64, summing to 1; the
    beliefs of neighbours agree on their separators. ``total`` is the estimated number of rows (real, may be 0).
    ``potentials`` holds the fit's log-potentials under the names of the effects measured: a later fit may start there.
    """

    tree: JunctionTree
    beliefs: tuple[Floats, ...]
    total: float
    potentials: Mapping[str, Floats] = field(default_factory=dict)
    convergence: Convergence = Convergence(0, 0.0, True)

    @property
    def domain(self) -> Domain:
        """The columns with their numbers of model cells."""
        return self.tree.domain

    def conditional(self, index: int) -> Factor:
        """P(new | given) of a node; for a root its probabilities. Zero where the given state is impossible."""
        domain = self.tree.node_domain(index)
        rows = self.beliefs[index].reshape(self.domain.cells(self.tree.nodes[index].given), -1)
        mass = rows.sum(axis=1, keepdims=True)
        shares = np.divide(rows, mass, out=np.zeros_like(rows), where=mass > 0)
        return Factor(domain, shares.reshape(domain.sizes))

    def probabilities(self, names: Iterable[str], limit: int = CELLS) -> Floats:
        """The joint probabilities of any columns, axes in the order given.

        ConfigurationError if a table on the way would hold more than ``limit`` cells.
        """
        wanted = tuple(names)
        ((_, table),) = self.tables([wanted], limit)
        if table is None:
            raise ConfigurationError(_too_large(wanted, self.domain.cells(wanted), limit))
        return table

    def tables(
        self, asked: Iterable[tuple[str, ...]], limit: int = CELLS
    ) -> Iterator[tuple[tuple[str, ...], Floats | None]]:
        """The joint probabilities of each distinct tuple of columns, axes in its order, read-only, sharing all work.

        They come as soon as they are known, in no particular order, so that not all need be held at once. None stands
        for what would need a table of more than ``limit`` cells on the way. The smaller column of a pair needs its
        cells times the states of each separator on its way to the larger; three columns meet between them. ValueError
        for a column that is unknown or named twice.
        """
        chosen = tuple(asked)
        for names in dict.fromkeys(chosen):
            if len(set(names)) != len(names) or not self._routes.sizes.keys() >= set(names):
                raise ValueError(f"a marginal names each of its columns once; asked {names}")
        return answer(self._routes, self.beliefs, chosen, limit)

    def pairs(self, limit: int = CELLS) -> Iterator[tuple[tuple[str, ...], Floats | None]]:
        """The joint probabilities of every two columns, the earlier one of the domain first: see ``tables``."""
        return self.tables(combinations(self.domain.names, 2), limit)

    def marginal(self, names: Iterable[str], limit: int = CELLS) -> Floats:
        """Expected counts of any columns: their probabilities times the total."""
        return self.probabilities(names, limit) * self.rows

    def log_probability(self, evidence: Mapping[str, NDArray[np.floating | np.bool_]]) -> float:
        """The log of the probability of some evidence; minus infinity if it is impossible: see ``given``."""
        return collect(self.tree, self.beliefs, self._weights(evidence)).log_probability

    def given(self, evidence: Mapping[str, NDArray[np.floating | np.bool_]]) -> MarkovNetwork:
        """The distribution given some evidence: for each of some columns a mask, or weights >= 0, of its model cells.

        The probability of the evidence is the expected product of the weights: of masks, the probability that all
        hold. The total is multiplied by it; what the model rules out stays ruled out, exactly. The result holds no
        potentials, and its distance to the exact minimum is bounded from that of the fit. ConfigurationError for a
        column that is unknown and for evidence of probability zero, ValueError for weights that do not fit.
        """
        weights = self._weights(evidence)
        collected = collect(self.tree, self.beliefs, weights)
        if not collected.log_probability > -np.inf:
            asked = ", ".join(map(repr, weights))
            raise ConfigurationError(
                f"the model holds no row with what is asked of {asked}: ask for more of their cells"
            )
        share = collected.log_probability - sum(float(np.log(weight.max())) for weight in weights.values())
        distance = 2 * self.convergence.distance * exp(min(-share, 700.0))
        return MarkovNetwork(
            self.tree,
            distribute(self.tree, collected.rows),
            self.total * exp(collected.log_probability),
            convergence=replace(self.convergence, distance=min(1.0, distance)),
        )

    def _weights(self, evidence: Mapping[str, NDArray[np.floating | np.bool_]]) -> dict[str, Floats]:
        weights = {}
        for name, given in evidence.items():
            if name not in self.domain:
                raise ConfigurationError(f"the model has no column {name!r}{nearest(name, self.domain.names)}")
            weight = np.asarray(given, dtype=np.float64)
            if weight.shape != (self.domain.size(name),) or not np.isfinite(weight).all() or (weight < 0).any():
                raise ValueError(
                    f"evidence on {name!r} needs a weight >= 0 for each of its {self.domain.size(name)} cells"
                )
            weights[name] = weight
        return weights

    @property
    def rows(self) -> float:
        """The total, or 0 where the estimate is negative."""
        return max(self.total, 0.0)

    @cached_property
    def _routes(self) -> Routes:
        return Routes.of(self.tree)


def _too_large(names: tuple[str, ...], cells: int, limit: int) -> str:
    table = f"the joint table of {', '.join(names)} needs "
    asked = f"{cells:,} cells" if cells > limit else "larger tables on the way to it"
    return f"{table}{asked} and the limit is {limit:,} cells: ask fewer columns, or columns of fewer cells"
