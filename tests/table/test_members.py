"""The rows of a cell: a rule that looks at one entity alone, and puts it into one cell at most."""

import hmac
from collections import Counter
from itertools import combinations_with_replacement, product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.encoding import codecs
from dpsynth.privacy import Cells
from dpsynth.schema import Schema
from dpsynth.table import Source, open_table
from dpsynth.table.members import members

KEY = bytes(range(32))
REGIONS = Cells("region", ("north", "south", "west"))
CODE = '[columns.code]\ntype = "categorical"\nvalues = ["a", "b"]\n'
Row = tuple[str | None, str | None]
rows_of = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "cid", None]), st.sampled_from([*REGIONS.labels, "sea", None])),
    max_size=12,
)


def kept(rows: list[Row], label: str, unit: bool = True) -> list[int]:
    ids = sorted({who for who, _ in rows if who is not None})
    entities = np.array([-1 if who is None else ids.index(who) for who, _ in rows], dtype=np.int64)
    codes = np.array([REGIONS.labels.index(at) if at in REGIONS.labels else -1 for _, at in rows], dtype=np.int16)
    names = pa.array([who.encode() for who in ids], pa.large_binary())
    cell = REGIONS.cell("study", label)
    return members(cell, codes, entities if unit else None, names if unit else None, KEY).tolist()  # type: ignore[no-any-return]


def cell_of(rows: list[Row], who: str | None) -> str | None:
    """The rule as it is documented."""
    own = sorted({label for name, label in rows if name == who and label in REGIONS.labels})
    ranks = {hmac.digest(KEY, f"cell\0{who}\0{label}".encode(), "sha256"): label for label in own}
    return ranks[min(ranks)] if ranks and who is not None else None


@given(rows_of)
@settings(max_examples=300, deadline=None)
def test_an_entity_lies_in_one_cell(rows: list[Row]) -> None:
    for label in REGIONS.labels:
        expected = [at for at, (who, where) in enumerate(rows) if where == label == cell_of(rows, who)]
        assert kept(rows, label) == expected
        assert kept(rows, label, unit=False) == [at for at, (_, where) in enumerate(rows) if where == label]


def test_neighbours_differ_in_as_many_cells_as_the_price_is_for() -> None:
    """Every table of two people, one of whom is exchanged for every other self with at most two rows."""
    selves = [
        [("ann", label) for label in labels]
        for number in range(3)
        for labels in combinations_with_replacement([*REGIONS.labels, None], number)
    ]
    others: list[list[Row]] = [[], [("bob", "north")], [("bob", "south"), ("bob", "west")]]
    for other, before, after in product(others, selves, selves):
        tables = [[*other, *own] for own in (before, after)]
        seen = [[Counter(table[at] for at in kept(table, label)) for label in REGIONS.labels] for table in tables]
        moved = sum(one != two for one, two in zip(*seen, strict=True))
        assert moved <= (1 if not before or not after else 2), (before, after)


@pytest.mark.parametrize("unit", ["", 'column = "id"\nmax_rows = 2\n'])
def test_what_is_opened_is_the_cell(tmp_path: Path, unit: str) -> None:
    text = "id,region,code\n1,north,a\n1, north ,b\n1.0,south,b\n2,south,b\n3,,a\n,north,a\n4,sea,b\n5,1.0,a\n"
    (tmp_path / "t.csv").write_text(text)
    schema = Schema.parse(
        f'[unit]\nentity = "person"\n{unit}[columns.code]\ntype = "categorical"\nvalues = ["a", "b"]\n'
    )
    found = {}
    for label in REGIONS.labels:
        table = open_table(
            Source.of(tmp_path / "t.csv"), codecs(schema), schema.unit, KEY, cell=REGIONS.cell("study", label)
        )
        found[label] = table.rows()
    if unit:  # person 1 has rows of two cells and lies in one of them; a row without a person is nobody's
        rows: list[Row] = [("1", "north"), ("1", "south")]
        assert found == (
            {"north": 2, "south": 1, "west": 0}
            if cell_of(rows, "1") == "north"
            else {"north": 0, "south": 2, "west": 0}
        )
    else:
        assert found == {"north": 3, "south": 2, "west": 0}


def test_the_cell_is_the_same_for_every_schema_and_number_of_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    lines = [f"{rng.integers(40)},{rng.choice(REGIONS.labels)},{rng.choice(['a', 'b'])}" for _ in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["id,region,code", *lines, ""]))
    head = '[unit]\nentity = "person"\ncolumn = "id"\n'
    region = '[columns.region]\ntype = "categorical"\nvalues = ["north", "south", "west"]\n'
    schemas = [head + CODE, head + region + CODE]
    counts = []
    for text in schemas:
        schema = Schema.parse(text)
        counts.append(
            [
                open_table(
                    Source.of(tmp_path / "t.csv"), codecs(schema), schema.unit, KEY, cell=REGIONS.cell("study", label)
                ).rows()
                for label in REGIONS.labels
            ]
        )
    assert counts[0] == counts[1]
    assert sum(counts[0]) == len({line.split(",")[0] for line in lines})
