"""Codes to records: Arrow batches of typed values, and the digest that binds the codes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.sampling.draw import Codes, sample_chunks
from dpsynth.sampling.tables import IntegerTables
from dpsynth.sampling.words import VALUE, words

if TYPE_CHECKING:
    import pyarrow


class Decoder(Protocol):
    """What turns the codes of one column into values: a :class:`dpsynth.encoding.Codec`, or what stands in for one."""

    @property
    def name(self) -> str:
        """The column."""

    def decode(self, codes: NDArray[np.integer], words: NDArray[np.uint64]) -> pyarrow.Array:
        """A value of each cell, drawn within the cell by a random word; both of shape (n,)."""


class RowsDigest:
    """A running digest over canonical codes; equal rows give equal digests on every machine.

    SHA-256 over ``dpsynth-rows-v1\\n``, compact JSON ``{"columns":[...],"fine":[...],"rows":n}``, ``\\n``, and for
    each chunk and each column in order the codes as little-endian uint16.
    """

    def __init__(self, tables: IntegerTables, rows: int) -> None:
        head = {"columns": list(tables.columns), "fine": list(tables.fine), "rows": rows}
        text = json.dumps(head, separators=(",", ":"), ensure_ascii=True)
        self._columns = tables.columns
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


def decode(codecs: Sequence[Decoder], codes: Codes, seed: int, chunk: int) -> pyarrow.RecordBatch:
    """One chunk of codes as typed values; inside a fine cell the value is drawn from the chunk's own words."""
    import pyarrow

    arrays = [
        codec.decode(codes[codec.name], words(seed, chunk, VALUE, index, codes[codec.name].size))
        for index, codec in enumerate(codecs)
    ]
    return pyarrow.RecordBatch.from_arrays(arrays, names=[codec.name for codec in codecs])


def records(
    tables: IntegerTables, codecs: Sequence[Decoder], rows: int, seed: int, digest: RowsDigest | None = None
) -> Iterator[pyarrow.RecordBatch]:
    """The rows as Arrow record batches, one a chunk of at most 2^20 rows; zero rows give one empty, typed batch.

    ``digest``, if given, takes every chunk on its way, so that one pass writes the rows and knows their digest.
    """
    if rows == 0:
        yield decode(codecs, {name: np.empty(0, np.uint16) for name in tables.columns}, seed, 0)
    for chunk, codes in enumerate(sample_chunks(tables, rows, seed)):
        if digest is not None:
            digest.add(codes)
        yield decode(codecs, codes, seed, chunk)
