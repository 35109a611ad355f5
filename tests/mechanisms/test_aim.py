"""aim over a fake measurer."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import pi, sqrt

import numpy as np
import pytest

from dpsynth.measurement import LATTICE, Domain, Level, NoisyMarginal, Query, Selection
from dpsynth.mechanisms import Independent, Workload, aim, rounds
from dpsynth.mechanisms.aim import AIM
from dpsynth.mechanisms.oneway import TOTAL_SHARE
from tests.mechanisms.fake import FakeMeasurer
from tests.mechanisms.test_adaptive import MU2, fake_tree, watched
from tests.mechanisms.test_mechanisms import mean_distance


def selections(fake: FakeMeasurer) -> list[Selection]:
    return [answer for answer in fake.answers if isinstance(answer, Selection)]


def test_it_spends_what_it_was_given_as_planned() -> None:
    fake = fake_tree()
    AIM().fit(fake, MU2)
    steps = AIM().plan(fake.domain, fake.levels)
    assert sum(step.share for step in steps) == 1
    assert fake.spent == MU2
    tables = [answer for answer in fake.answers if isinstance(answer, NoisyMarginal)][7:]
    select, marginals = steps[-2:]
    assert sum(len(answer.picks) for answer in selections(fake)) <= select.count
    assert len(tables) <= marginals.count
    assert all(answer.query.cells <= (marginals.cells or 0) for answer in tables)
    assert len(selections(fake)) <= AIM().rounds


def test_it_finds_the_tree_and_beats_independence() -> None:
    fake, other = fake_tree(), fake_tree()
    fitted = AIM().fit(fake, MU2)
    asked = {frozenset(answer.query.columns) for answer in fake.answers if isinstance(answer, NoisyMarginal)}
    assert {frozenset(pair) for pair in ("ea", "ab", "bc", "bd")} <= asked
    assert mean_distance(fake, fitted) < 0.4 * mean_distance(other, Independent().fit(other, MU2))


def test_the_workload_is_heeded() -> None:
    """Only marginals inside it are asked, with the weights of the paper."""
    workload = Workload(marginals=((("a", "b", "c"), 1), (("c", "d"), 2)))
    closure = AIM(workload)._closure(tuple("abcdef"))
    weights = {"a": 1, "b": 1, "c": 3, "d": 2, "ab": 2, "ac": 4, "bc": 4, "cd": 5, "abc": 5}
    assert closure == {tuple(columns): weight for columns, weight in weights.items()}
    fake = fake_tree()
    AIM(workload).fit(fake, Fraction(1))
    asked = {a.query.columns for a in fake.answers[7:] if isinstance(a, NoisyMarginal)}
    assert asked <= set(closure)
    assert any(len(columns) > 1 for columns in asked)


def test_a_candidate_is_penalised_by_the_noise_that_it_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """AIM (McKenna and others 2022), algorithm 3: w (distance - sqrt(2/pi) sigma cells), with the round's sigma."""
    fake = fake_tree()
    workload = Workload(columns=(("a", 3),))
    seen = watched(fake, monkeypatch)
    mechanism = AIM(workload)
    mechanism.fit(fake, MU2)
    left, picks = (1 - TOTAL_SHARE - mechanism.one_way) / mechanism.rounds, mechanism._picks(6)
    sigma = sqrt(picks / (MU2 * left * (1 - mechanism.select)))
    closure = mechanism._closure(fake.domain.names)
    assert len({c.weight for c in seen[0]}) > 1
    for candidate in seen[0]:
        weight = closure[candidate.query.columns]
        assert candidate.weight == weight
        penalty = LATTICE * weight * sqrt(2 / pi) * sigma * candidate.query.cells
        assert candidate.offset == pytest.approx(penalty, rel=1e-9, abs=1)


def test_settled_models_make_rounds_dearer() -> None:
    """Independent columns: the model hardly moves, so the rounds end early, each dearer than the one before."""
    rng = np.random.default_rng(0)
    domain = Domain(tuple("abcd"), (3, 3, 3, 3))
    fake = FakeMeasurer(domain, rng.integers(0, 3, (20_000, 4)), 1, measure="gdp")
    AIM().fit(fake, MU2)
    assert len(selections(fake)) < AIM().rounds
    assert fake.spent == MU2
    sigmas = [a.sigma for a in fake.answers[5:] if isinstance(a, NoisyMarginal)]
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[-1] < sigmas[0] / 2


def test_the_tree_stays_within_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = Domain(tuple("abcdef"), (12,) * 6)
    base = np.random.default_rng(0).integers(0, 12, 30_000)
    codes = np.column_stack([(base + np.random.default_rng(i).integers(0, 4, 30_000)) % 12 for i in range(6)])
    free = AIM().fit(FakeMeasurer(domain, codes, 1, measure="gdp"), Fraction(100)).network.tree.cells
    monkeypatch.setattr(aim, "TREE_CELLS", 3000)
    assert AIM().fit(FakeMeasurer(domain, codes, 1, measure="gdp"), Fraction(100)).network.tree.cells <= 3000 < free


def test_candidates_stay_within_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aim, "SETS", 12)
    monkeypatch.setattr(rounds, "CANDIDATE_CELLS", 100)
    fake = fake_tree()
    seen = watched(fake, monkeypatch)
    AIM().fit(fake, MU2)
    assert seen
    for asked in seen:
        assert len(asked) <= 12
        assert sum(c.query.cells for c in asked if len(c.query.columns) > 1) <= 100


def test_a_heavy_workload_stays_within_the_weights_of_candidates() -> None:
    names = tuple(f"x{i}" for i in range(40))
    workload = Workload(columns=((names[0], 1000), (names[1], 1000)), target=names[2])
    weights = replace(AIM(), workload=workload)._closure(names)
    assert 1 <= min(weights.values()) <= max(weights.values()) <= aim.HEAVIEST
    assert max(weights, key=weights.__getitem__)[:2] == names[:2]


def test_declared_bins_may_be_asked_again() -> None:
    """A candidate of one column is asked at its declared level, and the model's cells lie on it."""
    domain = Domain(("x", "y"), (40, 3))
    level = Level("x", np.repeat(np.arange(5), 8))
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(8, 40, 3000), rng.integers(0, 3, 3000)])
    fake = FakeMeasurer(domain, codes, 1, {"x": level, "y": Level.identity("y", 3)}, measure="gdp")
    fitted = AIM().fit(fake, Fraction(1))
    counts = fitted.expected(Query((Level.identity("x", 40),))).reshape(5, 8)
    np.testing.assert_allclose(counts, np.repeat(counts[:, :1], 8, axis=1))
