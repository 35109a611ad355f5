"""Whole releases of wide tables: seconds, processor seconds and peak memory, by columns and by rows, beside numpy.

    python benchmarks/wide.py [--shapes 30x100000 100x10000 100x100000 100x1000000 200x100000 300x100000]
                              [--mechanisms mrm mst independent] [--slow aim privbayes] [--memory "3 GiB"]
                              [--patience 400] [--quick]

Each release is a new process that reads a Parquet file, fits, and writes the release folder; it is stopped after
``--patience`` seconds. Those that are ``--slow`` are tried at 100 columns and 100,000 rows alone, with half of the
patience. Columns have 2, 3, 5, 8, 12, 20, 50 and 100 cells in turn and hang together in ten groups. The bare pass, a
new process too, reads the same file and counts every pair of columns by ``numpy.bincount``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
from page import publish, table
from peers import Cold, cold

SIZES = (2, 3, 5, 8, 12, 20, 50, 100)
GROUPS = 10
SHAPES = ((30, 100_000), (100, 10_000), (100, 100_000), (100, 1_000_000), (200, 100_000), (300, 100_000))
SLOW = (100, 100_000)
BARE = "numpy counts all pairs"
HEAD = (
    "columns", "rows", "whole process", "s", "processor s", "peak MiB", "processor ms a pair",
    "processor ns a row and pair", "times as much a {}", "of numpy's processor s",
)  # fmt: skip

Shape = tuple[int, int]


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


def release(folder: Path, mechanism: str, memory: str) -> None:
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


def bare(folder: Path) -> None:
    """What a user of numpy would write: each pair by a place in its table, all columns in memory as int64."""
    import pyarrow.parquet as pq

    codes = [column.to_numpy() for column in pq.read_table(folder / "t.parquet").itercolumns()]
    for (i, one), (j, other) in combinations(enumerate(codes), 2):
        first, second = SIZES[i % len(SIZES)], SIZES[j % len(SIZES)]
        assert np.bincount(one * second + other, minlength=first * second).size == first * second


def measured(shape: Shape, mechanisms: list[str], asked: argparse.Namespace) -> dict[str, Cold]:
    """What the bare pass and each mechanism take on one table."""
    with tempfile.TemporaryDirectory() as temporary:
        me = [sys.executable, __file__, "--work", temporary]
        subprocess.run([*me, "--shapes", "x".join(map(str, shape))], check=True)
        found = {}
        for name in [BARE, *mechanisms]:
            patience = asked.patience / 2 if name in asked.slow else asked.patience
            found[name] = cold([*me, "--mechanisms", name, "--memory", asked.memory], patience)
            print(shape, name, found[name], file=sys.stderr, flush=True)
    return found


def line(shape: Shape, name: str, found: dict[Shape, dict[str, Cold]], before: Shape | None) -> list[object]:
    """A line of the table; ``before``: the shape to compare with, of which one of the two sizes is the same."""
    columns, rows = shape
    done, pairs = found[shape][name], comb(columns, 2)
    if done.failed:
        return [columns, rows, name, done.failed, done.cpu, done.peak, None, None, None, None]
    growth = None
    earlier = found[before].get(name) if before else None
    if before and earlier and not earlier.failed:
        growth = done.cpu / earlier.cpu * comb(before[0], 2) * before[1] / pairs / rows
    limit = found[shape][BARE]
    return [
        columns, rows, name, done.seconds, done.cpu, done.peak, done.cpu * 1e3 / pairs,
        done.cpu * 1e9 / pairs / rows, growth, None if name == BARE or limit.failed else done.cpu / limit.cpu,
    ]  # fmt: skip


def lines(found: dict[Shape, dict[str, Cold]], along: list[Shape]) -> list[list[object]]:
    """All lines of a row of shapes, each compared with the shape before it."""
    names = dict.fromkeys(name for shape in along for name in found[shape])
    steps = list(zip([None, *along], along, strict=False))
    return [line(shape, name, found, before) for name in names for before, shape in steps if name in found[shape]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["x".join(map(str, shape)) for shape in SHAPES])
    parser.add_argument("--mechanisms", nargs="+", default=["mrm", "mst", "independent"])
    parser.add_argument("--slow", nargs="*", default=["aim", "privbayes"])
    parser.add_argument("--memory", default="3 GiB", help="the limit of each release")
    parser.add_argument("--patience", type=float, default=400, help="seconds after which a release is stopped")
    parser.add_argument("--quick", action="store_true", help="a smoke test: small tables, nothing is written")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    shapes: list[Shape] = [(int(a), int(b)) for a, b in (text.split("x") for text in asked.shapes)]
    if asked.work and asked.mechanisms == [BARE]:
        return bare(asked.work)
    if asked.work and len(asked.mechanisms) == 1:
        return release(asked.work, asked.mechanisms[0], asked.memory)
    if asked.work:
        return make(asked.work, *shapes[0])
    if asked.quick:
        shapes, asked.mechanisms, asked.slow = [(3, 500), (5, 500)], [], ["independent"]
    slow = shapes[-1] if asked.quick else SLOW
    found = {
        shape: measured(shape, [*asked.mechanisms, *(asked.slow if shape == slow else [])], asked)
        for shape in sorted(shapes)
    }
    text = (
        f"### Wide tables\n\nWhole releases at epsilon 1 within a limit of {asked.memory}, each a new process from a "
        f"Parquet file to the release folder; beside it, *{BARE}* of the same file in a new process. Targets: mrm on "
        "100 columns and 1,000,000 rows in 600 s; 300 columns and 100,000 rows well below 180 s. A busy machine adds "
        "to seconds and not to processor seconds.\n"
    )
    for what, size, along in (("row", 0, "columns"), ("pair", 1, "rows")):
        for fixed in sorted({shape[size] for shape in found}):
            sizes = [shape for shape in found if shape[size] == fixed]
            if len(sizes) > 1:
                head = [name.format(what) for name in HEAD]
                text += f"\n**{fixed:,} {along}**\n\n{table(head, lines(found, sizes))}"
    publish("wide", text, asked.quick)


if __name__ == "__main__":
    main()
