"""The officer's page: what has to be known to decide on a release, in one document without script.

The page is read only. It holds no key: it prints the commands that sign, and the twelve words to compare.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from importlib.resources import files
from math import log10
from typing import Any

from dpsynth.privacy import NAMES, epsilon_of, exact_text
from dpsynth.report import figures
from dpsynth.report.facts import NOT_PROVED, RATES, WorstCase
from dpsynth.report.hazards import Row, hazards
from dpsynth.report.officer_facts import Ledgered, OfficerFacts, Payer
from dpsynth.report.page import lines, quality, rate, template
from dpsynth.report.text import above, percent_above

MARK = '<!DOCTYPE html>\n<html lang="en" data-page="dpsynth-review">'
"""How every such page begins."""

BOXES = (
    (1, "request", "Decision"),
    (2, "budget", "Budget"),
    (3, "unit", "Who is protected"),
    (4, "worst", "Worst case"),
    (5, "public", "Declared public"),
    (6, "queries", "Queries"),
    (7, "others", "Other releases"),
    (8, "attacks", "Attacks"),
    (9, "utility", "Utility"),
    (10, "hazards", "Hazards"),
    (11, "software", "Software"),
    (12, "changes", "Changes"),
)
"""Number, anchor and title of each box, in the order of the page."""

_TONES = {"approved": "fine", "current": "fine", "rejected": "bad", "withdrawn": "bad", "superseded": "bad"}
_DECLARED = ("declared public:", "outside the guarantee:")


@dataclass(frozen=True)
class Key:
    """A figure of the first screen."""

    big: str
    what: str
    alarm: bool = False


@dataclass(frozen=True)
class Part:
    """A column of the table of an account."""

    kind: str
    name: str
    amount: Fraction
    epsilon: Fraction


@dataclass(frozen=True)
class Bar:
    """An account as it is drawn: parts of a bar of 400 (kind, start, width), and the same in numbers."""

    fact: Payer
    unit: str
    bars: tuple[tuple[str, float, float], ...]
    rows: tuple[Part, ...]


def policy() -> str:
    """The page's Content-Security-Policy: its own style by its hash, and nothing else whatever."""
    digest = base64.b64encode(sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def render_review(facts: OfficerFacts) -> str:
    """The page as one self-contained HTML document: no script, nothing loaded from anywhere, every value escaped.

    Of a folder that does not verify it says that and shows nothing else, since nothing that it says can be relied on.
    """
    from markupsafe import Markup

    shown: dict[str, Any] = {
        "facts": facts,
        "check": facts.check,
        "ledger": facts.ledger,
        "standing": facts.standing,
        "style": Markup(_style()),  # noqa: S704 - the room's own files
        "policy": policy(),
        "boxes": BOXES[1:],
        "not_proved": NOT_PROVED,
        "notes": [note for note in facts.check.notes if not note.startswith(_DECLARED)],
        "symbols": figures.SYMBOLS,
    }
    return template("officer.html.j2").render(**shown, **(_of_ledger(facts) if facts.ledger else {}))


def _style() -> str:
    room = files("dpsynth.report")
    return "\n".join(room.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "officer.css"))


def _of_ledger(facts: OfficerFacts) -> dict[str, Any]:
    ledger = facts.ledger
    if ledger is None or facts.standing is None or facts.worst is None:
        raise ValueError("the page of a release needs its ledger, where its decision stands, and its worst case")
    reserved, judged = ledger.claim.reserved, hazards(facts)
    whole = reserved.amount or Fraction(1)  # nothing is reserved where every answer is public
    return {
        "key": _key(ledger, facts.worst, judged),
        "tone": _TONES.get(facts.standing.state, ""),
        "payers": [bar(payer) for payer in ledger.payers],
        "unit": figures.SYMBOLS[reserved.measure],
        "measure": NAMES[reserved.measure],
        "rates": [rate(fpr, tpr) for fpr, tpr in facts.worst.table],
        "all_rates": [rate(fpr, tpr) for fpr, tpr in facts.all_worst.table] if facts.all_worst else [],
        "plot": _plot(facts.worst),
        "lines": lines(ledger.queries, whole, facts.total),
        "spent": sum((query.cost for query in ledger.queries), Fraction(0)) / whole,
        "bare": [other for other in facts.others or () if not other.private],
        "quality": quality(ledger.queries, facts.total),
        "hazards": judged,
    }


def _key(ledger: Ledgered, worst: WorstCase, judged: Sequence[Row]) -> list[Key]:
    """What to know at a glance: the promise, what it means, what it takes of the budget, what is to be accepted."""
    claim, own = ledger.claim, ledger.payers[0]
    found = next(tpr for fpr, tpr in worst.table if fpr == float(RATES[1]))
    held = epsilon_of(own.after, own.delta)
    accepted = [row for row in judged if row.status == "accepted"]
    red = sum(1 for row in accepted if row.alarm)
    return [
        Key(f"ε = {exact_text(claim.epsilon)}", f"at δ = {exact_text(claim.delta)}, for each {claim.entity}"),
        Key(percent_above(found), "could be found at most, at 1 % false alarms", worst.vacuous),
        Key(f"{above(held, 3)} of {exact_text(own.epsilon)}", f"of ε is taken in account {own.name} with this release"),
        Key(str(len(accepted)), f"hazards to accept (box 10), {red} of them in red"),
    ]


def bar(payer: Payer) -> Bar:
    """How an account is drawn: what it held before, this release, what came since if that is known, what is left."""
    cap = payer.cap_now or payer.cap
    ends = [("before", payer.before), ("this", payer.after)] + ([("since", payer.now)] if payer.now else [])
    places = [(kind, float(400 * end.amount / cap.amount) if cap.amount else 0.0) for kind, end in ends]
    starts = [0.0, *(place for _, place in places)]
    bars = tuple(
        (kind, round(start, 2), round(max(0.0, end - start), 2))
        for (kind, end), start in zip(places, starts, strict=False)
    )
    held = payer.now or payer.after
    parts = [
        ("", "cap", cap),
        ("before", "spent before", payer.before),
        ("this", "this release", payer.after - payer.before),
        ("", "with this release", payer.after),
        *([("since", "lifetime, today", payer.now)] if payer.now else []),
        ("left", "left", cap - held),
    ]
    rows = tuple(Part(kind, name, cost.amount, epsilon_of(cost, payer.delta)) for kind, name, cost in parts)
    return Bar(payer, figures.SYMBOLS[payer.cap.measure], bars, rows)


def _plot(worst: WorstCase) -> dict[str, Any]:
    """The curve in a drawing of 345 by 210: false alarms from 0.01 % in powers of ten, found from 0 to 100 %."""

    def at(fpr: float, tpr: float) -> tuple[float, float]:
        return round(40 + 70 * (log10(fpr) + 4), 1), round(176 - 164 * tpr, 1)

    def path(points: list[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{x} {y}" for x, y in points)

    return {
        "curve": path([at(fpr, tpr) for fpr, tpr in worst.curve]),
        "guess": path([at(fpr, fpr) for fpr, _ in worst.curve]),
        "points": [(*at(fpr, tpr), percent_above(tpr)) for fpr, tpr in worst.table],
        "heights": [(at(1, share / 4)[1], f"{25 * share} %") for share in range(5)],
        "rates": [(at(10.0**power, 0)[0], name) for power, name in zip(range(-4, 1), _RATES, strict=True)],
    }


_RATES = ("0.01 %", "0.1 %", "1 %", "10 %", "100 %")
