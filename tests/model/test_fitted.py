from __future__ import annotations

from math import exp, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain, Level, Query
from dpsynth.model import FittedModel, JunctionTree, MarkovNetwork
from tests.model.networks import network_of
from tests.model.worlds import World, worlds

DOMAIN = Domain(("a", "b"), (2, 3))
TABLE = np.array([[0.1, 0.2, 0.1], [0.3, 0.0, 0.3]])
LEVELS = {"a": Level("a", np.array([0, 0, 1, 1])), "b": Level.identity("b", 3)}
WEIGHTS = {"a": np.array([1.0, 3.0, 0.0, 7.0]), "b": np.ones(3)}


def model(levels: dict[str, Level] = LEVELS, weights: dict[str, np.ndarray] = WEIGHTS, total: int = 90) -> FittedModel:
    tree = JunctionTree.of(DOMAIN, [("a", "b")])
    return FittedModel(MarkovNetwork(tree, (TABLE,), 100.0), levels, weights, total)


def test_a_cell_spreads_in_proportion_to_the_weights() -> None:
    fine = model().marginal(("a", "b"))
    np.testing.assert_allclose(fine, 100 * TABLE[[0, 0, 1, 1]] * np.array([[0.25], [0.75], [0.0], [1.0]]))
    np.testing.assert_allclose(model().marginal(("b", "a")), fine.T)


def test_a_query_at_any_level() -> None:
    """Also at one that cuts across the model's cells."""
    across = Level("a", np.array([0, 1, 1, 0]))
    found = model().expected(Query((LEVELS["b"], across)))
    fine = model().marginal(("b", "a"))
    np.testing.assert_allclose(found, np.stack([fine[:, [0, 3]].sum(axis=1), fine[:, [1, 2]].sum(axis=1)], axis=1))
    assert model().expected(Query(())) == pytest.approx(100.0)


@pytest.mark.parametrize("weights", [[0.0, 0.0, 1.0, 1.0], [1.0, -1.0, 1.0, 1.0], [1.0, 1.0, np.nan, 1.0], [1.0, 1.0]])
def test_weights_that_leave_a_cell_empty_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="'a'"):
        model(weights={**WEIGHTS, "a": np.array(weights)})


def test_levels_that_do_not_fit_and_negative_totals_are_refused() -> None:
    with pytest.raises(ValueError, match="'a'"):
        model(levels={**LEVELS, "a": Level.identity("a", 4)})
    with pytest.raises(ValueError, match="-1 rows"):
        model(total=-1)


def fine_of(world: World, zeros: float = 0.0) -> FittedModel:
    """A model each of whose cells has one to three fine cells, some of them without weight."""
    network, _ = network_of(world, zeros)
    rng, levels, weights = world.rng, {}, {}
    for name, size in zip(world.domain.names, world.domain.sizes, strict=True):
        cells = np.concatenate([np.arange(size), rng.integers(0, size, rng.integers(0, 2 * size))])
        levels[name] = Level(name, cells)
        weights[name] = np.where(np.arange(len(cells)) < size, 1.0, rng.integers(0, 3, len(cells)))
    return FittedModel(network, levels, weights, 1000)


def draw_query(model: FittedModel, data: st.DataObject) -> Query:
    """Up to three columns: at the model's level, on the finest grid, or at a level that cuts across."""
    levels = []
    for name in data.draw(st.lists(st.sampled_from(model.network.domain.names), unique=True, max_size=3)):
        own = model.levels[name]
        across = Level(name, np.arange(own.fine) % 2)
        levels.append(data.draw(st.sampled_from([own, Level.identity(name, own.fine), across])))
    return Query(tuple(levels))


@settings(max_examples=60)
@given(worlds(columns=4, cells=60), st.data())
def test_queries_together_are_those_of_the_fine_table(world: World, data: st.DataObject) -> None:
    fitted = fine_of(world)
    fine = fitted.marginal(world.domain.names)
    queries = [draw_query(fitted, data) for _ in range(5)]
    for query, found in zip(queries, fitted.expected_all(queries), strict=True):
        flat, cells = np.zeros(fine.shape, dtype=np.intp), np.indices(fine.shape)
        for level in query.levels:
            flat = flat * level.size + level.cells[cells[world.domain.names.index(level.column)]]
        exact = np.bincount(flat.ravel(), fine.ravel(), minlength=query.cells).reshape(query.shape)
        assert found is not None
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found, fitted.expected(query), rtol=1e-12, atol=1e-12)


def test_queries_beyond_the_limit_are_left_out() -> None:
    small, large = Query((LEVELS["a"],)), Query((LEVELS["b"], LEVELS["a"]))
    found = model().expected_all([large, small, large], limit=5)
    assert found[0] is None and found[2] is None
    np.testing.assert_allclose(found[1], [40.0, 60.0])
    with pytest.raises(ConfigurationError, match="b, a needs 6 cells and the limit is 5"):
        model().expected(large, limit=5)


@settings(max_examples=80)
@given(worlds(columns=4, cells=60), st.sampled_from([0.0, 0.5]), st.data())
def test_evidence_on_fine_cells_is_conditioning(world: World, zeros: float, data: st.DataObject) -> None:
    fitted = fine_of(world, zeros)
    names = world.domain.names
    exact, evidence = fitted.marginal(names), {}
    for axis, name in enumerate(names):
        if data.draw(st.booleans()):
            size = fitted.levels[name].fine
            weight = data.draw(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=size, max_size=size))
            evidence[name] = np.array(weight)
            exact = exact * evidence[name].reshape([-1 if i == axis else 1 for i in range(len(names))])
    if exact.sum() == 0:
        assert fitted.log_probability(evidence) == -inf
        with pytest.raises(ConfigurationError, match="holds no row"):
            fitted.given(evidence)
        return
    found = fitted.given(evidence)
    np.testing.assert_allclose(found.marginal(names), exact, rtol=1e-9, atol=1e-9)
    assert (found.marginal(names)[exact == 0] == 0).all()
    assert exp(fitted.log_probability(evidence)) == pytest.approx(exact.sum() / 1000)
    assert found.total == pytest.approx(exact.sum(), abs=0.51)
    query = draw_query(fitted, data)
    assert found.expected(query).sum() == pytest.approx(exact.sum())


def test_fine_evidence_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no column 'c'"):
        model().given({"c": np.ones(4)})
    for weight in (np.ones(2), np.array([1.0, -1.0, 1.0, 1.0]), np.array([1.0, np.nan, 1.0, 1.0])):
        with pytest.raises(ValueError, match="'a' needs a weight >= 0 for each of its 4 fine cells"):
            model().given({"a": weight})
    with pytest.raises(ConfigurationError, match="'a': ask for more"):
        model().given({"a": np.array([False, False, True, False])})
