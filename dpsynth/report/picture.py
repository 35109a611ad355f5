"""The drawing of the model: columns, and lines between those that it ties together, thicker for stronger ties.

The lines that span all columns with the strongest ties lay the columns out as trees from left to right; the other
lines are curves between columns that have their places already. Nothing depends on chance or on the order of hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dpsynth.report.bars import short
from dpsynth.report.facts import ModelPicture, Tie
from dpsynth.report.svg import BLUE, GREY, box, line, svg, text, wide
from dpsynth.report.text import percent

COLUMNS = 60
"""Columns that are drawn; with more of them the names would be too small."""

LINES = 90
"""Lines that are drawn, but for those that span the columns; with more of them none could be followed."""

DEEP = 7
"""Columns from left to right with room for their names side by side."""

KEY = (0.05, 0.2, 0.5)
"""Strengths in the key of the drawing."""

ACROSS, DOWN = 97.2, 25.9
"""Points from one column to the next, to the right and down."""

Place = tuple[float, float]
Forest = Mapping[str, Sequence[str]]
"""Columns in order, each with those that it is joined to, in order."""


@dataclass(frozen=True)
class Drawing:
    """The drawing as inline SVG, and what it leaves out, in words ("" where nothing is)."""

    svg: str
    left_out: str


def model(picture: ModelPicture) -> Drawing | None:
    """The columns that the model ties together directly; None where it ties none."""
    if not picture.ties:
        return None
    names = _chosen(picture)
    inside = [tie for tie in picture.ties if names.issuperset(tie.columns)]
    tree = _spanning([name for name in picture.columns if name in names], inside)
    spanning = [tie for tie in inside if tie.columns[1] in tree[tie.columns[0]]]
    others = sorted((tie for tie in inside if tie.columns[1] not in tree[tie.columns[0]]), key=lambda t: -t.strength)
    drawn = [*others[: max(0, LINES - len(spanning))], *spanning]
    return Drawing(_draw(_layout(tree), drawn), _left_out(picture, len(names), len(drawn)))


def _chosen(picture: ModelPicture) -> set[str]:
    """The columns to draw: all, or those with the strongest ties."""
    if len(picture.columns) <= COLUMNS:
        return set(picture.columns)
    names: set[str] = set()
    for tie in sorted(picture.ties, key=lambda tie: -tie.strength):
        if len(names.union(tie.columns)) <= COLUMNS:
            names.update(tie.columns)
    return names


def _left_out(picture: ModelPicture, columns: int, lines: int) -> str:
    parts = []
    if columns < len(picture.columns):
        parts.append(
            f"{columns} of {len(picture.columns)} columns are drawn, those with the strongest ties; "
            "columns that stand apart here may be joined by those left out"
        )
    if lines < len(picture.ties):
        parts.append(f"{lines} of {len(picture.ties)} lines are drawn, the strongest and those that join all columns")
    return "; ".join(parts)


def _spanning(names: Sequence[str], ties: Iterable[Tie]) -> Forest:
    """The forest of the strongest ties that joins whatever is joined; columns in the schema's order."""
    part = {name: {name} for name in names}
    joined: dict[str, set[str]] = {name: set() for name in names}
    for tie in sorted(ties, key=lambda tie: -tie.strength):
        one, two = tie.columns
        if part[one] is not part[two]:
            joined[one].add(two)
            joined[two].add(one)
            part[one] |= part[two]
            part.update(dict.fromkeys(part[two], part[one]))
    return {name: [other for other in names if other in joined[name]] for name in names}


def _layout(forest: Forest) -> dict[str, Place]:
    """Each tree from left to right, starting in its middle; leaves one a line, inner columns among their leaves.

    A tree too deep for that has one column a line, each a little to the right of the one that it hangs on and not far
    below it.
    """
    places: dict[str, Place] = {}
    row = 0.0
    for name in forest:
        if name in places:
            continue
        part = _depths(forest, name)
        root = min((other for other in forest if other in part), key=lambda one: max(_depths(forest, one).values()))
        depth = _depths(forest, root)
        below = {one: [other for other in forest[one] if depth[other] > depth[one]] for one in depth}
        if max(depth.values()) < DEEP:
            row = _side_by_side(below, root, 0.0, row, places)
        else:
            row = _one_a_line(below, depth, root, row, places)
    return places


def _depths(forest: Forest, root: str) -> dict[str, int]:
    """How far each column of a tree is from its root, nearest first."""
    depth = {root: 0}
    waiting = [root]
    for name in waiting:
        for other in forest[name]:
            if other not in depth:
                depth[other] = depth[name] + 1
                waiting.append(other)
    return depth


def _side_by_side(below: Forest, name: str, x: float, row: float, places: dict[str, Place]) -> float:
    """Place a column in the middle of those that hang on it, these further right; returns the next free row."""
    for child in below[name]:
        row = _side_by_side(below, child, x + 1, row, places)
    rows = [places[child][1] for child in below[name]]
    places[name] = (x, (min(rows) + max(rows)) / 2 if rows else row)
    return row if rows else row + 1


def _one_a_line(below: Forest, depth: dict[str, int], root: str, row: float, places: dict[str, Place]) -> float:
    """Place a column above those that hang on it, small branches first; returns the next free row."""
    size: dict[str, int] = {}
    for name in reversed(depth):
        size[name] = 1 + sum(size[child] for child in below[name])
    step = (DEEP - 1) / max(depth.values())
    waiting = [root]
    while waiting:
        name = waiting.pop()
        places[name] = (step * depth[name], row)
        row += 1
        waiting += sorted(below[name], key=size.__getitem__)[::-1]
    return row


def _draw(places: dict[str, Place], ties: list[Tie]) -> str:
    right = max(2.0, *(x for x, _ in places.values()))
    lowest = max(y for _, y in places.values()) + 1.4
    shapes = []
    for tie in ties:
        way = [_points(place) for place in _line(places[tie.columns[0]], places[tie.columns[1]])]
        colour, dashes = (BLUE, "") if tie.asked else (GREY, "3 2")
        shapes.append(line(way, colour, _width(tie.strength), dashes, 0.55))
    for name, place in places.items():
        x, y = _points(place)
        shapes.append(box(x, y, wide(short(name)) + 6, 15.0, "#eef4f8", BLUE))
        shapes.append(text(x, y, short(name), "middle"))
    for i, strength in enumerate(KEY):
        x, y = _points((-0.4 + 0.8 * i, lowest))
        shapes.append(line([(x, y), (x + 24, y)], BLUE, _width(strength), "", 0.55))
        shapes.append(text(x + 31, y, percent(strength)))
    strongest = sorted(ties, key=lambda tie: -tie.strength)[:5]
    said = ", ".join(f"{' and '.join(map(short, tie.columns))} {percent(tie.strength)}" for tie in strongest)
    label = f"{len(places)} columns and {len(ties)} ties between them; the strongest: {said}"
    return svg(shapes, (right + 1.1) * ACROSS, (lowest + 1.2) * DOWN, "model", label)


def _points(place: Place) -> Place:
    return (place[0] + 0.55) * ACROSS, (place[1] + 0.6) * DOWN


def _width(strength: float) -> float:
    """Thickness in points: proportional, but never too thin to be seen."""
    return max(0.6, 14 * strength)


def _line(a: Place, b: Place) -> list[Place]:
    """From one place to another: straight between neighbours, or around the boxes between."""
    (x0, y0), (x1, y1) = sorted((a, b))
    bulge = 0.35 + 0.05 * min(6.0, abs(y1 - y0)) if x0 == x1 else 0.0
    lift = -0.5 if x1 - x0 > 1 else 0.0
    steps = [i / 16 for i in range(17)] if bulge or lift else [0.0, 1.0]
    return [(x0 + t * (x1 - x0) + bulge * 4 * t * (1 - t), y0 + t * (y1 - y0) + lift * 4 * t * (1 - t)) for t in steps]
