"""The file ``root.json``: its links, how they follow each other, and who signed them.

It holds every version of the root, each in an envelope of its own (DSSE). The rules are those of The Update Framework
(https://theupdateframework.github.io/specification/latest/, 5.3): version 1 is signed by its own threshold of
officers; version N + 1 names the digest of version N and is signed by the threshold of N *and* by its own. Nothing is
skipped. Officers are counted as people, and a key has one person: two keys of one person, or one key under two names,
never count twice. No key comes back once it was revoked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dpsynth.errors import KeyRefused, SignatureInvalid, ThresholdNotMet, UnknownEntry
from dpsynth.ledger.dsse import Envelope
from dpsynth.ledger.fields import Fields
from dpsynth.ledger.people import ROOT_TYPE, Person, Root
from dpsynth.ledger.strict_json import canonical, read_object


def read_chain(data: bytes) -> tuple[Envelope, ...]:
    """The envelopes of a ``root.json``, form only; SignatureInvalid or UnknownEntry if it is not one."""
    value = read_object(data, "the root file")
    if canonical(value) + b"\n" != data:
        raise SignatureInvalid("the root file is not in the one form that dpsynth writes")
    envelopes = tuple(Envelope.from_json(item) for item in Fields(value, "the root file", "roots").items("roots"))
    if not envelopes or any(one.payload_type != ROOT_TYPE for one in envelopes):
        raise UnknownEntry("a root file holds at least one root, and nothing else")
    return envelopes


def write_chain(envelopes: Sequence[Envelope]) -> bytes:
    """The bytes of a ``root.json``."""
    return canonical({"roots": [one.to_json() for one in envelopes]}) + b"\n"


@dataclass(frozen=True)
class Quorum:
    """How far the officers of one version are with signing: ``needed`` of ``signed + missing``."""

    version: int
    needed: int
    signed: tuple[Person, ...]
    missing: tuple[Person, ...]

    @property
    def met(self) -> bool:
        """Whether enough people have signed."""
        return len(self.signed) >= self.needed


def follows(before: Root | None, envelope: Envelope) -> Root:
    """The root in an envelope, if it is the one after ``before`` and has no wrong signature; enough or not.

    SignatureInvalid: another version, another previous one, or a wrong signature. KeyRefused: a signature of somebody
    who is an officer of neither version.
    """
    root = Root.parse(envelope.payload)
    expected = (before.version + 1, before.digest) if before else (1, None)
    if (root.version, root.previous) != expected:
        raise SignatureInvalid(
            f"version {root.version} of the root does not follow version {expected[0] - 1}: versions count one by one "
            "and name the digest of the one before"
        )
    for keyid, signature in envelope.signatures:
        found = root.owner(keyid) or (before.owner(keyid) if before else None)
        if found is None or found[0].role != "officer":
            raise KeyRefused(f"version {root.version} of the root is signed by key {keyid}, which is no officer's")
        found[1].public.check(signature, envelope.signed_bytes)
    return root


def quorums(before: Root | None, envelope: Envelope) -> tuple[Quorum, ...]:
    """Who has signed, of each version whose threshold has to be met: the one before, and the root's own."""
    root = follows(before, envelope)
    keyids = {keyid for keyid, _ in envelope.signatures}
    found = []
    for one in (before, root):
        if one is not None:
            signed = tuple(person for person in one.officers if keyids & {key.keyid for key in person.keys})
            missing = tuple(person for person in one.officers if person not in signed and person.keys)
            found.append(Quorum(one.version, one.threshold, signed, missing))
    return tuple(found)


def require_signed(before: Root | None, envelope: Envelope) -> Root:
    """The root in an envelope, once the thresholds of both versions are met; as ``follows``, and ThresholdNotMet."""
    root = follows(before, envelope)
    for quorum in quorums(before, envelope):
        if not quorum.met:
            raise ThresholdNotMet(
                f"version {root.version} of the root is signed by {len(quorum.signed)} of the {quorum.needed} officers "
                f"of version {quorum.version} that it needs"
            )
    return root


def require_one_owner(roots: Iterable[Root]) -> None:
    """KeyRefused if a version lists a key that an earlier one revoked, or gives a key to another person."""
    revoked: set[str] = set()
    owners: dict[str, str] = {}
    for root in roots:
        for person in root.people:
            for key in person.keys:
                if owners.setdefault(key.keyid, person.id) != person.id:
                    raise KeyRefused(f"version {root.version} of the root gives key {key.keyid} to another person")
        if back := sorted(key for key in revoked if root.owner(key)):
            raise KeyRefused(f"version {root.version} of the root brings back key {back[0]}, which was revoked")
        revoked |= {one.keyid for one in root.revoked}
