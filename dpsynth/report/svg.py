"""Shapes of inline SVG, in points.

Written by hand because loading a plotting library takes longer than the rest of the page. Text stays text (it is
selectable and small), and nothing has an identifier: equal facts, equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from unicodedata import east_asian_width

BLUE, ORANGE, GREY, INK = "#0072b2", "#d55e00", "#9aa5ae", "#1d2b36"

SIZE = 9.0
"""Height of the letters."""

_SHOWN = 105 / 72
"""Pixels on the screen for a point, at most."""


def svg(shapes: Iterable[str], width: float, height: float, name: str, label: str) -> str:
    """The shapes as one ``<svg>`` of so many points; ``label`` is what a reader hears who does not see it."""
    opening = (
        f'<svg class="plot {name}" style="max-width:{round(width * _SHOWN)}px" role="img" '
        f'aria-label="{escape(label)}" viewBox="0 0 {_short(width)} {_short(height)}" font-size="{_short(SIZE)}">'
    )
    return "\n".join((opening, *shapes, "</svg>"))


def line(
    places: Sequence[tuple[float, float]],
    colour: str,
    width: float,
    dashes: str = "",
    opacity: float = 1.0,
    fill: str = "none",
) -> str:
    """A line through places, and the area that it encloses where ``fill`` is a colour."""
    way = "L".join(f"{_short(x)} {_short(y)}" for x, y in places)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    faint = f' opacity="{_short(opacity)}"' if opacity < 1 else ""
    return f'<path d="M{way}" fill="{fill}" stroke="{colour}" stroke-width="{_short(width)}"{dashed}{faint}/>'


def dot(x: float, y: float, radius: float, colour: str) -> str:
    """A filled circle."""
    return f'<circle cx="{_short(x)}" cy="{_short(y)}" r="{_short(radius)}" fill="{colour}"/>'


def box(x: float, y: float, width: float, height: float, fill: str, colour: str) -> str:
    """A rectangle with round corners about its middle."""
    return (
        f'<rect x="{_short(x - width / 2)}" y="{_short(y - height / 2)}" width="{_short(width)}" '
        f'height="{_short(height)}" rx="3" fill="{fill}" stroke="{colour}" stroke-width="0.9"/>'
    )


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK, bold: bool = False) -> str:
    """Words whose middle line is at ``y``; ``anchor``: whether ``x`` is where they start, their middle or their end."""
    strong = ' font-weight="bold"' if bold else ""
    placed = f'x="{_short(x)}" y="{_short(y + 0.35 * SIZE)}" text-anchor="{anchor}"'
    return f'<text {placed} fill="{colour}"{strong}>{escape(words)}</text>'


def wide(words: str) -> float:
    """About how wide words are in most typefaces without serifs."""
    return SIZE * sum(map(_share, words))


def _share(letter: str) -> float:
    """The width of a letter, of its height."""
    if letter in "fijlrt-.,:;'|!()[] ":
        return 0.37
    if letter in "mwMW@<>=+%":
        return 0.85
    if east_asian_width(letter) in "FW":
        return 1.0
    return 0.66 if letter.isupper() or letter.isdigit() else 0.59


def _short(value: float) -> str:
    """A coordinate to a hundredth of a point."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
