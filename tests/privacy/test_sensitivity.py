"""The table of sensitivities against every pair of neighbours of small tables."""

from collections.abc import Iterable, Iterator
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError
from dpsynth.privacy import NEIGHBOURS, l1_to_model, marginal_squared, total

SHAPE = (2, 2)
CELLS = list(product(*(range(size) for size in SHAPE)))
LATTICE = 4

Entity = tuple[tuple[int, ...], ...]
Table = tuple[Entity, ...]


def entities(max_rows: int, row_unit: bool = False) -> list[Entity]:
    """Every multiset of at most max_rows rows; in a row unit exactly one row."""
    sizes = [1] if row_unit else range(max_rows + 1)
    return [entity for size in sizes for entity in combinations_with_replacement(CELLS, size)]


def neighbours(max_rows: int, relation: str, row_unit: bool = False) -> Iterator[tuple[Table, Table]]:
    """Every pair of neighbouring tables of at most two entities."""
    every = entities(max_rows, row_unit)
    for others in [(), *((entity,) for entity in every)]:
        if relation == "add-remove":
            yield from ((others, (*others, one)) for one in every)
        else:
            yield from (((*others, one), (*others, two)) for one, two in combinations(every, 2))


def counts(table: Table) -> NDArray[np.int64]:
    result = np.zeros(SHAPE, dtype=np.int64)
    for entity in table:
        for cell in entity:
            result[cell] += 1
    return result


def marginals(full: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Each marginal, and each level of the first column of the joint table (its two cells merged)."""
    yield full
    yield full.sum(axis=0)
    yield full.sum(axis=1)
    yield full.sum(axis=0, keepdims=True)


def largest(values: Iterable[int]) -> int:
    return max(values, default=0)


@pytest.mark.parametrize("relation", NEIGHBOURS)
@pytest.mark.parametrize("max_rows", [1, 2, 3])
class TestAllNeighbours:
    def test_marginal(self, max_rows: int, relation: str) -> None:
        moved = [0, 0, 0, 0]
        for one, two in neighbours(max_rows, relation):
            for i, (a, b) in enumerate(zip(marginals(counts(one)), marginals(counts(two)), strict=True)):
                moved[i] = max(moved[i], int(((a - b) ** 2).sum()))
        assert moved == [marginal_squared(max_rows, relation)] * 4

    def test_total_of_entities(self, max_rows: int, relation: str) -> None:
        pairs = neighbours(max_rows, relation)
        moved = largest(abs(int(counts(one).sum() - counts(two).sum())) for one, two in pairs)
        assert moved == total(max_rows, relation, row_unit=False) == max_rows

    def test_l1_to_model(self, max_rows: int, relation: str) -> None:
        generator = np.random.default_rng(2)
        models = [np.zeros(SHAPE, dtype=np.int64), np.full(SHAPE, 40 * LATTICE, dtype=np.int64)]
        models += [generator.integers(-3, 5 * LATTICE, SHAPE) for _ in range(2)]
        models += [counts((entity,)) * LATTICE for entity in entities(1)]
        moved = 0
        for one, two in neighbours(max_rows, relation):
            a, b = LATTICE * counts(one), LATTICE * counts(two)
            for model in models:
                moved = max(moved, abs(int(abs(a - model).sum() - abs(b - model).sum())))
        assert moved == LATTICE * l1_to_model(max_rows, relation)


@pytest.mark.parametrize("relation", NEIGHBOURS)
def test_rows_as_entities(relation: str) -> None:
    rows, cells = 0, 0
    for one, two in neighbours(1, relation, row_unit=True):
        difference = counts(one) - counts(two)
        rows = max(rows, abs(int(difference.sum())))
        cells = max(cells, int((difference**2).sum()))
    assert rows == total(1, relation, row_unit=True) == (1 if relation == "add-remove" else 0)
    assert cells == marginal_squared(1, relation)


@pytest.mark.parametrize("max_rows", [0, -1, True, 1.0, "1", None])
def test_max_rows_that_is_no_count_is_refused(max_rows: object) -> None:
    for call in (marginal_squared, l1_to_model, lambda s, n: total(s, n, False)):
        with pytest.raises(ConfigurationError, match="max_rows"):
            call(max_rows, "add-remove")


@pytest.mark.parametrize("relation", ["", "add_remove", "Add-Remove", "bounded", None])
def test_an_unknown_relation_is_refused(relation: str) -> None:
    for call in (marginal_squared, l1_to_model, lambda s, n: total(s, n, False)):
        with pytest.raises(ConfigurationError, match="neighbours"):
            call(1, relation)


def test_a_row_unit_of_several_rows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unit column"):
        total(2, "replace-one", row_unit=True)
