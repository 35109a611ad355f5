"""The engine of one machine: rows as blocks of codes, in memory as far as that goes and beside it beyond."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec
from dpsynth.measurement import Query
from dpsynth.table.batches import batches
from dpsynth.table.blocks import Blocks, Store
from dpsynth.table.counting import Tables
from dpsynth.table.encoded import Encoder
from dpsynth.table.identities import numbered
from dpsynth.table.limit import Sizes
from dpsynth.table.source import Source
from dpsynth.table.spread import Layout, Packed, Spread
from dpsynth.table.texts import Digests, Vocabulary
from dpsynth.table.truncation import enforced

if TYPE_CHECKING:
    import pyarrow as pa


class Local:
    """Blocks of codes. A column whose values are not found has the digests of its texts instead."""

    def __init__(self, encoder: Encoder, sizes: Sizes) -> None:
        self._layout = Layout(encoder)
        self._fields = dict(self._layout.fields)
        self._sizes = sizes
        self._store = Store(sizes.share)
        self._blocks = Blocks(self._store, sizes.least)
        self._weighed = encoder.unit.weight is not None
        self._texts = {name: Vocabulary(self._store, sizes.room) for name in encoder.unlisted}

    def rows(self) -> int:
        """The exact number of rows."""
        return self._blocks.rows

    def count(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], ...]:
        """The exact table of each query; KeyError for a column that has no codes."""
        tables = Tables(queries)
        asked = list(dict.fromkeys(name for query in queries for name in query.columns))
        if unfound := [name for name in asked if name in self._texts]:
            raise KeyError(unfound[0])
        fields = [self._fields[name] for name in asked]
        for rows, block in self._blocks.parts([*fields, *["weight"] * self._weighed]):
            columns = {name: block[field] for name, field in zip(asked, fields, strict=True)}
            tables.add(columns, rows, block["weight"] if self._weighed else None)
        return tables.counts()

    def holders(self, column: str, otherwise: str) -> Iterator[tuple[list[str], NDArray[np.int64]]]:
        """The texts that occur but ``otherwise``, and the entities that hold each, in sorted parts."""
        return self._texts[column].holders(otherwise)

    def find(self, codec: Codec) -> None:
        """Give a column the codes of its found values."""
        if codec.name in self._texts:  # until all is there it can be interrupted, and done anew
            digests = self._layout.fields[codec.name]
            codes = f"found {digests}"
            self._blocks.derive(codes, digests, self._texts[codec.name].found(codec).of)
            self._fields[codec.name] = codes
            self._texts.pop(codec.name).close()
            self._blocks.drop(digests)

    def close(self) -> None:
        """Forget the rows."""
        self._blocks.close()
        self._store.close()
        self._texts = {}

    def read(self, source: Source, key: bytes) -> None:
        """Take the rows of a source, whose columns are there. SourceError where it cannot be read to its end."""
        layout, encoder = self._layout, self._layout.encoder
        store = Store(self._sizes.share)
        spread = Spread(layout, store, self._sizes.room) if encoder.unit.column is not None else None
        try:
            for batch in batches(source, encoder.columns):
                rows = encoder.rows(batch)
                if spread is not None:
                    spread.add(layout.packed(rows, self._digests(rows.texts, alone=False)))
                    continue
                rows = enforced(rows, encoder, key)
                found = {**rows.codes, **self._digests(rows.texts, alone=True)}
                columns = {self._fields[name]: codes for name, codes in found.items()}
                self._blocks.add(columns if rows.weights is None else {**columns, "weight": rows.weights}, rows.size)
            if spread is not None:
                for part in spread.kept(key):
                    self._hold(part)
                    self._blocks.add(part.columns(), part.size)
            self._blocks.flush()
        finally:
            store.close()

    def _digests(self, texts: Mapping[str, pa.Array], alone: bool) -> dict[str, Digests]:
        return {name: self._texts[name].add(found, alone) for name, found in texts.items()}

    def _hold(self, part: Packed) -> None:
        """Count each text of the rows once for each entity, all of whose rows these are."""
        if self._texts:
            entities = numbered(part.entities)[0]
            for name, texts in self._texts.items():
                texts.hold(part.records[self._fields[name]], entities)


def opened(source: Source, encoder: Encoder, key: bytes, sizes: Sizes) -> Local:
    """The rows of a source, whose columns are there. SourceError where it cannot be read to its end."""
    table = Local(encoder, sizes)
    try:
        table.read(source, key)
    except BaseException:
        table.close()
        raise
    return table
