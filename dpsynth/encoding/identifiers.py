"""Fresh identifiers: each row of an output has its own, and their order tells nothing about the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

ROUNDS = 6
"""Words of a key."""

DIGITS = 18
"""Identifiers are below 10^18, which fits in int64; two samples of a million rows share one with odds of 1 to 10^6."""

_HALF = 30
_MASK = np.uint64((1 << _HALF) - 1)


def fresh(first: int, rows: int, key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The identifiers of the rows ``first`` to ``first + rows - 1``: distinct for all rows below 10^18 under one key.

    A Feistel network permutes the numbers below 2^60 (each round can be undone, whatever its function); what falls
    on 10^18 or beyond is permuted again until it does not, which permutes the numbers below 10^18.
    """
    numbers = _permuted(np.arange(first, first + rows, dtype=np.uint64), key)
    while (beyond := np.flatnonzero(numbers >= np.uint64(10**DIGITS))).size:
        numbers[beyond] = _permuted(numbers[beyond], key)
    return numbers.astype(np.int64)


def spelt(numbers: NDArray[np.int64], prefix: str) -> pa.Array:
    """The identifiers as text: the prefix, then always as many digits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from dpsynth.encoding import arrays

    digits = pc.utf8_lpad(arrays.of_numpy(numbers).cast(pa.string()), width=DIGITS, padding="0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, pa.scalar(""))


def _permuted(numbers: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    left, right = numbers >> np.uint64(_HALF), numbers & _MASK
    for word in key:
        left, right = right, left ^ (_mixed(right ^ word) >> np.uint64(64 - _HALF))
    return np.asarray(left << np.uint64(_HALF) | right)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of SplitMix64 (Steele, Lea and Flood 2014), modulo 2^64."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)))
