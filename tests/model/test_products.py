"""Products and solutions cut into pieces: the same numbers as whole, the same bits with any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.model import products

SCRIPT = """
import hashlib
import numpy as np
from dpsynth.model.products import product, solution
state, rng = hashlib.sha256(), np.random.default_rng(7)
for k, n, s, r in [
    (1, 500, 700, 300), (1, 10, 10, 9000), (1, 1, 900, 800), (1, 3000, 600, 1), (40, 30, 70, 50), (1, 257, 257, 257),
    (1, 17, 5000, 90), (2, 1, 1, 9000), (1, 60000, 5, 2), (1, 5, 513, 4000), (1, 2, 9000, 40), (1, 33, 300, 65),
]:
    state.update(np.ascontiguousarray(product(rng.random((k, n, s)), rng.random((k, s, r)))).tobytes())
for n, k in [(256, 1), (256, 256), (130, 70), (64, 300)]:
    half = rng.random((n, n))
    matrix = np.einsum("ij,kj->ik", half, half) + np.eye(n)
    found, volume = solution(matrix, rng.random((n, k)))
    state.update(np.ascontiguousarray(found).tobytes() + repr(volume).encode())
print(state.hexdigest())
"""


@settings(max_examples=100)
@given(
    *(st.integers(1, 3), st.integers(1, 20), st.integers(1, 40), st.integers(1, 30)),
    st.sampled_from([64, 300, 1 << 18]),
    st.sampled_from([1, 7, 256]),
)
def test_pieces_add_to_the_whole(batch: int, rows: int, terms: int, columns: int, most: int, depth: int) -> None:
    rng = np.random.default_rng(rows)
    left, right = rng.random((batch, rows, terms)), rng.random((batch, terms, columns))
    with mock.patch.multiple(products, ONE_THREAD=max(most, 64 * depth), DEPTH=depth):
        found = products.product(left, right)
    np.testing.assert_allclose(found, np.einsum("kns,ksr->knr", left, right), rtol=1e-12)
    assert found.shape == (batch, rows, columns)


@settings(max_examples=50)
@given(st.integers(1, 30), st.integers(1, 9), st.sampled_from([1, 3, 64]))
def test_blocks_are_eliminated_one_after_the_other(size: int, columns: int, uncut: int) -> None:
    rng = np.random.default_rng(size)
    half, right = rng.normal(size=(size, size)), rng.normal(size=(size, columns))
    matrix = half @ half.T + np.eye(size)
    with mock.patch.object(products, "UNCUT", uncut):
        found, volume = products.solution(matrix, right)
    np.testing.assert_allclose(matrix @ found, right, atol=1e-10)
    assert volume == pytest.approx(np.linalg.slogdet(matrix)[1])


@pytest.mark.parametrize("terms", [1, 3])
def test_a_table_in_another_order(terms: int) -> None:
    """Views that are not contiguous, as the tables of marginals are."""
    rng = np.random.default_rng(1)
    left, right = rng.random((2, terms, 5)).transpose(0, 2, 1), rng.random((7, terms, 2)).transpose(2, 1, 0)
    np.testing.assert_allclose(products.product(left, right), left @ right, rtol=1e-12)


def test_the_number_of_threads_does_not_show() -> None:
    digests = set()
    for threads in ("1", "2", "4"):
        environment = os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(run.stdout)
    assert len(digests) == 1
