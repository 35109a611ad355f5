"""Encoding, truncating and counting people in Parquet on Spark, beside one process that does the same.

    python benchmarks/spark.py [--rows 100000 1000000 10000000] [--cores 2] [--quick]

One person a row, so every row's entity is looked at. All tables of two columns are asked: in the first pass the rows
are read, encoded and truncated, in later ones they are only counted. Integers are compared. Spark keeps the encoded
rows, in memory where that suffices: to make them anew for each pass would take the first pass again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from page import publish, table
from pyspark.sql import SparkSession

from dpsynth.encoding import Constraints, codecs
from dpsynth.measurement import Query, grid
from dpsynth.people import SCHEMA_TOML, write_parquet
from dpsynth.schema import Schema
from dpsynth.table import Source, open_table

KEY = bytes(32)


def passes(data: Any, asked: Schema) -> tuple[float, float, list[np.ndarray]]:
    """Seconds of the first pass and of the better of two later ones, and what they count."""
    declared = codecs(asked)
    levels = grid(declared).levels
    queries = [Query(tuple(levels[name] for name in pair)) for pair in combinations(levels, 2)]
    seconds = []
    began = time.perf_counter()
    private = open_table(Source.of(data), declared, asked.unit, KEY, Constraints.of(asked, declared))
    for _ in range(3):
        counts = private.count(queries)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    private.close()
    return seconds[0], min(seconds[1:]), list(counts)


def measured(session: SparkSession, path: Path, rows: int, asked: Schema) -> list[object]:
    """A row of the table; AssertionError unless both count the same."""
    here_first, here_later, here = passes(path, asked)
    there_first, there_later, there = passes(session.read.parquet(str(path)), asked)
    assert all(np.array_equal(one, other) for one, other in zip(here, there, strict=True))
    return [
        rows, here_first, here_later, there_first, there_later, there_first / here_first, 1e6 * there_first / rows,
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few rows, nothing is written")
    given = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    asked = Schema.parse(SCHEMA_TOML)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        builder = SparkSession.builder.master(f"local[{given.cores}]")
        for name, value in {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "4g",
            "spark.local.dir": folder,
            "spark.sql.files.maxPartitionBytes": "32m",
            "spark.sql.shuffle.partitions": "8",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        started = time.perf_counter() - began
        rows = []
        for number in [1000] if given.quick else [1000, *given.rows]:
            path = Path(folder) / f"{number}.parquet"
            write_parquet(path, number)
            rows.append(measured(session, path, number, asked))
        version = session.version
        session.stop()
    head = ("people", "one process, first s", "later s", "Spark, first s", "later s", "ratio of first", "µs a row")
    publish(
        "spark",
        f"### Spark\n\nAll two-way marginals of artificial people in a Parquet file, read, encoded and truncated by "
        f"person: one process, and Spark {version} as local[{given.cores}] on the same machine, which took "
        f"{started:.1f} s to start. The first line warms it up. "
        "Both give the same integers. On one machine Spark never pays: what it adds is the road of each row from "
        "Java to Python. It pays where the rows are on a cluster, divided by its cores.\n\n" + table(head, rows),
        given.quick,
    )


if __name__ == "__main__":
    main()
