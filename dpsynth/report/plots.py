"""The trade-off curve of the worst case."""

from __future__ import annotations

from math import log10

from dpsynth.report.facts import WorstCase
from dpsynth.report.svg import BLUE, GREY, INK, ORANGE, dot, line, svg, text
from dpsynth.report.text import percent_above

_WIDTH, _HEIGHT = 310.0, 198.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 39.0, 6.0, 291.0, 164.0
_LOWEST, _HIGHEST = -4.0, 1.02
"""The log of the least rate of false alarms that is drawn, and the greatest rate of true ones."""


def trade_off(worst: WorstCase) -> str:
    """False against true positives: the bound, the line of pure guessing, and the rates of the table."""
    bound = [(_across(rate), _up(highest)) for rate, highest in worst.curve]
    guess = [(_across(rate), _up(rate)) for rate, _ in worst.curve]
    shapes = [line([(_LEFT, _up(v)), (_RIGHT, _up(v))], "#e4e8eb", 0.8) for v in (0.25, 0.5, 0.75, 1.0)]
    shapes.append(line([*bound, *reversed(guess)], "none", 0.0, opacity=0.12, fill=BLUE))
    shapes.append(line([(_LEFT, _TOP), (_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], GREY, 0.8))
    shapes.append(line(bound, BLUE, 1.8))
    shapes.append(line(guess, GREY, 1.2, "4.8 3.6"))
    for rate, highest in worst.table:
        x, y = _across(rate), _up(highest)
        shapes.append(dot(x, y, 2.5, ORANGE))
        shapes.append(text(x - 5, max(y - 9, _TOP), percent_above(highest), "end", ORANGE, bold=True))
    for power, label in enumerate(("0.01 %", "0.1 %", "1 %", "10 %", "100 %"), start=-4):
        x = _across(10.0**power)
        shapes.append(line([(x, _BOTTOM), (x, _BOTTOM + 3.5)], GREY, 0.8))
        shapes.append(text(x, _BOTTOM + 10, label, "middle"))
    for value, label in ((0.0, "0"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %")):
        shapes.append(line([(_LEFT - 3.5, _up(value)), (_LEFT, _up(value))], GREY, 0.8))
        shapes.append(text(_LEFT - 7, _up(value), label, "end"))
    shapes.append(text((_LEFT + _RIGHT) / 2, _BOTTOM + 25, "false alarms", "middle", INK))
    for y, dashes, colour, what in (
        (19.0, "", BLUE, "found, at most"),
        (36.0, "4.8 3.6", "#66727c", "found by guessing"),
    ):
        shapes.append(line([(_LEFT + 8, y), (_LEFT + 23, y)], colour, 1.5, dashes))
        shapes.append(text(_LEFT + 28, y, what, colour=colour))
    return svg(shapes, _WIDTH, _HEIGHT, "tradeoff", "highest share of true alarms against the share of false alarms")


def _across(rate: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (log10(rate) - _LOWEST) / -_LOWEST


def _up(value: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * value / _HIGHEST
