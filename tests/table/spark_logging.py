"""A kernel that fails and quotes the row: run by test_spark.py, which reads all that is logged."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from dpsynth.encoding import codecs
from dpsynth.errors import SourceError
from dpsynth.schema import Schema
from dpsynth.table.encoded import Encoder, Rows
from dpsynth.table.spark import Cluster, of_frame


def main() -> int:
    spark = (
        SparkSession.builder.master("local[2,2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("INFO")

    class Quoting(Encoder):
        def rows(self, batch: Any) -> Rows:
            raise ValueError(f"no such value: {batch['word'].to_pylist()}")

    asked = Schema.parse('[columns.word]\ntype = "categorical"\nvalues = ["a"]\n')
    rows = spark.sparkContext.parallelize([("SEC" + "RET-7461",)] * 3, 2)
    frame = spark.createDataFrame(rows, "word string")
    try:
        Cluster(of_frame(frame), Quoting(codecs(asked), asked.unit), bytes(range(32)))
    except SourceError:
        return 0
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
