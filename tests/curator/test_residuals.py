"""Residuals of exact counts are exact, and saturate where they would leave int64."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.residuals import residual

LIMITS = np.iinfo(np.int64)


def exact(table: np.ndarray) -> list[int]:
    """The dense matrix on unbounded integers, clamped."""
    dense = reduce(np.kron, [m * np.eye(m, dtype=object) - 1 for m in table.shape])
    return [
        min(max(int(value), LIMITS.min), LIMITS.max) for value in dense.astype(object) @ table.ravel().astype(object)
    ]


shapes = st.lists(st.integers(2, 4), min_size=1, max_size=3).map(tuple)


@settings(deadline=None)
@given(shapes, st.data())
def test_it_is_the_kronecker_product(shape: tuple[int, ...], data: st.DataObject) -> None:
    largest = data.draw(st.sampled_from([1, 100, 2**24 + 1, 10**8, 2**40, 2**55, 2**58]))
    size = int(np.prod(shape))
    table = np.array(data.draw(st.lists(st.integers(0, largest), min_size=size, max_size=size))).reshape(shape)
    found = residual(table)
    assert found.dtype == np.int64
    assert found.shape == shape
    assert found.ravel().tolist() == exact(table)


def test_both_arithmetics_agree_at_the_edge() -> None:
    """n N just below and just above 2^63, where the largest number is nearly 2^63 itself."""
    for rows in (2**63 // 6 - 5, 2**63 // 6, 2**63 // 6 + 1, 2**63 // 6 + 5):
        table = np.zeros((2, 3), dtype=np.int64)
        table[1, 2] = rows
        assert residual(table).ravel().tolist() == exact(table)


def test_what_would_leave_int64_stays_at_its_limit() -> None:
    table = np.zeros((3, 4), dtype=np.int64)
    table[0, 0] = 2**62
    found = residual(table)
    assert found[0, 0] == LIMITS.max
    assert found[1, 0] == LIMITS.min
    assert found[1, 1] == 2**62


@pytest.mark.parametrize("shape", [(2,), (5, 7), (3, 2, 4)])
def test_it_sums_to_zero_along_each_axis(shape: tuple[int, ...]) -> None:
    table = np.random.default_rng(0).integers(0, 10**8, shape)
    for axis in range(len(shape)):
        assert not residual(table).sum(axis=axis).any()


def test_the_input_is_left_alone() -> None:
    table = np.arange(6, dtype=np.int64).reshape(2, 3)
    table.flags.writeable = False
    residual(table)
    assert table.ravel().tolist() == list(range(6))
