"""What answers the curator's questions about the private rows, wherever they are kept and counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec
from dpsynth.measurement import Query


class Engine(Protocol):
    """The encoded and truncated rows of one table. Its integers are those of the rows, whatever the engine.

    What it raises is a SourceError of fixed wording: a source that cannot be read to its end, a disk that is full.
    """

    def rows(self) -> int:
        """The exact number of rows."""

    def count(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], ...]:
        """The exact table of each query, in its shape, in rows or in units of their weights."""

    def holders(self, column: str, otherwise: str) -> Iterator[tuple[list[str], NDArray[np.int64]]]:
        """The texts of a column that has no codes yet, but the canonical ``otherwise``, and the entities of each.

        One part or more, as memory allows, each sorted; no text is in two of them. KeyError for a column with codes.
        """

    def find(self, codec: Codec) -> None:
        """Give a column the codes of its found values; nothing changes for one that has codes."""

    def close(self) -> None:
        """Forget the rows. Nothing is asked afterwards."""
