"""How fast models are fitted, side by side with mbi at its defaults in an environment of its own.

    python benchmarks/inference.py [--no-peers] [--only tree ring refit rounds joint large greedy] [--quick]

Every fit is a new process that reads the same file of noisy marginals (problems.py); ours and mbi's take turns, and
the best of the runs counts. Writes one section of benchmarks/README.md for each part.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from page import publish, table
from peers import Run, mbi_python, ratio, work
from problems import DATA, Problem, adult, adult_tree, binary, growing, hundred, measure, ring

from dpsynth.measurement import Domain
from dpsynth.model import JunctionTree

SHRINKAGE = ("1", "0.5", "0.25", "0.1", "0.03", "0.01", "0.003")
NOISE = "0.01"
"""The slack with which a fit stops at the noise."""

FINE, CAP = "0.001", "500"
"""Slack and most evaluations of a fit that is to reach a loss, which is known to a few units."""


@dataclass(frozen=True)
class Bench:
    """``mbi`` is its interpreter; None leaves it out."""

    mbi: Path | None
    quick: bool

    def ours(self, problem: Problem, *options: str) -> Run:
        """Ours alone. A failure is shown in the table, and is the end of a smoke test."""
        found = work(sys.executable, "ours.py", problem.save, *options)
        if found.failed and self.quick:
            raise SystemExit(found.failed)
        return found

    def both(self, problem: Problem, runs: int = 2, times: int = 1) -> tuple[Run, Run]:
        """Ours and mbi's, taking turns ``times`` times, ``runs`` fits in each process."""
        found: tuple[list[Run], list[Run]] = ([], [])
        for _ in range(times):
            found[0].append(self.ours(problem, "--runs", str(max(runs, 3))))
            if self.mbi:
                found[1].append(work(self.mbi, "mbi_fit.py", problem.save, "--runs", str(runs)))
        return best(found[0]), best(found[1]) if self.mbi else Run({}, failed="left out")

    def reaching(self, problem: Problem, goal: float) -> tuple[str, Run]:
        """Ours at the strongest shrinkage that gives a loss, to half a percent."""
        for shrinkage in SHRINKAGE:
            found = self.ours(problem, "--shrinkage", shrinkage, "--slack", FINE, "--cap", CAP, "--runs", "3")
            if found.failed or problem.loss(found.tables) <= 1.005 * goal:
                return shrinkage, found
        return SHRINKAGE[-1], Run({}, failed="does not reach that loss")


def best(runs: list[Run]) -> Run:
    """The least time of each kind; the first that failed, if one did."""
    failed = [run for run in runs if run.failed]
    if failed:
        return failed[0]
    least = {
        key: min(run[key] for run in runs) for key in ("cold", "warm", "again") if runs[0].figures.get(key) is not None
    }
    return Run({**runs[0].figures, **least}, runs[0].tables)


def tree(bench: Bench) -> str:
    """Adult's spanning tree at three noise scales."""
    if not DATA.exists() and not bench.quick:
        return "### Adult's spanning tree\n\nNot measured: the table of ../shared/data is not at hand.\n"
    rows = []
    for epsilon in ("1",) if bench.quick else ("1", "0.1", "10"):
        problem = ring(4, 5) if bench.quick else adult_tree(epsilon=epsilon)
        ours, theirs = bench.both(problem, times=2 if epsilon == "1" and not bench.quick else 1)
        goal = problem.loss(theirs.tables) if theirs.tables else None
        rows.append(fit_row(f"{epsilon}, mbi", problem, theirs, None))
        rows.append(fit_row(f"{epsilon}, ours", problem, ours, theirs))
        if goal is not None:
            shrinkage, again = bench.reaching(problem, goal)
            rows.append(fit_row(f"{epsilon}, ours, shrinkage {shrinkage}", problem, again, theirs))
    return (
        f"### Adult's spanning tree\n\n{len(problem.cliques)} marginals with {problem.cells:,} cells: all one-ways and "
        "the pairs of a spanning tree, normal noise at the zCDP budget of (epsilon, 1e-9) in equal parts. Cold is a "
        "new process, imports and compilation included; warm the best later fit in it. Loss is sum (y - fitted)^2 / 2 "
        "sigma^2, by one function for both; distance the mean total variation from the tables without noise: below "
        "some loss a fit follows the noise. The default is exact to 1e-9 and drawn to independence as far as the noise "
        f"asks; the last row of each epsilon has slack {FINE} and the strongest shrinkage that reaches mbi's loss "
        f"to half a percent within {CAP} evaluations. Target: 10 times faster, cold, at mbi's loss.\n\n"
        + table(HEAD, rows)
    )


HEAD = ("epsilon, fit", "cold s", "mbi/ours", "warm s", "mbi/ours", "evaluations", "peak MiB", "loss", "distance")


def fit_row(name: str, problem: Problem, run: Run, theirs: Run | None) -> list[object]:
    if run.failed:
        return [name, run.failed, *[None] * 7]
    ratios = (ratio(theirs["cold"], run["cold"]), ratio(theirs["warm"], run["warm"])) if theirs else (None, None)
    loss, distance = problem.loss(run.tables), f"{problem.distance(run.tables):.4f}"
    return [name, run["cold"], ratios[0], run["warm"], ratios[1], run["evaluations"], run["peak"], loss, distance]


FITTED = (
    "tree cells", "fit", "cold s", "mbi/ours", "warm s", "mbi/ours", "evaluations", "ms each", "ns a cell", "peak MiB",
    "loss", "distance",
)  # fmt: skip


def fitted(problem: Problem, name: str, cells: object, run: Run, theirs: Run) -> list[object]:
    """A row: how long a fit took, beside mbi's, and how good it is."""
    each = ratio(run["warm"], run["evaluations"])
    return [
        cells, name, run.failed or run["cold"], ratio(theirs["cold"], run["cold"]), run["warm"],
        ratio(theirs["warm"], run["warm"]), run["evaluations"], each and 1e3 * each,
        each and run["cells"] and 1e9 * each / run["cells"], run["peak"],
        problem.loss(run.tables) if run.tables else None,
        f"{problem.distance(run.tables):.4f}" if run.tables else None,
    ]  # fmt: skip


def rings(bench: Bench) -> str:
    """30 pairs around a ring at three sizes of the tree."""
    rows, problem = [], ring(4, 3)
    for size in (3, 4, 5) if bench.quick else (7, 15, 33):
        problem = ring(6 if bench.quick else 30, size)
        ours, theirs = bench.both(problem, times=2 if size < 30 and not bench.quick else 1)
        runs = [("ours", ours), ("mbi", theirs)]
        if theirs.tables:
            shrinkage, again = bench.reaching(problem, problem.loss(theirs.tables))
            runs.insert(1, (f"ours, shrinkage {shrinkage}", again))
        rows += [fitted(problem, name, ours["cells"], run, theirs) for name, run in runs]
    return (
        f"### A ring of pairs\n\n{len(problem.cliques)} two-way marginals whose junction tree has the cells of the "
        "first column; ms and ns are the warm fit divided by its evaluations (and cells); the rest as above. Targets "
        "at 1e6 cells: 10 times faster than mbi cold, 3 times warm, 12 ms an evaluation.\n\n" + table(FITTED, rows)
    )


def refit(bench: Bench) -> str:
    """One more measurement, from the fit without it."""
    problems = {"a ring of 12 pairs, the last one added": ring(5 if bench.quick else 12, 4 if bench.quick else 10)}
    if DATA.exists() and not bench.quick:
        problems["Adult's tree and one more pair"] = adult_tree(extra=1)
        problems["Adult's tree and ten more pairs"] = adult_tree(extra=10)
        problems["199 measurements on one table"] = binary()
    rows: list[list[object]] = []
    for name, problem in problems.items():
        for stop, slack in (("at the noise", NOISE), ("exact to 1e-9", "0")):
            run = best([bench.ours(problem, "--grow", "--runs", "3", "--slack", slack) for _ in range(5)])
            figures = ("cold", "warm", "evaluations", "again", "again_evaluations")
            ends = [run.failed or run["cells"], *(run[key] for key in figures)]
            rows.append([name, stop, *ends, *(ratio(run[key], run["again"]) for key in ("cold", "warm"))])
    head = (
        "work", "stop", "tree cells", "cold s", "afresh s", "evaluations", "from the fit before s", "evaluations",
        "cold ratio", "afresh ratio",
    )  # fmt: skip
    return (
        "### One more clique\n\nThe fit with one more measurement: in a new process (cold), afresh in a process that "
        f"is warm, and there started from the fit without it; at the noise is slack {NOISE}. Each is the best of five "
        "processes, which fit once cold and three times in the other ways. Target: 5 times faster than our own cold "
        "fit.\n\n" + table(head, rows)
    )


def rounds(bench: Bench) -> str:
    """Loops that add measurements and fit again, as mechanisms do."""
    if not DATA.exists() and not bench.quick:
        return "### Rounds\n\nNot measured: the table of ../shared/data is not at hand.\n"
    if bench.quick:
        rng = np.random.default_rng(4)
        base = rng.integers(0, 6, 500)
        data = (tuple("abcde"), (6,) * 5, np.column_stack([(base + rng.integers(0, 3, 500)) % 6 for _ in range(5)]))
    else:
        data = adult()
    loops = [
        ("one pair a round", growing(data, (32,), 60.0, 500_000, 40), 1),
        ("five pairs a round", growing(data, (32,), 30.0, 500_000, 40), 5),
        ("four tables a round, each pair in 8, later in 32 groups", growing(data, (8, 32), 40.0, 500_000, 60), 4),
    ]
    rows: list[list[object]] = []
    for name, problem, per in loops:
        run = work(sys.executable, "rounds.py", problem.save, "--per", str(per), "--slack", NOISE)
        if run.failed and bench.quick:
            raise SystemExit(run.failed)
        cold = bench.ours(problem, "--slack", NOISE)["cold"]
        keys = (
            "rounds", "cells", "warm", "warm_evaluations", "afresh", "afresh_evaluations", "exact", "exact_evaluations",
            "exact_afresh", "exact_afresh_evaluations", "warm_last",
        )  # fmt: skip
        ends = [run.failed or run[keys[0]], *(run[key] for key in keys[1:])]
        rows.append([name, *ends, cold, ratio(cold, run["warm_last"])])
    head = (
        "a round adds", "rounds", "tree cells", "rounds s", "evaluations", "all afresh s", "evaluations", "exact s",
        "evaluations", "afresh s", "evaluations", "last refit s", "new process s", "ratio",
    )  # fmt: skip
    return (
        "### Rounds\n\nAdult in at most 32 groups a column: all one-ways, then pairs from the strongest on while the "
        f"tree stays below 500,000 cells, normal noise of 30 to 60 rows. Every round is fitted with slack {NOISE} from "
        "the fit before, and in the same process afresh; after the last round exactly, to 1e-9. The last columns set "
        "the last refit beside the same fit in a new process. Target: 5 times faster.\n\n" + table(head, rows)
    )


def joint(bench: Bench) -> str:
    """199 measurements on one table of 65,536 cells."""
    rows, problem = [], binary(5, 3)
    for columns, triples in ((5, 3), (6, 4)) if bench.quick else ((12, 47), (14, 55), (16, 63)):
        problem = binary(columns, triples)
        ours, theirs = bench.both(problem) if columns == 16 else (bench.ours(problem, "--runs", "3"), Run({}))
        runs = [("ours", ours)]
        if theirs.tables:
            shrinkage, again = bench.reaching(problem, problem.loss(theirs.tables))
            runs += [(f"ours, shrinkage {shrinkage}", again), ("mbi", theirs)]
        rows += [fitted(problem, name, ours["cells"], run, theirs) for name, run in runs]
    return (
        "### Many measurements on one table\n\nBinary columns: all one-ways, all pairs and some triples (125, 160, 199 "
        "measurements), whose tree is one joint table. mbi is asked for the largest alone. Target: 3 s for 199 "
        "measurements on 65,536 cells.\n\n" + table(FITTED, rows)
    )


def large(bench: Bench) -> str:
    """Trees of ten million cells."""
    if bench.quick:
        problems = {"a ring of 5 columns": ring(5, 4)}
    else:
        problems = {
            "a ring of 30 columns of 71 values": ring(30, 71),
            "three pairs of 215 x 215": ring(3, 215),
            "23 binary columns, one-ways and pairs": binary(23, 0),
        }
    rows = []
    for name, problem in problems.items():
        run = bench.ours(problem)
        figures = (run.failed or run["cells"], run["cold"], run["evaluations"], run["peak"], run["converged"])
        rows.append((name, problem.cells, *figures))
    return (
        "### Large trees\n\nTrees of about ten million cells, each fitted once, in a new process. Target: 4 GiB.\n\n"
        + table(("work", "measured cells", "tree cells", "cold s", "evaluations", "peak MiB", "converged"), rows)
    )


def greedy(bench: Bench) -> str:
    """Pairs of 100 columns, added while the tree stays small."""
    rows = []
    for limit in (2_000, 3_000) if bench.quick else (10_000, 100_000, 1_000_000):
        names, sizes, codes, pairs = hundred(500, 6) if bench.quick else hundred()
        domain = Domain(names, sizes)
        began = time.perf_counter()
        grown, taken = JunctionTree.of(domain, []), []
        for pair in pairs:
            if grown.cells_with(pair) < limit:
                grown = grown.grown(pair)
                taken.append(pair)
        structure = time.perf_counter() - began
        problem = measure(names, sizes, codes, taken)
        run = bench.ours(problem, "--runs", "2") if limit < 1_000_000 else bench.ours(problem)
        fit = run["warm"] or run["cold"]
        each = ratio(fit, run["evaluations"])
        rows.append([
            limit, len(pairs), len(taken), grown.cells, structure, run.failed or run["cells"], run["cold"],
            run["evaluations"], each and 1e3 * each, each and 1e9 * each / run["cells"], run["pairs_seconds"],
            run["peak"],
        ])  # fmt: skip
    head = (
        "limit", "pairs asked", "taken", "cells grown to", "structure s", "cells of the fit", "cold fit s",
        "evaluations", "ms each", "ns a cell", "all pairs s", "peak MiB",
    )  # fmt: skip
    return (
        "### A hundred columns\n\nPairs of columns of 10 values are taken in a random order whenever the tree stays "
        "below the limit (structure: all of these questions), then they are fitted in a new process, and the model is "
        "asked for the tables of all pairs of columns. Targets at 1e6 cells: structure 2 s, fit 20 s.\n\n"
        + table(head, rows)
    )


PARTS = {
    "tree": tree,
    "ring": rings,
    "refit": refit,
    "rounds": rounds,
    "joint": joint,
    "large": large,
    "greedy": greedy,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peers", action="store_true", help="leave mbi out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny problems, nothing is written")
    asked = parser.parse_args()
    bench = Bench(None if asked.no_peers else mbi_python(), asked.quick)
    for name in asked.only:
        publish(f"inference-{name}", PARTS[name](bench), asked.quick)


if __name__ == "__main__":
    main()
