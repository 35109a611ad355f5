"""Where the private rows are: a file or a frame, and the structure that may be known of it without looking at a row."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dpsynth.errors import ConfigurationError, SourceError
from dpsynth.table.lines import read_header

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Kind = Literal["csv", "parquet", "arrow", "pandas"]
_SUFFIXES: dict[str, Kind] = {".csv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}


@dataclass(frozen=True)
class ColumnInfo:
    """A column's name and its declared storage type; None where none is declared (CSV, pandas)."""

    name: str
    declared: str | None


@dataclass(frozen=True, eq=False)
class Source:
    """A private table that has not been opened: a CSV or Parquet file, a pandas DataFrame or an Arrow table.

    ``name`` is what messages call it: the file's name, never its path, or "data frame".
    """

    kind: Kind
    name: str
    path: Path | None = None
    frame: Any = field(default=None, repr=False)

    @property
    def file(self) -> Path:
        """The file that a CSV or Parquet source reads."""
        if self.path is None:
            raise ValueError("a data frame has no file")
        return self.path

    @classmethod
    def of(cls, data: Source | str | os.PathLike[str] | pd.DataFrame | pa.Table) -> Source:
        """The source for a path (``.csv``, ``.txt``, ``.parquet``, ``.pq``) or a frame; else ConfigurationError."""
        if isinstance(data, Source):
            return data
        if isinstance(data, str | os.PathLike):
            path = Path(data)
            kind = _SUFFIXES.get(path.suffix.lower())
            if kind is None:
                raise ConfigurationError(f"{path.name}: a data file must end in one of {', '.join(_SUFFIXES)}")
            return cls(kind, path.name, path)
        arrow, pandas = sys.modules.get("pyarrow"), sys.modules.get("pandas")
        if arrow is not None and isinstance(data, arrow.Table):
            return cls("arrow", "data frame", frame=data)
        if pandas is not None and isinstance(data, pandas.DataFrame):
            return cls("pandas", "data frame", frame=data)
        raise ConfigurationError("data are the path of a CSV or Parquet file, a pandas DataFrame or a pyarrow Table")


def columns(source: Source) -> tuple[ColumnInfo, ...]:
    """Names and declared types, never values; SourceError where there is no header or a name stands twice.

    Columns without a name, such as a written row index, are left out. The first line of a CSV file is always taken as
    its header: of a file without one this would give the first row as names.
    """
    found = [column for column in structure(source) if column.name]
    names = [column.name for column in found]
    if len(set(names)) != len(names):
        raise SourceError(f"{source.name}: two columns have the same name; give each its own")
    return tuple(found)


def require(source: Source, names: Sequence[str]) -> None:
    """SourceError unless the source has each of these columns exactly once.

    The message names wanted columns only: where a header is missing, what stands in its place is a row.
    """
    found = [column.name for column in structure(source)]
    missing = [name for name in names if name not in found]
    if missing:
        hint = "; the first line must hold the names, separated by commas" if source.kind == "csv" else ""
        raise SourceError(f"{source.name}: no column {_listed(missing)}, which the schema names{hint}")
    twice = [name for name in names if found.count(name) > 1]
    if twice:
        raise SourceError(f"{source.name}: more than one column {_listed(twice)}; give each its own name")


def structure(source: Source) -> tuple[ColumnInfo, ...]:
    """All columns in order, as the header, the Parquet footer or the frame declares them."""
    if source.kind == "csv":
        return tuple(ColumnInfo(name, None) for name in read_header(source.file).names)
    if source.kind == "pandas":
        return tuple(ColumnInfo(str(name), None) for name in source.frame.columns)
    schema = source.frame.schema if source.kind == "arrow" else _parquet_schema(source)
    if not schema.names:
        raise SourceError(f"{source.name}: a table without columns")
    return tuple(ColumnInfo(name, str(kind)) for name, kind in zip(schema.names, schema.types, strict=True))


def _parquet_schema(source: Source) -> pa.Schema:
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(source.file)
    except Exception:  # Arrow's messages quote the file
        schema = None
    if schema is None:
        raise SourceError(f"{source.name}: the file cannot be read as Parquet; check that it is there and whole")
    return schema


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
