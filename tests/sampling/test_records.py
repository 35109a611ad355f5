from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module

import numpy as np
import pyarrow as pa
import pytest

from dpsynth.encoding import Layout, layout
from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Level
from dpsynth.sampling import (
    CHUNK,
    SLICE,
    IntegerTables,
    RowsDigest,
    SyntheticRows,
    decode,
    records,
    rows_digest,
    sample_chunk,
    sample_chunks,
)
from dpsynth.schema import Boolean, Schema
from tests.sampling.oracle import forest, stream


@dataclass(frozen=True)
class Plain:
    """A codec that shows what it was given: the code and the high bits of its word."""

    name: str

    def decode(self, codes: np.ndarray, words: np.ndarray) -> pa.Array:
        assert codes.shape == words.shape
        assert words.dtype == np.uint64
        return pa.array(codes.astype(np.int64) * 1_000_000 + (words >> np.uint64(48)).astype(np.int64))


def plain(names: str) -> Layout:
    """The layout of columns that are shown as they are."""
    return Layout(dict.fromkeys(names, Boolean()), (), decoders=tuple(Plain(name) for name in names))


LAYOUT = plain("abcdef")
MODULE = import_module("dpsynth.sampling.records")


def test_records_are_the_codes_with_words_of_their_own():
    codes = sample_chunk(forest(), 50, 3, 0)
    (batch,) = records(forest(), LAYOUT, 50, 3)
    assert batch.schema.names == list("abcdef")
    for index, name in enumerate("abcdef"):
        words = stream(3, 0, 2, index, 50)
        assert batch[name].to_pylist() == [
            int(c) * 1_000_000 + (w >> 48) for c, w in zip(codes[name], words, strict=True)
        ]


def test_one_pass_gives_rows_and_digest():
    digest = RowsDigest(forest(), 70)
    rows = sum(batch.num_rows for batch in records(forest(), LAYOUT, 70, 3, digest))
    assert rows == 70
    assert digest.text == rows_digest(forest(), 70, 3)


def test_no_rows_give_one_typed_batch_and_a_digest():
    (batch,) = records(forest(), LAYOUT, 0, 3)
    assert batch.num_rows == 0
    assert batch.schema.names == list("abcdef")
    head = b'dpsynth-rows-v1\n{"columns":["a","b","c","d","e","f"],"fine":[3,4,3,5,11,4],"rows":0}\n'
    assert rows_digest(forest(), 0, 3) == "sha256:" + sha256(head).hexdigest()


def test_the_digest_is_the_documented_one():
    head = b'dpsynth-rows-v1\n{"columns":["a","b","c","d","e","f"],"fine":[3,4,3,5,11,4],"rows":9}\n'
    codes = sample_chunk(forest(), 9, 3, 0)
    body = b"".join(int(code).to_bytes(2, "little") for name in "abcdef" for code in codes[name])
    assert rows_digest(forest(), 9, 3) == "sha256:" + sha256(head + body).hexdigest()


@pytest.mark.parametrize("changed", ["rows", "seed", "total rows"])
def test_the_digest_notices(changed):
    other = {"rows": (10, 3), "seed": (9, 4), "total rows": (9, 2**40 + 3)}[changed]
    assert rows_digest(forest(), 9, 3) != rows_digest(forest(), *other)


def test_chunks_decode_alone():
    rows, tables = CHUNK + 7, small()
    codes = sample_chunk(tables, rows, 1, 1)
    whole = list(records(tables, plain("x"), rows, 1))
    assert [batch.num_rows for batch in whole] == [SLICE] * (CHUNK // SLICE) + [7]
    (last,) = decode(plain("x"), codes, 1, 1)
    assert last.equals(whole[-1])
    digest = RowsDigest(tables, rows)
    for part in sample_chunks(tables, rows, 1):
        digest.add(part)
    assert digest.text == rows_digest(tables, rows, 1, workers=3)


def test_a_chunk_alone_is_that_piece_of_all_rows():
    rows, seed = CHUNK + SLICE + 5, 2
    whole = SyntheticRows(small(), plain("x"), rows, seed)
    alone = [batch for chunk in (0, 1) for batch in SyntheticRows(small(), plain("x"), rows, seed).chunk(chunk)]
    assert pa.Table.from_batches(whole.batches()).equals(pa.Table.from_batches(alone))


@pytest.mark.parametrize(("rows", "chunk"), [(5, -1), (5, 1), (0, 1)])
def test_there_is_no_other_chunk(rows: int, chunk: int) -> None:
    with pytest.raises(ConfigurationError, match=f"chunk {chunk} of {rows} rows"):
        SyntheticRows(small(), plain("x"), rows, 1).chunk(chunk)


def test_no_rows_are_one_empty_chunk() -> None:
    (batch,) = SyntheticRows(small(), plain("x"), 0, 1).chunk(0)
    assert (batch.num_rows, batch.schema.names) == (0, ["x"])


@pytest.mark.parametrize("size", [4, 12, 1 << 10])
def test_slices_of_a_chunk_are_the_chunk(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Words of a slice are those of its rows in the chunk, and fresh identifiers go on."""
    told = Schema.parse(
        """
        [columns.id]
        type = "identifier"
        prefix = "p"
        [columns.age]
        type = "integer"
        min = 0
        max = 99
        bins = 10
        [columns.at]
        type = "datetime"
        min = 2020-01-01
        max = 2020-12-31
        """
    )
    whole = layout(told)
    codes = {codec.name: np.arange(1000, dtype=np.uint16) % codec.size for codec in whole.codecs}
    (expected,) = decode(whole, codes, 9, 3)
    monkeypatch.setattr(MODULE, "SLICE", size)
    found = pa.Table.from_batches(decode(whole, codes, 9, 3))
    assert found.equals(pa.Table.from_batches([expected]))
    assert len(found["age"].chunks) == -(-1000 // size)


def test_wide_tables_are_decoded_fewer_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    (expected,) = records(forest(), LAYOUT, 50, 3)
    monkeypatch.setattr(MODULE, "CELLS", 6 * 20)
    monkeypatch.setattr(MODULE, "SLICE", 32)
    found = list(records(forest(), LAYOUT, 50, 3))
    assert [batch.num_rows for batch in found] == [16, 16, 16, 2]
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches([expected]))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    rows = 2 * CHUNK + 9
    monkeypatch.setattr(MODULE, "THREADS", threads)
    monkeypatch.setattr("os.cpu_count", lambda: threads)
    digest = RowsDigest(small(), rows)
    found = sum(batch.num_rows for batch in records(small(), plain("x"), rows, 4, digest))
    assert found == rows
    assert digest.text == rows_digest(small(), rows, 4, workers=1)


def test_wide_tables_are_drawn_by_fewer_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)

    def threads(columns: int) -> int:
        levels = [Level.identity(f"c{place}", 2) for place in range(columns)]
        nodes = [((), (level.column,), np.ones((1, 2))) for level in levels]
        return SyntheticRows(IntegerTables.build(nodes, levels, {}, 0), LAYOUT, 5, 1)._threads

    assert [threads(columns) for columns in (14, 100, 300, 2000)] == [4, 3, 1, 1]


def small() -> IntegerTables:
    return IntegerTables.build([((), ("x",), np.array([[1.0, 2.0]]))], [Level.identity("x", 2)], {}, 0)
