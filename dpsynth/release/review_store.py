"""What a store adds to the officer's page: what is held today, what was asked in vain, what else was released.

All of it is read from the lines of the log, which hold no private value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from dpsynth.accountant import Accountant, State
from dpsynth.accountant.values import Account
from dpsynth.ledger import CHARGES, Entry, cost_of, parse
from dpsynth.privacy import exact_text
from dpsynth.release.changes import compare, of_lines
from dpsynth.release.status import require_own
from dpsynth.report.officer_facts import Changes, Ledgered, Other, Payer, Vain

_BEGUN: tuple[State, ...] = ("RESERVED", "DRAWING", "MEASURED")
_TOLD: dict[State, str] = {
    "PLANNED": "asked for, not begun",
    "SETTLED": "made, not published",
    "APPROVED": "made, not published",
    "RELEASED": "published",
    "SUPERSEDED": "superseded",
    "WITHDRAWN": "withdrawn",
    "REJECTED": "rejected",
    "VOID": "void",
    "LOST": "lost in a crash, never to be finished",
    **dict.fromkeys(_BEGUN, "begun, not finished"),
}


@dataclass(frozen=True)
class Known:
    """What a store knows: the state of the release, those who paid as they stand today, and what else there is."""

    state: str
    payers: tuple[Payer, ...]
    others: tuple[Other, ...]
    changes: Changes | None


def read(accountant: Accountant, folder: Path, ledger: Ledgered) -> Known:
    """Ask a store about a release in a verified folder.

    ConfigurationError: it does not know the release; DigestMismatch: it made another one of this id.
    """
    story = accountant.story(ledger.release)
    require_own(folder, story)
    path = accountant.path(story.account)
    tree = _tree(accountant.accounts(), path[-1].name)
    logs = {name: [parse(line) for line in accountant.history(name)] for name in tree}
    state = {name: found for name, (_, found) in accountant.states().items()}
    payers = tuple(
        _today(payer, account, tree, logs, state) for payer, account in zip(ledger.payers, path, strict=True)
    )
    others = tuple(
        sorted(_others(logs, state, ledger.release), key=lambda other: (other.day, other.name), reverse=True)
    )
    return Known(story.state, payers, others, _last(logs[story.account], ledger))


def _tree(accounts: Iterable[Account], top: str) -> dict[str, tuple[str, ...]]:
    """Each account of a tree with all that it pays into: itself and those above it."""
    parents = {account.name: account.parent for account in accounts}
    found = {}
    for name in parents:
        above, step = [name], parents[name]
        while step is not None:
            above.append(step)
            step = parents[step]
        if above[-1] == top:
            found[name] = tuple(above)
    return found


def _today(
    payer: Payer,
    account: Account,
    tree: Mapping[str, tuple[str, ...]],
    logs: Mapping[str, list[Entry]],
    state: Mapping[str, State],
) -> Payer:
    below = [name for name, above in tree.items() if payer.name in above]
    begun = {entry.fields["release"] for name in below for entry in logs[name] if entry.kind == "reserve"}
    unfinished = sum(1 for release in begun if state[release] in (*_BEGUN, "LOST"))
    tried = account.attempts
    vain = Vain(tried.refused, tried.lost, tried.rejected, unfinished)
    return replace(payer, now=account.held, cap_now=account.cap, vain=vain)


def _others(logs: Mapping[str, list[Entry]], state: Mapping[str, State], own: str) -> Iterable[Other]:
    for account, entries in logs.items():
        for entry in entries:
            fields, day = entry.fields, entry.stamp.day
            if entry.kind == "reserve" and fields["release"] != own and state[fields["release"]] != "VOID":
                promise = fields["quote"]
                cost = cost_of(fields["reserved"])
                yield Other(fields["release"], account, day, _TOLD[state[fields["release"]]], cost, *_claim(promise))
            elif entry.kind == "external":
                promise = fields["claim"]
                told = _claim(promise) if promise else ("", "")
                yield Other(fields["what"], account, day, "noted from elsewhere", None, *told, bool(promise))


def _claim(promise: Mapping[str, str]) -> tuple[str, str]:
    epsilon, delta = (exact_text(Fraction(promise[key])) for key in ("epsilon", "delta"))
    return epsilon, delta


def _last(entries: list[Entry], ledger: Ledgered) -> Changes | None:
    """How a release differs from the last one that was finished before it in the same account."""
    begun = [entry for entry in entries if entry.kind == "reserve"]
    settled = {entry.fields["release"] for entry in entries if entry.kind == "settle"}
    earlier = []
    for entry in begun:
        if entry.fields["release"] == ledger.release:
            break
        if entry.fields["release"] in settled:
            earlier.append(entry)
    if not earlier:
        return None
    reserve = earlier[-1]
    charges = [
        entry for entry in entries if entry.kind in CHARGES and entry.fields["release"] == reserve.fields["release"]
    ]
    return compare(ledger, of_lines(reserve, charges))
