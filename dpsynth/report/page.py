"""The page: facts in, one HTML document out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from dpsynth.privacy import NAMES, epsilon_of, exact_text
from dpsynth.report import figures, picture, plots, text
from dpsynth.report.bars import Panel, panel
from dpsynth.report.facts import ColumnFit, QueryFact, ReportFacts

if TYPE_CHECKING:
    from jinja2 import Template

PLOTS = 40
"""Columns that are drawn; a page with more of them is no longer read."""

LISTED = 24
"""Declared things that fit on the first sheet; the others are listed in section D."""

_FILTERS: dict[str, Callable[..., str]] = {
    "above": text.above,
    "brief": text.brief,
    "count": text.count,
    "exact": exact_text,
    "percent": text.percent,
    "percent_above": text.percent_above,
}


@dataclass(frozen=True)
class Line:
    """A row of the table of answers."""

    query: QueryFact
    what: str
    cells: str
    scale: str
    share: Fraction
    bar: float
    running: str
    misplaced: str
    people: str


@dataclass(frozen=True)
class Rate:
    """A row of the worst-case table: rates, and what an alarm makes of a belief of 1 % and of 50 %."""

    fpr: float
    tpr: float
    rare: float
    even: float


def render(facts: ReportFacts) -> str:
    """The report as one self-contained HTML page: no script, nothing loaded from anywhere.

    Every value is escaped; equal facts give equal text. At most 40 columns are drawn, those whose synthetic rows lie
    furthest from the noisy answer beyond its noise.
    """
    from markupsafe import Markup

    drawn = _drawn(facts)
    drawing = picture.model(facts.picture)
    return template("page.html.j2").render(
        facts=facts,
        claim=facts.claim,
        style=Markup(_style()),  # noqa: S704 - the room's own file
        curve=Markup(plots.trade_off(facts.worst)),  # noqa: S704 - made here, its text escaped by the plotter
        picture=None if drawing is None else Markup(drawing.svg),  # noqa: S704 - as the curve
        left_out="" if drawing is None else drawing.left_out,
        meter=_meter(facts),
        budget=_budget(facts),
        worst=[rate(fpr, tpr) for fpr, tpr in facts.worst.table],
        shares=figures.shares(facts),
        spent=sum((query.cost for query in facts.queries), Fraction(0)) / facts.claim.reserved.amount,
        unit=figures.SYMBOLS[facts.claim.reserved.measure],
        added=figures.ADDED[facts.claim.reserved.measure],
        measure=NAMES[facts.claim.reserved.measure],
        lines=lines(facts.queries, facts.claim.reserved.amount, facts.total),
        panels=drawn,
        hidden=len(facts.fits) - len(drawn),
        hazards=figures.hazards(facts) if facts.hazards is None else facts.hazards,
        quality=quality(facts.queries, facts.total),
        listed=LISTED,
    )


def _style() -> str:
    return files("dpsynth.report").joinpath("style.css").read_text(encoding="utf-8")


@cache
def template(name: str) -> Template:
    """A page of this room: everything that is put into it is escaped, a name that it lacks is an error."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, finalize=_printable)
    environment.filters.update(_FILTERS)
    return environment.from_string(files("dpsynth.report").joinpath(name).read_text(encoding="utf-8"))


def _printable(value: object) -> object:
    """Text without control characters: a name may hold them, a page may not."""
    return text.printable(value) if type(value) is str else value


def _drawn(facts: ReportFacts) -> list[Panel]:
    order = {column.column: i for i, column in enumerate(facts.fits)}

    def net(column: ColumnFit) -> tuple[float, int]:
        return -figures.fit(column, facts.total).net, order[column.column]

    chosen = sorted(facts.fits, key=net)[:PLOTS]
    return [panel(column, facts.total) for column in sorted(chosen, key=lambda column: order[column.column])]


def _meter(facts: ReportFacts) -> dict[str, float]:
    """Widths of the budget bar, of 400."""
    account = facts.account
    before, after = (float(400 * sum_.amount / account.cap.amount) for sum_ in (account.before, account.after))
    return {"before": round(before, 2), "this": round(after - before, 2)}


def _budget(facts: ReportFacts) -> list[tuple[str, str, Fraction, Fraction]]:
    account = facts.account
    rows = [
        ("#9aa5ae", "reserved before", account.before),
        ("#0072b2", "this release", account.after - account.before),
        ("", "sum", account.after),
        ("", "cap", account.cap),
        ("#e8edf1", "left", account.cap - account.after),
    ]
    return [(colour, name, cost.amount, epsilon_of(cost, account.policy_delta)) for colour, name, cost in rows]


def rate(fpr: float, tpr: float) -> Rate:
    """A row of the worst-case table."""
    return Rate(fpr, tpr, figures.posterior(0.01, fpr, tpr), figures.posterior(0.5, fpr, tpr))


def lines(queries: Sequence[QueryFact], reserved: Fraction, total: int | None) -> list[Line]:
    """The rows of the table of answers: each with its part of what was reserved."""
    widest = max((query.cost for query in queries), default=Fraction(0)) or Fraction(1)
    made = []
    for query in queries:
        misplaced = figures.expected_tvd(query, total)
        counted = query.kind in ("total", "marginal") and query.scale > 0
        within = figures.within(query.mechanism, query.scale)
        made.append(
            Line(
                query,
                _what(query),
                "" if query.columns is None or query.kind == "values" else text.count(query.cells),
                "none" if query.scale == 0 else text.near(query.scale, 4),
                query.cost / reserved,
                round(float(48 * query.cost / widest), 1),
                _running(query.running_epsilon),
                "" if misplaced is None else text.percent(misplaced),
                f"± {text.near(within, 3)}" if counted else "",
            )
        )
    return made


def _what(query: QueryFact) -> str:
    if query.kind == "total":
        return "number of rows"
    if query.kind == "values":
        return (
            f"values of {' × '.join(query.columns or ())} that about {text.count(query.threshold)} or more share, "
            f"found privately; with a probability of {text.near(query.delta, 3)} at most one that nobody else has is "
            "among them"
        )
    if query.kind == "scores":
        return f"{text.count(query.cells)} candidate tables compared with the model: noisy distances"
    if query.columns is None:
        return f"{query.picks} of {text.count(query.cells)} candidates, chosen privately"
    return " × ".join(query.columns) + (", beyond its parts" if query.kind == "residual" else "")


def _running(stated: str) -> str:
    """The stated running epsilon, shortened upwards."""
    try:
        return text.above(Fraction(stated), 5)
    except ValueError:
        return stated


def quality(queries: Sequence[QueryFact], total: int | None) -> str:
    """What error is to be expected, in words."""
    errors: dict[int, list[float]] = {}
    for query in queries:
        misplaced = figures.expected_tvd(query, total)
        if misplaced is not None and query.columns is not None:
            errors.setdefault(len(query.columns), []).append(misplaced)
    names = {1: "single columns", 2: "pairs of columns", 3: "triples"}
    parts = [
        f"{names.get(size, f'groups of {size}')} {text.percent(sum(found) / len(found))} on average and "
        f"{text.percent(max(found))} at most"
        for size, found in sorted(errors.items())
    ]
    if not parts:
        return "No expected error can be stated: no table was measured, or the number of rows is not known."
    return (
        f"Expected share of people that noise alone puts into a wrong cell: {'; '.join(parts)}. Computed from "
        "the noise scales and the published number of rows; nothing here was compared with the true table."
    )
