from __future__ import annotations

import numpy as np
import pytest

from dpsynth.measurement import Domain, Level, Query
from dpsynth.model import FittedModel, JunctionTree, MarkovNetwork

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
