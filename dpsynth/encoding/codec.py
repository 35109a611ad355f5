"""Codec: the total map between the values of one column and the cells of its finest public grid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from dpsynth.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Codes = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Codec(ABC):
    """One column's codes: ``leaves`` cells of values, and a last cell for null where the column is nullable.

    Encoding is record-wise: the code of a value depends on that value alone, not on its storage type, the other
    values or their order (proofs/encoding). It never raises on a value. Decoding draws a value inside the leaf, and
    encodes back to the same code; but the codec of a part, such as the weekday of a date, reads the whole value and
    decodes to the part. Everything about a codec is public.
    """

    name: str
    column: Column

    @property
    def source(self) -> str:
        """The column of the table that is read: its own, but for a part of another column such as its weekday."""
        return self.name

    @property
    @abstractmethod
    def leaves(self) -> int:
        """Number of cells that hold values."""

    @property
    def size(self) -> int:
        """Number of cells, the null cell included; at most 65,535."""
        return self.leaves + self.column.nullable

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """The type of the codes: one byte where that holds them all."""
        return np.uint8 if self.size <= 256 else np.uint16

    @property
    @abstractmethod
    def null(self) -> int:
        """The code of a missing value: the last cell, or a value's where the column is not nullable."""

    @abstractmethod
    def level(self) -> NDArray[np.uint16]:
        """The declared bin of each cell: shape (size,). The null cell stays alone, the last."""

    def hierarchy(self) -> tuple[NDArray[np.uint16], ...]:
        """Declared coarsenings, from fine to coarse, each of shape (size,) and a coarsening of the one before.

        The null cell stays alone, the last.
        """
        return ()

    def tree(self) -> tuple[NDArray[np.uint16], ...]:
        """The nested grids on which bins are found by noisy counts, from fine to coarse; empty for declared bins.

        Each has shape (size,), and keeps the null cell alone, the last. The first is the identity.
        """
        return ()

    @property
    def spikes(self) -> NDArray[np.bool_]:
        """The cells at which a spike is likeliest, null's included: shape (size,). Each stays alone in the tree."""
        return np.arange(self.size) >= self.leaves

    @property
    def bounded(self) -> bool:
        """Whether the bounds of the values are declared; else they are found by noisy counts, too."""
        return True

    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """The code of each value, for an Arrow array of any type: uint8 or uint16, shape (len(values),)."""
        from dpsynth.encoding import arrays

        parts = [self._encode(chunk) for chunk in arrays.chunks(values)]
        return cast("Codes", np.concatenate([np.empty(0, dtype=self.dtype), *parts]))

    def decode(self, codes: NDArray[np.integer], words: NDArray[np.uint64]) -> pa.Array:
        """A value of each cell, drawn within the cell by a random word, null for null.

        Text, int64, float64, bool, date32 or time32, as the column is.

        ``codes`` and ``words`` have the same shape (n,). ValueError for a code that the column does not have.
        """
        cells = np.asarray(codes).astype(np.int64)
        draws = np.asarray(words, dtype=np.uint64)
        if cells.ndim != 1 or cells.shape != draws.shape:
            raise ValueError(f"column {self.name!r}: codes and words must be two vectors of the same length")
        if cells.size and not 0 <= cells.min() <= cells.max() < self.size:
            raise ValueError(f"column {self.name!r}: a code lies outside 0..{self.size - 1}")
        return self._decode(cells, draws)

    def _encode(self, array: pa.Array) -> Codes:
        """Encode the few distinct values, and look each element's up. A null has place -1, the last of the table."""
        from dpsynth.encoding import arrays

        found, where = arrays.unfold(array)
        return cast("Codes", np.append(self._cells(found), self.null).astype(self.dtype)[where])

    @abstractmethod
    def _cells(self, array: pa.Array) -> NDArray[np.integer]:
        """The code of each value of an array that ``arrays.unfold`` gave."""

    @abstractmethod
    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        """``decode`` for checked arguments."""
