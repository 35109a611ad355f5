"""Schemas with constraints, drawn at random; and whether a row of values keeps them, told without the code at test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from dpsynth.errors import SchemaError
from dpsynth.schema import Schema

COLUMNS = """
[columns.sex]
type = "categorical"
values = ["f", "m", "x"]
[columns.work]
type = "categorical"
values = ["none", "some", "full", "retired"]
nullable = true
[columns.city]
type = "categorical"
values = ["Ulm", "Bonn", "Köln", "Aalen"]
nullable = true
[columns.state]
type = "categorical"
values = ["BW", "NRW", "BY"]
[columns.married]
type = "boolean"
nullable = true
[columns.before]
type = "ordinal"
values = ["low", "middle", "high"]
[columns.after]
type = "ordinal"
values = ["low", "middle", "high"]
nullable = true
[columns.age]
type = "integer"
min = 0
max = 20
[columns.since]
type = "integer"
min = 0
max = 20
nullable = true
[columns.wage]
type = "integer"
min = 0
max = 100000
nullable = true
[columns.gain]
type = "integer"
min = -300
max = 70000
[columns.income]
type = "integer"
min = -300
max = 200000
nullable = true
[columns.start]
type = "real"
min = 0.0
max = 10.0
[columns.end]
type = "real"
min = -3.0
max = 17.5
nullable = true
[columns.rent]
type = "real"
min = 0.0
max = 3.3
[columns.heat]
type = "real"
min = -0.7
max = 0.9
nullable = true
[columns.cost]
type = "real"
min = -1.0
max = 12.0
nullable = true
"""
TABLE = Schema.parse(COLUMNS)

LISTED = {name: column.values for name, column in TABLE.columns.items() if hasattr(column, "values")}
LISTED["married"] = ("false", "true")
NUMBERS = {name: (column.min, column.max) for name, column in TABLE.columns.items() if hasattr(column, "min")}
NULLABLE = [name for name, column in TABLE.columns.items() if column.nullable]


@st.composite
def conditions(draw: st.DrawFn, name: str) -> Any:
    if name in NULLABLE and draw(st.integers(0, 3)) == 0:
        return {"null": draw(st.booleans())}
    if name in LISTED:
        return draw(st.lists(st.sampled_from(LISTED[name]), min_size=1, max_size=2, unique=True))
    low, high = NUMBERS[name]
    point = st.integers(int(low), int(high)) if isinstance(low, int) else st.floats(low, high)
    one, two = sorted((draw(point), draw(point)))
    found = {"min": one, "max": two}
    if keep := draw(st.sampled_from(["min", "max", ""])):
        found = {keep: found[keep]}
    if name in NULLABLE and draw(st.booleans()):
        found["null"] = True
    return found


@st.composite
def boxes(draw: st.DrawFn, least: int, most: int) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(list(TABLE.columns)), min_size=least, max_size=most, unique=True))
    return {name: draw(conditions(name)) for name in names}


ORDERINGS = [
    ["before", "after"],
    ["after", "before"],
    ["age", "since"],
    ["start", "end"],
    ["age", "end"],
    ["since", "wage"],
    ["rent", "start"],
    ["end", "since"],
    ["age", "cost"],
    ["gain", "wage"],
]
SUMS = [
    {"total": "income", "parts": ["wage", "gain"]},
    {"total": "cost", "parts": ["rent", "heat"]},
    {"total": "income", "parts": ["age", "since"]},
    {"total": "wage", "parts": ["age", "since"]},
    {"total": "cost", "parts": ["heat", "rent", "rent2"]},
]


@st.composite
def constraints(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["impossible", "required", "depends", "ordered", "sum"]))
    if kind == "impossible":
        return {"kind": kind, "where": draw(boxes(1, 3))}
    if kind == "required":
        return {"kind": kind, "if": draw(boxes(1, 2)), "then": draw(boxes(1, 2))}
    if kind == "depends":
        on, column = draw(st.sampled_from([("city", "state"), ("sex", "work"), ("work", "married"), ("state", "sex")]))
        image = {value: draw(st.sampled_from(LISTED[column])) for value in LISTED[on]}
        return {"kind": kind, "column": column, "on": on, "map": image}
    if kind == "ordered":
        return {"kind": kind, "columns": draw(st.sampled_from(ORDERINGS))}
    return {"kind": kind, **draw(st.sampled_from(SUMS))}


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """A schema with constraints that no check refuses: those that make it refused are left out, one by one."""
    from dpsynth.encoding import codecs
    from dpsynth.encoding.constraints import Constraints

    document: dict[str, Any] = {
        "columns": {name: {"type": column.type, **column.model_dump()} for name, column in TABLE.columns.items()},
        "constraints": [],
    }
    schema = TABLE
    for one in draw(st.lists(constraints(), min_size=1, max_size=6)):
        tried = {**document, "constraints": [*document["constraints"], one]}
        try:
            found = Schema.model_validate(tried)
            Constraints.of(found, codecs(found))
        except SchemaError:
            continue
        document, schema = tried, found
    return schema


def meets(condition: Any, value: object) -> bool:
    """Whether a value fulfils a condition, as it was written."""
    written = condition.model_dump()
    if value is None:
        return written["null"] is True
    text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    if written["values"]:
        return text in written["values"]
    low, high = written["min"], written["max"]
    if low is None and high is None:
        return not written["null"]
    return (low is None or value >= low) and (high is None or value <= high)  # type: ignore[operator]


def keeps(schema: Schema, row: Mapping[str, Any]) -> list[int]:
    """The numbers of the constraints that a row breaks."""
    broken = []
    for number, one in enumerate(schema.constraints, 1):
        match one.kind:
            case "impossible":
                fine = not all(meets(condition, row[name]) for name, condition in one.where.items())
            case "required":
                applies = all(meets(condition, row[name]) for name, condition in one.if_.items())
                fine = not applies or all(meets(condition, row[name]) for name, condition in one.then.items())
            case "depends":
                given = row[one.on]
                told = {True: "true", False: "false"}.get(row[one.column], row[one.column])
                fine = given is None or told == one.map[{True: "true", False: "false"}.get(given, given)]
            case "ordered":
                low, high = (row[name] for name in one.columns)
                if isinstance(low, str) and isinstance(high, str):
                    low, high = (LISTED["before"].index(value) for value in (low, high))
                fine = low is None or high is None or low <= high
            case _:
                parts = [row[name] for name in one.parts]
                total = parts[0]
                for part in parts[1:]:
                    total = None if total is None or part is None else total + part
                fine = total is None or row[one.total] is None or row[one.total] == total
        if not fine:
            broken.append(number)
    return broken
