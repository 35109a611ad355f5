"""Who may speak: one version of the root, its people and their keys.

How versions follow each other is in :mod:`chain`, whose signatures count in :mod:`trust`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from dpsynth.errors import KeyRefused, SignatureInvalid, ThresholdNotMet, UnknownEntry
from dpsynth.ledger.fields import Fields, is_day
from dpsynth.ledger.keys import ALGORITHM, PublicKey
from dpsynth.ledger.strict_json import canonical, read_object

ROOT_TYPE = "application/vnd.dpsynth.root+json"
Role = Literal["officer", "engine"]
ROLES: tuple[Role, ...] = ("officer", "engine")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_KEYID = re.compile(r"[0-9a-f]{64}")
_ORIGIN = re.compile(r"dpsynth\.log/[0-9a-f]{32}")


@dataclass(frozen=True)
class RootKey:
    """A key of a person; it counts for nothing that happened after the day ``expires``."""

    public: PublicKey
    expires: str

    @property
    def keyid(self) -> str:
        """The id of the key."""
        return self.public.keyid

    def to_json(self) -> dict[str, Any]:
        """``{"algorithm", "keyid", "public_key", "expires"}``."""
        key = self.public
        return {"algorithm": ALGORITHM, "keyid": key.keyid, "public_key": key.base64, "expires": self.expires}


@dataclass(frozen=True)
class Person:
    """Somebody with a role and keys. An ``engine`` signs ledgers, checkpoints and status; an ``officer`` decides."""

    id: str
    role: Role
    keys: tuple[RootKey, ...]

    def to_json(self) -> dict[str, Any]:
        """``{"id", "role", "keys"}``."""
        return {"id": self.id, "role": self.role, "keys": [key.to_json() for key in self.keys]}


@dataclass(frozen=True)
class Revocation:
    """A revoked key: in each log ``origins`` names, what the log recorded up to that size still counts."""

    keyid: str
    origins: Mapping[str, int] = field(hash=False)

    def to_json(self) -> dict[str, Any]:
        """``{"keyid", "origins"}``."""
        return {"keyid": self.keyid, "origins": dict(self.origins)}


@dataclass(frozen=True)
class Root:
    """One version of the root: ``threshold`` officers must agree on anything. ``previous`` is the digest before it.

    Making one checks what it says by itself: UnknownEntry for a wrong form, KeyRefused for a key that two people or
    a person twice would have, or that is revoked and still listed, ThresholdNotMet for a threshold that nobody or that
    not all officers together could meet.
    """

    version: int
    name: str
    expires: str
    threshold: int
    people: tuple[Person, ...]
    revoked: tuple[Revocation, ...] = ()
    previous: str | None = None

    def __post_init__(self) -> None:
        _require_sound(self)

    @property
    def digest(self) -> str:
        """``sha256:…`` of the payload."""
        return "sha256:" + sha256(self.payload()).hexdigest()

    @property
    def officers(self) -> tuple[Person, ...]:
        """The people who decide."""
        return tuple(person for person in self.people if person.role == "officer")

    def owner(self, keyid: str) -> tuple[Person, RootKey] | None:
        """The person whom this version lists with the key."""
        return next(((person, key) for person in self.people for key in person.keys if key.keyid == keyid), None)

    def revocation(self, keyid: str) -> Revocation | None:
        """How this version revokes the key."""
        return next((one for one in self.revoked if one.keyid == keyid), None)

    def to_json(self) -> dict[str, Any]:
        """The object that is signed."""
        return {
            "version": self.version,
            "name": self.name,
            "expires": self.expires,
            "threshold": self.threshold,
            "people": [person.to_json() for person in self.people],
            "revoked": [one.to_json() for one in self.revoked],
            "previous": self.previous,
        }

    def payload(self) -> bytes:
        """The bytes that are signed."""
        return canonical(self.to_json())

    @classmethod
    def parse(cls, payload: bytes) -> Root:
        """The root in a payload; SignatureInvalid unless canonical, and as for making one."""
        value = read_object(payload, "a root")
        if canonical(value) != payload:
            raise SignatureInvalid("a root is not in canonical form")
        at = Fields(value, "a root", "version", "name", "expires", "threshold", "people", "revoked", "previous")
        return cls(
            at.count("version", 1),
            at.name("name"),
            at.day("expires"),
            at.count("threshold", 1),
            tuple(map(_person, at.items("people"))),
            tuple(map(_revocation, at.items("revoked"))),
            at.optional_digest("previous"),
        )


def _person(value: object) -> Person:
    at = Fields(value, "a person of the root", "id", "role", "keys")
    return Person(at.text("id", _ID), at.word("role", ROLES), tuple(map(_key, at.items("keys"))))


def _key(value: object) -> RootKey:
    at = Fields(value, "a key of the root", "algorithm", "keyid", "public_key", "expires")
    at.word("algorithm", (ALGORITHM,))
    key = RootKey(PublicKey.parse(at.text("public_key")), at.day("expires"))
    if at.text("keyid") != key.keyid:
        raise KeyRefused(f"the root gives the key {key.keyid} another id: a key has one id, the hash of its bytes")
    return key


def _revocation(value: object) -> Revocation:
    at = Fields(value, "a revocation of the root", "keyid", "origins")
    sizes = Fields(at.members("origins"), "a revocation of the root", *at.members("origins"))
    return Revocation(at.text("keyid", _KEYID), {origin: sizes.count(origin) for origin in at.members("origins")})


def _require_sound(root: Root) -> None:
    ids = [person.id for person in root.people]
    keyids = [key.keyid for person in root.people for key in person.keys]
    gone = [one.keyid for one in root.revoked]
    days = [root.expires, *(key.expires for person in root.people for key in person.keys)]
    if root.version < 1 or not root.name or not all(map(is_day, days)):
        raise UnknownEntry("a root has a version from 1, a name, and days as YYYY-MM-DD")
    logs = [log for one in root.revoked for log in one.origins.items()]
    if not all(map(_KEYID.fullmatch, gone)) or not all(_ORIGIN.fullmatch(log) and size >= 0 for log, size in logs):
        raise UnknownEntry("a root revokes keys by their id of 64 hex digits, up to sizes of logs named dpsynth.log/…")
    for person in root.people:
        if not _ID.fullmatch(person.id) or person.role not in ROLES:
            raise UnknownEntry("a person of the root has an id of letters, digits and ._@-, and a known role")
    if len({name.casefold() for name in ids}) != len(ids):
        raise UnknownEntry("two people of the root have the same id")
    if len(set(keyids)) != len(keyids):
        raise KeyRefused("the root lists a key twice: a key belongs to one person, once")
    if len(set(gone)) != len(gone):
        raise KeyRefused("the root revokes a key twice")
    if back := sorted(set(keyids) & set(gone)):
        raise KeyRefused(f"the root lists key {back[0]}, which it revokes")
    able = sum(1 for person in root.officers if person.keys)
    if not 1 <= root.threshold <= able:
        raise ThresholdNotMet(
            f"version {root.version} of the root has a threshold of {root.threshold} and {able} officers with a key: "
            "it has to be at least 1 and at most their number"
        )
    if (root.version == 1) != (root.previous is None):
        raise SignatureInvalid("version 1 of a root has no previous one, and every other has")
