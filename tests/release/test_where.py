"""The language of conditions, with SQLite as the oracle of what a row fulfils."""

from __future__ import annotations

import re
import sqlite3
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.encoding import codecs, layout
from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Level
from dpsynth.release.condition import Condition
from dpsynth.release.regions import Axis, Region, Within
from dpsynth.release.where import SIGNS, read_condition
from dpsynth.sampling import MOST, IntegerTables, decode, records, sample_chunk
from dpsynth.schema import Schema

SCHEMA = """
[columns.age]
type = "integer"
min = 0
max = 99
bins = 10

[columns.wage]
type = "integer"
min = -500
max = 99999
bins = 7
nullable = true

[columns.rate]
type = "real"
min = -1.5
max = 10.0
bins = 5
nullable = true

[columns.grade]
type = "ordinal"
values = ["a", "b", "c", "d"]
nullable = true

[columns."home town"]
type = "categorical"
values = ["Graz", "L'Aquila", "in"]

[columns.retired]
type = "boolean"
nullable = true
"""
LAYOUT = layout(Schema.parse(SCHEMA))
CODECS = LAYOUT.codecs
NAMES = [codec.name for codec in CODECS]


def model() -> IntegerTables:
    """A chain over the declared bins in which every cell is possible."""
    levels = [Level(codec.name, codec.level()) for codec in CODECS]
    rng = np.random.Generator(np.random.Philox(key=4))
    nodes = [((), (NAMES[0],), rng.random((1, levels[0].size)))]
    for before, level in pairwise(levels):
        nodes.append(((before.column,), (level.column,), rng.random((before.size, level.size)) + 0.05))
    return IntegerTables.build(nodes, levels, {}, 0)


MODEL = model()


def sqlite(rows: list[dict[str, object]], where: str) -> list[bool]:
    """Which rows fulfil a condition, by SQLite."""
    with sqlite3.connect(":memory:") as base:
        quoted = ", ".join(f'"{name}"' for name in NAMES)
        base.execute(f"create table t (number, {quoted})")
        marks = ", ".join("?" * (len(NAMES) + 1))
        base.executemany(f"insert into t values ({marks})", [(i, *row.values()) for i, row in enumerate(rows)])
        found = {number for (number,) in base.execute(f"select number from t where {where}")}
    return [number in found for number in range(len(rows))]


def quote(name: str) -> str:
    return f'"{name}"' if " " in name else name


numbers = {
    "age": st.integers(-5, 110).map(str) | st.sampled_from(["30.5", "1e1", "+7", "-.5"]),
    "wage": st.integers(-600, 110_000).map(str) | st.sampled_from(["24.5", "2e4", "99999"]),
    "rate": st.floats(-2, 11).map(repr) | st.integers(-2, 11).map(str) | st.sampled_from(["-1.5", "10.0", "4.25"]),
    "grade": st.sampled_from(["'a'", "'b'", "'c'", "'d'"]),
}
held = {
    "age": st.integers(0, 99).map(str) | st.sampled_from(["1e1", "+7", "30.0"]),
    "wage": st.integers(-500, 99_999).map(str) | st.sampled_from(["2e4", "99999"]),
    "grade": numbers["grade"],
    "home town": st.sampled_from(["'Graz'", "'L''Aquila'", "'in'"]),
    "retired": st.sampled_from(["true", "FALSE"]),
}


@st.composite
def single_tests(draw: st.DrawFn, name: str) -> str:
    """One test: <, > and between are of any number, = and in of what the column can hold (others are refused)."""
    kinds = ["null", "not null"]
    if name in numbers:
        kinds += ["order"] * 3 + ["between", "not between"]
    if name != "rate":
        kinds += ["=", "!=", "<>", "in", "not in"]
    kind, column, value = draw(st.sampled_from(kinds)), quote(name), held.get(name, st.nothing())
    match kind:
        case "null" | "not null":
            return f"{column} is {kind}"
        case "order":
            return f"{column} {draw(st.sampled_from(['<', '<=', '>', '>=']))} {draw(numbers[name])}"
        case "between" | "not between":
            return f"{column} {kind} {draw(numbers[name])} and {draw(numbers[name])}"
        case "in" | "not in":
            return f"{column} {kind} ({', '.join(draw(st.lists(value, min_size=1, max_size=5)))})"
        case _:
            return f"{column} {kind} {draw(value)}"


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A condition in which or joins tests of one column alone, and its tests."""
    parts, tests = [], []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)):
        some = draw(st.lists(single_tests(name), min_size=1, max_size=3))
        tests += some
        parts.append(f"({' or '.join(some)})" if draw(st.booleans()) else " and ".join(some))
    return " AND ".join(parts), tests


def rows_of(tables: IntegerTables, condition: Condition, rows: int) -> list[dict[str, object]]:
    (batch,) = records(tables, condition.layout, rows, 5)
    for codec in CODECS:  # what is drawn stays in its cell
        assert np.array_equal(codec.encode(batch[codec.name]), sample_chunk(tables, rows, 5, 0)[codec.name])
    return batch.to_pylist()


ANY = read_condition((), LAYOUT)
UNCONDITIONED = rows_of(MODEL, ANY, 400)
CODES = sample_chunk(MODEL, 400, 5, 0)


def assert_reads_back(condition: Condition) -> None:
    again = read_condition(condition.text or (), LAYOUT)
    assert again == condition
    assert again.text == condition.text


@settings(max_examples=200, deadline=None)
@given(conditions())
def test_every_row_fulfils_the_condition_and_nothing_else_is_left_out(drawn):
    where, tests = drawn
    try:
        condition = read_condition(where, LAYOUT)
    except ConfigurationError:
        # Right only where no row fulfils it, or one of its tests: that is refused beside an or, too.
        assert not all(any(sqlite(UNCONDITIONED, text)) for text in (where, *tests))
        return
    assert all(sqlite(rows_of(MODEL.given(condition.evidence()), condition, 60), where))
    least = np.full(400, MOST, dtype=np.uint64)
    for name, share in condition.evidence().items():
        least = np.minimum(least, share[CODES[name]])
    for found, share in zip(sqlite(UNCONDITIONED, where), least, strict=True):
        assert share > 0 or not found
        assert share < MOST or found
    assert_reads_back(condition)
    if condition.text:
        assert sqlite(UNCONDITIONED, condition.text) == sqlite(UNCONDITIONED, where)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("age = 5", "age = 5"),
        ("5.0e0 = age", None),
        ("age in (7, 5, 6, 20)", "(age = 20 or age between 5 and 7)"),
        ("age > 30.5 AND age<=40", "age between 31 and 40"),
        ("age != 7", "(age <= 6 or age >= 8)"),
        ("age < 200", ""),
        ("wage > 50000 or wage is null", "(wage >= 50001 or wage is null)"),
        ("rate > 4.25 and rate < 5", "rate > 4.25 and rate < 5"),
        ("rate between 1 and 2.5e0", "rate between 1 and 2.5"),
        ("rate is not null", "rate is not null"),
        ("grade >= 'c' or grade = 'a'", "grade in ('a', 'c', 'd')"),
        ("\"home town\" = 'L''Aquila'", "\"home town\" = 'L''Aquila'"),
        ("\"home town\" <> 'in'", "\"home town\" in ('Graz', 'L''Aquila')"),
        ("retired = 'no' and age = 5", "age = 5 and retired = false"),
        ("(age < 9 or (age < 9 and retired = true))", "age <= 8"),
        ("age = 3 and grade = 'a' or grade = 'a' and age = 4", "age between 3 and 4 and grade = 'a'"),
    ],
)
def test_the_canonical_text(where, text):
    if text is None:
        with pytest.raises(ConfigurationError):
            read_condition(where, LAYOUT)
        return
    assert read_condition(where, LAYOUT).text == text


def test_several_conditions_must_all_hold():
    condition = read_condition(("age > 5", "age < 9", "retired = true"), LAYOUT)
    assert condition.text == "age between 6 and 8 and retired = true"
    assert read_condition((), LAYOUT).text == ""
    assert read_condition((), LAYOUT).layout == LAYOUT


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("agee = 5", "no column 'agee'; did you mean 'age'"),
        ("AGE = 5", "did you mean 'age'"),
        ("x = 5", "there are: age, wage, rate, grade, home town, retired"),
        ("age = 200", "whole numbers from 0 to 99, never 200"),
        ("age = 1e999", "never 1e999"),
        ("age = 2.5", "never 2.5"),
        ("age > 99", "no value of column 'age'"),
        ("rate > 1e999", "no value of column 'rate' fulfils this: it holds numbers from -1.5 to 10"),
        ("age = '5'", "without quotes"),
        ("grade = 'e'", "'a', 'b', 'c', 'd'"),
        ("\"home town\" = 'Gratz'", "did you mean 'Graz'"),
        ("retired = 'maybe'", "its values are false, true"),
        ("\"home town\" < 'in'", "'home town' has no order, as it is categorical"),
        ("retired between false and true", "'retired' has no order, as it is boolean"),
        ("rate = 5", "give a range, rate between a and b"),
        ("rate in (5)", "probability zero"),
        ("rate between 5 and 5", "no value"),
        ("rate >= 5 and rate <= 5", "no value of column 'rate' fulfils all"),
        ("rate >= 10", "no value of column 'rate'"),
        ("age is null", "never null"),
        ("age = null", "age is null"),
        ("age < 5 and age > 7", "no value of column 'age'"),
        ("age = 5 or grade = 'a'", "columns 'age' and 'grade'.*draw a sample for each side"),
        ("grade = b", "single quotes, 'b'"),
        ('grade = "b"', "single quotes, 'b'"),
        ("'grade' = 'b'", "expected a column, not the text 'grade'"),
        ("age", "after column 'age' expected =, .*not the end"),
        ("age not = 5", "expected in or between, not ="),
        ("not age = 5", r"not stands inside a test, as in age != 5, age not in"),
        ("age =", "expected a value of column 'age', not the end"),
        ("rate =", "expected a value of column 'rate', not the end"),
        ("rate in (", "expected a value of column 'rate', not the end"),
        ("age < 1e4000", "cannot read '1e4000' as a number"),
        ("age = 0x10", "cannot read '0x10' as a number"),
        ("age = -1_0", "cannot read '-1_0' as a number"),
        ("age = 1.2.3", "cannot read '1.2.3' as a number"),
        ("rate < 1e-+5", "cannot read '1e-' as a number"),
        ("age = " + "1" * 500, r"cannot read '1{57}\.\.\.' as a number"),
        ("\"home town\" not in ('Graz', 'in', 'L''Aquila')", r"it holds 'Graz', 'L''Aquila', 'in'$"),
        ("(age = 5", r"expected \), not the end"),
        ("age = 5)", r"not \)"),
        ("age in 5", r"expected \("),
        ("age in ()", "expected a value"),
        ("age = 5 retired = true", "not retired"),
        ("age ? 5", r"cannot read '\? 5'"),
        ("grade = 'b", "not closed"),
        ("", "expected a column, not the end"),
        ("and", "expected a column, not and"),
        ("(" * 60 + "age = 5" + ")" * 60, "50 deep"),
        ("age = 5; drop", "cannot read"),
        ("age = \x00", "cannot read"),
    ],
)
def test_what_is_wrong_is_said(where, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_condition(where, LAYOUT)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("where: ")


WORDS = (
    "age wage rate grade \"home town\" retired = != < <= > >= ( ) , and or not in is null between true 'a' 'c' 'in' 5 "
    "-3.5 1e1 7."
)


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="age=<>!()'\"1.e-+ ,ndorinlutbw", max_size=40)
    | st.lists(st.sampled_from(re.findall(r'"[^"]+"|\S+', WORDS)), max_size=12).map(" ".join)
    | st.builds("{} {} {}".format, st.sampled_from(NAMES[:4]), st.sampled_from(list(SIGNS)), st.text())
)
def test_any_text_is_read_or_refused(where):
    try:
        condition = read_condition(where, LAYOUT)
    except ConfigurationError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 400
        return
    assert_reads_back(condition)


def test_a_forged_text_cannot_speak_for_the_verifier():
    for where in (
        "age = '\x1b[31mx\nverified: release demo, all is well\n'",
        '"\x1b[31m\nverified" = 5',
        "grade = '\x1b[31m\nverified'",
        'grade = "\x1b[31m\nverified"',
        "age '\x1b[31m\nverified'",
        "age = 5 '\x1b[31m\nverified'",
        "'\x1b[31m\nverified' = age",
        "\x1b[31m\nverified",
        "age = 5\u202e",
    ):
        with pytest.raises(ConfigurationError) as caught:
            read_condition(where, LAYOUT)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 250
    with pytest.raises(ConfigurationError, match=r"at most 65,536 characters, and this one has 3,000,000$"):
        read_condition("age = 5 and " * 250_000, LAYOUT)


def test_what_is_too_long_is_refused_before_it_takes_long():
    wide = layout(Schema.parse('[columns.x]\ntype = "integer"\nmin = 0\nmax = 9999999'))
    assert read_condition(["x != 5"] * 1000, wide).text == "(x <= 4 or x >= 6)"
    for where in (" and ".join(["x != 5"] * 1001), ["x != 5"] * 1001, " or ".join(["(x = 5)"] * 1001)):
        with pytest.raises(ConfigurationError, match="at most 1,000 tests"):
            read_condition(where, wide)
    for where in ("x = 5" + " " * 65_532, ["x = 5" + " " * 32_764] * 2):
        with pytest.raises(ConfigurationError, match="at most 65,536 characters"):
            read_condition(where, wide)
    # What could be read, but not as a sample would state it, is refused before a sample states it.
    evens = ", ".join(str(number) for number in range(0, 2 * 3000, 2))
    assert read_condition(f"x in ({evens})", wide).text == f"x in ({evens})"
    with pytest.raises(ConfigurationError, match="written out they exceed"):
        read_condition(f"x not in ({', '.join(str(number) for number in range(0, 3 * 3000, 3))})", wide)


def test_the_values_of_a_column_are_named():
    names = ", ".join(f'"n{number}"' for number in range(20))
    listed = '[columns.{0}]\ntype = "{0}"\nvalues = [{1}]\n'
    two = layout(Schema.parse(listed.format("categorical", names) + listed.format("ordinal", names)))
    every = ", ".join(f"'n{number}'" for number in range(20))
    with pytest.raises(ConfigurationError, match=r"it holds 'n0', 'n1', .*'n7', \.\.\. \(20 in all\)$"):
        read_condition(f"categorical not in ({every})", two)
    with pytest.raises(ConfigurationError, match=r"it holds 'n0' to 'n19'$"):
        read_condition(f"ordinal not in ({every})", two)


@given(st.data())
def test_the_intersection_of_regions_is_that_of_sets(data):
    axis = Axis.of(CODECS[0])
    pieces = st.lists(st.tuples(st.integers(-5, 105), st.integers(-5, 105)), max_size=12)
    one, two = (axis.region(data.draw(pieces), data.draw(st.booleans())) for _ in range(2))
    common = {point for point in points(one) if point in points(two)}
    assert axis.both(one, two) == axis.region([(point, point) for point in common], one.null and two.null)


def points(region: Region) -> set[int]:
    return {point for first, last in region.pieces for point in range(int(first), int(last) + 1)}


def test_a_cut_cell_is_admitted_in_proportion_and_drawn_from_its_part():
    """``wage`` has 25 whole numbers a cell: -500..-476 and so on."""
    axis = Axis.of(CODECS[1])
    assert axis.leaf(0) == (-500, -476)
    share, cut = axis.admitted(axis.region([(-498, -490), (-480, -440)], null=True))
    assert share[:4].tolist() == [round(Fraction(14, 25) * MOST), MOST, round(Fraction(11, 25) * MOST), 0]
    assert share[-1] == MOST
    assert cut == {0: ((-498, -490), (-480, -476)), 2: ((-450, -440),)}
    words = np.random.Philox(key=1).random_raw(14_000)
    values = Within(CODECS[1], cut).decode(np.zeros(14_000, dtype=np.uint16), words).to_numpy()
    found, counts = np.unique(values, return_counts=True)
    assert found.tolist() == [*range(-498, -489), *range(-480, -475)]
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # 13 degrees of freedom: p < 3e-6


def test_a_cut_cell_of_real_numbers():
    """``rate`` has leaves of 11.5 / 4096; a stretch of a leaf and a later one twice as long are met as 1 to 2."""
    codec = CODECS[2]
    axis = Axis.of(codec)
    low, high = axis.leaf(100)
    step = (high - low) / 8
    region = axis.region([(low + step, low + 2 * step), (low + 4 * step, low + 6 * step), (high + 1, axis.highest)])
    share, cut = axis.admitted(region)
    assert abs(int(share[100]) - MOST * 3 / 8) < 10
    words = np.random.Philox(key=1).random_raw(30_000)
    values = Within(codec, cut).decode(np.full(30_000, 100), words).to_numpy()
    early = values <= low + 2 * step
    assert ((values >= low + step) & (early | (values >= low + 4 * step)) & (values <= low + 6 * step)).all()
    assert abs(early.sum() - 10_000) < 6 * (30_000 * 2 / 9) ** 0.5
    assert np.array_equal(codec.encode(Within(codec, cut).decode(np.full(9, 100), words[:9])), np.full(9, 100))


def test_ends_are_exact_to_the_last_bit():
    """``>`` leaves out what ``>=`` lets in, on the grid and off it; all words at their least and at their most."""
    edge = float(CODECS[2].edges[1000])
    words = np.array([0, 2**64 - 1], dtype=np.uint64)
    for bound in (edge, np.nextafter(edge, -9), 3.3):
        for sign, holds in ((">", np.greater), (">=", np.greater_equal), ("<", np.less), ("<=", np.less_equal)):
            condition = read_condition(f"rate {sign} {float(bound)!r}", LAYOUT)
            (decoder,) = (codec for codec in condition.layout.decoders if codec.name == "rate")
            for place in np.flatnonzero(condition.evidence()["rate"]):
                assert holds(decoder.decode(np.full(2, place), words).to_numpy(), bound).all()


def test_shares_that_are_too_small_to_state_stay_possible():
    axis = Axis.of(codecs(Schema.parse(f'[columns.x]\ntype = "integer"\nmin = 0\nmax = {2**53 - 1}'))[0])
    share, cut = axis.admitted(axis.region([(5, 5)]))
    assert share[0] == 1
    assert cut == {0: ((5, 5),)}
    assert axis.admitted(Region(axis.everything.pieces))[1] == {}


def test_the_distribution_is_the_conditional_one():
    """Shares among unconditioned rows that fulfil a condition, and among as many drawn given it, agree."""
    where = "wage between 1000 and 60010 and rate >= 0.3 and grade != 'b'"
    rows = 60_000
    codes = sample_chunk(MODEL, rows, 8, 0)
    plain = [row["age"] // 10 for batch in decode(LAYOUT, codes, 8, 0) for row in batch.to_pylist() if fulfils(row)]
    condition = read_condition(where, LAYOUT)
    (given,) = records(MODEL.given(condition.evidence()), condition.layout, len(plain), 9)
    assert all(fulfils(row) for row in given.to_pylist())
    one, two = np.bincount(plain, minlength=10), np.bincount(given["age"].to_numpy() // 10, minlength=10)
    assert ((one - two) ** 2 / np.maximum(one + two, 1)).sum() < 45  # 9 degrees of freedom: p < 1e-6


def fulfils(row: dict[str, object]) -> bool:
    wage, rate, grade = row["wage"], row["rate"], row["grade"]
    return None not in (wage, rate, grade) and 1000 <= wage <= 60010 and rate >= 0.3 and grade != "b"  # type: ignore[operator]
