"""DSSE 1.0.2: the envelope that carries a payload and Ed25519 signatures over its exact bytes.

Source: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md (PAE) and envelope.md. DSSE admits several
spellings of one envelope; dpsynth writes and reads a single one (canonical JSON, standard base64, signatures sorted by
key id and each key id once, one newline at the end), so that no bit of the file is free. A key id is the SHA-256 of the
key's 32 bytes: one key has one id.

- Ledger, derivation and status have one signer, whom the statement names: :func:`envelope`, :func:`open_envelope`.
- Roots and grants are signed by several people, one after the other: :func:`seal`, :func:`add_signature`,
  :func:`merge`, :func:`read_envelope`. Whose signatures count is for :mod:`dpsynth.ledger.people` to say.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dpsynth.errors import SignatureInvalid, UnknownEntry
from dpsynth.ledger.keys import ALGORITHM, PublicKey, SigningKey
from dpsynth.ledger.strict_json import canonical, read_object

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_SIGNATURES = 64
_KEYID = re.compile(r"[0-9a-f]{64}")
_FORM = "the envelope is not in the one form that dpsynth writes"


@dataclass(frozen=True)
class Envelope:
    """A payload of a named type and its signatures as (key id, 64 bytes), sorted by key id.

    That it could be read says nothing about whether a signature is good.
    """

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return canonical(self.to_json()) + b"\n"

    @property
    def signed_bytes(self) -> bytes:
        """What each signature is over."""
        return pae(self.payload_type, self.payload)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the file."""
        return {
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": keyid, "sig": base64.b64encode(sig).decode("ascii")} for keyid, sig in self.signatures
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Envelope:
        """The envelope of a JSON object; SignatureInvalid unless ``to_json`` gives exactly that object."""
        try:
            payload = base64.b64decode(value["payload"], validate=True)
            found = [(item["keyid"], base64.b64decode(item["sig"], validate=True)) for item in value["signatures"]]
            made = cls(payload, value["payloadType"], tuple(found))
            good = isinstance(made.payload_type, str) and made.to_json() == value and len(found) <= MAX_SIGNATURES
            keyids = [keyid for keyid, _ in found]
            good = good and all(_KEYID.fullmatch(keyid) and len(sig) == 64 for keyid, sig in found)
            good = good and keyids == sorted(set(keyids))
        except (KeyError, TypeError, ValueError, AttributeError):
            good = False
        if not good:
            raise SignatureInvalid(_FORM)
        return made

    def with_signature(self, key: SigningKey) -> Envelope:
        """The same payload, signed by ``key`` too."""
        return self._with({key.public.keyid: key.sign(self.signed_bytes)})

    def merged(self, other: Envelope) -> Envelope:
        """The signatures of both; SignatureInvalid unless they carry the same payload."""
        if (self.payload_type, self.payload) != (other.payload_type, other.payload):
            raise SignatureInvalid("the two files do not say the same: their signatures cannot be brought together")
        return self._with(dict(other.signatures))

    def _with(self, more: Mapping[str, bytes]) -> Envelope:
        mine = dict(self.signatures)
        for keyid, sig in more.items():
            if mine.setdefault(keyid, sig) != sig:
                raise SignatureInvalid(f"there are two different signatures under key id {keyid}")
        return replace(self, signatures=tuple(sorted(mine.items())))


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, keys: Sequence[SigningKey], payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The file that carries ``payload`` signed by all ``keys``; with none, a draft to be signed."""
    made = Envelope(payload, payload_type, ())
    for key in keys:
        made = made.with_signature(key)
    return made.data


def read_envelope(data: bytes) -> Envelope:
    """The envelope in a file. SignatureInvalid unless it has the one form; no signature is checked."""
    made = Envelope.from_json(read_object(data, "the envelope"))
    if made.data != data:
        raise SignatureInvalid(_FORM)
    return made


def add_signature(data: bytes, key: SigningKey) -> bytes:
    """The file with one signature more."""
    return read_envelope(data).with_signature(key).data


def merge(first: bytes, second: bytes) -> bytes:
    """Two copies of a file, signed by different people, as one; SignatureInvalid if their payloads differ."""
    return read_envelope(first).merged(read_envelope(second)).data


def envelope(payload: bytes, key: SigningKey) -> bytes:
    """The file that carries ``payload`` signed by ``key`` alone."""
    return seal(payload, [key])


def open_envelope(data: bytes, key: PublicKey | None = None) -> bytes:
    """The payload of a file with one signer, once the signature over its exact bytes is checked.

    ``key`` is the signer to expect; without it the key that the statement itself names, which proves that nothing
    was changed after signing, not who signed. SignatureInvalid otherwise.
    """
    found = read_envelope(data)
    if found.payload_type != PAYLOAD_TYPE or len(found.signatures) != 1:
        raise SignatureInvalid(_FORM)
    ((keyid, signature),) = found.signatures
    signer = key or _signer(read_object(found.payload, "the signed statement"))
    if signer.keyid != keyid:
        raise SignatureInvalid(f"the envelope was signed under key id {keyid!r}, not {signer.keyid}")
    signer.check(signature, found.signed_bytes)
    return found.payload


def _signer(value: dict[str, Any]) -> PublicKey:
    try:
        signer = value["predicate"]["signer"]
        algorithm, text = signer["algorithm"], signer["public_key"]
    except (KeyError, TypeError):
        raise UnknownEntry("the signed statement does not name its signer") from None
    if algorithm != ALGORITHM or not isinstance(text, str):
        raise UnknownEntry("the signed statement names a signature algorithm that is not known")
    return PublicKey.parse(text)
