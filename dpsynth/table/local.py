"""The engine of one machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec
from dpsynth.measurement import Query
from dpsynth.table.batches import batches
from dpsynth.table.counting import count
from dpsynth.table.encoded import Encoder, Rows
from dpsynth.table.identities import numbered
from dpsynth.table.source import Source
from dpsynth.table.texts import Texts
from dpsynth.table.truncation import enforced


class Local:
    """The rows as codes in this process."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows.size
        self._weights = rows.weights
        self._columns = dict(rows.codes)
        self._texts: dict[str, Texts] = {}
        for name, texts in rows.texts.items():
            places, words = numbered(texts)
            self._texts[name] = Texts(places, tuple(words.to_pylist()))
        self._entities = numbered(rows.entities)[0] if rows.texts and rows.entities is not None else None

    def rows(self) -> int:
        """The exact number of rows."""
        return self._rows

    def count(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], ...]:
        """The exact table of each query."""
        return count(self._columns, self._rows, queries, self._weights)

    def holders(self, column: str, otherwise: str) -> tuple[list[str], NDArray[np.int64]]:
        """The texts that occur but ``otherwise``, sorted; the entities that hold each."""
        return self._texts[column].holders(self._entities, otherwise)

    def find(self, codec: Codec) -> None:
        """Give a column the codes of its found values."""
        if codec.name in self._texts:
            self._columns[codec.name] = self._texts.pop(codec.name).codes(codec)

    def close(self) -> None:
        """Forget the rows."""
        self._columns, self._texts, self._weights, self._entities = {}, {}, None, None


def opened(source: Source, encoder: Encoder, key: bytes, memory: int) -> Local:
    """Read a source, whose columns are there. SourceError where it cannot be read to its end."""
    parts = [encoder.rows(batch) for batch in batches(source, encoder.columns)]
    return Local(enforced(Rows.joined([encoder.none(), *parts]), encoder, key))
