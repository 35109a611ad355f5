"""The counting kernel against a count by hand."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import TOTAL, Level, Query
from dpsynth.table import counting
from dpsynth.table.counting import Tables

SIZES = {"a": 3, "b": 4, "c": 2, "d": 1}


def count(
    columns: Mapping[str, counting.Codes], rows: int, asked: Sequence[Query], weights: counting.Codes | None = None
) -> tuple[np.ndarray, ...]:
    tables = Tables(asked)
    tables.add(columns, rows, weights)
    return tables.counts()


@st.composite
def levels(draw: st.DrawFn, name: str) -> Level:
    groups = draw(st.lists(st.integers(0, 2), min_size=SIZES[name], max_size=SIZES[name]))
    return Level(name, np.unique(groups, return_inverse=True)[1])


@st.composite
def queries(draw: st.DrawFn) -> Query:
    names = draw(st.permutations(sorted(SIZES)))[: draw(st.integers(0, len(SIZES)))]
    return Query(tuple(draw(levels(name)) for name in names))


def as_columns(rows: list[tuple[int, ...]]) -> dict[str, counting.Codes]:
    return {
        name: np.array([row[at] for row in rows], dtype=np.uint16 if at else np.uint8) for at, name in enumerate(SIZES)
    }


rows_of = st.lists(st.tuples(*(st.integers(0, size - 1) for size in SIZES.values())), max_size=12)


@settings(deadline=None)
@given(rows_of, st.lists(queries(), max_size=8), st.integers(1, 5), st.sampled_from([0, 6, 30, 1 << 14]))
def test_is_what_one_counts_by_hand(
    rows: list[tuple[int, ...]], asked: list[Query], block: int, joint_cells: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BLOCK_ROWS", block)
        patch.setattr(counting, "JOINT_CELLS", joint_cells)
        found = count(as_columns(rows), len(rows), asked)
    for query, table in zip(asked, found, strict=True):
        assert table.dtype == np.int64
        assert table.shape == query.shape
        assert table.flags.c_contiguous
        coarse = [tuple(level.cells[row[list(SIZES).index(level.column)]] for level in query.levels) for row in rows]
        for cell in product(*map(range, query.shape)):
            assert table[cell] == coarse.count(cell)


@settings(deadline=None, max_examples=50)
@given(st.lists(rows_of, max_size=4), st.lists(queries(), min_size=1, max_size=5))
def test_parts_add_up(parts: list[list[tuple[int, ...]]], asked: list[Query]) -> None:
    tables = Tables(asked)
    for rows in parts:
        tables.add(as_columns(rows), len(rows))
    together = [row for rows in parts for row in rows]
    for found, whole in zip(tables.counts(), count(as_columns(together), len(together), asked), strict=True):
        assert np.array_equal(found, whole)


def test_what_was_handed_out_does_not_change_later() -> None:
    tables = Tables([Query((Level.identity("a", 3),)), TOTAL])
    tables.add({"a": np.array([2], dtype=np.uint8)}, 1)
    before = tables.counts()
    tables.add({"a": np.array([2], dtype=np.uint8)}, 1)
    assert [table.sum() for table in before] == [1, 1]
    assert tables.counts()[0].tolist() == [0, 0, 2]


def test_no_column_asked_is_the_number_of_rows() -> None:
    assert count({"a": np.zeros(5, dtype=np.uint8)}, 5, [TOTAL])[0] == 5
    assert count({"a": np.zeros(0, dtype=np.uint8)}, 0, [TOTAL])[0] == 0
    assert count({"a": np.zeros(5, dtype=np.uint8)}, 5, []) == ()


def test_a_table_larger_than_the_block() -> None:
    codes = (np.arange(1_000_003) % 300).astype(np.uint16)
    found = count({"a": codes}, codes.size, [Query((Level.identity("a", 300),)), TOTAL])
    assert np.array_equal(found[0], np.bincount(codes))
    assert found[1] == codes.size


@pytest.mark.parametrize("size", [256, 257])
def test_the_last_cell_of_a_table_on_either_side_of_a_type(size: int) -> None:
    last = np.array([size - 1], dtype=np.uint16)
    query = Query((Level.identity("a", size), Level.identity("b", size)))
    (found,) = count({"a": last, "b": last}, 1, [query])
    assert found[size - 1, size - 1] == found.sum() == 1


def test_all_pairs_of_many_columns_share_tables_that_stay_small() -> None:
    rng = np.random.default_rng(0)
    shape = [int(size) for size in rng.integers(1, 60, 12)] + [4096]
    columns = {f"x{j}": rng.integers(0, size, 5000).astype(np.uint16) for j, size in enumerate(shape)}
    asked = [Query(tuple(Level.identity(f"x{j}", shape[j]) for j in pair)) for pair in combinations(range(13), 2)]
    for query, table in zip(asked, count(columns, 5000, asked), strict=True):
        by_hand = np.zeros(query.shape, dtype=np.int64)
        np.add.at(by_hand, tuple(columns[name] for name in query.columns), 1)
        assert np.array_equal(table, by_hand)
    tables = Tables(asked)
    assert len(tables._totals) < len(asked) / 2
    assert all(total.size <= max(counting.JOINT_CELLS, 60 * 4096) for total in tables._totals)


def test_more_columns_of_one_cell_than_an_array_has_axes() -> None:
    columns = {f"x{j}": np.zeros(7, dtype=np.uint8) for j in range(70)}
    asked = [Query((Level.identity(a, 1), Level.identity(b, 1))) for a, b in combinations(columns, 2)]
    assert all(table.shape == (1, 1) and table.sum() == 7 for table in count(columns, 7, asked))
    levels = tuple(Level.identity(name, 1) for name in columns)
    assert [table.sum() for table in count(columns, 7, [Query(levels[:64]), *asked[:3], TOTAL])] == [7] * 5
    with pytest.raises(ValueError, match="at most 64"):
        Query(levels[:65])


def plain_joints(asked: list[Query]) -> tuple[list[tuple[Level, ...]], list[int]]:
    """The joints by the rule as it is told: at each step every missing table is looked at."""
    levels = list(dict.fromkeys(level for query in asked for level in query.levels))
    number = {level: at for at, level in enumerate(levels)}
    masks = [frozenset(number[level] for level in query.levels) for query in asked]
    cells = {mask: query.cells for mask, query in zip(masks, asked, strict=True)}
    homes: dict[frozenset[int], int] = {}
    joints: list[tuple[Level, ...]] = []
    for mask in sorted(cells, key=lambda mask: (-cells[mask], sum(1 << at for at in mask))):
        if mask in homes:
            continue
        joint, size = set(mask), cells[mask]
        while len(joint) < counting.JOINT_LEVELS:
            near = [other for other in cells if other not in homes and other & joint]
            rests = [rest for rest in (other - joint for other in near) if len(rest) == 1]
            fitting = [at for (at,) in rests if size * levels[at].size <= counting.JOINT_CELLS]
            if not fitting:
                break
            best = min(fitting, key=lambda at: (-fitting.count(at), levels[at].size, at))
            joint, size = joint | {best}, size * levels[best].size
        homes.update({other: len(joints) for other in cells if other not in homes and other <= joint})
        joints.append(tuple(levels[at] for at in sorted(joint)))
    return joints, [homes[mask] for mask in masks]


sized = st.builds(
    lambda at, size, coarse: Level(f"y{at}", np.arange(size) // (1 + coarse)),
    st.integers(0, 7),
    st.integers(1, 40),
    st.integers(0, 1),
)
many = st.lists(
    st.lists(sized, max_size=4, unique_by=lambda level: level.column).map(lambda found: Query(tuple(found))),
    min_size=1,
    max_size=20,
)


@settings(deadline=None)
@given(many, st.sampled_from([0, 100, 1 << 14]))
def test_joints_follow_their_rule(asked: list[Query], joint_cells: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "JOINT_CELLS", joint_cells)
        assert counting._joints(asked) == plain_joints(asked)


@settings(deadline=None)
@given(many, st.sampled_from([1, 100, 5000, 1 << 20]))
def test_portions_hold_each_query_once_within_the_limit(asked: list[Query], cells: int) -> None:
    found = counting.portions(asked, cells)
    assert sorted(at for portion in found for at in portion) == list(range(len(asked)))
    for portion in found:
        queries = [asked[at] for at in portion]
        tables = Tables(queries)
        held = sum(total.size for total in tables._totals) + sum(query.cells for query in queries)
        assert held == counting.needed(queries)
        assert held <= cells or len(portion) == 1
    if counting.needed(asked) <= cells:
        assert found == (tuple(range(len(asked))),)


@pytest.mark.parametrize("weighed", [False, True])
def test_a_table_larger_than_a_block_of_rows(weighed: bool) -> None:
    rng = np.random.default_rng(7)
    a, b = (rng.integers(0, 400, 150_000).astype(np.uint16) for _ in range(2))
    weights = rng.integers(0, 65, a.size).astype(np.uint8) if weighed else None
    (found,) = count({"a": a, "b": b}, a.size, [Query((Level.identity("a", 400), Level.identity("b", 400)))], weights)
    expected = np.bincount(400 * a.astype(np.int64) + b, weights, minlength=400 * 400).astype(np.int64)
    assert found.ravel().tolist() == expected.tolist()
