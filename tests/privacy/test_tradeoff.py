"""The cap on true-positive rates: valid for laws of known rho, and never above what conversion gives."""

from fractions import Fraction
from math import exp, nextafter, sqrt

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, ndtr, ndtri

from dpsynth.errors import ConfigurationError
from dpsynth.privacy import MEASURES, Cost, Measure
from dpsynth.privacy import highest_tpr as by_cost

RATES = ("0.001", "0.01", "0.1")
FROM_EPSILON_DELTA = {
    "0.05": ("0.003", "0.025", "0.188"),
    "0.1": ("0.005", "0.035", "0.236"),
    "0.5": ("0.025", "0.126", "0.519"),
    "1": ("0.071", "0.269", "0.765"),
    "2.556": ("0.347", "0.741", "0.975"),
}
"""min over epsilon of e^epsilon FPR + delta(epsilon), rounded: what the conversion alone says."""

OURS = {
    "0.05": (0.30810, 2.47968, 18.47200),
    "0.1": (0.47683, 3.50625, 23.08257),
    "0.5": (2.49103, 12.45892, 48.37283),
    "1": (7.02331, 26.14988, 68.92183),
    "2.556": (33.76104, 68.25038, 95.91018),
}
"""In percent, from the divergences themselves."""


def highest_tpr(rho: Fraction, fpr: Fraction | float, delta0: Fraction = Fraction(0)) -> float:
    return by_cost(Cost("zcdp", rho, delta0), fpr)


@pytest.mark.parametrize("rho", FROM_EPSILON_DELTA)
def test_figures(rho: str) -> None:
    got = [highest_tpr(Fraction(rho), Fraction(rate)) for rate in RATES]
    assert [100 * rate for rate in got] == pytest.approx(OURS[rho], abs=2e-5)
    for rate, printed in zip(got, FROM_EPSILON_DELTA[rho], strict=True):
        assert rate <= float(printed) + 0.0005
    for x, rate in zip(RATES, got, strict=True):
        gaussian = float(ndtr(sqrt(2 * float(Fraction(rho))) + ndtri(float(x))))
        assert gaussian < rate < 1.45 * gaussian + 0.05


@settings(max_examples=40, deadline=None)
@given(st.floats(-6, 1.5), st.floats(-8, -0.01))
def test_the_gaussian_never_beats_the_cap(log_rho: float, log_rate: float) -> None:
    rho, rate = Fraction(10**log_rho), 10**log_rate
    gaussian = float(ndtr(sqrt(2 * float(rho)) + ndtri(rate)))
    cap = highest_tpr(rho, rate)
    assert gaussian <= cap * (1 + 1e-12)
    assert rate <= cap <= 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.02, 1), st.floats(0.02, 1)), min_size=2, max_size=5))
def test_no_test_between_any_two_small_laws_beats_the_cap(weights: list[tuple[float, float]]) -> None:
    """Neyman and Pearson: the best tests say present for the points of the highest likelihood ratios."""
    p, q = np.array(weights).T / np.array(weights).sum(axis=0)[:, None]
    alphas = 1 + np.logspace(-6, 4, 4000)
    both = []
    for a, b in ((p, q), (q, p)):
        divergence = logsumexp(alphas[:, None] * np.log(a) + (1 - alphas[:, None]) * np.log(b), axis=1) / (alphas - 1)
        both.append(float((divergence / alphas).max()))
    rho = Fraction(max(max(both), 1e-9) * (1 + 1e-4))
    likeliest = np.argsort(-p / q)
    for size in range(1, len(weights)):
        said_present = likeliest[:size]
        rate, power = float(q[said_present].sum()), float(p[said_present].sum())
        assert power <= highest_tpr(rho, rate) * (1 + 1e-9)


def test_the_cap_breaks_one_order_and_a_smaller_rate_breaks_none() -> None:
    """Tight: just below the cap every order of both directions is kept, so that no better cap exists."""
    alphas = 1 + np.logspace(-5, 3, 20_000)
    for rho, x in ((0.05, 0.01), (0.5, 0.1), (1.0, 0.1), (2.556, 0.1)):
        cap = highest_tpr(Fraction(rho), x)

        def broken(y: float, x: float = x, rho: float = rho) -> bool:
            worst = -1.0
            for p, q in ((y, x), (x, y)):
                inside = alphas * np.log(p) + (1 - alphas) * np.log(q)
                outside = alphas * np.log1p(-p) + (1 - alphas) * np.log1p(-q)
                worst = max(worst, float((np.logaddexp(inside, outside) / (alphas * (alphas - 1)) - rho).max()))
            return worst > 0

        assert broken(cap * (1 + 1e-4))
        assert not broken(cap * (1 - 1e-4))


def test_rises_with_rho_and_with_the_false_positive_rate() -> None:
    by_rho = [highest_tpr(Fraction(k, 10), Fraction(1, 100)) for k in range(12)]
    by_rate = [highest_tpr(Fraction(1, 10), Fraction(k, 12)) for k in range(13)]
    assert by_rho == sorted(by_rho)
    assert by_rate == sorted(by_rate)


class TestEdges:
    def test_no_budget_no_power(self) -> None:
        assert highest_tpr(Fraction(0), Fraction(1, 4)) == 0.25
        third = highest_tpr(Fraction(0), Fraction(1, 3))
        assert Fraction(nextafter(third, 0)) < Fraction(1, 3) <= Fraction(third)

    def test_the_ends_of_the_curve(self) -> None:
        assert highest_tpr(Fraction(1), 0) == 0
        assert highest_tpr(Fraction(1), 1) == 1

    @pytest.mark.parametrize("rho", [Fraction(100), Fraction(10**40)])
    def test_a_vacuous_budget_says_so(self, rho: Fraction) -> None:
        assert highest_tpr(rho, Fraction(1, 100)) == 1

    @pytest.mark.parametrize("power", [-17, -18, -30, -400])
    def test_a_budget_below_the_grid_is_still_capped(self, power: int) -> None:
        rho = Fraction(10) ** power
        for x in (Fraction(1, 10**12), Fraction(1, 100), Fraction(999, 1000)):
            assert float(x) < highest_tpr(rho, x) < float(x) * (1 + 1e-5)

    def test_a_rate_that_no_float_holds_gets_a_cap_of_one(self) -> None:
        assert highest_tpr(Fraction(1), Fraction(1, 10**400)) == 1
        assert highest_tpr(Fraction(1), 1 - Fraction(1, 10**400)) == 1

    def test_a_tiny_budget_or_rate(self) -> None:
        assert highest_tpr(Fraction(1, 10**12), Fraction(1, 10)) < 0.100001
        assert 1e-12 < highest_tpr(Fraction(1, 10), Fraction(1, 10**12)) < 1e-9

    def test_delta0_adds(self) -> None:
        rho, x, slack = Fraction(1, 10), Fraction(1, 100), Fraction(1, 1000)
        plain = highest_tpr(rho, x / (1 - slack))
        assert highest_tpr(rho, x, slack) == pytest.approx(float(slack + (1 - slack) * Fraction(plain)), rel=1e-15)
        assert highest_tpr(rho, 0, slack) >= 0.001
        assert highest_tpr(rho, x, Fraction(1)) == 1
        assert highest_tpr(rho, Fraction(1, 2), Fraction(1, 2)) == 1

    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize("rate", [-1, 2, Fraction(101, 100)])
    def test_what_is_no_rate_is_refused(self, measure: Measure, rate: Fraction) -> None:
        with pytest.raises(ConfigurationError, match="between 0 and 1"):
            by_cost(Cost(measure, Fraction(1)), rate)


class TestPure:
    @settings(max_examples=60, deadline=None)
    @given(st.floats(-6, 2.5), st.floats(-12, -1e-9))
    def test_is_the_lower_of_the_two_lines_rounded_up(self, log_epsilon: float, log_rate: float) -> None:
        epsilon, rate = Fraction(10**log_epsilon), Fraction(10**log_rate)
        with mpmath.workdps(50):
            size, x = (mpmath.mpf(value.numerator) / value.denominator for value in (epsilon, rate))
            truth = min(mpmath.exp(size) * x, 1 - mpmath.exp(-size) * (1 - x))
            found = by_cost(Cost("pure", epsilon), rate)
            assert truth <= mpmath.mpf(found) <= truth * (1 + mpmath.mpf(2) ** -52)

    def test_randomised_response_attains_it(self) -> None:
        """It says the truth with probability e/(1 + e) at epsilon 1: rates 1/(1 + e) and e/(1 + e)."""
        said = 1 / (1 + exp(1))
        assert by_cost(Cost("pure", Fraction(1)), said) == pytest.approx(1 - said)

    def test_at_the_ends(self) -> None:
        assert by_cost(Cost("pure", Fraction(1)), 0) == 0
        assert by_cost(Cost("pure", Fraction(1)), 1) == 1
        assert by_cost(Cost("pure", Fraction(0)), Fraction(1, 4)) == 0.25
        assert by_cost(Cost("pure", Fraction(10**9)), Fraction(1, 10**6)) == 1
        assert by_cost(Cost("pure", Fraction(10**9)), 0) == 0
