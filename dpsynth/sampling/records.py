"""Codes to records: Arrow batches of typed values, and the digest that binds the codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Layout
from dpsynth.encoding.identifiers import ROUNDS
from dpsynth.sampling.draw import Codes, sample_chunks
from dpsynth.sampling.kept import kept
from dpsynth.sampling.tables import CHUNK, IntegerTables
from dpsynth.sampling.words import BETWEEN, KEY, VALUE, words

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class ChunkWords:
    """The words of one chunk of rows: :class:`dpsynth.encoding.layout.Draws`."""

    seed: int
    chunk: int
    rows: int

    @property
    def first(self) -> int:
        """The place of the chunk's first row among all."""
        return self.chunk * CHUNK

    def inside(self, place: int) -> NDArray[np.uint64]:
        """A word a row, to draw a value inside a fine cell of a column of the model."""
        return words(self.seed, self.chunk, VALUE, place, self.rows)

    def between(self, place: int) -> NDArray[np.uint64]:
        """A word a row, for what no column of the model holds of a column of the table."""
        return words(self.seed, self.chunk, BETWEEN, place, self.rows)

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


def decode(layout: Layout, codes: Codes, seed: int, chunk: int) -> pyarrow.RecordBatch:
    """One chunk of codes as rows of the table; inside a fine cell the value is drawn from the chunk's own words."""
    return layout.decode(codes, ChunkWords(seed, chunk, next(iter(codes.values())).size))


def records(
    tables: IntegerTables, layout: Layout, rows: int, seed: int, digest: RowsDigest | None = None
) -> Iterator[pyarrow.RecordBatch]:
    """The rows as Arrow record batches, one a chunk of at most 2^20 rows; zero rows give one empty, typed batch.

    They keep the constraints of the schema, and the condition that the layout is given.

    ``digest``, if given, takes every chunk on its way, so that one pass writes the rows and knows their digest.
    """
    if rows == 0:
        yield decode(layout, {name: np.empty(0, np.uint16) for name in tables.columns}, seed, 0)
    for chunk, drawn in enumerate(sample_chunks(tables, rows, seed)):
        codes, changed = kept(tables, layout, drawn, seed, chunk)
        if digest is not None:
            digest.add(codes)
            digest.changed += changed
        yield decode(layout, codes, seed, chunk)
