"""A noisy answer as the model sees it: a residual in rows, its noise that of a table centred along each axis."""

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest

from dpsynth.measurement import TOTAL, Domain, Level, NoisyMarginal, Query
from dpsynth.mechanisms.assemble import fit_model, seen
from dpsynth.model import Residual
from tests.mechanisms.fake import first_of


def residual_map(sizes: tuple[int, ...]) -> np.ndarray:
    return reduce(np.kron, [m * np.eye(m, dtype=np.int64) - 1 for m in sizes])


def residual(query: Query, table: np.ndarray, noise: np.ndarray | int = 0, sigma: int = 1) -> NoisyMarginal:
    exact = (residual_map(query.shape) @ table.ravel()).reshape(query.shape)
    return NoisyMarginal(query, exact + noise, Fraction(sigma), "rounded_gaussian", 0)


@pytest.mark.parametrize("sizes", [(5,), (2, 3), (4, 2, 3)])
def test_without_noise_it_is_the_table_centred(sizes: tuple[int, ...]) -> None:
    levels = {name: Level.identity(name, size) for name, size in zip("abc", sizes, strict=False)}
    domain = Domain(tuple(levels), sizes)
    table = np.random.default_rng(1).integers(0, 90, sizes)
    measured = seen(domain, levels, residual(Query(tuple(levels.values()), "residual"), table))
    assert isinstance(measured.query, Residual)
    np.testing.assert_allclose(measured.values, measured.query.apply(table.astype(float)), atol=1e-10)


@pytest.mark.parametrize("sizes", [(5,), (2, 3), (4, 2, 3)])
def test_the_variance_is_that_of_a_table_s_noise_centred(sizes: tuple[int, ...]) -> None:
    """For noise e of scale sigma, centred(e) / prod m has the covariance of centred(noise of scale stddev)."""
    levels = {name: Level.identity(name, size) for name, size in zip("abc", sizes, strict=False)}
    domain, query = Domain(tuple(levels), sizes), Query(tuple(levels.values()), "residual")
    zero, sigma, cells = np.zeros(sizes, dtype=np.int64), 1000, query.cells
    columns = []
    for cell in range(cells):
        unit = np.zeros(cells, dtype=np.int64)
        unit[cell] = sigma  # one standard deviation in one cell
        columns.append(seen(domain, levels, residual(query, zero, unit.reshape(sizes), sigma)).values.ravel())
    covariance = np.array(columns).T @ np.array(columns)
    measured = seen(domain, levels, residual(query, zero, 0, sigma))
    centring = residual_map(sizes) / cells
    stddev = float(measured.stddev.ravel()[0])
    np.testing.assert_allclose(covariance, stddev**2 * centring @ centring.T, atol=1e-12)
    assert stddev == sigma / cells


def test_a_coarser_residual_is_one_of_the_coarser_table() -> None:
    a, b = Level.identity("a", 4), Level.identity("b", 2)
    half = a.merged(np.array([0, 0, 1, 1]))
    table = np.array([[40, 3], [5, 10], [10, 15], [0, 25]])
    coarse = np.add.reduceat(table, [0, 2], axis=0)
    measured = seen(Domain(("a", "b"), (4, 2)), {"a": a, "b": b}, residual(Query((half, b), "residual"), coarse))
    np.testing.assert_allclose(measured.values, measured.query.apply(table.astype(float)), atol=1e-12)


def test_one_ways_and_a_residual_are_as_good_as_the_table() -> None:
    a, b = Level.identity("a", 3), Level.identity("b", 2)
    table = np.array([[400, 30], [50, 100], [10, 250]])

    def marginal(query: Query, values: np.ndarray) -> NoisyMarginal:
        return NoisyMarginal(query, values, Fraction(1), "rounded_gaussian", 0)

    ones = [marginal(Query((a,)), table.sum(axis=1)), marginal(Query((b,)), table.sum(axis=0))]
    total = marginal(TOTAL, np.array(table.sum()))
    fitted = fit_model(first_of(total, ones), [residual(Query((a, b), "residual"), table)])
    np.testing.assert_allclose(fitted.expected(Query((a, b))), table, atol=1)
