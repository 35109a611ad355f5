"""How long a stranger waits: the verifier alone, on a release of 100 entries and 100 MB.

    python benchmarks/verify.py [--runs 5] [--quick]

The three files are copied into an empty folder and run by `python -I`, a new process each time. The release is an
artificial one (tests/verifier/office.py): three accounts, a grant, two officers' approvals, a status; the bytes of its
data are random. With --root everything is checked; the last row says what reading the data takes at least. How many
lines the files have is counted as `wc -l` does; the peak of memory is what Linux tells a process of itself, in a run of
its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import file_digest
from pathlib import Path

from page import publish, table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

FILES = ("verifier.py", "evidence.py", "trust.py", "roots.py")
ENTRIES, MEGABYTES = 100, 100
PEAK = """
import contextlib, runpy, sys
sys.argv, ended = sys.argv[1:], 0
try:
    with contextlib.redirect_stdout(sys.stderr):
        runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    ended = end.code
with contextlib.suppress(OSError), open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM:")).split()[1])
sys.exit(ended)
"""


def timed(command: list[str], place: Path, runs: int) -> tuple[float, float]:
    """Best and median of the runs."""
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return min(seconds), statistics.median(seconds)


def peak(python: list[str], command: list[str], place: Path) -> float | None:
    """Most memory of one run, in MiB; None where the system does not tell."""
    program = [part for part in command if part not in python]
    ran = subprocess.run([*python, "-c", PEAK, *program], cwd=place, check=True, capture_output=True, text=True)
    return int(ran.stdout) / 1024 if ran.stdout else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: one run on a small file, nothing is written"
    )
    asked = parser.parse_args()
    runs, megabytes = (1, 1) if asked.quick else (asked.runs, MEGABYTES)
    from tests.verifier import office as artificial

    python = [sys.executable, "-I"]
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        for name in FILES:
            shutil.copy(ROOT / "dpsynth" / name, place)
        artificial.FILES["data.csv"] = os.urandom(megabytes * 2**20)
        # Every answer has a line for its charge and one for itself; the account's and the release's own make the rest.
        here = artificial.tree()
        folder = here.release(place / "release", "release", "survey", questions=(ENTRIES - 6) // 2)
        here.decide(folder, "ana")
        here.decide(folder, "bo")
        here.publish(folder)
        (place / "root.json").write_bytes(here.root)
        lines = artificial.opened((folder / "ledger.dsse.json").read_bytes())["predicate"]["entries"]
        work = {
            "`python -c pass`": [*python, "-c", "pass"],
            "`python verifier.py RELEASE`": [*python, "verifier.py", "release"],
            "`python verifier.py RELEASE --root root.json`": [*python, "verifier.py", "release", "--root", "root.json"],
        }
        rows: list[list[object]] = [
            [name, *timed(command, place, runs), peak(python, command, place) if "verifier.py" in command else None]
            for name, command in work.items()
        ]
        began = time.perf_counter()
        with (folder / "data.csv").open("rb") as file:
            file_digest(file, "sha256")
        rows.append([f"SHA-256 of the {megabytes} MB alone", time.perf_counter() - began, None, None])
    sizes = ", ".join(f"`{name}` {len((ROOT / 'dpsynth' / name).read_text().splitlines())}" for name in FILES)
    text = f"""### Verifying alone

A release of {len(lines)} entries and {megabytes} MB, with grants, approvals and status (wanted: under 2 s).
Lines: {sizes} (wanted: each under 600).

{table(["", "best, s", "median, s", "peak MiB"], rows)}"""
    publish("verify", text, asked.quick)


if __name__ == "__main__":
    main()
