"""Constraints: the repair keeps them all, is a function of one row, and leaves what keeps them as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth.encoding import Codec, codecs
from dpsynth.encoding.constraints import Constraints
from dpsynth.errors import SchemaError
from dpsynth.schema import Schema
from tests.encoding.constrained import keeps, schemas

ROWS = 60
slow = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


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
    codes, _ = constraints.repaired(rows_of(found, seed))
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


SMALL = """
[columns.sex]
type = "categorical"
values = ["f", "m", "x"]
[columns.work]
type = "ordinal"
values = ["none", "some", "full", "retired"]
nullable = true
[columns.age]
type = "integer"
min = 0
max = 20
nullable = true
[columns.wage]
type = "integer"
min = 0
max = 100000
[columns.narrow]
type = "real"
min = 32765.0
max = 32767.0
[columns.coarse]
type = "real"
min = 0.0
max = 32768.0
[columns.top]
type = "real"
min = 0.0
max = 32764.0
"""


def small(*constraints: str) -> tuple[Constraints, tuple[Codec, ...]]:
    schema = Schema.parse(SMALL + "".join(f"[[constraints]]\n{text}\n" for text in constraints))
    return Constraints.of(schema, codecs(schema)), codecs(schema)


def moved(constraints: Constraints, **codes: int) -> dict[str, int]:
    row = {"sex": 0, "work": 0, "age": 0, "wage": 0, "narrow": 0, "coarse": 0, "top": 0, **codes}
    result, _ = constraints.repaired({name: np.array([code], dtype=np.uint16) for name, code in row.items()})
    return {name: int(result[name][0]) for name in codes}


def test_a_column_gives_way_to_the_nearest_value_and_to_null_only_where_there_is_none() -> None:
    ruled, _ = small('kind = "impossible"\nwhere = { sex = "m", work = ["some", "full"] }')
    assert moved(ruled, sex=1, work=1) == {"sex": 1, "work": 0}
    assert moved(ruled, sex=1, work=2) == {"sex": 1, "work": 3}
    assert moved(ruled, sex=0, work=2) == {"sex": 0, "work": 2}
    assert moved(ruled, sex=1, work=4) == {"sex": 1, "work": 4}
    tied, _ = small('kind = "impossible"\nwhere = { sex = "m", age = 7 }')
    assert moved(tied, sex=1, age=7) == {"sex": 1, "age": 6}
    known, _ = small('kind = "required"\nif = { sex = "m" }\nthen = { age = { min = 5, max = 9 } }')
    assert [moved(known, sex=1, age=age)["age"] for age in (0, 7, 20, 21)] == [5, 7, 9, 5]
    lost, _ = small('kind = "required"\nif = { sex = "m" }\nthen = { age = { null = true } }')
    assert moved(lost, sex=1, age=7) == {"sex": 1, "age": 21}


def test_a_null_is_ordered_and_adds_up_with_anything() -> None:
    ruled, _ = small('kind = "ordered"\ncolumns = ["age", "wage"]')
    assert moved(ruled, age=21, wage=0) == {"age": 21, "wage": 0}
    # 20 lies in the first cell of wage, 0 to 24, whose values are then drawn from 20 to 24
    assert moved(ruled, age=20, wage=0) == {"age": 20, "wage": 0}


def test_a_value_narrower_than_its_cell_is_kept_in_its_part_of_it() -> None:
    ruled, found = small('kind = "required"\nif = { work = "none" }\nthen = { wage = 0 }')
    codes = rows_of(found, 5, 400)
    codes, _ = ruled.repaired(codes)
    table = valued(ruled, found, codes, 5).to_pylist()
    assert {row["wage"] for row in table if row["work"] == "none"} == {0}
    assert len({row["wage"] for row in table if row["work"] != "none"}) > 100


@pytest.mark.parametrize(
    ("constraints", "says"),
    [
        (
            (
                'kind = "required"\nif = { sex = "m" }\nthen = { work = "none" }',
                'kind = "impossible"\nwhere = { age = 5, work = ["none", "some"] }',
            ),
            'constraints 1 and 2 leave column "work" no value in rows where they all apply',
        ),
        (
            ('kind = "impossible"\nwhere = { sex = ["f", "m", "x"] }',),
            "where.sex: leaves the column no value",
        ),
        (('kind = "ordered"\ncolumns = ["wage", "age"]',), 'constraint 1, columns: "wage" can lie above the greatest'),
        (
            (
                'kind = "ordered"\ncolumns = ["age", "narrow"]',
                'kind = "required"\nif = { sex = "m" }\nthen = { age = 3 }',
            ),
            None,
        ),
        (
            ('kind = "ordered"\ncolumns = ["narrow", "coarse"]', 'kind = "ordered"\ncolumns = ["coarse", "top"]'),
            'constraint 2, columns: "coarse" can lie above the greatest value of "top"',
        ),
        (
            ('kind = "ordered"\ncolumns = ["top", "coarse"]', 'kind = "sum"\ntotal = "coarse"\nparts = ["age"]'),
            'constraints 1 and 2 both move the values of column "coarse" inside its cells',
        ),
        (
            ('kind = "ordered"\ncolumns = ["coarse", "wage"]', 'kind = "sum"\ntotal = "wage"\nparts = ["age"]'),
            'constraints 1 and 2 both move the values of column "wage" inside its cells',
        ),
    ],
)
def test_constraints_that_cannot_all_be_kept_are_refused(constraints: tuple[str, ...], says: str | None) -> None:
    if says is None:
        assert small(*constraints)[0].steps
        return
    with pytest.raises(SchemaError, match=says):
        small(*constraints)


def test_a_contradiction_that_an_earlier_constraint_rules_out_is_none() -> None:
    one = 'kind = "required"\nif = { sex = "m" }\nthen = { work = "none" }'
    two = 'kind = "required"\nif = { age = 5 }\nthen = { work = "full" }'
    with pytest.raises(SchemaError, match="contradict each other"):
        small(one, two)
    both = small('kind = "impossible"\nwhere = { sex = "m", age = 5 }', one, two)[0]
    assert moved(both, sex=1, age=5, work=2) == {"sex": 1, "age": 4, "work": 0}


def test_too_many_joint_states_to_check_are_refused() -> None:
    columns = "".join(f'[columns.c{at}]\ntype = "boolean"\n' for at in range(23))
    constraints = "".join(
        f'[[constraints]]\nkind = "impossible"\nwhere = {{ c{at} = true, c22 = true }}\n' for at in range(22)
    )
    schema = Schema.parse(columns + constraints)
    with pytest.raises(SchemaError, match='22 constraints about column "c22" have too many joint states'):
        Constraints.of(schema, codecs(schema))


OTHERS = """
[columns.born]
type = "date"
min = 1990-01-01
max = 2020-12-31
[columns.died]
type = "date"
min = 1985-06-01
max = 2021-03-04
nullable = true
[columns.one]
type = "integer"
bounds = "private"
[columns.two]
type = "real"
bounds = "private"
nullable = true
[columns.three]
type = "integer"
min = -70000
max = 3000
bins = "private"
[[constraints]]
kind = "ordered"
columns = ["born", "died"]
[[constraints]]
kind = "required"
if = { one = { min = 5000 } }
then = { born = { max = 2002-05-17 } }
[[constraints]]
kind = "impossible"
where = { three = 0, died = 2000-02-29 }
[[constraints]]
kind = "ordered"
columns = ["one", "two"]
[[constraints]]
kind = "ordered"
columns = ["three", "two"]
"""


@pytest.mark.parametrize("seed", range(5))
def test_dates_and_columns_of_private_bounds_and_bins_keep_them(seed: int) -> None:
    schema = Schema.parse(OTHERS)
    found = codecs(schema)
    constraints = Constraints.of(schema, found)
    before = rows_of(found, seed, 500)
    before["three"][::7] = found[4].encode(pa.array([0]))[0]
    before["died"][::7] = found[1].encode(pa.array(["2000-02-29"]))[0]
    codes, changed = constraints.repaired(before)
    assert 50 < np.count_nonzero(changed) < 500
    table = valued(constraints, found, codes, seed)
    for row in table.to_pylist():
        assert row["died"] is None or row["born"] <= row["died"]
        assert row["one"] < 5000 or row["born"].isoformat() <= "2002-05-17"
        assert row["three"] != 0 or row["died"] is None or row["died"].isoformat() != "2000-02-29"
        assert row["two"] is None or max(row["one"], row["three"]) <= row["two"]
    for codec in found:
        assert np.array_equal(codec.encode(table[codec.name]), codes[codec.name]), codec.name


def test_a_sum_needs_declared_bounds() -> None:
    with pytest.raises(SchemaError, match='constraint 6, parts: "one" has private bounds'):
        Schema.parse(OTHERS + '[[constraints]]\nkind = "sum"\ntotal = "three"\nparts = ["one"]\n')
