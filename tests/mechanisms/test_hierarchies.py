"""Declared levels decide what is merged: counties inside their states, and no value with null."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.measurement import Domain, Level, NoisyMarginal
from dpsynth.mechanisms import by_name
from tests.mechanisms.fake import FakeMeasurer

PAIRS = ("mst", "aim", "mrm", "privbayes")
COUNTIES, STATES = 48, 3
STATE = np.arange(COUNTIES) % STATES
"""Neighbours in the list of counties are of different states."""


def asked(mechanism: str, declared: Level, it: NDArray[np.int64], about: NDArray[np.int64]) -> list[Level]:
    """The levels of a column in the tables of pairs that a mechanism asks; the other column goes with its groups."""
    rng = np.random.default_rng(1)
    other = np.where(rng.random(it.size) < 0.9, about[it], rng.integers(0, 4, it.size))
    domain = Domain(("it", "other"), (declared.fine, 4))
    fake = FakeMeasurer(domain, np.stack([it, other], axis=1), 2, measure="gdp", hierarchies={"it": (declared,)})
    by_name(mechanism).fit(fake, Fraction(1, 50))
    queries = [answer.query for answer in fake.answers if isinstance(answer, NoisyMarginal)]
    return [query.levels[0] for query in queries if query.columns == ("it", "other")]


@pytest.mark.parametrize("mechanism", PAIRS)
def test_rare_counties_are_merged_inside_their_states(mechanism: str) -> None:
    county = np.random.default_rng(3).integers(0, COUNTIES, 6000)
    used = asked(mechanism, Level("it", STATE.astype(np.uint16)), county, STATE)
    merged = [level for level in used if STATES < level.size < COUNTIES]
    assert merged
    for level in merged:
        assert all(len(set(STATE[level.cells == group])) == 1 for group in range(level.size))


@pytest.mark.parametrize("mechanism", PAIRS)
def test_a_rare_null_is_merged_with_no_value(mechanism: str) -> None:
    """Every tenth value is common; the others hold as little as null does."""
    null = 40
    shares = np.where(np.arange(null + 1) % 10 == 5, 0.2, 0.2 / 37)
    it = np.random.default_rng(4).choice(null + 1, 6000, p=shares / shares.sum())
    indicator = Level("it", (np.arange(null + 1) == null).astype(np.uint16))
    used = asked(mechanism, indicator, it, np.arange(null + 1) // 10 % 4)
    assert any(2 < level.size < null for level in used)
    for level in used:
        assert np.flatnonzero(level.cells == level.cells[null]).tolist() == [null]
