"""The rows of a source, batch by batch. What a reader says about a row never leaves this module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dpsynth.table.reader import batch_rows, unquoted
from dpsynth.table.source import Source

if TYPE_CHECKING:
    from dpsynth.table.reader import Batch


def batches(source: Source, names: Sequence[str]) -> Iterator[Batch]:
    """The named columns, batch by batch; no other column is read.

    Names must be in the source once (``require``). Raises SourceError with a fixed message, and only for what is no
    row's doing: a file that cannot be read or is damaged, a server that went away, memory that does not suffice.
    """
    wanted = list(dict.fromkeys(names))
    most = batch_rows(len(wanted))
    for batch in unquoted(source.reader.batches(wanted), source.name, source.reader.advice):
        rows = max((len(column) for column in batch.values()), default=0)
        for begin in range(0, max(rows, 1), most):  # a table in memory comes as one batch
            yield batch if rows <= most else {name: column.slice(begin, most) for name, column in batch.items()}
