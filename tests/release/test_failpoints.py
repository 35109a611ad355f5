"""A governed release whose disk is full at any point: its books are in order, and the same run again goes on
or says what is lost. Where it is killed instead: tests/acceptance/test_06_crash.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.release.crash import LOST, POINTS

ROOT = Path(__file__).parents[2]


def crash(folder: Path, mode: str, *points: str) -> dict[str, list[dict[str, int]]]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # it forks
    words = [sys.executable, "-m", "tests.release.crash", str(folder), mode, *points]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize(
    ("points", "codes"),
    [
        (POINTS[:7], {31}),  # the store
        (POINTS[7:11], {31, 2}),  # the store, then the folder
        (POINTS[11:], {31, 2, 0}),  # the log, the status, and what takes no room any more
    ],
    ids=["asking", "writing", "publishing"],
)
def test_a_full_disk_at_any_point(tmp_path: Path, points: tuple[str, ...], codes: set[int]) -> None:
    found = crash(tmp_path, "full", *points)
    assert list(found) == list(points)
    assert {trial["first"] for trials in found.values() for trial in trials} == codes
    assert all(trial["again"] == (10 if point in LOST else 0) for point, trials in found.items() for trial in trials)
