"""The accountant: accounts that refuse what does not fit, and releases that reserve before they ask."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from dpsynth.accountant import filter as rule
from dpsynth.accountant import log
from dpsynth.accountant.grid import round_up, split
from dpsynth.accountant.reservation import OPEN_STATES, Reservation
from dpsynth.accountant.sqlite import SqliteStore
from dpsynth.accountant.store import AccountRow, Reading, ReleaseRow, Store, Writing
from dpsynth.accountant.values import Account
from dpsynth.errors import BudgetRefused, ConfigurationError, ReleaseConflict, StoreDamaged, nearest
from dpsynth.ledger import Entry, amount, claim
from dpsynth.privacy import NEIGHBOURS, Budget, Cost, Measure, decimal_text, epsilon_of, require_measure

_LONGEST_NAME = 200


class Accountant:
    """The accounts of one store. Each method is one transaction; what it wrote is on the disk when it returns.

    Use it in a ``with`` statement. Every method may raise StoreBusy, StoreDamaged or StoreError.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        try:
            store.read(_audit)
        except BaseException:
            store.close()
            raise

    @classmethod
    def open(cls, path: str | Path, create: bool = False) -> Accountant:
        """Open the SQLite store at ``path``, made first if it is missing and ``create`` is true.

        A file that is there is never made anew. ConfigurationError: missing and not ``create``, or not writable here.
        StoreDamaged: not a store of accounts, or damaged. StoreBusy: locked by another process for too long.
        """
        return cls(SqliteStore.open(path, create))

    @property
    def secret(self) -> bytes:
        """The store's 32 secret bytes: the key of the hash that ranks the rows of one entity."""
        return self._store.secret

    def open_account(
        self,
        name: str,
        *,
        entity: str,
        neighbours: str,
        budget: Budget,
        column: str | None = None,
        measure: Measure = "gdp",
    ) -> Account:
        """Open an account whose cap, for its whole life, is ``budget``, counted in ``measure``.

        ``column`` holds the text that tells one entity from another; None: each row is an entity of its own.
        Opening it again on the same terms gives it as it stands; on other terms it is a ConfigurationError.
        """
        _require_name("account", name)
        _require_name("entity", entity)
        if neighbours not in NEIGHBOURS:
            known = " or ".join(map(repr, NEIGHBOURS))
            raise ConfigurationError(f"neighbours {neighbours!r}: must be {known}{nearest(neighbours, NEIGHBOURS)}")
        if column == "":
            raise ConfigurationError("column '': name the column that tells entities apart, or None for rows")
        budget.require(require_measure(measure))
        cap = budget.cost(measure)
        split(cap)
        wanted = Account(name, entity, column, neighbours, measure, budget, cap, Cost.nothing(measure))

        def act(tx: Writing) -> Account:
            if tx.account(name) is not None:
                return _same_terms(_load(tx, name), wanted)
            tx.add_account(AccountRow(name, None, cap, Cost.nothing(measure)))
            terms = {"entity": entity, "column": column, "neighbours": neighbours, "measure": measure}
            log.append(tx, "open", {**terms, "cap": amount(cap), "policy": claim(budget)}, account=name)
            return wanted

        return self._store.write(act)

    def account(self, name: str) -> Account:
        """The account of this name as it stands; BudgetRefused if there is none."""
        return self._store.read(lambda tx: _load(tx, name))

    def accounts(self) -> tuple[Account, ...]:
        """All accounts, in the order opened."""
        return self._store.read(lambda tx: tuple(_load(tx, row.name) for row in tx.accounts()))

    def history(self, account: str) -> tuple[bytes, ...]:
        """The exact log lines of an account, in order; BudgetRefused if there is none of this name."""

        def act(tx: Reading) -> tuple[bytes, ...]:
            _load(tx, account)
            return tuple(entry.line for entry in log.read(tx.log_of_account(account)))

        return self._store.read(act)

    def check(self, account: str, cost: Cost, *, release: str, plan: str, source: str = "") -> None:
        """Return if ``reserve`` would be granted at this moment; nothing is written.

        Raises BudgetRefused (no such account, or it cannot pay) or ReleaseConflict (the id is taken by another plan
        or by rows of another ``source``).
        """
        cost = round_up(cost)
        asked = _Asked(release, account, plan, self._mark(source), cost, {"reserved": amount(cost)})
        found = self._store.read(asked.standing)
        if isinstance(found, Account):
            raise rule.refusal(found, cost)

    def settled(self, release: str) -> bool:
        """Whether this release is done: it is given back from its stored answers, and nothing more is drawn."""
        found = self._store.read(lambda tx: tx.release(release))
        return found is not None and found.state not in OPEN_STATES

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
        while another run holds the release, be it in this process.
        """
        _require_name("release id", release)
        cost = round_up(cost)
        rule.require_quote(quote, cost)
        terms = {"reserved": amount(cost), "quote": claim(quote)}
        asked = _Asked(release, account, plan, self._mark(source), cost, terms)

        def act(tx: Writing) -> Reservation | Account:
            found = asked.standing(tx)
            if isinstance(found, Account):
                return found
            if found is None:
                _add(tx, asked)
            else:
                _take_over(tx, found)
            return Reservation.of(self._store, tx, _load(tx, account), release, lock)

        with ExitStack() as held:
            standing = self._store.read(asked.standing)
            if isinstance(standing, Account):
                raise rule.refusal(standing, cost)
            lock = None
            if standing is None or standing.state in OPEN_STATES:
                lock = self._store.lock(release)
                held.callback(lock.close)
            made = self._store.write(act)
            if isinstance(made, Account):
                raise rule.refusal(made, cost)
            if made.settled and lock is not None:  # by a run that ended since it was looked at
                lock.close(for_ever=True)
            held.pop_all()
        return made

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


@dataclass(frozen=True)
class _Asked:
    """A release as it is asked for. ``terms`` are what its reserve line says of its amounts."""

    release: str
    account: str
    plan: str
    source: bytes
    cost: Cost
    terms: Mapping[str, Any]

    def standing(self, tx: Reading) -> ReleaseRow | Account | None:
        """The release, if it was reserved already as it is asked for now; otherwise who cannot pay for it, or None."""
        found = tx.release(self.release)
        if found is None:
            payers = _path(tx, self.account)
            rule.require_measure(payers[0], self.cost)
            return rule.unable(payers, self.cost)
        _require_same(found, log.of_release(tx, self.release), self)
        return found


def _add(tx: Writing, asked: _Asked) -> None:
    """Write a new release, its log line, and what each paying account holds for it."""
    payers = _path(tx, asked.account)
    held, policy = payers[0].held + asked.cost, payers[0].policy
    tx.add_release(ReleaseRow(asked.release, asked.account, asked.plan, asked.source, "RESERVED", 0))
    sums = {"held": amount(held), "running_epsilon": decimal_text(epsilon_of(held, policy.delta))}
    fields = {"release": asked.release, "plan": asked.plan, **asked.terms, **sums}
    log.append(tx, "reserve", fields, account=asked.account, release=asked.release)
    for payer in payers:
        tx.hold(asked.release, payer.name, rule.charged(payer, asked.cost))


def _load(tx: Reading, name: str) -> Account:
    """An account from its row and its first log line, which must agree."""
    row = tx.account(name)
    if row is None:
        known = [found.name for found in tx.accounts()]
        raise BudgetRefused(
            f"there is no account {name!r} in this store{nearest(name, known)}; nothing was read or spent. "
            f"`dpsynth budget open {name} --epsilon ... --delta ...` opens one",
            account=name,
        )
    opening = tx.opening(name)
    entries = log.read([opening] if opening else [])
    if not entries or entries[0].kind != "open" or entries[0].fields["cap"] != amount(row.cap):
        raise StoreDamaged(f"account {name!r} is not what its log line says: bring back a whole copy of the store")
    terms = entries[0].fields
    policy = Budget(terms["policy"]["epsilon"], terms["policy"]["delta"])
    unit = terms["entity"], terms["column"], terms["neighbours"]
    return Account(name, *unit, terms["measure"], policy, row.cap, row.held)


def _path(tx: Reading, name: str) -> tuple[Account, ...]:
    """All who pay for a release of this account: itself first, then every account above it."""
    found = [_load(tx, name)]
    row = tx.account(name)
    while row is not None and row.parent is not None:
        found.append(_load(tx, row.parent))
        row = tx.account(row.parent)
    return tuple(found)


def _audit(tx: Reading) -> None:
    """StoreDamaged unless each account holds the sum of its reservations and is what its log says."""
    for row in tx.accounts():
        _load(tx, row.name)
        if tx.held(row.name) != row.held:
            raise StoreDamaged(
                f"account {row.name!r} does not hold the sum of its releases: bring back a whole copy of the store"
            )


def _same_terms(found: Account, wanted: Account) -> Account:
    words = {"entity": "entity", "column": "unit column", "neighbours": "neighbours", "policy": "budget"}
    for key, word in {**words, "measure": "measure"}.items():
        if getattr(found, key) != getattr(wanted, key):
            raise ConfigurationError(
                f"account {found.name!r} is open already with another {word}, and its "
                "terms never change: use it as it is (`dpsynth budget show`), or another name for other people"
            )
    return found


def _require_same(found: ReleaseRow, entries: Sequence[Entry], asked: _Asked) -> None:
    """ReleaseConflict unless the release was reserved by this account for this plan and source on these terms."""
    reserved = entries[0].fields
    if found.account != asked.account:
        differs, before = "from another account", "name the account that it had"
    elif found.plan != asked.plan or any(reserved[key] != value for key, value in asked.terms.items()):
        differs, before = "with another plan", "run the plan that it had"
    elif not hmac.compare_digest(found.source, asked.source):
        differs, before = "for rows of another source", "name the source that it had"
    else:
        return
    raise ReleaseConflict(
        f"release {found.id!r} was already reserved {differs}: give this one another id, or {before}; nothing was spent"
    )


def _take_over(tx: Writing, found: ReleaseRow) -> None:
    """Make older handles of an open release stale; what they drew and did not store is lost."""
    if found.state not in OPEN_STATES:
        return
    last, state = tx.last_verb(found.id), found.state
    if last is not None and not last.closed:
        log.append(tx, "lost", {"release": found.id, "of": list(last.seqs)}, account=found.account, release=found.id)
        tx.close_verb(last.first, None)
        state = "MEASURED"
    tx.advance(found.id, state, found.lease + 1)


def _require_name(what: str, name: str) -> None:
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise ConfigurationError(
            f"{what} {name[:40]!r}: a name is 1 to {_LONGEST_NAME} printable characters without white space around it"
        )
