"""One converter for all measures: what is quoted is attained and never too small, against other libraries."""

from fractions import Fraction
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy import (
    GRID,
    MEASURES,
    Budget,
    Cost,
    Measure,
    amount_of,
    decimal_text,
    epsilon_of,
)
from dpsynth.privacy.conversion import epsilon_of_rho
from dpsynth.privacy.gdp import epsilon_of_gdp

STEP = Fraction(1, GRID)
BUDGETS = [(epsilon, delta) for epsilon in ("0.1", "1", "4", "10") for delta in ("1e-6", "1e-9")]


def budget_of(measure: Measure, epsilon: Fraction) -> Budget:
    return Budget(epsilon, 0 if measure == "pure" else "1e-9")


@pytest.mark.parametrize("measure", MEASURES)
@settings(max_examples=30, deadline=None)
@given(st.fractions(Fraction(1, 10**6), 50))
def test_a_budget_buys_the_most_that_keeps_it(measure: Measure, epsilon: Fraction) -> None:
    budget = budget_of(measure, epsilon)
    cost = budget.cost(measure)
    assert (cost.measure, (cost.amount * GRID).denominator) == (measure, 1)
    quoted = epsilon_of(cost, budget.delta)
    assert quoted <= epsilon
    assert epsilon - quoted < Fraction(1, 10**6)
    assert epsilon_of(Cost(measure, cost.amount + STEP), budget.delta) > epsilon
    assert Fraction(decimal_text(quoted)) == quoted
    assert cost.amount == amount_of(measure, epsilon, budget.delta)


@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
def test_dp_accounting_attains_what_gdp_quotes(epsilon: str, delta: str) -> None:
    """The privacy loss distribution of the Gaussian that the whole budget buys, a pessimistic and an optimistic one."""
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

    cost = Budget(epsilon, delta).cost("gdp")
    sigma = float(1 / cost.amount) ** 0.5
    above, below = (
        from_gaussian_mechanism(
            sigma, value_discretization_interval=1e-4, pessimistic_estimate=pessimistic
        ).get_epsilon_for_delta(float(delta))
        for pessimistic in (True, False)
    )
    assert below <= float(epsilon) + 1e-9
    assert float(epsilon) - 1e-3 <= below <= above <= float(epsilon) + 1e-3
    assert below - 1e-9 <= float(epsilon_of(cost, Fraction(delta))) <= above + 1e-9


@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
def test_dp_accounting_composes_to_what_gdp_quotes(epsilon: str, delta: str) -> None:
    """Twenty unequal Gaussian events, whose mu^2 add up to the whole budget."""
    from dp_accounting.dp_event import ComposedDpEvent, GaussianDpEvent
    from dp_accounting.pld import PLDAccountant

    cost = Budget(epsilon, delta).cost("gdp")
    parts = [cost.amount * Fraction(part, 210) for part in range(1, 21)]
    events = [GaussianDpEvent(float(1 / part) ** 0.5) for part in parts]
    accountant = PLDAccountant(value_discretization_interval=1e-4).compose(ComposedDpEvent(events))
    assert accountant.get_epsilon(float(delta)) == pytest.approx(float(epsilon), abs=2.1e-3)


@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
def test_opendp_attains_what_zcdp_quotes(epsilon: str, delta: str) -> None:
    from opendp.combinators import make_zCDP_to_approxDP
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    cost = Budget(epsilon, delta).cost("zcdp")
    sigma = float(1 / (2 * cost.amount)) ** 0.5
    made = make_gaussian(vector_domain(atom_domain(T="i64")), l2_distance(T="i64"), scale=sigma)
    theirs = make_zCDP_to_approxDP(made).map(1).epsilon(float(delta))
    assert float(epsilon) - 1e-3 <= theirs <= float(epsilon) * (1 + 1e-12)


@pytest.mark.parametrize("epsilon", ["0.1", "1", "4", "10"])
def test_opendp_attains_what_pure_quotes(epsilon: str) -> None:
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_laplace
    from opendp.metrics import l1_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    cost = Budget(epsilon, "0").cost("pure")
    made = make_laplace(vector_domain(atom_domain(T="i64")), l1_distance(T="i64"), scale=float(1 / cost.amount))
    assert float(epsilon) - 1e-3 <= made.map(1) <= float(epsilon) * (1 + 1e-12)


def test_what_the_measures_give_differs_as_it_must() -> None:
    """At one budget Gaussian DP buys less noise than zCDP; both are worth more than pure DP only with a delta."""
    gdp, zcdp = (Budget("1", "1e-9").cost(measure) for measure in ("gdp", "zcdp"))
    assert gdp.as_zcdp().amount > zcdp.amount
    assert epsilon_of(gdp.as_zcdp(), Fraction(1, 10**9)) > 1


def test_nothing_costs_nothing_and_only_pure_gives_delta_0() -> None:
    for measure in MEASURES:
        assert epsilon_of(Cost.nothing(measure), Fraction(0)) == 0
    assert epsilon_of(Cost("pure", Fraction(1, 3)), Fraction(0)) == Fraction(333333333333333334, 10**18)
    for measure in ("gdp", "zcdp"):
        with pytest.raises(BudgetFormatError, match="delta: 0 needs an account of pure"):
            epsilon_of(Cost(measure, Fraction(1)), Fraction(0))


@pytest.mark.parametrize("measure", ["gdp", "zcdp"])
def test_thresholded_steps_use_their_part_of_delta(measure: Measure) -> None:
    delta, used = Fraction(1, 10**9), Fraction(1, 10**10)
    own = {"gdp": epsilon_of_gdp, "zcdp": epsilon_of_rho}[measure]
    assert epsilon_of(Cost(measure, Fraction(1, 10), used), delta) == own(Fraction(1, 10), delta - used)
    for all_of_it in (delta, 2 * delta):
        with pytest.raises(BudgetFormatError, match="thresholded steps"):
            epsilon_of(Cost(measure, Fraction(1, 10), all_of_it), delta)


def test_a_pure_epsilon_is_what_it_says() -> None:
    """Randomised response at the budget's epsilon has that very ratio."""
    cost = Budget("1", "0").cost("pure")
    truth = exp(float(cost.amount)) / (1 + exp(float(cost.amount)))
    assert truth / (1 - truth) == pytest.approx(exp(1))
