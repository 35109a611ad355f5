"""What officers decide about accounts: the root they stand under, and the grants that caps come from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from dpsynth.accountant import accounts, log
from dpsynth.accountant.accounts import Place, Terms
from dpsynth.accountant.grid import split
from dpsynth.accountant.store import GrantRow, Reading, Writing
from dpsynth.accountant.values import Account
from dpsynth.errors import ConfigurationError, StoreDamaged, VerificationError
from dpsynth.ledger import Stamp, amount, claim
from dpsynth.ledger.attestations import Grant, parse_grant
from dpsynth.ledger.dsse import read_envelope
from dpsynth.ledger.trust import Trust
from dpsynth.privacy import Cost

_TERMS = {"level": "level", "parent": "parent", "entity": "entity", "column": "unit column", "neighbours": "neighbours"}


def trust_of(tx: Reading, account: Account) -> Trust | None:
    """The root in force for the account's tree, checked; None if no officers govern it."""
    return None if account.root is None else _kept(tx, account.root)


def read_grant(data: bytes) -> Grant:
    """What the envelope of a grant says. SignatureInvalid or UnknownEntry if it is none; signatures are not checked."""
    return parse_grant(read_envelope(data).payload)


def require_granted(trust: Trust, data: bytes, origin: str, size: int) -> Grant:
    """The grant in an envelope, if enough officers signed it under the root in force.

    It is to be recorded by the next line of the log ``origin``, which has ``size`` lines. ThresholdNotMet: too few
    distinct officers. KeyRefused: the root is past its day. SignatureInvalid: a signature is wrong.
    """
    grant, today = read_grant(data), Stamp.now().day
    if grant.root != trust.digest:
        raise ConfigurationError(
            f"the grant for account {grant.account!r} was made under another version of the root than the one in "
            "force: write the request anew, and have it signed again"
        )
    if grant.origin != origin:
        raise ConfigurationError(
            f"the grant for account {grant.account!r} is for the store whose log is {grant.origin}, and this one's is "
            f"{origin}: a grant counts in one store. Write the request anew with this --store, and have it signed"
        )
    if grant.day > today:
        raise ConfigurationError(f"the grant for account {grant.account!r} is of a day to come, {grant.day}")
    trust.require_current(today)
    trust.require(trust.accepted(read_envelope(data), role="officer", day=today, origin=origin, position=size + 1))
    return grant


def terms_of(grant: Grant) -> Terms:
    """The terms of an account that a grant opens; ConfigurationError if it opens none or gives more than its policy."""
    if grant.reason != "opening":
        raise ConfigurationError(
            f"the grant for account {grant.account!r} is for {grant.reason!r} and opens no account: use `dpsynth "
            "budget grant` for an account that is open"
        )
    found = Terms.checked(
        grant.account,
        grant.entity,
        grant.column,
        grant.neighbours,
        grant.added.measure,
        grant.policy,
        Place(grant.parent, grant.level, grant.cells, grant.cell),
        (grant.added, grant.digest),
    )
    _require_policy(grant, Cost.nothing(grant.added.measure))
    return found


def raise_cap(tx: Writing, account: Account, data: bytes, origin: str) -> None:
    """Use a grant for an account that is open: its line and the cap; ConfigurationError if it does not fit."""
    trust = trust_of(tx, account)
    if trust is None:
        raise ConfigurationError(
            f"account {account.name!r} was opened without officers: its cap is fixed for its whole life, and no grant "
            "moves it"
        )
    size, _ = tx.head()
    grant = require_granted(trust, data, origin, size)
    if grant.account != account.name:
        raise ConfigurationError(f"the grant is for account {grant.account!r}, not for {account.name!r}")
    if any(used.digest == grant.digest for used in tx.granted(account.name)):
        raise ConfigurationError(
            f"this grant for account {account.name!r} was used before, and a grant is used once: ask for another one"
        )
    if grant.reason == "opening":
        raise ConfigurationError(f"account {account.name!r} is open already: this grant is for opening it")
    for key, word in _TERMS.items():
        if getattr(grant, key) != getattr(account, key):
            raise ConfigurationError(f"the grant is for an account {account.name!r} with another {word}")
    if (grant.cells, grant.cell) != (account.cells, account.label):
        raise ConfigurationError(f"the grant is for an account {account.name!r} with other cells, or of another cell")
    if grant.added.measure != account.measure:
        raise ConfigurationError(f"account {account.name!r} counts in {account.measure} for ever: the grant does not")
    _require_policy(grant, account.cap)
    fields = {
        "grant": grant.digest,
        "added": amount(grant.added),
        "cap": amount(account.cap + grant.added),
        "policy": claim(grant.policy),
        "reason": grant.reason,
    }
    seq = log.append(tx, "grant", fields, account=account.name)
    tx.grant(GrantRow(seq, account.name, grant.digest, grant.added))
    tx.add_attestation(grant.digest, data)


def set_root(tx: Writing, account: Account, data: bytes) -> None:
    """Put the next version of the root in force; the errors of ``Trust.parse``, or ConfigurationError."""
    before = trust_of(tx, account)
    if before is None or account.parent is not None:
        raise ConfigurationError(
            f"account {account.name!r} has no root of its own: a root is set for the account at the top of its tree, "
            "if it was opened under one"
        )
    new = Trust.parse(data)
    if new.digest == before.digest:
        return
    if [root.digest for root in new.roots[:-1]] != [root.digest for root in before.roots]:
        raise ConfigurationError(
            f"the root in force for account {account.name!r} is version {before.newest.version}: only the version "
            "that follows exactly this one can take its place"
        )
    new.require_current(Stamp.now().day)
    log.append(tx, "root", {"root": new.digest, "version": new.newest.version}, account=account.name)
    _keep_root(tx, new)


def require_first(data: bytes) -> Trust:
    """The root under which an account at the top is opened; the errors of ``Trust.parse``, KeyRefused if expired."""
    trust = Trust.parse(data)
    trust.require_current(Stamp.now().day)
    return trust


def ruling(tx: Reading, wanted: Terms, first: Trust | None) -> Trust | None:
    """The root under which an account is opened: ``first`` at the top of a governed tree, else that of its tree.

    None if no officers rule. ConfigurationError if it has a root of its own below the top, or a grant is missing or too
    many.
    """
    if wanted.parent is not None:
        if first is not None:
            raise ConfigurationError(f"account {wanted.name!r} stands under {wanted.parent!r}, whose root holds for it")
        first = trust_of(tx, accounts.load(tx, wanted.parent))
    if first is None and wanted.grant is not None:
        raise ConfigurationError(
            f"account {wanted.name!r} has a grant and no officers: give the root (--root) at the top of its tree, or a "
            "budget and no grant"
        )
    if first is not None and wanted.grant is None:
        raise ConfigurationError(
            f"officers govern {wanted.parent!r}: account {wanted.name!r} under it needs a grant that they signed "
            "(`dpsynth budget grant --request` writes one to sign)"
        )
    return first


def keep_opening(tx: Writing, wanted: Terms, data: bytes, trust: Trust | None) -> None:
    """Open a governed account and keep what it rests on: its grant and, at the top, the root."""
    accounts.add(tx, wanted, trust.digest if trust else None)
    tx.add_attestation(str(wanted.grant), data)
    if trust is not None:
        _keep_root(tx, trust)


def _keep_root(tx: Writing, trust: Trust) -> None:
    """Keep a root, unless it is kept for another tree already, by whomever that copy of it is signed besides."""
    if tx.attestation(trust.digest) is None:
        tx.add_attestation(trust.digest, trust.data)
    _kept(tx, trust.digest)


def _require_policy(grant: Grant, before: Cost) -> None:
    """ConfigurationError unless the policy of a grant allows the cap that it leads to."""
    cap = before + grant.added
    split(grant.added)
    split(cap)
    grant.policy.require(cap.measure)
    most = grant.policy.delta
    if (cap.delta and cap.delta >= most) or not cap.fits(grant.policy.cost(cap.measure, cap.delta)):
        raise ConfigurationError(
            f"the grants for account {grant.account!r} would add up to more than the policy that this one states: "
            "grant less, or state the policy that the whole cap has"
        )


def _kept(tx: Reading, digest: str) -> Trust:
    data = tx.attestation(digest)
    try:
        trust = None if data is None else _parsed(data)
    except VerificationError:
        trust = None
    if trust is None or trust.digest != digest:
        raise StoreDamaged("the root in force is not what the store's log says: bring back a whole copy of the store")
    return trust


@lru_cache(maxsize=8)
def _parsed(data: bytes) -> Trust:
    return Trust.parse(data)


def require_agreed(wanted: Terms, given: Mapping[str, object]) -> None:
    """ConfigurationError if something that is given is not what the grant says."""
    for key, value in given.items():
        if value is not None and value != getattr(wanted, key):
            raise ConfigurationError(
                f"the grant is for an account with another {key}: leave it out, or ask for another"
            )
