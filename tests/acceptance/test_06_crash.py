"""6. SIGKILL at each of twelve points of a run, again and again: nothing is uncharged, and the same run goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.release.crash import LOST, POINTS
from tests.release.test_failpoints import crash

REPEATS = int(os.environ.get("DPSYNTH_CRASH_REPEATS", "2"))
"""How often each point is tried; every trial draws other noise and another store."""


@pytest.mark.parametrize("point", POINTS)
def test_a_kill(tmp_path: Path, point: str) -> None:
    found = crash(tmp_path, "kill", *[point] * REPEATS)
    assert found == {point: [{"first": -9, "again": 10 if point in LOST else 0}] * REPEATS}
