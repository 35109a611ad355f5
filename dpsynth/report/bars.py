"""Geometry of the bar charts: one small panel a column, as plain SVG shapes that the template draws.

Written by hand because it is many times faster and smaller than a plotting library (a panel: under a millisecond
and about 3 kB, against 50 ms and 22 kB). Bars are the noisy answer with its noise, dots the synthetic rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.report.facts import ColumnFit
from dpsynth.report.figures import Fit, fit, within
from dpsynth.report.text import percent, printable

WIDTH = 320.0
ROW = 17.0
LISTED = 12
"""Cells of an unordered column that are listed by name; the others are added up."""
DRAWN = 48
"""Bars of an ordered column; neighbouring cells are added up beyond that."""
_LABELS = 112.0
_HEIGHT = 118.0
_NAME = 18


@dataclass(frozen=True)
class Bar:
    """One bar, its whisker (19 of 20 draws of the noise) and its dot, in units of the panel; ``tip`` for the mouse."""

    x: float
    y: float
    width: float
    height: float
    whisker: tuple[float, float]
    dot: float
    label: str
    tip: str


@dataclass(frozen=True)
class Panel:
    """One column: bars lying (unordered) or standing (ordered), the axis mark, and what to say about the fit."""

    column: str
    standing: bool
    height: float
    base: float
    bars: tuple[Bar, ...]
    mark: tuple[float, str]
    marks: tuple[tuple[float, str, str], ...]
    fit: Fit
    note: str


@dataclass(frozen=True)
class _Cell:
    label: str
    noisy: float
    synthetic: float
    slack: float


def panel(column: ColumnFit, total: int | None) -> Panel:
    """The chart of one column: shares of all people, noisy and synthetic."""
    people = float(total if total is not None and total > 0 else max(1, sum(column.noisy)))
    drawn = max(1, sum(column.synthetic))
    cells = [
        _Cell(label, noisy / people, synthetic / drawn, within(column.law, column.scale) / people)
        for label, noisy, synthetic in zip(column.labels, column.noisy, column.synthetic, strict=True)
    ]
    found = fit(column, total)
    if column.ordered and len(cells) > LISTED:
        shown, note = _neighbours(cells)
        return _standing(column.column, shown, found, note)
    shown, note = (cells, "") if len(cells) <= LISTED else _largest(cells)
    return _lying(column.column, shown, found, note)


def _largest(cells: Sequence[_Cell]) -> tuple[list[_Cell], str]:
    """The largest cells by noisy answer, in their order, and the sum of the others."""
    chosen = sorted(sorted(range(len(cells)), key=lambda i: (-cells[i].noisy, i))[: LISTED - 1])
    others = [cell for i, cell in enumerate(cells) if i not in set(chosen)]
    rest = _sum(others, f"{len(others)} others")
    return [
        *(cells[i] for i in chosen),
        rest,
    ], f"{len(cells)} values, the {LISTED - 1} largest by noisy count"


def _neighbours(cells: Sequence[_Cell]) -> tuple[list[_Cell], str]:
    """At most DRAWN runs of neighbouring cells, of equal length but for the last."""
    step = -(-len(cells) // DRAWN)
    if step == 1:
        return list(cells), ""
    runs = [cells[i : i + step] for i in range(0, len(cells), step)]
    return [_sum(run, f"{run[0].label} … {run[-1].label}") for run in runs], f"{len(cells)} cells, {step} to a bar"


def _sum(cells: Sequence[_Cell], label: str) -> _Cell:
    slack = sum(cell.slack**2 for cell in cells) ** 0.5
    return _Cell(label, sum(c.noisy for c in cells), sum(c.synthetic for c in cells), slack)


def _top(cells: Sequence[_Cell]) -> float:
    return max(1e-9, *(max(cell.noisy, cell.synthetic) for cell in cells)) * 1.04


def _tip(cell: _Cell) -> str:
    return f"{cell.label}: noisy {percent(cell.noisy)} ± {percent(cell.slack)}, synthetic {percent(cell.synthetic)}"


def _lying(name: str, cells: Sequence[_Cell], found: Fit, note: str) -> Panel:
    top, room = _top(cells), WIDTH - _LABELS - 8
    bars = []
    for i, cell in enumerate(cells):
        low, high = (min(top, max(0.0, cell.noisy + sign * cell.slack)) for sign in (-1, 1))
        bars.append(
            Bar(
                _LABELS,
                i * ROW + 3,
                _r(room * max(0.0, cell.noisy) / top),
                ROW - 6,
                (_r(_LABELS + room * low / top), _r(_LABELS + room * high / top)),
                _r(_LABELS + room * cell.synthetic / top),
                short(cell.label),
                _tip(cell),
            )
        )
    base = len(cells) * ROW
    mark, text = _nice(top)
    return Panel(name, False, base + 16, base, tuple(bars), (_r(_LABELS + room * mark / top), text), (), found, note)


def _standing(name: str, cells: Sequence[_Cell], found: Fit, note: str) -> Panel:
    top, left = _top(cells), 34.0
    step = (WIDTH - left - 4) / len(cells)
    bars = []
    for i, cell in enumerate(cells):
        low, high = (min(top, max(0.0, cell.noisy + sign * cell.slack)) for sign in (-1, 1))
        height = _HEIGHT * max(0.0, cell.noisy) / top
        bars.append(
            Bar(
                _r(left + i * step + step * 0.08),
                _r(_HEIGHT - height + 6),
                _r(step * 0.84),
                _r(height),
                (_r(_HEIGHT * (1 - low / top) + 6), _r(_HEIGHT * (1 - high / top) + 6)),
                _r(_HEIGHT * (1 - cell.synthetic / top) + 6),
                short(cell.label),
                _tip(cell),
            )
        )
    mark, text = _nice(top)
    last = len(cells) - 1
    marks = tuple(
        (_r(left + (i + 0.5) * step), short(cells[i].label), anchor)
        for i, anchor in ((0, "start"), (last // 2, "middle"), (last, "end"))
    )
    base = _HEIGHT + 6
    return Panel(name, True, base + 16, base, tuple(bars), (_r(base - _HEIGHT * mark / top), text), marks, found, note)


def short(text: str, length: int = _NAME) -> str:
    """A label that fits: cut in the middle, control characters shown as blanks."""
    clean = printable(text).replace("\n", " ")
    if len(clean) <= length:
        return clean
    return clean[: length - 7].rstrip() + "…" + clean[-5:].lstrip()


def _nice(top: float) -> tuple[float, str]:
    """The largest of 1, 2 and 5 times a power of ten that lies below the top: where to put the axis mark."""
    best = 1e-9
    for power in range(-6, 1):
        for digit in (1, 2, 5):
            value = digit * 10.0**power
            if value <= min(top, 1.0):
                best = max(best, value)
    return best, percent(best)


def _r(value: float) -> float:
    """Coordinates to a tenth of a unit: enough for the eye, and short."""
    return round(value, 1)
