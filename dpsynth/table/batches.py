"""The rows of a source, batch by batch. What a reader says about a row never leaves this module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dpsynth.table.reader import unquoted
from dpsynth.table.source import Source

if TYPE_CHECKING:
    from dpsynth.table.reader import Batch


def batches(source: Source, names: Sequence[str]) -> Iterator[Batch]:
    """The named columns, batch by batch; no other column is read.

    Names must be in the source once (``require``). Raises SourceError with a fixed message, and only for what is no
    row's doing: a file that cannot be read or is damaged, a server that went away, memory that does not suffice.
    """
    return unquoted(source.reader.batches(list(dict.fromkeys(names))), source.name, source.reader.advice)
