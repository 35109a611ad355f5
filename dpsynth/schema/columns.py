"""What may be declared of one column, and of the unit of privacy."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dpsynth.schema.text import clean

MAX_CELLS = 65_535
"""Most cells of one column, the null cell included: codes are 16-bit."""

MAX_WHOLE = 2**53
"""Bounds of an integer column lie within +-2**53: all integers up to there are exact in binary64."""

Nullable = Annotated[bool, Field(description="whether a value may be missing: the null cell is the last one")]
Bins = Annotated[int, Field(ge=1, le=MAX_CELLS, description="public bins of equal width, for measuring")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=-MAX_WHOLE, le=MAX_WHOLE)]


class Declared(BaseModel):
    """Common rules: immutable, no unknown key, nothing coerced, and no value shown in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Unit(Declared):
    """Whom the guarantee protects: all rows of one ``entity``, at most ``max_rows`` of them.

    ``column`` names the entity of each row; without it every row is an entity of its own. ``neighbours`` says which
    tables are told apart by one entity: one with and one without it, or two that differ in what its rows hold.
    """

    entity: Annotated[str, Field(min_length=1)] = "row"
    column: Annotated[str, Field(min_length=1)] | None = None
    max_rows: Annotated[int, Field(ge=1)] = 1
    neighbours: Literal["add-remove", "replace-one"] = "add-remove"

    @model_validator(mode="after")
    def _enforceable(self) -> Self:
        if self.max_rows > 1 and self.column is None:
            raise ValueError("max_rows above 1 needs column, the column that says which entity a row belongs to")
        return self


class _Listed(Declared):
    """A column whose values are listed. Values are kept clean (no white space around them, Unicode form C)."""

    values: Annotated[tuple[str, ...], Field(strict=False)]
    nullable: Nullable = False
    otherwise: str | None = None

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if not values:
            raise ValueError("must not be empty")
        kept = tuple(clean(value) for value in values)
        seen: set[str] = set()
        for place, value in enumerate(kept, 1):
            if not value:
                raise ValueError(f"value {place} is empty: an empty field is a null; write nullable = true instead")
            if value in seen:
                raise ValueError(f"value {place} repeats an earlier one (white space around a value does not count)")
            seen.add(value)
        return kept

    @field_validator("otherwise")
    @classmethod
    def _cleaned(cls, value: str | None) -> str | None:
        return None if value is None else clean(value)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        most = MAX_CELLS - self.nullable
        if len(self.values) > most:
            raise ValueError(f"{len(self.values):,} values are too many: at most {most:,} fit")
        if self.otherwise is not None and self.otherwise not in self.values:
            raise ValueError("otherwise must be one of the values")
        return self


class Categorical(_Listed):
    """Listed values without an order.

    An unknown value counts as ``otherwise`` if that is given, else as null if the column is nullable, else as the
    first value; a null of a column that is not nullable counts as an unknown value.
    """

    type: Literal["categorical"] = "categorical"


class Ordinal(_Listed):
    """Listed values in their order, from low to high. Unknown values and nulls as for a categorical column."""

    type: Literal["ordinal"] = "ordinal"


class Boolean(Declared):
    """False or true, in that order. An unknown value counts as null if the column is nullable, else as false."""

    type: Literal["boolean"] = "boolean"
    nullable: Nullable = False


class Integer(Declared):
    """Whole numbers from ``min`` to ``max``, both included.

    A number outside counts as the nearest bound, a fraction as the nearest whole number (ties to even), what is no
    number as null if the column is nullable, else as ``min``.
    """

    type: Literal["integer"] = "integer"
    min: Whole
    max: Whole
    nullable: Nullable = False
    bins: Bins = 32

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min must be below max")
        return self


class Real(Declared):
    """Numbers from ``min`` to ``max``, both included; what lies outside or is no number as for an integer column."""

    type: Literal["real"] = "real"
    min: Finite
    max: Finite
    nullable: Nullable = False
    bins: Bins = 32

    @field_validator("min", "max")
    @classmethod
    def _unsigned_zero(cls, value: float) -> float:
        return value + 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min must be below max")
        return self


Column = Annotated[Categorical | Ordinal | Boolean | Integer | Real, Field(discriminator="type")]
"""One declared column, told apart by ``type``."""

COLUMN_TYPES: dict[str, type[Declared]] = {
    "categorical": Categorical,
    "ordinal": Ordinal,
    "integer": Integer,
    "real": Real,
    "boolean": Boolean,
}
"""The column types by the name that ``type`` gives them."""
