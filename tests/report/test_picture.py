"""The drawing of the model: what is drawn, how thick, and what is said to be left out."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations, pairwise

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.report import ModelPicture, Tie, render
from dpsynth.report.picture import COLUMNS, DEEP, LINES, _layout, _spanning, model
from tests.report.sample_facts import sample_facts


def pictured(columns: int, pairs: list[tuple[int, int]]) -> ModelPicture:
    """Ties of falling strength between numbered columns."""
    names = tuple(f"c{i:03}" for i in range(columns))
    return ModelPicture(
        names, tuple(Tie((names[a], names[b]), 0.9 / (i + 1), i % 2 == 0) for i, (a, b) in enumerate(pairs))
    )


def lines(svg: str) -> list[float]:
    """The thickness of each line, the key's three left out."""
    return [float(width) for width in re.findall(r"stroke-opacity: 0\.55; stroke-width: ([\d.]+)", svg)][:-3]


def test_a_triangle_and_two_parts_are_drawn() -> None:
    picture = pictured(6, [(0, 1), (1, 2), (0, 2), (3, 4)])
    found = model(picture)
    assert found is not None
    assert all(f">{name}</text>" in found.svg for name in picture.columns)
    assert found.left_out == ""
    assert found.svg.count("stroke-dasharray") == 2
    assert 'aria-label="6 columns and 4 ties between them; the strongest: c000 and c001 90\u202f%' in found.svg
    page = render(replace(sample_facts(), picture=picture))
    assert found.svg in page
    assert "are drawn" not in page


def test_thickness_is_the_strength() -> None:
    names = ("a", "b", "c", "d")
    strengths = {("a", "b"): 0.5, ("b", "c"): 0.25, ("c", "d"): 0.001}
    found = model(ModelPicture(names, tuple(Tie(pair, s, True) for pair, s in strengths.items())))
    assert found is not None
    thin, middle, thick = sorted(lines(found.svg))
    assert thick == 2 * middle
    assert 0 < thin < middle


def test_too_many_lines_and_columns_are_left_out_and_it_says_so() -> None:
    dense = pictured(20, list(combinations(range(20), 2)))
    found = model(dense)
    assert found is not None
    assert len(lines(found.svg)) == LINES
    assert found.left_out.startswith(f"{LINES} of 190 lines are drawn")
    wide = pictured(100, [(i, i + 1) for i in range(99)])
    found = model(wide)
    assert found is not None
    assert found.svg.count(">c0") == COLUMNS
    assert found.left_out.startswith(f"{COLUMNS} of 100 columns are drawn")
    assert "model.npz holds all" in render(replace(sample_facts(), picture=wide))


def test_nothing_to_join_is_not_drawn() -> None:
    assert model(pictured(3, [])) is None
    assert "3 columns, and nothing that joins any" in render(replace(sample_facts(), picture=pictured(3, [])))


@settings(max_examples=60)
@given(st.integers(1, 30), st.data())
def test_every_column_has_a_place_of_its_own(columns: int, data: st.DataObject) -> None:
    parents = [data.draw(st.integers(max(-1, i - 3), i - 1)) for i in range(columns)]
    picture = pictured(columns, [(parent, i) for i, parent in enumerate(parents) if parent >= 0])
    places = _layout(_spanning(list(picture.columns), picture.ties))
    assert set(places) == set(picture.columns)
    assert all(0 <= x < DEEP and 0 <= y < columns for x, y in places.values())
    for (x0, y0), (x1, y1) in combinations(places.values(), 2):
        assert abs(y0 - y1) >= 0.5 or abs(x0 - x1) >= 1  # boxes do not cover each other


@settings(max_examples=40)
@given(st.integers(2, 8), st.data())
def test_the_strongest_ties_span_the_columns(columns: int, data: st.DataObject) -> None:
    pairs = data.draw(st.lists(st.sampled_from(list(combinations(range(columns), 2))), unique=True))
    picture = pictured(columns, pairs)
    tree = _spanning(list(picture.columns), picture.ties)
    graph = nx.Graph([tie.columns for tie in picture.ties])
    assert nx.is_forest(tree)
    assert all(nx.has_path(tree, *tie.columns) for tie in picture.ties)
    strength = {frozenset(tie.columns): tie.strength for tie in picture.ties}
    for a, b in graph.edges:  # no tie is stronger than the weakest on its way
        way = nx.shortest_path(tree, a, b)
        assert strength[frozenset((a, b))] <= min(strength[frozenset(step)] for step in pairwise(way))
