"""Peers live in environments of their own under .peers/, which git ignores; dpsynth never imports one.

    python benchmarks/peers.py [google dpmm smartnoise mbi] [--quick]

Makes the environments that are named (all, if none is) from PyPI, anew where one does not work, and says how each
stands; ``--quick`` only says it. google/dpsynth is on no registry: lay a checkout of github.com/google/dpsynth at
benchmarks/.peers/google/checkout; what it needs is installed beside it, and the checkout is imported as it stands.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from page import table
from problems import Floats

HERE = Path(__file__).parent
PLACE = HERE / ".peers"
PATIENCE = 300.0
"""Seconds after which a worker is stopped."""


@dataclass(frozen=True)
class Environment:
    """``versions`` of Python that the peer runs on, the best first; none: the one that runs this."""

    name: str
    versions: tuple[str, ...]
    packages: tuple[str, ...]
    modules: str
    checkout: str = ""

    @property
    def place(self) -> Path:
        return PLACE / self.name

    @property
    def python(self) -> Path:
        return self.place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def lacking(self) -> str:
        """What is not there and how to get it; empty when the peer can be run."""
        command = f"`python benchmarks/peers.py {self.name}` installs it"
        if self.checkout and not (self.place / "checkout").exists():
            path = f"benchmarks/.peers/{self.name}/checkout"
            return f"not installed: lay a checkout of {self.checkout} at {path}; then {command}"
        if not self.python.exists():
            return f"not installed: {command}"
        probe = subprocess.run([self.python, "-c", self.modules], capture_output=True)
        return f"not installed as it should be: {command} anew" if probe.returncode else ""

    def make(self) -> None:
        """The environment, with pip; OSError or CalledProcessError where that fails."""
        subprocess.run([interpreter(self.versions), "-m", "venv", str(self.place)], check=True, capture_output=True)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", *self.packages]
        subprocess.run(pip, check=True, capture_output=True)


def interpreter(versions: Sequence[str]) -> str:
    """A Python of one of these versions: this one, on the path, or pyenv's. OSError if there is none."""
    if not versions or f"{sys.version_info.major}.{sys.version_info.minor}" in versions:
        return sys.executable
    for version in versions:
        known = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        found = next((str(path) for path in reversed(known)), None) or shutil.which(f"python{version}")
        if found:
            return found
    raise OSError(f"needs Python {' or '.join(versions)}, which is not here")


MBI = Environment("mbi", (), ("mbi==2.0.0",), "import mbi")
GOOGLE = Environment(
    "google",
    ("3.12", "3.13"),
    (
        "absl-py", "attrs", "numpy", "pandas", "pydantic>=2.0", "pyyaml", "dp-accounting==0.6.0", "jax[cpu]==0.11.0",
        "more-itertools", "networkx", "scipy", "tqdm", "mbi==2.0.0", "etils",
    ),
    "import mbi, dp_accounting, etils, absl",
    checkout="github.com/google/dpsynth",
)  # fmt: skip
DPMM = Environment("dpmm", ("3.11",), ("dpmm==0.1.9",), "import dpmm.pipelines")
SMARTNOISE = Environment("smartnoise", ("3.11",), ("torch==2.13.0", "smartnoise-synth==1.0.8"), "import snsynth")
ENVIRONMENTS = {one.name: one for one in (GOOGLE, DPMM, SMARTNOISE, MBI)}


@dataclass(frozen=True)
class Peer:
    """A mechanism of a peer: the script in workers/ that runs it, and what its job holds besides table and budget."""

    name: str
    environment: Environment
    worker: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def _google(name: str, mechanism: str, compress: bool = False) -> Peer:
    settings = {"mechanism": mechanism, "compress": compress}
    return Peer(f"google/dpsynth {name}{' + compression' * compress}", GOOGLE, "peer_google.py", settings)


def _dpmm(name: str, mechanism: str, most: int | None = None, **options: int) -> Peer:
    settings = {"mechanism": mechanism, "max_model_size": most, "options": options}
    return Peer(f"dpmm {name}", DPMM, "peer_dpmm.py", settings)


PEERS = {
    "google-independent": _google("Independent", "independent"),
    "google-mst": _google("MST", "mst"),
    "google-mst-compressed": _google("MST", "mst", compress=True),
    "google-swift": _google("SWIFT", "swift"),
    "google-swift-compressed": _google("SWIFT", "swift", compress=True),
    "google-aim": _google("AIM", "aim"),
    "google-aim-gdp": _google("AIM-GDP", "aim-gdp"),
    "dpmm-mst": _dpmm("MST", "mst"),
    "dpmm-privbayes": _dpmm("PrivBayes", "priv-bayes", degree=2),
    "dpmm-aim": _dpmm("AIM", "aim", most=80, degree=2),
    "smartnoise-mst": Peer("smartnoise-synth MST", SMARTNOISE, "peer_smartnoise.py"),
}


def mbi_python() -> Path | None:
    """The interpreter of mbi's environment, made with pip if it is not there; None, and a line why, if it fails."""
    try:
        if MBI.lacking():
            MBI.make()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no peer: the environment of {MBI.packages[0]} could not be made ({error})", file=sys.stderr)
        return None
    return MBI.python


@dataclass(frozen=True)
class Cold:
    """A whole process: wall and processor seconds, and the most memory it had resident, in MiB.

    Processor seconds are those of all its threads, and hardly depend on what else runs. ``failed``: how it ended badly.
    """

    seconds: float
    cpu: float
    peak: float
    failed: str = ""


def cold(command: Sequence[str], patience: float) -> Cold:
    """Run a command as a new process, and end it and what it started after ``patience`` seconds.

    Linux counts what this process held towards the child's peak: keep large tables out of it.
    """
    stopped = threading.Event()
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )

        def end() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        def stop() -> None:
            stopped.set()
            end()

        clock = threading.Timer(patience, stop)
        clock.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            clock.cancel()
            end()
        said.seek(0)
        last = said.read().decode(errors="replace").strip().splitlines() or [""]
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    failed = ""
    if stopped.is_set():
        failed = f"stopped at {patience:.0f} s"
    elif process.returncode < 0:
        failed = f"crashed at {seconds:.0f} s: {signal.Signals(-process.returncode).name}"
    elif process.returncode:
        failed = f"crashed at {seconds:.0f} s: {last[-1][:120]}"
    return Cold(seconds, usage.ru_utime + usage.ru_stime, peak, failed)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ENVIRONMENTS)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="install nothing")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(ENVIRONMENTS):
        parser.error(f"no peer is called {', '.join(sorted(unknown))}")
    rows = []
    for name in asked.names or ENVIRONMENTS:
        environment = ENVIRONMENTS[name]
        state = environment.lacking()
        if state and not asked.quick:
            try:
                environment.make()
                state = environment.lacking()
            except subprocess.CalledProcessError as error:
                state = f"not installed: {error.stderr.decode(errors='replace').strip().splitlines()[-1]}"
            except OSError as error:
                state = f"not installed: {error}"
        rows.append((name, " ".join(environment.packages), state or "ready"))
    print("### Environments of the peers\n\n" + table(("peer", "packages", "state"), rows))


if __name__ == "__main__":
    main()
