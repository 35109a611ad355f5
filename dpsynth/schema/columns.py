"""What may be declared of one column, and of the unit of privacy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from dpsynth.schema.calendar import Date, Datetime, Identifier
from dpsynth.schema.declared import MAX_CELLS, Declared, Nullable
from dpsynth.schema.text import clean

WEIGHT_UNITS = 64
"""Units that a row of the largest weight counts for: weights are quantised to 1/64 of it."""

MAX_WHOLE = 2**53
"""Bounds of an integer column lie within +-2**53: all integers up to there are exact in binary64."""

Bins = Annotated[int, Field(ge=1, le=MAX_CELLS, description="public bins of equal width, for measuring")]


def _found(value: object, number: ValidatorFunctionWrapHandler) -> object:
    """ "private", or a number of bins."""
    return value if isinstance(value, str) and value == PRIVATE else number(value)


if TYPE_CHECKING:
    FoundBins = int | Literal["private"]
else:
    FoundBins = Annotated[Bins, WrapValidator(_found), PlainSerializer(lambda value: value)]
PRIVATE: Final = "private"
"""What is declared so is found by noisy counts."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=-MAX_WHOLE, le=MAX_WHOLE)]


class Unit(Declared):
    """Whom the guarantee protects: all rows of one ``entity``, at most ``max_rows`` of them.

    ``column`` names the entity of each row; without it every row is an entity of its own. ``neighbours`` says which
    tables are told apart by one entity: one with and one without it, or two that differ in what its rows hold.

    ``weight`` names a column of survey weights: a row counts as so many as its weight says, in whole units of
    1/:data:`WEIGHT_UNITS` of ``max_weight``, and as no more than ``max_weight``. The weight of a row must come from the
    sampling design, before any other record was known: ``weight_origin`` declares it.
    """

    entity: Annotated[str, Field(min_length=1)] = "row"
    column: Annotated[str, Field(min_length=1)] | None = None
    max_rows: Annotated[int, Field(ge=1)] = 1
    neighbours: Literal["add-remove", "replace-one"] = "add-remove"
    weight: Annotated[str, Field(min_length=1)] | None = None
    max_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    weight_origin: Literal["design", "calibrated", "post-stratified", "raked"] | None = None

    @model_validator(mode="after")
    def _enforceable(self) -> Self:
        if self.max_rows > 1 and self.column is None:
            raise ValueError("max_rows above 1 needs column, the column that says which entity a row belongs to")
        if self.weight is None:
            if self.max_weight is not None or self.weight_origin is not None:
                raise ValueError("max_weight and weight_origin need weight, the column of the weights")
            return self
        if self.weight == self.column:
            raise ValueError("weight and column name the same column")
        if self.max_weight is None or self.weight_origin is None:
            raise ValueError(
                'weight needs max_weight, which a row counts for at most, and weight_origin = "design" if every weight '
                "was fixed by the sampling design"
            )
        if self.weight_origin != "design":
            raise ValueError(
                f"weight_origin: {self.weight_origin} weights depend on the other records, so that one person moves "
                'everybody\'s: no bound holds. Give the design weights (weight_origin = "design"), or no weight'
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the unit reads, which are never synthesized."""
        return tuple(name for name in (self.column, self.weight) if name is not None)

    @property
    def weight_units(self) -> int:
        """Most units that one row counts for: 1 where rows have no weights."""
        return 1 if self.weight is None else WEIGHT_UNITS

    @property
    def most(self) -> int:
        """Most units that all rows of one entity count for together."""
        return self.max_rows * self.weight_units

    @property
    def row_unit(self) -> bool:
        """Whether each row is an entity of its own that counts as exactly one."""
        return self.column is None and self.weight is None

    @property
    def people_a_unit(self) -> Fraction:
        """How many people one unit of a count stands for."""
        return Fraction(1) if self.max_weight is None else Fraction(self.max_weight) / WEIGHT_UNITS


Groups = Mapping[str, Annotated[tuple[str, ...], Field(strict=False)]]
"""The groups of one level by name, each with what it holds of the level before: at first values."""


class _Listed(Declared):
    """A column whose values are listed. Values are kept clean (no white space around them, Unicode form C).

    ``levels`` are coarser and coarser groupings by name, from fine to coarse: county, then state, then region. Each
    value is in exactly one group of the first level, and each group in exactly one of the next.
    """

    values: Annotated[tuple[str, ...], Field(strict=False)]
    nullable: Nullable = False
    otherwise: str | None = None
    levels: Mapping[str, Groups] = Field(default_factory=dict)

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
        self.grouped()
        return self

    def __hash__(self) -> int:
        return hash((type(self), self.values, self.nullable, self.otherwise, tuple(self.levels)))

    def grouped(self) -> tuple[tuple[int, ...], ...]:
        """For each level the group of each value; groups are numbered in the order of their first values.

        ValueError where a level does not hold all of the one before, each once.
        """
        found: list[tuple[int, ...]] = []
        names, holder = list(self.values), list(self.values)
        for level, groups in self.levels.items():
            above: dict[str, str] = {}
            for group, members in groups.items():
                for place, member in enumerate(map(clean, members), 1):
                    if member not in names:
                        what = "one of the values" if not found else "a group of the level before"
                        raise ValueError(f"levels.{level}: member {place} of group {group!r} is not {what}")
                    if member in above:
                        raise ValueError(f"levels.{level}: member {place} of group {group!r} is in two groups")
                    above[member] = group
            if missing := len(names) - len(above):
                raise ValueError(f"levels.{level}: {missing} of {len(names)} are in no group: each must be in one")
            holder = [above[name] for name in holder]
            names = list(dict.fromkeys(holder))
            if len(names) < len(groups):
                raise ValueError(f"levels.{level}: a group is empty")
            found.append(tuple(map(names.index, holder)))
        return tuple(found)


class Categorical(_Listed):
    """Listed values without an order.

    An unknown value counts as ``otherwise`` if that is given, else as null if the column is nullable, else as the
    first value; a null of a column that is not nullable counts as an unknown value.
    """

    type: Literal["categorical"] = "categorical"


class Unlisted(Declared):
    """Values without an order that nobody lists: those that are common enough are found privately, at a price.

    At most ``max_values`` of them, the most frequent ones by their noisy counts, become values of their own; whatever
    else is there counts as ``otherwise``, and so does a null of a column that is not nullable.
    """

    type: Literal["categorical"] = "categorical"
    values: Literal["private"]
    max_values: Annotated[int, Field(ge=1, le=MAX_CELLS - 2)] = 100
    otherwise: str = "other"
    nullable: Nullable = False

    @field_validator("otherwise")
    @classmethod
    def _cleaned(cls, value: str) -> str:
        if not clean(value):
            raise ValueError('must not be empty: it names what was not found, as in "other"')
        return clean(value)

    def found(self, values: Sequence[str]) -> Categorical:
        """The column with these values, and ``otherwise``, the last."""
        return Categorical(values=(*values, self.otherwise), otherwise=self.otherwise, nullable=self.nullable)


class Ordinal(_Listed):
    """Listed values in their order, from low to high. Unknown values and nulls as for a categorical column."""

    type: Literal["ordinal"] = "ordinal"


class Boolean(Declared):
    """False or true, in that order. An unknown value counts as null if the column is nullable, else as false."""

    type: Literal["boolean"] = "boolean"
    nullable: Nullable = False


class _Number(Declared):
    """A column of numbers, whose bounds and bins are declared or found."""

    bounds: Literal["private"] | None = None

    if TYPE_CHECKING:
        min: float | None
        max: float | None
        bins: FoundBins

    @field_validator("min", "max", check_fields=False)
    @classmethod
    def _declared(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is None and info.data.get("bounds") is None:
            raise PydanticKnownError("missing")
        if value is not None and info.data.get("bounds") is not None:
            raise ValueError('bounds = "private" has the bounds found: delete min and max, or bounds')
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must be below max")
        if self.bounds is not None and "bins" in self.model_fields_set and self.bins != PRIVATE:
            raise ValueError('bins: where the bounds are found, so are the bins: write bins = "private", or no bins')
        return self

    @property
    def found(self) -> bool:
        """Whether noisy counts find the bins."""
        return PRIVATE in (self.bins, self.bounds)


class Integer(_Number):
    """Whole numbers from ``min`` to ``max``, both included.

    A number outside counts as the nearest bound, a fraction as the nearest whole number (ties to even), what is no
    number as null if the column is nullable, else as ``min``. ``bins = "private"`` has the bins found by noisy counts,
    ``bounds = "private"`` the bounds, too; a null of a column that is not nullable then counts as 0.
    """

    type: Literal["integer"] = "integer"
    min: Annotated[Whole | None, Field(validate_default=True)] = None
    max: Annotated[Whole | None, Field(validate_default=True)] = None
    nullable: Nullable = False
    bins: FoundBins = 32


class Real(_Number):
    """Numbers from ``min`` to ``max``, both included; what lies outside or is no number as for an integer column.

    So are ``bins = "private"`` and ``bounds = "private"``.
    """

    type: Literal["real"] = "real"
    min: Annotated[Finite | None, Field(validate_default=True)] = None
    max: Annotated[Finite | None, Field(validate_default=True)] = None
    nullable: Nullable = False
    bins: FoundBins = 32

    @field_validator("min", "max")
    @classmethod
    def _unsigned_zero(cls, value: float | None) -> float | None:
        return None if value is None else value + 0.0


def _values_of(column: object) -> str:
    """Which of the two forms of a categorical column is meant."""
    values = column.get("values") if isinstance(column, Mapping) else getattr(column, "values", None)
    return "private" if isinstance(values, str) and values == "private" else "listed"


OfValues = Annotated[
    Annotated[Categorical, Tag("listed")] | Annotated[Unlisted, Tag("private")], Discriminator(_values_of)
]
"""A categorical column, told apart by its ``values``."""

Column = Annotated[
    OfValues | Ordinal | Boolean | Integer | Real | Date | Datetime | Identifier, Field(discriminator="type")
]
"""One declared column, told apart by ``type``."""

COLUMN_TYPES: dict[str, type[Declared]] = {
    "categorical": Categorical,
    "ordinal": Ordinal,
    "integer": Integer,
    "real": Real,
    "boolean": Boolean,
    "date": Date,
    "datetime": Datetime,
    "identifier": Identifier,
}
"""The column types by the name that ``type`` gives them."""

REFUSED = {
    "text": "free text is refused: a text may hold anything about a person, and there is no public list of texts to "
    "count. Leave the column out (delete its section), or make of it what can be listed, outside of dpsynth, and "
    "declare that as categorical"
}
"""Types that no column can have, and why."""


def parts(name: str, column: Column) -> tuple[str, ...]:
    """The columns of the model that hold a column: itself, none of an identifier, several of a date with its weekday.

    Names of parts are the column's with ``.weekday`` or ``.time`` behind it.
    """
    match column:
        case Identifier():
            return ()
        case Date() | Datetime():
            time = isinstance(column, Datetime) and column.time
            return (name, *[f"{name}.weekday"] * column.weekday, *[f"{name}.time"] * time)
        case _:
            return (name,)
