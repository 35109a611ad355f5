"""How fast rows are drawn, and that every way of drawing gives the same ones.

    python benchmarks/sampling.py [--rows 1000000] [--columns 14] [--cells 16] [--workers 1 2]

A chain of pair tables with random masses, plus one numeric column in three whose model cells spread over 128 fine
cells each. Prints a Markdown row per number of workers: rows, columns, table cells, seconds, rows a second, the peak
memory of the process, the digest of the rows.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from dpsynth.measurement import Level
from dpsynth.sampling import IntegerTables, rows_digest, sample_chunks


def chain(columns: int, cells: int) -> IntegerTables:
    """Tables of a chain x0 -> x1 -> ..., deterministic and dense."""
    names = [f"x{j}" for j in range(columns)]
    levels = [
        Level(name, np.repeat(np.arange(cells), 128)) if j % 3 == 2 else Level.identity(name, cells)
        for j, name in enumerate(names)
    ]
    state = np.arange(cells, dtype=np.float64)
    pair = 1.0 + np.cos(state[:, None] * 2.3 + state[None, :] * 1.7) ** 2 * state[None, :]
    nodes = [((), (names[0],), pair[:1])]
    nodes += [((names[j - 1],), (names[j],), pair) for j in range(1, columns)]
    return IntegerTables.build(nodes, levels, {}, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=14)
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    start = time.perf_counter()
    tables = chain(asked.columns, asked.cells)
    print(f"tables of {tables.cells:,} cells rounded in {time.perf_counter() - start:.3f} s\n")
    print("| rows | columns | workers | s | rows/s | with digest s | peak MiB | digest |")
    print("|---|---|---|---|---|---|---|---|")
    for workers in asked.workers:
        start = time.perf_counter()
        drawn = sum(codes["x0"].size for codes in sample_chunks(tables, asked.rows, 0, workers))
        seconds = time.perf_counter() - start
        assert drawn == asked.rows
        start = time.perf_counter()
        digest = rows_digest(tables, asked.rows, 0, workers)
        hashed = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"| {asked.rows:,} | {asked.columns} | {workers} | {seconds:.2f} | {asked.rows / seconds:,.0f} "
            f"| {hashed:.2f} | {peak:.0f} | {digest[7:23]} |"
        )


if __name__ == "__main__":
    main()
