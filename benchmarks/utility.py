"""Accuracy and wall time of a whole ``dpsynth run`` beside the peers: the same coded table, budget and scorer.

    python benchmarks/utility.py [--table adult_codes] [--epsilon 1] [--mechanism mst] [--runs 5] [--rows N]
        [--peers google-mst dpmm-mst ... | --no-peers] [--peer-runs 1] [--patience 900] [--reuse] [--json] [--quick]

Several tables (tables.py, or a CSV of codes with its sizes beside it), budgets and mechanisms may be named: a section
of benchmarks/README.md for each table and budget. Every run is a cold process. None of ours is left out: the mean and
the worst of consecutive runs. A peer that is not installed, crashed or was stopped is said and has no ratio;
``python benchmarks/peers.py`` installs them. Each run of a peer is kept in benchmarks/.peers/runs, and ``--reuse``
takes what is kept of the same table and budget instead of running it again.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from page import publish, table
from peers import HERE, PEERS, PLACE, Peer, cold
from tables import TABLES, Table, make

SCORER = Path(__file__).parents[2] / "shared" / "score.py"
RUNS = PLACE / "runs"
FIGURES = ("s", "CPU s", "peak MiB", "1-way", "2-way", "3-way", "max 2-way")
RATIOS = ("s", "CPU s", "2-way", "3-way")
Found = dict[str, Any]
"""One run: FIGURES, or ``failed``; with the day and the load average before and after."""


@dataclass(frozen=True)
class Bench:
    """``quick``: a failure of ours ends it."""

    delta: str
    patience: float
    quick: bool = False

    def ours(self, given: Table, mechanism: str, epsilon: str) -> Found:
        """One ``dpsynth run``, from the table to signed rows."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            release = apart(write_inputs, folder, given, mechanism, epsilon, self.delta)
            keys = [sys.executable, "-m", "dpsynth", "keys", "new", "-o", str(folder / "key.pem")]
            subprocess.run(keys, check=True, capture_output=True)
            command = [sys.executable, "-m", "dpsynth", "run", str(release), "--out", str(folder / "out")]
            found = self._measured(command, given, folder / "out" / "data.csv")
        if self.quick and "failed" in found:
            raise SystemExit(found["failed"])
        return found

    def theirs(self, given: Table, peer: Peer, epsilon: str) -> Found:
        """One run of a peer, from the coded table to coded rows."""
        with tempfile.TemporaryDirectory() as temporary:
            job, rows = Path(temporary) / "job.json", Path(temporary) / "rows.csv"
            budget = {"epsilon": float(epsilon), "delta": float(self.delta)}
            job.write_text(json.dumps({"table": str(given.path), "sizes": given.sizes, **budget, **peer.settings}))
            worker = [str(peer.environment.python), "-W", "ignore", str(HERE / "workers" / peer.worker)]
            return self._measured([*worker, str(job), str(rows)], given, rows)

    def _measured(self, command: list[str], given: Table, rows: Path) -> Found:
        before = os.getloadavg()[0]
        done = cold(command, self.patience)
        found: Found = {"s": done.seconds, "CPU s": done.cpu, "peak MiB": done.peak}
        found["load"] = [before, os.getloadavg()[0]]
        found["day"] = datetime.datetime.now(datetime.UTC).date().isoformat()
        if done.failed:
            return {**found, "failed": done.failed}
        try:
            return {**found, **apart(distances, given, rows)}
        except (OSError, KeyError, ValueError) as error:
            return {**found, "failed": f"gave no rows that can be scored: {error}"}


def apart(do: Any, *arguments: Any) -> Any:
    """Do something in a process of its own: the memory of this one would count towards every run's peak."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(do, *arguments).result()


def write_inputs(folder: Path, given: Table, mechanism: str, epsilon: str, delta: str) -> Path:
    """The table with missing answers as empty fields, its schema and the release that asks for it."""
    import pandas as pd

    frame = pd.read_csv(given.path, dtype=str)
    schema = ["[unit]", 'entity = "person"']
    for name, size in given.sizes.items():
        known = size - (name in given.missing)
        frame[name] = frame[name].where(frame[name] != str(known))
        schema.append(f"[columns.{json.dumps(name)}]\nnullable = {str(name in given.missing).lower()}")
        if name in given.ordered and known > 1:
            schema.append(f'type = "integer"\nmin = 0\nmax = {known - 1}\nbins = {known}')
        else:
            schema.append(f'type = "categorical"\nvalues = {json.dumps([str(code) for code in range(known)])}')
    frame.to_csv(folder / "table.csv", index=False)
    (folder / "schema.toml").write_text("\n".join(schema))
    release = folder / "release.toml"
    release.write_text(
        '[data]\nsource = "table.csv"\nschema = "schema.toml"\n'
        f'[budget]\nstore = "accounts.db"\nepsilon = "{epsilon}"\ndelta = "{delta}"\n'
        f'[mechanism]\nname = "{mechanism}"\n'
        '[release]\nid = "bench"\nformats = ["parquet", "csv"]\nsign_with = "key.pem"\n'
    )
    return release


def distances(given: Table, rows: Path) -> Found:
    """The scorer's figures, every code compared as text and a missing answer as its code."""
    import pandas as pd

    spec = importlib.util.spec_from_file_location("score", SCORER)
    assert spec is not None and spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    real, made = (pd.read_csv(path, dtype=str) for path in (given.path, rows))
    for name in given.missing:
        made[name] = made[name].fillna(str(given.sizes[name] - 1))
    found = scorer.score(real, made)
    return {**{f"{k}-way": found[k]["mean"] for k in found}, "max 2-way": found[2]["max"]}


def kept(given: Table, key: str, epsilon: str, delta: str) -> list[Path]:
    """The files of a peer's earlier runs on this very table, in order."""
    return sorted((RUNS / given.digest[:16]).glob(f"{given.name} {epsilon} {delta} {key} *.json"))


@dataclass
class Section:
    """What was found on one table at one budget: runs by mechanism, and by peer; ``absent``: peers not installed."""

    given: Table
    epsilon: str
    ours: dict[str, list[Found]] = field(default_factory=dict)
    theirs: dict[str, list[Found]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def text(self, delta: str) -> str:
        rows: list[list[object]] = []
        for name, runs in self.ours.items():
            rows.append([f"dpsynth {name}", f"mean of {len(runs)}", *figures(runs, mean)])
            rows.append([f"dpsynth {name}", f"worst of {len(runs)}", *figures(runs, max)])
        for key, runs in self.theirs.items():
            rows.append([PEERS[key].name, f"mean of {len(runs)}" if len(runs) > 1 else "1", *figures(runs, mean)])
        for key in self.absent:
            rows.append([PEERS[key].name, "–", *[None] * len(FIGURES)])
        each = [f"{name} " + ", ".join(brief(run) for run in runs) for name, runs in self.ours.items()]
        said = [
            f"### Accuracy: {self.given.name} at epsilon {self.epsilon}, delta {delta}",
            f"{self.given.title}. Each run is a new process, from the table to the rows; its peak is that of its "
            "largest process, its CPU that of all its threads. Mean total variation distance over all 1-, 2- and "
            "3-way marginals, and the largest of a 2-way one; peers have the two-way workload where they take one, "
            "and their defaults.",
            table(("", "runs", *FIGURES), rows).strip(),
            f"Seconds and two-way distance of each run: {'; '.join(each)}." if each else "",
            self._ratios(),
            "\n".join(f"- {name}: {what}" for name, what in self._remarks()),
        ]
        return "\n\n".join(part for part in said if part) + "\n"

    def _ratios(self) -> str:
        """Theirs over the mean of ours, each of RATIOS."""
        keys = [*self.theirs, *self.absent]
        if not keys or not self.ours:
            return ""
        rows = [
            [PEERS[key].name, *(over(self.theirs.get(key, []), runs) for runs in self.ours.values())] for key in keys
        ]
        return f"Theirs over the mean of ours: {'; '.join(RATIOS)}.\n\n" + table(("", *self.ours), rows).strip()

    def _remarks(self) -> list[tuple[str, str]]:
        runs = [(f"dpsynth {name}", run) for name, all_ in self.ours.items() for run in all_]
        runs += [(PEERS[key].name, run) for key, all_ in self.theirs.items() for run in all_]
        remarks = [(name, str(run["failed"]).replace("|", "/")) for name, run in runs if "failed" in run]
        remarks += [(PEERS[key].name, why) for key, why in self.absent.items()]
        if unasked := [peer.name for key, peer in PEERS.items() if key not in (*self.theirs, *self.absent)]:
            remarks.append(("not asked", ", ".join(unasked)))
        for who, all_ in (("ours", self.ours), ("the peers", self.theirs)):
            each = [run for of in all_.values() for run in of]
            if each:
                loads, days = [load for run in each for load in run["load"]], sorted({run["day"] for run in each})
                span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
                remarks.append((f"load average while {who} ran", f"{min(loads):.1f} to {max(loads):.1f} ({span})"))
        return remarks


def brief(run: Found) -> str:
    """A run in few words."""
    return "failed" if "failed" in run else f"{run['s']:.3g} s {run['2-way']:.4f}"


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def figures(runs: list[Found], of: Any) -> list[float | None]:
    """A row; a failure of any run leaves blank what it could not measure."""
    return [of([run[name] for run in runs]) if all(name in run for run in runs) else None for name in FIGURES]


def over(theirs: list[Found], ours: list[Found]) -> str | None:
    """The ratios of the means; None where a run has failed or there is none."""
    if not theirs or any("failed" in run for run in [*theirs, *ours]):
        return None
    means = [(mean([run[name] for run in theirs]), mean([run[name] for run in ours])) for name in RATIOS]
    return "; ".join(f"{a / b:.3g}" if b else "–" for a, b in means)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs="+", default=["adult_codes"], help=f"of {', '.join(TABLES)}; or a path")
    parser.add_argument("--rows", type=int, default=0, help="so many rows, drawn with replacement from the table's")
    parser.add_argument("--mechanism", nargs="+", default=["mrm"])
    parser.add_argument("--epsilon", nargs="+", default=["1"])
    parser.add_argument("--delta", default="1e-9")
    parser.add_argument("--runs", type=int, default=5, help="of each of our mechanisms; 0: the peers alone")
    peers = parser.add_mutually_exclusive_group()
    peers.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER", help=", ".join(PEERS))
    peers.add_argument("--no-peers", action="store_true")
    parser.add_argument("--peer-runs", type=int, default=1)
    parser.add_argument("--patience", type=float, default=900, help="seconds after which a run is stopped")
    parser.add_argument("--reuse", action="store_true", help="take what is kept of the peers' earlier runs")
    parser.add_argument("--json", action="store_true", help="print every run and write nothing")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one run on few rows, nothing is written")
    asked = parser.parse_args()
    if not SCORER.exists():
        raise SystemExit("the scorer and the tables of ../shared are not at hand")
    bench = Bench(asked.delta, asked.patience, asked.quick)
    keys = [] if asked.no_peers else asked.peers
    lacking = {one: one.lacking() for one in {PEERS[key].environment for key in keys}}
    sections = []
    for name in asked.table:
        with tempfile.TemporaryDirectory() as folder:
            given = apart(make, name, Path(folder), asked.rows, 500 if asked.quick else 0)
            for epsilon in asked.epsilon:
                section = Section(given, epsilon)
                for mechanism in asked.mechanism if asked.runs else ():
                    times = 1 if asked.quick else asked.runs
                    section.ours[mechanism] = [bench.ours(given, mechanism, epsilon) for _ in range(times)]
                for key in keys:
                    runs = theirs(bench, given, key, epsilon, asked, lacking[PEERS[key].environment])
                    if runs:
                        section.theirs[key] = runs
                    else:
                        section.absent[key] = lacking[PEERS[key].environment]
                sections.append(section)
                if not asked.json:
                    rows = f"-{asked.rows}" if asked.rows else ""
                    publish(f"utility-{given.name}{rows}-{epsilon}", section.text(asked.delta), asked.quick)
    if asked.json:
        found = [
            {"table": one.given.name, "rows": one.given.rows, "epsilon": one.epsilon, "delta": asked.delta,
             "ours": one.ours, "peers": one.theirs, "absent": one.absent}
            for one in sections
        ]  # fmt: skip
        print(json.dumps(found))


def theirs(bench: Bench, given: Table, key: str, epsilon: str, asked: argparse.Namespace, lacking: str) -> list[Found]:
    """A peer's runs: those that are kept, where they may be reused, and as many more as are asked for."""
    files = kept(given, key, epsilon, bench.delta)
    runs: list[Found] = [json.loads(path.read_text()) for path in files[: asked.peer_runs]] if asked.reuse else []
    number = len(files)
    while not lacking and len(runs) < (1 if asked.quick else asked.peer_runs):
        run = bench.theirs(given, PEERS[key], epsilon)
        runs.append(run)
        number += 1
        if not asked.quick:
            place = RUNS / given.digest[:16]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{given.name} {epsilon} {bench.delta} {key} {number}.json").write_text(json.dumps(run))
    return runs


if __name__ == "__main__":
    main()
