"""Conditions on dates, weekdays and times of day: every row fulfils them, and what cannot be asked is said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.encoding import layout
from dpsynth.encoding.calendar import WEEKDAYS
from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Level
from dpsynth.release.condition import Condition
from dpsynth.release.where import read_condition
from dpsynth.sampling import IntegerTables, records
from dpsynth.schema import Schema

LAYOUT = layout(
    Schema.parse("""
[columns.id]
type = "identifier"

[columns.born]
type = "date"
min = 1999-12-30
max = 2000-03-02
nullable = true

[columns.visit]
type = "datetime"
min = 2020-01-01
max = 2020-02-07
weekday = true
nullable = true

[columns.seen]
type = "date"
min = 2020-01-02
max = 2020-01-05
weekday = true
""")
)
MIN, MAX = dt.date(2020, 1, 1), dt.date(2020, 2, 7)  # a Wednesday, a Friday
LEVELS = [Level(codec.name, codec.level()) for codec in LAYOUT.codecs]
MODEL = IntegerTables.build([((), (level.column,), np.ones((1, level.size))) for level in LEVELS], LEVELS, {}, 0)
Row = dict[str, Any]


def rows_of(condition: Condition, rows: int = 300, seed: int = 5) -> list[Row]:
    (batch,) = records(MODEL.given(condition.evidence()), condition.layout, rows, seed)
    found: list[Row] = batch.to_pylist()
    return found


def day_of(row: Row) -> dt.date | None:
    visit = row["visit"]
    return None if visit is None else visit.date()


days = st.dates(dt.date(2019, 12, 20), dt.date(2020, 2, 20))


@st.composite
def one_test(draw: st.DrawFn) -> tuple[str, Callable[[Row], bool]]:
    """One test, and whether a row fulfils it."""
    kind = draw(st.sampled_from(["born", "weekday", "time", "from", "to", "between", "null", "seen"]))
    day = draw(days)
    monday = day - dt.timedelta(day.weekday())
    if kind == "born":
        sign = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
        other = dt.date(1999, 12, 25) + dt.timedelta(draw(st.integers(0, 80)))
        if sign in ("=", "!="):  # of a day that the column never holds they are refused, being a slip of the pen
            other = min(max(other, dt.date(1999, 12, 30)), dt.date(2000, 3, 2))
        compare = {"=": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}[sign]
        return f"born {sign} '{other}'", lambda row: row["born"] is not None and getattr(row["born"], compare)(other)
    if kind == "weekday":
        some = draw(st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3))
        text = ", ".join(f"'{name}'" for name in some)
        return (
            f"visit.weekday in ({text})",
            lambda row: (d := day_of(row)) is not None and WEEKDAYS[d.weekday()] in some,
        )
    if kind == "seen":
        name = draw(st.sampled_from(WEEKDAYS))
        return f"seen.weekday = '{name}'", lambda row: WEEKDAYS[row["seen"].weekday()] == name
    if kind == "time":
        hour, minute = draw(st.integers(0, 23)), draw(st.integers(0, 59))
        limit = dt.time(hour, minute)
        return f"visit.time < '{limit:%H:%M}'", lambda row: row["visit"] is not None and row["visit"].time() < limit
    if kind == "null":
        return "visit is null", lambda row: row["visit"] is None
    if kind == "from":
        return f"visit >= '{monday}'", lambda row: (d := day_of(row)) is not None and d >= monday
    sunday = monday + dt.timedelta(6)
    if kind == "to":
        return f"visit < '{monday}'", lambda row: (d := day_of(row)) is not None and d < monday
    return (
        f"visit between '{monday}' and '{sunday}'",
        lambda row: (d := day_of(row)) is not None and monday <= d <= sunday,
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(one_test(), min_size=1, max_size=3))
def test_every_row_fulfils_the_condition(drawn: list[tuple[str, Callable[[Row], bool]]]) -> None:
    where = " and ".join(text for text, _ in drawn)
    everything = rows_of(read_condition((), LAYOUT), 600)
    try:
        condition = read_condition(where, LAYOUT)
    except ConfigurationError:  # right only where no row can fulfil it
        assert not any(all(holds(row) for _, holds in drawn) for row in everything)
        return
    again = read_condition(condition.text or (), LAYOUT)
    assert again == condition
    assert again.text == condition.text
    for row in rows_of(condition):
        assert all(holds(row) for _, holds in drawn), (where, row)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("born = '2000-01-01'", "born = '2000-01-01'"),
        ("born > '2000-01-01' and born < '2000-01-05'", "born between '2000-01-02' and '2000-01-04'"),
        (
            "born in ('2000-01-01', '2000-02-01') or born is null",
            "(born in ('2000-01-01', '2000-02-01') or born is null)",
        ),
        ("born >= '1900-01-01'", "born is not null"),
        ("visit >= '2020-01-06'", "visit >= '2020-01-06'"),
        ("visit > '2020-01-05'", "visit >= '2020-01-06'"),
        ("visit <= '2020-01-12'", "visit <= '2020-01-12'"),
        ("visit < '2020-01-13'", "visit <= '2020-01-12'"),
        ("visit >= '2020-01-01'", "visit is not null"),
        ("visit <= '2020-02-07'", "visit is not null"),
        ("visit between '2020-01-06' and '2020-01-12'", "visit between '2020-01-06' and '2020-01-12'"),
        ("visit < '2020-01-06'", "visit <= '2020-01-05'"),
        ("visit >= '2020-02-03'", "visit >= '2020-02-03'"),
        ("visit.weekday = 'SUNDAY'", "visit is not null and visit.weekday = 'sunday'"),
        ("visit.weekday >= 'saturday'", "visit is not null and visit.weekday in ('saturday', 'sunday')"),
        ("visit.weekday is not null", "visit is not null"),
        ("visit.time < '12:00'", "visit is not null and visit.time <= '11:59'"),
        ("visit.time < '24:00'", "visit is not null"),
        ("visit.time between '08:30' and '09:30:00'", "visit is not null and visit.time between '08:30' and '09:30'"),
        ("seen.weekday = 'friday'", "seen.weekday = 'friday'"),
    ],
)
def test_the_canonical_text(where: str, text: str) -> None:
    assert read_condition(where, LAYOUT).text == text


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("id = 5", "column 'id' is an identifier: each row has a fresh one, which no condition can name"),
        ("born = 2000", "column 'born' holds dates from '1999-12-30' to '2000-03-02': write them in single quotes"),
        ("born = '2000-1-1'", "column 'born' is tested by its day, which is like '2021-03-31', not '2000-1-1'"),
        ("born = '2001-02-29'", "column 'born' is tested by its day"),
        ("born = '1999-01-01'", "column 'born' holds dates from '1999-12-30' to '2000-03-02', never '1999-01-01'"),
        ("visit > '2020-01-06 12:00'", "its time of day is the column 'visit.time'"),
        (
            "visit = '2020-01-06'",
            "kept by weeks, as it has weekday = true: give a range of whole weeks",
        ),
        ("visit >= '2020-01-08'", "a range begins on a Monday, such as '2020-01-06'"),
        ("visit <= '2020-01-08'", "a range ends on a Sunday, such as '2020-01-12'"),
        ("visit < '2020-01-01'", "no value of column 'visit' fulfils this: it holds dates from '2020-01-01'"),
        ("visit > '2020-02-07'", "no value of column 'visit' fulfils this"),
        (
            "visit.weekday is null",
            "a part of another, which is null or not: write visit is null",
        ),
        ("visit is null and visit.weekday = 'sunday'", "no value of column 'visit' fulfils all of its tests"),
        ("visit < '2020-01-06' and visit.weekday = 'monday'", "no day of column 'visit' fulfils all of its tests"),
        ("seen.weekday = 'monday'", "no day of column 'seen' fulfils all of its tests"),
        ("visit.weekday = 'sonntag'", "column 'visit.weekday' has no value 'sonntag'"),
        ("visit.weekday = 'sundy'", "did you mean 'sunday'"),
        ("visit.time < '12:00:30'", "by the minute: a time is like '12:30', not '12:00:30'"),
        ("visit.time < '24:01'", "a time is like '12:30'"),
        ("visit.time < 12", "column 'visit.time' holds times from '00:00' to '23:59': write them in single quotes"),
        ("visit.wekday = 'sunday'", "did you mean 'visit.weekday'"),
    ],
)
def test_what_cannot_be_asked(where: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_condition(where, LAYOUT)
    assert message in str(caught.value)
