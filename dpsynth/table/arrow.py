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
    """An object whose ``__arrow_c_stream__`` gives its rows anew each time.

    Its types do not count as declared: most such objects came to them by looking at values.
    """

    data: Any = field(repr=False)
    name = "data frame"
    advice = "check what the data come from"

    def parts(self) -> Iterator[Part]:
        """The schema of a stream, of which no row is taken."""
        message = "data frame: its columns cannot be handed over in Arrow's format; give a table of plain types"
        schema = guarded(lambda: _schema(self.data), message)
        yield Part(self.name, tuple(ColumnInfo(name, None) for name in schema.names))

    def probe(self, names: Sequence[str]) -> None:
        """That there is another stream after the first."""
        for _ in range(2):
            guarded(lambda: _stream(self.data).close(), ONCE)

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """The stream, of which the other columns are passed over."""
        with _stream(self.data) as stream:
            yield from gathered(stream, names)


def streams(data: object) -> ArrowStreams:
    """The reader of such an object; ConfigurationError for one that gives its rows once, such as a batch reader.

    What reads on from where it stopped before is an iterator, by which it is known: a second stream of pyarrow's
    RecordBatchReader is no error, it has no rows.
    """
    if hasattr(data, "__next__") or hasattr(data, "read_next_batch"):
        raise ConfigurationError(ONCE)
    return ArrowStreams(data)


def _schema(data: Any) -> pa.Schema:
    with _stream(data) as stream:
        return stream.schema


def _stream(data: Any) -> pa.RecordBatchReader:
    import pyarrow as pa

    return pa.RecordBatchReader.from_stream(data)
