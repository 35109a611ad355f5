"""Tables given evidence: the model's distribution of rows, conditioned on what columns may hold, in integers.

Evidence says how far each fine cell of some columns is admitted. One pass from the last node to the first multiplies
each table by what its new columns and the nodes below it say (an upward message: for each state of the given columns,
how likely the evidence below is), makes every row a distribution again and hands the sum of the row up. Conditional
tables in the same order are the result, so that the sampler draws from them as from any others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError, nearest
from dpsynth.measurement import Domain, Level
from dpsynth.sampling.fixed import BLOCK
from dpsynth.sampling.scaled import Scaled, distributions
from dpsynth.sampling.tables import IntegerTables, Node

Evidence = Mapping[str, NDArray[np.bool_] | NDArray[np.uint64]]
"""Column -> how far each of its fine cells is admitted."""

MOST = 1 << 31
"""The largest number in evidence; a weight of at most 2^32 times it still fits 64 bits."""


def condition(tables: IntegerTables, evidence: Evidence) -> IntegerTables:
    """See :meth:`IntegerTables.given`."""
    unknown = sorted(set(evidence) - set(tables.columns))
    if unknown:
        raise ConfigurationError(f"the model has no column {unknown[0]!r}{nearest(unknown[0], tables.columns)}")
    home = {name: index for index, node in enumerate(tables.nodes) for name in node.new}
    factors: list[list[_Factor]] = [[] for _ in tables.nodes]
    weights, nodes = list(tables.weights), list(tables.nodes)
    for place, level in enumerate(tables.levels):  # in the order of the columns, whatever that of the evidence
        name = level.column
        if name not in evidence:
            continue
        admitted = _checked(name, evidence[name], level.fine)
        if admitted.min() < admitted.max() or not admitted[0]:  # else it says nothing
            weights[place], likelihood = _spread(level, weights[place], admitted)
            factors[home[name]].append(_Factor((name,), likelihood, (name,)))
    for index in reversed(range(len(nodes))):
        if not factors[index]:
            continue
        nodes[index], message = _conditioned(nodes[index], factors[index], tables.model_domain)
        if not message.columns:
            if not message.values.mantissa[0]:
                columns = ", ".join(repr(name) for name in tables.columns if name in message.about)
                raise ConfigurationError(
                    f"the model holds it impossible that a row has these values of {columns}: admit more"
                )
            continue
        owner = max(home[name] for name in message.columns)
        if not set(message.columns) <= {*nodes[owner].given, *nodes[owner].new}:
            raise ConfigurationError(
                f"the node of {nodes[index].new} is given columns that no earlier node holds together: such a model "
                "cannot be conditioned"
            )
        factors[owner].append(message)
    return replace(tables, nodes=tuple(nodes), weights=tuple(weights))


@dataclass(frozen=True, eq=False)
class _Factor:
    """What evidence ``about`` some columns says of the joint model cells of ``columns``: flat, row-major."""

    columns: tuple[str, ...]
    values: Scaled
    about: tuple[str, ...]


def _checked(name: str, admitted: NDArray[np.bool_] | NDArray[np.uint64], fine: int) -> NDArray[np.uint64]:
    if admitted.shape != (fine,) or admitted.dtype not in (np.bool_, np.uint64) or (admitted > MOST).any():
        raise ConfigurationError(f"evidence on {name!r} needs a truth value, or a uint64 up to 2^31, for {fine} cells")
    return admitted.astype(np.uint64)


def _spread(
    level: Level, weight: NDArray[np.uint64], admitted: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], Scaled]:
    """How model cells spread over what is admitted of their fine cells, and how likely that is in each."""
    product = weight * admitted
    likelihood = np.zeros(level.size, dtype=np.uint64)
    np.add.at(likelihood, level.cells, product)
    result = weight.copy()
    full = np.zeros(level.size, dtype=np.uint64)
    np.maximum.at(full, level.cells, admitted)
    partial = np.zeros(level.size, dtype=np.bool_)
    partial[level.cells[admitted < full[level.cells]]] = True
    for cell in np.flatnonzero(partial & (likelihood > 0)):
        members = np.flatnonzero(level.cells == cell)
        result[members] = distributions(Scaled.of(product[np.newaxis, members]))[0][0]
    return result, Scaled.of(likelihood)


def _conditioned(node: Node, factors: Sequence[_Factor], domain: Domain) -> tuple[Node, _Factor]:
    """The node given its factors, and its message. A state in which the evidence is impossible keeps its row."""
    states, cells = node.table.shape
    table = np.empty_like(node.table)
    sums = Scaled(np.empty(states, dtype=np.uint64), np.empty(states, dtype=np.int32))
    places = [_places(factor.columns, node, domain) for factor in factors]
    step = max(1, BLOCK // cells)
    for first in range(0, states, step):
        block = slice(first, first + step)
        product = Scaled.of(node.table[block])
        for factor, (by_state, by_cell) in zip(factors, places, strict=True):
            product = product * factor.values[by_state[block, np.newaxis] + by_cell]
        table[block], found = distributions(product)
        sums.mantissa[block], sums.exponent[block] = found.mantissa, found.exponent
    never = sums.mantissa == 0
    table[never] = node.table[never]
    about = tuple(name for factor in factors for name in factor.about)
    return Node(node.given, node.new, table), _Factor(node.given, sums, about)


def _places(columns: Sequence[str], node: Node, domain: Domain) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in a factor over ``columns`` each cell of the table lies: the sum of what its state and its cell give."""
    strides = {name: domain.cells(columns[place + 1 :]) for place, name in enumerate(columns)}

    def flat(names: Sequence[str]) -> NDArray[np.int64]:
        result = np.zeros(1, dtype=np.int64)
        for name in names:
            digit = np.arange(domain.size(name)) * strides.get(name, 0)
            result = (result[:, np.newaxis] + digit).ravel()
        return result

    return flat(node.given), flat(node.new)
