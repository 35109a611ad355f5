"""What a store adds to the officer's page: what is held today, what was asked in vain, what else was released.

All of it is read from the lines of the log, which hold no private value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from dpsynth.accountant import Accountant
from dpsynth.accountant.values import Account
from dpsynth.ledger import CHARGES, Entry, cost_of, parse
from dpsynth.privacy import exact_text
from dpsynth.release.changes import compare, of_lines
from dpsynth.release.status import require_own
from dpsynth.report.officer_facts import Changes, Ledgered, Other, Payer, Vain

_ENDS = {
    "void": "void",
    "withdraw": "withdrawn",
    "supersede": "superseded",
    "release": "published",
    "settle": "made, not published",
    "reserve": "begun, not finished",
}
"""The state that the last line of a release tells, the most telling kind first."""


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
    state = {name: _state(accountant, name, own) for name, own in _by_release(logs).items()}
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


def _by_release(logs: Mapping[str, list[Entry]]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entries in logs.values():
        for entry in entries:
            if "release" in entry.fields and entry.kind != "refused":
                found.setdefault(entry.fields["release"], []).append(entry)
    return found


def _state(accountant: Accountant, release: str, entries: list[Entry]) -> str:
    kinds = {entry.kind for entry in entries}
    if "reject" in kinds and "release" not in kinds and accountant.story(release).state == "REJECTED":
        return "rejected"
    return next(told for kind, told in _ENDS.items() if kind in kinds)


def _today(
    payer: Payer,
    account: Account,
    tree: Mapping[str, tuple[str, ...]],
    logs: Mapping[str, list[Entry]],
    state: Mapping[str, str],
) -> Payer:
    below = [name for name, above in tree.items() if payer.name in above]
    begun = {entry.fields["release"] for name in below for entry in logs[name] if entry.kind == "reserve"}
    unfinished = sum(1 for release in begun if state[release] == _ENDS["reserve"])
    tried = account.attempts
    vain = Vain(tried.refused, tried.lost, tried.rejected, unfinished)
    return replace(payer, now=account.held, cap_now=account.cap, vain=vain)


def _others(logs: Mapping[str, list[Entry]], state: Mapping[str, str], own: str) -> Iterable[Other]:
    for account, entries in logs.items():
        for entry in entries:
            fields, day = entry.fields, entry.stamp.day
            if entry.kind == "reserve" and fields["release"] != own and state[fields["release"]] != _ENDS["void"]:
                promise = fields["quote"]
                cost = cost_of(fields["reserved"])
                yield Other(fields["release"], account, day, state[fields["release"]], cost, *_claim(promise))
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
