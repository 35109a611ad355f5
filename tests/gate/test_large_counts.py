"""Counts stay exact where a float32 (2^24) or a float's product with a scale would not, through every verb."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.curator import Curator
from dpsynth.curator import curator as room
from dpsynth.measurement import Candidate, Query
from dpsynth.schema import Schema
from tests.curator.bench import RHO, Frozen, LightReservation

SCHEMA = Schema.parse('[columns.a]\ntype = "boolean"\n[columns.b]\ntype = "categorical"\nvalues = ["u", "v", "w"]\n')
LARGE = [2**24 - 1, 2**24, 2**24 + 1, 2**24 + 3, 10**8 - 1, 10**8, 10**8 + 1, 2**31 + 1, 2**40 + 1]
NONE = Fraction(2) ** 60
"""A price at which noise has a scale of about 2^-30: another value than the exact one is next to impossible."""


class Rows:
    """In place of the table: counts that would take an hour to make of rows."""

    def __init__(self, table: np.ndarray) -> None:
        self._table = table

    def rows(self) -> int:
        return int(self._table.sum())

    def count(self, queries: Sequence[Query]) -> list[np.ndarray]:
        names = ("a", "b")
        axes = [tuple(i for i, name in enumerate(names) if name not in query.columns) for query in queries]
        return [np.asarray(self._table.sum(axis=axis)) for axis in axes]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("large", LARGE)
@pytest.mark.parametrize("real", [False, True], ids=["frozen", "drawn"])
def test_every_input_is_exact(large: int, real: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.array([[large, 1, 0], [large - 1, 2, large + 1]], dtype=np.int64)
    monkeypatch.setattr(room, "open_table", lambda *_: Rows(table))
    noise = Frozen()
    frame = pa.table({"a": pa.array([], pa.bool_()), "b": pa.array([], pa.string())})
    with Curator.open(frame, SCHEMA, LightReservation.new(), _noise=None if real else noise) as curator:
        a, b = curator.levels["a"], curator.levels["b"]
        asked = [Query((a, b)), Query((b,)), Query((a, b), "residual")]
        total, *answers = [curator.total(NONE), *curator.marginals(asked, NONE)]
        near = table + np.array([[0.5, 0, 0], [0, 0, -0.25]])
        candidates = [Candidate.of(asked[0], near), Candidate.of(asked[0], near, 5, 0.125)]
        curator.select(candidates, "l1-to-model", 1, RHO)
        compared = curator.scores(candidates[:1], "l1-to-model", NONE)
    dense = np.kron(2 * np.eye(2) - 1, 3 * np.eye(3) - 1).astype(np.int64)
    exact = [[int(table.sum())], table.ravel().tolist(), table.sum(axis=0).tolist(), (dense @ table.ravel()).tolist()]
    if real:
        assert [answer.values.ravel().tolist() for answer in (total, *answers, compared)] == [*exact, [768]]
    else:
        assert [given.tolist() for _, given, _ in noise.inputs] == [*exact, [768, 5 * 768 - 128], [768]]


def test_more_rows_than_a_float32_can_count() -> None:
    number = 2**24 + 3
    noise = Frozen()
    frame = pa.table({"a": pa.array(np.ones(number, dtype=np.bool_)), "b": pa.repeat("v", number)})
    with Curator.open(frame, SCHEMA, LightReservation.new(), _noise=noise) as curator:
        curator.total(RHO)
        curator.marginals([Query((curator.levels["a"], curator.levels["b"]))], RHO)
    assert noise.inputs[0][1].tolist() == [number]
    assert noise.inputs[1][1].tolist() == [0, 0, 0, 0, number, 0]
