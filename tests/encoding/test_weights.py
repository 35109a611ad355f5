"""Survey weights as whole units, whatever stores them."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.encoding.weights import weight_units

FIVE = [8.0, 4.0, 0.01, 0.0, 1e300]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(FIVE),
        pa.array(["8", " 4.0", "1e-2", "0", "1e300"]),
        pa.array([b"8.0", b"4", b"0.01", b"-0.0", b"inf"]),
        pa.chunked_array([pa.array(FIVE[:2]), pa.array(FIVE[2:])]),
        pa.array(FIVE).dictionary_encode(),
    ],
    ids=["floats", "text", "bytes", "chunks", "dictionary"],
)
def test_storage_does_not_matter(values: pa.Array) -> None:
    assert weight_units(values, 8.0).tolist() == [64, 32, 1, 0, 64]


def test_what_is_no_weight_counts_for_nothing() -> None:
    odd = pa.array([None, "", "many", "-1", "nan", "-inf", "\ufffd", "1,5"])
    assert weight_units(odd, 8.0).tolist() == [0] * 8
    assert weight_units(pa.array([Decimal("2.50"), None]), 8.0).tolist() == [20, 0]
    assert weight_units(pa.nulls(3), 8.0).tolist() == [0] * 3
    assert weight_units(pa.array([], pa.float64()), 8.0).dtype == np.uint8


@pytest.mark.filterwarnings("error")
@given(st.lists(st.floats(width=64), min_size=1), st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False))
def test_any_weight_and_bound(weights: list[float], most: float) -> None:
    found = weight_units(pa.array(weights), most)
    assert found.max() <= 64
    assert [units > 0 for units in found.tolist()] == [weight > 0 for weight in weights]
    assert found.tolist() == [weight_units(pa.array([weight]), most)[0] for weight in weights]
