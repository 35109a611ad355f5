"""The rows of a store in PostgreSQL: each method is one statement inside a transaction that the store has begun."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Row,
    Select,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or

from dpsynth.accountant import postgres_schema as tables
from dpsynth.accountant import postgres_statements as statements
from dpsynth.accountant.grid import Amount, cost_of, split
from dpsynth.accountant.store import AccountRow, Attempts, EntryRow, GrantRow, ReleaseRow, VerbRow, another_file
from dpsynth.privacy import Cost

Owned = TypeVar("Owned", EntryRow, GrantRow)
_MOST = 1000


class PostgresTransaction:
    """A :class:`~dpsynth.accountant.store.Writing` over a connection with an open transaction.

    A transaction sees one moment, so that what was read is not asked for again until it is written: each statement is a
    way to the server and back. What is read of an account is read of all those that pay with it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last: tuple[int, bytes] | None = None
        self._head: tuple[int, bytes] | None = None
        self._accounts: dict[str, AccountRow] = {}
        self._granted: dict[str, tuple[GrantRow, ...]] = {}
        self._terms: dict[tuple[str, frozenset[str]], tuple[EntryRow, ...]] = {}
        self._releases: dict[str, ReleaseRow] = {}
        self._verbs: dict[str, tuple[VerbRow, ...]] = {}

    @property
    def wrote_lines(self) -> bool:
        """Whether it added to the log."""
        return self._last is not None

    def came_through(self, now: PostgresTransaction) -> bool:
        """Whether the log has the last line that this transaction added: nobody else can write one with its link."""
        return self._last is not None and now.link(self._last[0]) == self._last[1]

    # --- reading ------------------------------------------------------------------------------------------------------

    def account(self, name: str) -> AccountRow | None:
        """The account of this name."""
        if name not in self._accounts:
            rows = self._connection.execute(statements.PAYING, {"name": name})
            self._accounts |= {row.name: _account(row) for row in rows}
        return self._accounts.get(name)

    def accounts(self) -> tuple[AccountRow, ...]:
        """All accounts, in the order opened."""
        found = [_account(row) for row in self._connection.execute(statements.ACCOUNT.order_by(statements.OPENED))]
        self._accounts = {row.name: row for row in found}
        return tuple(found)

    def held(self, name: str) -> Cost:
        """The sum of what this account holds for each release, added up anew."""
        measure = self._connection.execute(
            select(tables.account.c.measure).where(tables.account.c.name == name)
        ).scalar_one()
        rows = self._connection.execute(
            select(tables.hold.c.whole, tables.hold.c.units, tables.hold.c.delta)
            .join_from(tables.hold, tables.release, tables.release.c.id == tables.hold.c.release)
            .where(tables.hold.c.account == name, tables.release.c.state != "VOID")
        )
        return sum((cost_of(measure, Amount(*row)) for row in rows), Cost.nothing(measure))

    def cells(self, name: str) -> tuple[AccountRow, ...]:
        """The accounts that are cells of this one."""
        return tuple(
            _account(row) for row in self._connection.execute(statements.ACCOUNT.where(tables.cell.c.above == name))
        )

    def sources(self, name: str) -> tuple[bytes, ...]:
        """The hashes of the sources of all releases for which this account holds anything, each once."""
        rows = self._connection.execute(
            select(tables.release.c.source)
            .join_from(tables.hold, tables.release, tables.release.c.id == tables.hold.c.release)
            .where(tables.hold.c.account == name, tables.release.c.state != "VOID")
            .distinct()
        )
        return tuple(rows.scalars())

    def release(self, name: str) -> ReleaseRow | None:
        """The release of this id."""
        if name not in self._releases:
            row = self._connection.execute(statements.RELEASE, {"name": name}).first()
            if row is None:
                return None
            self._releases[name] = ReleaseRow(*row)
        return self._releases[name]

    def verbs(self, release: str) -> tuple[VerbRow, ...]:
        """All verbs of a release with their outcomes, in order."""
        if release not in self._verbs:
            rows = self._connection.execute(statements.VERBS, {"name": release})
            self._verbs[release] = tuple(VerbRow(*row) for row in rows)
        return self._verbs[release]

    def last_verb(self, release: str) -> VerbRow | None:
        """The newest verb of a release, without its answer's bytes."""
        row = self._connection.execute(statements.LAST_VERB, {"name": release}).first()
        return None if row is None else VerbRow(*row)

    def opening(self, account: str) -> EntryRow | None:
        """The first log line of an account."""
        found = self._lines(statements.ENTRY.where(tables.entry.c.account == account).limit(1))
        return found[0] if found else None

    def log_of_account(self, account: str) -> tuple[EntryRow, ...]:
        """All log lines of an account, in order."""
        return self._lines(statements.ENTRY.where(tables.entry.c.account == account))

    def log_of_release(self, release: str) -> tuple[EntryRow, ...]:
        """All log lines of a release, in order."""
        return self._lines(statements.LINES_OF_RELEASE, {"name": release})

    def lines_of(self, account: str, kinds: Collection[str]) -> tuple[EntryRow, ...]:
        """The log lines of an account that are of one of these kinds, in order."""
        asked = frozenset(kinds)
        if (account, asked) not in self._terms:
            names = self._with(account)
            found = self._lines(statements.TERMS, {"names": list(names), "kinds": list(asked)})
            self._terms |= {(name, asked): rows for name, rows in _by_account(names, found).items()}
        return self._terms[account, asked]

    def attempts(self, account: str) -> Attempts:
        """The lines ``refused`` and ``lost`` and the releases REJECTED of an account and of all accounts below it."""
        below = statements.below(account)

        def lines(kind: str) -> Any:
            found = select(func.count()).select_from(below).join(tables.entry, tables.entry.c.account == below.c.name)
            return found.where(tables.entry.c.kind == kind).scalar_subquery()

        rejected = (
            select(func.count()).select_from(below).join(tables.release, tables.release.c.account == below.c.name)
        )
        turned_down = rejected.where(tables.release.c.state == "REJECTED").scalar_subquery()
        return Attempts(*self._connection.execute(select(lines("refused"), lines("lost"), turned_down)).one())

    def granted(self, account: str) -> tuple[GrantRow, ...]:
        """The grants that make up the cap of an account, in order."""
        if account not in self._granted:
            names = self._with(account)
            rows = self._connection.execute(statements.GRANTED, {"names": list(names)})
            found = [
                GrantRow(
                    row.seq, row.account, row.digest, cost_of(row.measure, Amount(row.whole, row.units, row.delta))
                )
                for row in rows
            ]
            self._granted |= _by_account(names, found)
        return self._granted[account]

    def attestation(self, digest: str) -> bytes | None:
        """The signed file that is kept under a digest."""
        return self._connection.execute(
            select(tables.attestation.c.data).where(tables.attestation.c.digest == digest)
        ).scalar()

    def head(self) -> tuple[int, bytes]:
        """The length of the whole log and the link of its last line (zeros if it is empty)."""
        if self._head is None:
            row = self._connection.execute(statements.HEAD).first()
            self._head = (0, bytes(32)) if row is None else (row[0], row[1])
        return self._head

    def link(self, seq: int) -> bytes | None:
        """The link of one line of the whole log."""
        size, last = self.head()
        if seq == size - 1:
            return last
        return self._connection.execute(select(tables.entry.c.chain).where(tables.entry.c.seq == seq)).scalar()

    def leaves(self, upto: int) -> tuple[bytes, ...]:
        """The RFC 6962 leaf hashes of the first ``upto`` lines of the whole log, in order."""
        leaf = func.sha256(literal(b"\0").op("||")(func.convert_to(tables.entry.c.line, "UTF8")))
        rows = self._connection.execute(select(leaf).where(tables.entry.c.seq < upto).order_by(tables.entry.c.seq))
        return tuple(rows.scalars())

    def heads(self) -> tuple[int, ...]:
        """The lengths that the whole log had after each release was settled, ascending."""
        return tuple(self._connection.execute(select(tables.head.c.size).order_by(tables.head.c.size)).scalars())

    # --- writing ------------------------------------------------------------------------------------------------------

    def add_account(self, row: AccountRow) -> None:
        """Open an account."""
        numbers = {**_columns("cap_", row.cap), **_columns("held_", row.held)}
        values = {"name": row.name, "parent": row.parent, "measure": row.cap.measure, **numbers}
        self._connection.execute(insert(tables.account).values(values))
        if row.together is not None:
            divided = {"account": row.name, "moved": row.moved, **_columns("", row.together)}
            self._connection.execute(insert(tables.divided).values(divided))
        if row.cell is not None:
            cell = {"account": row.name, "above": row.parent, "label": row.cell}
            self._connection.execute(insert(tables.cell).values(cell))
        self._accounts.clear()

    def grant(self, row: GrantRow) -> None:
        """Raise the cap of an account; a trigger adds it up."""
        values = {"seq": row.seq, "account": row.account, "digest": row.digest, **_columns("", row.added)}
        self._connection.execute(insert(tables.granted).values(values))
        self._accounts.clear()
        self._granted.clear()

    def add_release(self, row: ReleaseRow) -> None:
        """Add a reserved release."""
        values = {"id": row.id, "account": row.account, "plan": row.plan, "source": row.source}
        self._connection.execute(statements.ADD["release"], {**values, "state": row.state, "lease": row.lease})

    def hold(self, release: str, account: str, cost: Cost) -> None:
        """Add to what an account holds; a trigger adds it up, a CHECK compares it with the cap."""
        self._connection.execute(statements.ADD["hold"], {"release": release, "account": account, **_columns("", cost)})
        self._accounts.clear()

    def price(self, account: str, together: Cost) -> None:
        """Set what an account holds for its cells; triggers compare it with the rule, and charge who is above."""
        values = _columns("", together)
        self._connection.execute(update(tables.divided).where(tables.divided.c.account == account).values(values))
        self._accounts.clear()

    def advance(self, release: str, state: str, lease: int) -> None:
        """Set the state and the lease of a release."""
        self._connection.execute(
            update(tables.release).where(tables.release.c.id == release).values(state=state, lease=lease)
        )
        self._releases.clear()

    def void(self, release: str) -> None:
        """End a release for which nothing was drawn; a trigger takes what it held from each account."""
        self._connection.execute(update(tables.release).where(tables.release.c.id == release).values(state="VOID"))
        self._releases.clear()
        self._accounts.clear()

    def append(self, row: EntryRow) -> None:
        """Add the next line of the log."""
        values = {"seq": row.seq, "account": row.account, "release": row.release, "chain": row.chain}
        self._connection.execute(statements.ADD["entry"], {**values, "line": row.line.decode("ascii")})
        self._last = row.seq, row.chain
        self._head = row.seq + 1, row.chain
        self._terms.clear()

    def add_verb(self, row: VerbRow) -> None:
        """Add a verb without outcome."""
        self._connection.execute(statements.ADD["verb"], {"first": row.first, "last": row.last, "release": row.release})
        self._verbs.clear()

    def close_verb(self, first: int, answer: bytes | None) -> None:
        """Give a verb its one outcome."""
        self._connection.execute(statements.ADD["outcome"], {"verb": first, "answer": answer})
        self._verbs.clear()

    def add_head(self, size: int) -> None:
        """Note the present length of the whole log as one at which a release was settled."""
        self._connection.execute(insert(tables.head).values(size=size))

    def add_attestation(self, digest: str, data: bytes) -> None:
        """Keep a signed file under a digest; StoreDamaged if another is kept there."""
        kept = insert_or(tables.attestation).values(digest=digest, data=data).on_conflict_do_nothing()
        self._connection.execute(kept)
        if self.attestation(digest) != data:
            raise another_file(digest)

    def _with(self, account: str) -> set[str]:
        """An account, and those that were read before it, unless they are more than one statement may name."""
        return {account, *(self._accounts if len(self._accounts) <= _MOST else ())}

    def _lines(self, query: Select[Any], given: Mapping[str, Any] | None = None) -> tuple[EntryRow, ...]:
        rows = self._connection.execute(query, given)
        return tuple(
            EntryRow(seq, account, release, line.encode(), chain, bytes(32) if before is None else before)
            for seq, account, release, line, chain, before in rows
        )


def _by_account(names: Iterable[str], rows: Iterable[Owned]) -> dict[str, tuple[Owned, ...]]:
    """The rows of each of these accounts, in order."""
    found: dict[str, list[Owned]] = {name: [] for name in names}
    for row in rows:
        found[row.account].append(row)
    return {name: tuple(own) for name, own in found.items()}


def _columns(prefix: str, cost: Cost) -> dict[str, int]:
    amount = split(cost)
    return {f"{prefix}whole": amount.whole, f"{prefix}units": amount.units, f"{prefix}delta": amount.delta}


def _account(row: Row[Any]) -> AccountRow:
    cap = Amount(row.cap_whole, row.cap_units, row.cap_delta)
    held = Amount(row.held_whole, row.held_units, row.held_delta)
    own = None if row.moved is None else cost_of(row.measure, Amount(row.whole, row.units, row.delta))
    return AccountRow(
        row.name, row.parent, cost_of(row.measure, cap), cost_of(row.measure, held), row.label, row.moved, own
    )
