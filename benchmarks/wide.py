"""Whole releases of wide tables: seconds and peak memory by the number of columns and rows.

    python benchmarks/wide.py [--columns 30 100 200 300] [--rows 100000 1000000] [--mechanisms mrm] [--memory "3 GiB"]
                              [--patience 1800] [--quick]

Each release is a new process that reads a Parquet file, fits, and writes the release folder. Columns have 2, 3, 5, 8,
12, 20, 50 and 100 cells in turn and hang together in ten groups.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from math import comb
from pathlib import Path

import numpy as np
from page import publish, table
from peers import cold

SIZES = (2, 3, 5, 8, 12, 20, 50, 100)
GROUPS = 10


def make(folder: Path, columns: int, rows: int) -> None:
    """Write ``t.parquet`` and ``s.toml``; run in a process of its own, so that its memory counts for nobody else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    shared = rng.random((rows, GROUPS))
    held, declared = {}, []
    for j in range(columns):
        size, name = SIZES[j % len(SIZES)], f"x{j:03}"
        held[name] = ((0.6 * shared[:, j % GROUPS] + 0.4 * rng.random(rows)) ** 1.5 * size).astype(np.int64)
        declared.append(f'[columns.{name}]\ntype = "integer"\nmin = 0\nmax = {size - 1}\nbins = {size}\n')
    pq.write_table(pa.table(held), folder / "t.parquet")
    (folder / "s.toml").write_text("\n".join(declared))


def work(folder: Path, mechanism: str, memory: str) -> None:
    """One release, from the file to its folder."""
    from dpsynth.release import synthesize

    made = synthesize(
        folder / "t.parquet",
        schema=folder / "s.toml",
        epsilon="1",
        delta="1e-9",
        mechanism=mechanism,
        memory=memory,
        store=folder / f"{mechanism}.db",
    )
    made.save(folder / f"out-{mechanism}")


def measured(columns: int, rows: int, mechanisms: list[str], memory: str, patience: float) -> list[list[object]]:
    """A line for each mechanism, on one table."""
    lines: list[list[object]] = []
    with tempfile.TemporaryDirectory() as temporary:
        me = [sys.executable, __file__, "--work", temporary]
        subprocess.run([*me, "--columns", str(columns), "--rows", str(rows)], check=True)
        for mechanism in mechanisms:
            done = cold([*me, "--mechanisms", mechanism, "--memory", memory], patience)
            pairs = comb(columns, 2)
            lines.append(
                [
                    columns,
                    rows,
                    mechanism,
                    done.failed or done.seconds,
                    None if done.failed else done.seconds * 1e3 / pairs,
                    None if done.failed else done.seconds * 1e9 / pairs / rows,
                    done.peak,
                ]
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, nargs="+", default=[30, 100, 200, 300])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--mechanisms", nargs="+", default=[])
    parser.add_argument("--memory", default="3 GiB", help="the limit of each release")
    parser.add_argument("--patience", type=float, default=1800, help="seconds after which a release is stopped")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one small table, nothing is written")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work and asked.mechanisms:
        return work(asked.work, asked.mechanisms[0], asked.memory)
    if asked.work:
        return make(asked.work, asked.columns[0], asked.rows[0])
    shapes = [(8, 1000)] if asked.quick else [(columns, rows) for rows in asked.rows for columns in asked.columns]
    lines = [
        line
        for columns, rows in shapes
        for line in measured(columns, rows, asked.mechanisms or ["mrm"], asked.memory, asked.patience)
    ]
    head = ("columns", "rows", "mechanism", "seconds", "ms a pair", "ns a row and pair", "peak MiB")
    publish(
        "wide",
        "### Wide tables\n\nWhole releases at epsilon 1, each a new process from a Parquet file to the release folder, "
        f"within a limit of {asked.memory}. Targets: mrm on 100 columns and 1,000,000 rows in 600 s; 300 columns and "
        "100,000 rows well below 180 s.\n\n" + table(head, lines),
        asked.quick,
    )


if __name__ == "__main__":
    main()
