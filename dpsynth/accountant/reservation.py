"""The handle on one reserved release: pay, then draw; store, then show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from itertools import accumulate
from types import TracebackType
from typing import Any, cast

from dpsynth.accountant import cells, log
from dpsynth.accountant import filter as rule
from dpsynth.accountant.states import told
from dpsynth.accountant.store import Lock, Reading, ReleaseRow, Store, VerbRow, Writing
from dpsynth.accountant.values import Account, Charge, StoredAnswer, unit_text
from dpsynth.errors import ConfigurationError, DpsynthError, StoreBusy, StoreDamaged
from dpsynth.ledger import CHARGES, ChargeKind, Entry, amount, cost_of
from dpsynth.ledger.strict_json import MAX_BITS
from dpsynth.privacy import Budget, Cost, ceil_to_grid, decimal_text, epsilon_of

OPEN_STATES = ("RESERVED", "DRAWING", "MEASURED")
"""The states of a release that may still draw."""


class Reservation:
    """A release that has reserved its worst case. Made by ``Accountant.reserve``; a newer handle makes it stale.

    Use it in a ``with`` statement: until it is closed or settled it holds the release against other runs. Closed, it
    can still be read.

    ``open`` comes before the private table is opened. A verb is one ``draw`` and one ``store``: between them rows are
    counted and noise is drawn; whatever fails there, the charge stands.

    Attributes: ``release`` (its id), ``account`` (as of the reservation's handle), ``reserved``, ``quote`` (what the
    release claims), ``day`` (UTC, of the reservation), ``held_before`` and ``held_after`` (the account's sums around
    its own reservation).
    """

    def __init__(
        self,
        store: Store,
        account: Account,
        row: ReleaseRow,
        entries: Sequence[Entry],
        verbs: Sequence[VerbRow],
        lock: Lock | None,
    ) -> None:
        terms = entries[0].fields
        self.release = row.id
        self.account = account
        self.reserved = cost_of(terms["reserved"])
        self.quote = Budget(terms["quote"]["epsilon"], terms["quote"]["delta"])
        self.day = entries[0].stamp.day
        self.held_after = cost_of(terms["held"])
        self.held_before = self.held_after - self.reserved
        self._store = store
        self._lock = lock
        self._closed = False
        self._lease = row.lease
        self._settled = row.state not in OPEN_STATES
        self._last = verbs[-1].first if verbs else None
        asked = {entry.seq: entry for entry in entries if entry.kind in CHARGES}
        lost = [verb.seqs for verb in verbs if verb.closed and verb.answer is None]
        self._lost = tuple(_asked([asked[seq] for seq in seqs]) for seqs in lost)
        costs = (cost_of(entry.fields["cost"]) for entry in entries if entry.kind in CHARGES)
        self._spent = sum(costs, Cost.nothing(account.measure))

    @classmethod
    def of(cls, store: Store, tx: Reading, account: Account, release: str, lock: Lock | None) -> Reservation:
        """The handle on a release as it stands in this transaction; ``lock`` holds it if it is open."""
        row, entries = tx.release(release), log.of_release(tx, release)
        if row is None:
            raise _gone(release)
        return cls(store, account, row, entries, tx.verbs(release), lock)

    def close(self) -> None:
        """Let go of the release: another run may take it over. Nothing more can be drawn or stored by this handle."""
        self._closed = True
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Reservation({self.release!r}, account={self.account.name!r})"

    @property
    def settled(self) -> bool:
        """Whether the release is done: nothing more can be drawn."""
        return self._settled

    @property
    def secret(self) -> bytes:
        """The store's 32 secret bytes: the key of the hash that ranks the rows of one entity."""
        return self._store.secret

    @property
    def left(self) -> Cost:
        """What is left of the reserve."""
        return self.reserved - self._spent

    def open(self, charges: Sequence[Charge]) -> None:
        """When this returns, DRAWING is on the disk and the private table may be opened, to answer these charges.

        From now on the release gives nothing back. No charge is drawn yet: what fails or is killed while the rows are
        read loses no answer. Raises what ``draw`` of the charges would, and then the table is not to be opened.
        """
        self._sums(charges)

        def act(tx: Writing) -> None:
            self._require_stored(self._require_mine(tx), "store that answer first")
            row = tx.release(self.release)
            if row is not None and row.state == "RESERVED":
                tx.advance(self.release, "DRAWING", self._lease)

        self._store.write(act)

    def draw(self, charges: Sequence[Charge]) -> tuple[int, ...]:
        """Pay for one verb: when this returns, its log lines (state DRAWING) are on the disk and noise may be drawn.

        Gives the sequence numbers of the lines, one a charge, in order. If it raises, no noise may be drawn; a
        StoreError can leave the charge standing.

        Raises BudgetRefused if the sum of all costs of the release would exceed its reserve (nothing is written),
        StoreBusy if another run took the release over, ConfigurationError for an entry about another entity,
        unit column or neighbour relation than the account's, DpsynthError if an earlier verb is still open.
        """
        sums = self._sums(charges)
        lines = [self._line(charge, spent) for charge, spent in zip(charges, sums, strict=True)]

        def act(tx: Writing) -> tuple[int, ...]:
            self._require_stored(self._require_mine(tx), "store that answer first")
            seqs = tuple(self._append(tx, charges[0].kind, fields) for fields in lines)
            tx.add_verb(VerbRow(self.release, seqs[0], seqs[-1]))
            tx.advance(self.release, "DRAWING", self._lease)
            return seqs

        seqs = self._store.write(act)
        self._spent, self._last = sums[-1], seqs[0]
        return seqs

    def store(self, seqs: Sequence[int], answer: bytes) -> None:
        """Keep the noisy answer of the verb that ``draw`` gave these numbers for: on the disk when this returns.

        Only then may it be shown. If it raises, the answer must not be used. One charge has one answer: StoreBusy if
        another run took the release over (it then counts as lost), DpsynthError if these are not the open verb.
        """

        def act(tx: Writing) -> None:
            last = self._require_mine(tx)
            if last is None or last.closed or tuple(seqs) != last.seqs:
                raise DpsynthError(f"release {self.release!r} has no open verb of these entries to store an answer for")
            digest = "sha256:" + sha256(answer).hexdigest()
            self._append(tx, "stored", {"release": self.release, "of": list(seqs), "answer": digest})
            tx.close_verb(last.first, answer)
            tx.advance(self.release, "MEASURED", self._lease)

        self._store.write(act)

    def settle(self) -> None:
        """End the release: nothing more can be drawn, and nobody holds it any more.

        What it reserved stays reserved. Settling again does nothing.
        """

        def act(tx: Writing) -> None:
            row = tx.release(self.release)
            if row is not None and row.state not in OPEN_STATES:
                return
            self._require_stored(self._require_mine(tx), "it cannot be settled yet")
            spent = amount(_stated(self._spent))
            self._append(tx, "settle", {"release": self.release, "spent": spent, "reserved": amount(self.reserved)})
            tx.advance(self.release, "SETTLED", self._lease)
            tx.add_head(tx.head()[0])

        self._store.write(act)
        self._settled = True
        if self._lock is not None:
            self._lock.close(for_ever=True)

    def void(self) -> None:
        """Give the release up before the table is opened: every account gets back what it holds for it.

        ConfigurationError once it was opened: the release stays charged for ever. Its id is used up; voiding again does
        nothing.
        """

        def act(tx: Writing) -> None:
            row = tx.release(self.release)
            if row is not None and row.state == "VOID":
                return
            self._require_mine(tx)
            if row is not None:
                give_back(tx, row)

        self._store.write(act)
        if self._lock is not None:
            self._lock.close(for_ever=True)

    def answers(self) -> tuple[StoredAnswer, ...]:
        """Every verb of the release that has its outcome, in order; StoredAnswer.answer is None where it was lost."""

        def act(tx: Reading) -> tuple[StoredAnswer, ...]:
            entries = {entry.seq: entry for entry in log.of_release(tx, self.release)}
            return tuple(_answer(verb, entries) for verb in tx.verbs(self.release) if verb.closed)

        return self._store.read(act)

    def lines(self) -> tuple[bytes, ...]:
        """The exact log lines of the release: its account's opening, then its own in order, as far as it is settled."""

        def act(tx: Reading) -> tuple[bytes, ...]:
            opening = tx.opening(self.account.name)
            entries = log.read(([opening] if opening else []) + list(tx.log_of_release(self.release)))
            end = next((entry.seq for entry in entries if entry.kind == "settle"), entries[-1].seq)
            return tuple(entry.line for entry in entries if entry.seq <= end)

        return self._store.read(act)

    def _append(self, tx: Writing, kind: Any, fields: Mapping[str, Any]) -> int:
        return log.append(tx, kind, fields, account=self.account.name, release=self.release)

    def _line(self, charge: Charge, spent: Cost) -> Mapping[str, Any]:
        """The fields of a charge's log line, which has the release at ``spent`` with it."""
        stated = _stated(spent)
        ours = {
            "release": self.release,
            "cost": amount(charge.cost),
            "running": {"spent": amount(stated), "epsilon": decimal_text(epsilon_of(stated, self.quote.delta))},
            "state": "DRAWING",
        }
        return {**charge.fields, **ours}

    def _require_unit(self, charge: Charge) -> None:
        unit, account = charge.fields["unit"], self.account
        rule.require_measure(account, charge.cost)
        found = (unit["entity"], unit["column"], charge.fields["neighbours"])
        if found != (account.entity, account.column, account.neighbours):
            raise ConfigurationError(
                f"account {account.name!r} protects {account.unit}, not {unit_text(*found)}: use an account of that "
                "unit, or mend the schema's [unit]"
            )

    def _sums(self, charges: Sequence[Charge]) -> list[Cost]:
        """What the release has spent after each of these charges; refused unless the reserve covers them all."""
        if len({charge.kind for charge in charges}) != 1:
            raise DpsynthError("a verb draws one or more charges, all of one kind")
        for charge in charges:
            self._require_unit(charge)
        sums = list(accumulate((charge.cost for charge in charges), initial=self._spent))[1:]
        if not sums[-1].fits(self.reserved):
            asked = sum((charge.cost for charge in charges), Cost.nothing(self.account.measure))
            raise rule.overdrawn(self.release, self.account.name, asked, self.left, self._lost)
        return sums

    def _require_stored(self, last: VerbRow | None, otherwise: str) -> None:
        if last is not None and not last.closed:
            raise DpsynthError(f"release {self.release!r} has drawn and not stored: {otherwise}")

    def _require_mine(self, tx: Reading) -> VerbRow | None:
        """The newest verb of the release, if this handle still is the one that may write."""
        row, last = tx.release(self.release), tx.last_verb(self.release)
        if row is None:
            raise _gone(self.release)
        if row.state not in OPEN_STATES:
            raise DpsynthError(f"release {self.release!r} is settled: nothing more can be drawn for it")
        if self._closed:
            raise DpsynthError(f"this handle on release {self.release!r} is closed: reserve it again to go on")
        if row.lease != self._lease or (last.first if last else None) != self._last:
            raise StoreBusy(
                f"another run took release {self.release!r} over; this one stops here. Nothing more was spent; let "
                "that run end, then run again"
            )
        return last


def _answer(verb: VerbRow, entries: Mapping[int, Entry]) -> StoredAnswer:
    charged = [entries[seq] for seq in verb.seqs]
    return StoredAnswer(
        verb.seqs, cast(ChargeKind, charged[0].kind), tuple(entry.fields for entry in charged), verb.answer
    )


def give_back(tx: Writing, row: ReleaseRow) -> None:
    """End a release whose table was never opened: a line of the log, and what each account held for it.

    ConfigurationError once it was opened, or is over.
    """
    if row.state != "RESERVED" or tx.last_verb(row.id) is not None:
        raise ConfigurationError(
            f"release {row.id!r} is {told(tx)[row.id][1]}: only a release that is RESERVED, whose table was never "
            "opened, gives back what it holds; this one stays charged for ever"
        )
    log.append(tx, "void", {"release": row.id}, account=row.account, release=row.id)
    tx.advance(row.id, row.state, row.lease + 1)
    tx.void(row.id)
    cells.reprice(tx, row.account)


def _asked(charged: Sequence[Entry]) -> str:
    """What a verb asked for, in words."""
    first, *rest = charged
    if first.kind == "partitions":
        return f"the values of {first.fields['query']['column']}"
    if first.kind != "measure":
        return "a private choice" if first.kind == "select" else "distances to a model"
    name = ", ".join(first.fields["query"]["columns"]) or "the number of rows"
    return f"{name} and {len(rest)} more tables" if rest else name


def _gone(release: str) -> StoreDamaged:
    return StoreDamaged(f"release {release!r} is gone from its store: bring back a copy of the store")


def _stated(spent: Cost) -> Cost:
    """A sum as the log states it: exact, or rounded up to the grid of 2^-60 where it is too long to write.

    A sum of costs with many noise scales has the product of their denominators below the line.
    """

    def short(value: Fraction) -> Fraction:
        return value if max(value.as_integer_ratio()).bit_length() <= MAX_BITS else ceil_to_grid(value)

    return Cost(spent.measure, short(spent.amount), short(spent.delta))
