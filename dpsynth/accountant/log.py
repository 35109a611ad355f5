"""The store's log: rendering the next line, and reading lines back with their links checked.

Each line is chained to all lines before it: link = SHA-256(0x02 || link before || leaf hash of the line). A line that
was changed in the file no longer has its link. (Against an owner who rewrites the whole file only an anchor outside
helps.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from dpsynth.accountant.store import EntryRow, Reading, Writing
from dpsynth.errors import SignatureInvalid, StoreDamaged, UnknownEntry
from dpsynth.ledger import CHARGES, Entry, Kind, leaf_hash, parse, render


def append(tx: Writing, kind: Kind, fields: Mapping[str, Any], *, account: str, release: str | None = None) -> int:
    """Write the next line of the log and give its sequence number."""
    seq, before = tx.head()
    line = render(kind, fields, seq=seq, account=account)
    tx.append(EntryRow(seq, account, release, line, _link(before, line), before))
    return seq


def read(rows: Iterable[EntryRow]) -> tuple[Entry, ...]:
    """The entries of stored lines; StoreDamaged if one is not what was written."""
    return tuple(_entry(row) for row in rows)


def of_release(tx: Reading, release: str) -> tuple[Entry, ...]:
    """All entries of a reserved release; StoreDamaged unless they and the verbs in the store tell the same story.

    A store whose verbs or outcomes are gone would otherwise call an answered charge lost, or never drawn.
    """
    entries, verbs = read(tx.log_of_release(release)), tx.verbs(release)
    told: dict[tuple[int, ...], str | None] = {
        tuple(entry.fields["of"]): entry.fields.get("answer") for entry in entries if entry.kind in ("stored", "lost")
    }
    kept = {
        verb.seqs: None if verb.answer is None else "sha256:" + sha256(verb.answer).hexdigest()
        for verb in verbs
        if verb.closed
    }
    charged = [entry.seq for entry in entries if entry.kind in CHARGES]
    begun = bool(entries) and entries[0].kind == "reserve"
    if not begun or told != kept or charged != [seq for verb in verbs for seq in verb.seqs]:
        raise StoreDamaged(
            f"what the store keeps of release {release!r} is not what its log says: bring back a copy of the store "
            "that is not older than the last release"
        )
    return entries


def _entry(row: EntryRow) -> Entry:
    damaged = StoreDamaged(
        f"line {row.seq} of the store's log is not what was written: bring back a copy of the store that is not older "
        "than the last release"
    )
    if row.chain != _link(row.before, row.line):
        raise damaged
    try:
        entry = _parsed(row.line)
    except (SignatureInvalid, UnknownEntry):
        raise damaged from None
    release = None if entry.kind == "refused" else entry.fields.get("release")  # what was refused is no release
    if (entry.seq, entry.account, release) != (row.seq, row.account, row.release):
        raise damaged
    return entry


@lru_cache(maxsize=256)
def _parsed(line: bytes) -> Entry:
    """``parse``: the lines that open accounts are read again and again."""
    return parse(line)


def _link(before: bytes, line: bytes) -> bytes:
    return sha256(b"\x02" + before + leaf_hash(line)).digest()
