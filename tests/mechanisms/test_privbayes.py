"""privbayes over a fake measurer."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from dpsynth.measurement import Domain, NoisyMarginal, Query, Selection
from dpsynth.mechanisms import Independent, privbayes, rounds
from dpsynth.mechanisms.privbayes import PrivBayes, parent_sets
from dpsynth.privacy import Measure
from tests.mechanisms.fake import FakeMeasurer
from tests.mechanisms.test_adaptive import MU2, fake_tree, watched
from tests.mechanisms.test_mechanisms import mean_distance, tree_world


def test_it_spends_what_it_was_given_as_planned() -> None:
    fake = fake_tree()
    PrivBayes().fit(fake, MU2)
    steps = PrivBayes().plan(fake.domain, fake.levels)
    assert sum(step.share for step in steps) == 1
    assert fake.spent == MU2
    select, marginals = steps[-2:]
    tables = [answer for answer in fake.answers[7:] if isinstance(answer, NoisyMarginal)]
    picks = [answer.picks for answer in fake.answers if isinstance(answer, Selection)]
    assert sum(map(len, picks)) <= select.count
    assert len(tables) == marginals.count == 5
    assert all(answer.query.cells <= (marginals.cells or 0) for answer in tables)


def test_every_column_joins_once_with_parents_that_are_in() -> None:
    fake = fake_tree()
    PrivBayes().fit(fake, MU2)
    tables = [answer.query.columns for answer in fake.answers[7:] if isinstance(answer, NoisyMarginal)]
    inside = set(tables[0][:1])
    for *parents, column in tables:
        assert column not in inside
        assert inside.issuperset(parents)
        inside.add(column)
    assert inside == set(fake.domain.names)


@pytest.mark.parametrize(("measure", "budget"), [("gdp", MU2), ("pure", Fraction(1))])
def test_it_sees_what_independent_columns_do_not(measure: Measure, budget: Fraction) -> None:
    domain, codes, _ = tree_world()
    found = []
    for mechanism in (PrivBayes(), Independent()):
        fake = FakeMeasurer(domain, codes, 5, measure=measure)
        found.append(mean_distance(fake, mechanism.fit(fake, budget)))
        assert fake.spent == budget
    assert found[0] < 0.4 * found[1]


def test_two_parents_where_the_column_is_their_parity() -> None:
    """No pair tells anything of c = a xor b; the table of all three does."""
    rng = np.random.default_rng(0)
    a, b, d = rng.integers(0, 2, (3, 20_000))
    fake = FakeMeasurer(Domain(tuple("abcd"), (2,) * 4), np.column_stack([a, b, a ^ b, d]), 1, measure="gdp")
    fitted = PrivBayes().fit(fake, MU2)
    assert fitted.expected(Query(tuple(fake.levels[name] for name in "abc")))[1, 1, 1] < 500


def test_many_columns_join_several_at_a_time() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2, 5000)
    codes = np.column_stack([base ^ (rng.random(5000) < 0.1) for _ in range(30)])
    fake = FakeMeasurer(Domain(tuple(f"x{i}" for i in range(30)), (2,) * 30), codes, 1, measure="gdp")
    PrivBayes(parents=2).fit(fake, Fraction(10))
    picks = [len(answer.picks) for answer in fake.answers if isinstance(answer, Selection)]
    assert picks[:2] == [1, 2]
    joined = [answer.query.columns for answer in fake.answers[31:] if isinstance(answer, NoisyMarginal)]
    assert len(joined) == 29
    assert set().union(*joined) == set(fake.domain.names)
    assert fake.spent == 10


def test_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privbayes, "SETS", 20)
    monkeypatch.setattr(privbayes, "TREE_CELLS", 120)
    monkeypatch.setattr(rounds, "CANDIDATE_CELLS", 200)
    fake = fake_tree()
    seen = watched(fake, monkeypatch)
    fitted = PrivBayes().fit(fake, MU2)
    assert seen
    assert all(len(asked) <= 20 and sum(c.query.cells for c in asked) <= 200 for asked in seen)
    assert fitted.network.tree.cells <= 120 + 5 * 36


def test_parent_sets() -> None:
    names = "abcdef"
    every = [set_ for size in (1, 2, 3) for set_ in combinations(names, size)]
    assert parent_sets(names, 3, 100) == every
    some = parent_sets(names, 3, 25)
    assert some[:21] == every[:21]
    assert len(some) == 25 == len(set(some))
    assert set(some) <= set(every)
    assert parent_sets(names, 2, 0) == [("d",)]
    assert parent_sets("ab", 4, 100) == [("a",), ("b",), ("a", "b")]
