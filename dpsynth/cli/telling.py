"""Roots and grants in words: what is about to be signed, and how far the signing is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.cli.output import hint, say, say_json
from dpsynth.errors import KeyRefused, ThresholdNotMet, VerificationError

if TYPE_CHECKING:
    from dpsynth.ledger import Draft, Grant, Person, Quorum, Root, SigningKey, Trust


def today() -> str:
    """The day, UTC."""
    return datetime.now(UTC).date().isoformat()


def plain(text: str, limit: int = 500) -> str:
    """Text from a file, safe to print: no control characters, no marks that hide or reorder."""
    safe = "".join(char if char.isprintable() and char != "\\" else f"\\u{{{ord(char):x}}}" for char in text[:limit])
    return safe + ("…" if len(text) > limit else "")


def names(people: tuple[Person, ...]) -> str:
    """The ids of people."""
    return ", ".join(person.id for person in people) or "nobody"


def of_root(draft: Draft) -> list[str]:
    """What a version of the root says, and how it differs from the one before."""
    root, before = draft.root, draft.earlier.newest if draft.earlier else None
    lines = [f"version {root.version} of the root {plain(root.name)!r}, until {root.expires}", _rule(root)]
    if before and (root.threshold, root.name) != (before.threshold, before.name):
        lines.append(f"before: {_rule(before)}; root {plain(before.name)!r}")
    lines += [line for person in root.people for line in _keys_of(person, before)]
    if before:
        lines += [f"no longer: {person.id} ({person.role})" for person in before.people if not _in(person, root)]
        lines += [f"dropped: key {key}; what it signed counts no more" for key in dropped(before, root)]
    known = before.revoked if before else ()
    for one in root.revoked:
        if one not in known:
            sizes = ", ".join(f"{plain(origin)} up to {size}" for origin, size in sorted(one.origins.items()))
            lines.append(f"revoked: key {one.keyid}; what it signed counts {'in ' + sizes if sizes else 'nowhere'}")
    return lines


def dropped(before: Root, root: Root) -> list[str]:
    """Keys that a version leaves out and does not revoke."""
    keyids = [key.keyid for person in before.people for key in person.keys]
    return [keyid for keyid in keyids if not root.owner(keyid) and not root.revocation(keyid)]


def of_grant(grant: Grant) -> list[str]:
    """What a budget grant gives to whom."""
    from dpsynth.ledger.fields import MAX_TEXT
    from dpsynth.privacy import NAMES, exact_text

    policy, added = grant.policy, grant.added
    place = f"{grant.level} under {plain(grant.parent)!r}" if grant.parent else grant.level
    rows = "each row its own" if grant.column is None else f"told apart by column {plain(grant.column)!r}"
    return [
        f"budget for account {plain(grant.account)!r} ({place}): {grant.reason}",
        f"adds {added.amount} of {added.unit} and {exact_text(added.delta)} of delta ({NAMES[added.measure]})",
        f"the whole promise is then epsilon {exact_text(policy.epsilon)} at delta {exact_text(policy.delta)}",
        f"it protects {plain(grant.entity)!r} ({rows}) under {grant.neighbours}",
        *_divided(grant),
        f"population: {plain(grant.population, MAX_TEXT)}",
        f"justification: {plain(grant.justification, MAX_TEXT) or '(none)'}",
        f"of {grant.day}, under the root {grant.root}, for the store whose log is {grant.origin}",
    ]


def _divided(grant: Grant) -> list[str]:
    if grant.cells is not None:
        labels = ", ".join(map(plain, grant.cells.labels))
        return [f"it is divided by column {plain(grant.cells.column)!r} into {labels}: cells add up in parallel"]
    return (
        [] if grant.cell is None else [f"it is the cell {plain(grant.cell)!r} of the account above, and sees no other"]
    )


def _rule(root: Root) -> str:
    able = tuple(person for person in root.officers if person.keys)
    return f"{root.threshold} of {len(able)} officers decide: {names(able)}"


def _keys_of(person: Person, before: Root | None) -> list[str]:
    lines = []
    for key in person.keys:
        mark = "" if before is None or before.owner(key.keyid) else "new: "
        lines.append(f"{mark}{person.id} ({person.role}) key {key.keyid} until {key.expires}")
    return lines or [f"{person.id} ({person.role}) without a key"]


def _in(person: Person, root: Root) -> bool:
    return any(one.id == person.id and one.role == person.role for one in root.people)


def trouble(draft: Draft, day: str) -> VerificationError | None:
    """Why a root is not in force on a day: signatures missing, or past its day."""
    root = draft.root
    for quorum in draft.quorums:
        if not quorum.met:
            return ThresholdNotMet(progress(quorum))
    if root.expires < day:
        return KeyRefused(f"version {root.version} of the root expired on {root.expires}: draft the next one")
    able = [person for person in root.officers if any(key.expires >= day for key in person.keys)]
    if len(able) < root.threshold:
        return KeyRefused(f"only {len(able)} officers have a key that has not expired, and {root.threshold} decide")
    return None


def progress(quorum: Quorum) -> str:
    """How many officers of a version have signed, and who is still to be asked."""
    told = f"officers of version {quorum.version}: {len(quorum.signed)} of {quorum.needed} have signed"
    told += f" ({names(quorum.signed)})" if quorum.signed else ""
    return told if quorum.met else f"{told}; still to ask: {names(quorum.missing)}"


def document(draft: Draft, day: str) -> dict[str, Any]:
    """A version of the root and its signatures for programs."""
    root = draft.root
    people = [
        {
            "id": person.id,
            "role": person.role,
            "keys": [{"keyid": key.keyid, "expires": key.expires, "expired": key.expires < day} for key in person.keys],
        }
        for person in root.people
    ]
    signatures = [
        {
            "officers_of_version": quorum.version,
            "needed": quorum.needed,
            "signed": [person.id for person in quorum.signed],
            "missing": [person.id for person in quorum.missing],
        }
        for quorum in draft.quorums
    ]
    return {
        "version": root.version,
        "name": root.name,
        "expires": root.expires,
        "threshold": root.threshold,
        "digest": root.digest,
        "people": people,
        "revoked": [one.to_json() for one in root.revoked],
        "complete": draft.complete,
        "signatures": signatures,
    }


def say_draft(draft: Draft, out: Path, as_json: bool, key: SigningKey | None = None) -> None:
    """Print where a root was written, and what is to be done with it. ``key`` is who has just signed."""
    if as_json:
        mine = {"keyid": key.public.keyid} if key else {}
        say_json({"ok": True, "file": str(out), **mine, **document(draft, today())})
        return
    say(str(out))
    for keyid in dropped(draft.earlier.newest, draft.root) if draft.earlier else ():
        hint(f"warning: key {keyid} is left out and not revoked: nothing that it signed counts any more")
    for quorum in draft.quorums:
        hint(progress(quorum))
    hint("complete" if draft.complete else f"next: dpsynth keys sign {out} --key KEY, by each of them")


def say_grant(data: bytes, trust: Trust | None, out: Path, as_json: bool, key: SigningKey | None = None) -> None:
    """Print where a grant was written, and who has signed as far as can be told."""
    from dpsynth.ledger import parse_grant, read_envelope

    envelope = read_envelope(data)
    people = trust.accepted(envelope, role="officer", day=today()) if trust else ()
    if as_json:
        found: dict[str, Any] = {"ok": True, "file": str(out), "grant": parse_grant(envelope.payload).digest}
        found |= {"keyid": key.public.keyid} if key else {}
        found |= {"keyids": [keyid for keyid, _ in envelope.signatures]}
        if trust:
            found |= {"signed": [one.id for one in people], "needed": trust.newest.threshold}
        say_json(found)
        return
    say(str(out))
    if trust:
        hint(f"{len(people)} of {trust.newest.threshold} officers have signed ({names(people)})")
    else:
        hint(f"{len(envelope.signatures)} have signed; whether they count is for the root to say (--root)")
