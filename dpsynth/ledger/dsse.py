"""DSSE 1.0.2: the envelope that carries a payload and one Ed25519 signature over its exact bytes.

Source: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md (PAE) and envelope.md. DSSE admits several
spellings of one envelope; dpsynth writes and reads a single one (canonical JSON, standard base64, one signature, one
newline at the end), so that no bit of the file is free.
"""

from __future__ import annotations

import base64
from typing import Any

from dpsynth.errors import SignatureInvalid, UnknownEntry
from dpsynth.ledger.keys import ALGORITHM, PublicKey, SigningKey
from dpsynth.ledger.strict_json import canonical, read_object

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def envelope(payload: bytes, key: SigningKey) -> bytes:
    """The file that carries ``payload`` signed by ``key``."""
    return _render(payload, key.public.keyid, key.sign(pae(PAYLOAD_TYPE, payload)))


def open_envelope(data: bytes, key: PublicKey | None = None) -> bytes:
    """The payload, once the signature over its exact bytes is checked.

    ``key`` is the signer to expect; without it the key that the statement itself names, which proves that nothing
    was changed after signing, not who signed. SignatureInvalid otherwise.
    """
    value = read_object(data, "the envelope")
    try:
        payload = base64.b64decode(value["payload"], validate=True)
        (only,) = value["signatures"]
        keyid, signature = only["keyid"], base64.b64decode(only["sig"], validate=True)
        canonical_form = value["payloadType"] == PAYLOAD_TYPE and _render(payload, keyid, signature) == data
    except (KeyError, TypeError, ValueError):
        canonical_form = False
    if not canonical_form:
        raise SignatureInvalid("the envelope is not in the one form that dpsynth writes")
    signer = key or _signer(read_object(payload, "the signed statement"))
    if signer.keyid != keyid:
        raise SignatureInvalid(f"the envelope was signed under key id {keyid!r}, not {signer.keyid}")
    signer.check(signature, pae(PAYLOAD_TYPE, payload))
    return payload


def _signer(value: dict[str, Any]) -> PublicKey:
    try:
        signer = value["predicate"]["signer"]
        algorithm, text = signer["algorithm"], signer["public_key"]
    except (KeyError, TypeError):
        raise UnknownEntry("the signed statement does not name its signer") from None
    if algorithm != ALGORITHM or not isinstance(text, str):
        raise UnknownEntry("the signed statement names a signature algorithm that is not known")
    return PublicKey.parse(text)


def _render(payload: bytes, keyid: str, signature: bytes) -> bytes:
    signatures = [{"keyid": keyid, "sig": base64.b64encode(signature).decode("ascii")}]
    text = base64.b64encode(payload).decode("ascii")
    return canonical({"payload": text, "payloadType": PAYLOAD_TYPE, "signatures": signatures}) + b"\n"
