"""Encoding, truncating and counting people in Parquet on Spark, beside one process, and beside what Spark itself takes.

    python benchmarks/spark.py [--rows 100000 1000000 3000000] [--cores 2] [--quick]

One person a row, so every row's entity is looked at. All tables of two columns are asked. The first pass reads, encodes
and truncates the rows and counts; later ones only count. Each engine and size is a new process: *cold* is its first
pass, with the start of Java where there is one, *warm* the same again from the file, *counted again* a later pass. The
integers of all passes are compared. Spark keeps the encoded rows: to make them anew for each pass would take the first
pass again. Two bare passes of the warm session over the same file: Spark hands all rows to Python, which does nothing
(``mapInArrow``), and Spark groups and counts each column by itself, a query a column, in Java alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from page import publish, table

from dpsynth import people
from dpsynth.encoding import Constraints, codecs
from dpsynth.measurement import Query, grid
from dpsynth.table import Source, open_table

KEY = bytes(32)
CONFIGURATION = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "4g",
    "spark.sql.files.maxPartitionBytes": "32m",
    "spark.sql.shuffle.partitions": "8",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def processor() -> float:
    """Processor seconds of this process and of all below it, Java and its workers included; Linux alone, else 0."""
    spent, parents = dict[int, int](), dict[int, int]()
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(place.parent.name)
        parents[number], spent[number] = int(fields[1]), sum(map(int, fields[11:15]))
    ours = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(spent.get(number, 0) for number in ours) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, processor seconds, and what was done."""
    began, spent = time.perf_counter(), processor()
    result = work()
    return time.perf_counter() - began, processor() - spent, result


def passes(data: Any) -> dict[str, Any]:
    """Seconds of the pass that reads and of one that only counts, and a digest of what both counted."""
    asked = people.schema()
    declared = codecs(asked)
    queries = [Query(pair) for pair in combinations(grid(declared).levels.values(), 2)]
    held: list[Any] = []

    def first() -> str:
        held.append(open_table(Source.of(data), declared, asked.unit, KEY, Constraints.of(asked, declared)))
        return again()

    def again() -> str:
        digest = hashlib.sha256()
        for counts in held[0].count(queries):
            digest.update(counts.tobytes())
        return digest.hexdigest()

    *reading, found = timed(first)
    *counting, same = timed(again)
    held[0].close()
    assert found == same
    return {"reading": reading, "counting": counting, "digest": found}


def nothing(batches: Iterable[Any]) -> Iterator[Any]:
    """Take all rows and give none."""
    for _ in batches:
        pass
    return iter(())


def measured(path: Path, cores: int, quick: bool) -> dict[str, Any]:
    """All passes of a new process, a ``quick`` one few: on Spark with so many cores, or without it for 0."""
    if not cores:
        return {"start": [0.0, 0.0], "cold": passes(path), "warm": passes(path)}
    from pyspark.sql import SparkSession

    def session() -> Any:
        builder = SparkSession.builder.master(f"local[{cores}]").config("spark.local.dir", str(path.parent))
        for name, value in CONFIGURATION.items():
            builder = builder.config(name, value)
        return builder.getOrCreate()

    *start, running = timed(session)
    frame = running.read.parquet(str(path))
    cold = passes(frame)
    found = {"start": start, "cold": cold, "warm": cold if quick else passes(frame)}
    frame = frame.select(*list(people.schema().columns)[: 1 if quick else None])
    found["road"] = timed(lambda: frame.mapInArrow(nothing, "nothing int").count())[:2]
    found["java"] = timed(lambda: [frame.groupBy(name).count().collect() for name in frame.columns])[:2]
    running.stop()
    return found


def rows_of(path: Path, rows: int, cores: int, quick: bool) -> list[list[object]]:
    """Two rows of the table; AssertionError unless both engines count the same."""
    lines: list[list[object]] = []
    digests = set()
    for engine in (0, cores):
        words = [sys.executable, __file__, "--one", str(path), "--cores", str(engine), *["--quick"] * quick]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        cold, warm, start = found["cold"], found["warm"], found["start"]
        digests |= {cold["digest"], warm["digest"]}
        spent = warm["reading"][1]
        road, java = found.get("road"), found.get("java")
        lines.append([
            rows, f"local[{engine}]" if engine else "one process", start[0] + cold["reading"][0],
            start[1] + cold["reading"][1], *warm["reading"], 1e6 * spent / rows, None, *warm["counting"],
            road and road[1], road and spent / road[1], java and java[1], java and spent / java[1],
        ])  # fmt: skip
    assert len(digests) == 1, "the engines count differently"
    return lines


def main() -> None:
    """What the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 3_000_000])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few rows, nothing is written")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    places = [str(Path(__file__).parents[1]), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(places)
    if given.one:
        print(json.dumps(measured(given.one, given.cores, given.quick)))
        return
    lines: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in [1000] if given.quick else given.rows:
            path = Path(folder) / f"{number}.parquet"
            people.write_parquet(path, number)
            more = rows_of(path, number, given.cores, given.quick)
            for line, before in zip(more, lines[-2:], strict=False):
                line[7] = line[6] / before[6]  # type: ignore[operator]
            lines += more
    lines.sort(key=lambda line: str(line[1]), reverse=True)
    head = (
        "people", "engine", "cold s", "processor s", "warm s", "processor s", "warm processor µs a row",
        "times as much a row", "counted again s", "processor s", "rows to Python: processor s", "warm of it",
        "Java's groups: processor s", "warm of it",
    )  # fmt: skip
    publish(
        "spark",
        f"### Spark\n\nAll two-way marginals of {len(people.schema().columns)} columns of artificial people in a "
        "Parquet file, read, encoded and truncated by person: in one process, and on Spark as "
        f"local[{given.cores}] on the same machine. *Cold* is a new process's first pass, with its start of Java; "
        "*warm* is the same from the file once more; *counted again* a pass over the rows that are kept encoded. The "
        "bare passes, warm too: Spark hands all rows to Python, which does nothing, and Spark groups and counts each "
        "column in Java. All give the same integers. On one machine Spark never pays; it pays where the rows are on a "
        "cluster, divided by its cores. A busy machine adds to seconds and less to processor seconds.\n\n"
        + table(head, lines),
        given.quick,
    )


if __name__ == "__main__":
    main()
