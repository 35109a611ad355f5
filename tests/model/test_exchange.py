"""Columns that say almost the same: the directions in which their tables cancel, and fits that do not crawl there."""

from __future__ import annotations

from itertools import combinations
from math import prod
from unittest.mock import patch

import numpy as np
import pytest

from dpsynth.measurement import Domain
from dpsynth.model import Marginal, Measurement, estimate
from dpsynth.model import exchange as module
from dpsynth.model.exchange import Exchange
from dpsynth.model.stack import Stack

DOMAIN = Domain(tuple("abcd"), (10, 12, 4, 6))


def answers(rows: float, scale: float, flipped: float) -> list[Measurement]:
    """Tables of a cycle and its chords, in which c is a function of b but for a share of the rows."""
    rng = np.random.default_rng(0)
    b = rng.choice(12, 50_000, p=rng.dirichlet(np.ones(12)))
    c = np.where(rng.random(b.size) < flipped, rng.integers(0, 4, b.size), b % 4)
    a = (b + rng.geometric(0.4, b.size) + (c == 1) * 2) % 10
    codes = dict(zip("abcd", (a, b, c, (a // 2 + rng.geometric(0.5, b.size)) % 6), strict=True))
    found = []
    for names in ("a", "b", "c", "d", "ab", "ac", "bc", "ad", "cd", "bd"):
        shape = DOMAIN.shape(tuple(names))
        place = np.ravel_multi_index(tuple(codes[name] for name in names), shape)
        counts = np.bincount(place, minlength=prod(shape)).reshape(shape) * (rows / b.size)
        found.append(Measurement.of(DOMAIN, tuple(names), counts + rng.normal(0, scale, shape), scale))
    return found


@pytest.mark.parametrize("flipped", [0.0, 0.01, 0.1])
@pytest.mark.parametrize(("rows", "scale"), [(5e4, 30.0), (1e6, 3.0), (1e8, 30.0)])
def test_a_column_that_is_a_function_of_another_in_a_cycle(flipped: float, rows: float, scale: float) -> None:
    found = estimate(DOMAIN, answers(rows, scale, flipped), rows).convergence
    assert found.converged
    assert found.evaluations < 200


def test_along_the_directions_an_exact_function_costs_nothing() -> None:
    """c a function of b: a function of (a, c) is one of (a, b), and the step moves no probability."""
    rng = np.random.default_rng(1)
    domain = Domain(tuple("abc"), (3, 8, 2))
    joint = np.zeros(domain.sizes)
    joint[:, np.arange(8), np.arange(8) % 2] = np.outer([0.2, 0.3, 0.5], rng.dirichlet(np.full(8, 50.0)))
    queries = tuple(Marginal.of(domain, tuple(names), {}) for names in ("ab", "ac", "bc"))
    stack = Stack(tuple(query.shape for query in queries))
    seen = np.concatenate([joint.sum(axis=axis).ravel() for axis in (2, 1, 0)])
    exchange = Exchange.of(queries, stack, np.full(stack.size, 0.1), seen, np.zeros(0, dtype=np.intp))
    np.testing.assert_array_equal(exchange.cells, 24 + np.arange(6))
    np.testing.assert_array_equal(exchange.onto, np.arange(24))
    np.testing.assert_allclose(exchange.left, 0, atol=1e-9)
    one, two = rng.normal(size=(2, stack.size))
    inverse = exchange.inverse(100 * seen)
    assert one @ exchange.step(inverse, two) == pytest.approx(two @ exchange.step(inverse, one))
    ab, ac, _ = stack.tables(exchange.step(inverse, one))
    total = ab[:, :, None] + ac[:, None, :]
    np.testing.assert_allclose(np.where(joint > 0, total, 0), 0, atol=1e-9)


def test_independent_columns_exchange_nothing() -> None:
    domain = Domain(tuple("abc"), (3, 6, 2))
    queries = tuple(Marginal.of(domain, tuple(names), {}) for names in ("ab", "ac", "bc"))
    stack = Stack(tuple(query.shape for query in queries))
    seen = np.concatenate([np.full(n, 1 / n) for n in (18, 6, 12)])
    exchange = Exchange.of(queries, stack, np.full(stack.size, 0.1), seen, np.zeros(0, dtype=np.intp))
    assert exchange.cells.size == 0
    np.testing.assert_array_equal(exchange.step(exchange.inverse(seen), seen), np.zeros(36))


def test_triples_are_told_apart_however_many_are_looked_at_together() -> None:
    rng = np.random.default_rng(2)
    domain = Domain(tuple("abcde"), (3, 2, 3, 2, 3))
    base = rng.integers(0, 6, 4000)
    codes = np.stack([np.where(rng.random(4000) < 0.9, base, rng.integers(0, 6, 4000)) % size for size in domain.sizes])
    queries = [Marginal.of(domain, pair, {}) for pair in combinations(domain.names, 2)]
    queries = [queries[i] for i in Stack.order([query.shape for query in queries])]
    stack = Stack(tuple(query.shape for query in queries))
    joint = np.zeros(domain.sizes)
    np.add.at(joint, tuple(codes), 1 / 4000)
    lacks = [tuple(i for i, name in enumerate(domain.names) if name not in query.columns) for query in queries]
    seen = np.concatenate([joint.sum(axis=axes).ravel() for axes in lacks])

    def found() -> Exchange:
        return Exchange.of(queries, stack, np.full(stack.size, 0.1), seen, np.zeros(0, dtype=np.intp))

    together = found()
    assert together.cells.size
    with patch.object(module, "TOGETHER", 1):
        alone = found()
    for one, two in zip(vars(together).values(), vars(alone).values(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
