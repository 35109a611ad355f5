"""Polars data frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dpsynth.table.cells import texts
from dpsynth.table.reader import ROWS, ColumnInfo, Part, Reader

if TYPE_CHECKING:
    import pyarrow as pa

    from dpsynth.table.reader import Batch

_NOT_IN_ARROW = ("Int128", "UInt128", "Object")
"""What Arrow has no type for: such a column is read cell by cell. (Objects would come as their addresses.)"""


@dataclass(frozen=True, eq=False)
class PolarsFrame(Reader):
    """A data frame, whose columns are shared and not copied. Its types, found in values mostly, are not declared."""

    frame: Any = field(repr=False)
    name = "data frame"
    advice = "check the data frame"

    def parts(self) -> Iterator[Part]:
        """The names."""
        yield Part(self.name, tuple(ColumnInfo(name, None) for name in self.frame.columns))

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Slices of the named columns."""
        for piece in self.frame.select(list(names)).iter_slices(ROWS):
            yield {name: _series(piece.get_column(name)) for name in names}


def _series(values: Any) -> pa.ChunkedArray:
    import pyarrow as pa

    if str(values.dtype).startswith(_NOT_IN_ARROW):
        return pa.chunked_array([texts(values.to_list())])
    return pa.chunked_array(values)
