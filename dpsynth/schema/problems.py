"""What is wrong with a schema, in words: the key, what was expected and the nearest right key. Never a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dpsynth.errors import nearest
from dpsynth.schema import toml
from dpsynth.schema.columns import COLUMN_TYPES, PRIVATE, REFUSED, Unit, Unlisted
from dpsynth.schema.constraints import FORMS, KINDS
from dpsynth.schema.declared import Declared

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SECTIONS = ("unit", "columns", "constraints")
TYPES = ", ".join(f'"{name}"' for name in COLUMN_TYPES)
COLUMN_MODELS: tuple[type[Declared], ...] = (*COLUMN_TYPES.values(), Unlisted)
COLUMN_KEYS = sorted({word for model in COLUMN_MODELS for word in model.model_fields})

NO_COLUMN = "needs at least one column: [columns.NAME] with its type under it"

EXPECTED = {
    "bool_type": "must be true or false, without quotes",
    "dict_type": "must be a table, as in [columns.age]",
    "mapping_type": "must be a table, as in [columns.age]",
    "finite_number": "must be finite",
    "float_type": "must be a number, without quotes",
    "int_type": "must be a whole number, without quotes or decimals",
    "model_attributes_type": 'must be a table, as in [columns.age] with type = "integer" under it',
    "model_type": "must be a table, as in [unit]",
    "string_type": "must be text in double quotes",
    "tuple_type": 'must be a list, as in ["low", "high"]',
}


def explain(errors: Sequence[ErrorDetails], data: object) -> str:
    """One line for one problem; several are counted and listed. ``data`` is what was read, for its keys alone."""
    lines: list[str] = []
    blanks: dict[str, list[str]] = {}
    # Where a key is unknown, a missing one is most likely the same mistake.
    misspelt = [_path(error["loc"])[:-1] for error in errors if error["type"] == "extra_forbidden"]
    for error in errors:
        path = _path(error["loc"])
        if path[0] == "constraints":
            lines.append(_of_constraint(error, path[1:], data))
        elif error["type"] == "missing":
            if path == ["columns"] and [] not in misspelt:
                lines.append(NO_COLUMN)
            elif path[:-1] not in misspelt:
                blanks.setdefault(toml.key(*path[:-1]), []).append(path[-1])
        elif error["type"] == "union_tag_not_found":
            unknown = list(_untyped(path, data))
            lines += unknown
            if not unknown:
                blanks[toml.key(*path)] = ["type"]
        else:
            lines.append(_line(error, path, data))
    if blanks:
        named = [f"{where} has no {' and no '.join(words)}" for where, words in blanks.items()]
        found = ' (or bounds = "private" for a range that nobody knows)' if _ranges(blanks, data) else ""
        what = f"Only the owner can declare these: fill them in{found}, "
        what += "or delete the section of a column to leave the column out"
        several = "".join(f"\n    {one}" for one in named)
        lines.append(f"still blank: {named[0]}. {what}" if len(named) == 1 else f"still blank. {what}:{several}")
    return listed(list(dict.fromkeys(lines)))


def _ranges(blanks: Mapping[str, Sequence[str]], data: object) -> bool:
    """Whether a column of numbers has neither bound."""
    columns = _look_up(data, ["columns"])
    numbers = {
        toml.key("columns", str(name))
        for name, column in (columns.items() if isinstance(columns, Mapping) else ())
        if isinstance(column, Mapping) and column.get("type") in ("integer", "real")
    }
    return any(where in numbers and {"min", "max"} <= {*words} for where, words in blanks.items())


def listed(lines: Sequence[str]) -> str:
    """One problem as it is; several are counted."""
    return lines[0] if len(lines) == 1 else f"{len(lines)} problems:" + "".join(f"\n  {line}" for line in lines)


def _path(place: tuple[int | str, ...]) -> list[str]:
    """The keys as the file has them: pydantic puts the column's type after its name."""
    parts = [str(part) for part in place]
    if parts[:1] == ["columns"] and len(parts) > 2 and parts[2] in COLUMN_TYPES:
        del parts[2 : 4 if parts[2] == "categorical" else 3]  # and of a categorical one the form of its values
    return parts


def _of_constraint(error: ErrorDetails, path: Sequence[str], data: object) -> str:
    """A problem of one constraint, named by its number and key."""
    kind = error["type"]
    if not path or not path[0].isdigit():
        return "constraints: must stand under a header each, [[constraints]]"
    place = f"constraint {int(path[0]) + 1}"
    if kind == "union_tag_not_found":
        return f"{place} has no kind: one of {', '.join(map(toml.quote, KINDS))}"
    if kind == "union_tag_invalid":
        items = _look_up(data, ["constraints"])
        written = _look_up(items[int(path[0])], ["kind"]) if isinstance(items, Sequence) else None
        near = nearest(written.lower(), KINDS) if isinstance(written, str) else ""
        return f"{place}, kind: must be one of {', '.join(map(toml.quote, KINDS))}{near}"
    if len(path) == 1:
        return f"{place}: must be a table, under its header [[constraints]]"
    keys = [field.alias or name for name, field in KINDS[path[1]].model_fields.items()]
    key = toml.key(*path[2:])
    if kind == "missing" and len(path) == 3:
        return f"{place} has no {key}, which a constraint of kind {toml.quote(path[1])} needs"
    if kind == "extra_forbidden":
        known = keys if len(path) == 3 else ["min", "max", "null"]
        near = nearest(path[-1], known) or f"; known here: {', '.join(known)}"
        return f"{place}, {key}: unknown key{near}"
    if kind in ("value_error", "assertion_error"):
        return f"{place}, {key}: {error.get('ctx', {}).get('error')}"
    if len(path) > 4 and path[-2] in ("min", "max"):
        return f"{place}, {toml.key(*path[2:-1])}: must be a number or a date, without quotes"
    if path[2] in ("where", "if", "then"):
        form = "must be a table of columns with their conditions" if len(path) == 3 else f"a condition is {FORMS}"
        return f"{place}, {key}: {form}"
    if path[2] in ("columns", "parts"):
        many = "two columns, the lower one first" if path[2] == "columns" else "columns"
        return f"{place}, {path[2]}: must be a list of {many}, in double quotes"
    return f"{place}, {key}: {EXPECTED.get(kind, 'is not what a constraint can hold here')}"


def _line(error: ErrorDetails, path: Sequence[str], data: object) -> str:
    kind, where = error["type"], toml.key(*path)
    limits = error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{where}: unknown key{_instead(error['loc'])}"
    if kind == "union_tag_invalid":
        if (written := _look_up(data, [*path, "type"])) in REFUSED:
            return f"{toml.key(*path)}: {REFUSED[str(written)]}"
        return f"{toml.key(*path, 'type')}: must be one of {TYPES}{_near_value(data, [*path, 'type'], COLUMN_TYPES)}"
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", str(limits.get("expected", "")))
        if path == ["unit", "weight_origin"]:
            words = ["design"]  # the others are known only to be refused with their reason
        allowed = " or ".join(f'"{word}"' for word in words)
        return f"{where}: must be {allowed}{_near_value(data, path, words)}"
    if kind == "value_error":
        return f"{where}: {limits['error']}" if where else str(limits["error"])
    if path[2:] == ["values"] and kind == "tuple_type" and error["loc"][2] == "categorical":
        return f'{where}: {EXPECTED[kind]}, or values = "private" to have them found privately'
    if len(path) == 4 and path[2] == "values":
        return f"{toml.key(*path[:-1])}: each value must be text in double quotes"
    if path[2:] == ["bins"] and kind == "int_type":
        near = _near_value(data, path, [PRIVATE])
        return f'{where}: must be a whole number, without quotes or decimals, or "{PRIVATE}"{near}'
    if kind == "string_too_short":
        return f"{where}: must not be empty"
    if kind == "greater_than_equal":
        return f"{where}: must be at least {limits['ge']}"
    if kind == "less_than_equal":
        return f"{where}: must be at most {limits['le']}"
    return f"{where or 'the schema'}: {EXPECTED.get(kind, 'is not what a schema can hold here')}"


def _instead(place: tuple[int | str, ...]) -> str:
    """The nearest right key, or all of them."""
    word = str(place[-1])
    if len(place) == 1:
        known: Sequence[str] = SECTIONS
    elif place[0] == "columns" and len(place) > 3:
        known = _keys(Unlisted if place[2:4] == ("categorical", "private") else COLUMN_TYPES[str(place[2])])
    else:
        known = _keys(Unit)
    return nearest(word, known) or f"; known here: {', '.join(known)}"


def _keys(model: type[Declared]) -> list[str]:
    return sorted(model.model_fields)


def _untyped(path: Sequence[str], data: object) -> Iterator[str]:
    """What else may be wrong with a column that has no type: a misspelt key, or an unquoted dot in its name."""
    column = _look_up(data, path)
    for word, item in column.items() if isinstance(column, Mapping) else ():
        if isinstance(item, Mapping):
            name = toml.quote(f"{path[-1]}.{word}")
            yield f"{toml.key(*path, str(word))}: a column name with a dot in it must be quoted: [columns.{name}]"
        elif word not in COLUMN_KEYS:
            near = nearest(str(word), COLUMN_KEYS) or f"; known here: {', '.join(COLUMN_KEYS)}"
            yield f"{toml.key(*path, str(word))}: unknown key{near}"


def _near_value(data: object, path: Sequence[str], known: Mapping[str, object] | Sequence[str]) -> str:
    """The known word nearest to what was written; what was written is not repeated."""
    written = _look_up(data, path)
    return nearest(written.lower(), known) if isinstance(written, str) else ""


def _look_up(data: object, path: Sequence[str]) -> object:
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data
