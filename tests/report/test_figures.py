from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import erf, exp, pi, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.privacy import Cost, exact_text
from dpsynth.report import ColumnFit, QueryFact, WorstCase
from dpsynth.report.bars import DRAWN, LISTED, WIDTH, panel, short
from dpsynth.report.figures import expected_tvd, fit, hazards, posterior, shares, within
from dpsynth.report.text import above, brief, count, near, percent, percent_above
from tests.report.sample_facts import sample_facts


def shown(text: str) -> Fraction:
    return Fraction(text.removesuffix("\u202f%").replace("\u202f", "").replace(",", ""))


positive = st.fractions(min_value=Fraction(1, 10**12), max_value=10**9)


@given(positive, st.integers(1, 8))
def test_bounds_are_never_shown_smaller(value, digits):
    assert value <= shown(above(value, digits)) <= value * (1 + Fraction(10) / 10**digits)


@given(st.fractions(min_value=0, max_value=1))
def test_shares_are_rounded_as_said(value):
    assert 0 <= shown(percent_above(value)) / 100 - value < Fraction(1, 100)
    assert abs(shown(percent(value)) / 100 - value) <= Fraction(1, 1000)


@given(st.fractions(min_value=-(10**6), max_value=10**6))
def test_exact_is_exact_text(value):
    assert shown(exact_text(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [("1", "1"), ("1/2", "0.5"), ("1/1000000000", "1e-9"), ("25/10000000000", "2.5e-9"), ("1/3", "1/3"), ("0", "0")],
)
def test_exact_texts(value, text):
    assert exact_text(Fraction(value)) == text


def test_other_texts():
    assert near(Fraction(408612, 10000), 4) == "40.86"
    assert near(1_000_000) == near(999_999.9) == above(999_999.9) == "1e6"
    assert near(999_999, 6) == "999\u202f999"
    assert near(9.9999e8) == above(9.9991e8) == "1e9"
    assert above(Fraction(123456, 10), 6) == "12\u202f345.6"
    assert near(9.9999e-6) == "0.00001"
    assert near(1.5e-6) == "1.5e-6"
    assert count(32561) == "32\u202f561"
    assert brief("plan sha256:" + "ab" * 32 + ": x") == "plan sha256:abababababab…: x"
    assert brief("sha256:abab") == "sha256:abab"
    assert percent(0.0) == "0\u202f%"
    assert percent_above(0.999999) == "100\u202f%"


def query(cells: int, sigma: Fraction, kind: str = "marginal") -> QueryFact:
    return QueryFact(3, kind, ("x",), cells, "rounded_gaussian", sigma, Fraction(1), (), "1")  # type: ignore[arg-type]


def test_expected_error_is_the_mean_of_the_half_normal():
    """E|N(0, s^2)| by integration of its tail, for 8 cells among 1,000 people."""
    sigma, step = 5.0, 0.01
    mean = sum(1 - erf((i + 0.5) * step / sigma / sqrt(2)) for i in range(6000)) * step
    assert expected_tvd(query(8, Fraction(5)), 1000) == pytest.approx(8 * mean / 2 / 1000, rel=1e-6)
    assert expected_tvd(query(8, Fraction(5)), None) is None
    assert expected_tvd(query(8, Fraction(5)), -3) is None
    assert expected_tvd(query(8, Fraction(5), "total"), 1000) is None
    assert expected_tvd(query(10**6, Fraction(5)), 10) == 1.0


def test_laplace_noise_has_its_own_mean_and_range():
    """E|x| and P(|x| <= w) of a Laplace law of scale 5, by integration of exp(-x/5)/5."""
    step = 0.001
    mean = sum((i + 0.5) * step * exp(-(i + 0.5) * step / 5) / 5 for i in range(300_000)) * step
    laplace = replace(query(8, Fraction(5)), mechanism="discrete_laplace")
    assert expected_tvd(laplace, 1000) == pytest.approx(8 * mean / 2 / 1000, rel=1e-4)
    assert 1 - exp(-within("discrete_laplace", 5) / 5) == pytest.approx(0.95)
    assert erf(within("rounded_gaussian", 5) / 5 / sqrt(2)) == pytest.approx(0.95)


def test_a_residual_has_no_error_in_people():
    assert expected_tvd(query(8, Fraction(5), "residual"), 1000) is None


def test_fit_is_net_of_the_noise():
    column = ColumnFit("x", ("a", "b"), (600, 400), (50, 50), 0.0)
    assert fit(column, 1000).net == pytest.approx(0.1)
    assert fit(column, None).net == pytest.approx(0.1)
    noisy = ColumnFit("x", ("a", "b"), (600, 400), (50, 50), 60.0)
    assert fit(noisy, 1000).net == pytest.approx(0.1 - 2 * 60 * sqrt(2 / pi) / 2000)
    assert fit(ColumnFit("x", ("a",), (5,), (5,), 100.0), 5).net == 0.0


def test_beliefs_follow_bayes():
    assert posterior(0.5, 0.01, 0.01) == pytest.approx(0.5)
    assert posterior(0.01, 0.01, 0.126) == pytest.approx(0.01 * 0.126 / (0.01 * 0.126 + 0.99 * 0.01))


def test_shares_add_up_to_the_reserved_budget():
    found = shares(sample_facts())
    assert sum(share.part for share in found) == 1
    assert [share.name for share in found] == [
        "number of rows",
        "single columns",
        "private choice",
        "pairs of columns",
        "reserved, not used",
    ]


def test_scores_are_a_part_of_the_budget_and_misplace_nobody():
    facts = sample_facts()
    (choice,) = (query for query in facts.queries if query.kind == "selection")
    scores = replace(choice, kind="scores", mechanism="rounded_gaussian", picks=1)
    found = shares(replace(facts, queries=(*facts.queries, scores)))
    assert "noisy comparisons" in [share.name for share in found]
    assert expected_tvd(scores, 10_000) is None


@pytest.mark.parametrize(
    ("rho", "rates"),
    [("1/20", (0.003, 0.025, 0.188)), ("1/2", (0.025, 0.126, 0.519)), ("1", (0.071, 0.269, 0.765))],
)
def test_worst_case_lies_between_the_gaussian_and_a_looser_bound(rho, rates):
    """Above what the Gaussian mechanism of that rho really allows, at most what one half of the bound alone gives."""
    worst = WorstCase.of(Cost("zcdp", Fraction(rho)))
    normal = NormalDist()
    for (fpr, tpr), looser in zip(worst.table, rates, strict=True):
        assert normal.cdf(normal.inv_cdf(fpr) + sqrt(2 * Fraction(rho))) <= tpr <= looser + 0.0006
    assert all(tpr >= fpr for fpr, tpr in worst.curve)
    assert [tpr for _, tpr in worst.curve] == sorted(tpr for _, tpr in worst.curve)
    assert not worst.vacuous


def test_vacuous_is_above_nine_in_ten_at_one_in_a_hundred():
    worst = WorstCase.of(Cost("zcdp", Fraction(5)), points=3)
    assert worst.vacuous
    assert worst.table[1][1] > 0.9


@given(st.integers(1, 200), st.booleans(), st.integers(1, 10_000))
def test_panels_keep_all_people_and_stay_inside(size, ordered, total):
    counts = tuple((i * 37 + total) % 91 - 5 for i in range(size))
    labels, drawn = tuple(f"v{i}" for i in range(size)), tuple(abs(c) for c in counts)
    column = ColumnFit("x", labels, counts, drawn, 3.0, ordered=ordered)
    found = panel(column, total)
    assert len(found.bars) <= (DRAWN if found.standing else LISTED)
    assert found.standing == (ordered and size > LISTED)
    for bar in found.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= found.height
        assert 0 <= bar.dot <= (found.height if found.standing else WIDTH)
    if not found.standing and size > LISTED:
        assert found.bars[-1].label == f"{size - LISTED + 1} others"


def test_labels_are_cut_in_the_middle():
    assert short("Married-civ-spouse-and-more") == "Married-civ…-more"
    assert short("a\x00b\n") == "a b "


def test_a_fit_needs_cells_of_one_length():
    with pytest.raises(ValueError, match="'x'"):
        ColumnFit("x", ("a",), (1, 2), (1, 2), 1.0)


@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 2**40)])
def test_a_part_of_delta_for_found_values_is_told_as_a_failure_event(delta):
    facts = sample_facts()
    reserved = replace(facts.claim.reserved, delta=delta)
    told = hazards(replace(facts, claim=replace(facts.claim, reserved=reserved)))
    (row,) = [row for row in told if "(2.3)" in row.name]
    assert row.status == ("judge" if delta else "handled")
    assert ("appears only when" in row.how) is (not delta)
    assert (exact_text(delta) in row.how) or not delta
