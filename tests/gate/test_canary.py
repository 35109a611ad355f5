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


EVERY_TYPE = """
[unit]
entity = "person"
column = "who"
max_rows = 3
weight = "weight"
max_weight = 4
weight_origin = "design"
[columns.card]
type = "identifier"
[columns.born]
type = "date"
min = 1950-01-01
max = 2009-12-31
weekday = true
[columns.seen]
type = "datetime"
min = 2026-01-01
max = 2026-12-31
nullable = true
[columns.town]
type = "categorical"
values = "private"
[columns.income]
type = "real"
bounds = "private"
nullable = true
[columns.hours]
type = "integer"
min = 0
max = 99999
bins = "private"
[columns.days]
type = "integer"
min = 0
max = 99999
bins = 40
[[constraints]]
kind = "ordered"
columns = ["days", "hours"]
"""
NUMBER = "731946285"
"""Beyond all declared bounds, and within those that are found: nobody else is near."""


@pytest.mark.parametrize("canary", [CANARY, NUMBER])
@pytest.mark.parametrize("column", ["who", "weight", "card", "born", "seen", "town", "income", "hours", "days"])
def test_no_canary_of_any_type(desk: Desk, column: str, canary: str, caplog: pytest.LogCaptureFixture) -> None:
    """One person's days also break the constraint, and their town is nobody else's."""
    caplog.set_level(logging.DEBUG)
    names = ["who", "weight", "card", "born", "seen", "town", "income", "hours", "days"]
    rows = [
        [f"p{at}", "1.5", f"c{at}", f"19{60 + at % 30}-03-01", f"2026-02-{1 + at % 28:02}", f"t{at % 2}"]
        for at in range(300)
    ]
    for at, row in enumerate(rows):
        row += [str(at * 7), str(100 + at), str(at)]
    rows[200][-1] = "99000"
    rows[200][names.index(column)] = canary
    desk.table.write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n")
    (desk.folder / "schema.toml").write_text(EVERY_TYPE)
    store = ("--store", desk.folder / "accounts.db", "--entity", "person", "--column", "who")
    opened = call("budget", "open", "every", *store, "--epsilon", "20", "--delta", "1e-6", "--delta0", "1e-7")
    assert opened.exit_code == 0, opened.output
    budget = 'account = "every"\nstore = "accounts.db"'
    result = call("run", desk.release(mechanism="mrm", epsilon="20", budget=budget), "--out", desk.folder / "out")
    assert result.exit_code == 0, result.output
    assert canary not in result.output + caplog.text
    for path in every_file(desk.folder) - {desk.table}:
        assert canary.encode() not in path.read_bytes(), path


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
