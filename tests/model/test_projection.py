from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dpsynth.model import project

VALUES = arrays(np.float64, st.integers(1, 8), elements=st.floats(-1e6, 1e6))


@given(VALUES, st.data(), st.floats(1e-3, 1e7))
def test_it_is_the_nearest(values: np.ndarray, data: st.DataObject, total: float) -> None:
    """The conditions of Karush, Kuhn and Tucker: the slope is the same where t > 0 and no lower where t = 0."""
    variances = data.draw(arrays(np.float64, values.shape, elements=st.floats(0.1, 10.0)))
    found = project(values, variances, total)
    assert found.sum() == pytest.approx(total, rel=1e-12)
    assert (found >= 0).all()
    slope = (found - values) / variances
    scale = np.abs(values).max() + total
    assert np.ptp(slope[found > 0]) <= 1e-8 * scale
    assert (slope >= slope[found > 0].max() - 1e-8 * scale).all()


@pytest.mark.parametrize("values", [[0.0, 0.0], [-5.0, -5.0], [-1e12, -1e12], [1e300, -1e300], [1e12, 1e12]])
def test_hopeless_counts_still_give_a_table(values: list[float]) -> None:
    found = project(np.array(values), np.ones(2), 1.0)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
