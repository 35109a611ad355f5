from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.measurement import TOTAL, Domain, Level, NoisyMarginal, Query
from dpsynth.mechanisms.assemble import fit_model
from dpsynth.mechanisms.oneway import OneWay, best_total, first_steps, one_way_weights
from tests.mechanisms.fake import first_of


def levels(*sizes: int) -> dict[str, Level]:
    return {f"x{i}": Level.identity(f"x{i}", size) for i, size in enumerate(sizes)}


def total(count: int, sigma: str) -> NoisyMarginal:
    scale = Fraction(sigma)
    return NoisyMarginal(TOTAL, np.array(count), scale, "rounded_gaussian" if scale else "public_count", 1)


def one_way(level: Level, values: list[int], sigma: str) -> NoisyMarginal:
    return NoisyMarginal(Query((level,)), np.array(values), Fraction(sigma), "rounded_gaussian", 2)


def pair(query: Query, values: list[list[int]]) -> NoisyMarginal:
    return NoisyMarginal(query, np.array(values), Fraction(1), "rounded_gaussian", 3)


@given(st.lists(st.integers(1, 4097), min_size=1, max_size=9))
def test_weights_are_the_two_thirds_power_rounded_up(sizes: list[int]) -> None:
    found = levels(*sizes)
    weights = one_way_weights(found, tuple(found))
    for size, weight in zip(sizes, weights, strict=True):
        assert 0 <= weight - 10 * size ** (2 / 3) < 1 + 1e-9


def test_the_split_minimises_the_expected_error() -> None:
    sizes = np.array([2, 9, 85])
    found = levels(*sizes.tolist())
    weights = np.array(one_way_weights(found, tuple(found)))
    price = weights / weights.sum()

    def error(p: np.ndarray) -> float:
        return float(np.sum(sizes / np.sqrt(p)))

    for i in range(3):
        for j in range(3):
            moved = price.copy()
            moved[i] += 0.02
            moved[j] -= 0.02
            assert error(moved) >= error(price) - 1e-3


def test_the_total_weighs_every_sum_by_its_precision() -> None:
    level = Level.identity("a", 4)
    found = best_total([total(100, "10"), one_way(level, [20, 30, 40, 50], "5")])
    assert found == (Fraction(100, 100) + Fraction(140, 100)) / (Fraction(1, 100) + Fraction(1, 100))
    assert best_total([one_way(level, [1, 2, 3, 4], "1"), total(77, "0")]) == 77


def test_weights_inside_a_model_cell() -> None:
    declared, model = Level("a", np.array([0, 0, 1, 2, 2, 2])), Level("a", np.array([0, 0, 0, 1, 1, 1]))
    known = OneWay(declared, np.array([6.0, 2.0, 3.0]), 1.0)
    np.testing.assert_allclose(known.spread(model, 11), [3, 3, 2, 1, 1, 1])
    nothing = OneWay(declared, np.array([0.0, 0.0, 3.0]), 1.0)
    np.testing.assert_allclose(nothing.spread(model, 3), [0.5, 0.5, 1, 1, 1, 1])
    inside = OneWay(declared, np.array([6.0, 2.0, 3.0]), 1.0, np.array([0.0, 5, 9, 0, 0, 0]))
    np.testing.assert_allclose(inside.spread(model, 11), [0, 6, 2, 1, 1, 1])


def test_pairs_at_different_levels_share_the_finest_cells() -> None:
    a, b, c = Level.identity("a", 4), Level.identity("b", 2), Level.identity("c", 2)
    half = a.merged(np.array([0, 0, 1, 1]))
    declared = {"a": a, "b": b, "c": c}
    ones = [one_way(a, [40, 10, 25, 25], "1/1000"), one_way(b, [50, 50], "1"), one_way(c, [60, 40], "1")]
    fine = pair(Query((a, b)), [[40, 0], [0, 10], [10, 15], [0, 25]])
    coarse = pair(Query((half, c)), [[50, 0], [10, 40]])
    fitted = fit_model(first_of(total(100, "1"), ones), [fine, coarse])
    assert fitted.levels == declared
    assert fitted.total == 100
    np.testing.assert_allclose(fitted.expected(coarse.query), coarse.values, atol=3)
    only = fit_model(first_of(total(100, "1"), ones), [coarse])
    assert only.levels == {"a": half, "b": b, "c": c}
    np.testing.assert_allclose(only.spread("a"), [0.8, 0.2, 0.5, 0.5], atol=1e-4)


def test_steps() -> None:
    domain = Domain(("x0", "x1"), (2, 16))
    steps = first_steps(domain, levels(2, 16), Fraction(1, 2))
    assert [(s.verb, s.columns, s.count, s.cells) for s in steps] == [
        ("total", (), 1, 1),
        ("marginals", ("x0",), 1, 2),
        ("marginals", ("x1",), 1, 16),
    ]
    assert sum(s.share for s in steps[1:]) == Fraction(1, 2)
    assert steps[2].share / steps[1].share == pytest.approx(4, rel=0.05)
