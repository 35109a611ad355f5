from __future__ import annotations

import json
from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.mechanisms import Workload, by_name

NAMES = ("a", "b", "c", "d")
WORKLOADS = st.builds(
    Workload,
    st.integers(1, 4),
    st.lists(st.tuples(st.permutations(NAMES).map(lambda p: tuple(p[:2])), st.integers(1, 1000)), max_size=3).map(
        tuple
    ),
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 9)), unique_by=lambda p: p[0], max_size=2).map(tuple),
    st.sampled_from([None, *NAMES]),
)


def test_every_marginal_of_so_many_columns() -> None:
    for ways in (1, 2, 3, 4):
        found = Workload(ways).weights(NAMES)
        assert list(found) == list(combinations(NAMES, ways))
        assert set(found.values()) == {1}
        assert set(Workload(ways).inside(NAMES, 2).values()) == ({comb(2, ways - 2)} if ways >= 2 else set())
    assert list(Workload(3).weights(("a", "b"))) == [("a", "b")]


def test_columns_that_matter_and_a_target() -> None:
    found = Workload(2, (), (("b", 3),), "a").weights(NAMES)
    assert found[("a", "b")] == 12 and found[("a", "c")] == 4 and found[("b", "c")] == 3 and found[("c", "d")] == 1


def test_a_list_with_weights_is_in_any_order_and_adds_up() -> None:
    found = Workload(marginals=((("c", "a"), 2), (("a", "c"), 3), (("b", "c", "d"), 1))).weights(NAMES)
    assert found == {("a", "c"): 5, ("b", "c", "d"): 1}
    listed = Workload(marginals=((("b", "c", "d"), 7),))
    assert listed.inside(NAMES, 2) == {("b", "c"): 7, ("b", "d"): 7, ("c", "d"): 7}
    assert listed.inside(NAMES, 4) == {}


@given(WORKLOADS)
def test_a_document_gives_it_back(workload: Workload) -> None:
    assert Workload.from_document(json.loads(json.dumps(workload.document()))) == workload


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Workload(0), "ways"),
        (lambda: Workload(5), "ways"),
        (lambda: Workload(marginals=((("a", "a"), 1),)), "twice"),
        (lambda: Workload(marginals=(((), 1),)), "names no columns"),
        (lambda: Workload(columns=(("a", 0),)), "weight of 'a'"),
        (lambda: Workload(target="incme").require(("income", "age")), "did you mean 'income'"),
        (lambda: Workload(4).require([f"x{i}" for i in range(80)]), "fewer ways"),
        (lambda: by_name("mst", Workload(3)), "'mst' measures what it measures"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigurationError, match=words):
        make()
