"""What may be declared of several columns of a row together: constraints, which every row of the output keeps.

A constraint has one column that gives way: where a row breaks it, that column is moved to the nearest value that all
constraints admit (:mod:`dpsynth.encoding.constraints`). A missing value is unknown: it orders and adds up with
anything, and no condition holds for it but ``{null = true}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_serializer, field_validator, model_validator

from dpsynth.schema.declared import Declared
from dpsynth.schema.text import clean, plain

FORMS = '"text", ["one", "other"], { min = 1, max = 2 } or { null = true }'
"""How a condition is written."""

Bound = int | float | date
"""An end of a range: a number or a date."""


class Condition(Declared):
    """Which values of one column are meant: those listed, those of a range (both ends included), or the missing one.

    ``null`` says whether a missing value is meant, beside a range perhaps; false alone means every value but it.
    """

    values: tuple[str, ...] = ()
    min: Bound | None = None
    max: Bound | None = None
    null: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_plain(cls, found: Any) -> Any:
        """Text, a number, a date, a truth value or a list of them; else the table that it is."""
        if isinstance(found, str | bool | int | float | date):
            return {"values": (_text(found),)}
        if isinstance(found, list | tuple):
            return {"values": tuple(_text(item) for item in found)}
        if isinstance(found, Mapping) and "values" in found:
            return {**found, "values": tuple(found["values"])}
        return found

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        span = self.min is not None or self.max is not None
        if bool(self.values) + span > 1 or not (self.values or span or self.null is not None):
            raise ValueError(f"a condition is {FORMS}")
        low: Any = self.min
        high: Any = self.max
        if low is not None and high is not None:
            if isinstance(low, date) != isinstance(high, date):
                raise ValueError("min and max must both be numbers or both be dates")
            if low > high:
                raise ValueError("min must not be above max")
        for bound in (self.min, self.max):
            if isinstance(bound, float) and not abs(bound) < float("inf"):
                raise ValueError("min and max must be finite")
        return self

    @property
    def plain(self) -> Any:
        """As it is written in a file: text, a list or a table."""
        if self.values and self.null is None:
            return self.values[0] if len(self.values) == 1 else list(self.values)
        return self.model_dump(exclude_none=True, exclude_defaults=True)

    def __str__(self) -> str:
        words = [repr(value) for value in self.values]
        if self.min is not None or self.max is not None:
            words += [
                f"{self.min} to {self.max}"
                if self.min is not None and self.max is not None
                else f"at least {self.min}"
                if self.max is None
                else f"at most {self.max}"
            ]
        if self.null is not None:
            words += ["missing" if self.null else "not missing"] if self.null or not words else []
        return " or ".join(words)


def _text(item: object) -> str:
    """A listed value as text: a number plainly, a truth value as true or false."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, date):
        return item.isoformat()
    if isinstance(item, int | float):
        return str(item) if isinstance(item, int) else plain(item)
    if not isinstance(item, str) or not clean(item):
        raise ValueError(f"a condition is {FORMS}; an empty text is a null: write {{ null = true }}")
    return clean(item)


def _frozen(conditions: Mapping[str, Condition]) -> Mapping[str, Condition]:
    if not conditions:
        raise ValueError('must not be empty: name columns with their conditions, as in { sex = "male" }')
    return MappingProxyType(dict(conditions))


Conditions = Annotated[Mapping[str, Condition], AfterValidator(_frozen)]
"""Column -> condition, all of which hold; in the order written."""


def _plainly(conditions: Mapping[str, Condition]) -> dict[str, Any]:
    return {name: condition.model_dump() for name, condition in conditions.items()}


def _told(conditions: Mapping[str, Condition]) -> str:
    return " and ".join(f"{name} is {condition}" for name, condition in conditions.items())


@dataclass(frozen=True)
class Repair:
    """Which column of a constraint gives way, given which others."""

    number: int
    sources: tuple[str, ...]
    target: str


class _Constraint(Declared):
    """One constraint; ``number`` counts from 1 in the order of the schema."""

    @property
    def computed(self) -> str | None:
        """The column that this constraint says wholly, if it does."""
        return None

    def repairs(self, number: int, computed: frozenset[str]) -> tuple[Repair, ...]:
        """Which columns give way; ``computed`` are those that constraints say wholly."""
        raise NotImplementedError

    def plain(self) -> dict[str, Any]:
        """As it is written in a file."""
        return {key: _written(getattr(self, key)) for key in type(self).model_fields}


class Impossible(_Constraint):
    """No row fulfils all conditions of ``where``; the column that is named last gives way."""

    kind: Literal["impossible"] = "impossible"
    where: Conditions

    def repairs(self, number: int, computed: frozenset[str]) -> tuple[Repair, ...]:
        """The column that is named last."""
        *sources, target = self.where
        return (Repair(number, tuple(sources), target),)

    @field_serializer("where")
    def _as_dict(self, where: Mapping[str, Condition]) -> dict[str, Any]:
        return _plainly(where)

    def __str__(self) -> str:
        return f"no row where {_told(self.where)}"


class Required(_Constraint):
    """A row that fulfils ``if`` fulfils ``then``, the columns of which give way."""

    kind: Literal["required"] = "required"
    if_: Annotated[Conditions, Field(alias="if")]
    then: Conditions

    model_config = Declared.model_config | {"serialize_by_alias": True}

    def repairs(self, number: int, computed: frozenset[str]) -> tuple[Repair, ...]:
        """Every column of ``then``, given those of ``if``."""
        return tuple(Repair(number, tuple(self.if_), target) for target in self.then)

    def plain(self) -> dict[str, Any]:
        """As it is written in a file."""
        return {"kind": self.kind, "if": _written(self.if_), "then": _written(self.then)}

    @field_serializer("if_", "then")
    def _as_dict(self, conditions: Mapping[str, Condition]) -> dict[str, Any]:
        return _plainly(conditions)

    def __str__(self) -> str:
        return f"where {_told(self.if_)}, {_told(self.then)}"


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("names a column twice")
    return names


class Depends(_Constraint):
    """``column`` is what ``map`` says of the value of ``on``; where that is missing it may be anything."""

    kind: Literal["depends"] = "depends"
    column: str
    on: str
    map: Annotated[Mapping[str, str], AfterValidator(lambda found: MappingProxyType(dict(found)))]

    @field_validator("map", mode="before")
    @classmethod
    def _texts(cls, found: Any) -> Any:
        if not isinstance(found, Mapping) or not found:
            raise ValueError('must be a table that gives each value of on one of column, as in { Ulm = "BW" }')
        return {_text(key): _text(value) for key, value in found.items()}

    @property
    def computed(self) -> str | None:
        """``column``."""
        return self.column

    def repairs(self, number: int, computed: frozenset[str]) -> tuple[Repair, ...]:
        """``column``, given ``on``."""
        return (Repair(number, (self.on,), self.column),)

    @field_serializer("map")
    def _as_dict(self, found: Mapping[str, str]) -> dict[str, str]:
        return dict(found)

    def __str__(self) -> str:
        return f"{self.column} is what {len(self.map)} listed pairs say of {self.on}"


class Ordered(_Constraint):
    """The first of two columns is never above the second, which gives way unless another constraint says it wholly."""

    kind: Literal["ordered"] = "ordered"
    columns: Annotated[tuple[str, str], AfterValidator(_distinct), Field(strict=False)]

    def repairs(self, number: int, computed: frozenset[str]) -> tuple[Repair, ...]:
        """The second column; the first where the second is computed."""
        low, high = self.columns
        return (Repair(number, (high,), low) if high in computed else Repair(number, (low,), high),)

    def __str__(self) -> str:
        return f"{self.columns[0]} is at most {self.columns[1]}"


class Sum(_Constraint):
    """``total`` is the sum of ``parts``, added from left to right in binary64; it gives way."""

    kind: Literal["sum"] = "sum"
    total: str
    parts: Annotated[tuple[str, ...], AfterValidator(_distinct), Field(strict=False, min_length=1)]

    @property
    def computed(self) -> str | None:
        """``total``."""
        return self.total

    def repairs(self, number: int, computed: frozenset[str]) -> tuple[Repair, ...]:
        """``total``, given its parts."""
        return (Repair(number, self.parts, self.total),)

    def __str__(self) -> str:
        return f"{self.total} is {' + '.join(self.parts)}"


Constraint = Annotated[Impossible | Required | Depends | Ordered | Sum, Field(discriminator="kind")]
"""One declared constraint, told apart by ``kind``."""

KINDS: dict[str, type[Declared]] = {
    "impossible": Impossible,
    "required": Required,
    "depends": Depends,
    "ordered": Ordered,
    "sum": Sum,
}
"""The kinds of constraints by the name that ``kind`` gives them."""


def repairs(constraints: Sequence[Constraint]) -> tuple[Repair, ...]:
    """Which columns give way to which constraint, in the order of the constraints."""
    computed = frozenset(name for each in constraints if (name := each.computed) is not None)
    return tuple(one for number, each in enumerate(constraints, 1) for one in each.repairs(number, computed))


def order(found: Sequence[Repair], names: Sequence[str]) -> tuple[str, ...] | None:
    """The columns that give way, each after those on which its repair depends; None where they run in a circle.

    Of several that could come next, the first of ``names`` does.
    """
    left = [name for name in names if any(one.target == name for one in found)]
    done: list[str] = []
    while left:
        ready = (
            name for name in left if not any(s in left for one in found if one.target == name for s in one.sources)
        )
        chosen = next(ready, None)
        if chosen is None:
            return None
        done.append(chosen)
        left.remove(chosen)
    return tuple(done)


def _written(item: Any) -> Any:
    if isinstance(item, Condition):
        return item.plain
    if isinstance(item, Mapping):
        return {key: _written(value) for key, value in item.items()}
    return list(item) if isinstance(item, tuple) else item
