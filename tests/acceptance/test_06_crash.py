"""6. SIGKILL at each point of a run, again and again: nothing is uncharged, and the same run goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.release.crash import LOST, POINTS
from tests.release.test_failpoints import crash

REPEATS = int(os.environ.get("DPSYNTH_CRASH_REPEATS", "2"))
"""How often each point is tried; every trial draws other noise and another store."""


@pytest.mark.parametrize("points", [POINTS[:7], POINTS[7:11], POINTS[11:]], ids=["asking", "writing", "publishing"])
def test_a_kill(tmp_path: Path, points: tuple[str, ...]) -> None:
    found = crash(tmp_path, "kill", *points * REPEATS)
    assert found == {point: [{"first": -9, "again": 10 if point in LOST else 0}] * REPEATS for point in points}
