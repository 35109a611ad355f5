"""The threshold at which a value is named, against the exact laws of the noise."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import BudgetFormatError
from dpsynth.privacy import Budget, partitions_squared, threshold
from dpsynth.privacy.interval import Interval
from dpsynth.privacy.normal import upper_tail

DELTAS = [Fraction(1, 10**10), Fraction(1, 10**6), Fraction(1, 100)]
SIGMAS = [Fraction(1, 3), Fraction(1), Fraction(7, 2), Fraction(26), Fraction(1234, 7)]


def rounded(least: int, sigma: Fraction) -> Fraction:
    """P(1 + round(sigma Z) >= least), from below: the noise rounds up from one half below."""
    return Fraction(upper_tail(Interval.of((Fraction(least) - 1 - Fraction(1, 2)) / sigma, 50)).lo)


def discrete(least: int, sigma: Fraction) -> Fraction:
    """P(1 + X >= least) of the discrete Gaussian, by summing its weights."""
    with localcontext() as context:
        context.prec = 60
        twice = 2 * Decimal(sigma.numerator) ** 2 / Decimal(sigma.denominator) ** 2
        reach = int(30 * sigma) + least + 10
        weights = {j: (-Decimal(j * j) / twice).exp() for j in range(reach)}
        total = 2 * sum(weights.values()) - weights[0]
        return Fraction(sum(weight for j, weight in weights.items() if j >= least - 1) / total)


def shows(survives: Fraction, most: int) -> Fraction:
    """The probability that one or more of so many values that one entity alone holds are named."""
    return 1 - (1 - survives) ** most


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("most", [1, 2, 3, 4, 5])
class TestAValueOfOneEntity:
    def test_shows_no_likelier_than_delta_and_no_smaller_threshold_would_do(
        self, most: int, sigma: Fraction, delta: Fraction
    ) -> None:
        least = threshold(sigma, most, delta)
        assert shows(rounded(least, sigma), most) <= delta
        if least - 1 - Fraction(3, 2) >= sigma:
            assert shows(rounded(least - 1, sigma), most) > delta

    def test_nor_under_the_discrete_gaussian(self, most: int, sigma: Fraction, delta: Fraction) -> None:
        assert shows(discrete(threshold(sigma, most, delta), sigma), most) <= delta


def test_without_the_half_or_the_union_delta_would_be_exceeded() -> None:
    delta = Fraction(1, 10**6)
    assert all(shows(rounded(threshold(Fraction(60), 1, delta), Fraction(60)), most) > delta for most in (2, 3, 4, 5))
    sigma, reach = Fraction(2), Fraction("4.75342431")  # Phi(-reach) = 10^-6
    assert ceil(1 + sigma * reach) == threshold(sigma, 1, delta) - 1
    assert shows(rounded(ceil(1 + sigma * reach), sigma), 1) > delta


@given(st.fractions(Fraction(1, 50), 10**6), st.integers(1, 1000), st.fractions(Fraction(1, 10**15), Fraction(1, 10)))
def test_it_grows_with_the_noise_and_the_values_of_an_entity(sigma: Fraction, most: int, delta: Fraction) -> None:
    least = threshold(sigma, most, delta)
    assert least <= threshold(2 * sigma, most, delta)
    assert least <= threshold(sigma, most + 1, delta)
    assert least >= threshold(sigma, most, min(2 * delta, Fraction(1, 2)))
    assert least - Fraction(3, 2) >= sigma


@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1), Fraction(-1)])
def test_a_delta_of_nothing_hides_nothing(delta: Fraction) -> None:
    with pytest.raises(BudgetFormatError, match="delta_0"):
        threshold(Fraction(1), 1, delta)


def test_no_threshold_beyond_the_integers_that_are_counted() -> None:
    with pytest.raises(BudgetFormatError, match="epsilon"):
        threshold(Fraction(2**61), 1, Fraction(1, 10**9))


def test_an_entity_counts_once_for_each_of_its_values() -> None:
    assert [partitions_squared(k, "add-remove") for k in (1, 2, 5)] == [1, 2, 5]
    assert [partitions_squared(k, "replace-one") for k in (1, 2, 5)] == [2, 4, 10]


def test_a_part_of_delta_is_taken_from_the_promise() -> None:
    budget, part = Budget(epsilon="1", delta="1e-9"), Fraction(1, 10**10)
    cost = budget.cost("gdp", part)
    assert cost.delta == part
    assert cost.amount == Budget(epsilon="1", delta=Fraction(9, 10**10)).cost().amount < budget.cost().amount


@pytest.mark.parametrize(("measure", "part"), [("pure", "1e-12"), ("gdp", "1e-9"), ("zcdp", "1e-8")])
def test_a_part_that_leaves_nothing_is_refused(measure: str, part: str) -> None:
    with pytest.raises(BudgetFormatError, match="delta_0"):
        Budget(epsilon="1", delta="0" if measure == "pure" else "1e-9").cost(measure, Fraction(part))  # type: ignore[arg-type]
