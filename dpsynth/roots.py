"""Who may sign: the versions of an organisation's root.json, each shown to follow from the one before. Beside trust.py.

Needs Python >= 3.11, its standard library, the package `cryptography` and evidence.py. What people signed, and whether
enough of them did, is the question of trust.py.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from dpsynth import evidence
    from dpsynth.evidence import Envelope, Json, Refused, demand
else:  # copied beside the other files, without the package
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import evidence
    from evidence import Envelope, Json, Refused, demand

SIGNATURE, KEY, THRESHOLD = evidence.SIGNATURE, evidence.KEY, evidence.THRESHOLD

# fmt: off
COUNT, COUNTING, DAY, DIGESTED, HEX64 = (
    evidence.COUNT, evidence.COUNTING, evidence.DAY, evidence.DIGESTED, evidence.HEX64
)
ROOT: Any = {
    "version": COUNTING, "name": evidence.NAME, "expires": DAY, "threshold": COUNTING, "previous": DIGESTED,
    "people": [{"id": evidence.PERSON, "role": ("officer", "engine"), "keys": [
        {"algorithm": "ed25519", "keyid": HEX64, "public_key": str, "expires": DAY},
    ]}],
    "revoked": [{"keyid": HEX64, "origins": dict}],
}
# fmt: on


@dataclass(frozen=True)
class Key:
    """A key of a person."""

    person: str
    role: str
    public: bytes
    expires: str


@dataclass(frozen=True)
class Root:
    """One version of who may sign. ``revoked`` says up to which size of which log a revoked key still counts."""

    version: int
    digest: str
    threshold: int
    expires: str
    keys: dict[str, Key]
    revoked: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Trust:
    """All versions of a root, each shown to follow from the one before."""

    roots: tuple[Root, ...]

    def signers(self, envelope: Envelope) -> dict[str, Key]:
        """The known keys that signed, by the newest version that lists them; refused if one of them did not."""
        found: dict[str, Key] = {}
        for keyid in envelope.signatures:
            key = next((root.keys[keyid] for root in reversed(self.roots) if keyid in root.keys), None)
            if key and not envelope.signed_by(keyid, key.public):
                raise Refused(f"{envelope.name}: the signature of {key.person} does not fit the bytes", SIGNATURE)
            found |= {keyid: key} if key else {}
        return found

    def signer(self, envelope: Envelope) -> Key:
        """The key of an envelope that one key signed; refused if the root never knew it."""
        if key := self.signers(envelope).get(envelope.keyid):
            return key
        raise Refused(f"{envelope.name} is signed by a key that is not the root's: {envelope.keyid}", KEY)

    def against(self, keyid: str, key: Key, role: str, day: str, at: tuple[str, int] | None) -> str:
        """Why a signature made by a day, and recorded at a place of a log, does not count; nothing if it does.

        A key that the newest version leaves out counts nowhere; one that it revokes, in each log up to a size.
        """
        newest = self.roots[-1]
        limits = newest.revoked.get(keyid, None if keyid in newest.keys else {})
        if key.role != role:
            return f"it is not a key of an {role}"
        if day > min(key.expires, newest.expires):
            return f"it, or the root, had expired by {day}"
        return "" if limits is None or (at and at[1] <= limits.get(at[0], -1)) else "it was revoked"

    def officers(self, envelope: Envelope, day: str, at: tuple[str, int] | None) -> set[str]:
        """The people whose signatures as officers count."""
        keys = self.signers(envelope)
        return {key.person for keyid, key in keys.items() if not self.against(keyid, key, "officer", day, at)}


def read_trust(data: bytes) -> Trust:
    """The chain of versions in root.json: each signed by enough officers of the one before it and of itself."""
    whole = data.endswith(b"\n") and len(data) <= evidence.MAX_BYTES
    value: Json = evidence.read_json(data[:-1] if whole else b"", "root.json")
    demand(value, {"roots": [dict]}, "root.json", SIGNATURE)
    roots: list[Root] = []
    owners: dict[str, str] = {}  # of keys
    gone: set[str] = set()
    for number, item in enumerate(value["roots"], 1):
        envelope = evidence.read_envelope(item, f"version {number} of the root", evidence.ROOT_TYPE)
        root, before = read_root(envelope, number, roots[-1].digest if roots else None), roots[-1:]
        roots.append(root)
        gone |= root.revoked.keys()
        same = all(owners.setdefault(keyid, key.person) == key.person for keyid, key in root.keys.items())
        if not same or gone & root.keys.keys():
            raise Refused(f"{envelope.name}: a key belongs to two people, or is back after it was revoked", KEY)
        keys = Trust((*before, root)).signers(envelope)
        if keys.keys() != envelope.signatures.keys() or any(key.role != "officer" for key in keys.values()):
            raise Refused(f"{envelope.name} is signed by a key that is no officer's", KEY)
        for judge in (*before, root):
            own = [judge.keys[keyid] for keyid in keys if keyid in judge.keys]
            people = {key.person for key in own if key.role == "officer"}
            if len(people) < judge.threshold:
                text = f"{len(people)} of {judge.threshold} officers of version {judge.version}"
                raise Refused(f"{envelope.name} is signed by {text}", THRESHOLD)
    if not roots:
        raise Refused("root.json holds no root", SIGNATURE)
    return Trust(tuple(roots))


def read_root(envelope: Envelope, number: int, previous: str | None) -> Root:
    """One version of the root, whose signatures are not looked at here."""
    name, value = envelope.name, evidence.read_json(envelope.payload, envelope.name)
    demand(value, ROOT, name)
    if (value["version"], value["previous"]) != (number, previous):
        raise Refused(f"{name} does not follow the version before it", SIGNATURE)
    keys: dict[str, Key] = {}
    for person in value["people"]:
        for key in person["keys"]:
            public = evidence.unbase64(key["public_key"])
            if len(public) != 32 or sha256(public).hexdigest() != key["keyid"] or key["keyid"] in keys:
                raise Refused(f"{name}: a key id is not the SHA-256 of its key, or a key is named twice", KEY)
            keys[key["keyid"]] = Key(person["id"], person["role"], public, key["expires"])
    revoked = {key["keyid"]: key["origins"] for key in value["revoked"]}
    sizes = [size for origins in revoked.values() for size in origins.values()]
    demand(
        [*sizes, *(size for origins in revoked.values() for size in origins)],
        [(COUNT, evidence.ORIGIN)],
        f"{name}.revoked",
    )
    ids = [person["id"].casefold() for person in value["people"]]
    if len(set(ids)) < len(ids) or len(revoked) < len(value["revoked"]):
        raise Refused(f"{name} names a person, or a revoked key, twice", KEY)
    if value["threshold"] > len({key.person for key in keys.values() if key.role == "officer"}):
        raise Refused(f"{name} asks for more officers than it has", THRESHOLD)
    return Root(number, evidence.digest_of(envelope.payload), value["threshold"], value["expires"], keys, revoked)
