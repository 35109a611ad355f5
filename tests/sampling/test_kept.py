"""Rows that keep the constraints and a condition beside them: in law those that fulfil it once repaired."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dpsynth.encoding import Layout, layout
from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Level
from dpsynth.sampling import MOST, IntegerTables, records, sample_chunk, sample_chunks
from dpsynth.sampling.draw import Sampler
from dpsynth.sampling.kept import kept
from dpsynth.schema import Schema

SCHEMA = Schema.parse(
    """
    [columns.city]
    type = "categorical"
    values = ["Ulm", "Bonn", "Aalen"]
    [columns.state]
    type = "categorical"
    values = ["BW", "NRW"]
    [[constraints]]
    kind = "depends"
    column = "state"
    on = "city"
    map = { Ulm = "BW", Bonn = "NRW", Aalen = "BW" }
    """
)
TABLE = np.array([[0.1, 0.3], [0.2, 0.1], [0.1, 0.2]])


def tables() -> IntegerTables:
    """City and state as they were measured: Ulm is in NRW too often."""
    levels = (Level.identity("city", 3), Level.identity("state", 2))
    return IntegerTables.build([((), ("city", "state"), TABLE.reshape(1, 6))], levels, {}, 1000)


def given(**shares: list[int]) -> tuple[IntegerTables, Layout]:
    evidence = {name: np.array(share, dtype=np.uint64) * np.uint64(MOST) for name, share in shares.items()}
    whole = layout(SCHEMA)
    return tables().given(evidence), whole.given(whole.codecs, evidence)


def test_rows_that_a_repair_led_out_of_the_condition_are_drawn_again() -> None:
    model, whole = given(state=[0, 1])
    codes, changed = kept(Sampler.of(model), whole, sample_chunk(model, 30_000, 7, 0), 7, 0)
    assert set(codes["state"].tolist()) == {1}
    assert set(codes["city"].tolist()) == {1}  # the one city of NRW
    assert changed == 0
    model, whole = given(state=[1, 0])
    codes, _ = kept(Sampler.of(model), whole, sample_chunk(model, 30_000, 7, 0), 7, 0)
    assert set(codes["state"].tolist()) == {0}
    # given BW: 0.1 of Ulm, 0.2 of Bonn (led out), 0.1 of Aalen
    assert np.bincount(codes["city"], minlength=3)[0] == pytest.approx(15_000, abs=400)
    assert np.bincount(codes["city"], minlength=3)[1] == 0


def test_the_same_seed_gives_the_same_rows_and_other_chunks_others() -> None:
    model, whole = given(state=[1, 0])
    drawn = sample_chunk(model, 3000, 7, 0)
    one, two = (kept(Sampler.of(model), whole, drawn, 7, 0)[0] for _ in range(2))
    other = kept(Sampler.of(model), whole, drawn, 7, 1)[0]
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)
    stayed = drawn["city"] != 1
    assert np.array_equal(one["city"][stayed], drawn["city"][stayed])


def test_a_condition_that_no_repaired_row_fulfils_is_refused() -> None:
    model, whole = given(city=[1, 0, 0], state=[0, 1])
    with pytest.raises(ConfigurationError, match=r"hardly a row that keeps the constraints .* 'city', 'state'"):
        kept(Sampler.of(model), whole, sample_chunk(model, 10, 7, 0), 7, 0)


def test_without_a_condition_rows_are_repaired_and_without_constraints_left() -> None:
    whole = layout(SCHEMA)
    rows: list[dict[str, Any]] = []
    for batch in records(tables(), whole, 5000, 3):
        rows += batch.to_pylist()
    assert {(row["city"], row["state"]) for row in rows} == {("Ulm", "BW"), ("Bonn", "NRW"), ("Aalen", "BW")}
    assert np.mean([row["city"] == "Bonn" for row in rows]) == pytest.approx(0.3, abs=0.001)
    plain = layout(Schema.model_validate({"columns": SCHEMA.columns}))
    (codes,) = sample_chunks(tables(), 100, 3)
    same, changed = kept(Sampler.of(tables()), plain, codes, 3, 0)
    assert same is codes
    assert changed == 0
