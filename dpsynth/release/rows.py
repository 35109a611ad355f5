"""The synthetic rows of a folder: written to files as they are drawn, and read again a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dpsynth.errors import DigestMismatch
from dpsynth.release.progress import Progress, tell
from dpsynth.sampling import SLICE

if TYPE_CHECKING:
    import pyarrow

Result = TypeVar("Result")

DISTINCT = 1 << 18
"""Bytes of the distinct values of a column in a row group, above which they are written as they are."""

BLOCK = 1 << 22
"""Bytes of CSV that are read at a time; no row is so long."""


def told(progress: Progress | None, done: int, rows: int, what: str) -> None:
    """Tell how many of the rows are done, all of it public."""
    tell(progress, f"{done:,} of {rows:,} rows {what} ({100 * done // max(1, rows)} %)")


def write_rows(
    batches: Iterator[pyarrow.RecordBatch],
    rows: int,
    folder: Path,
    formats: Sequence[str],
    progress: Progress | None = None,
) -> None:
    """Write the ``rows`` rows as ``data.parquet`` and, if asked, ``data.csv``, a batch at a time.

    Each batch, of at most SLICE rows, is a row group. Real numbers are drawn anew for each row, so that a list of the
    distinct ones would only make the file larger.
    """
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    first, written = next(batches), 0
    listed = [field.name for field in first.schema if not pyarrow.types.is_floating(field.type)]
    with ExitStack() as files:
        parquet = files.enter_context(
            pyarrow.parquet.ParquetWriter(
                folder / "data.parquet",
                first.schema,
                compression="zstd",
                use_dictionary=listed,
                dictionary_pagesize_limit=DISTINCT,
            )
        )
        writers = [parquet]
        if "csv" in formats:
            writers.append(files.enter_context(pyarrow.csv.CSVWriter(folder / "data.csv", first.schema)))
        batch: pyarrow.RecordBatch | None = first
        while batch is not None:
            for writer in writers:
                writer.write_batch(batch)
            written += batch.num_rows
            told(progress, written, rows, "written")
            batch = next(batches, None)


class PublishedRows:
    """The rows of a published file, taken off its front; DigestMismatch where it cannot be read."""

    def __init__(self, name: str, schema: pyarrow.Schema, batches: Iterator[pyarrow.RecordBatch], trouble: str) -> None:
        self.name = name
        self.schema = schema
        self._batches = batches
        self._trouble = trouble
        self._held: list[pyarrow.RecordBatch] = []

    @classmethod
    def of_parquet(cls, path: Path, rows: int) -> PublishedRows:
        """Those of ``data.parquet``, which must hold ``rows`` rows and nothing else."""
        import pyarrow.parquet

        trouble = f"{path.name} cannot be read as Parquet"
        # What is read ahead stays in memory until the file is closed.
        file = _tried(lambda: pyarrow.parquet.ParquetFile(path, pre_buffer=False), trouble)
        schema = _tried(lambda: file.schema_arrow, trouble)
        if set(file.metadata.metadata or ()) - {b"ARROW:schema"}:
            raise DigestMismatch(f"{path.name} carries more than rows: its metadata are not empty")
        if file.metadata.num_rows != rows:
            raise wrong_number(path.name)
        return cls(path.name, schema, file.iter_batches(SLICE), trouble)

    @classmethod
    def of_csv(cls, path: Path, schema: pyarrow.Schema) -> PublishedRows:
        """Those of ``data.csv``, whose columns are to be of these types."""
        from pyarrow import csv

        options = csv.ConvertOptions(
            column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        parsing = csv.ParseOptions(newlines_in_values=True)
        trouble = f"{path.name} cannot be read as CSV with the columns of the schema"
        reader = _tried(
            lambda: csv.open_csv(path, csv.ReadOptions(block_size=BLOCK), parsing, options),
            trouble,
        )
        return cls(path.name, reader.schema, iter(reader), trouble)

    def take(self, rows: int) -> pyarrow.Table:
        """The next ``rows`` rows, or as many as are left."""
        import pyarrow

        while sum(batch.num_rows for batch in self._held) < rows:
            batch = _tried(lambda: next(self._batches, None), self._trouble)
            if batch is None:
                break
            self._held.append(batch)
        table = pyarrow.Table.from_batches(self._held, self.schema)
        self._held = table.slice(rows).to_batches()
        return table.slice(0, rows)


def wrong_number(name: str) -> DigestMismatch:
    """The error of a file that holds more or fewer rows than were signed."""
    return DigestMismatch(f"{name} does not hold the number of rows that was signed")


def _tried(read: Callable[[], Result], trouble: str) -> Result:
    """What ``read`` gives; DigestMismatch for pyarrow's own errors, which may quote a cell."""
    from pyarrow import ArrowException

    try:
        return read()
    except (OSError, ValueError, ArrowException):
        pass
    raise DigestMismatch(trouble)
