"""Plans and their steps against einsum."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.model import JunctionTree, products, steps
from dpsynth.model.contraction import plan
from tests.model.worlds import World, worlds

TEXTS = [
    *(("bmk", "bkn", "bmn"), ("bkm", "bkn", "bnm"), ("bmk", "bnk", "bmn"), ("bkm", "bnk", "bnm")),
    *(("mkb", "knb", "mnb"), ("kmb", "nkb", "nmb"), ("mb", "nb", "mnb"), ("bm", "bn", "bnm"), ("mnb", "nb", "mb")),
    *(("mk", "kn", "mn"), ("km", "nk", "nm"), ("mk", "k", "m"), ("km", "k", "m"), ("k", "mk", "m"), ("k", "km", "m")),
    *(("k", "k", ""), ("", "k", "k"), ("b", "b", "b"), ("m", "n", "mn"), ("m", "n", "nm"), ("kb", "kb", "b")),
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TEXTS), st.data(), st.sampled_from([(1 << 18, 256, 9000), (300, 4, 20)]), st.booleans())
def test_every_rule_is_an_einsum(
    texts: tuple[str, str, str], data: st.DataObject, limits: tuple[int, int, int], matrices: bool
) -> None:
    """Also where products of matrices are cut into pieces, in all three dimensions."""
    sizes = st.sampled_from([1, 2, 5, 13, 40] if matrices else [1, 2, 3])
    size = {letter: data.draw(sizes) if letter != "b" else data.draw(st.sampled_from([1, 3])) for letter in "bmkn"}
    x, y, out = texts
    rng = np.random.default_rng(0)
    a, b = (rng.random([size[c] for c in text]) for text in (x, y))
    pieces = mock.patch.multiple(products, ONE_THREAD=limits[0], DEPTH=limits[1])
    with pieces, mock.patch.object(steps, "VECTOR", limits[2]):
        found = steps.rule(x, y, out, size)(a.reshape(-1), b.reshape(-1))
    np.testing.assert_allclose(found, np.einsum(f"{x},{y}->{out}", a, b).reshape(-1), rtol=1e-12)


@settings(max_examples=200)
@given(worlds(columns=8, cells=10_000))
def test_a_plan_uses_every_table_once_and_stays_inside_the_nodes(world: World) -> None:
    tree = JunctionTree.of(world.domain, world.cliques)
    masks = [sum(1 << world.domain.names.index(n) for n in clique) for clique in world.cliques if clique]
    nodes = [sum(1 << world.domain.names.index(n) for n in node.columns) for node in tree.nodes]
    given_ = [sum(1 << world.domain.names.index(n) for n in node.given) for node in tree.nodes]
    pools: list[dict[int, int]] = [{} for _ in nodes]
    for number, mask in enumerate(masks):
        pools[next(i for i, node in enumerate(nodes) if not mask & ~node)][number] = mask
    parents = [node.parent for node in tree.nodes]
    found, roots = plan(pools, given_, parents, world.domain.sizes, len(masks))
    columns = dict(enumerate(masks))
    for step in found:  # a sum is a contraction with ones over what is summed
        left, right = columns.pop(step.left), step.k if step.right is None else columns.pop(step.right)
        assert step.b | step.m | step.k == left and step.b | step.n | step.k == right
        assert not any(step.k & mask for mask in columns.values())
        assert any(not (left | right) & ~node for node in nodes)
        columns[step.out] = step.b | step.m | step.n
    assert set(columns) == set(roots) and not any(columns.values())


def test_a_step_and_its_derivatives() -> None:
    """Axes that have to be permuted first, against finite differences."""
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 3, 4)), rng.random((3, 5))
    source = steps.Source(0, (2, 3, 4), (2, 0, 1), (1, 2, 0))
    size = {"m": 8, "k": 3, "n": 5}
    rules = (steps.rule("mk", "kn", "mn", size), steps.rule("mn", "kn", "mk", size), steps.rule("mn", "mk", "kn", size))
    step = steps.Pair(source, steps.Source(1), rules, 3, 2)
    tables = [a.reshape(-1), b.reshape(-1)]
    weights = rng.random(40)
    slopes = [np.empty(0)] * 3
    step.reverse(weights, tables, slopes)
    for number in range(2):
        for cell in range(0, tables[number].size, 3):
            moved = [t.copy() for t in tables]
            moved[number][cell] += 1e-3
            change = (step.forward(moved) - step.forward(tables)) @ weights / 1e-3
            assert slopes[number][cell] == pytest.approx(change, rel=1e-9)
