"""What a schema declares of the cells of its columns: levels inside levels, and where nulls stand."""

from __future__ import annotations

import pytest

from dpsynth.encoding import codecs
from dpsynth.measurement import Grid, grid
from dpsynth.schema import Schema

COUNTIES = """
[columns.county]
type = "categorical"
values = ["Ems", "Fulda", "Isar", "Inn"]
[columns.county.levels.state]
"Lower Saxony" = ["Ems"]
Hesse = ["Fulda"]
Bavaria = ["Isar", "Inn"]
[columns.county.levels.part]
north = ["Lower Saxony", "Hesse"]
south = ["Bavaria"]
"""


def grid_of(text: str) -> Grid:
    return grid(codecs(Schema.parse(text)))


def groups(found: Grid, name: str) -> list[list[int]]:
    return [level.cells.tolist() for level in found.hierarchies[name]]


def test_levels_of_listed_values_are_the_declared_groups() -> None:
    assert groups(grid_of(COUNTIES), "county") == [[0, 1, 2, 2], [0, 0, 1, 1]]


def test_null_stands_apart_on_each_level_and_alone_against_all_values_on_the_last() -> None:
    nullable = COUNTIES.replace('"Inn"]\n', '"Inn"]\nnullable = true\n', 1)
    assert groups(grid_of(nullable), "county") == [[0, 1, 2, 2, 3], [0, 0, 1, 1, 2], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    "kind",
    ['type = "integer"\nmin = 0\nmax = 9', 'type = "boolean"', 'type = "ordinal"\nvalues = ["low", "mid", "high"]'],
)
def test_where_nothing_is_declared_the_null_indicator_is_all(kind: str) -> None:
    assert groups(grid_of(f"[columns.a]\n{kind}\n"), "a") == []
    found = grid_of(f"[columns.a]\n{kind}\nnullable = true\n")
    (indicator,) = groups(found, "a")
    assert indicator == [0] * (found.domain.size("a") - 1) + [1]
