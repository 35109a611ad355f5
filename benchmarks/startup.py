"""How long a newcomer waits: ``import dpsynth``, ``dpsynth --help``, and the demo.

    python benchmarks/startup.py [--runs 5]

Each is a new process; the best and the median of the runs are printed, so that a busy machine can be told apart.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def timed(make: Callable[[int], list[str]], runs: int) -> tuple[float, float]:
    seconds = []
    for run in range(runs):
        began = time.perf_counter()
        subprocess.run(make(run), check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return min(seconds), statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
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
        for name, make in work.items():
            best, median = timed(make, runs)
            print(f"{name:26} best {best:7.3f} s  median {median:7.3f} s")


if __name__ == "__main__":
    main()
