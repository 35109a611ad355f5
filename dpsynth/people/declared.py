"""What is declared public of the artificial people: the schema of their table."""

from __future__ import annotations

from dpsynth.schema import Schema

SCHEMA_TOML = """\
# Artificial people: nobody in this table exists. The table also has household_id, which is not listed here and
# therefore never read. To protect whole households instead, write
#     entity = "household"   column = "household_id"   max_rows = 6

[unit]
entity = "person"
column = "person_id"
max_rows = 1
neighbours = "add-remove"

[columns.region]
type = "categorical"
values = ["capital", "coast", "plain", "hills", "lakes", "valley", "border", "islands"]

[columns.tenure]
type = "categorical"
values = ["owned", "mortgaged", "private rent", "social rent"]
nullable = true

[columns.rooms]
type = "integer"
min = 1
max = 12
bins = 12

[columns.relationship]
type = "categorical"
values = ["head", "partner", "child", "parent", "other relative", "housemate", "foster child"]

[columns.age]
type = "integer"
min = 0
max = 104
bins = 21

[columns.sex]
type = "categorical"
values = ["female", "male"]

[columns.marital]
type = "categorical"
values = ["never married", "married", "civil union", "separated", "divorced", "widowed"]

[columns.birthplace]
type = "categorical"
values = [
    "this country", "neighbouring country", "europe", "asia", "africa", "south america", "north america", "oceania",
    "at sea",
]

[columns.education]
type = "ordinal"
values = [
    "none", "primary", "lower secondary", "upper secondary", "vocational", "bachelor", "master", "doctorate",
]
nullable = true

[columns.employment]
type = "categorical"
values = [
    "below working age", "student", "employed", "self-employed", "unemployed", "homemaker", "retired", "unable to work",
]

[columns.occupation]
type = "categorical"
values = [
    "manager", "professional", "technician", "clerk", "sales", "personal service", "care", "crafts", "machine operator",
    "farm", "elementary", "armed forces", "fishing",
]
nullable = true

[columns.hours]
type = "integer"
min = 1
max = 98
bins = 14
nullable = true

[columns.income]
type = "real"
min = 0.0
max = 250000.0
bins = 25
nullable = true

[columns.disability]
type = "boolean"
nullable = true
"""
"""``schema.toml`` of the artificial people: 14 columns, one row a person."""


def schema() -> Schema:
    """The schema of the artificial people."""
    return Schema.parse(SCHEMA_TOML, "people.toml")
