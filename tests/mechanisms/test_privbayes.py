"""privbayes over a fake measurer."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import Candidate, Domain, NoisyMarginal, Query, Replayer, Score, Selection
from dpsynth.mechanisms import Independent, privbayes, rounds
from dpsynth.mechanisms.privbayes import PrivBayes, parent_sets
from tests.mechanisms.fake import FakeMeasurer
from tests.mechanisms.test_mechanisms import mean_distance, tree_world

MU2 = Fraction(33114, 10**6)


class Laplace(FakeMeasurer):
    """A pure account: epsilon, Laplace noise, the exponential mechanism at epsilon = 2 picks D / scale."""

    def _noisy(self, query: Query, price: Fraction) -> NoisyMarginal:
        assert price > 0
        self.spent += price
        noise = np.rint(self._rng.laplace(0.0, float(1 / price), query.shape)).astype(np.int64)
        answer = NoisyMarginal(query, self.count(query) + noise, 1 / price, "discrete_laplace", len(self.answers))
        self.answers.append(answer)
        return answer


def fake_tree(rows: int = 20_000, seed: int = 1) -> FakeMeasurer:
    domain, codes, _ = tree_world(rows)
    return FakeMeasurer(domain, codes, seed, measure="gdp")


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


@pytest.mark.parametrize("kind", [FakeMeasurer, Laplace])
def test_it_sees_what_independent_columns_do_not(kind: type[FakeMeasurer]) -> None:
    domain, codes, _ = tree_world()
    found = []
    for mechanism in (PrivBayes(), Independent()):
        fake = kind(domain, codes, 5, measure="gdp")
        budget = Fraction(1) if kind is Laplace else MU2
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


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.fractions(Fraction(1, 10**5), 10))
def test_the_same_answers_give_the_same_model(seed: int, budget: Fraction) -> None:
    fake = fake_tree(2000, seed)
    one = PrivBayes().fit(fake, budget)
    again = Replayer.of(fake.domain, fake.levels, tuple(fake.answers))
    two = PrivBayes().fit(again, budget)
    assert again.left() == 0
    assert [b.tobytes() for b in one.network.beliefs] == [b.tobytes() for b in two.network.beliefs]


@pytest.mark.parametrize("sizes", [(1,), (7,), (3, 4), (1, 1), (1, 5), (2, 3, 4), (1, 1, 4), (100, 2, 2)])
@pytest.mark.parametrize("budget", ["1e-12", "1e-4", "1", "1e9"])
@pytest.mark.parametrize("rows", [0, 1, 500])
@pytest.mark.parametrize("kind", [FakeMeasurer, Laplace])
def test_any_shape_any_budget_any_table(
    sizes: tuple[int, ...], budget: str, rows: int, kind: type[FakeMeasurer]
) -> None:
    domain = Domain(tuple(f"x{i}" for i in range(len(sizes))), sizes)
    codes = np.random.default_rng(rows).integers(0, sizes, (rows, len(sizes)))
    fake = kind(domain, codes, 3, measure="gdp")
    fitted = PrivBayes().fit(fake, Fraction(budget))
    assert fake.spent == Fraction(budget)
    assert sum(step.share for step in PrivBayes().plan(domain, fake.levels)) == 1
    assert fitted.total >= 0
    assert all(belief.sum() == pytest.approx(1.0, abs=1e-9) for belief in fitted.network.beliefs)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 60), st.integers(-9, 3), st.data())
def test_small_tables(sizes: list[int], rows: int, power: int, data: st.DataObject) -> None:
    domain = Domain(tuple(f"x{i}" for i in range(len(sizes))), tuple(sizes))
    seed = data.draw(st.integers(0, 1000))
    codes = np.random.default_rng(seed).integers(0, sizes, (rows, len(sizes))) // data.draw(st.integers(1, 2))
    fake = FakeMeasurer(domain, codes, seed, measure="gdp")
    PrivBayes().fit(fake, Fraction(10) ** power)
    assert fake.spent == Fraction(10) ** power


def test_too_little_for_pairs_buys_the_columns_twice() -> None:
    fake = fake_tree(50)
    PrivBayes().fit(fake, Fraction(1, 10**4))
    assert [len(a.query.columns) for a in fake.answers if isinstance(a, NoisyMarginal)] == [0] + 12 * [1]


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
    fake, seen = fake_tree(), list[Sequence[Candidate]]()
    select = fake.select

    def watched(candidates: Sequence[Candidate], score: Score, picks: int, price: Fraction) -> Selection:
        seen.append(candidates)
        return select(candidates, score, picks, price)

    monkeypatch.setattr(fake, "select", watched)
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
