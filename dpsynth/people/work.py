"""What people learn, do and earn: education, employment, occupation, hours, income, disability; and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.people.draws import Codes, Draws, Floats
from dpsynth.people.households import CAPITAL, CHILD, FEMALE, HEAD, PARTNER, People

BELOW, STUDENT, EMPLOYED, SELF_EMPLOYED, UNEMPLOYED, HOMEMAKER, RETIRED, UNABLE = range(8)
NONE, PRIMARY, LOWER, UPPER, VOCATIONAL, BACHELOR, MASTER, DOCTORATE = range(8)
SCHOOL_AGE = 15
MOST = 250_000.0

_JOBS = (  # by education (below upper secondary, upper secondary, vocational, bachelor, above) for women, then for men
    (1, 0.5, 2, 7, 22, 20, 15, 3, 4, 3, 23, 0.02, 0.05),
    (4, 3, 8, 24, 21, 15, 14, 3, 2, 2, 4, 0.15, 0.03),
    (4, 5, 14, 18, 12, 12, 25, 5, 2, 2, 1, 0.2, 0.02),
    (10, 42, 20, 11, 6, 3, 6, 1, 0.3, 0.7, 0, 0.2, 0.01),
    (13, 72, 8, 3, 1.5, 0.5, 1.5, 0.2, 0, 0.3, 0, 0.2, 0),
    (2, 0.5, 3, 3, 7, 6, 1, 25, 21, 8, 23, 0.2, 0.6),
    (7, 4, 10, 9, 12, 7, 2, 23, 15, 5, 5, 0.8, 0.4),
    (7, 5, 20, 5, 6, 4, 4, 34, 9, 5, 1, 0.7, 0.3),
    (19, 43, 20, 5, 6, 2, 1.5, 2, 0.5, 1, 0, 0.6, 0.02),
    (20, 69, 7, 1, 1, 0.3, 0.6, 0.4, 0, 0.5, 0, 0.5, 0),
)
_PAY = (1.7, 1.35, 1.15, 0.95, 0.8, 0.76, 0.84, 1.0, 0.97, 0.72, 0.7, 1.05, 0.85)
_SPREAD = (0.35, 0.62, 0.76, 0.86, 0.94, 1.0, 1.07, 1.16, 1.3, 1.6, 4.5)
_HOURS = (  # employed full time, part time, self-employed
    (30, 36, 38, 38, 40, 40, 40, 42, 45, 60),
    (4, 10, 15, 18, 20, 20, 24, 25, 28, 32),
    (5, 20, 32, 40, 42, 48, 52, 60, 65, 90),
)


@dataclass(frozen=True)
class Work:
    """One row a person; ``known_*`` say where there is an answer at all."""

    education: Codes
    known_education: NDArray[np.bool_]
    employment: Codes
    occupation: Codes
    known_occupation: NDArray[np.bool_]
    hours: NDArray[np.int64]
    known_hours: NDArray[np.bool_]
    income: Floats
    known_income: NDArray[np.bool_]
    disability: NDArray[np.bool_]
    known_disability: NDArray[np.bool_]
    known_tenure: NDArray[np.bool_]


def live(draws: Draws, people: People) -> Work:
    """What each of these people does."""
    rows = len(people.age)
    disability = draws.happens(
        np.interp(people.age, [0, 18, 45, 65, 80, 104], [0.02, 0.03, 0.07, 0.16, 0.35, 0.7]), rows
    )
    education = _education(draws, people)
    employment = _employment(draws, people, education, disability)
    working = (employment == EMPLOYED) | (employment == SELF_EMPLOYED)
    level = np.searchsorted([UPPER, VOCATIONAL, BACHELOR, MASTER], education, side="right")
    occupation = draws.choose_by(level + 5 * (people.sex != FEMALE), _JOBS)
    hours, full = _hours(draws, people, employment)
    income = _income(draws, people, education, employment, occupation, hours, full)

    # Who does not answer: whole households (tenure, income, education), those who earn much (income), and chance.
    silent = draws.happens(0.025, int(people.household[-1]) + 1 if rows else 0)[people.household]
    asked = people.age >= SCHOOL_AGE
    shy = np.interp(income, [0, 30_000, 80_000, MOST], [0.03, 0.04, 0.12, 0.3])
    return Work(
        education=education,
        known_education=asked & ~silent & ~draws.happens(0.015, rows),
        employment=employment,
        occupation=occupation,
        known_occupation=working & ~draws.happens(0.02, rows),
        hours=hours,
        known_hours=working & ~draws.happens(0.03, rows),
        income=income,
        known_income=asked & ~silent & ~draws.happens(shy, rows),
        disability=disability | (employment == UNABLE),
        known_disability=~draws.happens(0.03, rows),
        known_tenure=~silent,
    )


def _education(draws: Draws, people: People) -> Codes:
    """A talent, shifted by cohort and, a little, by region; the young have not finished yet."""
    age = people.age
    talent = draws.bell(len(age)) - np.interp(age, [25, 50, 70, 90], [-0.15, 0.0, 0.6, 1.1])
    talent += 0.3 * (people.region == CAPITAL) - 0.15 * (people.region >= 5)
    reached = np.searchsorted([-2.6, -1.7, -0.8, 0.05, 0.55, 1.2, 2.5], talent, side="right")
    possible = np.interp(age, [15, 16, 18, 20, 22, 24, 27, 28], [2, 2, 3, 4, 5, 6, 6, 7]).astype(np.int64)
    return np.minimum(reached, possible).astype(np.uint8)


def _employment(draws: Draws, people: People, education: Codes, disability: NDArray[np.bool_]) -> Codes:
    age, rows = people.age, len(people.age)
    band = np.searchsorted([20, 25, 35, 55, 62, 67, 75], age, side="right")
    base = [
        (0, 78, 15, 0.5, 5, 1, 0, 0.5),
        (0, 36, 47, 2, 10, 3, 0, 1),
        (0, 6, 72, 6, 7, 7, 0, 1.5),
        (0, 1, 74, 10, 5, 7, 0.2, 2.5),
        (0, 0.1, 63, 12, 5, 8, 8, 5),
        (0, 0, 33, 9, 2, 7, 46, 4),
        (0, 0, 8, 5, 0.2, 6, 81, 0.5),
        (0, 0, 1, 2, 0, 5, 92, 0),
    ]
    status = draws.choose_by(band, base)
    parent = (people.relationship <= PARTNER) & np.isin(people.kind, (4, 5, 6)) & (age < 55)
    home = parent & (people.sex == FEMALE) & (status == EMPLOYED) & draws.happens(0.14, rows)
    status[home] = HOMEMAKER
    low = (education <= LOWER) & (status == EMPLOYED) & draws.happens(0.12, rows)
    status[low] = UNEMPLOYED
    ill = disability & (age >= 20) & (age < 67) & draws.happens(0.4, rows)
    status[ill] = UNABLE
    status[age < SCHOOL_AGE] = BELOW
    return status


def _hours(draws: Draws, people: People, employment: Codes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Hours a week, and whether full time: mothers of young families and the very young work less."""
    rows = len(employment)
    family = np.isin(people.kind, (4, 5, 6)) & ((people.relationship == HEAD) | (people.relationship == PARTNER))
    chance = np.where(people.sex == FEMALE, 0.28, 0.08) + 0.27 * (family & (people.sex == FEMALE))
    chance = np.where((people.age < 22) | (people.age > 64), 0.6, chance)
    full = ~draws.happens(chance, rows)
    group = np.where(employment == SELF_EMPLOYED, 2, np.where(full, 0, 1))
    return np.clip(np.rint(draws.quantile_by(group, _HOURS)), 1, 98).astype(np.int64), full


def _income(
    draws: Draws,
    people: People,
    education: Codes,
    employment: Codes,
    occupation: Codes,
    hours: NDArray[np.int64],
    full: NDArray[np.bool_],
) -> Floats:
    """A year's income in full tens: pay by education, occupation, age and hours; a pension, an allowance or nothing."""
    rows = len(employment)
    spread = draws.quantile_by(np.zeros(rows, dtype=np.uint8), [_SPREAD])
    school = np.array([0.72, 0.76, 0.82, 0.94, 1.0, 1.25, 1.5, 1.75])[education]
    seniority = np.interp(people.age, [15, 22, 30, 45, 58, 70], [0.5, 0.7, 0.9, 1.12, 1.15, 0.95])
    gap = np.where((people.sex == FEMALE) & full & (people.age > 32), 0.91, 1.0)
    pay = 27_500 * school * np.array(_PAY)[occupation] * seniority * gap * spread * (0.15 + hours / 46)
    own = pay * draws.quantile_by(np.zeros(rows, dtype=np.uint8), [(0.05, 0.5, 0.8, 1.0, 1.4, 3.0)])
    pension = 15_500 * school * np.where(people.sex == FEMALE, 0.8, 1.0) * spread
    allowance = np.array([0, 2_500, 0, 0, 8_500, 1_500, 0, 11_000])[employment] * spread
    nothing = draws.happens(np.where(people.relationship == CHILD, 0.6, 0.35), rows)
    idle = np.where(nothing & np.isin(employment, (STUDENT, HOMEMAKER)), 0.0, allowance)
    income = np.select(
        [employment == EMPLOYED, employment == SELF_EMPLOYED, employment == RETIRED], [pay, own, pension], default=idle
    )
    rounded: Floats = np.clip(np.rint(income / 10) * 10, 0.0, MOST)
    return rounded
