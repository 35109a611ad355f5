"""A private value never leaves: planted canaries are searched for in every file, message and log that a run makes."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from tests.desk import Desk, call

CANARY = "canary7f3a"
COLUMNS = ("sex", "age", "income", "smokes", "note")
PLACES = {
    "category": f"{CANARY},3,1,yes,x",
    "number": f"f,{CANARY},1,yes,x",
    "late non-number": f"f,3,12{CANARY},yes,x",
    "boolean": f"f,3,1,{CANARY},x",
    "column that is never read": f"f,3,1,yes,{CANARY}",
    "ragged row": f"{CANARY}",
    "too many fields": f"f,3,1,yes,x,{CANARY},{CANARY}",
    "bad quote": f'"{CANARY},3,1,yes,x',
    "quote in the middle": f'f"{CANARY}"z,3,1,yes,x',
    "bad UTF-8": f"f,3,1,yes,{CANARY}\udcff\udcfe",
    "null byte": f"f,3\0{CANARY},1,yes,x",
    "long line": f"f,3,1,yes,{CANARY * 300_000}",
}


@pytest.mark.parametrize(
    ("place", "mechanism"),
    [*((place, "mst") for place in PLACES), *((place, "mrm") for place in ("category", "number", "bad quote"))],
)
def test_no_canary_in_any_output(desk: Desk, place: str, mechanism: str, caplog: pytest.LogCaptureFixture) -> None:
    lines = desk.table.read_text().splitlines()
    lines.insert(200, PLACES[place])
    desk.table.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
    private = {desk.table, desk.folder / "schema.toml"}
    caplog.set_level(logging.DEBUG)
    result = call("run", desk.release(mechanism=mechanism, epsilon="20"), "--out", desk.folder / "out")
    assert result.exit_code == 0, result.output
    said = result.output + caplog.text
    assert CANARY not in said
    for path in every_file(desk.folder) - private:
        assert CANARY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("column", ["sex", "age", "income", "smokes", "note"])
def test_no_canary_of_a_parquet_file_or_of_a_person_s_name(
    desk: Desk, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    table = csv.read_csv(
        desk.table, convert_options=csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    )
    words = [None, CANARY, *table[column].to_pylist()[2:]]
    table = table.set_column(table.schema.get_field_index(column), column, pa.array(words))
    pq.write_table(table, desk.folder / "people.parquet")
    schema = desk.folder / "schema.toml"
    schema.write_text(schema.read_text().replace("[unit]\n", '[unit]\ncolumn = "note"\nmax_rows = 3\n'))
    result = call("run", desk.release(source="people.parquet"), "--out", desk.folder / "out")
    assert result.exit_code == 0, result.output
    assert CANARY not in result.output + caplog.text
    for path in every_file(desk.folder) - {desk.folder / "people.parquet"}:
        assert CANARY.encode() not in path.read_bytes(), path


def test_no_canary_when_the_run_fails(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:

    def burst(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("dpsynth.table.private.PrivateTable.count", burst)
    result = call("run", desk.release(), "--out", desk.folder / "out", "--json")
    assert result.exit_code == 70
    assert CANARY not in result.output
    for path in every_file(desk.folder):
        assert CANARY.encode() not in path.read_bytes(), path


def every_file(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}
