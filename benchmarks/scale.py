"""Reading, encoding, truncating and counting all pairs of artificial people, beside bare passes over the same rows.

    python benchmarks/scale.py [--rows 100000 1000000 10000000 100000000] [--memory "3 GiB"] [--folder DIR] [--quick]

Each size is a process of its own, limited to ``--memory``. The bare passes: DuckDB groups and counts each of the
columns in the Parquet file, a query a column; numpy counts each pair of columns of the codes, block by block, by a
``bincount`` of an int64 place. ``--folder`` keeps the files of people, ``p100000.parquet`` and so on, for another run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from memory import peak_mib
from page import publish, table

from dpsynth import people
from dpsynth.encoding import Constraints, codecs
from dpsynth.measurement import Query, grid
from dpsynth.schema.quantity import bytes_of
from dpsynth.table import Source
from dpsynth.table.encoded import Encoder
from dpsynth.table.limit import Sizes
from dpsynth.table.local import Local, opened

SIZES = (100_000, 1_000_000, 10_000_000, 100_000_000)


def measured(path: Path, memory: str) -> dict[str, Any]:
    """Seconds, processor seconds and the peak of one pass; what the bare pass of numpy takes, and whether it agrees."""
    schema = people.schema()
    columns = codecs(schema)
    encoder = Encoder(columns, schema.unit, Constraints.of(schema, columns))
    queries = [Query(pair) for pair in combinations(grid(columns).levels.values(), 2)]
    marks = [(time.perf_counter(), time.process_time())]

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time()))

    engine = opened(Source.of(path), encoder, bytes(32), Sizes.of(bytes_of(memory, "--memory")))
    mark()
    counts = engine.count(queries)
    mark()
    peak = peak_mib()
    began = time.perf_counter()
    plain = bare(engine, queries)
    numpy_seconds = time.perf_counter() - began
    assert all(np.array_equal(one.ravel(), two) for one, two in zip(counts, plain, strict=True))
    steps = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(marks)]
    return {"open": steps[0], "count": steps[1], "peak": peak, "numpy": numpy_seconds, "pairs": len(queries)}


def bare(engine: Local, queries: list[Query]) -> list[np.ndarray]:
    """What a user of numpy would write for codes that come in blocks."""
    found = [np.zeros(query.cells, dtype=np.int64) for query in queries]
    names = list(dict.fromkeys(name for query in queries for name in query.columns))
    fields = dict(zip(names, (engine._fields[name] for name in names), strict=True))
    for _, block in engine._blocks.parts(list(fields.values())):
        for total, query in zip(found, queries, strict=True):
            first, second = query.levels
            place = first.cells[block[fields[first.column]]].astype(np.int64) * second.size
            total += np.bincount(place + second.cells[block[fields[second.column]]], minlength=total.size)
    return found


def scanned(path: Path) -> float:
    """Seconds that DuckDB takes to group and count each column by itself."""
    import duckdb

    names = [*people.schema().columns]
    began = time.perf_counter()
    with duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    ) as connection:
        for name in names:
            connection.execute(f'SELECT "{name}", count(*) FROM read_parquet(?) GROUP BY 1', [str(path)]).fetchall()
    return time.perf_counter() - began


def row(rows: int, folder: Path, memory: str) -> list[object]:
    """A row of the table, of a process of its own."""
    path = folder / f"p{rows}.parquet"
    if not path.exists():
        people.write_parquet(path, rows)
    words = [sys.executable, __file__, "--one", str(path), "--memory", memory]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    (opening, work), (counting, more) = found["open"], found["count"]
    duck = scanned(path)
    return [
        rows, float(opening), float(counting), float(work + more), 1e9 * (work + more) / rows,
        1e9 * more / rows / found["pairs"], float(found["peak"]), float(duck), (opening + counting) / duck,
        float(found["numpy"]), counting / found["numpy"],
    ]  # fmt: skip


def main() -> None:
    """What the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--memory", default="3 GiB")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.one, given.memory)))
        return
    sizes = (2000, 20_000) if given.quick else given.rows
    head = [
        "people", "read, encode, truncate s", "count all pairs s", "processor s", "processor ns a row",
        "count: processor ns a row and pair", "peak MiB", "DuckDB s", "of DuckDB", "numpy s", "count of numpy",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        found = [row(rows, given.folder or Path(scratch), given.memory) for rows in sizes]
    text = (
        "### Larger than memory: counting people\n\n"
        f"{len(people.schema().columns)} columns from Parquet, the unit of privacy enforced, all pairs at the declared "
        f"levels, each size a cold process limited to {given.memory}. Seconds are wall time; a busy machine adds to "
        "them and not to processor seconds. *DuckDB* groups and counts each column of the file by itself; *numpy* "
        "counts the same pairs of the same codes.\n\n"
    )
    publish("scale", text + table(head, found), given.quick)


if __name__ == "__main__":
    main()
