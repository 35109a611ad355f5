"""What may be declared of days and moments, and of identifiers."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, field_validator, model_validator

from dpsynth.schema.declared import MAX_CELLS, Declared, Nullable
from dpsynth.schema.text import clean


def _day(value: object) -> object:
    """A date as TOML or Python has it, or the day of ISO text; a moment is no date."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass
    if type(value) is not datetime.date:
        raise ValueError("must be a date without a time, such as 2021-03-31 (the time of day is a part of its own)")
    return value


Day = Annotated[datetime.date, BeforeValidator(_day)]


class _Calendar(Declared):
    """Days from ``min`` to ``max``, both included, and perhaps parts of them that are columns of the model."""

    min: Day
    max: Day
    nullable: Nullable = False
    weekday: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not be after max")
        days, most = (self.max - self.min).days + 1, MAX_CELLS - self.nullable
        if self.weekday:
            days = (self.max.toordinal() - 1) // 7 - (self.min.toordinal() - 1) // 7 + 1
        if days > most:
            what = "weeks" if self.weekday else "days"
            hint = "" if self.weekday else ", or write weekday = true, which keeps weeks and weekdays"
            raise ValueError(f"{days:,} {what} are too many: at most {most:,} fit; give a nearer min or max{hint}")
        return self


class Date(_Calendar):
    """Days from ``min`` to ``max``, both included.

    A day outside counts as the nearest bound, a moment as its day (in UTC where it has a time zone), what is no date as
    null if the column is nullable, else as ``min``. With ``weekday`` the model has the week and the weekday as two
    columns, so that it knows how the weekday goes with everything else.
    """

    type: Literal["date"] = "date"


class Datetime(_Calendar):
    """Moments from the first second of ``min`` to the last of ``max``, in UTC where a value has a time zone.

    What lies outside or is no moment as for a date. The model has the day, or the week and the weekday, as for a date;
    with ``time`` the minute of the day too, without it any second of the day is drawn alike.
    """

    type: Literal["datetime"] = "datetime"
    time: bool = True


class Identifier(Declared):
    """Names of rows: never read from the data, which need not even have them. Fresh ones are made for the output.

    Whole numbers, or text that begins with ``prefix``.
    """

    type: Literal["identifier"] = "identifier"
    prefix: str = ""

    @field_validator("prefix")
    @classmethod
    def _clean(cls, value: str) -> str:
        if clean(value) != value or not value.isprintable():
            raise ValueError("must be printable, without white space around it, in Unicode normal form C")
        return value

    @property
    def nullable(self) -> bool:
        """Never: each row has its own."""
        return False
