"""SIGKILL at every step: what anybody saw is charged and on the disk, and the same run resumes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def crash(mode: str, folder: Path) -> dict[str, int]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.accountant.crash", mode, folder], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, int] = json.loads(run.stdout)
    return found


def test_a_kill_while_making_a_store_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    found = crash("making", tmp_path)
    assert found["absent"] > 10
    assert found["whole"] > 1


def test_a_kill_before_any_statement_of_a_release(tmp_path: Path) -> None:
    found = crash("statements", tmp_path)
    assert found["kills"] > 20
    assert found["lost"] > 0


def test_a_kill_at_any_time(tmp_path: Path) -> None:
    found = crash("anywhere", tmp_path)
    assert found["kills"] > 0
    assert found["shown"] > 0
