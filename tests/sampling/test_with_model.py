"""The tables of real networks, and rows through real codecs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.encoding import layout
from dpsynth.measurement import Domain, Level
from dpsynth.model import FittedModel
from dpsynth.model.junction import JunctionTree
from dpsynth.model.network import MarkovNetwork
from dpsynth.sampling import ONE, IntegerTables, from_bytes, records, sample_chunk, to_bytes
from dpsynth.schema import Schema
from tests.sampling.oracle import tvd


def network(domain: Domain, cliques: list[tuple[str, ...]], joint: np.ndarray, total: float) -> MarkovNetwork:
    """The projection of a joint table on the tree of some cliques."""
    tree = JunctionTree.of(domain, cliques)
    beliefs = []
    for node in tree.nodes:
        others = tuple(i for i, name in enumerate(domain.names) if name not in node.columns)
        kept = [name for name in domain.names if name in node.columns]
        beliefs.append(joint.sum(axis=others).transpose([kept.index(name) for name in node.columns]).copy())
    return MarkovNetwork(tree, tuple(beliefs), total)


def fitted(net: MarkovNetwork, levels: dict[str, Level]) -> FittedModel:
    weights = {name: np.ones(level.fine) for name, level in levels.items()}
    return FittedModel(net, levels, weights, 100)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_tables_are_the_network_and_samples_are_the_tables(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    names = tuple(f"x{i}" for i in range(len(sizes)))
    pairs = list(combinations(names, 2))
    cliques = data.draw(st.lists(st.sampled_from([*pairs, names]), max_size=3))
    rng = np.random.Generator(np.random.Philox(key=data.draw(st.integers(0, 1000))))
    joint = rng.random(sizes) * (rng.random(sizes) < 0.7) + 1e-3 * (rng.random(sizes) < 0.1)
    if joint.sum() == 0:
        joint[(0,) * len(sizes)] = 1.0
    joint /= joint.sum()
    domain = Domain(names, tuple(sizes))
    net = network(domain, cliques, joint, 100.0)
    model = fitted(net, {name: Level.identity(name, size) for name, size in zip(names, sizes, strict=True)})
    tables = from_bytes(to_bytes(IntegerTables.from_model(model)))
    assert tables.columns == names
    for index, node in enumerate(tables.nodes):
        exact = net.conditional(index).values.reshape(node.table.shape)
        possible = exact.sum(axis=1) > 0
        assert np.abs(node.table[possible] / ONE - exact[possible]).max() < 1.01 / ONE
    rows = 20_000
    codes = sample_chunk(tables, rows, 0, 0)
    for clique in cliques:
        shares = np.zeros(domain.shape(clique))
        np.add.at(shares, tuple(codes[name] for name in clique), 1 / rows)
        # Each node on the way adds at most cells/(2 rows); a pair through independent draws adds chance.
        assert tvd(shares, net.probabilities(clique)) <= tables.cells / (2 * rows) + 0.02


def test_a_structural_zero_is_never_drawn():
    joint = np.array([[0.5, 0.0], [0.25, 0.25]])
    net = network(Domain(("a", "b"), (2, 2)), [("a", "b")], joint, 10.0)
    model = fitted(net, {"a": Level.identity("a", 2), "b": Level.identity("b", 2)})
    codes = sample_chunk(IntegerTables.from_model(model), 10_000, 0, 0)
    assert not ((codes["a"] == 0) & (codes["b"] == 1)).any()
    assert ((codes["a"] == 0) & (codes["b"] == 0)).sum() == 5000


SCHEMA = """
[columns.age]
type = "integer"
min = 0
max = 99
bins = 10
nullable = true

[columns.wage]
type = "real"
min = 0.0
max = 1000.0
bins = 8

[columns.city]
type = "categorical"
values = ["Graz", "Wien", "<script>"]

[columns.retired]
type = "boolean"
nullable = true
"""


def test_records_encode_back_to_their_codes():
    pytest.importorskip("pyarrow")
    schema = Schema.parse(SCHEMA)
    whole = layout(schema)
    chosen = whole.codecs
    levels = [Level(codec.name, codec.level()) for codec in chosen]
    nodes = [((), (level.column,), np.arange(1.0, level.size + 1)[np.newaxis, :]) for level in levels]
    tables = IntegerTables.build(nodes, levels, {}, 0)
    codes = sample_chunk(tables, 5000, 11, 0)
    (batch,) = records(tables, whole, 5000, 11)
    assert [str(field.type) for field in batch.schema] == ["int64", "double", "string", "bool"]
    for codec in chosen:
        assert np.array_equal(codec.encode(batch[codec.name]), codes[codec.name])
    (nothing,) = records(tables, whole, 0, 11)
    assert nothing.schema == batch.schema
    (again,) = records(tables, whole, 5000, 11)
    assert again.equals(batch)
