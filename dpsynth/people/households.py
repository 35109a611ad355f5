"""Households and who lives in them: region, tenure, rooms, relationship, age, sex, marital status, birthplace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.people.draws import Codes, Draws

SINGLE, SINGLE_OLD, COUPLE, COUPLE_OLD, FAMILY, LONE_PARENT, THREE_GENERATIONS, SHARERS = range(8)
HEAD, PARTNER, CHILD, PARENT, RELATIVE, HOUSEMATE, FOSTER_CHILD = range(7)
FEMALE, MALE = range(2)
NEVER, MARRIED, UNION, SEPARATED, DIVORCED, WIDOWED = range(6)
CAPITAL = 0
OLDEST = 104

_KINDS = (18, 13, 17, 13, 24, 8, 3, 4)
_CHILDREN = ((1,), (1,), (1,), (1,), (40, 42, 14, 4), (58, 34, 8, 0), (45, 42, 13, 0), (1,))
_MATES = (45, 33, 15, 7)
_REGIONS = (24, 21, 18, 14, 11, 8, 3.6, 0.4)
_HEAD_AGES = (
    (18, 24, 30, 40, 52, 64),
    (65, 69, 74, 79, 85, 101),
    (20, 26, 33, 44, 55, 64),
    (63, 67, 71, 75, 80, 95),
    (22, 32, 37, 42, 47, 60),
    (19, 30, 36, 41, 47, 58),
    (30, 36, 41, 45, 50, 58),
    (18, 20, 23, 26, 31, 55),
)
_TENURES = (  # by the age of the head: below 30, 45, 65, and older; twice, in the capital and elsewhere
    (4, 12, 66, 18),
    (10, 38, 34, 18),
    (32, 34, 18, 16),
    (60, 6, 12, 22),
    (8, 24, 52, 16),
    (15, 54, 18, 13),
    (42, 38, 9, 11),
    (75, 6, 5, 14),
)
_ORIGINS = (  # of a household: in the capital and at the border, and elsewhere
    (66, 6, 9, 8.5, 5, 2.5, 2.2, 0.7, 0.04),
    (89, 3.2, 3.5, 1.9, 1, 0.6, 0.5, 0.25, 0.04),
)


@dataclass(frozen=True)
class People:
    """One row a person. ``household`` counts from 0; ``kind``, ``size`` and ``head_age`` are of its household."""

    household: NDArray[np.int64]
    kind: Codes
    size: NDArray[np.int64]
    head_age: NDArray[np.int64]
    region: Codes
    tenure: Codes
    rooms: NDArray[np.int64]
    relationship: Codes
    age: NDArray[np.int64]
    sex: Codes
    marital: Codes
    birthplace: Codes


def live_together(draws: Draws, rows: int) -> People:
    """Exactly ``rows`` people; the last household is cut short where it must be."""
    kind = draws.choose(_KINDS, rows)  # as many households as people would be enough for any sizes
    children = draws.choose_by(kind, [[*weights, 0, 0, 0][:4] for weights in _CHILDREN]) + 1
    mates = draws.choose(_MATES, rows) + 1
    adults = np.array([1, 1, 2, 2, 2, 1, 3, 1])[kind]
    sizes = adults + np.where(np.isin(kind, (FAMILY, LONE_PARENT, THREE_GENERATIONS)), children, 0)
    sizes = (sizes + np.where(kind == SHARERS, mates, 0)).astype(np.int64)
    ends = np.cumsum(sizes)
    homes = int(np.searchsorted(ends, rows)) + 1 if rows else 0
    kind, sizes, ends = kind[:homes], sizes[:homes], ends[:homes]

    head_age = draws.quantile_by(kind, _HEAD_AGES).astype(np.int64)
    region = draws.choose(_REGIONS, homes)
    band = np.searchsorted([30, 45, 65], head_age, side="right") + 4 * (region != CAPITAL)
    tenure = draws.choose_by(band, _TENURES)
    rooms = _rooms(draws, sizes, tenure, region)
    origin = draws.choose_by(((region != CAPITAL) & (region != 6)).astype(np.uint8), _ORIGINS)

    household = np.repeat(np.arange(homes), sizes)[:rows]
    place = np.arange(rows) - (ends - sizes)[household]
    relationship = _relationship(draws, kind[household], place, sizes[household])
    age = _age(draws, relationship, kind[household], head_age[household])
    sex = _sex(draws, relationship, kind[household], household)
    moved = draws.happens(np.where(relationship == CHILD, 0.55, 0.12), rows)
    birthplace = np.where(moved, draws.choose(_ORIGINS[1], rows), origin[household])
    return People(
        household=household,
        kind=kind[household],
        size=sizes[household],
        head_age=head_age[household],
        region=region[household],
        tenure=tenure[household],
        rooms=rooms[household],
        relationship=relationship,
        age=age,
        sex=sex,
        marital=_marital(draws, relationship, kind[household], age, sex),
        birthplace=birthplace.astype(np.uint8),
    )


def _rooms(draws: Draws, sizes: NDArray[np.int64], tenure: Codes, region: Codes) -> NDArray[np.int64]:
    space = np.array([2.9, 2.6, 1.2, 1.4])[tenure] - 0.8 * (region == CAPITAL)
    wanted = np.rint(1.2 + 0.65 * sizes + space + 0.9 * draws.bell(len(sizes)))
    rooms: NDArray[np.int64] = np.clip(wanted, 1, 12).astype(np.int64)
    return rooms


def _relationship(draws: Draws, kind: Codes, place: NDArray[np.int64], size: NDArray[np.int64]) -> Codes:
    role = np.full(len(kind), CHILD, dtype=np.uint8)
    couple = np.isin(kind, (COUPLE, COUPLE_OLD, FAMILY, THREE_GENERATIONS))
    role[couple & (place == 1)] = PARTNER
    role[(kind == THREE_GENERATIONS) & (place == size - 1)] = PARENT
    role[(role == CHILD) & draws.happens(0.004, len(kind))] = FOSTER_CHILD
    role[(role == CHILD) & draws.happens(0.02, len(kind))] = RELATIVE
    role[kind == SHARERS] = HOUSEMATE
    role[place == 0] = HEAD
    return role


def _age(draws: Draws, role: Codes, kind: Codes, head_age: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = len(role)
    partner = np.clip(np.rint(head_age - 0.8 + 3.2 * draws.bell(rows)), 18, OLDEST)
    gap = draws.quantile_by(np.zeros(rows, dtype=np.uint8), [[18, 24, 28, 31, 35, 45]])
    child = np.where(head_age < gap, 4 * draws.uniform(rows), np.minimum(head_age - gap, 34))
    other = draws.quantile_by(np.zeros(rows, dtype=np.uint8), [[1, 16, 27, 45, 66, 90]])
    mate = draws.quantile_by(kind, _HEAD_AGES)
    young = np.minimum(child, 17)
    ages = np.select(
        [role == HEAD, role == PARTNER, role == CHILD, role == PARENT, role == RELATIVE, role == HOUSEMATE],
        [head_age, partner, child, np.minimum(head_age + gap, OLDEST), other, mate],
        default=young,
    )
    return ages.astype(np.int64)


def _sex(draws: Draws, role: Codes, kind: Codes, household: NDArray[np.int64]) -> Codes:
    rows = len(role)
    chance = np.full(rows, 0.49)
    chance[role == HEAD] = np.array([0.46, 0.69, 0.42, 0.36, 0.42, 0.83, 0.4, 0.5])[kind[role == HEAD]]
    chance[role == PARENT] = 0.7
    sex = np.where(draws.happens(chance, rows), FEMALE, MALE).astype(np.uint8)
    same = draws.happens(0.03, rows)
    partners = np.flatnonzero(role == PARTNER)  # the head is the row before
    sex[partners] = np.where(same[partners], sex[partners - 1], 1 - sex[partners - 1])
    return sex


def _marital(draws: Draws, role: Codes, kind: Codes, age: NDArray[np.int64], sex: Codes) -> Codes:
    """By company and age: both halves of a couple mostly share one status, drawn once for the household."""
    rows = len(role)
    together = np.isin(kind, (COUPLE, COUPLE_OLD, FAMILY, THREE_GENERATIONS)) & (role <= PARTNER)
    status = np.zeros(rows, dtype=np.uint8)
    couple = np.searchsorted([27, 36, 50], age, side="right")
    paired = draws.choose_by(
        couple, [(66, 31, 2, 0, 1, 0), (36, 58, 2, 0, 4, 0), (14, 77, 1, 0, 8, 0), (3, 92, 0.3, 0, 4, 1)]
    )
    head = np.flatnonzero((role == PARTNER) & (paired != DIVORCED))
    paired[head] = paired[head - 1]
    status[together] = paired[together]
    alone = np.searchsorted([30, 45, 60, 75], age, side="right") + 5 * (sex == MALE)
    lonely: list[tuple[float, ...]] = [(95, 0, 0, 3, 2, 0), (66, 1, 0, 10, 22, 1), (38, 1, 0, 8, 47, 6)]
    men = [*lonely, (30, 1, 0, 4, 38, 27), (14, 1, 0, 2, 16, 67)]
    women = [*lonely, (20, 1, 0, 3, 34, 42), (8, 1, 0, 1, 11, 79)]
    by_itself = draws.choose_by(alone, [*women, *men])
    apart = ~together & (age >= 18)
    status[apart] = by_itself[apart]
    parents = draws.choose((27, 2, 0, 20, 44, 7), rows)
    lone = (kind == LONE_PARENT) & (role == HEAD)
    status[lone] = parents[lone]
    return status
