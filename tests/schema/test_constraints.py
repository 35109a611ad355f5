"""What constraints may say: written as TOML and read back, bound in the digest, and refused by number and key."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from dpsynth.errors import SchemaError
from dpsynth.schema import Schema
from dpsynth.schema.constraints import order, repairs
from tests.encoding.constrained import schemas

COLUMNS = """
[columns.sex]
type = "categorical"
values = ["f", "m"]
[columns.age]
type = "integer"
min = 0
max = 99
[columns.pregnant]
type = "boolean"
nullable = true
[columns.city]
type = "categorical"
values = ["Ulm", "Bonn"]
[columns.state]
type = "categorical"
values = ["BW", "NRW"]
[columns.a]
type = "real"
min = 0.0
max = 0.1
[columns.b]
type = "real"
min = 0.0
max = 0.2
[columns.total]
type = "real"
min = 0.0
max = 0.30000000000000004
[columns.born]
type = "date"
min = 1900-01-01
max = 2030-12-31
[columns.died]
type = "date"
min = 1900-01-01
max = 2030-12-31
nullable = true
[columns.visit]
type = "date"
min = 1900-01-01
max = 2030-12-31
weekday = true
[columns.name]
type = "identifier"
[columns.job]
type = "categorical"
values = "private"
[columns.before]
type = "ordinal"
values = ["low", "high"]
[columns.after]
type = "ordinal"
values = ["high", "low"]
"""
PLAIN = Schema.parse(COLUMNS)


def parse(*constraints: str) -> Schema:
    return Schema.parse(COLUMNS + "".join(f"[[constraints]]\n{text}\n" for text in constraints))


ALL = (
    'kind = "impossible"\nwhere = { sex = "m", pregnant = true }',
    'kind = "required"\nif = { age = { max = 11 } }\n'
    "then = { pregnant = { null = true }, born = { min = 2000-01-01 } }",
    'kind = "depends"\ncolumn = "state"\non = "city"\nmap = { Ulm = "BW", Bonn = "NRW" }',
    'kind = "ordered"\ncolumns = ["born", "died"]',
    'kind = "sum"\ntotal = "total"\nparts = ["a", "b"]',
)


def test_they_are_read_and_written() -> None:
    schema = parse(*ALL)
    again = Schema.parse(schema.to_toml())
    assert again == schema
    assert again.to_toml() == schema.to_toml()
    assert [str(one) for one in schema.constraints] == [
        "no row where sex is 'm' and pregnant is 'true'",
        "where age is at most 11, pregnant is missing and born is at least 2000-01-01",
        "state is what 2 listed pairs say of city",
        "born is at most died",
        "total is a + b",
    ]
    assert 'where = { sex = "m", pregnant = "true" }' in schema.to_toml()
    assert Schema.model_validate(schema.model_dump()) == schema


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schemas())
def test_any_of_them_are_read_and_written(schema: Schema) -> None:
    assert Schema.parse(schema.to_toml()).digest == schema.digest


def test_a_schema_without_them_keeps_its_digest_and_each_of_them_changes_it() -> None:
    digests = {PLAIN.digest, Schema.model_validate({**PLAIN.model_dump(), "constraints": []}).digest}
    assert len(digests) == 1
    digests |= {parse(*ALL[:number]).digest for number in range(1, 6)}
    digests |= {parse(*reversed(ALL)).digest}
    digests |= {parse('kind = "impossible"\nwhere = { pregnant = true, sex = "m" }').digest}
    assert len(digests) == 8


def test_the_column_named_last_gives_way_and_an_ordering_spares_what_is_computed() -> None:
    found = repairs(parse(*ALL).constraints)
    assert [(one.number, one.sources, one.target) for one in found] == [
        (1, ("sex",), "pregnant"),
        (2, ("age",), "pregnant"),
        (2, ("age",), "born"),
        (3, ("city",), "state"),
        (4, ("born",), "died"),
        (5, ("a", "b"), "total"),
    ]
    assert order(found, PLAIN.names) == ("pregnant", "state", "total", "born", "died")
    spared = parse(ALL[4], 'kind = "ordered"\ncolumns = ["age", "total"]')
    assert repairs(spared.constraints)[-1].target == "age"


@pytest.mark.parametrize(
    ("constraint", "says"),
    [
        ('kind = "imposible"\nwhere = { sex = "m" }', "constraint 1, kind: must be one of .*did you mean 'impossible'"),
        ('where = { sex = "m" }', "constraint 1 has no kind"),
        ('kind = "impossible"\nwher = { sex = "m" }', "constraint 1, wher: unknown key; did you mean 'where'"),
        ('kind = "impossible"\nwhere = {}', "constraint 1, where: must not be empty"),
        ('kind = "impossible"\nwhere = { sx = "m" }', "constraint 1, where.sx: there is no column \"sx\"; .*'sex'"),
        ('kind = "impossible"\nwhere = { city = "ulm" }', "constraint 1, where.city: value 1 is not .*'Ulm'"),
        ('kind = "impossible"\nwhere = { sex = { min = 1 } }', "where.sex: min and max are for numbers"),
        ('kind = "impossible"\nwhere = { sex = { null = true } }', "where.sex: the column is never missing"),
        ('kind = "impossible"\nwhere = { age = 120 }', "where.age: value 1 is none that the column holds: 0 to 99"),
        ('kind = "impossible"\nwhere = { age = { min = 100 } }', "where.age: the range lies beside"),
        ('kind = "impossible"\nwhere = { age = { min = 9, max = 1 } }', "where.age: min must not be above max"),
        ('kind = "impossible"\nwhere = { age = { least = 9 } }', "where.age.least: unknown key; known here: min, max"),
        ('kind = "impossible"\nwhere = { age = 1900-01-01 }', "where.age: value 1 is no number"),
        ('kind = "impossible"\nwhere = { age = { max = 1990-01-01 } }', "where.age: a date, and the column is integer"),
        ('kind = "impossible"\nwhere = { born = "soon" }', "where.born: value 1 is no date"),
        ('kind = "impossible"\nwhere = { born = { min = 3 } }', "where.born: min and max must be dates"),
        ('kind = "impossible"\nwhere = { visit = { null = false } }', "where.visit: .*weekday = true"),
        (
            'kind = "impossible"\nwhere = { name = "x" }',
            "where.name: no constraint .* of type identifier",
        ),
        ('kind = "impossible"\nwhere = { job = "nurse" }', "where.job: the column's values are private"),
        ('kind = "required"\nif = { age = 1 }', "constraint 1 has no then"),
        ('kind = "required"\nif = { age = 1 }\nthen = { age = 2 }', "then.age: the column stands in if already"),
        ('kind = "depends"\ncolumn = "state"\non = "state"\nmap = { BW = "BW" }', "on: names the column itself"),
        ('kind = "depends"\ncolumn = "state"\non = "age"\nmap = { 1 = "BW" }', "on: its values must be listed"),
        ('kind = "depends"\ncolumn = "state"\non = "job"\nmap = { 1 = "BW" }', "on: the column's values are private"),
        ('kind = "depends"\ncolumn = "state"\non = "city"\nmap = { Ulm = "BW" }', 'map: says nothing of "Bonn"'),
        (
            'kind = "depends"\ncolumn = "state"\non = "city"\nmap = { Ulm = "BW", Bonn = "RNW" }',
            "map.Bonn: its value is not one of those of \"state\"; did you mean 'NRW'",
        ),
        ('kind = "ordered"\ncolumns = ["a"]', "constraint 1, columns: must be a list of two columns"),
        ('kind = "ordered"\ncolumns = ["a", "a"]', "constraint 1, columns: names a column twice"),
        ('kind = "ordered"\ncolumns = ["a", "sex"]', 'columns: "sex": a categorical column has no order'),
        ('kind = "ordered"\ncolumns = ["a", "born"]', "columns: both must be numbers, both dates"),
        ('kind = "ordered"\ncolumns = ["before", "after"]', "columns: both must be numbers, both dates"),
        ('kind = "ordered"\ncolumns = ["born", "visit"]', 'columns: "visit": .*weekday'),
        ('kind = "sum"\ntotal = "a"\nparts = ["b", "age"]', "total: holds 0.0 to 0.1, and its parts .* 0.0 to 99.2"),
        ('kind = "sum"\ntotal = "age"\nparts = ["a", "b"]', "total: is integer and a part is real"),
        ('kind = "sum"\ntotal = "a"\nparts = ["a", "b"]', "parts: names the total itself"),
        ('kind = "sum"\ntotal = "total"\nparts = ["sex"]', 'parts: "sex" is categorical, and only'),
        ('kind = "sum"\ntotal = "total"\nparts = []', "constraint 1, parts: must be a list of columns"),
    ],
)
def test_what_does_not_fit_is_refused_by_number_and_key(constraint: str, says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        parse(constraint)
    with pytest.raises(SchemaError, match="constraint 2"):
        parse(ALL[2], constraint)


def test_repairs_do_not_run_in_a_circle() -> None:
    one, two = 'kind = "ordered"\ncolumns = ["a", "b"]', 'kind = "ordered"\ncolumns = ["b", "a"]'
    with pytest.raises(SchemaError, match=r"constraints 1 and 2 repair each other's columns in a circle \((a|b) → "):
        parse(one, two)
    three = 'kind = "impossible"\nwhere = { state = "BW", city = "Bonn" }'
    with pytest.raises(SchemaError, match=r"constraints 1 and 2 repair .* city"):
        parse(ALL[2], three)
    assert parse(ALL[2], 'kind = "impossible"\nwhere = { city = "Bonn", state = "BW" }')


def test_a_total_gives_way_to_its_parts_alone() -> None:
    with pytest.raises(SchemaError, match='constraint 2: column "total" would give way to it, and is the total of con'):
        parse(ALL[4], 'kind = "impossible"\nwhere = { total = { min = 0.1 } }')
