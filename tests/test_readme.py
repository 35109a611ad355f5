"""Every command of the README runs, in order, in an empty folder, and what it shows is what comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
TEST_COMMAND = "python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder"
ELSEWHERE = ("python -m pip", "git clone", "cd ", "python benchmarks/", TEST_COMMAND)
"""Begins of lines that install, move, measure or test: .ci/run does the first two and the last, people the third."""


def test_ci_calls_the_test_command() -> None:
    assert TEST_COMMAND in README
    assert f"\n{TEST_COMMAND}\n" in (ROOT / ".ci" / "run").read_text()


def test_the_benchmarks_exist() -> None:
    found = re.findall(r"python (benchmarks/\w+\.py)", README)
    assert found
    assert all((ROOT / name).is_file() for name in found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": str(ROOT)}


def masked(text: str) -> set[str]:
    """Lines without what differs from run to run: digests and numbers."""
    return {re.sub(r"[0-9a-f]{64}|[0-9][0-9.e+-]*", "#", " ".join(line.split())) for line in text.splitlines()}


def test_every_block_runs_and_shows_what_the_page_shows(folder: Path) -> None:
    said: set[str] = set()
    for kind, text in BLOCKS:
        if kind == "sh":
            kept = [line for line in text.splitlines() if not line.startswith(ELSEWHERE)]
            script = "\n".join(["set -e", *kept])
            run = subprocess.run(
                ["bash", "-c", script], cwd=folder, env=environment(folder), capture_output=True, text=True
            )
            assert run.returncode == 0, f"{text}\n{run.stdout}\n{run.stderr}"
            said |= masked(run.stdout)
        elif kind == "text":
            # The five synthetic rows of the demo are others in each run: only their header is compared.
            rows = [line for line in text.splitlines() if re.search(r" \.\.\. .*(True|False|NaN|None)$", line)]
            assert len(rows) in (0, 5)
            assert masked(text) - masked("\n".join(rows)) <= said, text
        elif kind == "toml":
            name = re.match(r"# (\S+)\n", text)
            assert name, "a TOML block begins with the name of its file"
            (folder / name.group(1)).write_text(text)
        elif kind == "python":
            run = subprocess.run(
                [sys.executable, "-c", text], cwd=folder, env=environment(folder), capture_output=True, text=True
            )
            assert run.returncode == 0, f"{text}\n{run.stdout}\n{run.stderr}"
        else:
            raise AssertionError(f"a block of kind {kind!r} is not run by any test")
