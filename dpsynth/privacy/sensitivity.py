"""How far one entity can move an answer: the closed table of sensitivities (proofs/privacy/).

An entity (by default a person) has at most ``max_rows`` rows, which the table room enforces before anything is
counted. Neighbours differ by one entity: under ``"add-remove"`` it is there or not; under ``"replace-one"`` its rows
are replaced by others, possibly by none, except that in a row unit (each row its own entity) one row stays one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from dpsynth.errors import ConfigurationError

NEIGHBOURS = ("add-remove", "replace-one")
"""The neighbour relations that the engine knows."""


def marginal_squared(max_rows: int, neighbours: str) -> int:
    """Squared L2 sensitivity of a marginal's counts, at any levels: s^2 add/remove, 2 s^2 replace-one.

    All s rows may fall in one cell; replaced, they may all leave it for another one.
    """
    _check(max_rows, neighbours)
    return max_rows**2 if neighbours == "add-remove" else 2 * max_rows**2


def marginal_l1(max_rows: int, neighbours: str) -> int:
    """L1 sensitivity of a marginal's counts, at any levels: s add/remove, 2 s replace-one."""
    _check(max_rows, neighbours)
    return max_rows if neighbours == "add-remove" else 2 * max_rows


def residual_squared(sizes: Sequence[int], max_rows: int, neighbours: str) -> int:
    """Squared L2 sensitivity of kron(m I - 11') x, x a table with m = ``sizes`` cells on its axes, two or more each.

    With P = prod m (m - 1) it is s^2 P add/remove, reached when all s rows share a cell, and replace-one
    2 s^2 P m_min / (m_min - 1), reached when they all leave a cell for one that differs along the shortest axis alone.
    Source of the add/remove case: Xiao et al. 2023 (arXiv 2305.08175).
    """
    _check(max_rows, neighbours)
    if not sizes or any(isinstance(size, bool) or not isinstance(size, int) or size < 2 for size in sizes):
        raise ConfigurationError("a residual has one or more axes, each of two or more cells")
    one = max_rows**2 * prod(size * (size - 1) for size in sizes)
    least = min(sizes)
    return one if neighbours == "add-remove" else 2 * (one // (least - 1)) * least


def total(max_rows: int, neighbours: str, row_unit: bool) -> int:
    """Sensitivity (not squared) of the number of rows: s, or 0 where that number is public.

    It is public only under replace-one when each row is its own entity. A replaced entity of several rows, or one
    named by a column, may have had any number of rows from 0 to s, so the total moves by up to s.
    """
    _check(max_rows, neighbours)
    if row_unit and max_rows != 1:
        raise ConfigurationError(f"max_rows: {max_rows} needs a unit column; without one each row is its own entity")
    return 0 if row_unit and neighbours == "replace-one" else max_rows


def partitions_squared(max_rows: int, neighbours: str) -> int:
    """Squared L2 sensitivity of the number of distinct entities that hold each value: s add/remove, 2 s replace-one.

    s rows hold at most s values, and an entity counts once for each of them, in however many rows and of whatever
    weight; replaced, it may leave s values for s others.
    """
    _check(max_rows, neighbours)
    return max_rows if neighbours == "add-remove" else 2 * max_rows


def l1_to_model(max_rows: int, neighbours: str) -> int:
    """Sensitivity, in rows, of the L1 distance of a marginal to a model fixed beforehand: s (replace-one: 2 s).

    A caller that scores in lattice units multiplies by measurement.LATTICE.
    """
    _check(max_rows, neighbours)
    return max_rows if neighbours == "add-remove" else 2 * max_rows


def _check(max_rows: int, neighbours: str) -> None:
    """Refuse what the table does not know: a wrong bound here would be a wrong guarantee."""
    if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
        raise ConfigurationError(f"max_rows: {max_rows!r} is not an integer of at least 1")
    if neighbours not in NEIGHBOURS:
        raise ConfigurationError(f"neighbours: {neighbours!r} is neither 'add-remove' nor 'replace-one'")
