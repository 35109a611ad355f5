"""What each code means, against plain Python; and decoding, its inverse."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dpsynth.encoding import BooleanCodec, Codec, IntegerCodec, ListedCodec, RealCodec, codecs
from dpsynth.schema import Boolean, Categorical, Date, Datetime, Integer, Ordinal, Real, Schema
from tests.encoding.arrow_arrays import SCHEMA

WORDS = (0, 1, 2**11 - 1, 2**32, 2**63, 2**64 - 2**11, 2**64 - 1)


def codes(codec: Codec, *cells: object) -> list[int]:
    return [int(code) for code in codec.encode(pa.array(cells))]


def survives(codec: Codec) -> None:
    """decode, then encode: every cell comes back, whatever the word; values have the type and range declared."""
    cells = np.repeat(np.arange(codec.size), len(WORDS))
    values = codec.decode(cells, np.tile(np.array(WORDS, dtype=np.uint64), codec.size))
    assert values.null_count == (len(WORDS) if codec.column.nullable else 0)
    if codec.source == codec.name:  # a part reads the whole: tests/encoding/test_calendar.py
        np.testing.assert_array_equal(codec.encode(values), cells)
    if isinstance(codec, IntegerCodec | RealCodec):
        kept = values.drop_null().to_numpy()
        assert codec.lowest <= kept.min() <= kept.max() <= codec.highest
        if codec.bounded:
            assert (codec.lowest, codec.highest) == (codec.column.min, codec.column.max)


@pytest.mark.parametrize(
    ("codec", "type_"),
    list(
        zip(
            codecs(SCHEMA),
            [
                *[*[pa.string()] * 3, *[pa.bool_()] * 2, *[pa.int64()] * 2, *[pa.float64()] * 3],
                *[*[pa.date32()] * 2, pa.string(), pa.time32("s"), *[pa.date32()] * 2],
            ],
            strict=True,
        )
    ),
    ids=SCHEMA.parts,
)
def test_decode_then_encode(codec: Codec, type_: pa.DataType) -> None:
    survives(codec)
    assert codec.decode(np.zeros(0, np.uint8), np.zeros(0, np.uint64)).type == type_
    assert codec.decode(np.zeros(3, np.uint8), np.zeros(3, np.uint64)).type == type_


def test_codecs_follow_the_schema() -> None:
    found = codecs(SCHEMA)
    assert tuple(codec.name for codec in found) == SCHEMA.parts
    assert [codec.size - codec.leaves for codec in found] == [int(codec.column.nullable) for codec in found]
    assert [codec.leaves for codec in found] == [8, 8, 1, 2, 2, 13, 4096, 4096, 4096, 4, 34, 10, 7, 1440, 65_323, 366]


def test_listed_values() -> None:
    plain = ListedCodec("x", Categorical(values=("a", "b", "c")))
    assert codes(plain, "a", " b ", "C", "", None, "c") == [0, 1, 0, 0, 0, 2]
    nullable = ListedCodec("x", Ordinal(values=("a", "b"), nullable=True))
    assert codes(nullable, "b", "?", None) == [1, 2, 2]
    otherwise = ListedCodec("x", Categorical(values=("a", "b"), otherwise="b"))
    assert codes(otherwise, "a", "?", None) == [0, 1, 1]
    both = ListedCodec("x", Categorical(values=("a", "b"), otherwise="b", nullable=True))
    assert codes(both, "a", "?", None) == [0, 1, 2]


def test_listed_numbers() -> None:
    codec = ListedCodec("x", Categorical(values=("1", "02", "2.50", "2.5", "250", "250.0"), nullable=True))
    assert codes(codec, "1", "1.0", "+1", "01", "1e0", "1.1") == [0, 0, 0, 0, 0, 6]
    assert codes(codec, "02", "2", "2.50", "2.5", "2.500") == [1, 1, 2, 3, 3]
    assert codes(codec, 1, 2, 250) == [0, 1, 4]
    assert codes(codec, 1.0, 2.0, 2.5, 250.0, math.nan, math.inf) == [0, 1, 3, 4, 6, 6]
    spelt = ListedCodec("x", Categorical(values=("00", "0", "01", "1.0", "002"), nullable=True))
    assert codes(spelt, "00", "000", "0.0", "01", "1.0", "1", "2", "0002") == [0, 1, 1, 2, 3, 3, 4, 4]
    assert codes(spelt, 0.0, -0.0, 1.0, 2.0, math.nan) == codes(spelt, "0", "0", "1", "2", "") == [1, 1, 3, 4, 5]
    assert codes(codec, "250.0", "250", "250.00") == [5, 4, 4]
    assert codes(codec, True, False) == [0, 6]
    long = ListedCodec("x", Categorical(values=("9007199254740992", "9007199254740993"), nullable=True))
    assert codes(long, 2**53, 2**53 + 1, 2**53 + 2) == [0, 1, 2]
    assert codes(long, "9007199254740993.0", "009007199254740992", "9007199254740994") == [1, 0, 2]


def test_booleans() -> None:
    nullable = BooleanCodec("x", Boolean(nullable=True))
    assert codes(nullable, "true", "T", "Yes", "y", "1", "1.0", "TRUE ") == [1] * 7
    assert codes(nullable, "false", "F", "No", "n", "0", "-0.0", "00") == [0] * 7
    assert codes(nullable, "2", "", "?", None, "on") == [2] * 5
    assert codes(nullable, 1.0, 0.0, 0.5, math.nan) == [1, 0, 2, 2]
    assert codes(BooleanCodec("x", Boolean()), "yes", "?", None) == [1, 0, 0]


whole = st.integers(-(2**53), 2**53)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(whole, whole) | st.tuples(st.integers(-50, 50), st.integers(-5000, 5000)),
    st.booleans(),
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5000, 5000), max_size=5),
    st.lists(st.floats(), max_size=5),
)
@example((-(2**53), 2**53), True, [2**53, -(2**53), 2**53 - 1], [2.0**53, 0.5, 1.5, -0.5])
@example((0, 4096), False, [4095, 4096], [4095.5, 4096.5])
@example((0, 4095), False, [4095, 4096], [4095.5])
def test_integers(bounds: tuple[int, int], nullable: bool, integers: list[int], floats: list[float]) -> None:
    assume(bounds[0] != bounds[1])
    low, high = sorted(bounds)
    codec = IntegerCodec("x", Integer(min=low, max=high, nullable=nullable))
    count = high - low + 1
    assert codec.leaves <= 4096
    width = int(codec.edges[1] - codec.edges[0])
    assert codec.leaves == count or (codec.leaves > 2048 and (codec.leaves - 1) * width < count)

    def leaf(value: float) -> int:
        if value != value:
            return codec.leaves if nullable else 0
        held = low if value == -math.inf else high if value == math.inf else min(max(round(Fraction(value)), low), high)
        return (held - low) // width

    assert codes(codec, *integers) == [leaf(value) for value in integers]
    assert codes(codec, *map(str, integers)) == [leaf(value) for value in integers]
    assert codes(codec, *floats) == [leaf(value) for value in floats]
    survives(codec)


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(st.tuples(finite, finite) | st.tuples(st.floats(-1, 1), st.floats(-1, 1)), st.booleans(), st.data())
@example((0.1, 0.30000000000000004), True, None)
@example((-1.7976931348623157e308, 1.7976931348623157e308), False, None)
@example((0.0, 5e-324), False, None)
@example((-5e-324, 5e-324), True, None)
@example((1.0, 1.0000000000000002), True, None)
@example((1e16, 1e16 + 6), False, None)
@example((0.0, 4096 * 5e-324), False, None)
def test_reals(bounds: tuple[float, float], nullable: bool, data: st.DataObject | None) -> None:
    assume(bounds[0] != bounds[1])
    low, high = sorted(bounds)
    codec = RealCodec("x", Real(min=low, max=high, nullable=nullable))
    low, high, edges = codec.column.min, codec.column.max, codec.edges.tolist()
    assert (edges[0], edges[-1]) == (low, high)
    assert all(a < b for a, b in pairwise(edges))
    span = Fraction(high) - Fraction(low)
    for place in (1, codec.leaves // 2, codec.leaves - 1):
        assert edges[place] == float(Fraction(low) + span * place / codec.leaves)
    assert codec.leaves == 4096 or (
        codec.leaves < 4096 and span / (2 * codec.leaves) < 2 * Fraction(math.ulp(high)) + 2 * Fraction(math.ulp(low))
    )

    def leaf(value: float) -> int:
        if value != value:
            return codec.leaves if nullable else 0
        return max(0, min(codec.leaves - 1, sum(edge <= value for edge in edges) - 1))

    near = [*edges[:3], *edges[-3:], math.nextafter(edges[1], -math.inf), math.nextafter(edges[-2], math.inf)]
    tried = [*near, math.inf, -math.inf, math.nan, 0.0, -0.0]
    if data is not None:
        tried += data.draw(st.lists(st.floats() | st.floats(low, high), max_size=5))
    expected = [leaf(value) for value in tried]
    assert codes(codec, *tried) == expected
    assert codes(codec, *map(repr, tried)) == expected
    survives(codec)


def test_reals_decode_evenly() -> None:
    codec = RealCodec("x", Real(min=0.0, max=4096.0))
    values = codec.decode(np.full(4, 7), np.array([0, 2**62, 2**63, 2**64 - 1], dtype=np.uint64)).to_pylist()
    assert values[:3] == [7.0, 7.25, 7.5]
    assert 7.999 < values[3] < 8


def test_integers_decode_every_value_of_a_leaf() -> None:
    codec = IntegerCodec("x", Integer(min=-5, max=8190))
    assert (codec.edges[1] - codec.edges[0], codec.leaves) == (3, 2732)
    words = np.arange(6, dtype=np.uint64)
    assert codec.decode(np.full(6, 1), words).to_pylist() == [-2, -1, 0, -2, -1, 0]
    last = codec.decode(np.full(6, 2731), words).to_pylist()
    assert last == [8188, 8189, 8190] * 2
    assert IntegerCodec("x", Integer(min=0, max=8192)).decode(
        np.array([2730]), np.array([5], np.uint64)
    ).to_pylist() == [8192]


@pytest.mark.parametrize("codec", codecs(SCHEMA), ids=SCHEMA.parts)
def test_levels(codec: Codec) -> None:
    level = codec.level()
    assert (level.dtype, level.shape) == (np.dtype(np.uint16), (codec.size,))
    steps = np.diff(level.astype(int))
    assert level[0] == 0
    assert np.all((steps == 0) | (steps == 1))
    if codec.column.nullable:
        assert np.count_nonzero(level == level[-1]) == 1
    if isinstance(codec.column, Integer | Real):
        leaves = np.bincount(level[: codec.leaves])
        assert len(leaves) == min(codec.column.bins, codec.leaves)
        assert leaves.max() - leaves.min() <= 1
    elif not isinstance(codec.column, Date | Datetime):
        np.testing.assert_array_equal(level, np.arange(codec.size))


def test_bins_are_of_equal_width() -> None:
    codec = RealCodec("x", Real(min=0.0, max=64.0, bins=64))
    values = np.arange(64) + 0.5
    np.testing.assert_array_equal(codec.level()[codec.encode(pa.array(values))], np.arange(64))
    ages = IntegerCodec("x", Integer(min=0, max=99, bins=10, nullable=True))
    np.testing.assert_array_equal(ages.level(), [*np.repeat(np.arange(10), 10), 10])
    assert RealCodec("x", Real(min=0.0, max=64.0, bins=9999)).level().max() == 4095
    assert IntegerCodec("x", Integer(min=0, max=3, bins=1)).level().max() == 0


def test_the_type_of_codes() -> None:
    for values, nullable, dtype in ((256, False, np.uint8), (256, True, np.uint16), (65_535, False, np.uint16)):
        column = Categorical(values=tuple(f"v{i}" for i in range(values)), nullable=nullable)
        codec = ListedCodec("x", column)
        assert codec.encode(pa.array([f"v{values - 1}", None])).tolist() == [values - 1, values if nullable else 0]
        assert codec.encode(pa.array(["v0"])).dtype == dtype


@pytest.mark.parametrize("codec", codecs(SCHEMA), ids=SCHEMA.parts)
def test_decode_refuses_what_is_no_code(codec: Codec) -> None:
    word = np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match=f"column '{codec.name}': a code lies outside 0..{codec.size - 1}"):
        codec.decode(np.array([codec.size]), word)
    with pytest.raises(ValueError, match="outside"):
        codec.decode(np.array([-1]), word)
    with pytest.raises(ValueError, match="same length"):
        codec.decode(np.zeros(2, np.uint8), word)


def test_pandas_is_not_loaded() -> None:
    code = """
import sys
import numpy as np
from dpsynth.encoding import arrays, codecs
from dpsynth.schema import Boolean, Categorical, Integer, Real, Schema
kinds = [Categorical(values=("x", "1")), Boolean(nullable=True), Integer(min=0, max=9), Real(min=0, max=1)]
for codec in codecs(Schema(columns={str(place): kind for place, kind in enumerate(kinds)})):
    cells = np.arange(codec.size)
    values = codec.decode(cells, np.zeros(codec.size, np.uint64))
    assert codec.encode(values).tolist() == cells.tolist()
    codec.encode(arrays.of_texts(["1", "x", " 2.5 ", None, "1_0", ""]))
print("pandas" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_codecs_are_values() -> None:
    again = codecs(Schema.parse(SCHEMA.to_toml()))
    assert again == codecs(SCHEMA)
    assert {codec.name for codec in set(again)} == set(SCHEMA.parts)


def test_the_fixed_grid_of_whole_numbers() -> None:
    codec = IntegerCodec("x", Integer(bounds="private", nullable=True))
    survives(codec)
    assert codec.leaves <= 32_769 and (codec.lowest, codec.highest) == (1 - 2**53, 2**53 - 1)
    zero = codes(codec, 0)[0]
    assert codes(codec, *range(-2047, 2048)) == list(range(zero - 2047, zero + 2048))
    assert codes(codec, "inf", "-1e400", "1e40", None) == [codec.leaves - 1, 0, codec.leaves - 1, codec.leaves]
    assert codes(codec, -4000, 70_000) == [2 * zero - code for code in codes(codec, 4000, -70_000)]
    assert codes(IntegerCodec("x", Integer(bounds="private")), None, "?") == [zero, zero]


@given(st.floats(allow_nan=False))
def test_the_fixed_grid_of_real_numbers(value: float) -> None:
    codec = REAL
    code, mirrored = codes(codec, value, -value)
    assert code + mirrored == codec.leaves - 1
    held = min(max(value, codec.lowest), codec.highest)
    last = codec.leaves - 1
    assert codec.edges[code] <= held and (held < codec.edges[code + 1] or code == last)
    size = abs(held)
    if 2.0**-16 <= size < 2.0**40:
        assert codec.edges[code + 1] - codec.edges[code] <= size * 2.0**-8


REAL = RealCodec("x", Real(bounds="private"))


def test_zero_is_a_leaf_of_its_own() -> None:
    survives(REAL)
    (zero,) = codes(REAL, 0.0)
    assert codes(REAL, -0.0, 5e-324, -5e-324, None) == [zero, zero + 1, zero - 1, zero]
    assert REAL.decode(np.array([zero]), np.array([2**64 - 1], np.uint64)).to_pylist() == [0.0]


@pytest.mark.parametrize(
    "codec",
    [
        IntegerCodec("x", Integer(min=-7, max=99_999, bins="private", nullable=True)),
        RealCodec("x", Real(min=-1.5, max=3.5, bins="private")),
        RealCodec("x", Real(min=0.0, max=1e-320, bins="private", nullable=True)),
    ],
)
def test_bounds_and_zero_are_leaves_of_their_own_where_bins_are_found(codec: IntegerCodec | RealCodec) -> None:
    survives(codec)
    for value in (codec.lowest, 0, codec.highest):
        (code,) = codes(codec, value)
        drawn = codec.decode(np.full(len(WORDS), code), np.array(WORDS, np.uint64)).to_pylist()
        assert set(drawn) == {value}
        assert codec.spikes[code]


@pytest.mark.parametrize(
    "column",
    [
        Integer(min=0, max=99_999, bins="private", nullable=True),
        Integer(min=-50, max=50, bins="private"),
        Real(min=-1.0, max=2.0, bins="private"),
        Integer(bounds="private"),
        Real(bounds="private", nullable=True),
    ],
)
def test_trees_are_nested_runs(column: Integer | Real) -> None:
    (codec,) = codecs(Schema(columns={"x": column}))
    tree = codec.tree()
    assert len(tree) > 1 and tree[0].tolist() == list(range(codec.size))
    assert codec.bounded == (column.bounds is None)
    for cells in tree:
        assert set(np.diff(cells.astype(int))) <= {0, 1}
        if column.nullable:
            assert (cells == cells[-1]).sum() == 1
        assert all((cells == cells[spike]).sum() == 1 for spike in np.flatnonzero(codec.spikes))
    for fine, coarse in pairwise(tree):
        assert coarse.max() < fine.max()
        assert len(set(zip(fine.tolist(), coarse.tolist(), strict=True))) == fine.max() + 1
    assert codec.level().max() < 64 + column.nullable


def test_few_leaves_are_counted_once() -> None:
    (codec,) = codecs(Schema(columns={"x": Integer(min=1, max=16, bins="private")}))
    (level,) = codec.tree()
    assert level.tolist() == codec.level().tolist() == list(range(16))
