from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.measurement import Domain
from dpsynth.model import Marginal, Measurement

DOMAIN = Domain(("a", "b", "c"), (4, 3, 5))


@st.composite
def queries(draw: st.DrawFn) -> Marginal:
    columns = tuple(draw(st.lists(st.sampled_from(DOMAIN.names), unique=True, min_size=1)))
    groups = {}
    for name in columns:
        if draw(st.booleans()):
            raw = draw(st.lists(st.integers(0, 4), min_size=DOMAIN.size(name), max_size=DOMAIN.size(name)))
            groups[name] = np.unique(raw, return_inverse=True)[1]
    return Marginal.of(DOMAIN, columns, groups)


@given(queries(), st.integers(0, 99))
def test_adjoint(query: Marginal, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table, answer = rng.normal(size=DOMAIN.shape(query.columns)), rng.normal(size=query.shape)
    applied = query.apply(table)
    assert applied.shape == query.shape
    assert np.sum(applied * answer) == pytest.approx(np.sum(table * query.adjoint(answer)))


@given(queries(), st.integers(0, 99))
def test_it_sums_the_cells_of_each_group(query: Marginal, seed: int) -> None:
    table = np.random.default_rng(seed).random(DOMAIN.shape(query.columns))
    exact = np.zeros(query.shape)
    for cell in np.ndindex(*table.shape):
        exact[tuple(c if g is None else g[c] for c, g in zip(cell, query.groups, strict=True))] += table[cell]
    np.testing.assert_allclose(query.apply(table), exact)


def test_keys_name_the_linear_map() -> None:
    plain = Marginal.of(DOMAIN, ("a", "b"), {})
    assert plain.key == Marginal.of(DOMAIN, ("a", "b"), {"a": np.arange(4)}).key
    others = [
        Marginal.of(DOMAIN, ("b", "a"), {}),
        Marginal.of(DOMAIN, ("a",), {}),
        Marginal.of(DOMAIN, ("a", "b"), {"a": np.array([0, 0, 1, 1])}),
        Marginal.of(DOMAIN, ("a", "b"), {"a": np.array([0, 1, 1, 1])}),
    ]
    assert len({plain.key, *(other.key for other in others)}) == 5


@pytest.mark.parametrize("groups", [[0, 1, 2], [0, 2, 2, 2], [-1, 0, 0, 0]])
def test_groups_that_do_not_fit_are_refused(groups: list[int]) -> None:
    with pytest.raises(ValueError, match="'a'"):
        Marginal.of(DOMAIN, ("a",), {"a": np.array(groups)})


@pytest.mark.parametrize(("values", "stddev"), [([1.0] * 3, 1.0), ([np.nan] * 4, 1.0), ([1.0] * 4, 0.0)])
def test_measurements_that_make_no_sense_are_refused(values: list[float], stddev: float) -> None:
    with pytest.raises(ValueError, match=r"shape|positive noise"):
        Measurement.of(DOMAIN, ("a",), np.array(values), stddev)
