"""Structural zeros: exactly 0 where a constraint rules a cell out, rows of 2^32, the rest in proportion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dpsynth.encoding import codecs, layout
from dpsynth.measurement import Level
from dpsynth.sampling import ONE, IntegerTables, sample_chunk, zeroed
from dpsynth.sampling.zeros import LEAST
from dpsynth.schema import Schema

SCHEMA = Schema.parse(
    """
    [columns.city]
    type = "categorical"
    values = ["Ulm", "Bonn", "Aalen"]
    nullable = true
    [columns.state]
    type = "categorical"
    values = ["BW", "NRW"]
    [columns.low]
    type = "integer"
    min = 0
    max = 9
    [columns.high]
    type = "integer"
    min = 0
    max = 11
    nullable = true
    [columns.more]
    type = "integer"
    min = 0
    max = 40
    nullable = true
    [[constraints]]
    kind = "depends"
    column = "state"
    on = "city"
    map = { Ulm = "BW", Bonn = "NRW", Aalen = "BW" }
    [[constraints]]
    kind = "ordered"
    columns = ["low", "high"]
    [[constraints]]
    kind = "sum"
    total = "more"
    parts = ["low", "high"]
    [[constraints]]
    kind = "impossible"
    where = { state = "NRW", low = { min = 3, max = 6 } }
    """
)
LAYOUT = layout(SCHEMA)
NAMES = tuple(codec.name for codec in LAYOUT.codecs)
LEVELS = tuple(
    Level(codec.name, np.append(np.arange(codec.leaves) // width, [-(-codec.leaves // width)] * codec.column.nullable))
    for codec, width in zip(codecs(SCHEMA), (1, 1, 2, 3, 5), strict=True)
)
SIZES = {level.column: level.size for level in LEVELS}
NODES = ((("city", "state"), ()), (("low",), ("state",)), (("more", "high"), ("low",)))


def model(seed: int, power: float) -> IntegerTables:
    random = np.random.default_rng(seed)
    nodes = []
    for new, given in NODES:
        shape = (int(np.prod([SIZES[name] for name in given])), int(np.prod([SIZES[name] for name in new])))
        nodes.append((given, new, random.random(shape) ** power))
    return IntegerTables.build(nodes, LEVELS, {}, 1000)


def keeps(row: dict[str, Any], columns: set[str]) -> bool:
    """Whether codes, which are the values here, keep the constraint about just these columns."""
    city, state, low, high, more = (row.get(name) for name in NAMES)
    fine = True
    if columns == {"city", "state"}:
        fine &= city == 3 or state == (0, 1, 0)[city]
    if columns == {"low", "high"}:
        fine &= high == 12 or low <= high
    if columns == {"low", "high", "more"}:
        fine &= more == 41 or high == 12 or more == low + high
    if columns == {"state", "low"}:
        fine &= not (state == 1 and 3 <= low <= 6)
    return bool(fine)


@pytest.mark.parametrize("seed", range(4))
def test_what_no_row_can_be_has_exactly_no_probability(seed: int) -> None:
    before = model(seed, 1 + 3 * seed)
    after = zeroed(before, LAYOUT.constraints)
    for (new, given), old, node in zip(NODES, before.nodes, after.nodes, strict=True):
        columns = (*given, *new)
        cells = [level.cells for level in LEVELS]
        possible = np.zeros(tuple(SIZES[name] for name in columns), dtype=np.bool_)
        fine = [np.arange(LEVELS[NAMES.index(name)].fine) for name in columns]
        pairs = [{"city", "state"}, {"low", "high"}, {"state", "low"}, {"low", "high", "more"}]
        about = [pair for pair in pairs if pair <= set(columns)]
        # each constraint alone rules a cell out if none of the rows in it keeps it
        ruled_out = np.zeros_like(possible)
        for pair in about:
            admitted = np.zeros_like(possible)
            for codes in np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1).reshape(-1, len(columns)):
                row = dict(zip(columns, codes.tolist(), strict=True))
                if keeps(row, pair):
                    place = tuple(int(cells[NAMES.index(name)][code]) for name, code in row.items())
                    admitted[place] = True
            ruled_out |= ~admitted
        ruled_out = ruled_out.reshape(node.table.shape)
        left = np.where(ruled_out, 0, old.table).sum(axis=1)
        mended = left >= ONE // LEAST
        assert mended.any()
        assert not node.table[mended][ruled_out[mended]].any()
        assert np.array_equal(node.table[~mended], old.table[~mended])
        assert (node.table.sum(axis=1) == ONE).all()
        expected = np.where(ruled_out, 0, old.table)[mended] / left[mended, None]
        assert np.abs(node.table[mended] / ONE - expected).max() < 2.0**-31


def test_it_leaves_its_result_as_it_is_and_a_model_without_constraints() -> None:
    once = zeroed(model(1, 2), LAYOUT.constraints)
    twice = zeroed(once, LAYOUT.constraints)
    for one, two in zip(once.nodes, twice.nodes, strict=True):
        assert np.array_equal(one.table, two.table)
    plain = layout(Schema.model_validate({"columns": SCHEMA.columns})).constraints
    for one, two in zip(model(1, 2).nodes, zeroed(model(1, 2), plain).nodes, strict=True):
        assert np.array_equal(one.table, two.table)


def test_fewer_drawn_rows_are_left_to_repair() -> None:
    before, after = model(2, 1), zeroed(model(2, 1), LAYOUT.constraints)
    share = [np.mean(LAYOUT.constraints.repaired(sample_chunk(tables, 20_000, 3, 0))[1]) for tables in (before, after)]
    assert share[1] < share[0] / 2


@pytest.mark.parametrize("seed", range(3))
def test_noisy_tables_of_rows_that_keep_the_constraints_come_nearer_to_them(seed: int) -> None:
    """Where the truth is known, what is drawn from its noisy tables gets nearer to it by the repair and by zeros."""
    columns = {name: SCHEMA.columns[name] for name in NAMES[:4]}
    constraints = layout(Schema.model_validate({"columns": columns, "constraints": SCHEMA.constraints[:2]})).constraints
    random = np.random.default_rng(seed)
    sizes = {codec.name: codec.size for codec in LAYOUT.codecs if codec.name in columns}
    rows = {name: random.integers(0, size, 50_000).astype(np.uint16) for name, size in sizes.items()}
    true, _ = constraints.repaired(rows)
    pairs = (("city", "state"), ("low", "high"))

    def counts(codes: Any, pair: tuple[str, str]) -> Any:
        place = codes[pair[0]].astype(int) * sizes[pair[1]] + codes[pair[1]]
        return np.bincount(place, minlength=sizes[pair[0]] * sizes[pair[1]])

    noisy = [np.maximum(counts(true, pair) + random.normal(0, 200, len(counts(true, pair))), 0) for pair in pairs]
    nodes = [((), pair, mass[np.newaxis]) for pair, mass in zip(pairs, noisy, strict=True)]
    tables = IntegerTables.build(nodes, [Level.identity(name, size) for name, size in sizes.items()], {}, 50_000)
    drawn = sample_chunk(tables, 50_000, seed, 0)
    repaired, changed = constraints.repaired(drawn)
    zeros, left = constraints.repaired(sample_chunk(zeroed(tables, constraints), 50_000, seed, 0))
    off = [
        sum(np.abs(counts(codes, pair) - counts(true, pair)).sum() for pair in pairs)
        for codes in (drawn, repaired, zeros)
    ]
    assert off[1] < off[0]
    assert off[2] < off[0]
    assert np.count_nonzero(changed) > 2000
    assert np.count_nonzero(left) == 0
