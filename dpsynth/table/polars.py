"""Polars data frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dpsynth.table.cells import texts
from dpsynth.table.reader import ColumnInfo, Part, Reader, batch_rows, guarded

if TYPE_CHECKING:
    import pyarrow as pa

    from dpsynth.table.reader import Batch

_NOT_IN_ARROW = ("Int128", "UInt128", "Object")
"""What Arrow has no type for, alone or within another: such a column is read cell by cell.

Objects would come as their addresses.
"""


@dataclass(frozen=True, eq=False)
class PolarsFrame(Reader):
    """A data frame, whose columns are shared and not copied. Its types, found in values mostly, are not declared."""

    frame: Any = field(repr=False)
    name = "data frame"
    advice = "check the data frame"

    def parts(self) -> Iterator[Part]:
        """The names."""
        yield Part(self.name, tuple(ColumnInfo(name, None) for name in self.frame.columns))

    def probe(self, names: Sequence[str]) -> None:
        """That Arrow takes the columns' types; no row is handed over."""
        message = "data frame: a column of it cannot be handed over in Arrow's format; give a table of plain types"
        guarded(lambda: [_series(values) for values in self.frame.select(list(names)).clear().iter_columns()], message)

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Slices of the named columns."""
        for piece in self.frame.select(list(names)).iter_slices(batch_rows(len(names))):
            yield {name: _series(piece.get_column(name)) for name in names}


def _series(values: Any) -> pa.ChunkedArray:
    import pyarrow as pa

    if any(kind in str(values.dtype) for kind in _NOT_IN_ARROW):
        return pa.chunked_array([texts(values.to_list())])
    return pa.chunked_array(values)
