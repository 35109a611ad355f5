"""matplotlib figures as inline SVG.

The Figure is used without pyplot, so there is no global state and no display. Text stays text (it is selectable and
small), identifiers come from a fixed salt, and no date or version is written: equal facts, equal bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, INK = "#0072b2", "#d55e00", "#9aa5ae", "#1d2b36"

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


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """An empty figure of so many inches, drawn under our settings."""
    from matplotlib.figure import Figure

    with _settings():
        yield Figure(figsize=(width, height))


def svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an inline ``<svg>``: no prolog, no namespaces, no metadata, identifiers of its own.

    ``label`` is what a reader hears who does not see it.
    """
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
    opening = f'<svg class="plot {name}" style="max-width:{width}px" role="img" aria-label="{escape(label)}"'
    text = re.sub(r'<svg width="[^"]*" height="[^"]*"', lambda _: opening, text)
    return re.sub(r"[ \t]*\n[ \t]*", "\n", text).strip()


@contextmanager
def _settings() -> Iterator[None]:
    """matplotlib's own defaults and ours, whatever the user's matplotlibrc says; no warnings about odd names."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield
