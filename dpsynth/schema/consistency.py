"""Whether constraints fit the columns that are declared: names, values, ranges, and that repairs run in no circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from dpsynth.errors import nearest
from dpsynth.schema import toml
from dpsynth.schema.calendar import Date
from dpsynth.schema.columns import Boolean, Categorical, Column, Integer, Ordinal, Real, Unlisted
from dpsynth.schema.constraints import (
    Condition,
    Constraint,
    Depends,
    Impossible,
    Ordered,
    Required,
    Sum,
    order,
    repairs,
)
from dpsynth.schema.text import number

if TYPE_CHECKING:
    from dpsynth.schema.schema import Schema

FEW = 5


def contradictions(schema: Schema) -> list[str]:
    """What is wrong with the constraints of a schema, a line each: the number of the constraint and the key."""
    found: list[str] = []
    for place, constraint in enumerate(schema.constraints, 1):
        found += [f"constraint {place}, {line}" for line in _of_one(constraint, schema.columns)]
    return found or list(_together(schema))


def _of_one(constraint: Constraint, columns: Mapping[str, Column]) -> Iterator[str]:
    match constraint:
        case Impossible():
            yield from _conditions("where", constraint.where, columns)
        case Required():
            yield from _conditions("if", constraint.if_, columns)
            yield from _conditions("then", constraint.then, columns)
            for name in constraint.then:
                if name in constraint.if_:
                    yield f"{toml.key('then', name)}: the column stands in if already; no column gives way to itself"
        case Depends():
            yield from _depends(constraint, columns)
        case Ordered():
            yield from _ordered(constraint, columns)
        case Sum():
            yield from _sum(constraint, columns)


def _conditions(key: str, conditions: Mapping[str, Condition], columns: Mapping[str, Column]) -> Iterator[str]:
    for name, condition in conditions.items():
        where = toml.key(key, name)
        if name not in columns:
            yield f"{where}: {_unknown(name, columns)}"
        else:
            yield from (f"{where}: {why}" for why in _condition(condition, columns[name]))


def _unknown(name: str, columns: Mapping[str, Column]) -> str:
    return f"there is no column {toml.quote(name)}{nearest(name, columns)}"


def _condition(condition: Condition, column: Column) -> Iterator[str]:
    span = [bound for bound in (condition.min, condition.max) if bound is not None]
    if condition.null and not column.nullable:
        yield "the column is never missing: it is not declared nullable"
    if (known := values_of(column)) is not None:
        if span:
            yield f"min and max are for numbers and dates, and the column is {column.type}: list its values"
        for place, value in enumerate(condition.values, 1):
            if value not in known:
                yield f"value {place} is not one of the column's values{nearest(value, known)}"
    elif isinstance(column, Integer | Real):
        yield from _numbers(condition, column)
    elif isinstance(column, Date) and not column.weekday:
        yield from _dates(condition, column)
    else:
        yield _unsuited(column)


def _unsuited(column: Column) -> str:
    if isinstance(column, Unlisted):
        return "the column's values are private, so that nothing public can be said of them: list its values"
    if isinstance(column, Date):
        return "the column has weekday = true, of which no constraint can be kept: delete that, or the constraint"
    return f"no constraint can be kept of a column of type {column.type}: name another one"


def values_of(column: Column) -> tuple[str, ...] | None:
    """The listed values of a column, or None if it lists none."""
    if isinstance(column, Boolean):
        return ("false", "true")
    return column.values if isinstance(column, Categorical | Ordinal) else None


def _numbers(condition: Condition, column: Integer | Real) -> Iterator[str]:
    low, high = bounds_of(column)
    for bound in (condition.min, condition.max):
        if isinstance(bound, date):
            yield f"a date, and the column is {column.type}"
            return
    for place, value in enumerate(condition.values, 1):
        found = number(value)
        if found != found:
            yield f"value {place} is no number, and the column is {column.type}"
        elif not low <= found <= high or (isinstance(column, Integer) and not found.is_integer()):
            yield f"value {place} is none that the column holds: {_range(column)}"
    if _beside(condition, low, high):
        yield f"the range lies beside the column's values: {_range(column)}"


def _dates(condition: Condition, column: Date) -> Iterator[str]:
    for bound in (condition.min, condition.max):
        if bound is not None and (not isinstance(bound, date) or isinstance(bound, datetime)):
            yield "min and max must be dates without quotes, as in 2020-12-31"
            return
    for place, value in enumerate(condition.values, 1):
        try:
            found = date.fromisoformat(value)
        except ValueError:
            yield f"value {place} is no date such as 2020-12-31"
            continue
        if not column.min <= found <= column.max:
            yield f"value {place} is none that the column holds: {_range(column)}"
    if _beside(condition, column.min, column.max):
        yield f"the range lies beside the column's values: {_range(column)}"


def _beside(condition: Condition, low: Any, high: Any) -> bool:
    """Whether a range holds none of ``low`` to ``high``: numbers, or dates, as its own ends are."""
    first: Any = low if condition.min is None else condition.min
    last: Any = high if condition.max is None else condition.max
    return bool(first > high or last < low)


def bounds_of(column: Integer | Real) -> tuple[float, float]:
    """The least and the greatest number of a column; infinite where its bounds are private."""
    if column.min is None or column.max is None:
        return -float("inf"), float("inf")
    return column.min, column.max


def _range(column: Integer | Real | Date) -> str:
    return f"{column.min} to {column.max}"


def _depends(constraint: Depends, columns: Mapping[str, Column]) -> Iterator[str]:
    if constraint.column == constraint.on:
        yield "on: names the column itself"
        return
    for key, name in (("column", constraint.column), ("on", constraint.on)):
        if name not in columns:
            yield f"{key}: {_unknown(name, columns)}"
        elif values_of(columns[name]) is None:
            why = f"its values must be listed, and it is {columns[name].type}"
            yield f"{key}: " + (_unsuited(columns[name]) if isinstance(columns[name], Unlisted) else why)
    if constraint.column not in columns or constraint.on not in columns:
        return
    given, taken = values_of(columns[constraint.on]), values_of(columns[constraint.column])
    if given is None or taken is None:
        return
    lacking = [value for value in given if value not in constraint.map]
    if lacking:
        more = f" and {len(lacking) - FEW} more" if len(lacking) > FEW else ""
        yield f"map: says nothing of {', '.join(map(toml.quote, lacking[:FEW]))}{more}: give each value of on one"
    for word, value in constraint.map.items():
        if word not in given:
            on = toml.quote(constraint.on)
            yield f"{toml.key('map', word)}: is not one of the values of {on}{nearest(word, given)}"
        if value not in taken:
            yield (
                f"{toml.key('map', word)}: its value is not one of those of "
                f"{toml.quote(constraint.column)}{nearest(value, taken)}"
            )


def _ordered(constraint: Ordered, columns: Mapping[str, Column]) -> Iterator[str]:
    for name in constraint.columns:
        if name not in columns:
            yield f"columns: {_unknown(name, columns)}"
    if not all(name in columns for name in constraint.columns):
        return
    low, high = (columns[name] for name in constraint.columns)
    kinds = {_scale(low), _scale(high)}
    for name, column in zip(constraint.columns, (low, high), strict=True):
        if _scale(column) is None:
            why = _unsuited(column) if values_of(column) is None else f"a {column.type} column has no order"
            yield f"columns: {toml.quote(name)}: {why}"
    if None in kinds:
        return
    if len(kinds) > 1:
        yield "columns: both must be numbers, both dates, or both ordinal with the same values in the same order"


def _scale(column: Column) -> object:
    """What orders the values of a column: columns of one scale compare. None where nothing does."""
    if isinstance(column, Integer | Real):
        return "number"
    if isinstance(column, Date):
        return None if column.weekday else "date"
    return column.values if isinstance(column, Ordinal) else None


def _sum(constraint: Sum, columns: Mapping[str, Column]) -> Iterator[str]:
    if constraint.total in constraint.parts:
        yield "parts: names the total itself"
        return
    named = [("total", constraint.total), *(("parts", name) for name in constraint.parts)]
    found: list[Integer | Real] = []
    for key, name in named:
        column = columns.get(name)
        if column is None:
            yield f"{key}: {_unknown(name, columns)}"
        elif not isinstance(column, Integer | Real):
            yield f"{key}: {toml.quote(name)} is {column.type}, and only integer and real columns add up"
        elif column.min is None:
            yield f"{key}: {toml.quote(name)} has private bounds, by which no sum can be kept: give it min and max"
        else:
            found.append(column)
    if len(found) < len(named):
        return
    total, *parts = found
    if isinstance(total, Integer) and not all(isinstance(part, Integer) for part in parts):
        yield "total: is integer and a part is real: declare the total real, or the parts integer"
        return
    low, high = (_added([bounds_of(part)[end] for part in parts]) for end in (0, 1))
    if bounds_of(total)[0] > low or bounds_of(total)[1] < high:
        yield (
            f"total: holds {_range(total)}, and its parts add up to anything from {low} to {high}: "
            "widen its min and max"
        )


def _added(numbers: Sequence[float]) -> float:
    """From left to right, as the totals are; ``sum`` of floats is not, in some versions of Python."""
    total = numbers[0]
    for one in numbers[1:]:
        total += one
    return total


def _together(schema: Schema) -> Iterator[str]:
    """What is wrong with constraints that are each sound alone."""
    found = repairs(schema.constraints)
    totals = {each.total: place for place, each in enumerate(schema.constraints, 1) if isinstance(each, Sum)}
    for one in found:
        if one.target in totals and one.number != totals[one.target]:
            yield (
                f"constraint {one.number}: column {toml.quote(one.target)} would give way to it, and is the total of "
                f"constraint {totals[one.target]}, computed from its parts: state it of its parts, or name another "
                "column last"
            )
            return
    if order(found, schema.names) is None:
        numbers, path = _circle(found)
        yield (
            f"constraints {numbers} repair each other's columns in a circle ({path}), so that no row could be "
            "brought to keep them all: the column that is named last gives way, so name another one last, or leave "
            "one out"
        )


def _circle(found: Any) -> tuple[str, str]:
    """A shortest circle of repairs: the numbers of its constraints, and its columns."""
    best: list[Any] = []
    for start in found:
        paths = [[start]]
        seen = {start.target}
        while paths:
            path = paths.pop(0)
            if path[-1].target in start.sources:
                if not best or len(path) < len(best):
                    best = path
                break
            for one in found:
                if path[-1].target in one.sources and one.target not in seen:
                    seen.add(one.target)
                    paths.append([*path, one])
    numbers = sorted({one.number for one in best})
    names = [best[-1].target, *(one.target for one in best)]
    joined = ", ".join(map(str, numbers[:-1])) + (" and " if len(numbers) > 1 else "") + str(numbers[-1])
    return joined, " → ".join(names)
