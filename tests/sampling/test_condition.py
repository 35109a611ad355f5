"""Tables given evidence, against brute force in exact fractions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Level
from dpsynth.sampling import CHUNK, MOST, ONE, IntegerTables, Node, sample_chunk, sample_chunks
from tests.sampling.oracle import EVIDENCE, exact, forest


def joint(tables: IntegerTables, evidence: dict[str, np.ndarray]) -> dict[tuple[int, ...], Fraction]:
    """The mass of every combination of fine cells that is possible and admitted; not normalised."""
    found = {}
    for fine in product(*(range(size) for size in tables.fine)):
        coarse = {level.column: int(level.cells[f]) for level, f in zip(tables.levels, fine, strict=True)}
        mass = Fraction(1)
        for node in tables.nodes:
            state, cell = (place(tables, names, coarse) for names in (node.given, node.new))
            mass *= Fraction(int(node.table[state, cell]), ONE)
        for name, weight, f in zip(tables.columns, tables.weights, fine, strict=True):
            mass *= Fraction(int(weight[f]), ONE) * int(evidence[name][f] if name in evidence else 1)
        if mass:
            found[fine] = mass
    return found


def place(tables: IntegerTables, names: tuple[str, ...], coarse: dict[str, int]) -> int:
    index = 0
    for name in names:
        index = index * tables.model_domain.size(name) + coarse[name]
    return index


def below(tables: IntegerTables, index: int) -> set[int]:
    """A node and those below it, found anew: a node hangs from the one that draws the last of its given columns."""
    found = {index}
    for later, node in enumerate(tables.nodes):
        if later > index and node.given:
            owner = max(i for i, n in enumerate(tables.nodes) if set(n.new) & set(node.given))
            if owner in found:
                found.add(later)
    return found


def agree(tables: IntegerTables, given: IntegerTables, evidence: dict[str, np.ndarray]) -> None:
    """Every table of ``given`` is the exact conditional one within the bound that is documented."""
    masses = joint(tables, evidence)
    coarse = [
        {level.column: int(level.cells[f]) for level, f in zip(tables.levels, fine, strict=True)} for fine in masses
    ]
    for index, (before, node) in enumerate(zip(tables.nodes, given.nodes, strict=True)):
        together = below(tables, index)
        sums: dict[tuple[int, int], Fraction] = {}
        states: dict[int, Fraction] = {}
        for codes, mass in zip(coarse, masses.values(), strict=True):
            state, cell = place(tables, node.given, codes), place(tables, node.new, codes)
            sums[state, cell] = sums.get((state, cell), Fraction(0)) + mass
            states[state] = states.get(state, Fraction(0)) + mass
        cells = sum(tables.nodes[i].table.shape[1] for i in together) + len(tables.columns)
        for state, total in states.items():
            for cell, got in enumerate(node.table[state].tolist()):
                wanted = sums.get((state, cell), Fraction(0)) / total
                assert abs(Fraction(got, ONE) - wanted) < Fraction(1, ONE) + Fraction(cells, 2**53)
                assert wanted or not got
        if not any(set(tables.nodes[i].new) & set(evidence) for i in together):
            assert np.array_equal(before.table, node.table)
    for column, (level, weight) in enumerate(zip(tables.levels, given.weights, strict=True)):
        shares: dict[int, Fraction] = {}
        for fine, mass in masses.items():
            shares[fine[column]] = shares.get(fine[column], Fraction(0)) + mass
        for cell in {int(level.cells[f]) for f in shares}:
            members = np.flatnonzero(level.cells == cell)
            total = sum(shares.get(int(f), Fraction(0)) for f in members)
            for f in members:
                wanted = shares.get(int(f), Fraction(0)) / total
                assert abs(Fraction(int(weight[f]), ONE) - wanted) < Fraction(1, ONE) + Fraction(members.size, 2**53)
                assert wanted or not weight[f]


def worlds(draw: st.DrawFn) -> tuple[IntegerTables, dict[str, np.ndarray]]:
    """A tree of up to five columns, some drawn together, with zeros and masses of all sizes, and some evidence."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    names = [f"x{j}" for j in range(len(sizes))]
    rng = np.random.Generator(np.random.Philox(key=draw(st.integers(0, 2**32))))
    nodes: list[Node] = []
    start = 0
    while start < len(names):
        new = tuple(names[start : start + draw(st.integers(1, 2))])
        start += len(new)
        known = [name for node in nodes[-1:] for name in (*node.given, *node.new)]
        if nodes and draw(st.booleans()):
            chosen = draw(st.sampled_from(nodes))
            known = [*chosen.given, *chosen.new]
        given_names = tuple(draw(st.lists(st.sampled_from(known), max_size=2, unique=True))) if known else ()
        shape = [int(np.prod([sizes[names.index(n)] for n in group], dtype=int)) for group in (given_names, new)]
        kind = draw(st.sampled_from(["even", "sparse", "steep"]))
        rows = rng.integers(1, 9, shape)
        if kind == "sparse":
            rows *= rng.random(shape) < 0.6
        if kind == "steep":
            rows = 1 << rng.integers(0, 32, shape)
        rows[rows.sum(axis=1) == 0] = 1
        nodes.append(Node(given_names, new, np.array([exact(row) for row in rows.tolist()], dtype=np.uint64)))
    levels = tuple(
        Level(name, rng.permutation([*range(size), *rng.integers(0, size, draw(st.integers(0, 2)))]))
        for name, size in zip(names, sizes, strict=True)
    )
    weights = []
    for level in levels:
        weight = np.zeros(level.fine, dtype=np.uint64)
        for cell in range(level.size):
            members = level.cells == cell
            weight[members] = exact(
                [int(n) for n in rng.integers(0, 4, members.sum()) + np.eye(members.sum(), dtype=int)[0]]
            )
        weights.append(weight)
    evidence: dict[str, np.ndarray] = {}
    for level in levels:
        kind = draw(st.sampled_from(["none", "some", "weighted"]))
        if kind == "some":
            evidence[level.column] = rng.random(level.fine) < 0.6
        elif kind == "weighted":
            evidence[level.column] = rng.choice(np.array([0, 1, 3, MOST - 1, MOST], dtype=np.uint64), level.fine)
    return IntegerTables(tuple(nodes), levels, tuple(weights), 9), evidence


@settings(max_examples=120, deadline=None)
@given(st.composite(worlds)())
def test_every_table_is_the_exact_conditional_within_its_bound(world):
    tables, evidence = world
    if not joint(tables, evidence):
        with pytest.raises(ConfigurationError, match="impossible"):
            tables.given(evidence)
        return
    given = tables.given(evidence)
    agree(tables, given, evidence)
    backwards = tables.given(dict(reversed(evidence.items())))  # the order of the evidence tells nothing
    assert all(np.array_equal(a.table, b.table) for a, b in zip(given.nodes, backwards.nodes, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.composite(worlds)(), st.integers(1, 300))
def test_samples_hold_what_is_admitted_alone_and_meet_each_table_within_its_rounding(world, rows):
    tables, evidence = world
    if not (masses := joint(tables, evidence)):
        return
    given = tables.given(evidence)
    codes = sample_chunk(given, rows, 3, 0)
    assert set(zip(*(codes[name].tolist() for name in tables.columns), strict=True)) <= masses.keys()
    coarse = {level.column: level.cells[codes[level.column]].astype(int) for level in tables.levels}
    domain = tables.model_domain
    for node in given.nodes:
        counts = np.zeros(node.table.shape, dtype=object)
        flat = [
            np.ravel_multi_index([coarse[n] for n in names], domain.shape(names)) if names else np.zeros(rows, int)
            for names in (node.given, node.new)
        ]
        np.add.at(counts, tuple(flat), 1)
        exactly = counts.sum(axis=1)[:, None] * node.table.astype(object)
        assert (abs(counts * ONE - exactly) < ONE).all()


def test_total_variation_from_the_exact_conditional_is_within_the_rounding():
    """One table without a parent: the roundings of the table (2^-32 a cell) and of the rows (half a row a cell)."""
    rng = np.random.Generator(np.random.Philox(key=1))
    tables = IntegerTables.build(
        [((), ("a", "b"), rng.random((1, 40)) ** 4)], [Level.identity("a", 8), Level.identity("b", 5)], {}, 0
    )
    evidence = {"a": np.arange(8) % 3 != 1, "b": np.arange(5) > 1}
    masses = joint(tables, evidence)
    wanted = np.zeros((8, 5))
    for cell, mass in masses.items():
        wanted[cell] = float(mass / sum(masses.values()))
    for rows in (100, 1000, 10_000):
        codes = sample_chunk(tables.given(evidence), rows, 5, 0)
        shares = np.zeros((8, 5))
        np.add.at(shares, (codes["a"], codes["b"]), 1 / rows)
        assert np.abs(shares - wanted).sum() / 2 <= len(masses) / 2 * (1 / rows + 2**-31)


def test_evidence_as_rare_as_two_to_the_minus_200_loses_nothing():
    """A chain in which 1 has probability about 2^-20 in each column; given that ten of them are 1."""
    rare = 1 << 12
    table = np.array([[ONE - rare, rare], [ONE - 3 * rare, 3 * rare]], dtype=np.uint64)
    names = [f"x{j}" for j in range(11)]
    nodes = [Node((), (names[0],), table[:1])]
    nodes += [Node((names[j - 1],), (names[j],), table) for j in range(1, 11)]
    levels = tuple(Level.identity(name, 2) for name in names)
    tables = IntegerTables(tuple(nodes), levels, tuple(np.full(2, ONE, dtype=np.uint64) for _ in names), 0)
    evidence = {name: np.array([False, True]) for name in names[1:]}
    given = tables.given(evidence)
    agree(tables, given, evidence)
    odds = Fraction(3 * rare, ONE - rare)  # x1 = 1 is three times as likely where x0 = 1
    assert abs(Fraction(int(given.nodes[0].table[0, 1]), ONE) - odds / (1 + odds)) < Fraction(1, ONE)
    assert all(node.table[:, 1].tolist() == [ONE, ONE] for node in given.nodes[1:])


def test_a_model_with_zeros_is_conditioned_through_them():
    """b = 0 is possible under a = 0 alone, where the model puts 1 part in 2^32."""
    nodes = (
        Node((), ("a",), np.array([[1, ONE - 1]], dtype=np.uint64)),
        Node(("a",), ("b",), np.array([[1, ONE - 1], [0, ONE]], dtype=np.uint64)),
        Node(("a",), ("c",), np.array([[ONE // 4, 3 * ONE // 4], [ONE, 0]], dtype=np.uint64)),
    )
    tables = IntegerTables(
        nodes, tuple(Level.identity(n, 2) for n in "abc"), tuple(np.full(2, ONE, dtype=np.uint64) for _ in "abc"), 0
    )
    given = tables.given({"b": np.array([True, False])})
    assert given.nodes[0].table.tolist() == [[ONE, 0]]
    assert given.nodes[1].table.tolist() == [[ONE, 0], [0, ONE]]  # a state that cannot be met keeps its row
    assert given.nodes[2] is tables.nodes[2]
    codes = sample_chunk(given, 400, 0, 0)
    assert (codes["a"].sum(), codes["b"].sum(), codes["c"].sum()) == (0, 0, 300)
    with pytest.raises(ConfigurationError, match="values of 'a', 'b'"):
        tables.given({"b": np.array([True, False]), "a": np.array([False, True])})


def test_what_says_nothing_changes_nothing():
    tables = forest()
    full = {"a": np.ones(3, dtype=bool), "e": np.full(11, 7, dtype=np.uint64)}
    for evidence in ({}, full):
        given = tables.given(evidence)
        assert all(a is b for a, b in zip(tables.nodes, given.nodes, strict=True))
        assert all(a is b for a, b in zip(tables.weights, given.weights, strict=True))


def test_only_ratios_count_and_conditioning_twice_is_conditioning_once():
    tables = forest()
    once = tables.given({"e": np.array([0, 0, 5, 0, 1, 2, 2, 0, 2, 2, 9], dtype=np.uint64) * np.uint64(1000)})
    again = tables.given({"e": EVIDENCE["e"]})
    assert all(np.array_equal(a.table, b.table) for a, b in zip(once.nodes, again.nodes, strict=True))
    sure = {"a": np.array([False, True, False])}
    assert np.array_equal(tables.given(sure).given(sure).nodes[0].table, tables.given(sure).nodes[0].table)


def test_large_tables_are_taken_in_blocks():
    """The blocks of rows give what the rows alone give."""
    rng = np.random.Generator(np.random.Philox(key=2))
    tables = IntegerTables.build(
        [((), ("a",), rng.random((1, 3000))), (("a",), ("b",), rng.random((3000, 50)))],
        [Level.identity("a", 3000), Level.identity("b", 50)],
        {},
        0,
    )
    given = tables.given({"b": np.arange(50) % 7 == 0})
    for state in (0, 1309, 1310, 1311, 2999):
        row = tables.nodes[1].table[state] * (np.arange(50) % 7 == 0)
        assert given.nodes[1].table[state].tolist() == exact(row.tolist())


def test_any_worker_and_any_chunk_give_the_same_rows():
    given = forest().given(EVIDENCE)
    rows = CHUNK + 3
    one = list(sample_chunks(given, rows, 1, workers=1))
    for parts in (list(sample_chunks(given, rows, 1, workers=3)), [sample_chunk(given, rows, 1, k) for k in range(2)]):
        assert all(np.array_equal(a[n], b[n]) for a, b in zip(one, parts, strict=True) for n in given.columns)


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"f": np.zeros(4, dtype=bool)}, "'f'"),
        ({"h": np.ones(4, dtype=bool)}, "no column 'h'"),
        ({"f": np.ones(3, dtype=bool)}, "4 cells"),
        ({"f": np.ones(4)}, "uint64"),
        ({"f": np.full(4, MOST + 1, dtype=np.uint64)}, "2\\^31"),
    ],
)
def test_what_cannot_be_is_refused(evidence, message):
    with pytest.raises(ConfigurationError, match=message):
        forest().given(evidence)


def test_a_model_that_is_no_tree_is_refused():
    tables = forest()
    nodes = (
        *tables.nodes[:3],
        replace(tables.nodes[3], given=("b", "c"), table=tables.nodes[3].table),
        tables.nodes[4],
    )
    crossed = replace(tables, nodes=nodes)
    with pytest.raises(ConfigurationError, match="no earlier node holds together"):
        crossed.given({"d": EVIDENCE["d"]})
