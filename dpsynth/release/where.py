"""The language of ``--where``: conditions on the rows of a sample, over the public values of the schema.

::

    condition = all { "or" all }                    all = test { "and" test }
    test      = column ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
              | column [ "not" ] "in" "(" value { "," value } ")"
              | column [ "not" ] "between" value "and" value
              | column "is" [ "not" ] "null"
              | "(" condition ")"

A value is a number, text in single quotes (a quote in it twice), ``true`` or ``false``; a column is a word, or in
double quotes. As in SQL a null fulfils no test but ``is null``, and ``between`` includes both ends. ``<`` and the like
follow the order of an ordinal column's list. Rows are drawn given a set of values of each column, so ``or`` may join
what comes to that: tests of one column. Numbers may lie anywhere, on the grid or not (see :mod:`regions`).

It lives in this room because a signed derivation holds the text: whoever draws a sample again must read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import BooleanCodec, Codec, ListedCodec
from dpsynth.errors import ConfigurationError, nearest
from dpsynth.release.regions import Axis, Piece, Point, Region, Within
from dpsynth.schema import Boolean, Categorical
from dpsynth.schema.text import clean, plain, spelling

EXAMPLE = "income = '>50K' and age between 30 and 39"
KEYWORDS = {"and", "or", "in", "is", "not", "null", "between", "true", "false"}
DEEPEST = 50
SIGNS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

_BARE = re.compile(r"[^\W\d][\w.-]*")
_TOKEN = re.compile(
    rf"""\s*(?: (?P<text>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")*") | (?P<word>{_BARE.pattern})
    | (?P<number>[+-]?(?:\d{{1,400}}(?:\.\d{{0,400}})?|\.\d{{1,400}})(?:[eE][+-]?\d{{1,3}})?)
    | (?P<sign><=|>=|!=|<>|==|[<>=(),]) | (?P<end>\Z) )""",
    re.VERBOSE,
)

Box = Mapping[str, Region]
"""Column -> region; a column that is not named may hold anything."""


@dataclass(frozen=True)
class Condition:
    """A condition on rows: a region for each column that it restricts, in the order of the schema."""

    axes: Mapping[str, Axis]
    box: Box

    @classmethod
    def parse(cls, where: str | Sequence[str], codecs: Sequence[Codec]) -> Condition:
        """Read a condition, or several that all must hold; ConfigurationError says what is wrong and what is right."""
        axes = {codec.name: Axis.of(codec) for codec in codecs}
        texts = [where] if isinstance(where, str) else where
        box: Box = {}
        for text in texts:
            box = _both(axes, box, _Reader(text, axes).read())
        return cls(axes, {name: box[name] for name in axes if name in box and box[name] != axes[name].everything})

    @property
    def text(self) -> str:
        """The canonical text: equal conditions have equal texts, and it reads back as the same condition."""
        return " and ".join(_render(self.axes[name], region) for name, region in self.box.items())

    def evidence(self) -> dict[str, NDArray[np.uint64]]:
        """How much of each cell of the finest grid is admitted, of the columns that are restricted."""
        return {name: self.axes[name].admitted(region)[0] for name, region in self.box.items()}

    @property
    def codecs(self) -> tuple[Codec | Within, ...]:
        """What decodes each column: its codec, or where the condition cuts its cells one that stays within."""
        cuts = {name: self.axes[name].admitted(region)[1] for name, region in self.box.items()}
        return tuple(
            Within(axis.codec, cuts[name]) if cuts.get(name) else axis.codec for name, axis in self.axes.items()
        )


def _fail(message: str) -> NoReturn:
    raise ConfigurationError(f"where: {message}")


class _Reader:
    """Reads one text from left to right, by recursive descent."""

    def __init__(self, text: str, axes: Mapping[str, Axis]) -> None:
        self._axes = axes
        self._tokens = _tokens(text)
        self._token = ""
        self._depth = 0
        self._next()

    def read(self) -> Box:
        box = self._any()
        if self._kind != "end":
            _fail(f"expected and, or, or the end, not {self._shown}")
        return box

    def _next(self) -> str:
        """Step to the next token; returns the one before."""
        before = self._token
        self._kind, self._token = next(self._tokens)
        self._shown = self._token if self._kind != "end" else "the end"
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
            _fail(f"expected {word}, not {self._shown}")

    def _any(self) -> Box:
        box = self._all()
        while self._take("or"):
            box = _either(self._axes, box, self._all())
        return box

    def _all(self) -> Box:
        box = self._test()
        while self._take("and"):
            box = _both(self._axes, box, self._test())
        return box

    def _test(self) -> Box:
        if self._take("("):
            self._depth += 1
            if self._depth > DEEPEST:
                _fail(f"parentheses are nested more than {DEEPEST} deep")
            box = self._any()
            self._expect(")")
            self._depth -= 1
            return box
        axis = self._column()
        name = axis.codec.name
        if self._take("is"):
            absent = not self._take("not")
            self._expect("null")
            region = Region((), axis.codec.column.nullable) if absent else Region(axis.everything.pieces)
            if not region:
                _fail(f"column {name!r} is never null: the schema does not declare it nullable")
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
            low = _at_least(self._value(axis, ordered=True))
            self._expect("and")
            region = axis.region([(low, _at_most(self._value(axis, ordered=True)))])
        elif not denied and self._kind == "sign" and self._token in SIGNS:
            sign = SIGNS[self._next()]
            denied = sign == "!="
            region = axis.region([self._equal(axis) if sign in ("=", "!=") else self._beyond(axis, sign)])
        else:
            signs = "" if denied else "=, !=, <, <=, >, >=, is, not, "
            _fail(f"after column {name!r} expected {signs}in or between, not {self._shown}")
        if denied:
            region = axis.others(region)
        if not region:
            _fail(f"no value of column {name!r} fulfils this: it holds {_holds(axis)}")
        return {name: region}

    def _column(self) -> Axis:
        if self._kind == "text":
            _fail(f"expected a column, not the text {self._shown}: a test is like {EXAMPLE}")
        if self._kind not in ("word", "quoted") or (self._kind == "word" and self._token.lower() in KEYWORDS):
            _fail(f"expected a column, not {self._shown}: a test is like {EXAMPLE}")
        name = self._token[1:-1].replace('""', '"') if self._kind == "quoted" else self._token
        if name not in self._axes:
            columns = {known.lower(): known for known in self._axes}
            near = nearest(columns.get(name.lower(), name), self._axes)
            _fail(f"there is no column {name!r}{near or '; there are: ' + ', '.join(self._axes)}")
        self._next()
        return self._axes[name]

    def _equal(self, axis: Axis) -> Piece:
        if axis.real:
            name = _name(axis)
            _fail(f"a real column holds any one number with probability zero: give a range, {name} between a and b")
        shown, value = self._shown, self._value(axis)
        low, high = _at_least(value), _at_most(value)
        if low != high or not axis.lowest <= low <= axis.highest:
            _fail(f"column {axis.codec.name!r} holds {_holds(axis)}, never {shown}")
        return low, high

    def _beyond(self, axis: Axis, sign: str) -> Piece:
        value = self._value(axis, ordered=True)
        low, high = _at_least(value), _at_most(value)
        if low == high:  # on a point, which < and > exclude
            low, high = (low, high) if "=" in sign else (axis.after(high), axis.before(low))
        return (low, axis.highest) if ">" in sign else (axis.lowest, high)

    def _value(self, axis: Axis, ordered: bool = False) -> Fraction | Point:
        """A value on the axis, between two points of it perhaps."""
        name, codec = axis.codec.name, axis.codec
        if ordered and isinstance(codec.column, Boolean | Categorical):
            _fail(
                f"column {name!r} has no order, as it is {codec.column.type}: name its values, {_name(axis)} in (...)"
            )
        kind, word = self._kind, self._token
        if kind == "word" and word.lower() == "null":
            _fail(f"nothing equals null: write {_name(axis)} is null, or is not null")
        if kind == "quoted" or (kind == "word" and word.lower() not in KEYWORDS):
            _fail(f"expected a value, not {word}: text stands in single quotes, '{word.strip(chr(34))}'")
        if kind not in ("text", "number") and not self._is("true", "false"):
            _fail(f"expected a value of column {name!r}, not {self._shown}")
        self._next()
        text = word[1:-1].replace("''", "'") if kind == "text" else word
        if isinstance(codec, BooleanCodec | ListedCodec):
            return _listed(codec, text)
        if kind != "number":
            _fail(f"column {name!r} holds numbers, not {word}: write them without quotes")
        return float(text) if axis.real else Fraction(text)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while True:
        found = _TOKEN.match(text, place)
        if found is None:
            rest = text[place:].lstrip()
            hint = "a quote is not closed" if rest[0] in "'\"" else f"a condition is like {EXAMPLE}"
            _fail(f"cannot read {rest[:20]!r}: {hint}")
        kind = str(found.lastgroup)
        yield kind, found[kind]
        place = found.end()


def _listed(codec: BooleanCodec | ListedCodec, text: str) -> int:
    """The place of a value, found as the codec finds it in data."""
    word = clean(text)
    place = codec.spelt.get(word.lower() if isinstance(codec, BooleanCodec) else word)
    if place is None:
        place = codec.denoted.get(spelling(word) or "")
    if place is None:
        known = ["true", "false"] if isinstance(codec, BooleanCodec) else list(codec.column.values)
        hint = nearest(word, known) or f"; its values are {', '.join(map(repr, known[:8]))}{', ...' * (len(known) > 8)}"
        _fail(f"column {codec.name!r} has no value {text!r}{hint}")
    return place


def _at_least(value: Fraction | Point) -> Point:
    return ceil(value) if isinstance(value, Fraction) else value


def _at_most(value: Fraction | Point) -> Point:
    return floor(value) if isinstance(value, Fraction) else value


def _both(axes: Mapping[str, Axis], one: Box, two: Box) -> Box:
    box = dict(one)
    for name, region in two.items():
        box[name] = axes[name].both(box.get(name, axes[name].everything), region)
        if not box[name]:
            _fail(f"no value of column {name!r} fulfils all of its tests")
    return box


def _either(axes: Mapping[str, Axis], one: Box, two: Box) -> Box:
    """The union, where it is a box: where one holds the other, or both differ in one column."""
    names = [name for name in axes if name in one or name in two]
    pairs = {name: tuple(box.get(name, axes[name].everything) for box in (one, two)) for name in names}
    for box, other in ((one, 0), (two, 1)):
        if all(axes[name].either(*pair) == pair[other] for name, pair in pairs.items()):
            return box
    differ = [name for name, (left, right) in pairs.items() if left != right]
    if len(differ) > 1:
        columns = " and ".join(repr(name) for name in differ[:2])
        _fail(
            f"or joins tests of the columns {columns}; rows are drawn given a set of values of each column, so that or "
            "may only join tests of one column: draw a sample for each side instead"
        )
    return {**one, **{name: axes[name].either(*pairs[name]) for name in differ}}


def _name(axis: Axis) -> str:
    name = axis.codec.name
    if _BARE.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def _holds(axis: Axis) -> str:
    """What a column holds, for an error."""
    if isinstance(axis.codec, BooleanCodec | ListedCodec):
        return f"{_literal(axis, axis.lowest)} to {_literal(axis, axis.highest)}"
    kind = "numbers" if axis.real else "whole numbers"
    return f"{kind} from {_literal(axis, axis.lowest)} to {_literal(axis, axis.highest)}"


def _literal(axis: Axis, point: Point) -> str:
    match axis.codec:
        case BooleanCodec():
            return "true" if point else "false"
        case ListedCodec() as codec:
            return "'" + codec.column.values[int(point)].replace("'", "''") + "'"
        case _:
            return plain(point) if isinstance(point, float) else str(point)


def _render(axis: Axis, region: Region) -> str:
    """One region as text: single values first, then ranges, then null."""
    name = _name(axis)
    if region == Region(axis.everything.pieces):
        return f"{name} is not null"
    listed = isinstance(axis.codec, BooleanCodec | ListedCodec)
    single = [
        _literal(axis, point)
        for first, last in region.pieces
        if listed or first == last
        for point in (range(int(first), int(last) + 1) if listed else [first])
    ]
    tests = [f"{name} in ({', '.join(single)})" if len(single) > 1 else f"{name} = {single[0]}"] if single else []
    if not listed:
        tests += [_range(axis, name, piece) for piece in region.pieces if piece[0] != piece[1]]
    tests += [f"{name} is null"] * region.null
    return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"


def _range(axis: Axis, name: str, piece: Piece) -> str:
    low, high = _bound(axis, piece[0], axis.before, ">"), _bound(axis, piece[1], axis.after, "<")
    if piece[1] == axis.highest:
        return f"{name} {low}"
    if piece[0] == axis.lowest:
        return f"{name} {high}"
    if low.startswith(">=") and high.startswith("<="):
        return f"{name} between {low[3:]} and {high[3:]}"
    return f"{name} {low} and {name} {high}"


def _bound(axis: Axis, point: Point, beyond: Callable[[Point], Point], sign: str) -> str:
    """An end of a range with its sign: that of a real range excludes the number beside it where that is shorter."""
    at, past = _literal(axis, point), _literal(axis, beyond(point))
    return f"{sign} {past}" if axis.real and len(past) < len(at) else f"{sign}= {at}"
