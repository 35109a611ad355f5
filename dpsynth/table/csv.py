"""CSV files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.table.lines import read_header, read_records
from dpsynth.table.reader import ColumnInfo, Part, Reader

if TYPE_CHECKING:
    from dpsynth.table.reader import Batch

_BLOCKS = 32
"""Blocks of ``lines`` in a batch."""


@dataclass(frozen=True)
class CsvFile(Reader):
    """A file whose first line holds the names; nothing of it declares a type."""

    file: Path
    hint = "; the first line must hold the names, separated by commas"

    def parts(self) -> Iterator[Part]:
        """The names of the first line."""
        names = read_header(self.file).names
        yield Part(self.file.name, tuple(ColumnInfo(name, None) for name in names))

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Binary arrays; the other fields of a line are cut off and never looked at."""
        import pyarrow as pa

        header = read_header(self.file)
        blocks = read_records(self.file, header, [header.names.index(name) for name in names])
        while group := list(islice(blocks, _BLOCKS)):
            yield {name: pa.chunked_array([block[at] for block in group]) for at, name in enumerate(names)}
