from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from dpsynth.measurement import Domain, NoisyMarginal, NoisyScores, Query
from dpsynth.mechanisms import MRM, Workload
from dpsynth.privacy import Budget, Measure
from tests.mechanisms.fake import FakeMeasurer

PRICE = Budget("1", "1e-9").cost("gdp").amount


def survey(columns: int, seed: int, rows: int = 4000, sizes: tuple[int, ...] = ()) -> FakeMeasurer:
    """Answers that hang together: each is likelier to be 1 the higher the person stands on a hidden scale."""
    rng = np.random.default_rng(5)
    hidden, hurdles, slopes = rng.normal(size=rows), rng.normal(0, 0.7, columns), rng.normal(0, 1.0, columns)
    sure = hidden[:, None] * slopes + rng.normal(0, 0.7, (rows, columns)) - hurdles
    most = sizes or (2,) * columns
    codes = np.column_stack([np.clip((1 + sure[:, i]).astype(int), 0, size - 1) for i, size in enumerate(most)])
    return FakeMeasurer(Domain(tuple(f"q{i}" for i in range(columns)), most), codes, seed, measure="gdp")


def off(fake: FakeMeasurer, mechanism: MRM, price: Fraction) -> float:
    """Mean total variation of the expected two-way tables."""
    fitted, rows = mechanism.fit(fake, price), len(fake._codes)
    queries = [Query(pair) for pair in combinations(fake.levels.values(), 2)]
    model = fitted.expected_all(queries)
    pairs = [(q, m) for q, m in zip(queries, model, strict=True) if m is not None]
    assert len(pairs) == len(queries)
    both = [(fake.count(q) / rows, m / fitted.network.rows) for q, m in pairs]
    return float(np.mean([np.abs(real - made).sum() / 2 for real, made in both]))


def test_pairs_of_yes_and_no_are_bought_without_being_scored() -> None:
    fake = survey(7, 1)
    MRM().fit(fake, PRICE)
    assert not any(isinstance(answer, NoisyScores) for answer in fake.answers)
    pairs = [a.query for a in fake.answers if isinstance(a, NoisyMarginal) and len(a.query.columns) == 2]
    assert {query.columns for query in pairs} == set(combinations(fake.domain.names, 2))
    assert {query.basis for query in pairs} == {"residual"}
    assert PRICE * (1 - Fraction(1, 10**6)) < fake.spent <= PRICE


@pytest.mark.parametrize(("size", "others"), [(2, 1), (3, 2), (6, 4)])
@pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
def test_a_marginal_of_three_columns_is_bought_where_it_is_listed(size: int, others: int, measure: Measure) -> None:
    """No pair tells anything of c = a + b modulo their number of values; the table of all three does."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, size, (2, 20_000))
    codes = np.column_stack([a, b, (a + b) % size, *rng.integers(0, 5, (others, 20_000))])
    names = tuple("abcdefg"[: 3 + others])
    domain = Domain(names, (size,) * 3 + (5,) * others)
    listed = ((tuple("abc"), 1), *((pair, 1) for pair in combinations(names, 2)))
    price = Fraction(3) if measure == "pure" else Fraction(1, 2)
    wrong = {}
    for workload in (Workload(), Workload(marginals=listed)):
        fake = FakeMeasurer(domain, codes, 1, measure=measure)
        mechanism = MRM(workload=workload)
        fitted = mechanism.fit(fake, price)
        assert fake.spent == price
        table = fitted.expected(Query(tuple(fake.levels[name] for name in "abc")))
        wrong[workload] = 1 - sum(table[i, j, (i + j) % size] for i in range(size) for j in range(size)) / table.sum()
        most = mechanism.plan(domain, fake.levels)[-1].cells
        assert most is not None
        assert most >= max(answer.query.cells for answer in fake.answers if isinstance(answer, NoisyMarginal))
    blind, seen = wrong.values()
    assert seen < 0.1 < 0.4 < blind


def test_three_columns_that_their_pairs_tell_are_not_bought() -> None:
    codes = np.repeat(np.random.default_rng(0).integers(0, 9, (20_000, 1)), 3, axis=1)
    workload = Workload(marginals=((tuple("abc"), 1), *((pair, 1) for pair in combinations("abc", 2))))
    fake = FakeMeasurer(Domain(tuple("abc"), (9, 9, 9)), codes, 1)
    MRM(workload=workload).fit(fake, PRICE)
    assert max(len(a.query.columns) for a in fake.answers if isinstance(a, NoisyMarginal)) == 2


def test_more_triples_than_columns_and_wider_marginals_are_left_to_their_pairs() -> None:
    names = [f"q{i}" for i in range(5)]
    for sets in (list(combinations(names, 3)), list(combinations(names, 4)), [tuple(names)]):
        fake = survey(5, 3)
        MRM(workload=Workload(marginals=tuple((columns, 1) for columns in sets))).fit(fake, PRICE)
        assert {len(a.query.columns) for a in fake.answers if isinstance(a, NoisyMarginal)} == {0, 1, 2}


def test_a_listed_triple_of_a_survey_is_bought_beside_all_pairs_without_being_scored() -> None:
    names = [f"q{i}" for i in range(7)]
    listed = (tuple(names[2:5]), *combinations(names, 2))
    fake = survey(7, 1)
    MRM(workload=Workload(marginals=tuple((columns, 1) for columns in listed))).fit(fake, PRICE)
    tables = [answer for answer in fake.answers if isinstance(answer, NoisyMarginal)]
    assert len(tables) == len(fake.answers)
    joint = [answer.query for answer in tables if len(answer.query.columns) > 1]
    assert {query.columns for query in joint} == {*listed}
    assert {query.basis for query in joint} == {"residual"}


def test_its_plan_is_what_is_asked() -> None:
    fake = survey(7, 1)
    steps = MRM().plan(fake.domain, fake.levels)
    assert [step.verb for step in steps] == ["total", *["marginals"] * 8]
    assert steps[-1].columns is None and steps[-1].count == 21 + 7
    assert sum(step.share for step in steps) == 1


def test_a_workload_says_which_pairs_are_bought() -> None:
    fake = survey(5, 2)
    MRM(workload=Workload(marginals=((("q0", "q1", "q3"), 1),))).fit(fake, PRICE)
    bought = {a.query.columns for a in fake.answers if isinstance(a, NoisyMarginal) and len(a.query.columns) == 2}
    assert bought == {("q0", "q1"), ("q0", "q3"), ("q1", "q3")}


@pytest.mark.parametrize(
    ("sizes", "scored"),
    [
        ((2, 2, 2), False),
        ((2, 4, 2), False),
        ((2, 5, 2), True),
        ((3, 2, 3), True),
        ((2,) * 20, False),
        ((2,) * 21, True),
    ],
    ids=str,
)
def test_where_scores_tell_more_than_tables_of_their_price(sizes: tuple[int, ...], scored: bool) -> None:
    fake = survey(len(sizes), 3, 500, sizes)
    assert ("scores" in [step.verb for step in MRM().plan(fake.domain, fake.levels)]) is scored
    if len(sizes) < 20:
        MRM().fit(fake, PRICE)
        assert any(isinstance(answer, NoisyScores) for answer in fake.answers) is scored


def test_a_table_that_holds_nobody_is_fitted_like_any_other() -> None:
    fake = FakeMeasurer(Domain(("a", "b", "c"), (2, 2, 1)), np.zeros((0, 3), dtype=np.int64), 4, measure="gdp")
    assert MRM().fit(fake, PRICE).network.convergence.converged
    assert PRICE * (1 - Fraction(1, 10**6)) < fake.spent <= PRICE


def test_not_scoring_pays_where_there_is_little_to_spend() -> None:
    """By 23 and 17 per cent on average over thirty noises: to be seen in five."""
    for price in (PRICE / 25, PRICE / 5):
        whole, scored = ([off(survey(14, seed), m, price) for seed in range(5)] for m in (MRM(), MRM(outright=False)))
        assert np.mean(whole) < 0.92 * np.mean(scored)
