"""Whole mechanisms over a fake measurer."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import sqrt
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Answer, Domain, Level, NoisyMarginal, NoisyScores, Query, Replayer, Selection
from dpsynth.mechanisms import AIM, MRM, MST, REGISTRY, Independent, Mechanism, PrivBayes, Step, by_name, mst
from dpsynth.model import FittedModel
from dpsynth.privacy import MEASURES, Budget, Measure
from tests.mechanisms.fake import FakeMeasurer

RHO = Fraction(1497, 100_000)
SHARED = Path(__file__).parents[3] / "shared" / "data" / "adult_codes.csv"
MECHANISMS: list[Mechanism] = [Independent(), MST(), MRM(), MRM(scored=1)]
named = pytest.mark.parametrize(
    "mechanism", MECHANISMS, ids=lambda m: m.name + ("-picking" if m == MRM(scored=1) else "")
)


def tree_world(rows: int = 20_000, seed: int = 0) -> tuple[Domain, np.ndarray, set[frozenset[str]]]:
    """Rows of a known tree: e - a - b - c, b - d; f by itself."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 6, rows)
    b = np.where(rng.random(rows) < 0.8, a // 2, rng.integers(0, 3, rows))
    c = np.where(rng.random(rows) < 0.7, b, rng.integers(0, 4, rows))
    d = np.where(rng.random(rows) < 0.9, b % 2, rng.integers(0, 2, rows))
    e = np.where(rng.random(rows) < 0.9, 5 - a, rng.integers(0, 6, rows))
    f = rng.integers(0, 5, rows)
    edges = {frozenset(pair) for pair in ("ea", "ab", "bc", "bd")}
    return Domain(tuple("abcdef"), (6, 3, 4, 2, 6, 5)), np.column_stack([a, b, c, d, e, f]), edges


def mean_distance(fake: FakeMeasurer, fitted: FittedModel, size: int = 2, every: int = 1) -> float:
    """The mean total variation distance of all marginals of so many columns, or of one in ``every``, evenly spaced."""
    found = []
    for names in list(combinations(fake.domain.names, size))[::every]:
        query = Query(tuple(Level.identity(n, fake.domain.size(n)) for n in names))
        real, model = fake.count(query), fitted.expected(query)
        found.append(np.abs(real / real.sum() - model / model.sum()).sum() / 2)
    return float(np.mean(found))


def asked_as_planned(steps: tuple[Step, ...], answers: list[Answer], budget: Fraction) -> None:
    """Every answer is one of a planned step, for at most its price and cells."""
    left = [step for step in steps for _ in range(step.count if step.verb in ("total", "marginals") else 1)]
    for answer in answers:
        if isinstance(answer, Selection | NoisyScores):
            picked = isinstance(answer, Selection)
            step = next(s for s in left if s.verb == ("select" if picked else "scores"))
            assert (len(answer.picks) if isinstance(answer, Selection) else len(answer.candidates)) <= step.count
            left = [s for s in left if s is not step]
            continue
        columns = answer.query.columns
        verb = "marginals" if columns else "total"
        step = next(s for s in left if s.verb == verb and s.columns in (columns, None))
        left.remove(step)
        assert answer.query.cells <= (step.cells or 0)
        price = step.share * budget / (1 if step.likely else step.count)
        assert float(answer.sigma) >= sqrt(1 / (2 * price)) * (1 - 1e-12)


@named
def test_every_query_is_planned(mechanism: Mechanism) -> None:
    domain, codes, _ = tree_world()
    fake = FakeMeasurer(domain, codes, 1)
    mechanism.fit(fake, RHO)
    asked_as_planned(mechanism.plan(domain, fake.levels), fake.answers, RHO)
    assert Fraction(999_999, 1_000_000) * RHO < fake.spent <= RHO


@named
@pytest.mark.parametrize(
    "sizes", [(1,), (2,), (7,), (3, 4), (1, 1), (1, 5), (2, 3, 4), (1, 1, 4), (3, 5, 1), (100, 2, 2)]
)
@pytest.mark.parametrize("budget", ["1e-12", "1e-4", "1", "1e9"])
@pytest.mark.parametrize("rows", [0, 1, 500])
def test_any_shape_any_budget_any_table(mechanism: Mechanism, sizes: tuple[int, ...], budget: str, rows: int) -> None:
    """It spends what it was given and no more, plans for it, and gives a valid model; an empty table is one, too."""
    domain = Domain(tuple(f"x{i}" for i in range(len(sizes))), sizes)
    codes = np.random.default_rng(rows).integers(0, sizes, (rows, len(sizes)))
    fake = FakeMeasurer(domain, codes, 3)
    price = Fraction(budget)
    fitted = mechanism.fit(fake, price)
    assert fake.spent == price
    assert fitted.network.tree.cells <= mechanism.largest(domain, fake.levels)
    steps = mechanism.plan(domain, fake.levels)
    assert sum(step.share for step in steps) == 1
    assert all(step.share > 0 and step.count > 0 for step in steps)
    assert fitted.total >= 0
    for belief in fitted.network.beliefs:
        assert belief.sum() == pytest.approx(1.0, abs=1e-9)
        assert (belief >= 0).all()
    if budget == "1e9":
        assert fitted.total == rows
        first = np.bincount(codes[:, 0], minlength=sizes[0])
        assert rows == 0 or np.abs(fitted.marginal((domain.names[0],)) - first).max() < 0.1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.fractions(Fraction(1, 10**6), 10), st.sampled_from(MECHANISMS))
def test_the_same_answers_give_the_same_model(seed: int, budget: Fraction, mechanism: Mechanism) -> None:
    domain, codes, _ = tree_world(2000)
    fake = FakeMeasurer(domain, codes, seed)
    one = mechanism.fit(fake, budget)
    two = mechanism.fit(Replayer.of(fake.grid, fake.answers), budget)
    assert [b.tobytes() for b in one.network.beliefs] == [b.tobytes() for b in two.network.beliefs]
    assert (one.total, one.levels) == (two.total, two.levels)
    assert all((one.weights[name] == two.weights[name]).all() for name in domain.names)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", REGISTRY)
def test_any_measure(name: str, measure: Measure) -> None:
    """All of the budget is spent, whatever the law of the noise, and the archive alone gives the model again."""
    domain, codes, _ = tree_world(5000)
    fake = FakeMeasurer(domain, codes, 4, measure=measure)
    one = by_name(name).fit(fake, Fraction(1, 2))
    assert fake.spent == Fraction(1, 2)
    two = by_name(name).fit(Replayer.of(fake.grid, fake.answers), Fraction(1, 2))
    assert [b.tobytes() for b in one.network.beliefs] == [b.tobytes() for b in two.network.beliefs]
    laws = {answer.law for answer in fake.answers if not isinstance(answer, Selection)}
    assert laws == {"discrete_laplace" if measure == "pure" else "rounded_gaussian"}


def test_with_budget_enough_the_tree_is_the_maximum_one() -> None:
    domain, codes, edges = tree_world()
    fake = FakeMeasurer(domain, codes, 2)
    fitted = MST().fit(fake, Fraction(10**6))
    graph = nx.Graph()
    for one, two in combinations(domain.names, 2):
        table = fake.count(Query((fake.levels[one], fake.levels[two])))
        outer = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        graph.add_edge(one, two, weight=np.abs(table - outer).sum())
    best = {frozenset(edge) for edge in nx.maximum_spanning_tree(graph).edges}
    assert {frozenset(a.query.columns) for a in fake.answers[-5:] if isinstance(a, NoisyMarginal)} == best
    assert edges < best
    for pair in best:
        names = tuple(sorted(pair))
        exact = fake.count(Query(tuple(fake.levels[n] for n in names)))
        np.testing.assert_allclose(fitted.marginal(names), exact, atol=3)
    assert mean_distance(fake, fitted) < 0.015


def test_it_sees_what_independent_columns_do_not() -> None:
    domain, codes, _ = tree_world()
    distances = {}
    for mechanism in MECHANISMS:
        fake = FakeMeasurer(domain, codes, 5)
        distances[mechanism.name] = mean_distance(fake, mechanism.fit(fake, RHO))
    assert distances["mst"] < 0.5 * distances["independent"]
    assert distances["mrm"] < 0.5 * distances["independent"]


def test_too_little_for_pairs_buys_the_columns_twice() -> None:
    domain, codes, _ = tree_world(100)
    fake = FakeMeasurer(domain, codes, 6)
    MST().fit(fake, Fraction(1, 10**4))
    assert [len(a.query.columns) for a in fake.answers if isinstance(a, NoisyMarginal)] == [0] + 12 * [1]
    assert fake.spent == Fraction(1, 10**4)


def test_declared_bins_spread_evenly_over_their_leaves() -> None:
    level = Level("x", np.repeat(np.arange(5), 8))
    domain = Domain(("x", "y"), (40, 3))
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(8, 40, 3000), rng.integers(0, 3, 3000)])
    for mechanism in MECHANISMS:
        fake = FakeMeasurer(domain, codes, 1, {"x": level, "y": Level.identity("y", 3)})
        fitted = mechanism.fit(fake, Fraction(1))
        counts = fitted.marginal(("x",)).reshape(5, 8)
        np.testing.assert_allclose(counts, np.repeat(counts[:, :1], 8, axis=1))
        assert all(
            a.query.shape == (5,) for a in fake.answers if isinstance(a, NoisyMarginal) and a.query.columns == ("x",)
        )


def test_levels_give_way_before_the_limits_of_candidates_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that the budget would keep whole: nothing may be refused once the budget is spent."""
    sizes = (90, 60, 60, 20)
    domain = Domain(tuple("abcd"), sizes)
    rng = np.random.default_rng(0)
    fake = FakeMeasurer(domain, np.column_stack([rng.integers(0, size, 20_000) for size in sizes]), 1)
    cells: list[int] = []
    select = fake.select
    monkeypatch.setattr(
        fake, "select", lambda given, *rest: (cells.append(sum(c.query.cells for c in given)), select(given, *rest))[1]
    )
    assert MST().fit(fake, Fraction(1000)).network.tree.cells > 6000
    monkeypatch.setattr(mst, "MODEL_CELLS", 6000)
    assert 1000 < MST().fit(fake, Fraction(1000)).network.tree.cells <= 6000
    monkeypatch.setattr(mst, "CANDIDATE_CELLS", 2000)
    MST().fit(fake, Fraction(1000))
    assert min(cells[:2]) > 2000
    assert 500 < cells[2] <= 2000


def test_names() -> None:
    assert all(by_name(name).name == name for name in REGISTRY)
    with pytest.raises(ConfigurationError, match=r"'mts'.*did you mean 'mst'"):
        by_name("mts")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("mechanism", "epsilon", "two", "three"),
    [
        (MST(), "1", 0.045, 0.110),
        (MST(), "10", 0.038, 0.102),
        (MRM(), "1", 0.030, 0.075),
        (MRM(), "10", 0.017, 0.058),
        (MRM(), "0.1", 0.085, 0.164),
        (AIM(), "1", 0.034, 0.080),
        (AIM(), "10", 0.021, 0.059),
        (PrivBayes(), "1", 0.038, 0.085),
        (PrivBayes(), "10", 0.027, 0.070),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_adult(mechanism: Mechanism, epsilon: str, two: float, three: float) -> None:
    """Two- and three-way distance of the expected tables (two-way of peers at epsilon 1: 0.039, at 10: 0.041).

    The limits of three ways, and both of aim and privbayes, are about a sixth above the worst of five other noises,
    whose results differ by 1 to 4 per cent (standard deviation; privbayes at epsilon 10: 8 per cent).
    """
    with SHARED.open() as file:
        names = tuple(file.readline().strip().split(","))
        codes = np.loadtxt(file, delimiter=",", dtype=np.int64)
    sizes = (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2)
    fake = FakeMeasurer(Domain(names, sizes), codes, 11, measure="gdp")
    fitted = mechanism.fit(fake, Budget(epsilon, "1e-9").cost("gdp").amount)
    assert fitted.network.convergence.converged
    assert mean_distance(fake, fitted) < two
    assert mean_distance(fake, fitted, 3, every=9) < three
