"""A cluster of two executors, of which one dies in the middle, with speculation on: run by test_spark.py.

Prints, as JSON, what was counted there and here, and what a release from each was charged.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from dpsynth.accountant import Accountant
from dpsynth.encoding import codecs
from dpsynth.measurement import Query, grid
from dpsynth.privacy import Budget
from dpsynth.release import synthesize
from dpsynth.schema import Schema
from dpsynth.table import Source, open_table

FOLDER = Path(sys.argv[1])
SCHEMA = """
[unit]
entity = "person"
column = "who"
max_rows = 2
[columns.word]
type = "categorical"
values = ["a", "b", "c"]
[columns.whole]
type = "integer"
min = 0
max = 9
"""
TABLE = pa.table(
    {
        "who": [f"p{at * at % 77}" for at in range(300)],
        "word": ["abcd"[at % 4] for at in range(300)],
        "whole": [at % 11 for at in range(300)],
    }
)


def deadly(name: str) -> Any:
    """A step of the query that kills the executor it runs on, once in all."""
    mark = str(FOLDER / name)

    def step(batches: Any) -> Any:
        for batch in batches:
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                process = os.getpid()
                while Path(f"/proc/{process}/comm").read_text() != "java\n":
                    process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
                os.kill(process, signal.SIGKILL)
            yield batch

    return step


def counted(data: Any) -> list[Any]:
    asked = Schema.parse(SCHEMA)
    declared = codecs(asked)
    levels = grid(declared).levels
    table = open_table(Source.of(data), declared, asked.unit, bytes(32))
    told = table.count([Query(tuple(levels[name] for name in pair)) for pair in combinations(levels, 2)])
    return [table.rows(), *(count.tolist() for count in told)]


def charged(data: Any, name: str) -> list[Any]:
    store = FOLDER / f"{name}.db"
    with Accountant.open(store, create=True) as accountant:
        accountant.open_account(
            "people", entity="person", column="who", neighbours="add-remove", budget=Budget("1", "1e-6")
        )
    release = synthesize(
        data,
        schema=FOLDER / "schema.toml",
        epsilon="1",
        delta="1e-6",
        mechanism="independent",
        account="people",
        store=store,
        release="first",
    )
    entries = [json.loads(line) for line in release.lines]
    return sorted(str((entry["kind"], entry.get("query"), entry.get("cost"))) for entry in entries)


def main() -> None:
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for name, value in {
        "spark.sql.shuffle.partitions": "3",
        "spark.speculation": "true",
        "spark.speculation.multiplier": "1",
        "spark.ui.enabled": "false",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    (FOLDER / "schema.toml").write_text(SCHEMA)
    frame = session.createDataFrame(TABLE).repartition(4, "whole")
    one = frame.mapInArrow(deadly("first"), frame.schema)
    two = frame.mapInArrow(deadly("second"), frame.schema)
    found = {
        "there": counted(one),
        "here": counted(TABLE),
        "charged there": charged(two, "there"),
        "charged here": charged(TABLE, "here"),
        "deaths": sorted(path.name for path in FOLDER.glob("*") if path.name in ("first", "second")),
    }
    session.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
