"""Making the next version of the root, by people on different machines.

A draft is a chain whose newest version lacks signatures: it is made by :func:`new_root` or :func:`next_root`, handed
around, signed by each (:func:`sign_root`) and brought together (:func:`merge_roots`). :class:`Draft` says who is
missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.errors import KeyRefused, SignatureInvalid
from dpsynth.ledger.chain import Quorum, follows, quorums, read_chain, require_one_owner, write_chain
from dpsynth.ledger.dsse import Envelope
from dpsynth.ledger.keys import SigningKey
from dpsynth.ledger.people import ROOT_TYPE, Person, Revocation, Root
from dpsynth.ledger.trust import Trust


@dataclass(frozen=True)
class Draft:
    """A chain whose newest version may lack signatures; all before it are complete."""

    earlier: Trust | None
    root: Root
    envelope: Envelope

    @classmethod
    def parse(cls, data: bytes) -> Draft:
        """Read a draft, or a complete chain; errors as for ``Trust.parse``, but for signatures that are missing."""
        *done, last = read_chain(data)
        earlier = Trust.parse(write_chain(done)) if done else None
        root = follows(earlier.newest if earlier else None, last)
        require_one_owner([*(earlier.roots if earlier else ()), root])
        return cls(earlier, root, last)

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return write_chain([*(read_chain(self.earlier.data) if self.earlier else ()), self.envelope])

    @property
    def quorums(self) -> tuple[Quorum, ...]:
        """How far each version's officers are with signing."""
        return quorums(self.earlier.newest if self.earlier else None, self.envelope)

    @property
    def complete(self) -> bool:
        """Whether nobody has to sign any more."""
        return all(quorum.met for quorum in self.quorums)


def new_root(name: str, expires: str, threshold: int, people: Sequence[Person]) -> bytes:
    """A draft of version 1; errors as for making a ``Root``."""
    return write_chain([_unsigned(Root(1, name, expires, threshold, tuple(people)))])


def next_root(
    trust: Trust,
    *,
    name: str | None = None,
    expires: str | None = None,
    threshold: int | None = None,
    people: Sequence[Person] | None = None,
    revoked: Sequence[Revocation] = (),
) -> bytes:
    """A draft of the version after the newest of ``trust``; what is not given stays as it is.

    ``revoked`` adds to what is revoked already, or corrects where it counts; unless ``people`` are given, its keys go
    from theirs. KeyRefused for a key that nobody has had, that is listed though revoked, or that changes hands.
    """
    newest = trust.newest
    gone = {one.keyid: one for one in (*newest.revoked, *revoked)}
    for one in revoked:
        if trust.person(one.keyid) is None:
            raise KeyRefused(f"the root never had the key {one.keyid}")
    kept = [
        Person(person.id, person.role, tuple(key for key in person.keys if key.keyid not in gone))
        for person in newest.people
    ]
    root = Root(
        newest.version + 1,
        newest.name if name is None else name,
        newest.expires if expires is None else expires,
        newest.threshold if threshold is None else threshold,
        tuple(kept if people is None else people),
        tuple(gone.values()),
        newest.digest,
    )
    require_one_owner([*trust.roots, root])
    return write_chain([*read_chain(trust.data), _unsigned(root)])


def sign_root(data: bytes, key: SigningKey) -> bytes:
    """The draft with one signature more. KeyRefused unless the key is an officer's of the old or the new version."""
    draft = Draft.parse(data)
    signed = Draft(draft.earlier, draft.root, draft.envelope.with_signature(key))
    return Draft.parse(signed.data).data


def merge_roots(first: bytes, second: bytes) -> bytes:
    """Two copies of a draft that different people have signed, as one; SignatureInvalid unless it is the same draft.

    A signature that one copy has on an earlier version and the other lacks is kept.
    """
    one, two = read_chain(first), read_chain(second)
    if len(one) != len(two):
        raise SignatureInvalid(
            "the two root files have different versions: their signatures cannot be brought together"
        )
    return Draft.parse(write_chain([a.merged(b) for a, b in zip(one, two, strict=True)])).data


def _unsigned(root: Root) -> Envelope:
    return Envelope(root.payload(), ROOT_TYPE, ())
