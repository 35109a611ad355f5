"""Products and solutions of matrices that give the same bits with any number of threads.

A linear algebra library cuts a large product among its threads, and how it is cut shows in the last bits; and on
a busy machine its threads wait for each other, up to a thousand times as long as the work takes. So it is cut here, by
its shape alone, into pieces of which OpenBLAS does each on the calling thread.
"""

from __future__ import annotations

import numpy as np

from dpsynth.model.factor import Floats

ONE_THREAD = 1 << 18
"""Multiplications up to which OpenBLAS leaves a matrix product to one thread (65,536 x its threshold of 4)."""

DEPTH = 256
"""Most terms that one piece sums."""

UNCUT = 64
"""Unknowns up to which, and right sides up to which, OpenBLAS solves on one thread."""


def product(left: Floats, right: Floats) -> Floats:
    """``left @ right`` for a batch of matrices: (k, n, s) and (k, s, r) give (k, n, r)."""
    batch, rows, terms = left.shape
    columns = right.shape[2]
    if terms == 1:
        return left * right
    if rows == 1 or columns == 1:
        result: Floats = np.einsum("kns,ksr->knr", left, right)  # BLAS has another, lower threshold for vectors
        return result
    depth = min(terms, DEPTH)
    height = min(rows, ONE_THREAD // (depth * min(columns, 64)))
    width = ONE_THREAD // (depth * height)
    if depth == terms and height == rows and width >= columns:
        return left @ right
    result = np.zeros((batch, rows, columns))
    for top in _cuts(rows, height):
        for side in _cuts(columns, width):
            for deep in _cuts(terms, depth):
                result[:, top, side] += left[:, top, deep] @ right[:, deep, side]
    return result


def solution(matrix: Floats, right: Floats) -> tuple[Floats, float]:
    """``matrix^-1 right`` by blocks, and the logarithm of the determinant.

    ``matrix`` is symmetric and positive definite of shape (n, n), ``right`` of shape (n, k). The first half of the
    unknowns is eliminated: what is left of the matrix is its Schur complement (Golub and Van Loan 2013, 3.2.11).
    """
    size, columns = right.shape
    if size <= UNCUT:
        parts = [np.linalg.solve(matrix, right[:, part]) for part in _cuts(columns, UNCUT)]
        return np.concatenate(parts, axis=1), float(np.linalg.slogdet(matrix)[1])
    half = size // 2
    across, below = matrix[:half, half:], matrix[half:, :half]
    first, volume = solution(matrix[:half, :half], np.concatenate([across, right[:half]], axis=1))
    told = product(below[None], first[None])[0]
    last, rest = solution(matrix[half:, half:] - told[:, :-columns], right[half:] - told[:, -columns:])
    begun = first[:, -columns:] - product(first[None, :, :-columns], last[None])[0]
    return np.concatenate([begun, last]), volume + rest


def _cuts(size: int, step: int) -> list[slice]:
    """Pieces of about equal size, each of at most ``step``."""
    count = -(-size // step)
    return [slice(size * i // count, size * (i + 1) // count) for i in range(count)]
