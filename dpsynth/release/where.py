"""The language of ``--where``: conditions on the rows of a sample, over the public values of the schema.

::

    condition = all { "or" all }                    all = test { "and" test }
    test      = column ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
              | column [ "not" ] "in" "(" value { "," value } ")"
              | column [ "not" ] "between" value "and" value
              | column "is" [ "not" ] "null"
              | "(" condition ")"

A value is a number, text in single quotes (a quote in it twice), ``true`` or ``false``; a column is a word, or in
double quotes. Dates and times are quoted too, as in ``visit >= '2021-03-31'``, ``visit.weekday = 'sunday'`` and
``visit.time < '12:00'``: a datetime is tested by its day, and one that is kept by weeks for whole weeks. As in SQL a
null fulfils no test but ``is null``, and ``between`` includes both ends. ``<`` and the like follow the order of an
ordinal column's list. Rows are drawn given a set of values of each column, so ``or`` may join what comes to that:
tests of one column. Numbers may lie anywhere, on the grid or not (see :mod:`regions`). A condition has at most 64 Ki
characters and 1,000 tests, as it is written and in its canonical form.

It lives in this room, above the schema and the codecs that know the values and the sampler that takes the evidence,
because a signed derivation holds the text: whoever draws a sample again must read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from math import ceil, floor

from dpsynth.encoding import BooleanCodec, DayCodec, Layout, ListedCodec, TimeCodec, WeekCodec, WeekdayCodec
from dpsynth.encoding.calendar import EPOCH, WEEKDAYS
from dpsynth.encoding.layout import admitted
from dpsynth.errors import ConfigurationError, nearest
from dpsynth.release.condition import BARE, KEYWORDS, Box, Condition, both, either, fail, literal, short, spelt
from dpsynth.release.regions import Axis, Piece, Point, Region
from dpsynth.schema import Boolean, Categorical, Datetime, Ordinal
from dpsynth.schema.text import clean, spelling

EXAMPLE = "income = '>50K' and age between 30 and 39"
DENIALS = "age != 5, age not in (5, 6), age not between 5 and 9, age is not null"
LONGEST = 2**16
TESTS = 1000
DEEPEST = 50
FEW = 8
SIGNS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

_TOKEN = re.compile(
    rf"""\s*(?: (?P<text>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")*") | (?P<word>{BARE.pattern})
    | (?P<number>[+-]?\.?[0-9](?:[eE][+-]|[\w.])*)
    | (?P<sign><=|>=|!=|<>|==|[<>=(),]) | (?P<end>\Z) )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,3})?")


def read_condition(where: str | Sequence[str], layout: Layout) -> Condition:
    """Read a condition, or several that all must hold; ConfigurationError says what is wrong and what is right."""
    axes = {codec.name: Axis.of(codec) for codec in layout.codecs}
    condition = _read([where] if isinstance(where, str) else where, axes, layout)
    _require_days(condition)
    _require_whole(condition)
    try:  # a sample states this text, and whoever draws it again reads it
        _read([condition.text] if condition.text else [], axes, layout)
    except ConfigurationError:
        fail(f"too many values or ranges are left: written out they exceed {LONGEST:,} characters or {TESTS:,} tests")
    return condition


def _require_whole(condition: Condition) -> None:
    """Values that a constraint moves inside their cells cannot be held to a part of a cell."""
    for name in condition.whole.constraints.exact.columns & condition.box.keys():
        axis = condition.axes[name]
        for cell in sorted(axis.admitted(condition.box[name])[1]):
            if not condition.whole.constraints.exact.moves(name, cell):
                continue
            low, high = (literal(axis, point) for point in axis.leaf(cell))
            fail(
                f"a constraint of the schema moves the values of column {short(name)!r} inside its cells, so that a "
                f"condition admits a cell wholly or not at all, and this one cuts that of {low} to {high}: let it "
                "begin and end where cells do"
            )


def _read(texts: Sequence[str], axes: Mapping[str, Axis], layout: Layout) -> Condition:
    long = sum(map(len, texts))
    if long > LONGEST:
        fail(f"a condition has at most {LONGEST:,} characters, and this one has {long:,}")
    reader = _Reader(axes, [name for name in layout.columns if name not in axes])
    box: Box = {}
    for text in texts:
        box = both(axes, box, reader.read(text))
    return Condition.of(layout, axes, box)


def _require_days(condition: Condition) -> None:
    """Weeks and weekdays may be there, and none of the days that they make."""
    evidence = condition.evidence()
    for codec in condition.whole.codecs:
        region = condition.box.get(codec.name, condition.axes[codec.name].everything)
        if isinstance(codec, WeekCodec) and region.pieces and not admitted(codec, evidence).size:
            fail(f"no day of column {short(codec.name)!r} fulfils all of its tests")


class _Reader:
    """Reads one text after another, each from left to right, by recursive descent."""

    def __init__(self, axes: Mapping[str, Axis], identifiers: Sequence[str]) -> None:
        self._axes = axes
        self._identifiers = identifiers
        self._tests = 0

    def read(self, text: str) -> Box:
        self._tokens = _tokens(text)
        self._token = ""
        self._depth = 0
        self._next()
        box = self._any()
        if self._kind != "end":
            fail(f"expected and, or, or the end, not {self._shown}")
        return box

    def _next(self) -> str:
        """Step to the next token; returns the one before."""
        before = self._token
        self._kind, self._token = next(self._tokens)
        self._shown = short(self._token) if self._kind != "end" else "the end"
        return before

    def _is(self, *words: str) -> bool:
        return self._kind in ("word", "sign") and self._token.lower() in words

    def _take(self, *words: str) -> bool:
        found = self._is(*words)
        if found:
            self._next()
        return found

    def _expect(self, word: str) -> None:
        if not self._take(word):
            fail(f"expected {word}, not {self._shown}")

    def _any(self) -> Box:
        box = self._all()
        while self._take("or"):
            box = either(self._axes, box, self._all())
        return box

    def _all(self) -> Box:
        box = self._test()
        while self._take("and"):
            box = both(self._axes, box, self._test())
        return box

    def _test(self) -> Box:
        if self._take("("):
            self._depth += 1
            if self._depth > DEEPEST:
                fail(f"parentheses are nested more than {DEEPEST} deep")
            box = self._any()
            self._expect(")")
            self._depth -= 1
            return box
        self._tests += 1
        if self._tests > TESTS:
            fail(f"a condition has at most {TESTS:,} tests")
        axis = self._column()
        name, called = axis.codec.name, repr(short(axis.codec.name))
        if self._take("is"):
            absent = not self._take("not")
            self._expect("null")
            if name != axis.codec.source:
                axis = self._axes[axis.codec.source]
                if absent:
                    fail(f"column {called} is a part of another, which is null or not: write {spelt(axis)} is null")
                return {axis.codec.name: Region(axis.everything.pieces)}
            region = Region((), axis.codec.column.nullable) if absent else Region(axis.everything.pieces)
            if not region:
                fail(f"column {called} is never null: the schema does not declare it nullable")
            return {name: region}
        denied = self._take("not")
        if self._take("in"):
            self._expect("(")
            points = [self._equal(axis)]
            while self._take(","):
                points.append(self._equal(axis))
            self._expect(")")
            region = axis.region(points)
        elif self._take("between"):
            low = _at_least(axis, self._value(axis, ordered=True))
            self._expect("and")
            region = axis.region([(low, _at_most(axis, self._value(axis, ordered=True)))])
        elif not denied and self._kind == "sign" and self._token in SIGNS:
            sign = SIGNS[self._next()]
            denied = sign == "!="
            region = axis.region([self._equal(axis) if sign in ("=", "!=") else self._beyond(axis, sign)])
        else:
            signs = "" if denied else "=, !=, <, <=, >, >=, is, not, "
            fail(f"after column {called} expected {signs}in or between, not {self._shown}")
        if denied:
            region = axis.others(region)
        if not region:
            fail(f"no value of column {called} fulfils this: it holds {_holds(axis)}")
        if name != axis.codec.source:
            return {axis.codec.source: Region(self._axes[axis.codec.source].everything.pieces), name: region}
        return {name: region}

    def _column(self) -> Axis:
        if self._is("not"):
            fail(f"not stands inside a test, as in {DENIALS}")
        if self._kind == "text":
            fail(f"expected a column, not the text {self._shown}: a test is like {EXAMPLE}")
        if self._kind not in ("word", "quoted") or (self._kind == "word" and self._token.lower() in KEYWORDS):
            fail(f"expected a column, not {self._shown}: a test is like {EXAMPLE}")
        name = self._token[1:-1].replace('""', '"') if self._kind == "quoted" else self._token
        if name in self._identifiers:
            fail(f"column {short(name)!r} is an identifier: each row has a fresh one, which no condition can name")
        if name not in self._axes:
            columns = {known.lower(): known for known in self._axes}
            near = nearest(short(columns.get(name.lower(), name)), self._axes)
            fail(f"there is no column {short(name)!r}{near or '; there are: ' + _few(list(self._axes))}")
        self._next()
        return self._axes[name]

    def _equal(self, axis: Axis) -> Piece:
        shown, value = self._shown, self._value(axis)
        if axis.real:
            name = short(spelt(axis))
            fail(f"a real column holds any one number with probability zero: give a range, {name} between a and b")
        if isinstance(axis.codec, WeekCodec):
            fail(f"{_by_weeks(axis)}: give a range of whole weeks, and the weekday in a test of its own")
        low, high = _at_least(axis, value), _at_most(axis, value)
        if low != high or not axis.lowest <= low <= axis.highest:
            fail(f"column {short(axis.codec.name)!r} holds {_holds(axis)}, never {shown}")
        return low, high

    def _beyond(self, axis: Axis, sign: str) -> Piece:
        value = self._value(axis, ordered=True)
        if isinstance(axis.codec, WeekCodec):
            day = int(value) + {">": 1, "<": -1}.get(sign, 0)
            return (_at_least(axis, day), axis.highest) if ">" in sign else (axis.lowest, _at_most(axis, day))
        low, high = _at_least(axis, value), _at_most(axis, value)
        if low == high:  # on a point, which < and > exclude
            low, high = (low, high) if "=" in sign else (axis.after(high), axis.before(low))
        return (low, axis.highest) if ">" in sign else (axis.lowest, high)

    def _value(self, axis: Axis, ordered: bool = False) -> Fraction | Point:
        """A value on the axis, between two points of it perhaps; of weeks a day, since 1970-01-01."""
        name, written, codec = repr(short(axis.codec.name)), short(spelt(axis)), axis.codec
        if ordered and isinstance(codec.column, Boolean | Categorical):
            fail(f"column {name} has no order, as it is {codec.column.type}: name its values, {written} in (...)")
        kind, word = self._kind, self._token
        if kind == "word" and word.lower() == "null":
            fail(f"nothing equals null: write {written} is null, or is not null")
        if kind == "quoted" or (kind == "word" and word.lower() not in KEYWORDS):
            fail(f"expected a value, not {self._shown}: text stands in single quotes, '{short(word.strip(chr(34)))}'")
        if kind not in ("text", "number") and not self._is("true", "false"):
            fail(f"expected a value of column {name}, not {self._shown}")
        self._next()
        text = word[1:-1].replace("''", "'") if kind == "text" else word
        if isinstance(codec, BooleanCodec | ListedCodec):
            return _listed(axis, codec, text)
        if isinstance(codec, DayCodec | WeekCodec | WeekdayCodec | TimeCodec):
            if kind != "text":
                fail(f"column {name} holds {_holds(axis)}: write them in single quotes")
            return _calendar(axis, codec, text)
        if kind != "number":
            fail(f"column {name} holds numbers, not {short(word)}: write them without quotes")
        return float(text) if axis.real else Fraction(text)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while True:
        found = _TOKEN.match(text, place)
        if found is None:
            rest = text[place:].lstrip()
            hint = "a quote is not closed" if rest[0] in "'\"" else f"a condition is like {EXAMPLE}"
            fail(f"cannot read {rest[:20]!r}: {hint}")
        kind = str(found.lastgroup)
        if kind == "number" and not _NUMBER.fullmatch(found[kind]):
            fail(f"cannot read '{short(found[kind])}' as a number")
        yield kind, found[kind]
        place = found.end()


def _listed(axis: Axis, codec: BooleanCodec | ListedCodec, text: str) -> int:
    """The place of a value, found as the codec finds it in data."""
    word = clean(text)
    place = codec.spelt.get(word.lower() if isinstance(codec, BooleanCodec) else word)
    if place is None:
        place = codec.denoted.get(spelling(word) or "")
    if place is None:
        known = ["true", "false"] if isinstance(codec, BooleanCodec) else list(codec.column.values)
        hint = nearest(short(word), known) or f"; its values are {_values(axis)}"
        fail(f"column {short(codec.name)!r} has no value {short(text)!r}{hint}")
    return place


def _calendar(axis: Axis, codec: DayCodec | WeekCodec | WeekdayCodec | TimeCodec, text: str) -> int:
    """The place of a weekday, a minute or a day; of weeks the day, since 1970-01-01."""
    name, word = repr(short(codec.name)), text.strip().lower()
    if isinstance(codec, WeekdayCodec):
        if word not in WEEKDAYS:
            hint = nearest(short(word), WEEKDAYS) or f"; its values are {_values(axis)}"
            fail(f"column {name} has no value {short(text)!r}{hint}")
        return WEEKDAYS.index(word)
    if isinstance(codec, TimeCodec):
        clock = re.fullmatch(r"([01][0-9]|2[0-4]):([0-5][0-9])(?::00)?", word, re.ASCII)
        if clock is None or word > "24:00:00":
            fail(f"column {name} holds {_holds(axis)}, by the minute: a time is like '12:30', not {short(text)!r}")
        return int(clock[1]) * 60 + int(clock[2])
    try:
        day = date.fromisoformat(word) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", word, re.ASCII) else None
    except ValueError:
        day = None
    if day is None:
        time = isinstance(codec.column, Datetime) and codec.column.time
        hint = f"; its time of day is the column {short(codec.name + '.time')!r}" if time else ""
        fail(f"column {name} is tested by its day, which is like '2021-03-31', not {short(text)!r}{hint}")
    since = day.toordinal() - EPOCH
    return since if isinstance(codec, WeekCodec) else since - codec.first


def _at_least(axis: Axis, value: Fraction | Point) -> Point:
    """The first point that is not below a value."""
    if isinstance(axis.codec, WeekCodec):
        codec, day = axis.codec, int(value)
        if codec.first < day <= codec.last and (day - codec.monday) % 7:
            fail(f"{_by_weeks(axis)}: a range begins on a Monday, such as {_nearby(codec, day, 0)}")
        return -(-(day - codec.monday) // 7) if day > codec.first else 0
    return ceil(value) if isinstance(value, Fraction) else value


def _at_most(axis: Axis, value: Fraction | Point) -> Point:
    """The last point that is not above a value."""
    if isinstance(axis.codec, WeekCodec):
        codec, day = axis.codec, int(value)
        if codec.first <= day < codec.last and (day + 1 - codec.monday) % 7:
            fail(f"{_by_weeks(axis)}: a range ends on a Sunday, such as {_nearby(codec, day, 6)}")
        return (day + 1 - codec.monday) // 7 - 1 if day < codec.last else axis.highest
    return floor(value) if isinstance(value, Fraction) else value


def _by_weeks(axis: Axis) -> str:
    return f"column {short(axis.codec.name)!r} is kept by weeks, as it has weekday = true"


def _nearby(codec: WeekCodec, day: int, weekday: int) -> str:
    """The day of the same week that a range may begin or end with."""
    return f"'{date.fromordinal(EPOCH + day - (day + 3) % 7 + weekday)}'"


def _holds(axis: Axis) -> str:
    """What a column holds, for an error."""
    if isinstance(axis.codec.column, Boolean | Categorical):
        return _values(axis)
    if isinstance(axis.codec, WeekdayCodec):
        return _values(axis)
    if isinstance(axis.codec, DayCodec | WeekCodec):
        return f"dates from '{axis.codec.column.min}' to '{axis.codec.column.max}'"
    low, high = (short(literal(axis, point)) for point in (axis.lowest, axis.highest))
    if isinstance(axis.codec, TimeCodec):
        return f"times from {low} to {high}"
    if isinstance(axis.codec.column, Ordinal):
        return f"{low} to {high}"
    return f"{'numbers' if axis.real else 'whole numbers'} from {low} to {high}"


def _values(axis: Axis) -> str:
    """The values of a listed column as a condition writes them."""
    return _few([literal(axis, point) for point in range(int(axis.highest) + 1)])


def _few(words: Sequence[str]) -> str:
    more = f", ... ({len(words)} in all)" if len(words) > FEW else ""
    return ", ".join(map(short, words[:FEW])) + more
