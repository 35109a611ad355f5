"""The accountant: accounts that refuse what does not fit, and releases that reserve before they ask."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextlib import ExitStack
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from dpsynth.accountant import accounts, decisions, grants, log, states
from dpsynth.accountant import filter as rule
from dpsynth.accountant.accounts import Place, Terms, require_name
from dpsynth.accountant.anchors import AnchoredStore, default_folder
from dpsynth.accountant.asked import Asked, add, take_over
from dpsynth.accountant.grid import round_up
from dpsynth.accountant.reservation import OPEN_STATES, Reservation, give_back
from dpsynth.accountant.sqlite import SqliteStore
from dpsynth.accountant.store import Lock, Reading, ReleaseRow, Store, Writing
from dpsynth.accountant.story import Story, tell
from dpsynth.accountant.values import Account
from dpsynth.errors import ConfigurationError
from dpsynth.ledger import Claim, amount, claim
from dpsynth.ledger.dsse import read_envelope
from dpsynth.ledger.kinds import DecisionKind, Level
from dpsynth.ledger.trust import Trust
from dpsynth.privacy import Budget, Cells, Cost, Measure

_SERVER = ("postgresql://", "postgresql+psycopg://")


class Accountant:
    """The accounts of one store. Each method is one transaction; what it wrote is on the disk when it returns.

    Use it in a ``with`` statement. Every method may raise StoreBusy, StoreDamaged or StoreError, and every method that
    writes LogInconsistent, if the store was taken back behind its anchor.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        try:
            store.read(accounts.audit)
        except BaseException:
            store.close()
            raise

    @classmethod
    def open(cls, place: str | Path, create: bool = False, anchors: str | Path | None = None) -> Accountant:
        """Open the store at ``place``, an SQLite file or ``postgresql://...``, made first if it is missing and
        ``create`` is true.

        ``anchors`` is the folder that remembers how far the store's log had come: ``$DPSYNTH_ANCHORS``, or
        ``dpsynth/anchors`` in the user's folder for state, if not given. A store that is there is never made anew. An
        AnchorMissing is warned of where that folder has never seen a store that has entries.

        ConfigurationError: missing and not ``create``, or not writable here. StoreDamaged: not a store of accounts, or
        damaged. StoreBusy: locked by another process for too long.
        """
        folder = Path(anchors) if anchors is not None else default_folder()
        store = AnchoredStore(_open(place, create), folder)
        made = cls(store)
        store.warn()
        return made

    @property
    def secret(self) -> bytes:
        """The store's 32 secret bytes: the key of the hash that ranks the rows of one entity."""
        return self._store.secret

    @property
    def origin(self) -> str:
        """The public name of the store's log: ``dpsynth.log/`` and 32 hex digits."""
        return self._store.origin

    # --- accounts -----------------------------------------------------------------------------------------------------

    def open_account(
        self,
        name: str,
        *,
        entity: str | None = None,
        neighbours: str | None = None,
        budget: Budget | None = None,
        column: str | None = None,
        measure: Measure = "gdp",
        parent: str | None = None,
        level: Level = "project",
        grant: bytes | None = None,
        trust: bytes | None = None,
        delta0: Fraction | int = 0,
        cells: Cells | None = None,
        cell: str | None = None,
    ) -> Account:
        """Open an account, under ``parent`` if one is named: whatever it spends is then charged to that one too.

        ``column`` holds the text that tells one entity from another; None: each row is an entity of its own. The cap,
        for the account's whole life, is ``budget`` counted in ``measure``; ``delta0`` is the part of its delta that is
        set aside for releases which find values privately, rounded up to the grid of 2^-60. Without it they are
        refused.

        ``cells`` divide the account by a public column, for ever. An account under it that is opened as one ``cell``,
        by its label, sees the rows of that cell alone, and so do all below; the divided account then holds not the sum
        of its cells but what they cost together (:func:`dpsynth.privacy.together`). Each cell has one account.

        ``trust`` (a ``root.json``) puts an account at the top, and all below it, under officers. Each account of such a
        tree needs a ``grant`` (the bytes of its signed envelope) and takes its terms and its cap from it; what else is
        given has to agree. Caps then move by further grants, and never otherwise.

        Opening it again on the same terms gives it as it stands; on other terms it is a ConfigurationError. A grant
        that does not count: ThresholdNotMet, KeyRefused, SignatureInvalid, UnknownEntry.
        """
        if grant is None:
            if trust is not None:
                raise ConfigurationError(
                    f"account {name!r}: under a root its cap comes from a grant, and none is given"
                )
            place = Place(parent, level, cells, cell)
            wanted = Terms.checked(name, entity, column, neighbours, measure, budget, place, delta0=delta0)
        else:
            wanted = grants.terms_of(grants.read_grant(grant))
            given = {"entity": entity, "column": column, "neighbours": neighbours, "parent": parent, "policy": budget}
            grants.require_agreed(wanted, {"name": name, **given, "cells": cells, "cell": cell})
        first = grants.require_first(trust) if trust is not None else None

        def act(tx: Writing) -> Account:
            if tx.account(wanted.name) is not None:
                return accounts.same_terms(tx, wanted)
            ruling = grants.ruling(tx, wanted, first)
            if ruling is not None and grant is not None:
                grants.require_granted(ruling, grant, self.origin, tx.head()[0])
                grants.keep_opening(tx, wanted, grant, first)
            else:
                accounts.add(tx, wanted, None)
            return accounts.load(tx, wanted.name)

        return self._store.write(act)

    def grant(self, account: str, envelope: bytes) -> Account:
        """Raise the cap of a governed account by a grant that enough officers signed, and give it as it stands then.

        ConfigurationError: the grant is not for this account on its terms, was used before, or gives more than its
        policy; ThresholdNotMet, KeyRefused, SignatureInvalid, UnknownEntry: it does not count.
        """

        def act(tx: Writing) -> Account:
            grants.raise_cap(tx, accounts.load(tx, account), envelope, self.origin)
            return accounts.load(tx, account)

        return self._store.write(act)

    def set_root(self, account: str, data: bytes) -> Account:
        """Put the next version of the officers' root in force for the tree of an account at its top."""

        def act(tx: Writing) -> Account:
            grants.set_root(tx, accounts.load(tx, account), data)
            return accounts.load(tx, account)

        return self._store.write(act)

    def external(self, account: str, what: str, promise: Claim | None) -> None:
        """Note in an account's log a release of the same people's data that was not made here; it is charged nothing.

        ``promise`` is the (epsilon, delta) that it claims, None if it claims none.
        """
        require_name("external release", what)
        fields = {"what": what, "claim": None if promise is None else claim(promise)}

        def act(tx: Writing) -> None:
            accounts.load(tx, account)
            log.append(tx, "external", fields, account=account)

        self._store.write(act)

    def trust(self, account: str) -> Trust | None:
        """The root of the officers who govern an account, as in force; None if none do."""
        return self._store.read(lambda tx: grants.trust_of(tx, accounts.load(tx, account)))

    def path(self, name: str) -> tuple[Account, ...]:
        """All accounts that pay for a release of this one: itself first, then every account above it."""
        return self._store.read(lambda tx: tuple(accounts.load(tx, found.name) for found in accounts.path(tx, name)))

    def account(self, name: str) -> Account:
        """The account of this name as it stands; BudgetRefused if there is none."""
        return self._store.read(lambda tx: accounts.load(tx, name))

    def accounts(self) -> tuple[Account, ...]:
        """All accounts, in the order opened."""
        return self._store.read(lambda tx: tuple(accounts.load(tx, row.name) for row in tx.accounts()))

    def history(self, account: str) -> tuple[bytes, ...]:
        """The exact log lines of an account, in order; BudgetRefused if there is none of this name."""

        def act(tx: Reading) -> tuple[bytes, ...]:
            accounts.load(tx, account)
            return tuple(entry.line for entry in log.read(tx.log_of_account(account)))

        return self._store.read(act)

    def check(self, account: str, cost: Cost, *, release: str, plan: str, source: str = "") -> None:
        """Return if ``reserve`` would be granted at this moment; nothing is written then.

        Raises BudgetRefused (no such account, or some account cannot pay, which leaves a line in the log) or
        ReleaseConflict (the id is taken by another plan, by rows of another ``source``, or is void).
        """
        cost = round_up(cost)
        self._standing(Asked(release, account, plan, self._mark(source), cost, {"reserved": amount(cost)}))

    def bills(self, account: str, cost: Cost, *, release: str, plan: str, source: str = "") -> tuple[rule.Bill, ...]:
        """What the release comes to for each account that pays, its own first; none if it was reserved as it is asked.

        Raises what :meth:`check` would, and writes nothing, not even a refusal: for telling what a run would be told.
        """
        cost = round_up(cost)
        asked = Asked(release, account, plan, self._mark(source), cost, {"reserved": amount(cost)})
        found = self._store.read(asked.standing)
        owed = () if isinstance(found, ReleaseRow) else rule.bills(found, cost)
        if by := rule.unable(owed):
            raise rule.refusal(by)
        return owed

    def settled(self, release: str) -> bool:
        """Whether this release is done: it is given back from its stored answers, and nothing more is drawn."""
        found = self._store.read(lambda tx: tx.release(release))
        return found is not None and found.state not in (*OPEN_STATES, "VOID")

    def reserve(
        self, account: str, *, release: str, plan: str, cost: Cost, quote: Budget, source: str = ""
    ) -> Reservation:
        """Reserve the worst case of a whole release, for ever, and give its handle.

        ``cost`` is rounded up to the grid of 2^-60; ``quote`` is what the release will claim and must cover it. The
        account, and every account above it, pays or nobody does. ``source`` names the rows, such as the path of their
        file; empty: they have no name. The store keeps its keyed hash, never the text.

        The same id with the same plan, account, cost, quote and source gives the same reservation and pays nothing:
        that is how a run resumes. It takes the release over: an older handle can no longer draw, and a verb that was
        drawn and never stored is marked lost and stays charged.

        The handle holds its release, so that no other run takes it over, until it is closed or settled, this
        accountant is closed, or the process dies: use it in a ``with`` statement. A settled release is held by nobody.

        Raises BudgetRefused, ReleaseConflict, ConfigurationError for a quote that does not cover the cost, or StoreBusy
        while another run holds the release, be it in this process. A refusal for lack of budget leaves one line in the
        log, so that attempts can be counted; nothing else changes.
        """
        require_name("release id", release)
        cost = round_up(cost)
        rule.require_quote(quote, cost)
        terms = {"reserved": amount(cost), "quote": claim(quote)}
        asked = Asked(release, account, plan, self._mark(source), cost, terms)

        def act(tx: Writing) -> Reservation | rule.Bill:
            found = asked.standing(tx)
            if isinstance(found, ReleaseRow):
                take_over(tx, found)
                payer = accounts.load(tx, account)
            elif by := rule.unable(owed := rule.bills(found, cost)):
                return asked.refuse(tx, by)
            else:
                payer = add(tx, asked, owed)
            return Reservation.of(self._store, tx, payer, release, lock)

        with ExitStack() as held:
            standing = self._standing(asked)
            lock = None
            if standing is None or standing.state in OPEN_STATES:
                lock = self._store.lock(release)
                held.callback(lock.close)
            made = self._store.write(act)
            if isinstance(made, rule.Bill):
                raise rule.refusal(made)
            if made.settled and lock is not None:  # by a run that ended since it was looked at
                lock.close(for_ever=True)
            held.pop_all()
        return made

    def void(self, release: str) -> None:
        """Give up a release that was reserved and never opened its table: every account gets its hold back.

        Its id is used up. ConfigurationError: there is no such release, or its table was opened, so that it stays
        charged for ever. StoreBusy while a run holds it. A release that is void already stays so.
        """

        def act(tx: Writing) -> None:
            found = tx.release(release)
            if found is None:
                raise ConfigurationError(f"there is no release {release!r} in this store")
            if found.state != "VOID":
                give_back(tx, found)

        lock = self._store.lock(release)
        try:
            self._store.write(act)
        except BaseException:
            lock.close()
            raise
        lock.close(for_ever=True)

    # --- after the release is settled ---------------------------------------------------------------------------------

    def story(self, release: str) -> Story:
        """What a ledger and a status say of a settled release; ConfigurationError if it is not settled."""
        return self._store.read(lambda tx: tell(tx, release, self.origin))

    def states(self) -> Mapping[str, tuple[str, states.State]]:
        """Every release that the log names, in the order first named: its account, and how far it has come.

        The words are those of :data:`dpsynth.accountant.states.State`.
        """
        return self._store.read(states.told)

    def hold(self, release: str) -> Lock:
        """Hold a settled release while its files are published; StoreBusy, at once, while another run does."""
        return self._store.lock(release)

    def decide(self, release: str, kind: DecisionKind, fields: Mapping[str, Any]) -> None:
        """Write the line of a decision about a settled release and move it on; the same line again does nothing.

        ``fields`` are those of ``ledger.FIELDS[kind]`` but ``release``. A release is APPROVED or REJECTED once as many
        officers as the root demands have said so, each by the last word. ConfigurationError: its state does not allow
        it, or a signed file that it names is not kept (:meth:`keep`); KeyRefused: the key does not count.
        """
        self._store.write(lambda tx: decisions.decide(tx, release, kind, fields, self.origin))

    def attestation(self, digest: str) -> bytes | None:
        """The signed file that is kept under a digest, or None."""
        return self._store.read(lambda tx: tx.attestation(digest))

    def keep(self, digest: str, data: bytes) -> None:
        """Keep a signed file for ever. ``digest`` is that of its bytes; ConfigurationError if it is not.

        SignatureInvalid unless it is an envelope: roots and grants are kept under the digest of what is signed in them,
        which is none, so that nothing kept here takes their place.
        """
        read_envelope(data)
        if digest != "sha256:" + sha256(data).hexdigest():
            raise ConfigurationError("a signed file is kept under the digest of its bytes, and this is another")
        self._store.write(lambda tx: tx.add_attestation(digest, data))

    def require_anchored(self) -> None:
        """LogInconsistent if the store was taken back behind its anchor, as for any write; nothing is written."""
        self._store.write(lambda tx: None)

    def _standing(self, asked: Asked) -> ReleaseRow | None:
        """The release as it was reserved for the same before, or None; a refusal is written down, then raised."""
        found = self._store.read(asked.standing)
        if isinstance(found, ReleaseRow):
            return found
        if not rule.unable(rule.bills(found, asked.cost)):
            return None

        def act(tx: Writing) -> ReleaseRow | rule.Bill | None:
            again = asked.standing(tx)
            if isinstance(again, ReleaseRow):
                return again
            by = rule.unable(rule.bills(again, asked.cost))
            return asked.refuse(tx, by) if by else None  # None: somebody gave something back meanwhile

        refused = self._store.write(act)
        if isinstance(refused, rule.Bill):
            raise rule.refusal(refused)
        return refused

    def _mark(self, source: str) -> bytes:
        """What the store keeps of a source: whether it is the same again, and nothing to read."""
        return hmac.digest(self.secret, source.encode("utf-8", "surrogatepass"), "sha256")

    def close(self) -> None:
        """Let go of the store, and of every release that is held by a handle of this accountant."""
        self._store.close()

    def __enter__(self) -> Accountant:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(place: str | Path, create: bool) -> Store:
    scheme, sign, _ = str(place).partition("://")
    if not sign:
        return SqliteStore.open(place, create)
    if not str(place).startswith(_SERVER):
        raise ConfigurationError(
            f"{scheme}://... is no store of accounts: give the path of an SQLite file, or {' or '.join(_SERVER)}"
            "USER@HOST/DATABASE"
        )
    from dpsynth.accountant.postgres import PostgresStore

    store: Store = PostgresStore.open(str(place), create)
    return store
