"""Codes to records: Arrow batches of typed values, and the digest that binds the codes.

Rows are drawn a chunk at a time, in threads, and decoded a slice of a chunk at a time, so that what is held does not
grow with their number: the codes of a few chunks, and the values of one slice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Layout
from dpsynth.encoding.identifiers import ROUNDS
from dpsynth.sampling.draw import Codes, Sampler, chunks, require, sample_chunks
from dpsynth.sampling.kept import kept
from dpsynth.sampling.tables import CHUNK, IntegerTables
from dpsynth.sampling.words import BETWEEN, BLOCK, KEY, VALUE, words
from dpsynth.threads import in_order

if TYPE_CHECKING:
    import pyarrow


SLICE = 1 << 17
"""Rows that are decoded at a time, and so those of a batch; fewer where they would have more than CELLS cells."""

CELLS = 1 << 24

HELD = 1 << 30
"""Bytes that chunks at work may hold together; one is always drawn."""

THREADS = 4
"""Chunks drawn at once at most: who writes them is not faster than so many."""


@dataclass(frozen=True)
class ChunkWords:
    """The words of rows ``begin`` to ``begin + rows`` of a chunk: :class:`dpsynth.encoding.layout.Draws`."""

    seed: int
    chunk: int
    rows: int
    begin: int = 0

    @property
    def first(self) -> int:
        """The place of the first of these rows among all."""
        return self.chunk * CHUNK + self.begin

    def inside(self, place: int) -> NDArray[np.uint64]:
        """A word a row, to draw a value inside a fine cell of a column of the model."""
        return words(self.seed, self.chunk, VALUE, place, self.rows, self.begin)

    def between(self, place: int) -> NDArray[np.uint64]:
        """A word a row, for what no column of the model holds of a column of the table."""
        return words(self.seed, self.chunk, BETWEEN, place, self.rows, self.begin)

    def key(self, place: int) -> NDArray[np.uint64]:
        """The key of the identifiers in a column of the table."""
        return words(self.seed, 0, KEY, place, ROUNDS)


class RowsDigest:
    """A running digest over canonical codes; equal rows give equal digests on every machine.

    ``changed`` counts the rows so far that were drawn otherwise and moved to keep the constraints of the schema,
    beside totals that are computed in every row.

    SHA-256 over ``dpsynth-rows-v1\\n``, compact JSON ``{"columns":[...],"fine":[...],"rows":n}``, ``\\n``, and for
    each chunk and each column in order the codes as little-endian uint16.
    """

    def __init__(self, tables: IntegerTables, rows: int) -> None:
        head = {"columns": list(tables.columns), "fine": list(tables.fine), "rows": rows}
        text = json.dumps(head, separators=(",", ":"), ensure_ascii=True)
        self._columns = tables.columns
        self.changed = 0
        self._state = sha256(b"dpsynth-rows-v1\n" + text.encode() + b"\n")

    def add(self, codes: Codes) -> None:
        """Take the next chunk."""
        for name in self._columns:
            self._state.update(np.ascontiguousarray(codes[name], dtype="<u2").data)

    @property
    def text(self) -> str:
        """``sha256:...`` over the chunks taken so far."""
        return "sha256:" + self._state.hexdigest()


def rows_digest(tables: IntegerTables, rows: int, seed: int, workers: int | None = None) -> str:
    """``sha256:...`` over the rows that ``seed`` gives."""
    digest = RowsDigest(tables, rows)
    for codes in sample_chunks(tables, rows, seed, workers):
        digest.add(codes)
    return digest.text


def decode(layout: Layout, codes: Codes, seed: int, chunk: int) -> Iterator[pyarrow.RecordBatch]:
    """One chunk of codes as rows of the table, at most SLICE rows at a time; zero rows give one empty, typed batch.

    Inside a fine cell the value is drawn from the chunk's own words.
    """
    rows, size = next(iter(codes.values())).size, SLICE
    while size * len(codes) > CELLS and size > BLOCK:
        size //= 2
    for begin in range(0, max(1, rows), size):
        part = {name: column[begin : begin + size] for name, column in codes.items()}
        yield layout.decode(part, ChunkWords(seed, chunk, min(size, rows - begin), begin))


@dataclass(frozen=True, eq=False)
class SyntheticRows:
    """The ``rows`` rows that ``seed`` gives, in chunks that are each made alone, in any process and in any order.

    The ``chunks``, ``chunk(0)`` and on, give what ``batches()`` gives; there is always a first one, empty if need be.
    They keep the constraints of the schema, and the condition that the layout is given. ``rows`` >= 0 and
    0 <= ``seed`` < 2^63; ConfigurationError otherwise.
    """

    tables: IntegerTables
    layout: Layout
    rows: int
    seed: int

    def __post_init__(self) -> None:
        require(self.rows, self.seed)

    @cached_property
    def sampler(self) -> Sampler:
        """The tables made ready for drawing."""
        return Sampler.of(self.tables)

    @property
    def chunks(self) -> int:
        """How many chunks there are, at least one."""
        return max(1, chunks(self.rows))

    def codes(self, chunk: int) -> tuple[Codes, int]:
        """The codes of one chunk, drawn and repaired, and how many of its rows the repair changed."""
        if self.rows == 0 == chunk:
            return {name: np.empty(0, np.uint16) for name in self.tables.columns}, 0
        return kept(self.sampler, self.layout, self.sampler.chunk(self.rows, self.seed, chunk), self.seed, chunk)

    def chunk(self, chunk: int) -> Iterator[pyarrow.RecordBatch]:
        """One chunk alone: what the executors of a cluster draw."""
        return decode(self.layout, self.codes(chunk)[0], self.seed, chunk)

    def batches(self, digest: RowsDigest | None = None) -> Iterator[pyarrow.RecordBatch]:
        """All of them in order, SLICE at most at a time; zero rows give one empty, typed batch.

        ``digest``, if given, takes every chunk on its way, so that one pass writes the rows and knows their digest.
        """
        drawn = in_order(self.codes, self.chunks, self._threads)
        for chunk in range(self.chunks):
            codes, changed = next(drawn)
            if digest is not None:
                digest.add(codes)
                digest.changed += changed
            yield from decode(self.layout, codes, self.seed, chunk)
            del codes  # before the next is drawn

    @property
    def _threads(self) -> int:
        """As many as HELD allows: drawing holds two bytes a cell, and about a hundred a row."""
        held = CHUNK * (2 * len(self.tables.columns) + 100)
        return max(1, min(os.cpu_count() or 1, THREADS, HELD // held))


def records(
    tables: IntegerTables, layout: Layout, rows: int, seed: int, digest: RowsDigest | None = None
) -> Iterator[pyarrow.RecordBatch]:
    """The rows as Arrow record batches: those of :class:`SyntheticRows`."""
    return SyntheticRows(tables, layout, rows, seed).batches(digest)
