"""A private table of a schema with constraints: each record is mapped alone, so that neighbours stay neighbours."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth.encoding import Constraints, codecs
from dpsynth.measurement import Level, Query
from dpsynth.schema import Schema, Unit
from dpsynth.table import Source, open_table
from tests.encoding.constrained import LISTED, TABLE, schemas
from tests.encoding.test_constraints import rows_of

KEY = b"k" * 32


def texts(schema: Schema, seed: int, rows: int) -> dict[str, Any]:
    """Rows of all kinds as text: what is listed, numbers in and beside the bounds, nulls, and what no column knows."""
    random = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for name in schema.names:
        if name in LISTED:
            words = [*LISTED[name], "?", None]
        else:
            words = [*[str(number) for number in random.uniform(-5, 30, 6)], "0", "1e9", "nan", None]
        found[name] = [words[at] for at in random.integers(0, len(words), rows)]
    return found


def joint(schema: Schema, columns: dict[str, Any], unit: Unit, people: list[str]) -> list[np.ndarray[Any, Any]]:
    """Every one-way count, and those of some pairs at coarse levels: what a release asks."""
    found = codecs(schema)
    table = open_table(Source.of(pa.table({**columns, "who": people})), found, unit, KEY, Constraints.of(schema, found))
    levels = [Level(codec.name, np.minimum(np.arange(codec.size) // 5, 60)) for codec in found]
    queries = [Query((level,)) for level in levels] + [Query(pair) for pair in pairwise(levels)]
    return list(table.count(queries))


quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(schemas(), st.integers(0, 2**32), st.integers(1, 3))
def test_neighbours_differ_by_no_more_than_the_rows_of_one_entity(schema: Schema, seed: int, most: int) -> None:
    columns = texts(schema, seed, 40)
    people = [f"p{at % 8}" for at in range(40)]
    unit = Unit(entity="person", column="who", max_rows=most)
    whole = joint(schema, columns, unit, people)
    for gone in ("p0", "p3"):
        left = [at for at in range(40) if people[at] != gone]
        fewer = {name: [values[at] for at in left] for name, values in columns.items()}
        for one, two in zip(whole, joint(schema, fewer, unit, [people[at] for at in left]), strict=True):
            change = one - two
            assert change.min() >= 0  # only this entity's rows are gone, and none of the others has moved
            assert change.sum() == most


@quick
@given(schemas(), st.integers(0, 2**32))
def test_the_table_holds_each_record_as_it_is_mapped_alone(schema: Schema, seed: int) -> None:
    found, columns = codecs(schema), texts(schema, seed, 15)
    constraints = Constraints.of(schema, found)
    levels = [Level.identity(codec.name, codec.size) for codec in found]
    whole = open_table(Source.of(pa.table(columns)), found, Unit(), KEY, constraints)
    alone = [
        open_table(
            Source.of(pa.table({name: pa.array([values[at]], pa.string()) for name, values in columns.items()})),
            found,
            Unit(),
            KEY,
            constraints,
        )
        for at in range(15)
    ]
    for level in levels:
        (counts,) = whole.count([Query((level,))])
        assert np.array_equal(counts, sum(one.count([Query((level,))])[0] for one in alone))


@quick
@given(schemas(), st.integers(0, 2**32))
def test_no_code_makes_the_repair_raise(schema: Schema, seed: int) -> None:
    found = codecs(schema)
    constraints = Constraints.of(schema, found)
    for rows in (0, 1, 200):
        codes, changed = constraints.repaired(rows_of(found, seed, rows))
        assert changed.shape == (rows,)
        for codec in found:
            assert Counter(codes[codec.name] < codec.size)[False] == 0


def test_the_schema_of_these_tests_has_every_kind_of_column() -> None:
    assert {column.type for column in TABLE.columns.values()} == {
        "categorical",
        "boolean",
        "ordinal",
        "integer",
        "real",
    }
