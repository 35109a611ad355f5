"""Days, weeks, weekdays and times of day, against Python's own calendar; and rows put together again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpsynth.encoding import (
    Codec,
    DayCodec,
    Layout,
    TimeCodec,
    WeekCodec,
    WeekdayCodec,
    arrays,
    codecs,
    layout,
    moments,
)
from dpsynth.encoding.calendar import WEEKDAYS
from dpsynth.encoding.identifiers import DIGITS, ROUNDS, fresh, spelt
from dpsynth.schema import Boolean, Date, Datetime, Identifier, Schema

EPOCH = dt.datetime(1970, 1, 1)
MIN, MAX = dt.date(2019, 6, 12), dt.date(2021, 9, 3)  # a Wednesday, a Friday
VISIT = Datetime(min=MIN, max=MAX, weekday=True, nullable=True)


@dataclass(frozen=True)
class Words:
    """Public words that depend on the row alone."""

    first: int
    rows: int

    def inside(self, place: int) -> NDArray[np.uint64]:
        return self.between(place + 50)

    def between(self, place: int) -> NDArray[np.uint64]:
        rows = np.arange(self.first, self.first + self.rows, dtype=np.uint64)
        return rows * np.uint64(0x9E3779B97F4A7C15 + 2 * place)

    def key(self, place: int) -> NDArray[np.uint64]:
        return np.arange(ROUNDS, dtype=np.uint64) + np.uint64(place)


def encoded(codec: Codec, *cells: object) -> list[int]:
    return [int(code) for code in codec.encode(pa.array(cells))]


def seconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-02-29", "2020-02-29 00:00:00"),
        ("20200229", "2020-02-29 00:00:00"),
        ("2020-02-29 13:05", "2020-02-29 13:05:00"),
        ("2020-02-29T13:05:59.999", "2020-02-29 13:05:59"),
        ("2020-02-29 13:05:59,999", "2020-02-29 13:05:59"),
        ("2020-02-29t13:05:59z", "2020-02-29 13:05:59"),
        ("2020-02-29 13:05:59 UTC", "2020-02-29 13:05:59"),
        ("2020-02-29 23:30:00-05", "2020-03-01 04:30:00"),
        ("2020-02-29 23:30:00+05:30", "2020-02-29 18:00:00"),
        ("2020-02-29 23:30:00+0530", "2020-02-29 18:00:00"),
        ("1969-12-31 23:59:59.5", "1969-12-31 23:59:59"),
        ("2016-12-31 23:59:60", "2017-01-01 00:00:00"),
        *[(text, None) for text in ("2021-02-29", "2020-13-01", "2020-00-10", "2020-01-00", "2020-1-1", "29.02.2020")],
        *[(text, None) for text in ("02/29/2020", "2020-02-29 24:00", "2020-02-29 13", "2020-02-29 13:60", "13:05")],
        *[
            (text, None)
            for text in ("2020", "202002", "20200230", "1580515200", "inf", "nan", "", "null", "2020-02-29x")
        ],
        *[
            (text, None)
            for text in ("٢٠٢٠-٠٢-٢٩", "2020-02-29 13:05 CET", "2020\x00-02-29", "2020-02-29\n13:05", "today")
        ],
    ],
)
def test_texts(text: str, moment: str | None) -> None:
    expected = None if moment is None else seconds(dt.datetime.fromisoformat(moment))
    assert moments.of_text(text) == expected


@given(st.datetimes(), st.sampled_from(["", "Z", "+00:00", "-11:59", "+14"]))
def test_any_moment_of_python_is_read(moment: dt.datetime, zone: str) -> None:
    text = f"{moment}{zone}"
    zoned = dt.datetime.fromisoformat(text if zone != "+14" else f"{moment}+14:00")
    offset = zoned.utcoffset() or dt.timedelta()
    assert moments.of_text(text) == seconds(moment) - offset // dt.timedelta(seconds=1)


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{1,20}-[0-9]{2}-[0-9]{2}.{0,9}", fullmatch=True))
@example("9" * 18 + "-12-31")
@example("-" + "9" * 18 + "-01-01")
@example("9" * 4000 + "-12-31")
@example("0000-01-01 BC")
def test_no_text_raises(text: str) -> None:
    found = moments.of_text(text)
    assert found is None or abs(found) <= 2**62


COMMON = st.builds(
    lambda day, time, zone: day + time + (zone if time else ""),
    st.from_regex(r"[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]", fullmatch=True).filter(str.isascii),
    st.just("")
    | st.from_regex(r"[ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,9})?", fullmatch=True).filter(str.isascii),
    st.sampled_from(["", "Z", "+00", "+00:00", "+0000", "+01:00", "x"]),
)


DAYS_AND_NOT = ["", "2000-02-29", "1900-02-29", "2016-12-31 23:59:60", "0000-01-01", "2020-01-01T24:00:00"]


@settings(max_examples=200, deadline=None)
@given(st.lists(COMMON | st.sampled_from(DAYS_AND_NOT), max_size=9))
def test_texts_read_together_are_those_read_alone(texts: list[str]) -> None:
    for type_ in (pa.string(), pa.large_string(), pa.string_view()):
        found, where = arrays.unfold(pa.array(texts, type_))
        seconds_of, missing = moments.seconds(found)
        read = [None if missing[place] else int(seconds_of[place]) for place in where]
        assert read == [moments.of_text(text) for text in texts]


def test_beyond_the_bounds_is_the_nearest_bound() -> None:
    day, week, weekday, time = (
        DayCodec("x", Date(min=MIN, max=MAX)),
        WeekCodec("x", VISIT),
        WeekdayCodec("x.weekday", VISIT),
        TimeCodec("x.time", VISIT),
    )
    early = ("2019-06-11 23:59:59", "1000-01-01", "0044-03-15 BC", "-infinity", "-290307-01-01")
    late = ("2021-09-04", "9999-12-31 12:00", "infinity", "294276-12-31")
    assert {*encoded(day, *early)} == {*encoded(week, *early)} == {0}
    assert {*encoded(day, *late)} == {day.leaves - 1}
    assert {*encoded(week, *late)} == {week.leaves - 1}
    assert {*encoded(weekday, *early)} == {2}
    assert {*encoded(weekday, *late)} == {4}
    assert {*encoded(time, *early)} == {0}
    assert {*encoded(time, *late)} == {1439}


def test_what_is_no_date() -> None:
    no_dates = ("", "?", "2020-02-30", "12:30", None, "Monday")
    assert {*encoded(DayCodec("x", Date(min=MIN, max=MAX)), *no_dates)} == {0}
    sure = Datetime(min=MIN, max=MAX, weekday=True)
    assert {*encoded(WeekdayCodec("x.weekday", sure), *no_dates)} == {2}  # that of min
    assert {*encoded(TimeCodec("x.time", sure), *no_dates)} == {0}
    for codec in codecs(Schema(columns={"x": VISIT})):
        assert {*encoded(codec, *no_dates)} == {codec.leaves}
        assert {*encoded(codec, 20200101.5, float("nan"), float("inf"), -0.0)} == {codec.leaves}


moment_of = st.datetimes(dt.datetime(2019, 6, 12), dt.datetime(2021, 9, 3, 23, 59, 59))


@settings(max_examples=200, deadline=None)
@given(moment_of)
def test_codes_are_those_of_the_calendar(moment: dt.datetime) -> None:
    day, week, weekday, time = (
        DayCodec("x", Date(min=MIN, max=MAX)),
        WeekCodec("x", VISIT),
        WeekdayCodec("x.weekday", VISIT),
        TimeCodec("x.time", VISIT),
    )
    monday = MIN - dt.timedelta(MIN.weekday())
    assert encoded(day, str(moment)) == [(moment.date() - MIN).days]
    assert encoded(week, str(moment)) == [(moment.date() - monday).days // 7]
    assert encoded(weekday, str(moment)) == [moment.weekday()]
    assert encoded(time, str(moment)) == [moment.hour * 60 + moment.minute]


@settings(max_examples=60, deadline=None)
@given(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)), st.integers(-14, 14))
@example(dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), 3)
def test_the_type_that_stores_a_moment_does_not_matter(moment: dt.datetime, hours: int) -> None:
    zone = dt.timezone(dt.timedelta(hours=hours))
    there = moment.replace(tzinfo=dt.UTC).astimezone(zone)
    columns = [
        pa.array([str(moment)]),
        *[pa.array([np.datetime64(moment, unit)]) for unit in ("s", "ms", "us", "ns")],
        pa.array([there], pa.timestamp("us", "UTC")),
        pa.array([there], pa.timestamp("us", "Asia/Kolkata")),
        pa.array([there.isoformat()]),
        pa.array([str(there)], pa.large_string()).dictionary_encode(),
        pa.array(pd.Series([moment])),
        pa.array(pd.Series([there])),
        pa.array([f"{moment}+00".encode()]),
        pa.array([moment]).dictionary_encode(),
    ]
    days = [pa.array([moment.date()]), pa.array([moment.date()], pa.date64()), pa.array([f"{moment:%Y%m%d}"])]
    days += [pa.array([int(f"{moment:%Y%m%d}")]), pa.array([float(f"{moment:%Y%m%d}"), None])[:1]]
    midnight = pa.array([dt.datetime.combine(moment.date(), dt.time())])
    for codec in codecs(Schema(columns={"x": VISIT, "y": Date(min=MIN, max=MAX)})):
        assert {tuple(codec.encode(column)) for column in columns} == {tuple(codec.encode(columns[0]))}
        assert {tuple(codec.encode(column)) for column in days} == {tuple(codec.encode(midnight))}


def test_levels_are_those_of_the_calendar() -> None:
    day = DayCodec("x", Date(min=MIN, max=MAX, nullable=True))
    dates = [MIN + dt.timedelta(n) for n in range(day.leaves)]
    chain = [day.level(), *day.hierarchy()]
    names = [lambda d: (d.year, d.month), lambda d: (d.year, (d.month - 1) // 3), lambda d: d.year]
    for level, name in zip(chain, names, strict=True):
        groups = sorted({name(date) for date in dates})
        assert level.tolist() == [*(groups.index(name(date)) for date in dates), len(groups)]
    year = DayCodec("x", Date(min=dt.date(2020, 1, 1), max=dt.date(2020, 12, 31)))
    np.testing.assert_array_equal(year.level(), np.arange(366))
    assert [level.max() + 1 for level in year.hierarchy()] == [12, 4]


def test_weeks_belong_to_their_thursday() -> None:
    codec = WeekCodec("x", Date(min=dt.date(2018, 12, 31), max=dt.date(2026, 1, 1), weekday=True))
    thursdays = [dt.date(2019, 1, 3) + dt.timedelta(7 * n) for n in range(codec.leaves)]
    weeks, months, quarters, years = codec.level(), *codec.hierarchy()
    assert weeks.tolist() == list(range(366))
    assert [2019 + int(year) for year in years] == [thursday.year for thursday in thursdays]
    assert [2019 + int(year) for year in years] == [thursday.isocalendar().year for thursday in thursdays]
    first = [(t.year - 2019) * 12 + t.month - 1 for t in thursdays]
    assert months.tolist() == first
    assert quarters.tolist() == [month // 3 for month in first]


def test_the_levels_of_the_time_of_day() -> None:
    codec = TimeCodec("x.time", VISIT)
    for level, minutes in zip((codec.level(), *codec.hierarchy()), (15, 60, 360), strict=True):
        assert level.tolist() == [*(np.arange(1440) // minutes), 1440 // minutes]


@pytest.mark.parametrize(
    "column",
    [
        Date(min=MIN, max=MAX),
        Date(min=dt.date(1850, 1, 1), max=dt.date(2020, 1, 1), nullable=True),
        Date(min=MIN, max=MIN, nullable=True),
        Date(min=dt.date(1, 1, 1), max=dt.date(1100, 1, 1), weekday=True),
        Date(min=dt.date(9998, 12, 30), max=dt.date(9999, 12, 31), weekday=True, nullable=True),
        VISIT,
    ],
    ids=str,
)
def test_each_level_is_a_coarsening_of_the_one_before(column: Date | Datetime) -> None:
    for codec in codecs(Schema(columns={"x": column})):
        chain: list[NDArray[np.integer]] = [np.arange(codec.size), codec.level(), *codec.hierarchy()]
        for fine, coarse in pairwise(chain):
            assert len(coarse) == codec.size
            assert np.array_equal(np.unique(coarse), np.arange(coarse.max() + 1))
            assert len(np.unique(np.stack([fine, coarse]), axis=1).T) == fine.max() + 1
        assert all(one.max() > two.max() for one, two in pairwise(chain[1:]))
        assert chain[1].max() <= 366 or len(chain) == 2


def rows(schema: Schema, codes: dict[str, NDArray[Any]], first: int = 0, whole: Layout | None = None) -> pa.RecordBatch:
    return (whole or layout(schema)).decode(codes, Words(first, len(next(iter(codes.values())))))


def every(schema: Schema) -> dict[str, NDArray[np.int64]]:
    """All combinations of the codes of at most three columns of the model."""
    sizes = [codec.size for codec in layout(schema).codecs]
    grids = np.meshgrid(*map(np.arange, sizes), indexing="ij")
    return {codec.name: grid.ravel() for codec, grid in zip(layout(schema).codecs, grids, strict=True)}


@pytest.mark.parametrize(
    "column",
    [
        Date(min=MIN, max=MAX, nullable=True),
        Date(min=MIN, max=MAX, weekday=True, nullable=True),
        Date(min=MIN, max=MIN, weekday=True),
        Date(min=MIN, max=MIN + dt.timedelta(6), weekday=True, nullable=True),
        Date(min=dt.date(9999, 11, 1), max=dt.date(9999, 12, 31), weekday=True),
        Date(min=dt.date(1, 1, 1), max=dt.date(1, 3, 1), weekday=True),
        Datetime(min=MIN, max=MIN + dt.timedelta(9), weekday=True, nullable=True),
        Datetime(min=MIN, max=MAX, time=False, nullable=True),
        Datetime(min=MIN, max=MIN + dt.timedelta(3)),
    ],
    ids=str,
)
def test_put_together_again(column: Date | Datetime) -> None:
    """Whatever the codes, the value is within the bounds and null as the first part; a possible one has its codes."""
    schema = Schema(columns={"x": column})
    codes = every(schema)
    batch = rows(schema, codes)
    values = batch.column("x")
    assert values.type == (pa.date32() if isinstance(column, Date) else pa.timestamp("s"))
    first = layout(schema).codecs[0]
    np.testing.assert_array_equal(np.array(values.is_null()), codes["x"] == first.leaves)
    kept = [value.date() if isinstance(value, dt.datetime) else value for value in values.drop_null().to_pylist()]
    assert column.min <= min(kept)
    assert max(kept) <= column.max
    possible = np.ones(len(values), dtype=bool)
    for codec in layout(schema).codecs:  # a part that alone is null is drawn, and a null has no parts
        possible &= (codes[codec.name] == codec.leaves) == (codes["x"] == first.leaves) if column.nullable else True
    if column.weekday:
        assert isinstance(first, WeekCodec)
        day = first.monday + 7 * codes["x"] + codes["x.weekday"]
        outside = (codes["x"] < first.leaves) & ((day < first.first) | (day > first.last))
        same = layout(schema).codecs[1].encode(values) == codes["x.weekday"]
        if (column.max - column.min).days >= 13:  # moved by a week, the weekday stays
            assert same[outside & possible].all()
        possible &= ~outside
    for codec in layout(schema).codecs:
        np.testing.assert_array_equal(codec.encode(values)[possible], codes[codec.name][possible])


def test_what_no_column_of_the_model_holds_is_drawn_alike() -> None:
    schema = Schema(columns={"x": Datetime(min=MIN, max=MIN, time=False), "y": Datetime(min=MIN, max=MIN)})
    codes = {"x": np.zeros(200_000, int), "y": np.zeros(200_000, int), "y.time": np.full(200_000, 75)}
    batch = rows(schema, codes)
    base = np.datetime64(MIN, "s")
    clock = (batch.column("x").to_numpy(zero_copy_only=False) - base).astype(int)
    assert np.bincount(clock // 3600, minlength=24).min() > 7500
    inside = (batch.column("y").to_numpy(zero_copy_only=False) - base).astype(int) - 75 * 60
    assert np.bincount(inside, minlength=60).min() > 2800
    assert (inside < 60).all()


class TestIdentifiers:
    SCHEMA = Schema(columns={"id": Identifier(), "ok": Boolean(), "code": Identifier(prefix="Ü-")})

    def test_all_are_distinct_and_the_same_for_any_chunks(self) -> None:
        whole = rows(self.SCHEMA, {"ok": np.zeros(300_000, int)})
        assert whole.schema.names == ["id", "ok", "code"]
        assert whole.schema.types == [pa.int64(), pa.bool_(), pa.string()]
        assert len(set(whole.column("id").to_pylist())) == len(set(whole.column("code").to_pylist())) == 300_000
        cut = [rows(self.SCHEMA, {"ok": np.zeros(n, int)}, first) for first, n in ((0, 7), (7, 1), (8, 299_992))]
        assert pa.Table.from_batches(cut).combine_chunks().to_batches()[0].equals(whole)

    def test_their_form(self) -> None:
        batch = rows(self.SCHEMA, {"ok": np.zeros(5_000, int)})
        assert all(0 <= number < 10**DIGITS for number in batch.column("id").to_pylist())
        assert all(len(text) == 2 + DIGITS and text[2:].isdigit() for text in batch.column("code").to_pylist())
        assert spelt(np.array([7]), "P").to_pylist() == ["P" + "7".zfill(DIGITS)]

    def test_their_order_tells_nothing(self) -> None:
        numbers = fresh(0, 200_000, np.arange(ROUNDS, dtype=np.uint64))
        ranks = np.argsort(np.argsort(numbers))
        assert abs(np.corrcoef(ranks, np.arange(200_000))[0, 1]) < 0.01
        assert np.histogram(numbers, bins=10, range=(0, 10**DIGITS))[0].min() > 19_000

    def test_other_keys_give_others(self) -> None:
        one, two = (
            set(fresh(0, 10_000, np.arange(place, place + ROUNDS, dtype=np.uint64)).tolist()) for place in (0, 9)
        )
        assert not one & two

    @given(st.integers(0, 10**18 - 10), st.lists(st.integers(0, 2**64 - 1), min_size=ROUNDS, max_size=ROUNDS))
    def test_any_rows_of_any_key(self, first: int, key: list[int]) -> None:
        numbers = fresh(first, 9, np.array(key, dtype=np.uint64))
        assert len(set(numbers.tolist())) == 9
        assert numbers.min() >= 0
        assert numbers.max() < 10**18


def test_weekdays_by_name() -> None:
    codec = WeekdayCodec("x.weekday", VISIT)
    assert codec.source == "x"
    assert codec.decode(np.arange(8), np.zeros(8, np.uint64)).to_pylist() == [*WEEKDAYS, None]
