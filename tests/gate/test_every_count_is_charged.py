"""A spy in place of the table: nothing is counted that was not paid for and written down first."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator import Curator
from dpsynth.curator import curator as room
from dpsynth.measurement import Candidate, Query
from dpsynth.schema import Schema
from dpsynth.table import PrivateTable
from tests.curator.bench import RHO, Desk, Frozen, quick_folder

NAMES = ("a", "b", "c")
FRAME = pd.DataFrame({"a": list("xyxxy"), "b": list("uvuvu"), "c": [True, False, True, True, None]})


def schema_of(neighbours: str) -> Schema:
    words = "".join(
        f'[columns.{name}]\ntype = "categorical"\nvalues = [{first!r}, {second!r}]\n'
        for name, first, second in (("a", "x", "y"), ("b", "u", "v"))
    )
    return Schema.parse(f'[unit]\nneighbours = "{neighbours}"\n{words}[columns.c]\ntype = "boolean"\n')


class Spy:
    """A table that writes down what the log on the disk held whenever it was asked something."""

    def __init__(self, table: PrivateTable, desk: Desk) -> None:
        self._table = table
        self._desk = desk
        self.asked: list[tuple[list[Query], list[dict[str, Any]]]] = []

    def rows(self) -> int:
        self.asked.append(([Query(())], self._desk.lines()))  # type: ignore[arg-type]
        return self._table.rows()

    def count(self, queries: Sequence[Query]) -> tuple[np.ndarray, ...]:
        self.asked.append((list(queries), self._desk.lines()))  # type: ignore[arg-type]
        return self._table.count(queries)

    def close(self) -> None:
        self._table.close()


verbs = st.lists(
    st.one_of(
        st.just(("total", ())),
        st.tuples(st.just("marginals"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)),
        st.tuples(st.just("residuals"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)),
        st.tuples(st.just("scores"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)),
        st.tuples(st.just("select"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=12)
@given(verbs, st.sampled_from(["add-remove", "replace-one"]))
def test_counts_and_entries_agree(plan: list[tuple[str, list[str]]], neighbours: str) -> None:
    with quick_folder() as folder, pytest.MonkeyPatch.context() as patch:
        desk = Desk(folder, neighbours=neighbours)
        spies: list[Spy] = []
        at_opening: list[tuple[list[str], str]] = []
        real = room.open_table

        def watched(*arguments: Any) -> Spy:
            with desk.open() as another:
                at_opening.append(([line["kind"] for line in desk.lines()], another.states()["r"][1]))
            spies.append(Spy(real(*arguments), desk))
            return spies[-1]

        patch.setattr(room, "open_table", watched)
        with desk.open() as accountant:
            reservation = desk.reserve(accountant)
            with Curator.open(FRAME, schema_of(neighbours), reservation, _noise=Frozen()) as curator:
                assert spies == []
                for verb, names in plan:
                    ask(curator, verb, names)
        lines = desk.lines()

    (spy,) = spies  # opened once
    assert at_opening == [(["open", "reserve"], "DRAWING")]
    assert len(spy.asked) == len(plan)
    charged = [line for line in lines if line["kind"] in ("measure", "score", "select")]
    for (verb, _), (queries, seen) in zip(plan, spy.asked, strict=True):
        stored = {seq for line in seen if line["kind"] == "stored" for seq in line["of"]}
        paid = [line for line in seen if line["kind"] in ("measure", "score", "select") and line["seq"] not in stored]
        assert all(line["state"] == "DRAWING" for line in paid)
        if verb in ("select", "scores"):
            assert [line["query"]["candidates"] for line in paid] == [len(queries)]
        else:
            columns = [list(query.columns) for query in queries]
            assert [line["query"]["columns"] for line in paid] == columns
        charged = charged[len(paid) :]
    assert charged == []
    assert sum(Fraction(line["cost"]["mu2"]) for line in lines if "cost" in line) <= RHO


def ask(curator: Curator, verb: str, names: list[str]) -> None:
    queries = [Query((curator.levels[name],)) for name in names]
    if verb == "total":
        curator.total(RHO / 8)
    elif verb == "marginals":
        curator.marginals(queries, RHO / 8)
    elif verb == "residuals":
        curator.marginals([Query(query.levels, "residual") for query in queries], RHO / 8)
    elif verb == "scores":
        curator.scores([Candidate.of(query, np.zeros(2)) for query in queries], "l1-to-model", RHO / 8)
    else:
        curator.select([Candidate.of(query, np.zeros(2)) for query in queries], "l1-to-model", 2, RHO / 8)
