"""Artificial people in households, for the demo, the tests and the benchmarks. Nobody in these tables exists.

The table looks like a census file: mixed types, answers that are missing for a reason, rare categories, strong and
weak dependence. It was made up, not fitted to any real table, so no figure measured on it says anything about real
people. This room imports ``schema`` alone. ``README.md`` beside this file documents every column.
"""

from dpsynth.people.declared import SCHEMA_TOML, schema
from dpsynth.people.files import NOTICE, documentation, generate, write_csv, write_parquet

__all__ = ["NOTICE", "SCHEMA_TOML", "documentation", "generate", "schema", "write_csv", "write_parquet"]
