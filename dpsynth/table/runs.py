"""Records with a text each, in the order of their buckets, so that each bucket can be read by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.table.blocks import Piece, Store

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False, repr=False)
class _Run:
    """Records in the order of their buckets, and where each bucket begins in the records and in the texts."""

    records: Piece
    texts: Piece
    starts: Piece
    begins: Piece


class Runs:
    """Records that have a field ``length``, that of their text in bytes; the texts follow each other beside them."""

    def __init__(self, store: Store, buckets: int) -> None:
        self._store = store
        self._buckets = buckets
        self._runs: list[_Run] = []
        self._starts = np.zeros(buckets + 1, dtype=np.int64)  # the sums over all runs
        self._begins = np.zeros(buckets + 1, dtype=np.int64)

    def add(self, records: NDArray[Any], texts: NDArray[np.uint8], numbers: NDArray[np.int64]) -> None:
        """Keep records that are in the order of their buckets; ``numbers`` (buckets,) says how many each has."""
        starts = np.zeros(self._buckets + 1, dtype=np.int64)
        np.cumsum(numbers, out=starts[1:])
        ends = np.zeros(records.size + 1, dtype=np.int64)
        np.cumsum(records["length"], out=ends[1:])
        begins = ends[starts]
        self._starts += starts
        self._begins += begins
        self._runs.append(_Run(*map(self._store.put, (records, texts, starts, begins))))

    def stretches(self, cost: Callable[[int, int], int], room: int) -> Iterator[tuple[int, int, bool]]:
        """All buckets from first to last, those that follow each other together while their cost is within ``room``.

        Each with whether it is. ``cost`` says what so many records with so many bytes of texts take.
        """
        number, texts = self._starts.tolist(), self._begins.tolist()

        def fits(first: int, last: int) -> bool:
            return cost(number[last] - number[first], texts[last] - texts[first]) <= room

        first = 0
        while first < self._buckets:
            last = first + 1
            while last < self._buckets and fits(first, last + 1):
                last += 1
            yield first, last, fits(first, last)
            first = last

    def parts(self, first: int, last: int) -> Iterator[tuple[NDArray[Any], NDArray[np.uint8]]]:
        """Of what was added each time the records of some buckets, and their texts; not to be changed."""
        for run in self._runs:
            start, end = (int(self._store.get(run.starts, at, at + 1)[0]) for at in (first, last))
            begin, stop = (int(self._store.get(run.begins, at, at + 1)[0]) for at in (first, last))
            yield self._store.get(run.records, start, end), self._store.get(run.texts, begin, stop)

    def close(self) -> None:
        """Forget the records."""
        for run in self._runs:
            for piece in (run.records, run.texts, run.starts, run.begins):
                self._store.drop(piece)
        self._runs = []


def cut(texts: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Of ``large_binary`` where each text begins and ends, shape (n + 1,), and the bytes."""
    _, ends, data = texts.buffers()
    if not len(texts):
        return np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    offsets = np.frombuffer(ends, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return offsets, np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)


def uncut(lengths: NDArray[np.integer[Any]], data: NDArray[np.uint8]) -> pa.Array:
    """The ``large_binary`` texts of these lengths, which follow each other in ``data``."""
    import pyarrow as pa

    offsets = np.zeros(lengths.size + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.large_binary(), lengths.size, buffers)
