"""The private rows behind an object that answers a few questions and no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec
from dpsynth.measurement import Query
from dpsynth.table.engine import Engine


class PrivateTable:
    """The rows of one private table, encoded and truncated. Only exact counts come out, and only to the curator.

    It refuses to be shown, measured, walked through, copied or written out, so that no debugger's line, log
    or accident publishes a row.
    """

    __slots__ = ("__engine",)

    def __init__(self, engine: Engine) -> None:
        self.__engine = engine

    def rows(self) -> int:
        """The exact number of rows: private, unless the neighbour relation makes it public."""
        return self.__engine.rows()

    def count(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], ...]:
        """The exact table of each query, in its shape, in rows or in units of their weights: private."""
        return self.__engine.count(queries)

    def holders(self, column: str, otherwise: str) -> Iterator[tuple[list[str], NDArray[np.int64]]]:
        """The texts of a column that has no codes yet, but ``otherwise``, and the entities that hold each: private.

        One part or more, as memory allows, each sorted; no text is in two of them. KeyError for a column with codes.
        """
        return self.__engine.holders(column, otherwise)

    def find(self, codec: Codec) -> None:
        """Give a column the codes of its found values; nothing changes for one that has codes."""
        self.__engine.find(codec)

    def close(self) -> None:
        """Forget the rows. Nothing is asked afterwards."""
        self.__engine.close()

    def __repr__(self) -> str:
        return "<private table>"

    def __refuse(self, *_: object) -> NoReturn:
        raise TypeError("a private table answers the curator's queries and nothing else")

    __len__ = __iter__ = __getitem__ = __contains__ = __bool__ = __dir__ = __sizeof__ = __refuse
    __reduce__ = __reduce_ex__ = __getstate__ = __copy__ = __deepcopy__ = __array__ = __refuse
