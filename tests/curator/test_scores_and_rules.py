"""Scores are exact integers; rules are what their words say."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.rules import Remaining, require_rule
from dpsynth.curator.scores import LARGEST, l1_sensitivity, l1_to_model, require_expected
from dpsynth.errors import ConfigurationError
from dpsynth.measurement import LATTICE, Candidate, Level, Query

QUERY = Query((Level.identity("a", 2), Level.identity("b", 3)))
judged = st.lists(
    st.tuples(st.integers(1, 2**32), st.integers(-(2**62), 2**62) | st.integers(-(2**40), 2**40)),
    min_size=3,
    max_size=3,
)
cells = st.lists(st.integers(-(2**40), 2**40), min_size=6, max_size=6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(0, 2**40), min_size=6, max_size=6), cells), max_size=3), judged)
def test_l1_to_model_is_an_exact_sum(pairs: list[tuple[list[int], list[int]]], judged: list[tuple[int, int]]) -> None:
    counts = [np.array(table, dtype=np.int64).reshape(2, 3) for table, _ in pairs]
    candidates = [
        Candidate(QUERY, np.array(expected, dtype=np.int64).reshape(2, 3), weight, offset)
        for (_, expected), (weight, offset) in zip(pairs, judged, strict=False)
    ]
    exact = [
        weight * sum(abs(1024 * n - e) for n, e in zip(table, model, strict=True)) - offset
        for (table, model), (weight, offset) in zip(pairs, judged, strict=False)
    ]
    limits = np.iinfo(np.int64)
    assert l1_to_model(counts, candidates).tolist() == [min(max(score, limits.min), limits.max) for score in exact]


def test_sensitivity_is_in_lattice_units() -> None:
    zero = np.zeros((2, 3), dtype=np.int64)
    for weights in ((1, 1), (1, 5, 2)):
        candidates = [Candidate(QUERY, zero, weight, 10**9) for weight in weights]
        assert l1_sensitivity(candidates, 3, "add-remove") == 3 * LATTICE * max(weights)
        assert l1_sensitivity(candidates, 3, "replace-one") == 6 * LATTICE * max(weights)


def test_a_score_never_leaves_int64() -> None:
    most = LARGEST // 6
    require_expected([Candidate(QUERY, np.full((2, 3), most)), Candidate(QUERY, np.full((2, 3), -most))])
    require_expected([Candidate(QUERY, np.array([[0, 0, 0], [0, 0, LARGEST]], dtype=np.int64))])
    for beyond in (LARGEST + 1, -LARGEST - 1, -(2**63), 2**63 - 1):
        with pytest.raises(ConfigurationError, match="beyond what int64 can hold"):
            require_expected([Candidate(QUERY, np.array([[0, 0, 0], [0, 0, beyond]], dtype=np.int64))])


@settings(deadline=None)
@given(st.integers(2, 5), st.data())
def test_rules_against_networkx(columns: int, data: st.DataObject) -> None:
    pairs = list(combinations("abcde"[:columns], 2))
    picks: list[int] = []
    graph = nx.Graph()
    forest, distinct = Remaining(pairs, "spanning-forest"), Remaining(pairs, "distinct")
    while rest := forest.indices().tolist():
        assert rest == [
            i for i, pair in enumerate(pairs) if nx.is_forest(nx.Graph([*graph.edges, pair])) and i not in picks
        ]
        picks.append(data.draw(st.sampled_from(rest)))
        graph.add_edge(*pairs[picks[-1]])
        forest.pick(picks[-1])
        distinct.pick(picks[-1])
    assert nx.is_tree(graph)
    assert distinct.indices().tolist() == [i for i in range(len(pairs)) if i not in picks]


def test_rules_that_do_not_apply() -> None:
    with pytest.raises(ConfigurationError, match="the rules are"):
        require_rule("any", [("a",)])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="two columns each"):
        require_rule("spanning-forest", [("a", "b"), ("a",)])
    require_rule("distinct", [("a",)])
