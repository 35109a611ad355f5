"""The table of sensitivities against every pair of neighbours of small tables."""

from collections.abc import Iterator
from functools import cache, reduce
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError
from dpsynth.privacy.sensitivity import (
    NEIGHBOURS,
    l1_to_model,
    marginal_l1,
    marginal_squared,
    residual_squared,
    total,
)

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


@cache
def tables(max_rows: int, relation: str, row_unit: bool = False) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The counts of both sides of every pair of neighbours: shape (pairs, *SHAPE)."""
    every = list(neighbours(max_rows, relation, row_unit))
    counted = {table: counts(table) for table in {table for pair in every for table in pair}}
    one, two = (np.stack([counted[pair[side]] for pair in every]) for side in (0, 1))
    return one, two


def marginals(full: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Each marginal, and each level of the first column of the joint table (its two cells merged): of many tables."""
    yield full
    yield full.sum(axis=1)
    yield full.sum(axis=2)
    yield full.sum(axis=1, keepdims=True)


def residual_map(sizes: tuple[int, ...]) -> NDArray[np.int64]:
    return np.asarray(reduce(np.kron, [m * np.eye(m, dtype=np.int64) - 1 for m in sizes]))


def largest(values: NDArray[np.int64]) -> int:
    """The largest sum over the cells of a table, of many tables."""
    return int(values.reshape(len(values), -1).sum(axis=1).max())


@pytest.mark.parametrize("relation", NEIGHBOURS)
@pytest.mark.parametrize("max_rows", [1, 2, 3])
class TestAllNeighbours:
    def test_marginal(self, max_rows: int, relation: str) -> None:
        one, two = tables(max_rows, relation)
        moved = [largest((a - b) ** 2) for a, b in zip(marginals(one), marginals(two), strict=True)]
        assert moved == [marginal_squared(max_rows, relation)] * 4

    def test_marginal_in_l1(self, max_rows: int, relation: str) -> None:
        one, two = tables(max_rows, relation)
        moved = [largest(abs(a - b)) for a, b in zip(marginals(one), marginals(two), strict=True)]
        assert moved == [marginal_l1(max_rows, relation)] * 4

    def test_residual(self, max_rows: int, relation: str) -> None:
        one, two = (table.reshape(len(table), -1) @ residual_map(SHAPE).T for table in tables(max_rows, relation))
        assert largest((one - two) ** 2) == residual_squared(SHAPE, max_rows, relation)

    def test_total_of_entities(self, max_rows: int, relation: str) -> None:
        one, two = (table.sum(axis=(1, 2)) for table in tables(max_rows, relation))
        assert abs(one - two).max() == total(max_rows, relation, row_unit=False) == max_rows

    def test_l1_to_model(self, max_rows: int, relation: str) -> None:
        generator = np.random.default_rng(2)
        models = [np.zeros(SHAPE, dtype=np.int64), np.full(SHAPE, 40 * LATTICE, dtype=np.int64)]
        models += [generator.integers(-3, 5 * LATTICE, SHAPE) for _ in range(2)]
        models += [counts((entity,)) * LATTICE for entity in entities(1)]
        one, two = tables(max_rows, relation)
        moved = 0
        for model in models:
            scores = (abs(LATTICE * table - model).sum(axis=(1, 2)) for table in (one, two))
            moved = max(moved, int(abs(np.subtract(*scores)).max()))
        assert moved == LATTICE * l1_to_model(max_rows, relation)


@pytest.mark.parametrize("sizes", [(2,), (5,), (2, 2), (2, 5), (4, 3), (3, 3, 3), (2, 3, 4), (2, 2, 2, 2), (3, 5, 4)])
def test_residuals_of_one_row_in_every_shape(sizes: tuple[int, ...]) -> None:
    """All pairs of cells: also those that differ along several axes, whose columns point to the same side or not."""
    columns = residual_map(sizes).T
    assert residual_squared(sizes, 1, "add-remove") == max(int(c @ c) for c in columns)
    apart = max(int((one - two) @ (one - two)) for one, two in combinations(columns, 2))
    assert residual_squared(sizes, 1, "replace-one") == apart


@pytest.mark.parametrize("sizes", [(3,), (2, 3), (3, 3)])
@pytest.mark.parametrize("relation", NEIGHBOURS)
def test_residuals_of_several_rows_in_different_cells(sizes: tuple[int, ...], relation: str) -> None:
    """Every multiset of up to three rows against every other: nothing beats all rows in one cell."""
    map_ = residual_map(sizes)
    cells = range(map_.shape[0])
    for most in (2, 3) if len(cells) < 9 else (2,):
        every = [
            np.bincount(rows, minlength=len(cells)).astype(np.int64) if rows else np.zeros(len(cells), dtype=np.int64)
            for size in range(most + 1)
            for rows in combinations_with_replacement(cells, size)
        ]
        others = every if relation == "replace-one" else every[:1]
        found = max(int(((map_ @ (one - two)) ** 2).sum()) for one in every for two in others)
        assert found == residual_squared(sizes, most, relation)


@pytest.mark.parametrize("sizes", [(), (1,), (3, 1), (2.0,), (True, 2), (0,), (-2, -2), ("2",)])
def test_a_residual_without_two_cells_an_axis_is_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="two or more cells"):
        residual_squared(sizes, 1, "add-remove")


@pytest.mark.parametrize("relation", NEIGHBOURS)
def test_rows_as_entities(relation: str) -> None:
    one, two = tables(1, relation, True)
    rows, cells = int(abs((one - two).sum(axis=(1, 2))).max()), largest((one - two) ** 2)
    assert rows == total(1, relation, row_unit=True) == (1 if relation == "add-remove" else 0)
    assert cells == marginal_squared(1, relation)


CALLS = (
    marginal_squared,
    marginal_l1,
    l1_to_model,
    lambda s, n: total(s, n, False),
    lambda s, n: residual_squared((2, 3), s, n),
)


@pytest.mark.parametrize("max_rows", [0, -1, True, 1.0, "1", None])
def test_max_rows_that_is_no_count_is_refused(max_rows: object) -> None:
    for call in CALLS:
        with pytest.raises(ConfigurationError, match="max_rows"):
            call(max_rows, "add-remove")


@pytest.mark.parametrize("relation", ["", "add_remove", "Add-Remove", "bounded", None])
def test_an_unknown_relation_is_refused(relation: str) -> None:
    for call in CALLS:
        with pytest.raises(ConfigurationError, match="neighbours"):
            call(1, relation)


def test_a_row_unit_of_several_rows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unit column"):
        total(2, "replace-one", row_unit=True)
