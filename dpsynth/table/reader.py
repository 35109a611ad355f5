"""What every family of sources gives: its structure, which is public, and its rows, batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dpsynth.errors import INTERRUPTIONS, SourceError

if TYPE_CHECKING:
    import pyarrow as pa

    Batch = Mapping[str, pa.ChunkedArray]

ROWS = 1 << 19
"""Rows in a batch, about: enough that the distinct values of a column are looked up a few times only."""

CELLS = 1 << 23
"""Cells in a batch at most, about: what bounds the memory that encoding them takes."""

T = TypeVar("T")


@dataclass(frozen=True)
class ColumnInfo:
    """A column's name and its declared storage type; None where none is declared (CSV, data frames)."""

    name: str
    declared: str | None


@dataclass(frozen=True)
class Part:
    """A piece of a source that has a structure of its own, such as a file of a folder, by the name that errors use."""

    name: str
    columns: tuple[ColumnInfo, ...]


class Reader(ABC):
    """One family of sources. It holds no rows and no open connection."""

    advice = "check that the file is whole"
    """What to do where the rows cannot be read to their end."""

    hint = ""
    """What to add where a column is missing."""

    @abstractmethod
    def parts(self) -> Iterator[Part]:
        """The structure of each part, one at least; SourceError, in words of our own, where it cannot be had."""

    def probe(self, names: Sequence[str]) -> None:  # noqa: B027 most sources need no more than their structure
        """SourceError unless these columns, which are there, may be read. Asks for no row."""

    @abstractmethod
    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """The named columns and no others, batch by batch in bounded memory. What it raises may quote a row."""


def batch_rows(columns: int) -> int:
    """Rows in a batch of so many columns."""
    return max(1, min(ROWS, CELLS // max(1, columns)))


def guarded(act: Callable[[], T], message: str) -> T:
    """What ``act`` gives. SourceError with this message for whatever it raises but a SourceError and an interruption.

    It is raised outside the handler, so that the reader's own error, which may quote a row, is not its context.
    """
    try:
        return act()
    except (SourceError, *INTERRUPTIONS):
        raise
    except BaseException:  # whatever it says, it may quote a row or a password
        problem = SourceError(message)
    raise problem


def unquoted(batches: Iterator[Batch], name: str, advice: str) -> Iterator[Batch]:
    """The same batches; SourceError in these fixed words for whatever else goes wrong on the way."""
    message = f"{name}: the data could not be read to their end; {advice}"
    while (batch := guarded(lambda: next(batches, None), message)) is not None:
        yield batch


def gathered(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[Batch]:
    """The named columns of record batches, small ones put together."""
    import pyarrow as pa

    group: list[pa.RecordBatch] = []
    rows = 0

    def batch() -> Batch:
        return {name: pa.chunked_array([found.column(name) for found in group]) for name in names}

    for found in batches:
        group.append(found)
        rows += found.num_rows
        if rows >= batch_rows(len(names)):
            yield batch()
            group, rows = [], 0
    if group:
        yield batch()
