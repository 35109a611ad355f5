"""What stands in for the codec of a column whose values are found privately, until they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from dpsynth.encoding.codec import Codec
from dpsynth.schema import Unlisted

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class UnlistedCodec(Codec):
    """A categorical column without a list: it has the size to plan with, and no codes.

    Once its values were found, the ``ListedCodec`` of the found column takes its place.
    """

    column: Unlisted

    @property
    def leaves(self) -> int:
        """As many values as may be found, and the one for all others."""
        return self.column.max_values + 1

    @property
    def null(self) -> int:
        """The null cell, or the last value."""
        return self.leaves if self.column.nullable else self.leaves - 1

    def level(self) -> NDArray[np.uint16]:
        """The identity: shape (size,)."""
        return np.arange(self.size, dtype=np.uint16)

    def _cells(self, array: pa.Array) -> NDArray[np.integer]:
        self._refuse()

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError(f"column {self.name!r} has no codes before its values are found")
