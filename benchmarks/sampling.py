"""How fast rows are drawn, that every number of workers gives the same ones, and what mbi takes.

    python benchmarks/sampling.py [--rows 10000000] [--workers 1 2] [--no-peers] [--quick]

From the model of Adult's spanning tree (a ring of 14 columns where ../shared is not at hand); a row of the table for a
hundredth, a tenth and all of the rows. mbi draws a tenth, from its own fit of the same noisy marginals.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from memory import peak_mib
from page import publish, table
from peers import mbi_python, work
from problems import DATA, Problem, adult_tree, ring

from dpsynth.measurement import Domain, Level
from dpsynth.model import FittedModel, Measurement, estimate
from dpsynth.sampling import IntegerTables, rows_digest, sample_chunks


def integer_tables(problem: Problem) -> IntegerTables:
    domain = Domain(problem.names, problem.sizes)
    pairs = zip(problem.cliques, problem.tables, strict=True)
    network = estimate(domain, [Measurement.of(domain, c, y, problem.scale) for c, y in pairs], problem.rows)
    sizes = dict(zip(domain.names, domain.sizes, strict=True))
    levels = {name: Level.identity(name, size) for name, size in sizes.items()}
    weights = {name: np.ones(size) for name, size in sizes.items()}
    return IntegerTables.from_model(FittedModel(network, levels, weights, problem.rows))


def drawn(tables: IntegerTables, rows: int, workers: int) -> list[object]:
    began = time.perf_counter()
    found = sum(next(iter(codes.values())).size for codes in sample_chunks(tables, rows, 0, workers))
    seconds = time.perf_counter() - began
    assert found == rows
    began = time.perf_counter()
    digest = rows_digest(tables, rows, 0, workers)
    hashed = time.perf_counter() - began
    columns = len(tables.columns)
    return [rows, workers, seconds, rows / seconds, 1e9 * seconds / rows / columns, hashed, peak_mib(), digest[7:19]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--no-peers", action="store_true", help="leave mbi out")
    parser.add_argument("--quick", action="store_true", help="a smoke test: few rows, no peer, nothing is written")
    asked = parser.parse_args()
    mbi = None if asked.no_peers or asked.quick else mbi_python()
    most = 20_000 if asked.quick else asked.rows
    problem = adult_tree() if DATA.exists() and not asked.quick else ring(14, 4)
    began = time.perf_counter()
    tables = integer_tables(problem)
    made = time.perf_counter() - began
    half = np.arange(tables.fine[0]) < (tables.fine[0] + 1) // 2
    began = time.perf_counter()
    conditioned = tables.given({tables.columns[0]: half})
    given = time.perf_counter() - began
    rows = [drawn(tables, n, workers) for n in (most // 100, most // 10, most) for workers in asked.workers]
    assert len({(row[0], row[-1]) for row in rows}) == len({row[0] for row in rows}), "workers change the rows"
    rows.append([*drawn(conditioned, most // 10, asked.workers[0])[:-1], "given a condition"])
    theirs = work(mbi, "mbi_fit.py", problem.save, "--rows", str(most // 10)) if mbi else None
    if theirs:
        seconds = theirs["draw_warm"]
        speed = (seconds, most // 10 / seconds, 1e9 * seconds / (most // 10) / len(problem.names)) if seconds else ()
        shown = [theirs.failed, None, None] if theirs.failed else speed
        rows.append([most // 10, "mbi", *shown, None, theirs["draw_peak"], None])
    head = ("rows", "workers", "s", "rows a second", "ns a cell", "s with digest", "peak MiB", "digest")
    publish(
        "sampling",
        f"### Sampling\n\nRows of {len(problem.names)} columns from a fitted tree, whose tables of {tables.cells:,} "
        f"integers took {made:.2f} s with the fit, and {given:.2f} s to be conditioned on half of a column; the peak "
        "is of the process so far. mbi's row is its second synthetic_data, after its own fit of the same marginals. "
        "Target: 10,000,000 rows in 15 s on 2 cores, under "
        "4 GiB.\n\n" + table(head, rows),
        asked.quick,
    )


if __name__ == "__main__":
    main()
