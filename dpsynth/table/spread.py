"""The rows of all entities, spread over buckets so that an entity's rows can be looked at together, out of memory.

Which bucket an entity falls into is decided by a fixed hash of its canonical text. No result depends on the hash: it
decides what is in memory at a time, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.table.blocks import Store
from dpsynth.table.encoded import Encoder, Rows
from dpsynth.table.runs import Runs, cut, uncut
from dpsynth.table.texts import DIGEST, Digests, numbers
from dpsynth.table.truncation import compacted, standing

if TYPE_CHECKING:
    import pyarrow as pa

BUCKETS = 256
"""Buckets of a spread: one byte of the hash."""

DEEPEST = 7
"""Spreads inside one another: then all bytes of the hash are used."""

ROW = 256
"""Bytes that a row takes, about, while its entity's rows are looked at, beside its own."""

_HASHED = 16
"""Words of 8 bytes of a text that the hash looks at, and its length."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False, repr=False)
class Layout:
    """How rows are packed, each into one record; their texts follow each other in a vector of bytes."""

    encoder: Encoder

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """A field for each column by its place, for the weight, for the number of the label, and for the text's length.

        A column without codes yet has the digest of its text.
        """
        unlisted, fields = self.encoder.unlisted, list[tuple[str, Any]]()
        for name, codec in zip(self.names, self.encoder.codecs, strict=True):
            fields.append((name, DIGEST if codec.name in unlisted else codec.dtype))
        if self.encoder.unit.weight is not None:
            fields.append(("weight", "u1"))
        if self.encoder.cell is not None:
            fields.append(("label", "<i2"))
        return np.dtype([*fields, ("length", "<u4")])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The fields of the columns."""
        return tuple(f"column {at}" for at in range(len(self.encoder.codecs)))

    @cached_property
    def fields(self) -> dict[str, str]:
        """The field of each column by its name."""
        return {codec.name: name for codec, name in zip(self.encoder.codecs, self.names, strict=True)}

    def packed(self, rows: Rows, digests: dict[str, Digests]) -> Packed:
        """The rows that have an entity; ``digests`` holds those of the columns without codes."""
        import pyarrow.compute as pc

        from dpsynth.encoding import arrays

        entities = rows.entities
        if entities is None:
            raise TypeError("rows without entities are not spread")
        records = np.empty(rows.size, dtype=self.dtype)
        for name, codec in zip(self.names, self.encoder.codecs, strict=True):
            records[name] = rows.codes[codec.name] if codec.name in rows.codes else digests[codec.name]
        if rows.weights is not None:
            records["weight"] = rows.weights
        if rows.labels is not None:
            records["label"] = rows.labels
        if entities.null_count:  # a row without an entity is nobody's
            records = records[arrays.to_numpy(entities.is_valid())]
            entities = pc.drop_null(entities)
        offsets, data = cut(entities)
        records["length"] = np.diff(offsets)
        return Packed(self, records, data[offsets[0] : offsets[-1]])


@dataclass(frozen=True, eq=False, repr=False)
class Packed:
    """Packed rows: private."""

    layout: Layout
    records: NDArray[Any]
    texts: NDArray[np.uint8]

    @classmethod
    def joined(cls, parts: Sequence[Packed]) -> Packed:
        """One or more, one after the other."""
        if len(parts) == 1:
            return parts[0]
        records = np.concatenate([part.records for part in parts])
        return cls(parts[0].layout, records, np.concatenate([part.texts for part in parts]))

    @property
    def size(self) -> int:
        """The number of rows."""
        return self.records.size

    @property
    def cost(self) -> int:
        """Bytes that it takes to look at these rows together, about."""
        return cost(self.layout, self.size, self.texts.size)

    @cached_property
    def entities(self) -> pa.Array:
        """The canonical texts, ``large_binary``."""
        return uncut(self.records["length"], self.texts)

    def taken(self, rows: NDArray[np.intp]) -> Packed:
        """Some of the rows, in this order."""
        from dpsynth.encoding import arrays

        offsets, data = cut(self.entities.take(arrays.of_numpy(rows)))
        return Packed(self.layout, self.records[rows], data[offsets[0] : offsets[-1]])

    def unpacked(self) -> Rows:
        """The rows; of a column without codes what tells its texts apart is in the place of codes."""
        layout, records = self.layout, self.records
        codes = {
            codec.name: numbers(records[name]) if codec.name in layout.encoder.unlisted else records[name]
            for name, codec in zip(layout.names, layout.encoder.codecs, strict=True)
        }
        weights = None if layout.encoder.unit.weight is None else records["weight"]
        labels = None if layout.encoder.cell is None else records["label"]
        return Rows(self.size, codes, {}, weights, self.entities, labels)

    def columns(self) -> dict[str, NDArray[Any]]:
        """What is counted of the rows, by the fields' names."""
        return {name: self.records[name] for name in self.records.dtype.names or () if name not in ("label", "length")}


class Spread:
    """Packed rows in buckets of entities."""

    def __init__(self, layout: Layout, store: Store, room: int, depth: int = 0) -> None:
        self._layout = layout
        self._store = store
        self._room = room
        self._depth = depth
        self._runs = Runs(store, BUCKETS)

    def add(self, rows: Packed) -> None:
        """Add rows; they are kept in the order of their buckets."""
        shift = np.uint64(8 * (7 - self._depth))
        buckets = (hashes(rows.entities) >> shift).astype(np.uint8)
        sorted_ = rows.taken(np.argsort(buckets, kind="stable"))
        self._runs.add(sorted_.records, sorted_.texts, np.bincount(buckets, minlength=BUCKETS))

    def kept(self, key: bytes) -> Iterator[Packed]:
        """The rows that count, entity by entity: all rows of an entity are looked at together."""
        for first, last, fits in self._runs.stretches(partial(cost, self._layout), self._room):
            if fits:
                parts = [self._none(), *self._parts(first, last)]
                yield _standing(Packed.joined(parts), self._layout.encoder, key)
            else:
                yield from self._streamed(first, key)

    def _streamed(self, bucket: int, key: bytes) -> Iterator[Packed]:
        """The same of a bucket that does not fit: compacted as it is read, and spread anew if that does not do."""
        encoder, deeper = self._layout.encoder, None
        held = [self._none()]
        for part in self._parts(bucket, bucket + 1):
            if deeper is not None:
                deeper.add(part)
                continue
            held.append(part)
            if sum(part.cost for part in held) > self._room:
                whole = Packed.joined(held)
                held = [whole.taken(compacted(whole.unpacked(), encoder, key))]
                if 2 * held[0].cost > self._room and self._depth < DEEPEST:
                    deeper = Spread(self._layout, self._store, self._room, self._depth + 1)
                    deeper.add(held[0])
        if deeper is None:
            yield _standing(Packed.joined(held), encoder, key)
        else:
            yield from deeper.kept(key)

    def _parts(self, first: int, last: int) -> Iterator[Packed]:
        return (Packed(self._layout, records, texts) for records, texts in self._runs.parts(first, last))

    def _none(self) -> Packed:
        return Packed(self._layout, np.empty(0, dtype=self._layout.dtype), np.empty(0, dtype=np.uint8))


def cost(layout: Layout, rows: int, texts: int) -> int:
    """Bytes that it takes to look at so many rows with so many bytes of texts together, about."""
    return rows * (ROW + 3 * layout.dtype.itemsize) + 4 * texts


def hashes(texts: pa.Array) -> NDArray[np.uint64]:
    """A number for each text, the same for the same text: of its first 128 bytes and its length. No nulls."""
    offsets, data = cut(texts)
    lengths = np.diff(offsets)
    padded = np.concatenate((data[offsets[0] : offsets[-1]], np.zeros(8, dtype=np.uint8)))
    words = np.ndarray((padded.size - 7,), dtype="<u8", buffer=padded, strides=(1,))
    begins = offsets[:-1] - offsets[0]
    found = _mixed(lengths.astype(np.uint64) + np.uint64(1))
    active = np.flatnonzero(lengths > 0)
    for at in range(_HASHED):
        if not active.size:
            break
        left = lengths[active] - 8 * at
        unused = np.uint64(8) * np.maximum(8 - left, 0).astype(np.uint64)
        word = words[begins[active] + 8 * at] & (np.uint64(2**64 - 1) >> unused)
        found[active] = _mixed(found[active] ^ word)
        active = active[left > 8]
    return found


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    numbers = numbers * _FACTOR
    numbers ^= numbers >> np.uint64(29)
    numbers *= _FACTOR
    numbers ^= numbers >> np.uint64(32)
    return numbers


def _standing(rows: Packed, encoder: Encoder, key: bytes) -> Packed:
    places = standing(rows.unpacked(), encoder, key)
    return rows if places.size == rows.size else rows.taken(places)
