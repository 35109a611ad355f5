from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Level
from dpsynth.sampling import CHUNK, ONE, IntegerTables, rows_digest, sample_chunk, sample_chunks
from dpsynth.sampling.draw import _by_rank
from tests.sampling.oracle import EVIDENCE, forest, oracle, tvd

GOLDEN = "sha256:1803fb76534677bd0e449c5956fb2a8c5f1ec20df006d589fbd61c5de088ef19"
"""Digest of 100,000 rows of ``forest()`` with seed 7. It may never change: releases hold such digests."""

GOLDEN_GIVEN = "sha256:36851622a6c6248fdc82a33c411c21aa2695bacb3bebcd5e6b428912fd6d5a0f"
"""Digest of 100,000 rows of ``forest()`` given ``EVIDENCE`` with seed 7. Nor may this: samples hold such digests."""


def drawn(tables: IntegerTables, rows: int, seed: int = 0, workers: int | None = None) -> dict[str, np.ndarray]:
    parts = list(sample_chunks(tables, rows, seed, workers))
    return {name: np.concatenate([part[name] for part in parts]) for name in tables.columns}


def expected(tables: IntegerTables) -> np.ndarray:
    """The joint distribution of the model cells, by brute force."""
    domain = tables.model_domain
    joint = np.ones(domain.sizes)
    for cell in product(*(range(size) for size in domain.sizes)):
        codes = dict(zip(domain.names, cell, strict=True))
        for node in tables.nodes:
            given = np.ravel_multi_index([codes[n] for n in node.given], domain.shape(node.given)) if node.given else 0
            new = np.ravel_multi_index([codes[n] for n in node.new], domain.shape(node.new))
            joint[cell] *= int(node.table[given, new]) / ONE
    return joint


@pytest.mark.parametrize("rows", [1, 2, 3, 17, 500])
@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_it_is_what_its_description_says(rows, seed):
    codes = sample_chunk(forest(), rows, seed, 0)
    assert {name: values.tolist() for name, values in codes.items()} == oracle(forest(), rows, seed, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2000), st.lists(st.integers(0, 300), min_size=1, max_size=20), st.integers(0, 2**32))
def test_rows_are_placed_as_if_all_keys_were_sorted(rows, weights, seed):
    rng = np.random.Generator(np.random.Philox(key=seed))
    share = np.array(weights) + 1e-3
    states = rng.choice(share.size, p=share / share.sum(), size=rows).astype(np.uint64)
    order = rng.integers(0, 2**64, rows, dtype=np.uint64) << np.uint64(seed % 64)  # alike where few bits are random
    cells = np.sort(rng.integers(0, 1 + seed % 50, rows)).astype(np.uint32)
    bits = (share.size - 1).bit_length()
    keys = zip(states.tolist(), (order >> np.uint64(bits + 20)).tolist(), range(rows), strict=True)
    expected = np.empty_like(cells)
    expected[[row for _, _, row in sorted(keys)]] = cells
    counts = np.bincount(states.view(np.int64), minlength=share.size).astype(np.uint64)
    assert _by_rank(cells, states, counts, order).tolist() == expected.tolist()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_it_is_what_its_description_says_on_random_trees(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    names = [f"x{j}" for j in range(len(sizes))]
    rng = np.random.Generator(np.random.Philox(key=data.draw(st.integers(0, 2**32))))
    nodes = []
    for j, name in enumerate(names):
        given_names = tuple(data.draw(st.lists(st.sampled_from(names[:j]), max_size=2, unique=True))) if j else ()
        states = int(np.prod([sizes[names.index(g)] for g in given_names], dtype=int))
        nodes.append((given_names, (name,), rng.integers(0, 3, (states, sizes[j])).astype(float)))
    levels = []
    for name, size in zip(names, sizes, strict=True):
        cells = np.concatenate([np.arange(size), rng.integers(0, size, data.draw(st.integers(0, 4)))])
        levels.append(Level(name, rng.permutation(cells).astype(np.uint16)))
    weights = {level.column: rng.integers(0, 3, level.fine).astype(float) for level in levels}
    tables = IntegerTables.build(nodes, levels, weights, 0)
    rows = data.draw(st.integers(1, 40))
    codes = sample_chunk(tables, rows, 3, 0)
    assert {name: values.tolist() for name, values in codes.items()} == oracle(tables, rows, 3, 0)


@pytest.mark.parametrize("rows", [1, 10, 1000, 100_000])
def test_every_table_is_met_within_its_rounding(rows):
    """In each parent state every cell holds the floor or the ceiling of its expectation."""
    tables = forest()
    codes = drawn(tables, rows)
    coarse = {level.column: level.cells[codes[level.column]].astype(np.int64) for level in tables.levels}
    domain = tables.model_domain
    bound = {}
    for node in tables.nodes:
        names = (*node.given, *node.new)
        counts = np.bincount(
            np.ravel_multi_index([coarse[name] for name in names], domain.shape(names)), minlength=node.table.size
        ).reshape(node.table.shape)
        exact = counts.sum(axis=1).astype(object)[:, None] * node.table.astype(object)  # units of 2^-32 of a row
        assert (abs(counts.astype(object) * ONE - exact) < ONE).all()
        bound[node.new] = counts.size / (2 * rows)
    for level, weights in zip(tables.levels, tables.weights, strict=True):
        counts = np.bincount(codes[level.column], minlength=level.fine)
        group = np.bincount(coarse[level.column], minlength=level.size)[level.cells]
        assert (abs(counts.astype(object) * ONE - group.astype(object) * weights.astype(object)) < ONE).all()
    # ... so the tree's joint is met within the sum of the roundings along it (its siblings aside, which are random)
    joint = np.zeros(domain.shape(("a", "b")))
    np.add.at(joint, (coarse["a"], coarse["b"]), 1 / rows)
    assert tvd(joint, expected(tables).sum(axis=(2, 3, 4, 5))) <= bound[("a",)] + bound[("b",)]


def test_offsets_make_the_rounding_unbiased():
    """Over many seeds each cell's mean count is its expectation: one row among three cells, 4,000 times."""
    tables = IntegerTables.build([((), ("x",), np.array([[0.2, 0.3, 0.5]]))], [Level.identity("x", 3)], {}, 0)
    counts = np.bincount([int(sample_chunk(tables, 1, seed, 0)["x"][0]) for seed in range(4000)], minlength=3)
    chi2 = ((counts - 4000 * np.array([0.2, 0.3, 0.5])) ** 2 / (4000 * np.array([0.2, 0.3, 0.5]))).sum()
    assert chi2 < 20  # 2 degrees of freedom: p < 5e-5; fixed seeds, so it never flickers


def test_siblings_are_independent_given_their_parent():
    """Rank-ordered filling would make equal siblings identical in every state; a random order leaves no trace."""
    child = np.tile([0.1, 0.2, 0.3, 0.4], (3, 1))
    nodes = [((), ("a",), np.ones((1, 3))), *((("a",), (name,), child) for name in ("b", "c"))]
    tables = IntegerTables.build(nodes, [Level.identity(n, s) for n, s in (("a", 3), ("b", 4), ("c", 4))], {}, 0)
    codes = drawn(tables, 120_000)
    for state in range(3):
        inside = codes["a"] == state
        joint = np.zeros((4, 4))
        np.add.at(joint, (codes["b"][inside], codes["c"][inside]), 1)
        product_of_margins = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / inside.sum()
        chi2 = ((joint - product_of_margins) ** 2 / product_of_margins).sum()
        assert chi2 < 40  # 9 degrees of freedom: p < 1e-5; rank-ordered filling gives 3 x 40,000


def test_unrelated_trees_and_spreads_are_independent():
    tables = forest()
    codes = drawn(tables, 60_000)
    for left, right in (("a", "e"), ("c", "f"), ("d", "e")):
        joint = np.zeros((tables.fine[tables.columns.index(left)], tables.fine[tables.columns.index(right)]))
        np.add.at(joint, (codes[left], codes[right]), 1)
        joint = joint[joint.sum(axis=1) > 0][:, joint.sum(axis=0) > 0]
        even = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / joint.sum()
        freedom = (joint.shape[0] - 1) * (joint.shape[1] - 1)
        assert ((joint - even) ** 2 / even).sum() < freedom + 6 * np.sqrt(2 * freedom)


def test_the_order_of_rows_tells_nothing():
    codes = drawn(forest(), 50_000)
    for values in codes.values():
        same_as_next = (values[1:] == values[:-1]).mean()
        by_chance = (np.bincount(values) / values.size) @ (np.bincount(values) / values.size)
        assert abs(same_as_next - by_chance) < 6 * np.sqrt(by_chance / values.size)
        first, second = np.split(values, 2)
        assert abs(first.mean() - second.mean()) < 6 * values.std() * np.sqrt(4 / values.size)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_rows(rows):
    tables = forest()
    parts = list(sample_chunks(tables, rows, 1))
    assert len(parts) == (rows > 0)
    for part in parts:
        assert list(part) == list(tables.columns)
        for values, fine in zip(part.values(), tables.fine, strict=True):
            assert values.dtype == np.uint16
            assert values.shape == (rows,)
            assert (values < fine).all()


def small() -> IntegerTables:
    nodes = [((), ("a",), np.array([[1.0, 2.0]])), (("a",), ("b",), np.array([[3.0, 1.0], [0.0, 1.0]]))]
    return IntegerTables.build(nodes, [Level.identity("a", 2), Level("b", np.array([0, 1, 1]))], {}, 0)


def test_a_chunk_alone_equals_the_chunk_of_the_whole():
    rows = 2 * CHUNK + 5
    whole = list(sample_chunks(small(), rows, 9, workers=1))
    assert [part["a"].size for part in whole] == [CHUNK, CHUNK, 5]
    for chunk in (2, 0, 1):
        alone = sample_chunk(small(), rows, 9, chunk)
        assert all(np.array_equal(alone[name], whole[chunk][name]) for name in ("a", "b"))
    threaded = list(sample_chunks(small(), rows, 9, workers=3))
    assert all(np.array_equal(p[n], q[n]) for p, q in zip(whole, threaded, strict=True) for n in ("a", "b"))
    assert not np.array_equal(whole[0]["a"], whole[1]["a"])


def test_leaving_early_leaves_nothing_behind():
    found = sample_chunks(small(), 4 * CHUNK, 9, workers=2)
    next(found)
    found.close()  # type: ignore[attr-defined]


def test_a_full_chunk_in_one_sure_cell_does_not_overflow():
    """The largest product there is: 2^20 rows of a state times a mass of 2^32."""
    nodes = [((), ("x",), np.array([[0.0, 1.0, 0.0]]))]
    tables = IntegerTables.build(nodes, [Level.identity("x", 3)], {}, 0)
    assert np.bincount(sample_chunk(tables, CHUNK, 0, 0)["x"]).tolist() == [0, CHUNK]


def test_a_wide_joint_root():
    """More than 2^16 joint cells in one table."""
    nodes = [((), ("x", "y"), np.ones((1, 300 * 300)))]
    tables = IntegerTables.build(nodes, [Level.identity("x", 300), Level.identity("y", 300)], {}, 0)
    codes = sample_chunk(tables, 90_000, 0, 0)
    assert np.bincount(codes["x"].astype(int) * 300 + codes["y"]).max() <= 2
    assert (np.bincount(codes["x"]) > 290).all()


def test_many_parent_states():
    """A state for each of 90,000 cells, more states than rows of most of them."""
    size = 300
    child = np.zeros((size * size, 2))
    child[np.arange(size * size), np.arange(size * size) % 2] = 1
    nodes = [((), ("x", "y"), np.ones((1, size * size))), (("x", "y"), ("z",), child)]
    levels = [Level.identity("x", size), Level.identity("y", size), Level.identity("z", 2)]
    codes = sample_chunk(IntegerTables.build(nodes, levels, {}, 0), 10_000, 0, 0)
    assert np.array_equal(codes["z"], (codes["x"].astype(int) * size + codes["y"]) % 2)


@pytest.mark.parametrize(("rows", "seed"), [(-1, 0), (1, -1), (1, 2**63)])
def test_refusals(rows, seed):
    with pytest.raises(ConfigurationError, match="give"):
        sample_chunks(forest(), rows, seed)


def test_a_chunk_that_is_not_there():
    with pytest.raises(ConfigurationError, match="chunk 1"):
        sample_chunk(forest(), 10, 0, 1)


def test_known_answer():
    assert rows_digest(forest(), 100_000, 7) == GOLDEN
    assert rows_digest(forest().given(EVIDENCE), 100_000, 7) == GOLDEN_GIVEN


def test_rows_do_not_depend_on_the_processor():
    """numpy picks its sorting and arithmetic kernels by processor; with all of them off the rows are the same."""
    from numpy._core import _multiarray_umath as kernels  # type: ignore[attr-defined]

    names = [name for name in kernels.__cpu_dispatch__ if kernels.__cpu_features__.get(name)]
    code = (
        "import json; from numpy._core import _multiarray_umath as k;"
        "from tests.sampling.oracle import EVIDENCE, forest; from dpsynth.sampling import rows_digest;"
        "print(json.dumps([[n for n in k.__cpu_dispatch__ if k.__cpu_features__.get(n)],"
        "rows_digest(forest(), 100_000, 7), rows_digest(forest().given(EVIDENCE), 100_000, 7)]))"
    )
    environment = {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(names),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == [[], GOLDEN, GOLDEN_GIVEN]
