"""The ties of the published tables against the brute-force joint."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings

from dpsynth.measurement import Level
from dpsynth.model import FittedModel, JunctionTree, MarkovNetwork
from dpsynth.release.picture import picture
from dpsynth.sampling import IntegerTables
from tests.model.worlds import World, joint_of, summed, worlds


@settings(max_examples=60)
@given(worlds())
def test_strengths_are_distances_from_independence(world: World) -> None:
    tree, rng = JunctionTree.of(world.domain, world.cliques), world.rng
    joint, _ = joint_of(
        world.domain, tree, [rng.normal(0, 2, tree.node_domain(i).sizes) for i in range(len(tree.nodes))]
    )
    beliefs = tuple(summed(joint, world.domain, node.columns) for node in tree.nodes)
    levels = {name: Level.identity(name, world.domain.size(name)) for name in world.domain.names}
    weights = {name: np.ones(level.fine) for name, level in levels.items()}
    tables = IntegerTables.from_model(FittedModel(MarkovNetwork(tree, beliefs, 10.0), levels, weights, 10))

    found = picture(tables, world.cliques)
    assert found.columns == world.domain.names
    held = {pair for node in tree.nodes for pair in combinations(sorted(node.columns), 2)}
    assert [tie.columns for tie in found.ties] == sorted(held)  # the columns of a world are named in order
    for tie in found.ties:
        pair = summed(joint, world.domain, tie.columns)
        apart = np.abs(pair - np.outer(pair.sum(axis=1), pair.sum(axis=0))).sum() / 2
        assert tie.strength == pytest.approx(apart, abs=1e-6)
        assert tie.asked == any(set(tie.columns) <= set(clique) for clique in world.cliques)
