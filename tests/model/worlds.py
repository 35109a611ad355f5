"""Small worlds for the tests of the model: domains, clique sets and the joint table that they are checked against."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from hypothesis import strategies as st

from dpsynth.measurement import Domain
from dpsynth.model import JunctionTree


@dataclass(frozen=True)
class World:
    """A domain, some cliques over it (empty, nested, disconnected, repeated ones among them), and a seed."""

    domain: Domain
    cliques: tuple[tuple[str, ...], ...]
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


@st.composite
def worlds(draw: st.DrawFn, columns: int = 6, cells: int = 600) -> World:
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=columns).filter(lambda s: prod(s) <= cells))
    names = tuple(f"x{i}" for i in range(len(sizes)))
    clique = st.lists(st.sampled_from(names), max_size=3, unique=True).map(tuple)
    cliques = draw(st.lists(clique, max_size=2 * len(names)))
    return World(Domain(names, tuple(sizes)), tuple(cliques), draw(st.integers(0, 2**32 - 1)))


def joint_of(domain: Domain, tree: JunctionTree, potentials: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """The joint probabilities of log-potentials on the nodes, and the log-partition, by brute force in log space."""
    return joint_over(domain, tuple(node.columns for node in tree.nodes), potentials)


def joint_over(
    domain: Domain, cliques: tuple[tuple[str, ...], ...], potentials: list[np.ndarray]
) -> tuple[np.ndarray, float]:
    """The same of log-potentials on cliques; nan where no cell is possible."""
    total = np.zeros(domain.sizes)
    for clique, table in zip(cliques, potentials, strict=True):
        order = [clique.index(n) for n in domain.names if n in clique]
        total = total + table.transpose(order).reshape([domain.size(n) if n in clique else 1 for n in domain.names])
    top = total.max()
    weights = np.exp(total - top)
    return weights / weights.sum(), float(top + np.log(weights.sum()))


def summed(joint: np.ndarray, domain: Domain, names: tuple[str, ...]) -> np.ndarray:
    """A marginal of a joint table, axes in the order asked."""
    kept = [n for n in domain.names if n in names]
    table = joint.sum(axis=tuple(i for i, n in enumerate(domain.names) if n not in names))
    return table.transpose([kept.index(n) for n in names])


def summing(values: np.ndarray, weights: np.ndarray, rows: float) -> np.ndarray:
    """Values shifted along the weights to sum to the rows."""
    weights = np.broadcast_to(weights, values.shape)
    return values + (rows - values.sum()) * (weights / weights.sum())
