"""Artificial people in households, for the demo, the tests and the benchmarks. Nobody in these tables exists.

The table looks like a census file: mixed types, answers that are missing for a reason, rare categories, strong and
weak dependence. It was made up, not fitted to any real table, so no figure measured on it says anything about real
people. This room imports ``schema`` alone of the others. ``README.md`` beside this file documents every column.
"""

from dpsynth.people.declared import SCHEMA_TOML, schema
from dpsynth.people.files import documentation, write_csv, write_parquet
from dpsynth.people.table import CHUNK, NOTICE, batches, chunk, chunks, generate

__all__ = [
    "CHUNK",
    "NOTICE",
    "SCHEMA_TOML",
    "batches",
    "chunk",
    "chunks",
    "documentation",
    "generate",
    "schema",
    "write_csv",
    "write_parquet",
]
