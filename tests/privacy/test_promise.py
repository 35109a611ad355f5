"""One converter for all measures: what is quoted is attained and never too small, against other libraries."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

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
    exponential_scale,
    laplace_scale,
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


def composed(amounts: list[Fraction], delta: str, interval: float, pessimistic: bool) -> float:
    """Epsilon of Gaussian mechanisms of these mu^2 by dp-accounting's privacy loss distributions: above or below it.

    Losses are rounded to multiples of the interval: down, each by half of it on average, for the optimistic estimate;
    onto both neighbours for the pessimistic one, with an error of the square of the interval.
    """
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

    losses = [
        from_gaussian_mechanism(
            float(1 / amount) ** 0.5,
            value_discretization_interval=interval,
            pessimistic_estimate=pessimistic,
            use_connect_dots=pessimistic,
        )
        for amount in amounts
    ]
    while len(losses) > 1:  # in pairs: neighbours of like size
        pairs = [losses[at : at + 2] for at in range(0, len(losses), 2)]
        losses = [pair[0].compose(pair[1]) if len(pair) > 1 else pair[0] for pair in pairs]
    return float(losses[0].get_epsilon_for_delta(float(delta)))


@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
def test_dp_accounting_attains_what_gdp_quotes(epsilon: str, delta: str) -> None:
    """The privacy loss distribution of the Gaussian that the whole budget buys, a pessimistic and an optimistic one."""
    cost = Budget(epsilon, delta).cost("gdp")
    below, above = (composed([cost.amount], delta, 2e-4, pessimistic) for pessimistic in (False, True))
    quoted = float(epsilon_of(cost, Fraction(delta)))
    assert quoted <= float(epsilon)
    assert float(epsilon) - 1e-3 <= below <= quoted + 1e-9
    assert quoted - 1e-9 <= above <= float(epsilon) + 1e-5


@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
def test_dp_accounting_composes_to_what_gdp_quotes(epsilon: str, delta: str) -> None:
    """Twenty unequal Gaussian events, whose mu^2 add up to the whole budget."""
    cost = Budget(epsilon, delta).cost("gdp")
    parts = [cost.amount * Fraction(part, 210) for part in range(1, 21)]
    below, above = composed(parts, delta, 9e-5, False), composed(parts, delta, 2e-4, True)
    quoted = float(epsilon_of(cost, Fraction(delta)))
    assert float(epsilon) - 1e-3 <= below <= quoted + 1e-9
    assert quoted - 1e-9 <= above <= float(epsilon) + 1e-4


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


@pytest.mark.parametrize("epsilon", ["0.1", "1", "4", "10"])
@pytest.mark.parametrize("moved", [1, 6])
def test_a_pure_epsilon_is_what_it_says(epsilon: str, moved: int) -> None:
    """The laws that the whole budget buys change by exp(epsilon) where they change most, and nowhere by more."""
    cost = Budget(epsilon, "0").cost("pure")
    limit = Fraction(epsilon)
    attained = limit * (1 - Fraction(1, 10**9))
    assert attained < epsilon_of(cost, Fraction(0)) <= limit

    scale = laplace_scale("pure", moved, cost.amount)
    assert attained < max((abs(k - moved) - abs(k)) / scale for k in range(-20, 20)) <= limit

    width = float(exponential_scale("pure", moved, cost.amount, 1))
    worst = 0.0
    for scores in product((0.0, 30 * width, 60 * width), repeat=3):
        for moves in product((-moved, moved), repeat=3):
            here, there = (np.array(held) / width for held in (scores, np.add(scores, moves)))
            change = (there - logsumexp(there)) - (here - logsumexp(here))
            worst = max(worst, float(np.abs(change).max()))
    assert float(attained) < worst <= float(limit) + 1e-12
