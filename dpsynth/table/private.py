"""The private rows as compact codes, behind an object that answers three questions and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec
from dpsynth.measurement import Query
from dpsynth.table.counting import Codes, count
from dpsynth.table.texts import Texts


class PrivateTable:
    """The rows of one private table, encoded and truncated. Only exact counts come out, and only to the curator.

    It refuses to be shown, measured, walked through, compared, copied or written out, so that no debugger's line, log
    or accident publishes a row.
    """

    __slots__ = ("__columns", "__entities", "__rows", "__texts", "__weights")

    def __init__(
        self,
        columns: Mapping[str, Codes | Texts],
        rows: int,
        weights: Codes | None = None,
        entities: NDArray[np.int64] | None = None,
    ) -> None:
        self.__columns = {name: column for name, column in columns.items() if not isinstance(column, Texts)}
        self.__texts = {name: column for name, column in columns.items() if isinstance(column, Texts)}
        self.__rows = rows
        self.__weights = weights
        self.__entities = entities

    def rows(self) -> int:
        """The exact number of rows: private, unless the neighbour relation makes it public."""
        return self.__rows

    def count(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], ...]:
        """The exact table of each query, in its shape, in rows or in units of their weights: private."""
        return count(self.__columns, self.__rows, queries, self.__weights)

    def holders(self, column: str, otherwise: str) -> tuple[list[str], NDArray[np.int64]]:
        """The texts of a column that has no codes yet, but ``otherwise``, sorted; the entities that hold each: private.

        KeyError for a column that has codes.
        """
        return self.__texts[column].holders(self.__entities, otherwise)

    def find(self, codec: Codec) -> None:
        """Give a column the codes of its found values; nothing changes for one that has codes."""
        if codec.name in self.__texts:
            self.__columns[codec.name] = self.__texts[codec.name].codes(codec)
            del self.__texts[codec.name]

    def __repr__(self) -> str:
        return "<private table>"

    def __refuse(self, *_: object) -> NoReturn:
        raise TypeError("a private table answers the curator's queries and nothing else")

    __len__ = __iter__ = __getitem__ = __contains__ = __bool__ = __dir__ = __sizeof__ = __refuse
    __reduce__ = __reduce_ex__ = __getstate__ = __copy__ = __deepcopy__ = __array__ = __refuse
