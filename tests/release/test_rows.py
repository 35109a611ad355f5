"""Rows are written a piece at a time and compared a piece at a time, whatever their number."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dpsynth.encoding import Layout, layout
from dpsynth.errors import DigestMismatch
from dpsynth.measurement import Level
from dpsynth.release.rebuild import _same_rows
from dpsynth.release.rows import PublishedRows, write_rows
from dpsynth.sampling import CHUNK, IntegerTables, RowsDigest, SyntheticRows
from dpsynth.schema import Schema

SCHEMA = """
[columns.word]
type = "categorical"
values = ["one", "two, \\"and\\" a half", "Ä\\u2028\\nnext line", "=4+1", "null", "Ω"]
nullable = true
[columns.age]
type = "integer"
min = 0
max = 99
bins = 10
nullable = true
[columns.pay]
type = "real"
min = 0.0
max = 1e6
bins = 8
[columns.at]
type = "datetime"
min = 1990-01-01
max = 2020-12-31
"""
ROWS, SEED = 5003, 9
LATE = ROWS - 2


def model(whole: Layout) -> IntegerTables:
    levels = [Level.identity(codec.name, codec.size) for codec in whole.codecs]
    nodes = [((), (level.column,), np.ones((1, level.fine))) for level in levels]
    return IntegerTables.build(nodes, levels, {}, 0)


WHOLE = layout(Schema.parse(SCHEMA))
MODEL = model(WHOLE)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of a thousand rows, and CSV read in blocks of a few."""
    for module in ("dpsynth.sampling.records", "dpsynth.release.rows"):
        monkeypatch.setattr(import_module(module), "SLICE", 1000)
    monkeypatch.setattr("dpsynth.release.rows.BLOCK", 4096)


def written(folder: Path, rows: int = ROWS, told: Callable[[str], None] | None = None) -> dict[str, Any]:
    digest = RowsDigest(MODEL, rows)
    batches = SyntheticRows(MODEL, WHOLE, rows, SEED).batches(digest)
    write_rows(batches, rows, folder, ("parquet", "csv"), told)
    return {"rows": rows, "seed": SEED, "rows_digest": digest.text}


@pytest.mark.parametrize("rows", [0, 1, 999, 1000, 1001, ROWS])
def test_both_formats_hold_the_rows_and_are_found_the_same(tmp_path: Path, rows: int) -> None:
    facts = written(tmp_path, rows)
    expected = pa.Table.from_batches(SyntheticRows(MODEL, WHOLE, rows, SEED).batches())
    read = pq.read_table(tmp_path / "data.parquet")
    assert read.num_rows == rows
    assert read.drop_columns(["at"]).equals(expected.drop_columns(["at"]))
    assert read["at"].cast(pa.timestamp("s")).equals(expected["at"])
    assert pq.ParquetFile(tmp_path / "data.parquet").num_row_groups == max(1, -(-rows // 1000))
    whole = tmp_path / "whole.csv"
    pyarrow.csv.write_csv(expected, whole)
    assert (tmp_path / "data.csv").read_bytes() == whole.read_bytes()
    _same_rows(MODEL, WHOLE, tmp_path, facts, None)


def test_the_cells_are_of_every_kind(tmp_path: Path) -> None:
    written(tmp_path)
    text = (tmp_path / "data.csv").read_text()
    assert "\nnext line" in text
    assert '""and""' in text
    assert text.count("\n") > ROWS + 1


def test_progress_is_of_rows_that_were_asked_for(tmp_path: Path) -> None:
    told: list[str] = []
    facts = written(tmp_path, told=told.append)
    assert told[0] == "1,000 of 5,003 rows written (19 %)"
    assert told[-1] == "5,003 of 5,003 rows written (100 %)"
    assert len(told) == 6
    told.clear()
    _same_rows(MODEL, WHOLE, tmp_path, facts, told.append)
    assert told[2] == "3,000 of 5,003 rows drawn again (59 %)"


def change_parquet(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    path = folder / "data.parquet"
    pq.write_table(change(pq.read_table(path)), path, row_group_size=700)


def changed_cell(table: pa.Table, row: int) -> pa.Table:
    ages = table["age"].to_pylist()
    ages[row] = 1 if ages[row] != 1 else 2
    return table.set_column(1, table.schema.field(1), pa.array(ages))


def test_other_row_groups_are_the_same_rows(tmp_path: Path) -> None:
    facts = written(tmp_path)
    change_parquet(tmp_path, lambda table: table)
    _same_rows(MODEL, WHOLE, tmp_path, facts, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: changed_cell(table, LATE), "data.parquet: the rows are not those"),
        (lambda table: table.slice(0, ROWS - 1), "data.parquet does not hold the number"),
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "data.parquet does not hold the number"),
    ],
    ids=["changed", "missing", "surplus"],
)
def test_a_late_row_of_parquet(tmp_path: Path, change: Callable[[pa.Table], pa.Table], said: str) -> None:
    facts = written(tmp_path)
    change_parquet(tmp_path, change)
    with pytest.raises(DigestMismatch, match=said):
        _same_rows(MODEL, WHOLE, tmp_path, facts, None)


def in_rows(change: Callable[[list[str]], list[str]]) -> Callable[[bytes], bytes]:
    """A change of the last lines of a CSV, all of which end in a time."""
    return lambda data: "\n".join(change(data.decode().split("\n"))).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-2] + (b"1" if data[-2:-1] != b"1" else b"2") + b"\n", "the rows are not those"),
        (in_rows(lambda lines: [*lines[:-2], ""]), "does not hold the number|the rows are not those"),
        (in_rows(lambda lines: [*lines[:-1], '"one",3,4.5,2000-01-01 00:00:00', ""]), "does not hold the number"),
        (lambda data: data[: len(data) * 9 // 10], "does not hold|the rows are not those|cannot be read"),
        (lambda data: data + b'"one","', "cannot be read|does not hold the number"),
        (lambda data: data.replace(b'"age"', b'"year"'), "the rows are not those|cannot be read"),
    ],
    ids=["changed", "missing", "surplus", "cut off", "more than rows", "header"],
)
def test_a_late_row_of_csv(tmp_path: Path, change: Callable[[bytes], bytes], said: str) -> None:
    facts = written(tmp_path)
    path = tmp_path / "data.csv"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DigestMismatch, match=f"data.csv.*({said})"):
        _same_rows(MODEL, WHOLE, tmp_path, facts, None)


@pytest.mark.parametrize("share", [0.2, 0.9, 0.999])
def test_a_parquet_file_cut_off(tmp_path: Path, share: float) -> None:
    facts = written(tmp_path)
    path = tmp_path / "data.parquet"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DigestMismatch, match=r"data\.parquet cannot be read as Parquet"):
        _same_rows(MODEL, WHOLE, tmp_path, facts, None)


def test_a_page_that_cannot_be_read_is_told_in_fixed_words(tmp_path: Path) -> None:
    facts = written(tmp_path)
    path = tmp_path / "data.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = b"\xff" * 3000
    path.write_bytes(bytes(data))
    with pytest.raises(DigestMismatch, match=r"data\.parquet cannot be read as Parquet|the rows are not those"):
        _same_rows(MODEL, WHOLE, tmp_path, facts, None)


def test_rows_are_taken_in_any_numbers(tmp_path: Path) -> None:
    written(tmp_path)
    table, rows = pq.read_table(tmp_path / "data.parquet"), PublishedRows.of_parquet(tmp_path / "data.parquet", ROWS)
    start = 0
    for number in (0, 1, 998, 3, 2500, 1, 2000):
        assert rows.take(number).equals(table.slice(start, number))
        start += number
    assert rows.take(1).num_rows == 0


PEAK = """
import json, sys
from pathlib import Path
sys.path.insert(0, "benchmarks")
from memory import peak_mib
from tests.release.test_rows import MODEL, WHOLE, SEED, written
from dpsynth.release.rebuild import _same_rows
folder, rows = Path(sys.argv[1]), int(sys.argv[2])
facts = written(folder, rows)
peak = peak_mib()
_same_rows(MODEL, WHOLE, folder, facts, None)
print(json.dumps([peak, peak_mib()]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from the kernel's own mark")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Beyond the few chunks at work at once, one more or less; nine million rows take 120 MiB in the file alone."""

    def peaks(rows: int) -> list[float]:
        command = [sys.executable, "-c", PEAK, str(tmp_path), str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        found: list[float] = json.loads(done.stdout)
        return found

    few, many = peaks(4 * CHUNK), peaks(13 * CHUNK)
    assert many[0] < few[0] + 100
    assert many[1] < few[1] + 100
