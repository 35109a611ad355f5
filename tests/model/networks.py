"""Fitted networks for the tests: the exact beliefs of random worlds, summed from their joint tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dpsynth.measurement import Domain
from dpsynth.model import Convergence, JunctionTree, MarkovNetwork
from tests.model.worlds import World, joint_of, summed


def network_of(world: World, zeros: float = 0.0, total: float = 1000.0) -> tuple[MarkovNetwork, np.ndarray]:
    """A network with a share of structural zeros, and its joint probabilities. One random cell stays possible."""
    domain, rng = world.domain, world.rng
    tree = JunctionTree.of(domain, world.cliques)
    kept = {name: rng.integers(0, size) for name, size in zip(domain.names, domain.sizes, strict=True)}
    tables = []
    for node in tree.nodes:
        table = rng.normal(0, 2, domain.shape(node.columns))
        ruled_out = rng.random(table.shape) < zeros
        ruled_out[tuple(kept[name] for name in node.columns)] = False
        tables.append(np.where(ruled_out, -np.inf, table))
    joint, _ = joint_of(domain, tree, tables)
    return from_joint(tree, joint, total), joint


def from_joint(tree: JunctionTree, joint: np.ndarray, total: float = 1000.0) -> MarkovNetwork:
    """The network of a joint table that factorises over the tree."""
    beliefs = tuple(np.ascontiguousarray(summed(joint, tree.domain, node.columns)) for node in tree.nodes)
    return MarkovNetwork(tree, beliefs, total)


def chain(length: int, step: np.ndarray, total: float = 1.0) -> MarkovNetwork:
    """Columns x0, x1, ... of a Markov chain that begins in its stationary distribution, uniform for every ``step``."""
    size = len(step)
    names = tuple(f"x{i}" for i in range(length))
    domain = Domain(names, (size,) * length)
    tree = JunctionTree.of(domain, pairwise(names))
    beliefs = []
    for node in tree.nodes:
        one, two = node.columns
        forward = int(one[1:]) < int(two[1:])
        beliefs.append((step if forward else step.T) / size)
    return MarkovNetwork(tree, tuple(beliefs), total, convergence=Convergence(3, 1e-6, True))
