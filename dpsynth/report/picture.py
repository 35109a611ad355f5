"""The drawing of the model: columns, and lines between those that it ties together, thicker for stronger ties.

The lines that span all columns with the strongest ties lay the columns out as trees from left to right; the other
lines are curves between columns that have their places already. Nothing depends on chance or on the order of hashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpsynth.report.bars import short
from dpsynth.report.facts import ModelPicture, Tie
from dpsynth.report.svg import BLUE, GREY, INK, drawing, svg
from dpsynth.report.text import percent

if TYPE_CHECKING:
    import networkx

COLUMNS = 60
"""Columns that are drawn; with more of them the names would be too small."""

LINES = 90
"""Lines that are drawn, but for those that span the columns; with more of them none could be followed."""

DEEP = 7
"""Columns from left to right with room for their names side by side."""

KEY = (0.05, 0.2, 0.5)
"""Strengths in the key of the drawing."""

Place = tuple[float, float]


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
    spanning = [tie for tie in inside if tree.has_edge(*tie.columns)]
    others = sorted((tie for tie in inside if not tree.has_edge(*tie.columns)), key=lambda tie: -tie.strength)
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


def _spanning(names: list[str], ties: Iterable[Tie]) -> networkx.Graph[str]:
    """The forest of the strongest ties that joins whatever is joined; columns in the schema's order."""
    import networkx

    graph: networkx.Graph[str] = networkx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from((*tie.columns, {"weight": tie.strength}) for tie in ties)
    return networkx.maximum_spanning_tree(graph)


def _layout(forest: networkx.Graph[str]) -> dict[str, Place]:
    """Each tree from left to right, starting in its middle; leaves one a line, inner columns among their leaves.

    A tree too deep for that has one column a line, each a little to the right of the one that it hangs on and not far
    below it.
    """
    import networkx

    places: dict[str, Place] = {}
    line = 0.0
    order = {name: i for i, name in enumerate(forest)}
    for part in sorted(networkx.connected_components(forest), key=lambda names: min(order[n] for n in names)):
        inside = forest.subgraph(sorted(part, key=lambda name: order[name]))
        root = min(networkx.center(inside), key=lambda name: order[name])
        tree = networkx.bfs_tree(inside, root, sort_neighbors=lambda names: sorted(names, key=lambda n: order[n]))
        depth = networkx.single_source_shortest_path_length(tree, root)
        deepest = max(depth.values())
        if deepest >= DEEP:
            size = {name: 1 + len(networkx.descendants(tree, name)) for name in tree}
            by_size = sorted(tree, key=lambda name: (size[name], order[name]))
            outline: networkx.DiGraph[str] = networkx.DiGraph()
            outline.add_edges_from((above, name) for name in by_size for above in tree.predecessors(name))
            for name in networkx.dfs_preorder_nodes(outline, root):
                places[name] = ((DEEP - 1) * depth[name] / deepest, line)
                line += 1.0
            continue
        for name in networkx.dfs_postorder_nodes(tree, root):
            below = [places[child][1] for child in tree.successors(name)]
            places[name] = (float(depth[name]), (min(below) + max(below)) / 2 if below else line)
            line += 0.0 if below else 1.0
    return places


def _draw(places: dict[str, Place], ties: list[Tie]) -> str:
    from matplotlib.collections import LineCollection

    wide = max(2.0, *(x for x, _ in places.values()))
    tall = max(y for _, y in places.values()) + 1.4
    with drawing(1.35 * (wide + 1.1), 0.36 * (tall + 1.2)) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(-0.55, wide + 0.55)
        axes.set_ylim(tall + 0.6, -0.6)
        lines = LineCollection(
            [_line(places[a], places[b]) for a, b in (tie.columns for tie in ties)],
            linewidths=[_width(tie.strength) for tie in ties],
            linestyles=["-" if tie.asked else (0, (2.5, 1.5)) for tie in ties],
            colors=[BLUE if tie.asked else GREY for tie in ties],
            alpha=0.55,
            zorder=1,
        )
        axes.add_collection(lines, autolim=False)
        box = {"boxstyle": "round,pad=0.32", "facecolor": "#eef4f8", "edgecolor": BLUE, "linewidth": 0.9}
        for name, (x, y) in places.items():
            axes.text(x, y, short(name), ha="center", va="center", color=INK, bbox=box, parse_math=False, zorder=2)
        for i, strength in enumerate(KEY):
            x = -0.4 + 0.8 * i
            axes.plot([x, x + 0.25], [tall, tall], color=BLUE, alpha=0.55, linewidth=_width(strength))
            axes.text(x + 0.32, tall, percent(strength), va="center", color=INK, fontsize=8)
    strongest = sorted(ties, key=lambda tie: -tie.strength)[:5]
    said = ", ".join(f"{' and '.join(map(short, tie.columns))} {percent(tie.strength)}" for tie in strongest)
    return svg(figure, "model", f"{len(places)} columns and {len(ties)} ties between them; the strongest: {said}")


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
