"""Whose signatures count: a whole chain of roots, checked.

A key that is lost or misused is revoked by the next version of the root: it is no longer listed with its person, and
what it signed counts only where a log recorded it early enough (``Revocation.origins``). A key that is merely left out
counts for nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dpsynth.errors import KeyRefused, SignatureInvalid, ThresholdNotMet
from dpsynth.ledger.chain import read_chain, require_one_owner, require_signed
from dpsynth.ledger.dsse import Envelope
from dpsynth.ledger.people import Person, Role, Root, RootKey


@dataclass(frozen=True)
class Trust:
    """A whole chain of roots, checked. The newest version says who counts; earlier ones tell whose a key once was."""

    data: bytes = field(repr=False)
    roots: tuple[Root, ...]

    @classmethod
    def parse(cls, data: bytes) -> Trust:
        """Check a ``root.json`` from its first version to its newest.

        ThresholdNotMet: too few distinct officers signed a version. SignatureInvalid: a signature is wrong, or the
        versions do not follow each other. KeyRefused: a key under two names, a stranger's signature, or a revoked key
        that is back. UnknownEntry: anything else of another form.
        """
        envelopes = read_chain(data)
        roots: list[Root] = []
        for envelope in envelopes:
            roots.append(require_signed(roots[-1] if roots else None, envelope))
            require_one_owner(roots)
        return cls(data, tuple(roots))

    @property
    def newest(self) -> Root:
        """The version in force."""
        return self.roots[-1]

    @property
    def digest(self) -> str:
        """``sha256:…`` of the newest version's payload: the name of this root."""
        return self.newest.digest

    def version(self, digest: str) -> Root | None:
        """The version with this digest, if it is one of the chain."""
        return next((root for root in self.roots if root.digest == digest), None)

    def person(self, keyid: str) -> Person | None:
        """Whose key it is, or was: by the newest version that lists it."""
        found = self._owner(keyid)
        return found[0] if found else None

    def accepted(
        self,
        envelope: Envelope,
        *,
        role: Role,
        day: str,
        origin: str | None = None,
        position: int | None = None,
        but: Person | None = None,
    ) -> tuple[Person, ...]:
        """The distinct people of ``role`` whose signature on the envelope is good and counts on ``day``.

        ``origin`` and ``position`` say by which line of which log the envelope was recorded: a revoked key counts only
        there, and early enough. ``but`` never counts: nobody approves what is their own. Keys that the root does not
        know count for nothing. SignatureInvalid if a known key did not make the signature under its id.
        """
        people: dict[str, Person] = {}
        for keyid, signature in envelope.signatures:
            found = self._owner(keyid)
            if found is None:
                continue
            person, key = found
            key.public.check(signature, envelope.signed_bytes)
            counts = not self.refusal(keyid, role=role, day=day, origin=origin, position=position)
            if counts and not (but and person.id == but.id):
                people[person.id] = person
        return tuple(people.values())

    def signer(
        self, envelope: Envelope, *, role: Role, day: str, origin: str | None = None, position: int | None = None
    ) -> Person:
        """Who signed an envelope of one signature. KeyRefused says why it does not count; SignatureInvalid if wrong."""
        if len(envelope.signatures) != 1:
            raise SignatureInvalid("the envelope has to have exactly one signature")
        ((keyid, _),) = envelope.signatures
        if why := self.refusal(keyid, role=role, day=day, origin=origin, position=position):
            raise KeyRefused(why)
        (person,) = self.accepted(envelope, role=role, day=day, origin=origin, position=position)
        return person

    def refusal(
        self, keyid: str, *, role: Role, day: str, origin: str | None = None, position: int | None = None
    ) -> str:
        """Why a signature of this key does not count, or ``""``."""
        found, revoked = self._owner(keyid), self.newest.revocation(keyid)
        if found is None:
            return f"the root does not know key {keyid}"
        person, key = found
        if person.role != role:
            return f"{person.id!r} is no {role}"
        if revoked is None and self.newest.owner(keyid) is None:
            return f"key {keyid} of {person.id!r} is no longer in the root"
        if revoked is not None:
            last = revoked.origins.get(origin) if origin is not None else None
            if last is None or position is None or position > last:
                return f"key {keyid} of {person.id!r} is revoked, and no log recorded this before"
        if day > key.expires:
            return f"key {keyid} of {person.id!r} expired on {key.expires}"
        if day > self.newest.expires:
            return f"version {self.newest.version} of the root expired on {self.newest.expires}"
        return ""

    def require(self, people: Iterable[Person], root: Root | None = None) -> None:
        """ThresholdNotMet unless so many distinct people; ``root`` is the version whose threshold is meant."""
        needed, found = (root or self.newest).threshold, sorted({person.id for person in people})
        if len(found) < needed:
            told = f" ({', '.join(found)})" if found else ""
            raise ThresholdNotMet(f"{len(found)} of the {needed} people needed have signed{told}")

    def require_current(self, day: str) -> None:
        """KeyRefused if the newest version was past its day on ``day``: a later one may have been kept back."""
        if day > self.newest.expires:
            raise KeyRefused(
                f"version {self.newest.version} of the root expired on {self.newest.expires}: get a newer one"
            )

    def _owner(self, keyid: str) -> tuple[Person, RootKey] | None:
        return next((found for root in reversed(self.roots) if (found := root.owner(keyid))), None)
