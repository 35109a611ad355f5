"""Conversions against published figures, OpenDP, dp-accounting and a search with many more digits."""

from decimal import Context, Decimal
from fractions import Fraction
from math import exp, log10

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy import GRID, Budget, decimal_text
from dpsynth.privacy.conversion import QUOTE, epsilon_of_rho, rho_of_epsilon

DELTA = Fraction(1, 10**9)
CLOSE = Fraction(1, 2**50)
FAR = Context(prec=140)


def power_of_ten(low: float, high: float) -> st.SearchStrategy[Fraction]:
    return st.floats(low, high).map(lambda power: Fraction(Decimal(10) ** Decimal(power)))


def bound(u: Decimal, rho: Decimal, goal: Decimal) -> Decimal:
    """The bound on epsilon of order 1 + u, as printed in Canonne, Kamath, Steinke 2020."""
    alpha = FAR.add(1, u)
    middle = FAR.multiply(u, FAR.ln(FAR.subtract(1, FAR.divide(1, alpha))))
    top = FAR.subtract(FAR.add(goal, middle), FAR.ln(alpha))
    return FAR.add(FAR.multiply(alpha, rho), FAR.divide(top, u))


def infimum(rho: Fraction, delta: Fraction) -> Fraction:
    """The least bound, or 0, by golden-section search over ln u with 140 digits: it uses no derivative."""
    size = FAR.divide(Decimal(rho.numerator), Decimal(rho.denominator))
    goal = FAR.ln(FAR.divide(Decimal(delta.denominator), Decimal(delta.numerator)))
    golden = FAR.divide(FAR.subtract(FAR.sqrt(Decimal(5)), Decimal(1)), Decimal(2))

    def at(position: Decimal) -> Decimal:
        return bound(FAR.exp(position), size, goal)

    low, high = Decimal(-30), FAR.add(goal, Decimal(2))
    a = FAR.subtract(high, FAR.multiply(golden, FAR.subtract(high, low)))
    b = FAR.add(low, FAR.multiply(golden, FAR.subtract(high, low)))
    at_a, at_b = at(a), at(b)
    while FAR.subtract(high, low) > Decimal("1e-25"):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = FAR.subtract(high, FAR.multiply(golden, FAR.subtract(high, low)))
            at_a = at(a)
        else:
            low, a, at_a = a, b, at_b
            b = FAR.add(low, FAR.multiply(golden, FAR.subtract(high, low)))
            at_b = at(b)
    return max(Fraction(0), Fraction(min(at_a, at_b)))


class TestPublishedFigures:
    """The certificates of the 2020 Census (PL 94-171): rho exact, epsilon as printed."""

    def test_persons(self) -> None:
        epsilon = epsilon_of_rho(Fraction(293764, 114921), Fraction(1, 10**10))
        assert decimal_text(epsilon).startswith("17.143550743")
        assert round(epsilon, 10) == Fraction("17.1435507436")
        assert epsilon >= Fraction("17.1435507387")

    def test_units(self) -> None:
        epsilon = epsilon_of_rho(Fraction(11417641, 152349649), Fraction(1, 10**10))
        assert round(epsilon, 8) == Fraction("2.47467107")
        assert epsilon >= Fraction("2.4746710062")


@settings(max_examples=60, deadline=None)
@given(power_of_ten(-17, 5), power_of_ten(-300, -0.3))
@example(Fraction(1, 2), DELTA)
@example(Fraction(1, GRID), DELTA)
@example(Fraction(1, 100), Fraction(1, 10**300))
@example(Fraction(10**5), Fraction(999, 1000))
def test_never_below_the_infimum_and_within_2_to_the_minus_50(rho: Fraction, delta: Fraction) -> None:
    exact, stated = infimum(rho, delta), epsilon_of_rho(rho, delta)
    assert exact - Fraction(1, 10**40) <= stated <= exact + CLOSE
    assert (stated * QUOTE).denominator == 1


@settings(max_examples=60, deadline=None)
@given(power_of_ten(-8, 4), power_of_ten(-300, -0.3))
@example(Fraction(1), DELTA)
@example(Fraction(1, 3), DELTA)
@example(Fraction(10**6), Fraction(1, 10**12))
def test_back_and_forth_never_exceeds_and_loses_little(epsilon: Fraction, delta: Fraction) -> None:
    rho = rho_of_epsilon(epsilon, delta)
    assert (rho * GRID).denominator == 1
    assert epsilon_of_rho(rho, delta) <= epsilon
    assert epsilon_of_rho(rho + Fraction(1, GRID), delta) >= epsilon - Fraction(1, QUOTE), "one step more would fit"


@pytest.mark.parametrize("epsilon", ["0.1", "0.5", "1", "2", "10", "100"])
@pytest.mark.parametrize("delta", ["1e-5", "1e-9", "1e-15"])
def test_ordinary_budgets_lose_less_than_1e_15(epsilon: str, delta: str) -> None:
    budget = Budget(epsilon, delta)
    back = epsilon_of_rho(budget.cost("zcdp").amount, budget.delta)
    assert 0 <= budget.epsilon - back < Fraction(1, 10**15)


def test_rises_with_rho_and_falls_with_delta() -> None:
    rhos = [epsilon_of_rho(Fraction(1, 2**k), DELTA) for k in range(30)]
    assert rhos == sorted(rhos, reverse=True)
    deltas = [epsilon_of_rho(Fraction(1, 10), Fraction(1, 10**k)) for k in range(1, 30)]
    assert deltas == sorted(deltas)


class TestEdges:
    def test_nothing_spent_is_nothing_lost(self) -> None:
        assert epsilon_of_rho(Fraction(0), Fraction(1, 10**300)) == 0

    def test_a_generous_delta_covers_it_all(self) -> None:
        assert epsilon_of_rho(Fraction(1, 10**6), Fraction(1, 2)) == 0
        assert epsilon_of_rho(Fraction(1, 100), 1 - Fraction(1, 10**900)) == 0

    def test_a_tiny_epsilon_still_buys_what_delta_covers(self) -> None:
        rho = rho_of_epsilon(Fraction(1, 10**17), DELTA)
        assert 0 < rho < Fraction(1, 10**17)

    def test_a_tiny_delta(self) -> None:
        epsilon = epsilon_of_rho(Fraction(1, 2), Fraction(1, 10**300))
        assert 37 < epsilon < Fraction(1, 2) + 2 * 19

    def test_an_epsilon_below_the_grid_buys_nothing(self) -> None:
        assert rho_of_epsilon(Fraction(1, 10**10), Fraction(1, 10**12)) == 0
        assert rho_of_epsilon(Fraction(1, 10**300), DELTA) == 0

    @pytest.mark.parametrize("delta", [Fraction(1, 10**300), DELTA, Fraction(99, 100)])
    def test_a_huge_epsilon(self, delta: Fraction) -> None:
        for huge in (Fraction(10**30), Fraction(10**300)):
            rho = rho_of_epsilon(huge, delta)
            assert huge / 2 < rho < 2 * huge
            assert huge - CLOSE <= epsilon_of_rho(rho, delta) <= huge

    @pytest.mark.parametrize("delta", [Fraction(0), Fraction(1), Fraction(-1, 2), Fraction(2)])
    def test_a_delta_outside_is_refused(self, delta: Fraction) -> None:
        with pytest.raises(BudgetFormatError, match="delta"):
            epsilon_of_rho(Fraction(1), delta)
        with pytest.raises(BudgetFormatError, match="delta"):
            rho_of_epsilon(Fraction(1), delta)

    def test_a_negative_amount_is_refused(self) -> None:
        with pytest.raises(BudgetFormatError, match="rho"):
            epsilon_of_rho(Fraction(-1), DELTA)
        for epsilon in (Fraction(0), Fraction(-1)):
            with pytest.raises(BudgetFormatError, match="epsilon"):
                rho_of_epsilon(epsilon, DELTA)

    def test_the_ambient_decimal_context_does_not_matter(self) -> None:
        from decimal import ROUND_UP, localcontext

        before = epsilon_of_rho(Fraction(1, 3), DELTA), rho_of_epsilon(Fraction(1), DELTA)
        with localcontext(prec=3, rounding=ROUND_UP, Emax=5, Emin=-5):
            assert (epsilon_of_rho(Fraction(1, 3), DELTA), rho_of_epsilon(Fraction(1), DELTA)) == before


CASES = [(rho, delta) for rho in ("1e-4", "0.014973", "0.5", "2.5562", "30") for delta in ("1e-5", "1e-9", "1e-12")]


@pytest.mark.parametrize(("rho", "delta"), CASES)
def test_opendp_says_the_same(rho: str, delta: str) -> None:
    from opendp.combinators import make_zCDP_to_approxDP
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    sigma = float(1 / (2 * float(rho)) ** 0.5)
    made = make_gaussian(vector_domain(atom_domain(T="i64")), l2_distance(T="i64"), scale=sigma)
    exact = 1 / (2 * Fraction(sigma) ** 2)
    theirs = make_zCDP_to_approxDP(made).map(1).epsilon(float(delta))
    ours = float(epsilon_of_rho(exact, Fraction(float(delta))))
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("rho", "delta"), CASES)
def test_dp_accounting_says_the_same(rho: str, delta: str) -> None:
    from dp_accounting.dp_event import ZCDpEvent
    from dp_accounting.rdp import RdpAccountant

    goal = -log10(float(delta)) * 2.303
    centre = (goal / float(rho)) ** 0.5
    orders = [1 + centre * exp(step / 400) for step in range(-800, 400)]
    theirs = RdpAccountant(orders=orders).compose(ZCDpEvent(float(rho))).get_epsilon(float(delta))
    ours = float(epsilon_of_rho(Fraction(rho), Fraction(delta)))
    assert theirs - 1e-5 * max(1, theirs) <= ours <= theirs * (1 + 1e-12) + 1e-12
