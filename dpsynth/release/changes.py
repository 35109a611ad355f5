"""How a release differs from an earlier one: by the earlier one's folder, or by its lines in the log alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from dpsynth.ledger import Entry, cost_of
from dpsynth.privacy import exact_text
from dpsynth.release.page import query_fact
from dpsynth.report import QueryFact
from dpsynth.report.figures import SYMBOLS, kind_name
from dpsynth.report.officer_facts import Change, Changes, Ledgered
from dpsynth.report.text import above

_SHOWN = 6
"""Names that are told one by one."""


@dataclass(frozen=True)
class Earlier:
    """What the log tells of an earlier release."""

    release: str
    day: str
    unit: tuple[str, ...]
    told: Mapping[str, str]
    public: tuple[str, ...] | None = None
    source: str = field(default="the lines of the store's log")


def of_lines(reserve: Entry, charges: Sequence[Entry]) -> Earlier:
    """A release by the line that reserved for it and the lines of its charges."""
    quote, cost = reserve.fields["quote"], cost_of(reserve.fields["reserved"])
    queries = [query_fact(entry) for entry in charges]
    unit: tuple[str, ...] = ()
    if charges:
        fields: Mapping[str, Any] = charges[0].fields
        whose = fields["unit"]
        unit = _unit(whose["entity"], whose["column"], whose["max_rows"], fields["neighbours"])
    told = _told(Fraction(quote["epsilon"]), Fraction(quote["delta"]), cost.measure, cost.amount, queries)
    return Earlier(reserve.fields["release"], reserve.stamp.day, unit, told)


def of_ledger(ledger: Ledgered, source: str = "its folder") -> Earlier:
    """A release by its signed ledger."""
    claim = ledger.claim
    told = _told(claim.epsilon, claim.delta, claim.reserved.measure, claim.reserved.amount, ledger.queries)
    more = {
        "mechanism": ledger.mechanism,
        "synthetic rows": f"{ledger.rows} ({ledger.rows_rule})",
        "software": ledger.software,
        "account": ledger.payers[0].name,
    }
    unit = _unit(claim.entity, claim.unit_column, claim.max_rows, claim.neighbours)
    return Earlier(ledger.release, ledger.day, unit, {**told, **more}, ledger.public, source)


def compare(ledger: Ledgered, before: Ledgered | Earlier) -> Changes:
    """What differs, of everything that is known of both."""
    earlier = of_ledger(before) if isinstance(before, Ledgered) else before
    now = of_ledger(ledger)
    found = [
        Change(what, earlier.told[what], now.told[what])
        for what in now.told
        if what in earlier.told and earlier.told[what] != now.told[what]
    ]
    differ = bool(earlier.unit) and earlier.unit != now.unit
    if differ:
        found.insert(0, Change("unit of privacy", ", ".join(earlier.unit), ", ".join(now.unit)))
    if earlier.public is not None and now.public is not None:
        gone = [thing for thing in earlier.public if thing not in now.public]
        new = [thing for thing in now.public if thing not in earlier.public]
        if gone or new:
            found.append(Change("declared public", _few(gone), _few(new)))
    return Changes(earlier.release, earlier.day, earlier.source, tuple(found), differ)


def _told(
    epsilon: Fraction, delta: Fraction, measure: str, amount: Fraction, queries: Sequence[QueryFact]
) -> dict[str, str]:
    kinds = Counter(kind_name(query) for query in queries)
    columns = sorted({name for query in queries for name in query.columns or ()})
    adaptive = sum(1 for query in queries if query.chosen_by)
    return {
        "ε": exact_text(epsilon),
        "δ": exact_text(delta),
        "reserved": f"{SYMBOLS[measure]} = {above(amount, 6)}",
        "answers": ", ".join(f"{number} {name}" for name, number in sorted(kinds.items())) or "none",
        "adaptive answers": str(adaptive),
        "noise": ", ".join(sorted({query.mechanism for query in queries})) or "none",
        "columns measured": _few(columns),
    }


def _unit(entity: str, column: str | None, rows: int, neighbours: str) -> tuple[str, ...]:
    whose = "each row its own" if column is None else f"told apart by column {column}"
    return (entity, whose, f"at most {rows} rows each", neighbours)


def _few(parts: Sequence[str]) -> str:
    more = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" and {more} more" if more > 0 else "") if parts else "nothing"
