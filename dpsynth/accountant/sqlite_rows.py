"""The rows of a store in SQLite: each method is one statement inside a transaction that the store has begun."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any

from dpsynth.accountant.grid import Amount, cost_of, split
from dpsynth.accountant.sqlite_additions import KIND
from dpsynth.accountant.store import AccountRow, Attempts, EntryRow, GrantRow, ReleaseRow, VerbRow, another_file
from dpsynth.ledger import leaf_hash
from dpsynth.privacy import Cost

_ACCOUNT = (
    "SELECT name, parent, measure, label, moved, cap_whole, cap_units, cap_delta, held_whole, held_units, held_delta, "
    "whole, units, delta FROM account "
    "LEFT JOIN cell ON cell.account = account.name LEFT JOIN divided ON divided.account = account.name "
)
_ENTRY = (
    "SELECT entry.seq, entry.account, entry.release, CAST(entry.line AS BLOB), entry.chain, "
    "coalesce(previous.chain, zeroblob(32)) FROM entry LEFT JOIN entry AS previous ON previous.seq = entry.seq - 1 "
)
_VERBS = (
    "SELECT verb.release, verb.first, verb.last, outcome.verb IS NOT NULL, outcome.answer "
    "FROM verb LEFT JOIN outcome ON outcome.verb = verb.first WHERE verb.release = ? ORDER BY verb.first"
)
_LAST_VERB = (
    "SELECT verb.release, verb.first, verb.last, outcome.verb IS NOT NULL, NULL "
    "FROM verb LEFT JOIN outcome ON outcome.verb = verb.first WHERE verb.release = ? ORDER BY verb.first DESC LIMIT 1"
)
_GRANTED = (
    "SELECT granted.seq, granted.digest, account.measure, granted.whole, granted.units, granted.delta "
    "FROM granted JOIN account ON account.name = granted.account "
)
_OF_KINDS = _ENTRY.replace("entry LEFT", "entry INDEXED BY entry_by_kind LEFT") + (
    "WHERE entry.account = ? AND KIND IN (MARKS) ORDER BY entry.seq"
).replace("KIND", KIND.replace("line", "entry.line"))
_ATTEMPTS = """
WITH RECURSIVE below (name) AS (
    SELECT ?1 UNION SELECT account.name FROM account JOIN below ON account.parent = below.name)
SELECT
    (SELECT count(*) FROM below JOIN entry ON entry.account = below.name
        AND KIND = 'refused'),
    (SELECT count(*) FROM below JOIN entry ON entry.account = below.name
        AND KIND = 'lost'),
    (SELECT count(*) FROM below JOIN release ON release.account = below.name AND release.state = 'REJECTED')
""".replace("KIND", KIND)


class SqliteTransaction:
    """A :class:`~dpsynth.accountant.store.Writing` over a connection with an open transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # --- reading ------------------------------------------------------------------------------------------------------

    def account(self, name: str) -> AccountRow | None:
        """The account of this name."""
        row = self._connection.execute(_ACCOUNT + "WHERE account.name = ?", (name,)).fetchone()
        return None if row is None else _account(row)

    def accounts(self) -> tuple[AccountRow, ...]:
        """All accounts, in the order opened."""
        order = "ORDER BY (SELECT min(seq) FROM entry WHERE entry.account = account.name)"
        return tuple(_account(row) for row in self._connection.execute(_ACCOUNT + order))

    def held(self, name: str) -> Cost:
        """The sum of what this account holds for each release, added up anew."""
        (measure,) = self._connection.execute("SELECT measure FROM account WHERE name = ?", (name,)).fetchone()
        query = (
            "SELECT whole, units, delta FROM hold JOIN release ON release.id = hold.release "
            "WHERE hold.account = ? AND release.state <> 'VOID'"
        )
        rows = self._connection.execute(query, (name,))
        return sum((cost_of(measure, Amount(*row)) for row in rows), Cost.nothing(measure))

    def cells(self, name: str) -> tuple[AccountRow, ...]:
        """The accounts that are cells of this one."""
        return tuple(_account(row) for row in self._connection.execute(_ACCOUNT + "WHERE above = ?", (name,)))

    def sources(self, name: str) -> tuple[bytes, ...]:
        """The hashes of the sources of all releases for which this account holds anything, each once."""
        query = (
            "SELECT DISTINCT source FROM hold JOIN release ON release.id = hold.release "
            "WHERE hold.account = ? AND release.state <> 'VOID'"
        )
        return tuple(bytes(source) for (source,) in self._connection.execute(query, (name,)))

    def release(self, name: str) -> ReleaseRow | None:
        """The release of this id."""
        query = "SELECT id, account, plan, source, state, lease FROM release WHERE id = ?"
        row = self._connection.execute(query, (name,)).fetchone()
        return None if row is None else ReleaseRow(*row)

    def verbs(self, release: str) -> tuple[VerbRow, ...]:
        """All verbs of a release with their outcomes, in order."""
        return tuple(_verb(row) for row in self._connection.execute(_VERBS, (release,)))

    def last_verb(self, release: str) -> VerbRow | None:
        """The newest verb of a release, without its answer's bytes."""
        row = self._connection.execute(_LAST_VERB, (release,)).fetchone()
        return None if row is None else _verb(row)

    def opening(self, account: str) -> EntryRow | None:
        """The first log line of an account."""
        query = _ENTRY + "WHERE entry.account = ? ORDER BY entry.seq LIMIT 1"
        row = self._connection.execute(query, (account,)).fetchone()
        return None if row is None else _entry(row)

    def log_of_account(self, account: str) -> tuple[EntryRow, ...]:
        """All log lines of an account, in order."""
        rows = self._connection.execute(_ENTRY + "WHERE entry.account = ? ORDER BY entry.seq", (account,))
        return tuple(_entry(row) for row in rows)

    def log_of_release(self, release: str) -> tuple[EntryRow, ...]:
        """All log lines of a release, in order."""
        rows = self._connection.execute(_ENTRY + "WHERE entry.release = ? ORDER BY entry.seq", (release,))
        return tuple(_entry(row) for row in rows)

    def lines_of(self, account: str, kinds: Collection[str]) -> tuple[EntryRow, ...]:
        """The log lines of an account that are of one of these kinds, in order."""
        query = _OF_KINDS.replace("MARKS", ", ".join("?" * len(kinds)))
        return tuple(_entry(row) for row in self._connection.execute(query, (account, *kinds)))

    def attempts(self, account: str) -> Attempts:
        """The lines ``refused`` and ``lost`` and the releases REJECTED of an account and of all accounts below it."""
        return Attempts(*self._connection.execute(_ATTEMPTS, (account,)).fetchone())

    def granted(self, account: str) -> tuple[GrantRow, ...]:
        """The grants that make up the cap of an account, in order."""
        rows = self._connection.execute(_GRANTED + "WHERE granted.account = ? ORDER BY seq", (account,))
        return tuple(
            GrantRow(seq, account, digest, cost_of(measure, Amount(*numbers)))
            for seq, digest, measure, *numbers in rows
        )

    def attestation(self, digest: str) -> bytes | None:
        """The signed file that is kept under a digest."""
        row = self._connection.execute("SELECT data FROM attestation WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else bytes(row[0])

    def head(self) -> tuple[int, bytes]:
        """The length of the whole log and the link of its last line (zeros if it is empty)."""
        row = self._connection.execute("SELECT seq + 1, chain FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
        return (0, bytes(32)) if row is None else (row[0], row[1])

    def link(self, seq: int) -> bytes | None:
        """The link of one line of the whole log."""
        row = self._connection.execute("SELECT chain FROM entry WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else bytes(row[0])

    def leaves(self, upto: int) -> tuple[bytes, ...]:
        """The RFC 6962 leaf hashes of the first ``upto`` lines of the whole log, in order."""
        rows = self._connection.execute("SELECT CAST(line AS BLOB) FROM entry WHERE seq < ? ORDER BY seq", (upto,))
        return tuple(leaf_hash(line) for (line,) in rows)

    def heads(self) -> tuple[int, ...]:
        """The lengths that the whole log had after each release was settled, ascending."""
        return tuple(size for (size,) in self._connection.execute("SELECT size FROM head ORDER BY size"))

    # --- writing ------------------------------------------------------------------------------------------------------

    def add_account(self, row: AccountRow) -> None:
        """Open an account."""
        cap, held = split(row.cap), split(row.held)
        self._connection.execute(
            "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.name,
                row.parent,
                row.cap.measure,
                cap.whole,
                cap.units,
                cap.delta,
                held.whole,
                held.units,
                held.delta,
            ),
        )
        if row.together is not None:
            own = split(row.together)
            values = (row.name, row.moved, own.whole, own.units, own.delta)
            self._connection.execute("INSERT INTO divided VALUES (?, ?, ?, ?, ?)", values)
        if row.cell is not None:
            self._connection.execute("INSERT INTO cell VALUES (?, ?, ?)", (row.name, row.parent, row.cell))

    def grant(self, row: GrantRow) -> None:
        """Raise the cap of an account; a trigger adds it up."""
        added = split(row.added)
        self._connection.execute(
            "INSERT INTO granted VALUES (?, ?, ?, ?, ?, ?)",
            (row.seq, row.account, row.digest, added.whole, added.units, added.delta),
        )

    def add_release(self, row: ReleaseRow) -> None:
        """Add a reserved release."""
        self._connection.execute(
            "INSERT INTO release VALUES (?, ?, ?, ?, ?, ?)",
            (row.id, row.account, row.plan, row.source, row.state, row.lease),
        )

    def hold(self, release: str, account: str, cost: Cost) -> None:
        """Add to what an account holds; a trigger adds it up, a CHECK compares it with the cap."""
        amount = split(cost)
        self._connection.execute(
            "INSERT INTO hold VALUES (?, ?, ?, ?, ?)", (release, account, amount.whole, amount.units, amount.delta)
        )

    def price(self, account: str, together: Cost) -> None:
        """Set what an account holds for its cells; triggers compare it with the rule, and charge who is above."""
        own = split(together)
        query = "UPDATE divided SET whole = ?, units = ?, delta = ? WHERE account = ?"
        self._connection.execute(query, (own.whole, own.units, own.delta, account))

    def advance(self, release: str, state: str, lease: int) -> None:
        """Set the state and the lease of a release."""
        self._connection.execute("UPDATE release SET state = ?, lease = ? WHERE id = ?", (state, lease, release))

    def void(self, release: str) -> None:
        """End a release for which nothing was drawn; a trigger takes what it held from each account."""
        self._connection.execute("UPDATE release SET state = 'VOID' WHERE id = ?", (release,))

    def append(self, row: EntryRow) -> None:
        """Add the next line of the log."""
        self._connection.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?)",
            (row.seq, row.account, row.release, row.line.decode("ascii"), row.chain),
        )

    def add_verb(self, row: VerbRow) -> None:
        """Add a verb without outcome."""
        self._connection.execute("INSERT INTO verb VALUES (?, ?, ?)", (row.first, row.last, row.release))

    def close_verb(self, first: int, answer: bytes | None) -> None:
        """Give a verb its one outcome."""
        self._connection.execute("INSERT INTO outcome VALUES (?, ?)", (first, answer))

    def add_head(self, size: int) -> None:
        """Note the present length of the whole log as one at which a release was settled."""
        self._connection.execute("INSERT INTO head VALUES (?)", (size,))

    def add_attestation(self, digest: str, data: bytes) -> None:
        """Keep a signed file under a digest; StoreDamaged if another is kept there."""
        kept = self.attestation(digest)
        if kept is None:
            self._connection.execute("INSERT INTO attestation VALUES (?, ?)", (digest, data))
        elif kept != data:
            raise another_file(digest)


def _account(row: tuple[Any, ...]) -> AccountRow:
    name, parent, measure, label, moved, *numbers = row
    cap, held = (cost_of(measure, Amount(*numbers[at : at + 3])) for at in (0, 3))
    together = None if moved is None else cost_of(measure, Amount(*numbers[6:]))
    return AccountRow(name, parent, cap, held, label, moved, together)


def _verb(row: tuple[str, int, int, int, bytes | None]) -> VerbRow:
    release, first, last, closed, answer = row
    return VerbRow(release, first, last, bool(closed), answer)


def _entry(row: tuple[int, str, str | None, bytes, bytes, bytes]) -> EntryRow:
    return EntryRow(*row)
