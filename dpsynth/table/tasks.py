"""What the tasks of a cluster do: the kernels of one machine, from Arrow batches to Arrow batches.

Between tasks encoded rows travel in blocks, each one cell of a data frame. Everything here is a function of the rows
that a task is given: one that runs twice, because it failed or was slow, gives the same again. Nothing is drawn, and
nothing is counted by side effect.

A cluster logs what a task raises, with its trace. So nothing that is raised inside leaves :class:`Guarded` but as a
message of fixed wording, without context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec
from dpsynth.measurement import Query
from dpsynth.table.blocks import Store
from dpsynth.table.counting import Codes, Tables
from dpsynth.table.encoded import Encoder, Rows
from dpsynth.table.identities import numbered
from dpsynth.table.reader import gathered, guarded
from dpsynth.table.texts import Vocabulary
from dpsynth.table.truncation import enforced

if TYPE_CHECKING:
    import pyarrow as pa

    Task = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]

BLOCKS = "bucket int, block binary"
"""Encoded rows. Where rows have entities, all of an entity lie in one bucket."""

SUMS = "place long, cells binary"
"""Whole numbers that add up: segments of all cells of all queries in order, at 0 and above, and these two."""
SIZE, SEEN = -1, -2
"""The number of rows; the buckets that were counted, which do not add up but follow each other."""

HOLDERS = "text binary, entities long"
"""Texts and how many entities hold each; without a text, a bucket that was looked at."""

AT_ONCE = 1 << 62
"""Bytes: the texts of a block are in memory together."""

SEGMENT = 1 << 20
"""Cells that travel at a time."""

FAILED = "a part of the rows could not be read, encoded or counted"


@dataclass(frozen=True, eq=False, repr=False)
class Guarded:
    """A task of which no error tells more than that it failed."""

    task: Task

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches that the task gives."""
        steps = guarded(lambda: iter(self.task(batches)), FAILED)
        while (batch := guarded(lambda: next(steps, None), FAILED)) is not None:
            yield batch


@dataclass(frozen=True, eq=False, repr=False)
class Encode:
    """Cells to blocks. With a unit column each batch gives a block for each of its ``buckets``, else one that counts.

    Columns come by their place in ``encoder.columns``. Rows without entity are left out, as truncation leaves them out.
    """

    encoder: Encoder
    key: bytes
    buckets: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Blocks of rows that are encoded, and not yet truncated where rows have entities."""
        names = {name: str(place) for place, name in enumerate(self.encoder.columns)}
        for batch in gathered(batches, list(names.values())):
            rows = self.encoder.rows({name: batch[place] for name, place in names.items()})
            if rows.entities is None:
                yield _block(None, enforced(rows, self.encoder, self.key))
                continue
            places, words = numbered(rows.entities)
            hashes = [crc32(word) % self.buckets for word in words.to_pylist()]
            bucket = np.array([*hashes, -1], dtype=np.int64)[places]  # a null is at place -1
            order = np.argsort(bucket, kind="stable")
            found, begins = np.unique(bucket[order], return_index=True)
            for number, taken in zip(found.tolist(), np.split(order, begins)[1:], strict=True):
                if number >= 0:
                    yield _block(number, rows.taken(taken))


@dataclass(frozen=True, eq=False, repr=False)
class Enforce:
    """All blocks of a bucket, which follow each other, to the one block of its rows that count."""

    encoder: Encoder
    key: bytes

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """A block a bucket: the cell's rows, at most ``max_rows`` of each entity."""
        bucket, parts = None, list[Rows]()
        for number, part in _blocks(batches):
            if number != bucket and parts:
                yield _block(bucket, self._kept(parts))
                parts = []
            bucket = number
            parts.append(part)
        if parts:
            yield _block(bucket, self._kept(parts))

    def _kept(self, parts: Sequence[Rows]) -> Rows:
        rows = enforced(Rows.joined(parts), self.encoder, self.key)
        return replace(rows, entities=rows.entities if rows.texts else None, labels=None)


@dataclass(frozen=True, eq=False, repr=False)
class Count:
    """Blocks to the tables of some queries; ``found`` has the codecs of columns whose values were found meanwhile."""

    queries: Sequence[Query]
    found: Mapping[str, Codec]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The sums of this task's blocks."""
        tables, size, seen = Tables(self.queries), 0, list[int]()
        for bucket, rows in _blocks(batches):
            late = {name: _found(rows.texts[name], codec) for name, codec in self.found.items()}
            tables.add({**rows.codes, **late}, rows.size, rows.weights)
            size += rows.size
            seen += [] if bucket is None else [bucket]
        yield _sum(SIZE, np.array([size]))
        yield _sum(SEEN, np.array(seen, dtype=np.int64))
        cells = np.concatenate([np.zeros(0, np.int64), *(table.ravel() for table in tables.counts())])
        for place, begin in enumerate(range(0, cells.size, SEGMENT)):
            yield _sum(place, cells[begin : begin + SEGMENT])


@dataclass(frozen=True, eq=False, repr=False)
class Hold:
    """Blocks to the texts of a column and their holders: no entity lies in two blocks."""

    column: str
    otherwise: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The texts of each block but ``otherwise``; a text may come from several blocks. Then the block's bucket."""
        import pyarrow as pa

        for bucket, rows in _blocks(batches):
            entities = None if rows.entities is None else numbered(rows.entities)[0]
            texts = Vocabulary(Store(AT_ONCE), AT_ONCE)
            digests = texts.add(rows.texts[self.column], alone=entities is None)
            if entities is not None:
                texts.hold(digests, entities)
            words, counts = next(texts.holders(self.otherwise))
            seen = [] if bucket is None else [bucket]
            told = pa.array([*(word.encode() for word in words), *[None] * len(seen)], pa.binary())
            numbers = pa.array([*counts.tolist(), *seen], pa.int64())
            yield pa.record_batch([told, numbers], names=["text", "entities"])


class Add:
    """Sums to their sums."""

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """One row a place."""
        pairs = ((place, cells) for batch in batches for place, cells in _rows(batch))
        for place, cells in added(pairs).items():
            yield _sum(place, cells)


def added(sums: Iterable[tuple[int, bytes]]) -> dict[int, NDArray[np.int64]]:
    """What rows of SUMS come to, by place: int64, exact."""
    totals: dict[int, NDArray[np.int64]] = {}
    for place, data in sums:
        cells = np.frombuffer(data, dtype="<i8").astype(np.int64)
        if place not in totals:
            totals[place] = cells
        elif place == SEEN:
            totals[place] = np.concatenate([totals[place], cells])
        else:
            totals[place] += cells
    return totals


def _sum(place: int, cells: NDArray[np.int64]) -> pa.RecordBatch:
    import pyarrow as pa

    data = pa.array([cells.astype("<i8").tobytes()], pa.binary())
    return pa.record_batch([pa.array([place], pa.int64()), data], names=["place", "cells"])


def _found(texts: pa.Array, codec: Codec) -> Codes:
    """The codes of texts in a column whose values are found."""
    import pyarrow as pa

    places, words = numbered(texts)
    return codec.encode(pa.concat_arrays([words, pa.nulls(1, words.type)]).cast(pa.large_string()))[places]


def _block(bucket: int | None, rows: Rows) -> pa.RecordBatch:
    import pyarrow as pa

    data = pa.array([pack(rows)], pa.binary())
    return pa.record_batch([pa.array([bucket], pa.int32()), data], names=["bucket", "block"])


def _blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int | None, Rows]]:
    return ((bucket, unpack(data)) for batch in batches for bucket, data in _rows(batch))


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[int, bytes]]:
    for number, data in zip(batch.column(0), batch.column(1), strict=True):
        yield number.as_py(), data.as_py()


def pack(rows: Rows) -> bytes:
    """Encoded rows as bytes of an Arrow stream, for another process of the same run; never a file format."""
    import pyarrow as pa

    from dpsynth.encoding import arrays

    columns: dict[str, pa.Array] = {f"c{name}": arrays.of_numpy(codes) for name, codes in rows.codes.items()}
    columns |= {f"t{name}": texts.dictionary_encode() for name, texts in rows.texts.items()}
    if rows.weights is not None:
        columns["w"] = arrays.of_numpy(rows.weights)
    if rows.entities is not None:
        columns["e"] = rows.entities
    if rows.labels is not None:
        columns["l"] = arrays.of_numpy(rows.labels)
    columns["n"] = pa.nulls(rows.size)
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def unpack(data: bytes) -> Rows:
    """The rows that ``pack`` put into bytes."""
    import pyarrow as pa

    from dpsynth.encoding import arrays

    with pa.ipc.open_stream(data) as stream:
        batch = stream.read_next_batch()
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))

    def vector(name: str) -> NDArray[Any]:
        """In the type that was packed."""
        return arrays.to_numpy(columns[name])

    return Rows(
        batch.num_rows,
        {name[1:]: vector(name) for name in columns if name[0] == "c"},
        {name[1:]: column.dictionary_decode() for name, column in columns.items() if name[0] == "t"},
        vector("w") if "w" in columns else None,
        columns.get("e"),
        vector("l") if "l" in columns else None,
    )
