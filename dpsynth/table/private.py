"""The private rows as compact codes, behind an object that answers two questions and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Query
from dpsynth.table.counting import Codes, count


class PrivateTable:
    """The rows of one private table, encoded and truncated. Only exact counts come out, and only to the curator.

    It refuses to be shown, measured, walked through, compared, copied or written out, so that no debugger's line, log
    or accident publishes a row.
    """

    __slots__ = ("__columns", "__rows")

    def __init__(self, columns: Mapping[str, Codes], rows: int) -> None:
        self.__columns = dict(columns)
        self.__rows = rows

    def rows(self) -> int:
        """The exact number of rows: private, unless the neighbour relation makes it public."""
        return self.__rows

    def count(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], ...]:
        """The exact table of each query, in its shape: private."""
        return count(self.__columns, self.__rows, queries)

    def __repr__(self) -> str:
        return "<private table>"

    def __refuse(self, *_: object) -> NoReturn:
        raise TypeError("a private table answers the curator's queries and nothing else")

    __len__ = __iter__ = __getitem__ = __contains__ = __bool__ = __dir__ = __sizeof__ = __refuse
    __reduce__ = __reduce_ex__ = __getstate__ = __copy__ = __deepcopy__ = __array__ = __refuse
