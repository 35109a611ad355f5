"""An encoding is total, and a function of one value alone: not of its neighbours, their order or their storage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.encoding import codecs
from tests.encoding.arrow_arrays import SCHEMA, TEXTS, arrays

CODECS = codecs(SCHEMA)


@settings(max_examples=120, deadline=None)
@given(arrays())
def test_every_value_of_every_type_has_a_code(array: pa.Array) -> None:
    for codec in CODECS:
        codes = codec.encode(array)
        assert codes.shape == (len(array),)
        assert codes.dtype == (np.uint8 if codec.size <= 256 else np.uint16)
        assert np.all(codes < codec.size)


@settings(max_examples=80, deadline=None)
@given(arrays(), st.randoms(use_true_random=False), st.data())
def test_a_batch_is_encoded_as_each_value_alone(array: pa.Array, random: Any, data: st.DataObject) -> None:
    order = list(range(len(array)))
    random.shuffle(order)
    cut = data.draw(st.integers(0, len(array)))
    alone = [array.slice(place, 1) for place in range(len(array))]
    for codec in CODECS:
        codes = codec.encode(array)
        one_by_one = [int(codec.encode(value)[0]) for value in alone]
        assert codes.tolist() == one_by_one
        shuffled = codec.encode(pa.chunked_array([alone[place] for place in order], type=array.type))
        assert shuffled.tolist() == [one_by_one[place] for place in order]
        halves = pa.chunked_array([array.slice(0, cut), array.slice(cut)], type=array.type)
        assert codec.encode(halves).tolist() == one_by_one


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | TEXTS, max_size=5))
def test_a_dictionary_changes_nothing(cells: list[str | None]) -> None:
    array = pa.array(cells, type=pa.string())
    padded = pa.array([*cells, "zzz", None], type=pa.large_string()).dictionary_encode()[: len(cells)]
    for codec in CODECS:
        codes = codec.encode(array).tolist()
        assert codec.encode(array.dictionary_encode()).tolist() == codes
        assert codec.encode(padded).tolist() == codes
        assert [int(codec.encode(pa.array([cell], type=pa.string()))[0]) for cell in cells] == codes


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_no_rows(codec: Any) -> None:
    for empty in (pa.chunked_array([], type=pa.string()), pa.array([], type=pa.float64()), pa.nulls(0)):
        assert codec.encode(empty).shape == (0,)
        assert codec.encode(empty).dtype == codec.dtype


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_nothing_is_kept_between_calls(codec: Any) -> None:
    cells = pa.array(["a", "1", None, "0.2", "?"])
    first = codec.encode(cells)
    codec.encode(pa.array(["7", "x", "inf"]))
    assert codec.encode(cells).tolist() == first.tolist()
    assert not np.shares_memory(first, codec.encode(cells))
