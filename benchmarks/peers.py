"""Peers live in environments of their own under .peers/, made when first asked for; dpsynth never imports one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from problems import Floats

HERE = Path(__file__).parent
MBI = "mbi==2.0.0"
PATIENCE = 300.0
"""Seconds after which a worker is stopped."""


def mbi_python() -> Path | None:
    """The interpreter of mbi's environment, made with pip if it is not there; None, and a line why, if it fails."""
    place = HERE / ".peers" / "mbi"
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
        if subprocess.run([python, "-c", "import mbi"], capture_output=True).returncode:
            subprocess.run([python, "-m", "pip", "install", "--quiet", MBI], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no peer: the environment of {MBI} could not be made ({error})", file=sys.stderr)
        return None
    return python


@dataclass(frozen=True)
class Run:
    """What a worker reported: ``figures`` by name, and its tables. ``failed`` says why there is none."""

    figures: dict[str, Any]
    tables: tuple[Floats, ...] = ()
    failed: str = ""

    def __getitem__(self, name: str) -> Any:
        return self.figures.get(name)


def work(python: Path | str, worker: str, save: Callable[[Path], None], *options: str) -> Run:
    """Run a worker in a new process on the file that ``save`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "asked.npz", Path(folder) / "answer.npz"
        save(asked)
        command = [str(python), "-W", "ignore", str(HERE / "workers" / worker), str(asked), str(answer), *options]
        try:
            done = subprocess.run(
                [*command, "--started", repr(time.time())], capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return Run({}, failed=f"stopped after {PATIENCE:.0f} s")
        if done.returncode:
            return Run({}, failed=(done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
        with np.load(answer) as found:
            tables = tuple(found[f"arr_{k}"] for k in range(len(found)))
        return Run(json.loads(done.stdout.splitlines()[-1]), tables)


def ratio(theirs: float | None, ours: float | None) -> float | None:
    """How many times longer theirs took."""
    return theirs / ours if theirs and ours else None
