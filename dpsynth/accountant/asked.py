"""A release as it is asked for: whether it was asked before, who pays for it, and taking it over."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dpsynth.accountant import accounts, cells, log
from dpsynth.accountant import filter as rule
from dpsynth.accountant.reservation import OPEN_STATES
from dpsynth.accountant.store import Reading, ReleaseRow, Writing
from dpsynth.accountant.values import Account
from dpsynth.errors import ReleaseConflict
from dpsynth.ledger import Entry, amount
from dpsynth.privacy import Cost, decimal_text, epsilon_of


@dataclass(frozen=True)
class Asked:
    """A release as it is asked for. ``terms`` are what its reserve line says of its amounts."""

    release: str
    account: str
    plan: str
    source: bytes
    cost: Cost
    terms: Mapping[str, Any]

    def standing(self, tx: Reading) -> ReleaseRow | tuple[Account, ...]:
        """The release, if it was reserved already as it is asked for now; otherwise the accounts that are to pay."""
        found = tx.release(self.release)
        if found is None:
            payers = accounts.path(tx, self.account)
            rule.require_measure(payers[0], self.cost)
            cells.require_source(tx, payers[0], self.source)
            return payers
        _require_same(found, log.of_release(tx, self.release), self)
        return found

    def refuse(self, tx: Writing, by: rule.Bill) -> rule.Bill:
        """Write down that an account could not pay."""
        fields = {"release": self.release, "plan": self.plan, "asked": amount(self.cost), "by": by.account.name}
        log.append(tx, "refused", fields, account=self.account)
        return by


def add(tx: Writing, asked: Asked, owed: Sequence[rule.Bill]) -> Account:
    """Write a new release, its log line, and what each of the paying accounts, its own first, holds for it.

    Gives its own account as it stands then.
    """
    own, *above = owed
    tx.add_release(ReleaseRow(asked.release, asked.account, asked.plan, asked.source, "RESERVED", 0))
    fields = {
        "release": asked.release,
        "plan": asked.plan,
        **asked.terms,
        "held": amount(own.held),
        "running_epsilon": decimal_text(epsilon_of(own.held, own.account.policy.delta)),
        "above": [{"account": bill.account.name, "held": amount(bill.held)} for bill in above],
        **cells.told(owed),
    }
    log.append(tx, "reserve", fields, account=asked.account, release=asked.release)
    for bill in owed:
        if bill.together is not None:
            tx.price(bill.account.name, bill.together)  # the accounts above hold the difference too
            break
        tx.hold(asked.release, bill.account.name, bill.asked)
    return replace(own.account, held=own.held, attempts=tx.attempts(asked.account))


def _require_same(found: ReleaseRow, entries: Sequence[Entry], asked: Asked) -> None:
    """ReleaseConflict unless the release was reserved by this account for this plan and source on these terms."""
    reserved = entries[0].fields
    if found.state == "VOID":
        raise ReleaseConflict(
            f"release {found.id!r} was given up before its table was opened: give this one another id"
        )
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


def take_over(tx: Writing, found: ReleaseRow) -> None:
    """Make older handles of an open release stale; what they drew and did not store is lost."""
    if found.state not in OPEN_STATES:
        return
    last, state = tx.last_verb(found.id), found.state
    if last is not None and not last.closed:
        log.append(tx, "lost", {"release": found.id, "of": list(last.seqs)}, account=found.account, release=found.id)
        tx.close_verb(last.first, None)
        state = "MEASURED"
    tx.advance(found.id, state, found.lease + 1)
