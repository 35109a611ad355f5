from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.measurement import Domain
from dpsynth.model import Factor

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4}


def factors() -> st.SearchStrategy[Factor]:
    def make(names: list[str], seed: int) -> Factor:
        domain = Domain(tuple(names), tuple(SIZES[n] for n in names))
        return Factor(domain, np.random.default_rng(seed).random(domain.sizes))

    return st.builds(make, st.lists(st.sampled_from("abcd"), unique=True), st.integers(0, 99))


def einsum(left: Factor, right: Factor, names: tuple[str, ...]) -> np.ndarray:
    text = f"{''.join(left.domain.names)},{''.join(right.domain.names)}->{''.join(names)}"
    return np.einsum(text, left.values, right.values)


@given(factors(), factors(), st.data())
def test_product_and_sum_are_those_of_einsum(left: Factor, right: Factor, data: st.DataObject) -> None:
    product = left * right
    np.testing.assert_allclose(product.values, einsum(left, right, product.domain.names))
    names = tuple(data.draw(st.lists(st.sampled_from(product.domain.names or ("",)), unique=True)))
    if product.domain.names:
        np.testing.assert_allclose(product.sum_to(names).values, einsum(left, right, names))
        assert product.sum_to(names).domain == product.domain.project(names)


def test_a_factor_cannot_be_written_to() -> None:
    values = np.ones(2)
    factor = Factor(Domain(("a",), (2,)), values)
    with pytest.raises(ValueError, match="read-only"):
        factor.values[0] = 2.0
    values[0] = 3.0


def test_wrong_shapes_and_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Factor(Domain(("a",), (2,)), np.ones(3))
    with pytest.raises(ValueError, match="'b'"):
        Factor(Domain(("b",), (2,)), np.ones(2)).spread(Domain(("a",), (2,)))
