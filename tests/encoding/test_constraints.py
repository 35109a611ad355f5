"""Constraints: the repair keeps them all, is a function of one row, and leaves what keeps them as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth.encoding import Codec, codecs
from dpsynth.encoding.constraints import Constraints
from dpsynth.schema import Schema
from tests.encoding.constrained import keeps, schemas

ROWS = 60
slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def rows_of(found: tuple[Codec, ...], seed: int, rows: int = ROWS) -> dict[str, Any]:
    """Codes of all kinds: half of them from few cells, so that columns meet."""
    random = np.random.default_rng(seed)
    result = {}
    for codec in found:
        codes = random.integers(0, codec.size, rows)
        few = random.integers(0, codec.size, 4)
        codes = np.where(random.random(rows) < 0.5, codes, few[random.integers(0, 4, rows)])
        if codec.column.nullable:
            codes[random.random(rows) < 0.2] = codec.leaves
        result[codec.name] = codes.astype(codec.dtype)
    return result


def valued(constraints: Constraints, found: tuple[Codec, ...], codes: dict[str, Any], seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    arrays = {}
    for codec in found:
        words = random.integers(0, 2**64, len(codes[codec.name]), dtype=np.uint64)
        words[random.random(words.size) < 0.1] = random.choice(np.array([0, 2**64 - 1], dtype=np.uint64))
        arrays[codec.name] = codec.decode(codes[codec.name], words)
    return pa.table(constraints.values(codes, arrays))


@slow
@given(schemas(), st.integers(0, 2**32))
def test_every_value_of_every_repaired_row_keeps_every_constraint(schema: Schema, seed: int) -> None:
    found = codecs(schema)
    constraints = Constraints.of(schema, found)
    codes, changed = constraints.repaired(rows_of(found, seed))
    table = valued(constraints, found, codes, seed)
    for row in table.to_pylist():
        assert keeps(schema, row) == []
    for codec in found:
        assert np.array_equal(codec.encode(table[codec.name]), codes[codec.name]), codec.name
        assert codes[codec.name].dtype == codec.dtype


@slow
@given(schemas(), st.integers(0, 2**32))
def test_a_repaired_row_stays_as_it_is(schema: Schema, seed: int) -> None:
    found = codecs(schema)
    constraints = Constraints.of(schema, found)
    before = rows_of(found, seed)
    once, changed = constraints.repaired(before)
    twice, again = constraints.repaired(once)
    assert not again.any()
    totals = {step.name for step in constraints.steps if step.total}
    differ = np.any([before[name] != once[name] for name in before if name not in totals], axis=0)
    assert np.array_equal(changed, differ)
    assert all(np.array_equal(once[name], twice[name]) for name in once)


@slow
@given(schemas(), st.integers(0, 2**32), st.data())
def test_the_repair_of_a_row_depends_on_that_row_alone(schema: Schema, seed: int, data: st.DataObject) -> None:
    found = codecs(schema)
    constraints = Constraints.of(schema, found)
    before = rows_of(found, seed, 25)
    after, changed = constraints.repaired(before)
    for row in range(25):
        alone, one = constraints.repaired({name: codes[row : row + 1] for name, codes in before.items()})
        assert [int(alone[name][0]) for name in alone] == [int(after[name][row]) for name in after]
        assert bool(one[0]) == bool(changed[row])
    order = np.array(data.draw(st.permutations(range(25))))[: data.draw(st.integers(0, 25))]
    some, _ = constraints.repaired({name: codes[order] for name, codes in before.items()})
    assert all(np.array_equal(some[name], after[name][order]) for name in some)
