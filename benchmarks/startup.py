"""How long a newcomer waits: ``import dpsynth``, ``dpsynth --help``, and the demo.

    python benchmarks/startup.py [--runs 5] [--quick]

Each is a new process; the best and the median of the runs are shown, so that a busy machine can be told apart. The
first run ever finds nothing that an earlier one left: no byte code of any package and no font cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from page import publish, table

CACHES = ("PYTHONPYCACHEPREFIX", "MPLCONFIGDIR", "XDG_CACHE_HOME")


def timed(make: Callable[[int], list[str]], runs: int) -> tuple[float, float, float]:
    """Best and median of the runs, then the first run ever."""
    seconds = []
    for run in range(runs + 1):
        with tempfile.TemporaryDirectory() as empty:
            caches = dict.fromkeys(CACHES, empty) if run == runs else {}
            began = time.perf_counter()
            subprocess.run(make(run), check=True, capture_output=True, env={**os.environ, **caches})
            seconds.append(time.perf_counter() - began)
    return min(seconds[:-1]), statistics.median(seconds[:-1]), seconds[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: one run of the first three, nothing is written"
    )
    asked = parser.parse_args()
    python = sys.executable
    with tempfile.TemporaryDirectory() as temporary:
        work: dict[str, Callable[[int], list[str]]] = {
            "python -c pass": lambda run: [python, "-c", "pass"],
            "import dpsynth": lambda run: [python, "-c", "import dpsynth"],
            "dpsynth --help": lambda run: [python, "-m", "dpsynth", "--help"],
            "dpsynth demo": lambda run: [python, "-m", "dpsynth", "demo", "--out", str(Path(temporary) / str(run))],
            "dpsynth verify": lambda run: [python, "-m", "dpsynth", "verify", str(Path(temporary) / str(run))],
            "dpsynth verify --rebuild": lambda run: [
                python, "-m", "dpsynth", "verify", "--rebuild", str(Path(temporary) / str(run))
            ],
        }  # fmt: skip
        names = list(work)[:3] if asked.quick else list(work)
        rows = [[f"`{name}`", *timed(work[name], 1 if asked.quick else asked.runs)] for name in names]
    publish(
        "startup",
        "### Waiting\n\nEach a new process, in seconds; the demo runs the whole road from table to signed release.\n\n"
        + table(("command", "best s", "median s", "first run ever s"), rows),
        asked.quick,
    )


if __name__ == "__main__":
    main()
