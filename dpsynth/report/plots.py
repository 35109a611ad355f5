"""The two drawings that need axes or a layout: the trade-off curve and the picture of the model.

matplotlib's Figure is used without pyplot, so there is no global state and no display. Text stays text (it is
selectable and small), identifiers come from a fixed salt, and no date or version is written: equal facts, equal bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dpsynth.report.bars import short
from dpsynth.report.facts import ModelPicture, WorstCase
from dpsynth.report.text import percent_above

if TYPE_CHECKING:
    import networkx
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, INK = "#0072b2", "#d55e00", "#9aa5ae", "#1d2b36"
PICTURE_COLUMNS = 60
"""Columns of a model that are still drawn; beyond that the names would cover each other."""

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dpsynth",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def trade_off(worst: WorstCase) -> str:
    """False against true positives: the bound, the line of pure guessing, and the rates of the table."""
    with _drawing(4.3, 2.75) as figure:
        axes = figure.add_axes((0.125, 0.17, 0.815, 0.8))
        rates, highest = zip(*worst.curve, strict=True)
        axes.fill_between(rates, rates, highest, color=BLUE, alpha=0.12, linewidth=0)
        axes.plot(rates, highest, color=BLUE, linewidth=1.8)
        axes.plot(rates, rates, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)))
        table = zip(*worst.table, strict=True)
        axes.plot(*table, linestyle="none", marker="o", color=ORANGE, markersize=5, zorder=3)
        for rate, value in worst.table:
            axes.annotate(
                percent_above(value),
                (rate, value),
                (-5, 6),
                textcoords="offset points",
                ha="right",
                color=ORANGE,
                fontweight="bold",
            )
        axes.set_xscale("log")
        axes.set_xlim(1e-4, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"])
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.minorticks_off()
        axes.set_xlabel("false alarms")
        axes.grid(visible=True, axis="y", color="#e4e8eb", linewidth=0.8)
        axes.set_axisbelow(True)
        for height, dashes, colour, what in (
            (0.92, "-", BLUE, "found, at most"),
            (0.81, (0, (4, 3)), "#66727c", "found by guessing"),
        ):
            axes.plot([0.03, 0.09], [height] * 2, transform=axes.transAxes, linestyle=dashes, color=colour)
            axes.text(0.11, height, what, transform=axes.transAxes, va="center", color=colour)
    return _svg(figure, "tradeoff", "highest share of true alarms against the share of false alarms")


def model(picture: ModelPicture) -> str | None:
    """Columns that the model ties together directly; None where there are too many to read."""
    if not 1 < len(picture.columns) <= PICTURE_COLUMNS:
        return None
    import networkx

    graph: networkx.Graph[str] = networkx.Graph()
    graph.add_nodes_from(picture.columns)
    for clique in picture.cliques:
        graph.add_edges_from((a, b) for i, a in enumerate(clique) for b in clique[i + 1 :])
    places = _layout(graph)
    wide = max(x for x, _ in places.values())
    tall = max(y for _, y in places.values())
    with _drawing(max(3.2, 1.35 * (wide + 1)), max(0.9, 0.36 * (tall + 1))) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(-0.55, wide + 0.55)
        axes.set_ylim(tall + 0.6, -0.6)
        for a, b in graph.edges:
            axes.plot(*_line(places[a], places[b]), color=GREY, linewidth=1.1, zorder=1)
        for name, (x, y) in places.items():
            box = {"boxstyle": "round,pad=0.32", "facecolor": "#eef4f8", "edgecolor": BLUE, "linewidth": 0.9}
            axes.text(x, y, short(name), ha="center", va="center", color=INK, bbox=box, parse_math=False, zorder=2)
    return _svg(figure, "model", "columns that the model ties together")


def _line(a: tuple[float, float], b: tuple[float, float]) -> tuple[list[float], list[float]]:
    """From one place to another: straight, or around the boxes between where one stands above the other."""
    (x0, y0), (x1, y1) = a, b
    bulge = 0.35 + 0.05 * min(6.0, abs(y1 - y0)) if x0 == x1 else 0.0
    steps = [i / 16 for i in range(17)] if bulge else [0.0, 1.0]
    return [x0 + t * (x1 - x0) + bulge * 4 * t * (1 - t) for t in steps], [y0 + t * (y1 - y0) for t in steps]


def _layout(graph: networkx.Graph[str]) -> dict[str, tuple[float, float]]:
    """Each tree from left to right, starting in its middle; leaves one a line, inner columns among their leaves."""
    import networkx

    places: dict[str, tuple[float, float]] = {}
    line = 0.0
    order = {name: i for i, name in enumerate(graph)}
    for part in sorted(networkx.connected_components(graph), key=lambda names: min(order[n] for n in names)):
        inside = graph.subgraph(sorted(part, key=lambda name: order[name]))
        root = min(networkx.center(inside), key=lambda name: order[name])
        tree = networkx.bfs_tree(inside, root, sort_neighbors=lambda names: sorted(names, key=lambda n: order[n]))
        for name in networkx.dfs_postorder_nodes(tree, root):
            below = [places[child][1] for child in tree.successors(name)]
            depth = networkx.shortest_path_length(tree, root, name)
            places[name] = (float(depth), (min(below) + max(below)) / 2 if below else line)
            line += 0.0 if below else 1.0
    return places


@contextmanager
def _settings() -> Iterator[None]:
    """matplotlib's own defaults and ours, whatever the user's matplotlibrc says; no warnings about odd names."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


@contextmanager
def _drawing(width: float, height: float) -> Iterator[Figure]:
    from matplotlib.figure import Figure

    with _settings():
        yield Figure(figsize=(width, height))


def _svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an inline ``<svg>``: no prolog, no namespaces, no metadata, identifiers of its own."""
    width = round(105 * figure.get_figwidth())
    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with _settings():
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(
        r'<svg width="[^"]*" height="[^"]*"',
        f'<svg class="plot {name}" style="max-width:{width}px" role="img" aria-label="{label}"',
        text,
    )
    return re.sub(r"[ \t]*\n[ \t]*", "\n", text).strip()
