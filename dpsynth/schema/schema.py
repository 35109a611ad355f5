"""Schema: everything that the owner declares public about a table, before any row of it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self
from unicodedata import category

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_serializer,
    model_validator,
)

from dpsynth.errors import ConfigurationError, SchemaError
from dpsynth.files import parse_toml
from dpsynth.schema import toml
from dpsynth.schema.columns import Column, Unit, parts
from dpsynth.schema.consistency import contradictions
from dpsynth.schema.constraints import Constraint
from dpsynth.schema.declared import Declared
from dpsynth.schema.problems import NO_COLUMN, explain, listed


def _frozen(columns: Mapping[str, Column]) -> Mapping[str, Column]:
    return MappingProxyType(dict(columns))


class Schema(Declared):
    """The unit of privacy and the columns, in order. All of it is public and is published with a release.

    Wrong input of any kind gives SchemaError, naming each key that is wrong and never a value. Two schemas are equal
    when their digests are: the order of the columns counts.
    """

    unit: Unit = Unit()
    columns: Annotated[Mapping[str, Column], AfterValidator(_frozen)]
    constraints: Annotated[tuple[Constraint, ...], Field(strict=False)] = ()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a schema from a TOML file; SchemaError names the file and the key."""
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            hint = f"write one with: dpsynth init DATA -o {path}"
            raise SchemaError(f"{path}: there is no such schema file; {hint}") from None
        except OSError as error:
            raise SchemaError(f"{path}: the schema file cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise SchemaError(f"{path}: not a schema: it is not UTF-8 text") from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, origin: str = "schema") -> Self:
        """Read a schema from TOML text; ``origin`` names it in errors."""
        try:
            data = parse_toml(text, origin)
        except ConfigurationError as error:
            hint = 'a line is key = value, with text in double quotes, or a header such as [columns."age"]'
            raise SchemaError(f"{error}: {hint}") from None
        try:
            return cls.model_validate(data)
        except SchemaError as error:
            raise SchemaError(f"{origin}: {error}") from None

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(self.columns)

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read from the data, in order: all but identifiers."""
        return tuple(name for name, column in self.columns.items() if parts(name, column))

    @property
    def parts(self) -> tuple[str, ...]:
        """The columns of the model, in order: what marginals, workloads and conditions name."""
        return tuple(part for name, column in self.columns.items() for part in parts(name, column))

    @property
    def digest(self) -> str:
        """``sha256:...`` over canonical JSON: what differs from the defaults, columns in order."""
        content = {
            "unit": self.unit.model_dump(mode="json", exclude_defaults=True),
            "columns": [
                [name, {"type": column.type, **column.model_dump(mode="json", exclude_defaults=True)}]
                for name, column in self.columns.items()
            ],
        }
        if self.constraints:
            content["constraints"] = [_pairs(constraint.model_dump(mode="json")) for constraint in self.constraints]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return "sha256:" + sha256(b"dpsynth-schema-v1\n" + text.encode()).hexdigest()

    def to_toml(self) -> str:
        """TOML text that ``parse`` reads back as an equal schema; keys at their defaults are left out of columns."""
        tables = [toml.table("unit", self.unit.model_dump())]
        for name, column in self.columns.items():
            items = {"type": column.type, **column.model_dump(exclude_defaults=True)}
            tables.append(toml.table(toml.key("columns", name), items))
        tables += [toml.table("[constraints]", constraint.plain()) for constraint in self.constraints]
        return "\n".join(tables)

    @field_serializer("columns")
    def _as_dict(self, columns: Mapping[str, Column]) -> dict[str, Any]:
        return {name: column.model_dump() for name, column in columns.items()}

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            schema = handler(data)
        except ValidationError as error:
            problems = error.errors(include_input=False, include_url=False)
            raise SchemaError(explain(problems, data)) from None
        if not schema.columns:
            raise SchemaError(NO_COLUMN)
        if not schema.read:
            raise SchemaError("needs a column that is not an identifier: identifiers are never read")
        for name in schema.columns:
            where = toml.key("columns", name)
            if not name or any(category(letter) in {"Cc", "Cs"} for letter in name):
                raise SchemaError(f"{where}: a column name is not empty and has no control characters")
            for part in parts(name, schema.columns[name])[1:]:
                if part in schema.columns:
                    raise SchemaError(
                        f"{toml.key('columns', part)}: is what the {part.removeprefix(name + '.')} of column {name!r} "
                        "is called: rename this column in the data, or declare that one without it"
                    )
            if name in schema.unit.columns:
                key = "column" if name == schema.unit.column else "weight"
                raise SchemaError(
                    f"{where}: is the {key} of the unit, which is never synthesized: "
                    f"delete this section, or [unit] {key}"
                )
        if wrong := contradictions(schema):
            raise SchemaError(listed(wrong))
        return schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def _pairs(item: Any) -> Any:
    """JSON values with tables as lists of pairs: the order in which columns are named says which one gives way."""
    if isinstance(item, Mapping):
        return [[key, _pairs(value)] for key, value in item.items()]
    return [_pairs(value) for value in item] if isinstance(item, list) else item
