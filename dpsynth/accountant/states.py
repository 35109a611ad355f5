"""How far a release has come, told by the lines of the log, and by the mark of the store that its table was opened.

    PLANNED > RESERVED > DRAWING > MEASURED > SETTLED > APPROVED > RELEASED > SUPERSEDED or WITHDRAWN

and beside the road VOID, LOST and REJECTED. Only a void release gives back what it held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias

from dpsynth.accountant import accounts, grants, log
from dpsynth.accountant.store import Reading
from dpsynth.ledger import CHARGES, Entry, cost_of

State: TypeAlias = Literal[
    "PLANNED", "RESERVED", "DRAWING", "MEASURED", "SETTLED", "APPROVED", "RELEASED", "SUPERSEDED", "WITHDRAWN",
    "VOID", "LOST", "REJECTED",
]  # fmt: skip
"""PLANNED: it was asked for, and some account could not pay; it holds nothing.
RESERVED: its whole reserve is charged, and nothing was asked yet.
DRAWING: its table was opened, or noise may have been drawn whose answer is not kept (yet).
MEASURED: every answer paid for is kept, or what is left of the reserve pays for asking again.
SETTLED: nothing more is drawn; where no officers rule it is published. APPROVED, REJECTED: by enough officers.
RELEASED, SUPERSEDED, WITHDRAWN: published, replaced by another, taken back.
VOID: given up before its table was opened. LOST: an answer was paid for and can never come back, and what is left of
the reserve does not pay for asking again, so that it cannot be finished."""
_PLAIN: dict[str, State] = {
    "refused": "PLANNED",
    "reserve": "RESERVED",
    "void": "VOID",
    "measure": "DRAWING",
    "select": "DRAWING",
    "score": "DRAWING",
    "partitions": "DRAWING",
    "stored": "MEASURED",
    "settle": "SETTLED",
    "release": "RELEASED",
    "supersede": "SUPERSEDED",
    "withdraw": "WITHDRAWN",
}
Threshold: TypeAlias = Callable[[int], int]
"""How many officers decided, by the root in force at a line of the log."""


def follow(entries: Iterable[Entry], needed: Threshold) -> State:
    """The state of one release from its lines in order, refusals of its id among them; there is at least one."""
    state: State = "PLANNED"
    last: dict[str, str] = {}  # what each officer said last
    begun: dict[int, Entry] = {}
    for entry in entries:
        if entry.kind in ("reserve", *CHARGES):
            begun[entry.seq] = entry
        if entry.kind == "lost":
            state = "LOST" if _is_gone(begun, entry.fields["of"]) else "MEASURED"
        elif entry.kind in ("approve", "reject"):
            last[entry.fields["by"]] = entry.kind
            if list(last.values()).count(entry.kind) >= needed(entry.seq):
                state = "APPROVED" if entry.kind == "approve" else "REJECTED"
        else:
            state = _PLAIN[entry.kind]
    return state


def _is_gone(begun: Mapping[int, Entry], lost: Iterable[int]) -> bool:
    """Whether the reserve does not pay once more for the entries of an answer that was lost."""
    reserve, *charges = begun.values()
    spent, again = (
        [cost_of(entry.fields["cost"]) for entry in found] for found in (charges, [begun[seq] for seq in lost])
    )
    total = sum(spent[1:] + again, spent[0])
    return not total.fits(cost_of(reserve.fields["reserved"]))


def threshold(tx: Reading, account: str) -> Threshold:
    """The thresholds of the officers who govern an account; nobody decides where none do."""
    top = accounts.path(tx, account)[-1]
    trust = grants.trust_of(tx, top)
    lines = accounts.terms(tx, top.name, tx.head()[0])
    roots = [(entry.seq, str(digest)) for entry in lines if (digest := entry.fields.get("root"))]

    def needed(seq: int) -> int:
        digest = [digest for since, digest in roots if since < seq][-1]
        root = trust.version(digest) if trust else None
        return root.threshold if root else 2**63

    return needed


def told(tx: Reading) -> dict[str, tuple[str, State]]:
    """Every release that the log names, in the order first named, with its account and its state."""
    found: dict[str, list[Entry]] = defaultdict(list)
    judges: dict[str, Threshold] = {}
    lines = [entry for row in tx.accounts() for entry in log.read(tx.log_of_account(row.name))]
    for entry in sorted(lines, key=lambda entry: entry.seq):
        if "release" in entry.fields:
            found[entry.fields["release"]].append(entry)
    made = {}
    for release, entries in found.items():
        own = next((entry.account for entry in entries if entry.kind == "reserve"), entries[-1].account)
        judges.setdefault(own, threshold(tx, own))
        state = follow(entries, judges[own])
        made[release] = own, "DRAWING" if state == "RESERVED" and _is_opened(tx, release) else state
    return made


def _is_opened(tx: Reading, release: str) -> bool:
    row = tx.release(release)
    return row is not None and row.state != "RESERVED"
