"""The table of artificial people as CSV and as Parquet, written a chunk at a time; and its documentation."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from dpsynth.people.table import ROWS, batches


def write_csv(path: str | Path, rows: int = ROWS, seed: int = 2026) -> None:
    """Write ``generate(rows, seed)`` as CSV: a header, lines ending in ``\\n``, no quotes, a null as an empty field."""
    from pyarrow import csv

    people = batches(rows, seed)
    with Path(path).open("wb") as file:
        for place, batch in enumerate(people):
            if place == 0:
                file.write(",".join(batch.schema.names).encode() + b"\n")
            csv.write_csv(batch, file, csv.WriteOptions(include_header=False, quoting_style="none"))


def write_parquet(path: str | Path, rows: int = ROWS, seed: int = 2026) -> None:
    """Write ``generate(rows, seed)`` as Parquet, a row group a chunk; its metadata say that the people are artificial.

    Readers that go by row groups need a chunk's memory, about 150 MB.
    """
    from pyarrow import parquet

    people = batches(rows, seed)
    first = next(people)
    with parquet.ParquetWriter(path, first.schema) as writer:
        writer.write_batch(first)
        for batch in people:
            writer.write_batch(batch)


def documentation() -> str:
    """The documentation of the data set, Markdown."""
    return files("dpsynth.people").joinpath("README.md").read_text(encoding="utf-8")
