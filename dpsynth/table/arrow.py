"""Arrow tables, and whatever else hands over Arrow columns by the PyCapsule interface.

The interface: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dpsynth.errors import ConfigurationError
from dpsynth.table.reader import ColumnInfo, Part, Reader, gathered, guarded

if TYPE_CHECKING:
    import pyarrow as pa

    from dpsynth.table.reader import Batch

UNDECLARED = (
    "the data have no __arrow_c_schema__, which declares their columns without a look at a row, and many such objects "
    "convert all their rows to give a stream: give pyarrow.table(...) of them"
)

ONCE = (
    "the data are a stream, which can be read once only, and a run that is resumed reads its rows again: give the "
    "table that the stream comes from (reader.read_all() keeps it in memory), or write it to a Parquet file"
)


@dataclass(frozen=True, eq=False)
class ArrowTable(Reader):
    """A pyarrow Table: all its rows are one batch."""

    table: pa.Table = field(repr=False)
    name = "data frame"
    advice = "check the table"

    def parts(self) -> Iterator[Part]:
        """The schema of the table."""
        kinds = zip(self.table.schema.names, self.table.schema.types, strict=True)
        yield Part(self.name, tuple(ColumnInfo(name, str(kind)) for name, kind in kinds))

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """All rows at once, as they are in memory anyway."""
        yield {name: self.table.column(name) for name in names}


@dataclass(frozen=True, eq=False)
class ArrowStreams(Reader):
    """An object whose ``__arrow_c_stream__`` gives its rows anew each time, and ``__arrow_c_schema__`` their structure.

    To make a stream, many such objects convert all rows, which may fail for one of them. So there is none before the
    rows are read. Its types do not count as declared: most such objects came to them by looking at values.
    """

    data: Any = field(repr=False)
    name = "data frame"
    advice = "check what the data come from"

    def parts(self) -> Iterator[Part]:
        """The schema that the object declares; no stream is opened."""
        message = "data frame: its columns cannot be handed over in Arrow's format; give a table of plain types"
        schema = guarded(lambda: _schema(self.data), message)
        yield Part(self.name, tuple(ColumnInfo(name, None) for name in schema.names))

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """The stream, of which the other columns are passed over."""
        import pyarrow as pa

        with pa.RecordBatchReader.from_stream(self.data) as stream:
            yield from gathered(stream, names)


def of_batch(batch: pa.RecordBatch) -> ArrowTable:
    """The reader of a lone batch, whose columns are shared and not copied."""
    import pyarrow as pa

    return ArrowTable(pa.Table.from_batches([batch]))


def streams(data: object) -> ArrowStreams:
    """The reader of such an object; ConfigurationError for one that gives its rows once or declares no columns.

    What reads on from where it stopped before, such as a batch reader, is an iterator, by which it is known: a second
    stream of pyarrow's RecordBatchReader is no error, it has no rows.
    """
    if hasattr(data, "__next__") or hasattr(data, "read_next_batch"):
        raise ConfigurationError(ONCE)
    if not hasattr(data, "__arrow_c_schema__"):
        raise ConfigurationError(UNDECLARED)
    return ArrowStreams(data)


def _schema(data: Any) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(data)  # its __arrow_c_schema__, whatever else it is
