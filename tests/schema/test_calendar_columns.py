"""What may be declared of dates, datetimes and identifiers, and what is refused."""

from __future__ import annotations

import datetime

import pytest

from dpsynth.errors import SchemaError
from dpsynth.schema import Date, Datetime, Identifier, Schema

DAY = datetime.date


def section(text: str, name: str = "visit") -> str:
    return f"[columns.{name}]\n{text}\n"


def refused(text: str) -> str:
    with pytest.raises(SchemaError) as caught:
        Schema.parse(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('type = "date"\nmin = 2020-01-01\nmax = 2020-12-31', Date(min=DAY(2020, 1, 1), max=DAY(2020, 12, 31))),
        ('type = "date"\nmin = "2020-01-01"\nmax = "2020-01-01"', Date(min=DAY(2020, 1, 1), max=DAY(2020, 1, 1))),
        (
            'type = "date"\nmin = 0001-01-01\nmax = 0101-01-01\nweekday = true\nnullable = true',
            Date(min=DAY(1, 1, 1), max=DAY(101, 1, 1), weekday=True, nullable=True),
        ),
        (
            'type = "datetime"\nmin = 2020-01-01\nmax = 2020-12-31\ntime = false',
            Datetime(min=DAY(2020, 1, 1), max=DAY(2020, 12, 31), time=False),
        ),
    ],
)
def test_what_is_declared_survives_the_file(text: str, column: Date | Datetime) -> None:
    schema = Schema.parse(section(text))
    assert schema.columns["visit"] == column
    again = Schema.parse(schema.to_toml())
    assert again == schema
    assert again.columns["visit"] == column


def test_any_difference_is_in_the_digest() -> None:
    first = {"min": DAY(2020, 1, 1), "max": DAY(2020, 12, 31)}
    columns = [
        Date(**first),
        Datetime(**first),
        Date(**first, weekday=True),
        Date(**first, nullable=True),
        Datetime(**first, time=False),
        Date(**{**first, "max": DAY(2020, 12, 30)}),
    ]
    assert len({Schema(columns={"visit": column}).digest for column in columns}) == len(columns)
    plain = Schema(columns={"visit": columns[0], "id": Identifier()})
    assert plain.digest != Schema(columns={"visit": columns[0], "id": Identifier(prefix="P")}).digest


def test_parts() -> None:
    first = {"min": DAY(2020, 1, 1), "max": DAY(2020, 12, 31)}
    schema = Schema(
        columns={
            "id": Identifier(),
            "a": Date(**first),
            "b": Date(**first, weekday=True),
            "c": Datetime(**first, weekday=True),
            "d": Datetime(**first, time=False),
        }
    )
    assert schema.names == ("id", "a", "b", "c", "d")
    assert schema.read == ("a", "b", "c", "d")
    assert schema.parts == ("a", "b", "b.weekday", "c", "c.weekday", "c.time", "d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('type = "date"\nmin = 2020-01-02\nmax = 2020-01-01', "columns.visit: min must not be after max"),
        ('type = "date"\nmin = 2020-01-01', "still blank: columns.visit has no max"),
        (
            'type = "date"\nmin = 2020-01-01T00:00:00\nmax = 2021-01-01',
            "columns.visit.min: must be a date without a time",
        ),
        ('type = "date"\nmin = "2020-02-30"\nmax = 2021-01-01', "columns.visit.min: must be a date without a time"),
        ('type = "date"\nmin = "1/2/2020"\nmax = 2021-01-01', "columns.visit.min: must be a date without a time"),
        ('type = "date"\nmin = 2020\nmax = 2021-01-01', "columns.visit.min: must be a date without a time"),
        ('type = "date"\nmin = 2020-01-01\nmax = 2021-01-01\ntime = true', "columns.visit.time: unknown key"),
        (
            'type = "date"\nmin = 1800-01-01\nmax = 2021-01-01',
            "80,720 days are too many: at most 65,535 fit; give a nearer min or max, or write weekday = true",
        ),
        (
            'type = "date"\nmin = 0001-01-01\nmax = 2021-01-01\nweekday = true\nnullable = true',
            "105,399 weeks are too many: at most 65,534 fit; give a nearer min or max",
        ),
        ('type = "identifier"\nprefix = " P"', "columns.visit.prefix: must be printable"),
        ('type = "identifier"\nprefix = "a\\u0000"', "columns.visit.prefix: must be printable"),
        ('type = "identifier"\nnullable = true', "columns.visit.nullable: unknown key"),
        ('type = "identifier"', "needs a column that is not an identifier: identifiers are never read"),
        ('type = "text"', "columns.visit: free text is refused: a text may hold anything about a person"),
        ('type = "dat"', "did you mean 'date'"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    assert message in refused(section(text))


def test_the_most_days_and_weeks() -> None:
    last = DAY(1800, 1, 1) + datetime.timedelta(65_534)
    assert Date(min=DAY(1800, 1, 1), max=last)
    assert Date(min=DAY(1800, 1, 1), max=last - datetime.timedelta(1), nullable=True)
    for wrong in ({"nullable": True}, {"max": last + datetime.timedelta(1)}):
        with pytest.raises(ValueError, match="days are too many"):
            Date(**{"min": DAY(1800, 1, 1), "max": last, **wrong})
    assert Date(min=DAY(1800, 1, 1), max=DAY(3000, 1, 1), weekday=True)


@pytest.mark.parametrize("name", ["visit.weekday", "visit.time"])
def test_a_part_takes_no_name_of_a_column(name: str) -> None:
    text = 'type = "datetime"\nmin = 2020-01-01\nmax = 2020-12-31\nweekday = true'
    other = section('type = "boolean"', f'"{name}"')
    for both in (section(text) + other, other + section(text)):
        what = name.removeprefix("visit.")
        assert refused(both) == (
            f"schema: columns.\"{name}\": is what the {what} of column 'visit' is called: rename this column in the "
            "data, or declare that one without it"
        )
    assert Schema.parse(section('type = "boolean"') + other).names == ("visit", name)
