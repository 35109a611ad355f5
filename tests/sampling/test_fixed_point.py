from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dpsynth.sampling.fixed import BLOCK, ONE, fixed_groups, fixed_rows, largest
from tests.sampling.oracle import exact, fully_sorted

masses = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 40)),
    elements=st.one_of(st.just(0.0), st.floats(1e-12, 1e12), st.just(1.0)),
)


@given(masses)
def test_rows_are_distributions_near_their_shares(mass):
    result = fixed_rows(mass)
    assert result.dtype == np.uint64
    assert (result.sum(axis=1) == ONE).all()
    total = mass.sum(axis=1, keepdims=True)
    possible = total[:, 0] > 0
    share = mass[possible] / total[possible] * ONE
    assert (np.abs(result[possible] - share) < 1 + 1e-4).all()
    assert (result[possible][mass[possible] == 0] == 0).all()


@given(masses)
def test_no_bit_differs_from_a_full_sort(mass):
    assert np.array_equal(fixed_rows(mass), fully_sorted(mass))
    assert np.array_equal(fixed_rows(np.asfortranarray(mass)), fully_sorted(np.asfortranarray(mass)))
    assert np.array_equal(fixed_rows(mass[:, ::2]), fully_sorted(mass[:, ::2]))


@pytest.mark.parametrize("shape", [(3 * BLOCK + 1, 1), (BLOCK, 3), (3001, 67), (5, BLOCK - 1), (3, BLOCK + 1), (1, 1)])
@pytest.mark.parametrize("kind", ["smooth", "few values", "sparse"])
def test_no_bit_differs_where_rows_are_taken_in_blocks(shape, kind):
    rng = np.random.Generator(np.random.Philox(key=3))
    mass = rng.random(shape) ** 6
    if kind == "few values":
        mass = np.floor(mass * 4)
    elif kind == "sparse":
        mass *= rng.random(shape) < 0.2
    assert np.array_equal(fixed_rows(mass), fully_sorted(mass))


@given(st.data())
def test_the_largest_are_marked_and_ties_go_to_the_lowest_index(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 9)))
    values = data.draw(hnp.arrays(np.uint64, shape, elements=st.integers(0, 3)))
    count = np.array(data.draw(st.lists(st.integers(-1, 11), min_size=shape[0], max_size=shape[0])))
    marked = largest(values, count)
    for row, wanted, found in zip(values.tolist(), count.tolist(), marked, strict=True):
        order = sorted(range(len(row)), key=lambda cell: (-row[cell], cell))
        assert set(np.flatnonzero(found)) == set(order[: max(wanted, 0)])


def test_ties_go_to_the_lowest_index():
    assert fixed_rows(np.ones((1, 3))).tolist() == [[ONE // 3 + 1, ONE // 3, ONE // 3]]
    assert fixed_rows(np.ones((1, 7)))[0].tolist() == [ONE // 7 + 1] * (ONE % 7) + [ONE // 7] * (7 - ONE % 7)


def test_the_largest_remainder_wins():
    mass = np.array([[ONE - 10.9, 7.2, 3.7]])  # sums to 2^32, so the shares are the masses
    assert fixed_rows(mass).tolist() == [[ONE - 11, 7, 4]]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any))
def test_it_is_exact_arithmetic_for_small_masses(masses):
    """Where the exact remainders are not tied within a float's error, floats and fractions agree."""
    total = sum(masses)
    result = fixed_rows(np.array([masses], dtype=np.float64))[0].tolist()
    if total & (total - 1) == 0:  # dyadic shares: every step is exact in floats
        assert result == exact(masses)
    assert all(abs(a - b) <= 1 for a, b in zip(result, exact(masses), strict=True))


def test_impossible_states_get_the_distribution_of_all_rows():
    result = fixed_rows(np.array([[0.0, 0.0], [1.0, 3.0]]))
    assert result[0].tolist() == [ONE // 4, 3 * ONE // 4]
    assert fixed_rows(np.zeros((2, 4))).tolist() == [[ONE // 4] * 4] * 2


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e300])
def test_any_scale(scale):
    assert fixed_rows(np.array([[scale, scale]])).tolist() == [[ONE // 2] * 2]


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_refuses_what_is_no_mass(bad):
    with pytest.raises(ValueError, match="non-negative"):
        fixed_rows(np.array([[1.0, bad]]))
    with pytest.raises(ValueError, match="at least one cell"):
        fixed_rows(np.zeros((2, 0)))


@given(st.data())
def test_groups_sum_to_one_each(data):
    groups = np.array(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=30)), dtype=np.uint16)
    groups = np.unique(groups, return_inverse=True)[1].astype(np.uint16)
    weights = data.draw(hnp.arrays(np.float64, groups.size, elements=st.floats(0, 1e6)))
    result = fixed_groups(weights, groups)
    for group in range(int(groups.max()) + 1):
        assert result[groups == group].sum() == ONE
