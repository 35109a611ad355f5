"""The counting kernel against a count by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import TOTAL, Level, Query
from dpsynth.table import counting
from dpsynth.table.counting import count

SIZES = {"a": 3, "b": 4, "c": 2}


@st.composite
def levels(draw: st.DrawFn, name: str) -> Level:
    groups = draw(st.lists(st.integers(0, 2), min_size=SIZES[name], max_size=SIZES[name]))
    return Level(name, np.unique(groups, return_inverse=True)[1])


@st.composite
def queries(draw: st.DrawFn) -> Query:
    names = draw(st.permutations(sorted(SIZES)))[: draw(st.integers(0, 3))]
    return Query(tuple(draw(levels(name)) for name in names))


rows_of = st.lists(st.tuples(*(st.integers(0, size - 1) for size in SIZES.values())), max_size=12)


@settings(deadline=None)
@given(rows_of, st.lists(queries(), max_size=4), st.integers(1, 5))
def test_is_what_one_counts_by_hand(rows: list[tuple[int, ...]], asked: list[Query], block: int) -> None:
    columns = {
        name: np.array([row[at] for row in rows], dtype=np.uint16 if at else np.uint8) for at, name in enumerate(SIZES)
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BLOCK_ROWS", block)
        found = count(columns, len(rows), asked)
    for query, table in zip(asked, found, strict=True):
        assert table.dtype == np.int64
        assert table.shape == query.shape
        coarse = [tuple(level.cells[row[list(SIZES).index(level.column)]] for level in query.levels) for row in rows]
        for cell in product(*map(range, query.shape)):
            assert table[cell] == coarse.count(cell)


def test_no_column_asked_is_the_number_of_rows() -> None:
    assert count({"a": np.zeros(5, dtype=np.uint8)}, 5, [TOTAL])[0] == 5
    assert count({"a": np.zeros(0, dtype=np.uint8)}, 0, [TOTAL])[0] == 0


def test_a_table_larger_than_the_block() -> None:
    codes = (np.arange(1_000_003) % 300).astype(np.uint16)
    found = count({"a": codes}, codes.size, [Query((Level.identity("a", 300),)), TOTAL])
    assert np.array_equal(found[0], np.bincount(codes))
    assert found[1] == codes.size
