"""Codes beside memory, read block by block or memory-mapped: processor seconds and peak of counting all pairs.

    python benchmarks/mapping.py [--rows 1000000 10000000 30000000] [--columns 14] [--quick]

Each way is a process of its own, over the same file of one-byte codes that the engine's store wrote, which is in the
system's cache for both. What encoding anew would take is the first column of benchmarks/scale.py.
"""

from __future__ import annotations

import argparse
import json
import mmap
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from memory import peak_mib
from page import publish, table

from dpsynth.measurement import Level, Query
from dpsynth.table.blocks import Blocks, Piece, Store
from dpsynth.table.counting import Tables

ROWS = (1_000_000, 10_000_000, 30_000_000)
SIZE = 16
LEAST = 1 << 18
"""Rows of a block."""


class Mapped(Store):
    """Gives views of a map of the whole file."""

    _map: mmap.mmap | None = None

    def get(self, piece: Piece, begin: int = 0, end: int | None = None) -> NDArray[Any]:
        if self._map is None:
            self._map = mmap.mmap(self._opened().fileno(), self._end, access=mmap.ACCESS_READ)
        stop = piece.size if end is None else end
        return np.frombuffer(self._map, piece.dtype, stop - begin, piece.begin + begin * piece.dtype.itemsize)


def measured(way: str, rows: int, columns: int) -> dict[str, float]:
    """Least processor seconds of counting all pairs, of five passes, and how far the peak rose."""
    names = [f"x{i}" for i in range(columns)]
    queries = [Query(pair) for pair in combinations([Level.identity(name, SIZE) for name in names], 2)]
    blocks, rng = Blocks((Mapped if way == "mapped" else Store)(0), LEAST), np.random.default_rng(0)
    for begin in range(0, rows, LEAST):
        number = min(LEAST, rows - begin)
        blocks.add({name: rng.integers(0, SIZE, number, dtype=np.uint8) for name in names}, number)
    blocks.flush()
    before, seconds = peak_mib(), float("inf")
    for _ in range(5):
        began = time.process_time()
        tables = Tables(queries)
        for number, block in blocks.parts(names):
            tables.add(block, number)
        seconds = min(seconds, time.process_time() - began)
    assert all(int(counts.sum()) == rows for counts in tables.counts())
    return {"s": seconds, "rise": peak_mib() - before}


def main() -> None:
    """What the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--columns", type=int, default=14)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few rows, nothing is written")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.one, given.rows[0], given.columns)))
        return
    found = []
    for rows in [20_000] if given.quick else given.rows:
        row: list[object] = [rows]
        for way in ("read", "mapped"):
            words = [sys.executable, __file__, "--one", way, "--rows", str(rows), "--columns", str(given.columns)]
            one = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
            row += [float(one["s"]), float(one["rise"])]
        found.append(row)
    text = (
        f"### Codes beside memory: read or mapped\n\nAll pairs of {given.columns} columns of one-byte codes in the "
        "engine's file, each way in a process of its own: the best of five passes, and how far the peak rises.\n\n"
    )
    head = ["rows", "read: processor s", "peak rises by MiB", "mapped: processor s", "peak rises by MiB"]
    publish("mapping", text + table(head, found), given.quick)


if __name__ == "__main__":
    main()
