"""However little of a table is in memory at a time, and wherever it comes from, it is counted to the same integers."""

from __future__ import annotations

import hmac
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth.encoding import Codec, codecs
from dpsynth.encoding.weights import weight_units
from dpsynth.errors import SourceError
from dpsynth.measurement import TOTAL, Level, Query
from dpsynth.privacy import Cells
from dpsynth.schema import Schema
from dpsynth.table import Source, reader, spread
from dpsynth.table.blocks import FULL, Blocks, Store
from dpsynth.table.encoded import Encoder
from dpsynth.table.identities import canonical
from dpsynth.table.limit import Sizes
from dpsynth.table.local import Local, opened
from dpsynth.table.spread import Spread, hashes
from dpsynth.table.texts import Vocabulary

KEY = bytes(range(32))
REGIONS = Cells("region", ("north", "south", "Ätna"))
WHOLE = Sizes(1 << 40, 1 << 40)
SIZES = [WHOLE, Sizes(0, 0, 1), Sizes(300, 1500, 3), Sizes(100, 20_000, 2)]
COLUMNS = """
[columns.age]
type = "integer"
min = 0
max = 300
nullable = true
[columns.word]
type = "categorical"
values = ["a", "b", "é"]
nullable = true
"""
SHOP = '[columns.shop]\ntype = "categorical"\nvalues = "private"\nmax_values = 50\n'
NAMES = ("id", "age", "word", "shop", "region", "weight")
Row = tuple[str | None, ...]

cells = st.tuples(
    st.sampled_from(["1", "1.0", " 1", "2", "ann", "Å", "A\u030a", "e1", "x" * 200, None, ""]),
    st.sampled_from(["3", "3.0", "300", "x", None]),
    st.sampled_from(["a", "b", "é", "e\u0301", "\ud800", None]),
    st.sampled_from(["s1", "s2", " s2", "té", None]),
    st.sampled_from([*REGIONS.labels, "sea", None]),
    st.sampled_from(["1", "2.5", "0", "-1", "99", None]),
)
one_entity = st.tuples(st.just("1"), *[st.sampled_from(["1", "a", "s1", "north", "2"])] * 5)
tables = st.one_of(st.lists(cells, max_size=25), st.lists(one_entity, min_size=10, max_size=40))


def schema_of(max_rows: int | None, weighed: bool, shop: bool) -> Schema:
    unit = '[unit]\nentity = "person"\n'
    unit += "" if max_rows is None else f'column = "id"\nmax_rows = {max_rows}\n'
    unit += 'weight = "weight"\nmax_weight = 4.0\nweight_origin = "design"\n' if weighed else ""
    return Schema.parse(unit + COLUMNS + (SHOP if shop else ""))


def frame(rows: list[Row]) -> pa.Table:
    raw = [
        [None if c is None else c.encode("utf-8", "surrogatepass") for c in column]
        for column in zip(*rows, strict=True)
    ]
    return pa.table({name: pa.array(raw[at] if raw else [], pa.binary()) for at, name in enumerate(NAMES)})


def by_hand(rows: list[Row], encoder: Encoder) -> tuple[np.ndarray, dict[str, int]]:
    """The joint table of age and word, and the holders of each shop, as documented: entity by entity."""
    table, unit = frame(rows), encoder.unit
    code = {codec.name: codec.encode(table[codec.name]) for codec in encoder.codecs if codec.name != "shop"}
    ids, shops = (canonical(table[name]).to_pylist() for name in ("id", "shop"))
    labels = canonical(table["region"]).to_pylist()
    units = weight_units(table["weight"], 4.0).tolist()
    groups: dict[Any, list[int]] = defaultdict(list)
    for at in range(len(rows)):
        who = at if unit.column is None else ids[at]
        if who is not None:
            groups[who].append(at)
    joint = np.zeros((encoder.codecs[0].size, encoder.codecs[1].size), dtype=np.int64)
    holders: Counter[str] = Counter()
    for who, group in groups.items():
        if encoder.cell is not None:
            known = {labels[at].decode() for at in group if labels[at] is not None} & set(REGIONS.labels)
            if unit.column is None:
                lies = min(known, default=None)
            else:
                own = sorted(known, key=REGIONS.labels.index)
                lies = (
                    min(own, key=lambda label: hmac.digest(KEY, b"cell\0" + who + b"\0" + label.encode(), "sha256"))
                    if own
                    else None
                )
            if lies != encoder.cell.label:
                continue
            group = [at for at in group if labels[at] == encoder.cell.label.encode()]
        if unit.column is not None:

            def content(at: int) -> bytes:
                parts = [np.array([code[n][at]], dtype="<u2").tobytes() for n in ("age", "word")]
                if encoder.unlisted:
                    parts.append(bytes(32) if shops[at] is None else sha256(shops[at]).digest())
                if unit.weight:
                    parts.append(np.array([units[at]], dtype="<u2").tobytes())
                return b"".join(parts)

            ranks = {at: hmac.digest(KEY, who + b"\0" + content(at), "sha256") for at in group}
            group = sorted(group, key=ranks.__getitem__)[: unit.max_rows]
        for at in group:
            joint[code["age"][at], code["word"][at]] += units[at] if unit.weight else 1
        holders.update({shops[at].decode() for at in group if shops[at] is not None})
    return joint, dict(holders) if encoder.unlisted else {}


def seen(table: Local, encoder: Encoder) -> tuple[np.ndarray, dict[str, int], list[np.ndarray]]:
    """The joint table, the holders, and what is counted once the values are found."""
    age, word = encoder.codecs[:2]
    pair = Query((Level.identity("age", age.size), Level.identity("word", word.size)))
    joint, total = table.count([pair, TOTAL])
    assert joint.sum() == total
    if not encoder.unlisted:
        return joint, {}, []
    words, counts = joined(table.holders("shop", "no such"))
    codec = _listed(tuple(words))
    table.find(codec)
    table.find(codec)
    with pytest.raises(KeyError):
        table.holders("shop", "")
    level = Level.identity("shop", codec.size)
    more = table.count([Query((level,)), Query((pair.levels[1], level))])
    return joint, dict(zip(words, counts, strict=True)), list(more)


def joined(parts: Iterator[tuple[list[str], np.ndarray]]) -> tuple[list[str], list[int]]:
    """All texts in order, and their holders; no text is in two parts, and each part is sorted."""
    pairs: list[tuple[str, int]] = []
    for words, counts in parts:
        assert words == sorted(words)
        pairs += zip(words, counts.tolist(), strict=True)
    assert len(dict(pairs)) == len(pairs)
    return [word for word, _ in sorted(pairs)], [number for _, number in sorted(pairs)]


def _listed(words: tuple[str, ...]) -> Codec:
    listed = ", ".join(f'"{word}"' for word in [*words, "other"])
    text = f'[columns.shop]\ntype = "categorical"\nvalues = [{listed}]\notherwise = "other"\n'
    return codecs(Schema.parse(text))[0]


def sources(rows: list[Row], folder: Path) -> Iterator[Any]:
    table = frame(rows)
    yield table
    yield pa.Table.from_batches(
        [piece for at in range(0, len(rows), 4) for piece in table.slice(at, 4).to_batches()], table.schema
    )
    files = folder / "files"
    files.mkdir(exist_ok=True)
    for old in files.iterdir():
        old.unlink()
    for number, at in enumerate(range(0, len(rows) + 1, 7)):  # the last one may be empty
        pq.write_table(table.slice(at, 7), files / f"{number}.parquet", row_group_size=2)
    pq.write_table(table.slice(0, 0), files / "empty.parquet")
    yield files
    if all(cell is None or "\ud800" not in cell for row in rows for cell in row):
        lines = ["" if cell is None else cell for row in rows for cell in row]
        text = "\n".join([",".join(NAMES), *(",".join(lines[at : at + 6]) for at in range(0, len(lines), 6)), ""])
        (folder / "t.csv").write_text(text, encoding="utf-8")
        yield folder / "t.csv"
        words = pa.table([column.cast(pa.string()) for column in table.columns], names=list(NAMES))
        yield duckdb.from_arrow(words)
        yield words.to_pandas()


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=tables,
    max_rows=st.sampled_from([None, 1, 2, 3]),
    weighed=st.booleans(),
    shop=st.booleans(),
    label=st.sampled_from([None, *REGIONS.labels]),
    batch=st.sampled_from([1, 3, 1000]),
)
def test_the_same_integers_whatever_is_in_memory(
    rows: list[Row], max_rows: int | None, weighed: bool, shop: bool, label: str | None, batch: int, tmp_path: Path
) -> None:
    schema = schema_of(max_rows, weighed, shop)
    cell = None if label is None else REGIONS.cell("study", label)
    encoder = Encoder(codecs(schema), schema.unit, cell=cell)
    joint, holders = by_hand(rows, encoder)
    first: list[np.ndarray] | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "ROWS", batch)
        for number, data in enumerate(sources(rows, tmp_path)):
            for sizes in SIZES if not number else [SIZES[1 + number % 3]]:
                table = opened(Source.of(data), encoder, KEY, sizes)
                ours = seen(table, encoder)
                table.close()
                assert np.array_equal(ours[0], joint), (type(data), sizes)
                assert ours[1] == holders, (type(data), sizes)
                first = first or ours[2]
                assert all(np.array_equal(one, two) for one, two in zip(ours[2], first, strict=True))


def people(number: int, each: int) -> pa.Table:
    at = np.arange(number * each)
    return pa.table({"id": at // each, "age": at % 300, "word": pa.array(["a"] * at.size)})


def counted(data: pa.Table, sizes: Sizes, max_rows: int = 2) -> tuple[int, np.ndarray]:
    schema = schema_of(max_rows, False, False)
    table = opened(Source.of(data), Encoder(codecs(schema), schema.unit), KEY, sizes)
    return table.rows(), table.count([Query((Level.identity("age", 302),))])[0]


@pytest.mark.parametrize(("number", "each"), [(1, 5000), (3, 1000), (1000, 3), (4000, 1)])
def test_no_more_rows_than_there_is_room_for_are_looked_at_together(
    number: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "ROWS", 100)
    room = 60_000  # some 200 rows
    seen: list[int] = []

    def watched(function: Any) -> Any:
        def call(rows: Any, *rest: Any) -> Any:
            seen.append(rows.size)
            return function(rows, *rest)

        return call

    whole = counted(people(number, each), WHOLE)
    monkeypatch.setattr(spread, "standing", watched(spread.standing))
    monkeypatch.setattr(spread, "compacted", watched(spread.compacted))
    rows, ages = counted(people(number, each), Sizes(0, room, 10))
    assert rows == whole[0] == number * min(each, 2)
    assert np.array_equal(ages, whole[1])
    assert max(seen) < 320


def test_buckets_that_are_too_large_are_spread_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the hash: texts of one hash are looked at together in the end, or there would be no end."""
    whole = counted(people(300, 3), WHOLE)
    deepest = 0
    for constant in (False, True):
        if constant:
            monkeypatch.setattr(spread, "hashes", lambda texts: np.zeros(len(texts), dtype=np.uint64))
        depths: list[int] = []
        make = Spread.__init__

        def watched(self: Spread, *arguments: Any, make: Any = make, depths: list[int] = depths) -> None:
            depths.append(arguments[3] if len(arguments) > 3 else 0)
            make(self, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Spread, "__init__", watched)
            rows, ages = counted(people(300, 3), Sizes(0, 1000, 10))
        assert rows == whole[0]
        assert np.array_equal(ages, whole[1])
        deepest = max(deepest, *depths)
    assert deepest == spread.DEEPEST


class TestHashes:
    def test_are_of_the_text_alone(self) -> None:
        words = [b"", b"1", b"12345678", b"123456789", b"1" * 200, "é".encode(), b"\xff"]
        array = pa.array(words * 3, pa.large_binary())
        found = hashes(array)
        assert found.reshape(3, -1).tolist() == [found[: len(words)].tolist()] * 3
        assert hashes(array.slice(5, 9)).tolist() == found[5:14].tolist()
        assert len(set(found.tolist())) == len(words)
        assert hashes(array.slice(0, 0)).tolist() == []

    def test_spread_evenly(self) -> None:
        for texts in (np.arange(100_000).astype(str), [f"person-{at:09}" for at in range(100_000)]):
            found = hashes(pa.array(texts, pa.large_string()).cast(pa.large_binary()))
            for byte in range(8):
                number = np.bincount((found >> np.uint64(8 * byte)).astype(np.uint8), minlength=256)
                assert 250 < number.min() <= number.max() < 560


class TestStore:
    def test_gives_back_what_was_put(self) -> None:
        store = Store(100)
        vectors = [np.arange(20, dtype=np.uint8), np.arange(30, dtype=np.int64), np.zeros(0), np.arange(40) % 7 == 1]
        vectors.append(np.zeros(5, dtype=[("a", "u1"), ("b", "<u4")]))
        pieces = [store.put(vector) for vector in vectors]
        assert [piece.data is None for piece in pieces] == [False, True, False, False, False]
        for vector, piece in zip(vectors, pieces, strict=True):
            assert np.array_equal(store.get(piece), vector)
            assert np.array_equal(store.get(piece, 2, 4), vector[2:4])
        store.close()

    def test_leaves_no_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        store = Store(0)
        store.put(np.arange(1000))
        assert list(tmp_path.iterdir()) == []
        store.close()

    @pytest.mark.parametrize("said", [None, "", "elsewhere"])
    def test_lies_where_it_is_said_and_nowhere_else(
        self, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Python itself would also try TEMP, TMP and, if need be, the working folder."""
        places: list[object] = []
        made = tempfile.TemporaryFile

        def watched(**words: Any) -> object:
            places.append(words["dir"])
            return made(**{**words, "dir": tmp_path})

        monkeypatch.setattr("tempfile.TemporaryFile", watched)
        monkeypatch.setenv("TEMP", str(tmp_path))
        monkeypatch.setenv("TMP", str(tmp_path))
        monkeypatch.delenv("TMPDIR", raising=False)
        if said is not None:
            monkeypatch.setenv("TMPDIR", said)
        store = Store(0)
        store.put(np.arange(10))
        store.close()
        assert places == [said or "/tmp"]

    @pytest.mark.parametrize("trouble", ["missing", "full", "lost"])
    def test_tells_of_trouble_in_fixed_words(
        self, trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TMPDIR", str(tmp_path / "no" if trouble == "missing" else tmp_path))
        if trouble == "full":

            def full(*_: object) -> int:
                raise OSError(28, "canary-1f0e")

            monkeypatch.setattr(Store, "_write", full)
        if trouble == "lost":
            monkeypatch.setattr(Store, "_opened", lambda store: (store._file.truncate(0), store._file)[1])
        with pytest.raises(SourceError) as caught:
            counted(people(50, 1), Sizes(0, 0, 10))
        assert str(caught.value) == FULL
        assert list(tmp_path.iterdir()) == []


def test_blocks_are_asked_for_what_they_have() -> None:
    held = Blocks(Store(0), 5)
    for at in range(4):
        held.add({"a": np.full(2, at, dtype=np.uint8), "b": np.zeros(2, dtype=np.uint16)}, 2)
    held.flush()
    assert [(rows, block["a"].tolist()) for rows, block in held.parts(["a"])] == [(6, [0, 0, 1, 1, 2, 2]), (2, [3, 3])]
    assert held.rows == 8
    with pytest.raises(KeyError):
        list(held.parts(["c"]))
    held.close()


@pytest.mark.parametrize("at", [1, 3, 5])
def test_values_are_found_all_the_same_after_an_interruption(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "ROWS", 10)
    schema = schema_of(2, False, True)
    data = people(40, 1).append_column("shop", pa.array([f"s{at % 7}" for at in range(40)]))
    table = opened(Source.of(data), Encoder(codecs(schema), schema.unit), KEY, Sizes(0, 0, 10))
    codec = _listed(("s1", "s5"))
    calls = 0

    def stop(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt

    def stopping(real: Any) -> Any:
        def stopped(*arguments: Any) -> Any:
            stop()
            return real(*arguments)

        return stopped

    for owner, name in ((Store, "put"), (Blocks, "drop"), (Vocabulary, "close")):
        monkeypatch.setattr(owner, name, stopping(getattr(owner, name)))
    with pytest.raises(KeyboardInterrupt):
        table.find(codec)
    table.find(codec)
    assert table.count([Query((Level.identity("shop", codec.size),))])[0].tolist() == [6, 5, 29]


LIMITED = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from dpsynth.encoding import codecs
from dpsynth.measurement import Level, Query
from dpsynth.schema import Schema
from dpsynth.table import Source, blocks, least_memory, open_table

sys.path.insert(0, "benchmarks")
from memory import peak_mib

rows, batch, columns, path = 3_000_000, 1 << 17, 20, Path(sys.argv[1])
text = '[unit]\\nentity = "person"\\ncolumn = "id"\\n'
text += "".join(f'[columns.c{at}]\\ntype = "integer"\\nmin = 0\\nmax = 999\\n' for at in range(columns))
schema = Schema.parse(text)
names = ["id", *schema.columns]
with pq.ParquetWriter(path, pa.schema([(name, pa.int32()) for name in names])) as file:
    for begin in range(0, rows, batch):
        at = np.arange(begin, min(begin + batch, rows), dtype=np.int32)
        file.write_table(pa.table({name: at if name == "id" else at % 1000 for name in names}))
memory = least_memory() + (32 << 20)
files = []
write = blocks.Store._write
blocks.Store._write = lambda store, data: (files.append(data.size), write(store, data))[1]
table = open_table(Source.of(path), codecs(schema), schema.unit, bytes(32), memory=memory)
counts = table.count([Query((Level.identity("c0", 1000), Level.identity("c1", 1000)))])[0]
assert table.rows() == rows and counts.trace() == rows, "counts"
assert sum(files) > 100 << 20, "nothing was kept beside memory"
print(peak_mib() - memory / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_a_limit_on_memory_is_kept(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    words = [sys.executable, "-c", LIMITED, str(tmp_path / "t.parquet")]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0
