"""Where the private rows are, and the structure that may be known of them without looking at a row."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from dpsynth.errors import ConfigurationError, SourceError
from dpsynth.table import arrow, parquet, postgres, spark, sqlite
from dpsynth.table.csv import CsvFile
from dpsynth.table.duckdb import DuckdbRelation
from dpsynth.table.pandas import PandasFrame
from dpsynth.table.polars import PolarsFrame
from dpsynth.table.reader import ColumnInfo, Reader

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame as SparkDataFrame

FORMS = (
    "data are a CSV file (.csv, .txt), a Parquet file (.parquet, .pq), a folder or pattern of Parquet files, a table "
    "written sqlite:PATH#TABLE or postgresql://USER@HOST/DATABASE#TABLE, or, in Python, a pandas or Polars data frame, "
    "a pyarrow table, a DuckDB relation, a Spark data frame or whatever has __arrow_c_stream__ and __arrow_c_schema__"
)


class ArrowStreamable(Protocol):
    """What hands over its rows by the Arrow PyCapsule interface, as often as it is asked.

    But for pyarrow's, Polars's and DuckDB's own it needs ``__arrow_c_schema__`` too.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule of an Arrow stream."""


Data: TypeAlias = "Source | str | os.PathLike[str] | pd.DataFrame | ArrowStreamable | SparkDataFrame"
"""What rows can come from."""


@dataclass(frozen=True, eq=False)
class Source:
    """A private table that has not been opened.

    ``name`` is what messages call it: the name of a file, never its path, a table without who reads it, or "data
    frame". ``path`` is the file or folder that the table is; None where it is none, or part of one. ``place`` tells the
    table from others: a file, and what follows it; it holds no password.
    """

    name: str
    reader: Reader = field(repr=False)
    path: Path | None = None
    place: tuple[Path | None, str] = field(default=(None, ""), repr=False)

    @classmethod
    def of(cls, data: Data, folder: Path = Path()) -> Source:
        """The source for a path or a text of ``FORMS``, seen from ``folder``, or for a table in memory.

        ConfigurationError for anything else, for a stream that can be read once only, and for one whose columns are
        not declared apart from its rows.
        """
        if isinstance(data, Source):
            return data
        if isinstance(data, str):
            if data.startswith(sqlite.SCHEME):
                table = sqlite.of_text(data, folder)
                return cls(table.name, table, place=(table.file, f"#{table.table}"))
            if data.startswith(postgres.SCHEMES):
                remote = postgres.of_text(data)
                return cls(remote.name, remote, place=(None, remote.name))
            if "://" in data:
                raise ConfigurationError(f"this kind of address is not known: {FORMS}")
        if isinstance(data, str | os.PathLike):
            return cls._of_path(folder / data)
        reader = _in_memory(data)
        return cls(reader.name, reader)

    @classmethod
    def _of_path(cls, path: Path) -> Source:
        suffix = path.suffix.lower()
        try:
            pattern, within = parquet.is_pattern(path), path.is_dir()
        except OSError:
            raise ConfigurationError(FORMS) from None  # rows were given in place of a path
        if suffix in parquet.SUFFIXES or within:
            name = path.name or path.resolve().name
            return cls(name, parquet.ParquetFiles(name, path), None if pattern else path, (path, ""))
        if suffix in (".csv", ".txt") and not pattern:
            return cls(path.name, CsvFile(path), path, (path, ""))
        # Never an address gone wrong, with a password in it, nor rows.
        told = path.name.isprintable() and len(path.name) <= 80 and not set(":,") & set(path.name)
        raise ConfigurationError(f"{path.name}: {FORMS}" if told else FORMS)


def _in_memory(
    data: Any,
) -> PandasFrame | PolarsFrame | DuckdbRelation | spark.SparkFrame | arrow.ArrowTable | arrow.ArrowStreams:
    """The reader of a table in memory, by its library; a library that is not loaded made none of them."""
    if _is(data, "pyspark.sql.classic.dataframe", "DataFrame"):
        return spark.of_frame(data)
    if _is(data, "pyspark.sql.connect.dataframe", "DataFrame"):
        return spark.of_connect(data)
    if _is(data, "pandas", "DataFrame"):
        return PandasFrame(data)
    if _is(data, "polars", "DataFrame"):
        return PolarsFrame(data)
    if _is(data, "polars", "LazyFrame"):
        raise ConfigurationError("a Polars LazyFrame is a query, not yet a table: give its .collect()")
    if _is(data, "duckdb", "DuckDBPyRelation"):
        return DuckdbRelation(data)
    if _is(data, "pyarrow", "Table"):
        return arrow.ArrowTable(data)
    if _is(data, "pyarrow", "RecordBatch"):
        return arrow.of_batch(data)
    if hasattr(data, "__arrow_c_stream__") and not isinstance(data, type):
        return arrow.streams(data)
    raise ConfigurationError(FORMS)


def _is(data: object, library: str, name: str) -> bool:
    kind = getattr(sys.modules.get(library), name, None)
    return isinstance(kind, type) and isinstance(data, kind)


def columns(source: Source) -> tuple[ColumnInfo, ...]:
    """Names and declared types, never values; SourceError where there is no header or a name stands twice.

    Columns without a name, such as a written row index, are left out. Of several files the columns of all count; where
    two declare one differently, its type is None. The first line of a CSV file is always taken as its header: of a file
    without one this would give the first row as names.
    """
    found: dict[str, ColumnInfo] = {}
    for part in source.reader.parts():
        named = [column for column in part.columns if column.name]
        if not part.columns:
            raise SourceError(f"{part.name}: a table without columns")
        if len({column.name for column in named}) != len(named):
            raise SourceError(f"{part.name}: two columns have the same name; give each its own")
        for column in named:
            same = found.setdefault(column.name, column) == column
            found[column.name] = column if same else ColumnInfo(column.name, None)
    return tuple(found.values())


def require(source: Source, names: Sequence[str]) -> None:
    """SourceError unless each part of the source has each of these columns exactly once, and they may be read.

    The message names wanted columns only: where a header is missing, what stands in its place is a row.
    """
    for part in source.reader.parts():
        found = [column.name for column in part.columns]
        missing = [name for name in names if name not in found]
        if missing:
            raise SourceError(f"{part.name}: no column {_listed(missing)}, which the schema names{source.reader.hint}")
        twice = [name for name in names if found.count(name) > 1]
        if twice:
            raise SourceError(f"{part.name}: more than one column {_listed(twice)}; give each its own name")
    source.reader.probe(list(dict.fromkeys(names)))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in dict.fromkeys(names))
