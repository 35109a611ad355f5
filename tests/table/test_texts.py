"""Texts that are kept bucket by bucket of their digests are counted and coded as if they were looked at together."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.encoding import Codec, codecs
from dpsynth.schema import Schema
from dpsynth.table.blocks import Store
from dpsynth.table.runs import Runs
from dpsynth.table.texts import Vocabulary, digested, numbers

Batches = list[list[str | None]]

words = st.sampled_from(["a", "b", "other", "3", "03", "3.50", "é", "x" * 300]) | st.text("pq", min_size=1, max_size=9)
batches = st.lists(st.lists(st.none() | words, max_size=12), max_size=5)


def kept() -> list[Vocabulary]:
    """One for each way to keep texts: all beside memory and one by one, some, all at once."""
    return [Vocabulary(Store(share), room) for share, room in ((0, 0), (1000, 3000), (1 << 40, 1 << 40))]


def texts(batch: list[str | None]) -> pa.Array:
    return pa.array([None if text is None else text.encode() for text in batch], pa.large_binary())


def codec_of(*values: str, nullable: bool = False) -> Codec:
    listed = ", ".join(f'"{value}"' for value in [*values, "other"])
    text = f'[columns.shop]\ntype = "categorical"\nvalues = [{listed}]\notherwise = "other"\n'
    return codecs(Schema.parse(text + ("nullable = true\n" if nullable else "")))[0]


def held(vocabulary: Vocabulary) -> tuple[dict[str, int], int]:
    """The holders of all texts but ``other``, and the number of parts; each part is sorted, none repeats another's."""
    pairs: list[tuple[str, int]] = []
    number = 0
    for found, counts in vocabulary.holders("other"):
        assert found == sorted(found)
        pairs += zip(found, counts.tolist(), strict=True)
        number += 1
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs), number


@settings(deadline=None, max_examples=40)
@given(batches)
def test_rows_that_are_entities_are_counted(data: Batches) -> None:
    wanted = Counter(text for batch in data for text in batch if text not in (None, "other"))
    for vocabulary in kept():
        for batch in data:
            digests = vocabulary.add(texts(batch), alone=True)
            ours = [bytes(32) if text is None else sha256(text.encode()).digest() for text in batch]
            assert [bytes(digest) for digest in digests] == ours
        assert held(vocabulary)[0] == wanted


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.none() | words), max_size=12), max_size=5), st.integers(1, 9))
def test_an_entity_counts_once(parts: list[list[tuple[int, str | None]]], every: int) -> None:
    """Rows that do not stay, here those of each ``every``th place, leave nothing."""
    rows = [[row for at, row in enumerate(part) if at % every] for part in parts]
    pairs = {(place, who, text) for place, part in enumerate(rows) for who, text in part}
    wanted = Counter(text for _, _, text in pairs if text not in (None, "other"))
    for vocabulary in kept():
        digests = [vocabulary.add(texts([text for _, text in part]), alone=False) for part in parts]
        assert held(vocabulary)[0] == {}
        for part, found in zip(parts, digests, strict=True):
            mine = np.array([at for at in range(len(part)) if at % every], dtype=np.intp)
            whose = np.array([who for who, _ in part], dtype=np.int64)
            vocabulary.hold(found[mine], whose[mine])
        assert held(vocabulary)[0] == wanted


@settings(deadline=None, max_examples=40)
@given(batches, st.booleans())
def test_codes_are_those_of_the_texts(data: Batches, nullable: bool) -> None:
    """Of texts that denote a listed number, too: 03 is 3 where it is not listed itself."""
    codec = codec_of("3", "3.5", "a", "é", nullable=nullable)
    every = [text for batch in data for text in batch]
    wanted = codec.encode(pa.array(every, pa.large_string()))
    for vocabulary in kept():
        digests = [vocabulary.add(texts(batch), alone=True) for batch in data]
        found = vocabulary.found(codec)
        codes = [found.of(some) for some in digests]
        assert np.array_equal(np.concatenate([wanted[:0], *codes]), wanted)
        assert all(some.dtype == wanted.dtype for some in codes)


def test_a_vocabulary_is_looked_at_in_parts_that_fit() -> None:
    vocabulary = Vocabulary(Store(0), 300_000)
    for begin in range(0, 5000, 1000):
        vocabulary.add(texts([f"text {at}" for at in range(begin, begin + 2000)]), alone=True)
    found, number = held(vocabulary)
    assert found == {f"text {at}": 1 if at < 1000 or at >= 5000 else 2 for at in range(6000)}
    assert number > 15


def test_digests_are_what_rows_are_told_apart_by() -> None:
    some = digested(texts(["a", "é"]))
    assert numbers(some).tobytes() == sha256(b"a").digest() + sha256("é".encode()).digest()
    assert numbers(some).shape == (2, 16)
    assert digested(texts([])).size == 0


def test_what_is_forgotten_makes_room() -> None:
    store = Store(200_000)
    for _ in range(5):
        vocabulary = Vocabulary(store, 0)
        vocabulary.add(texts(["a", "b"]), alone=True)
        assert held(vocabulary)[0] == {"a": 1, "b": 1}
        vocabulary.close()
        assert held(vocabulary)[0] == {}
    assert store._file is None  # never beside memory


def test_buckets_are_read_by_themselves() -> None:
    for share in (0, 1 << 20):
        runs = Runs(Store(share), 3)
        for text in (b"aabbb", b"ccddd"):
            records = np.array([2, 3], dtype=[("length", "<u4")])
            runs.add(records, np.frombuffer(text, dtype=np.uint8), np.array([1, 0, 1]))
        assert [bytes(data) for _, data in runs.parts(0, 1)] == [b"aa", b"cc"]
        assert [bytes(data) for _, data in runs.parts(1, 3)] == [b"bbb", b"ddd"]
        assert list(runs.stretches(lambda records, texts: texts, 6)) == [(0, 2, True), (2, 3, True)]
        assert list(runs.stretches(lambda records, texts: texts, 5)) == [(0, 2, True), (2, 3, False)]
        assert list(runs.stretches(lambda records, texts: records, 4)) == [(0, 3, True)]


MANY = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
from dpsynth.encoding import codecs
from dpsynth.measurement import Level, Query
from dpsynth.schema import Schema
from dpsynth.table import Source, least_memory, open_table

sys.path.insert(0, "benchmarks")
from memory import peak_mib

path, limited, unit = Path(sys.argv[1]), sys.argv[2] == "limited", sys.argv[3]
rows, batch = 1_000_000, 1 << 17
head = '[unit]\\nentity = "person"\\n' + unit.replace(";", "\\n") + '\\n[columns.note]\\ntype = "categorical"\\n'
schema = Schema.parse(head + 'values = "private"\\n')
if not path.exists():
    with pq.ParquetWriter(path, pa.schema([("id", pa.int64()), ("note", pa.string())])) as file:
        for begin in range(0, rows, batch):
            at = np.arange(begin, min(begin + batch, rows))
            words = pc.utf8_lpad(pa.array(np.where(at % 10 == 0, 7, at)).cast(pa.string()), 60, "0")
            file.write_table(pa.table({"id": at, "note": words}))
least = least_memory() + (16 << 20)
table = open_table(Source.of(path), codecs(schema), schema.unit, bytes(32), memory=least if limited else 1 << 40)
texts = held = 0
often = []
for words, counts in table.holders("note", "other"):
    texts, held = texts + len(words), held + int(counts.sum())
    often += [(word, count) for word, count in zip(words, counts.tolist()) if count > 1]
common = "7".rjust(60, "0")
assert (texts, held, often) == (rows * 9 // 10, rows, [(common, rows // 10 + 1)]), "holders"
codec = codecs(Schema.parse(head + f'values = ["{common}", "other"]\\notherwise = "other"\\n'))[0]
table.find(codec)
counts = table.count([Query((Level.identity("note", 2),))])[0]
assert counts.tolist() == [rows // 10 + 1, rows - rows // 10 - 1], "counts"
print(peak_mib() - least / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("unit", ["", 'column = "id";max_rows = 2'])
def test_a_limit_on_memory_is_kept_with_many_texts(unit: str, tmp_path: Path) -> None:
    over = []
    for limit in ("limited", "unlimited"):
        call = [sys.executable, "-c", MANY, str(tmp_path / "t.parquet"), limit, unit]
        done = subprocess.run(call, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        over.append(float(done.stdout))
    assert over[0] < 0 < over[1]
