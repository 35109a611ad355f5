"""What cells cost together, and what may divide an account."""

from fractions import Fraction
from itertools import product

import pytest

from dpsynth import verifier
from dpsynth.errors import ConfigurationError
from dpsynth.ledger import amount
from dpsynth.privacy import (
    Cells,
    Cost,
    marginal_l1,
    marginal_squared,
    partitions_squared,
    residual_squared,
    together,
    total,
)


def cost(number: int, delta: int = 0) -> Cost:
    return Cost("gdp", Fraction(number, 7), Fraction(delta, 100))


@pytest.mark.parametrize(("relation", "most"), [("add-remove", 1), ("replace-one", 2)])
def test_the_largest_sums_count_amount_and_delta_each_by_itself(relation: str, most: int) -> None:
    for numbers in product(range(4), repeat=3):
        sums = [cost(number, 3 - number) for number in numbers]
        found = together(sums, relation, "gdp")
        assert found == cost(sum(sorted(numbers)[-most:]), sum(sorted(3 - number for number in numbers)[-most:]))
        stated = verifier.together([amount(one) for one in sums], {"neighbours": relation, "measure": "gdp"})
        assert stated == amount(found)
    assert together([], relation, "gdp") == cost(0)
    assert together([cost(3)], relation, "gdp") == cost(3)
    with pytest.raises(ValueError, match="all in zcdp"):
        together([cost(3)], relation, "zcdp")


def test_leaving_or_entering_a_cell_costs_at_most_the_price_of_a_replacement() -> None:
    """The lemma of proofs/privacy/together.md; of the number of rows it holds where that is never public."""
    for rows in range(1, 5):
        for squared in (marginal_squared, marginal_l1, partitions_squared):
            assert squared(rows, "add-remove") <= squared(rows, "replace-one")
        for sizes in ((2,), (3, 5), (2, 2, 7)):
            assert residual_squared(sizes, rows, "add-remove") <= residual_squared(sizes, rows, "replace-one")
        assert total(rows, "add-remove", False) <= total(rows, "replace-one", False)
    assert total(1, "replace-one", True) == 0 < total(1, "add-remove", True)


def test_cells_are_what_is_written() -> None:
    assert Cells.parse("region = north, south") == Cells("region", ("north", "south"))
    assert Cells("region", ("north", "south")).cell("study", "south").where == "region=south"


@pytest.mark.parametrize(
    "text",
    [
        "region",
        "region=north",
        "=a,b",
        "region=a,a",
        "region=a,",
        "region=a,b\n",
        "region=" + ",".join(map(str, range(1001))),
    ],
)
def test_cells_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cells"):
        Cells.parse(text) if text != "region=a,b\n" else Cells("region", ("a", "b\n"))


def test_an_unknown_label_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="no cell 'nort'; did you mean 'north'"):
        Cells("region", ("north", "south")).cell("study", "nort")
