"""All two-way marginals of a large table: ours, a bare numpy pass and mbi's Dataset.project.

    python benchmarks/counting.py [--rows 1000000] [--no-peers] [--quick]

Rows of UCI Adult drawn with replacement (made-up codes of the same sizes where ../shared is not at hand). The numpy
pass is a bincount of an int64 place for each pair, over whole columns. Every answer is compared with ours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from page import publish, table
from peers import Run, mbi_python, ratio, work
from problems import DATA, adult

from dpsynth.measurement import Level, Query
from dpsynth.table.counting import Tables

SIZES = (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2)
"""Adult's."""


def people(rows: int) -> list[np.ndarray]:
    """A column of uint8 codes for each of SIZES."""
    rng = np.random.default_rng(0)
    if not DATA.exists():
        return [(rng.random(rows) ** 2 * size).astype(np.uint8) for size in SIZES]
    codes = adult()[2]
    drawn = rng.integers(0, len(codes), rows)
    return [codes[drawn, j].astype(np.uint8) for j in range(len(SIZES))]


def timed(work: Callable[[], Any], runs: int) -> tuple[float, float, Any]:
    """Seconds of the first run, of the best later one, and the answer."""
    seconds = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - began)
    return seconds[0], min(seconds[1:]), answer


def bare(columns: list[np.ndarray]) -> list[np.ndarray]:
    """What a user of numpy would write."""
    return [
        np.bincount(columns[i].astype(np.int64) * SIZES[j] + columns[j], minlength=SIZES[i] * SIZES[j])
        for i, j in combinations(range(len(SIZES)), 2)
    ]


def measured(rows: int, mbi: Path | None, runs: int) -> list[object]:
    """A row of the table; AssertionError if an answer is not ours."""
    columns = people(rows)
    levels = [Level.identity(f"x{j}", size) for j, size in enumerate(SIZES)]
    queries = [Query(pair) for pair in combinations(levels, 2)]
    codes = {level.column: column for level, column in zip(levels, columns, strict=True)}
    first, later, ours = timed(lambda: whole(codes, rows, queries), runs)
    _, together, both = timed(lambda: halves(codes, rows, queries), runs)
    assert all(np.array_equal(a, b) for a, b in zip(ours, both, strict=True))
    _, plain, simple = timed(lambda: bare(columns), max(runs // 2, 1))
    assert all(np.array_equal(a.ravel(), b) for a, b in zip(ours, simple, strict=True))
    theirs = Run({}, failed="left out")
    if mbi:
        theirs = work(mbi, "mbi_count.py", lambda path: np.savez(path, sizes=SIZES, codes=np.stack(columns)))
        assert theirs.failed or all(np.array_equal(a, b) for a, b in zip(ours, theirs.tables, strict=True))
    return [
        rows, first, later, 1e9 * later / rows / len(queries), together, plain, ratio(plain, later),
        theirs.failed or theirs["cold"], ratio(theirs["cold"], first),
        theirs["warm"], ratio(theirs["warm"], later),
    ]  # fmt: skip


def whole(codes: dict[str, np.ndarray], rows: int, queries: list[Query]) -> tuple[np.ndarray, ...]:
    """All rows at once, as the engine counts them."""
    tables = Tables(queries)
    tables.add(codes, rows)
    return tables.counts()


def halves(codes: dict[str, np.ndarray], rows: int, queries: list[Query]) -> list[np.ndarray]:
    """The same counts from two threads, each over half of the rows."""
    cuts, half = (0, rows // 2, rows), [Tables(queries), Tables(queries)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(tables.add, {name: column[low:high] for name, column in codes.items()}, high - low)
            for tables, low, high in zip(half, cuts, cuts[1:], strict=False)
        ]
        for job in jobs:
            job.result()
    return [one + other for one, other in zip(half[0].counts(), half[1].counts(), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--no-peers", action="store_true", help="leave mbi out")
    parser.add_argument("--quick", action="store_true", help="a smoke test: few rows, no peer, nothing is written")
    asked = parser.parse_args()
    mbi = None if asked.no_peers or asked.quick else mbi_python()
    most = 10_000 if asked.quick else asked.rows
    rows = [measured(n, mbi, 1 if asked.quick else 7) for n in (most // 100, most // 10, most)]
    head = (
        "rows", "first s", "later s", "ns a row and pair", "two threads s", "numpy s", "ratio", "mbi first s", "ratio",
        "mbi later s",        "ratio",
    )  # fmt: skip
    publish(
        "counting",
        f"### Counting\n\nAll two-way marginals of {len(SIZES)} columns: the first pass of a process, imports left "
        "out, and the best of later ones. The numpy pass is a bincount for each pair over whole columns. We use one "
        "thread: two, each over half of the rows, take what the table says, as np.bincount holds the interpreter's "
        "lock while it counts. mbi's answers are float32. Target: 0.5 s for 1,000,000 rows.\n\n" + table(head, rows),
        asked.quick,
    )


if __name__ == "__main__":
    main()
