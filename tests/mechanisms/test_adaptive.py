"""What aim and privbayes share: they ask, fit, and ask again, over a fake measurer."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import Candidate, Domain, NoisyMarginal, Replayer, Score, Selection
from dpsynth.mechanisms import AIM, MST, Mechanism, PrivBayes, Workload
from dpsynth.mechanisms.rate import MEAN_SIZE
from dpsynth.privacy import Measure
from tests.mechanisms.fake import FakeMeasurer
from tests.mechanisms.test_mechanisms import tree_world

MU2 = Fraction(33114, 10**6)
both = pytest.mark.parametrize("mechanism", [AIM(), PrivBayes()], ids=lambda mechanism: mechanism.name)


def fake_tree(rows: int = 20_000, seed: int = 1) -> FakeMeasurer:
    domain, codes, _ = tree_world(rows)
    return FakeMeasurer(domain, codes, seed, measure="gdp")


def watched(fake: FakeMeasurer, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Candidate]]:
    """The candidates of every choice that will be asked of the measurer."""
    seen: list[Sequence[Candidate]] = []
    select = fake.select

    def watch(candidates: Sequence[Candidate], score: Score, picks: int, price: Fraction) -> Selection:
        seen.append(candidates)
        return select(candidates, score, picks, price)

    monkeypatch.setattr(fake, "select", watch)
    return seen


@pytest.mark.parametrize(
    ("mechanism", "felt"), [(AIM(), MEAN_SIZE), (PrivBayes(), MEAN_SIZE), (MST(), 1.0)], ids=["aim", "privbayes", "mst"]
)
def test_tables_are_as_large_as_the_rows_exceed_their_noise_six_times(mechanism: Mechanism, felt: float) -> None:
    """aim and privbayes weigh the mean size of a cell's noise, mst its standard deviation."""
    rows, width, sizes = 20_000, 60, (60,) * 5
    base = np.random.default_rng(0).integers(0, width, (rows, 1))
    codes = (base + np.random.default_rng(1).integers(0, 9, (rows, 5))) % width
    fake = FakeMeasurer(Domain(tuple("abcde"), sizes), codes, 1, measure="gdp")
    mechanism.fit(fake, MU2)
    tables = [answer for answer in fake.answers if isinstance(answer, NoisyMarginal) and len(answer.query.columns) > 1]
    shares = [6 * felt * answer.sigma * answer.query.cells / rows for answer in tables]
    assert 0.5 < max(shares) < 1.05


@both
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), budget=st.fractions(Fraction(1, 10**5), 10))
def test_the_same_answers_give_the_same_model(mechanism: Mechanism, seed: int, budget: Fraction) -> None:
    fake = fake_tree(2000, seed)
    one = mechanism.fit(fake, budget)
    again = Replayer.of(fake.grid, fake.answers)
    two = mechanism.fit(again, budget)
    assert again.left() == 0
    assert [b.tobytes() for b in one.network.beliefs] == [b.tobytes() for b in two.network.beliefs]


@pytest.mark.parametrize("mechanism", [AIM(rounds=4), PrivBayes()], ids=lambda mechanism: mechanism.name)
@pytest.mark.parametrize("sizes", [(1,), (7,), (3, 4), (1, 1), (1, 5), (2, 3, 4), (1, 1, 4), (100, 2, 2)])
@pytest.mark.parametrize("budget", ["1e-12", "1e-4", "1", "1e9"])
@pytest.mark.parametrize("rows", [0, 1, 500])
@pytest.mark.parametrize("measure", ["gdp", "pure"])
def test_any_shape_any_budget_any_table(
    mechanism: Mechanism, sizes: tuple[int, ...], budget: str, rows: int, measure: Measure
) -> None:
    domain = Domain(tuple(f"x{i}" for i in range(len(sizes))), sizes)
    codes = np.random.default_rng(rows).integers(0, sizes, (rows, len(sizes)))
    fake = FakeMeasurer(domain, codes, 3, measure=measure)
    fitted = mechanism.fit(fake, Fraction(budget))
    assert fake.spent == Fraction(budget)
    assert sum(step.share for step in mechanism.plan(domain, fake.levels)) == 1
    assert fitted.total >= 0
    assert all(belief.sum() == pytest.approx(1.0, abs=1e-9) for belief in fitted.network.beliefs)


@pytest.mark.parametrize("kind", [AIM, PrivBayes])
@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    rows=st.integers(0, 60),
    power=st.integers(-9, 3),
    seed=st.integers(0, 1000),
    coarse=st.integers(1, 2),
    ways=st.integers(1, 4),
)
def test_small_tables(
    kind: type[AIM] | type[PrivBayes], sizes: list[int], rows: int, power: int, seed: int, coarse: int, ways: int
) -> None:
    domain = Domain(tuple(f"x{i}" for i in range(len(sizes))), tuple(sizes))
    codes = np.random.default_rng(seed).integers(0, sizes, (rows, len(sizes))) // coarse
    fake = FakeMeasurer(domain, codes, seed, measure="gdp")
    mechanism = AIM(Workload(ways=ways), rounds=3) if kind is AIM else PrivBayes()
    mechanism.fit(fake, Fraction(10) ** power)
    assert fake.spent == Fraction(10) ** power


@both
def test_too_little_for_pairs_buys_the_columns_twice(mechanism: Mechanism) -> None:
    fake = fake_tree(50)
    mechanism.fit(fake, Fraction(1, 10**4))
    assert [len(a.query.columns) for a in fake.answers if isinstance(a, NoisyMarginal)] == [0] + 12 * [1]
