"""The trade-off curve of the worst case."""

from __future__ import annotations

from dpsynth.report.facts import WorstCase
from dpsynth.report.svg import BLUE, GREY, ORANGE, drawing, svg
from dpsynth.report.text import percent_above


def trade_off(worst: WorstCase) -> str:
    """False against true positives: the bound, the line of pure guessing, and the rates of the table."""
    with drawing(4.3, 2.75) as figure:
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
    return svg(figure, "tradeoff", "highest share of true alarms against the share of false alarms")
