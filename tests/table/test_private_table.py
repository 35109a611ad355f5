"""The opaque table refuses everything but the curator's questions."""

import copy
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dpsynth.encoding import Codec
from dpsynth.measurement import Level, Query
from dpsynth.table import PrivateTable
from dpsynth.table.counting import Codes, Tables

CODES = np.array([7, 7, 3], dtype=np.uint8)


class Held:
    """The least of an engine."""

    def __init__(self, columns: Mapping[str, Codes], number: int) -> None:
        self.columns, self.number = columns, number

    def rows(self) -> int:
        return self.number

    def count(self, queries: Sequence[Query]) -> tuple[np.ndarray, ...]:
        tables = Tables(queries)
        tables.add(self.columns, self.number)
        return tables.counts()

    def holders(self, column: str, otherwise: str) -> Iterator[tuple[list[str], np.ndarray]]:
        raise KeyError(column)

    def find(self, codec: Codec) -> None:
        pass

    def close(self) -> None:
        self.columns = {}


@pytest.fixture
def table() -> PrivateTable:
    return PrivateTable(Held({"a": CODES}, 3))


def test_answers(table: PrivateTable) -> None:
    assert table.rows() == 3
    assert table.count([Query((Level.identity("a", 9),))])[0].tolist() == [0, 0, 0, 1, 0, 0, 0, 2, 0]


@pytest.mark.parametrize("show", [repr, str, ascii, "{}".format, lambda table: f"{table!r}"])
def test_shows_nothing(table: PrivateTable, show: Callable[[object], str]) -> None:
    empty = PrivateTable(Held({}, 0))
    assert show(table) == show(empty) == "<private table>"


@pytest.mark.parametrize(
    "act",
    [
        len,
        iter,
        list,
        bool,
        dir,
        vars,
        lambda table: table[0],
        lambda table: 7 in table,
        lambda table: table.__dict__,
        copy.copy,
        copy.deepcopy,
        copy.replace if hasattr(copy, "replace") else copy.copy,
        pickle.dumps,
        lambda table: pickle.dumps(table, protocol=0),
        json.dumps,
        np.asarray,
        lambda table: np.array(table, dtype=np.int64),
        lambda table: np.asarray(table, copy=False),
        lambda table: pa.array([table]),
        pd.DataFrame,
        lambda table: setattr(table, "extra", 1),
        lambda table: table.__getstate__(),
        lambda table: table.__reduce__(),
        lambda table: table.__sizeof__(),
    ],
)
def test_refuses(table: PrivateTable, act: Callable[[PrivateTable], object]) -> None:
    with pytest.raises((TypeError, AttributeError, pa.ArrowInvalid)) as caught:
        act(table)
    assert "7" not in str(caught.value)


def test_tables_of_the_same_rows_are_not_equal(table: PrivateTable) -> None:
    assert table != PrivateTable(Held({"a": CODES}, 3))
    assert table == table
