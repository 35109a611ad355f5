"""The smooth density of a column whose bins are found: its fit in blocks beside the same fit by LAPACK's threads.

    python benchmarks/density.py [--cells 64 128 256] [--repeats 5] [--quick]

Each fit is of noisy counts of all cells at one level and of half as many at another. It is timed alone, and while every
core is kept busy by another process, where threads that wait for each other lose most.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from page import publish, table

from dpsynth.measurement import Level, NoisyMarginal, Query
from dpsynth.mechanisms import density
from dpsynth.mechanisms.density import Counted

CELLS = (64, 128, 256)
Floats = np.ndarray


def counted(cells: int) -> Counted:
    """A column of a falling density, each answer with the noise of epsilon 1 or so."""
    rng = np.random.default_rng(cells)
    real = 40_000 * np.exp(-np.arange(cells) / (cells / 6))
    real *= 40_000 / real.sum()
    levels = (Level.identity("x", cells), Level("x", np.arange(cells) // 2))
    answers = tuple(
        NoisyMarginal(Query((level,)), np.rint(values + rng.normal(0, 40, values.size)).astype(np.int64), 40, law, at)
        for at, (level, law) in enumerate((level, "rounded_gaussian") for level in levels)
        for values in [np.bincount(level.cells, real)]
    )
    return Counted(levels[0], np.zeros(cells, dtype=np.bool_), False, answers, 40_000.0)


def whole(matrix: Floats, right: Floats) -> tuple[Floats, float]:
    """What the blocks are beside: LAPACK on the whole matrix."""
    return np.linalg.solve(matrix, right), float(np.linalg.slogdet(matrix)[1])


def seconds(cells: int, repeats: int) -> float:
    """The median over several fits."""
    found = []
    for _ in range(repeats):
        fresh = counted(cells)
        began = time.perf_counter()
        assert fresh.mass.sum() > 0
        found.append(time.perf_counter() - began)
    return float(np.median(found))


def spin() -> None:
    """Keep a core busy."""
    while True:
        sum(range(10**6))


@contextmanager
def busy() -> Iterator[None]:
    """While every core has something else to do."""
    others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()


def main() -> None:
    """What the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=CELLS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a smoke test: one small fit, nothing is written")
    given = parser.parse_args()
    rows = []
    for cells in [32] if given.quick else given.cells:
        repeats = 1 if given.quick else given.repeats
        row: list[object] = [cells]
        for ours in (True, False):
            with mock.patch.object(density, "solution", density.solution if ours else whole):
                row.append(seconds(cells, repeats))
                with busy():
                    row.append(seconds(cells, repeats))
        rows.append(row)
    text = (
        "### Densities of found bins\n\nSeconds of one fit, the median of several: in blocks that need one thread, and "
        "by LAPACK on the whole; by itself, and while other processes keep every core busy.\n\n"
    )
    head = ["cells", "blocks s", "busy: blocks s", "LAPACK s", "busy: LAPACK s"]
    publish("density", text + table(head, rows), given.quick)


if __name__ == "__main__":
    main()
