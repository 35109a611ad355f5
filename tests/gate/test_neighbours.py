"""Tables that differ in one entity, the empty one and that of a single row among them, cannot be told apart by what a
user sees besides the noisy answers: exceptions, shapes, log lines, progress, ledger entries."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator import Curator
from dpsynth.curator import curator as room
from dpsynth.errors import DpsynthError, SourceError
from dpsynth.measurement import Candidate, NoisyScores, Query, Selection
from dpsynth.schema import Schema
from tests.curator.bench import RHO, Desk, quick_folder

HEAD = "id,sex,age"
SCHEMA = """
[unit]
neighbours = "{neighbours}"
{unit}
[columns.sex]
type = "categorical"
values = ["f", "m"]
[columns.age]
type = "integer"
min = 0
max = 3
nullable = true
"""
LINES = [
    "1,f,3",
    "2,m,0",
    '3,"f","1"',
    "1,m,",
    "",
    "2",
    '"4,f,1',
    '4,f"m,1',
    "5,q,x,y,z",
    ",f,1",
    "6,\udcff,\udcfe",
    "7,f\0,1",
    "8,f,999999999999999999999999999",
    "9,m,nan",
    "1,f\r,2",
]
Seen = list[Any]


def look(text: str, neighbours: str, max_rows: int, fault: Callable[[], None] | None = None) -> Seen:
    """All that a user sees of a run but the noisy numbers themselves."""
    unit = f'column = "id"\nmax_rows = {max_rows}' if max_rows else ""
    schema = Schema.parse(SCHEMA.format(neighbours=neighbours, unit=unit))
    seen: Seen = []
    records: list[logging.LogRecord] = []
    handler = logging.Handler(0)
    handler.emit = records.append  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with quick_folder() as folder:
            path = folder / "people.csv"
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
            desk = Desk(folder, neighbours=neighbours, column="id" if max_rows else None)
            with desk.open() as accountant:
                reservation = desk.reserve(accountant)
                with Curator.open(path, schema, reservation, seen.append) as curator:
                    try:
                        seen += ask(curator)
                    except DpsynthError as error:
                        seen += [type(error), str(error), error.__context__, error.__cause__]
                    seen.append([shape(answer) for answer in curator.answers])
                seen += [re.sub(r'"(nonce|answer|day)":"[^"]*"', "", line.decode()) for line in reservation.lines()]
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return [*seen, [record.getMessage() for record in records]]


def ask(curator: Curator) -> Seen:
    sex, age = curator.levels["sex"], curator.levels["age"]
    total = curator.total(RHO / 4)
    curator.marginals([Query((sex, age)), Query((age,))], RHO / 4, [2, 1])
    curator.marginals([Query((sex, age), "residual"), Query((sex,), "residual")], RHO / 8)
    queries = [Query((sex,)), Query((age,)), Query((age, sex))]
    candidates = [Candidate.of(query, np.ones(query.shape), i + 1, 3.5 * i) for i, query in enumerate(queries)]
    chosen = curator.select(candidates, "l1-to-model", 2, RHO / 4)
    scores = curator.scores([Candidate.of(query, np.ones(query.shape)) for query in queries], "l1-to-model", RHO / 8)
    return [total.sigma, len(chosen.picks), scores.sigma]


def shape(answer: Any) -> Any:
    if isinstance(answer, Selection):
        return answer.candidates, answer.scale, answer.entry
    if isinstance(answer, NoisyScores):
        return answer.candidates, answer.values.shape, answer.values.dtype, answer.scale, answer.law, answer.entry
    return answer.query, answer.values.shape, answer.values.dtype, answer.scale, answer.law, answer.entry


def file_of(lines: list[str], end: str = "\n") -> str:
    return HEAD + end + "".join(line + end for line in lines)


@pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
@pytest.mark.parametrize("max_rows", [0, 2])
def test_empty_one_row_and_odd_tables(neighbours: str, max_rows: int) -> None:
    if (neighbours, max_rows) == ("replace-one", 0):  # the number of rows is public there
        tables = [[line] for line in LINES if line]
    else:
        tables = [[], LINES, *([line] for line in LINES)]
    first, *others = [look(file_of(table), neighbours, max_rows) for table in tables]
    assert DpsynthError not in first
    for other in others:
        assert other == first


@settings(deadline=None, max_examples=8)
@given(st.lists(st.sampled_from(LINES), max_size=6), st.sampled_from(LINES), st.sampled_from(["\n", "\r\n", "\r"]))
def test_one_line_more_or_less(lines: list[str], more: str, end: str) -> None:
    if end == "\r":
        lines, more = [line.replace("\r", "") for line in lines], more.replace("\r", "")
    assert look(file_of(lines, end), "add-remove", 0) == look(file_of([more, *lines], end), "add-remove", 0)


@pytest.mark.parametrize("where", ["open_table", "count", "noisy", "exponential"])
def test_a_fault_that_speaks_of_a_row_is_told_in_fixed_words(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails while rows are in hand says the same for every table, and carries nothing along."""

    def burst(*arguments: Any) -> None:
        rows = [argument for argument in arguments if isinstance(argument, np.ndarray)]
        raise ValueError(f"canary-90ab: {arguments!r} {rows!r}")

    target = {
        "open_table": "dpsynth.curator.curator.open_table",
        "count": "dpsynth.table.private.PrivateTable.count",
        "noisy": "dpsynth.noise.RoundedGaussianNoise.noisy",
        "exponential": "dpsynth.noise.RoundedGaussianNoise.exponential",
    }[where]
    monkeypatch.setattr(target, burst)
    found = [look(file_of(lines), "add-remove", 0) for lines in ([], LINES[:1], LINES)]
    assert found[0] == found[1] == found[2]
    assert DpsynthError in found[0]
    assert "canary-90ab" not in json.dumps(found[0], default=str)


@pytest.mark.parametrize("told", [False, True])
def test_a_fault_carries_no_context_and_no_frame(tmp_path: Path, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_: object) -> None:
        secret = pd.DataFrame({"x": ["canary-90ab"]})
        try:
            raise ValueError(secret.to_string())
        except ValueError:
            if told:
                raise SourceError("in fixed words") from None
            raise

    monkeypatch.setattr(room, "open_table", burst)
    desk = Desk(tmp_path)
    schema = Schema.parse(SCHEMA.format(neighbours="add-remove", unit=""))
    (tmp_path / "people.csv").write_text(file_of(LINES[:3]))
    with (
        desk.open() as accountant,
        Curator.open(tmp_path / "people.csv", schema, desk.reserve(accountant)) as curator,
        pytest.raises(DpsynthError) as caught,
    ):
        curator.total(RHO / 4)
    assert type(caught.value) is (SourceError if told else DpsynthError)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert all(frame.name != "burst" for frame in caught.traceback)
