"""What becomes of a settled release: approved or rejected by officers, released, superseded, withdrawn.

Each step is a line of the log and, when enough people agree, a state. Whatever happens, what the release holds stays
held. Whether the signed files are good is for whoever brings them to check; who their people are is checked here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dpsynth.accountant import accounts, grants, log
from dpsynth.accountant.store import Reading, ReleaseRow, Writing
from dpsynth.errors import ConfigurationError, KeyRefused
from dpsynth.ledger import Entry, Stamp
from dpsynth.ledger.kinds import DECISIONS, DecisionKind
from dpsynth.ledger.trust import Trust

_FROM = {
    "approve": ("SETTLED", "APPROVED"),
    "reject": ("SETTLED", "APPROVED"),
    "release": ("APPROVED",),
    "supersede": ("RELEASED",),
    "withdraw": ("RELEASED", "SUPERSEDED"),
}
_FREE = {
    "release": ("SETTLED",),
    "supersede": ("SETTLED", "RELEASED"),
    "withdraw": ("SETTLED", "RELEASED", "SUPERSEDED"),
}
"""Where no officers rule: a release is out when it is settled, and nobody approves."""
_TO = {"release": "RELEASED", "supersede": "SUPERSEDED", "withdraw": "WITHDRAWN"}


def decide(tx: Writing, release: str, kind: DecisionKind, fields: Mapping[str, Any], origin: str) -> None:
    """Write the line of a decision and move the release on; a line that is there already is not written twice.

    ConfigurationError: no such release, or not in a state that allows it, or a signed file that is not kept.
    KeyRefused: the key is not that officer's, or does not count.
    """
    if kind not in DECISIONS:
        raise ConfigurationError(f"decision {kind!r}: must be one of {', '.join(DECISIONS)}")
    row = tx.release(release)
    if row is None:
        raise ConfigurationError(f"there is no release {release!r} in this store")
    entries, wanted = log.of_release(tx, release), {**fields, "release": release}
    if any(entry.kind == kind and entry.fields == wanted for entry in entries):
        return
    trust = grants.trust_of(tx, accounts.load(tx, row.account))
    _require_state(row, kind, trust is not None)
    _require_kept(tx, wanted)
    if kind in ("approve", "reject"):
        _require_officer(tx, trust, wanted, origin)
    if kind == "release" and trust is not None and _agreed(entries, "approve") < trust.newest.threshold:
        raise ConfigurationError(f"release {release!r}: too few people approve it now")
    if kind == "supersede":
        _require_successor(tx, row, str(wanted.get("by")), trust)
    log.append(tx, kind, wanted, account=row.account, release=release)
    if kind in ("approve", "reject") and trust is not None:
        agreed = _agreed(log.of_release(tx, release), kind)
        if agreed >= trust.newest.threshold:
            tx.advance(release, "APPROVED" if kind == "approve" else "REJECTED", row.lease)
        return
    if row.state == "SETTLED":  # where no officers rule, and it is out already
        tx.advance(release, "RELEASED", row.lease)
    tx.advance(release, _TO[kind], row.lease)


def _require_state(row: ReleaseRow, kind: DecisionKind, governed: bool) -> None:
    if not governed and kind in ("approve", "reject"):
        raise ConfigurationError(
            f"account {row.account!r} was opened without officers: nobody approves or rejects its releases"
        )
    allowed = _FROM[kind] if governed else _FREE[kind]
    if row.state not in allowed:
        raise ConfigurationError(f"release {row.id!r} is {row.state}: `{kind}` needs it to be {' or '.join(allowed)}")


def _require_kept(tx: Reading, fields: Mapping[str, Any]) -> None:
    digests = [fields.get("attestation"), *fields.get("approvals", ()), *fields.get("attestations", ())]
    if any(digest is not None and tx.attestation(str(digest)) is None for digest in digests):
        raise ConfigurationError("a decision rests on a signed file that the store does not keep: keep it first")


def _require_officer(tx: Reading, trust: Trust | None, fields: Mapping[str, Any], origin: str) -> None:
    keyid, (size, _) = str(fields.get("keyid")), tx.head()
    person = trust.person(keyid) if trust else None
    if trust is None or person is None or person.id != fields.get("by"):
        raise KeyRefused(f"key {keyid} is not one of {fields.get('by')!r} by the root in force")
    why = trust.refusal(keyid, role="officer", day=Stamp.now().day, origin=origin, position=size + 1)
    if why:
        raise KeyRefused(why)


def _require_successor(tx: Reading, row: ReleaseRow, name: str, trust: Trust | None) -> None:
    """ConfigurationError unless a release may take the place of another: of the same tree, and published as it was."""
    other, state = tx.release(name), "settled" if trust is None else "published"
    out = ("RELEASED", "SUPERSEDED", "WITHDRAWN") if trust else ("SETTLED", "RELEASED", "SUPERSEDED", "WITHDRAWN")
    if other is None or other.id == row.id or other.state not in out:
        raise ConfigurationError(f"release {row.id!r} is superseded by another release that is {state}, not {name!r}")
    top, of = (accounts.path(tx, one.account)[-1].name for one in (row, other))
    if top != of:
        raise ConfigurationError(
            f"release {row.id!r} is charged to the accounts under {top!r} and {name!r} to those under {of!r}: only a "
            "release of the same tree supersedes it"
        )


def _agreed(entries: Iterable[Entry], kind: DecisionKind) -> int:
    """How many people have said this and nothing else since."""
    last: dict[str, str] = {}
    for entry in entries:
        if entry.kind in ("approve", "reject"):
            last[entry.fields["by"]] = entry.kind
    return list(last.values()).count(kind)
