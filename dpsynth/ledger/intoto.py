"""in-toto Statement v1: which files, by digest, and what is said about them.

Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dpsynth.errors import UnknownEntry
from dpsynth.ledger.strict_json import canonical, read_object

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
LEDGER_TYPE = "urn:dpsynth:dp-ledger:v1"
DERIVATION_TYPE = "urn:dpsynth:dp-derivation:v1"
APPROVAL_TYPE = "urn:dpsynth:dp-approval:v1"
STATUS_TYPE = "urn:dpsynth:dp-status:v1"
GRANT_TYPE = "urn:dpsynth:dp-budget-grant:v1"
LEDGER_NAME = "ledger.dsse.json"
ROOT_NAME = "root.json"
ENVELOPE_SUFFIX = ".dsse.json"

_ABOUT_LEDGERS = (APPROVAL_TYPE, STATUS_TYPE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Statement:
    """What was signed: ``subjects`` are (file name, SHA-256 in hex), ``predicate`` is JSON of the type named."""

    subjects: tuple[tuple[str, str], ...]
    predicate_type: str
    predicate: Mapping[str, Any]


def statement(subjects: Sequence[tuple[str, str]], predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """The payload of an envelope, subjects sorted by name.

    A subject is a published file by its plain name (letters, digits, ``._-``; no folder, no envelope) with its
    SHA-256 in hex; approvals and status are also about the ledger. ValueError otherwise, for a doubled name, or for no
    subject at all.
    """
    names = [name for name, _ in subjects]
    if not names or len(set(names)) != len(names):
        raise ValueError("a statement is about at least one file, and names each file once")
    for name, digest in subjects:
        if not _is_subject(name, predicate_type):
            raise ValueError(f"{name!r} cannot be the name of a published file: letters, digits and ._- only")
        if not _HEX.fullmatch(digest):
            raise ValueError(f"the digest of {name!r} is not a SHA-256 in hex")
    listed = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects)]
    return canonical(
        {"_type": STATEMENT_TYPE, "subject": listed, "predicateType": predicate_type, "predicate": predicate}
    )


def parse_statement(payload: bytes) -> Statement:
    """Read a payload. SignatureInvalid: not strict JSON. UnknownEntry: not a statement of this form."""
    value = read_object(payload, "the signed statement")
    try:
        if value.keys() != {"_type", "subject", "predicateType", "predicate"} or value["_type"] != STATEMENT_TYPE:
            raise UnknownEntry("the signed payload is not an in-toto Statement v1")
        subjects = tuple((item["name"], item["digest"]["sha256"]) for item in value["subject"])
        predicate_type, predicate = value["predicateType"], value["predicate"]
    except (KeyError, TypeError):
        raise UnknownEntry("a subject of the statement lacks its name or its SHA-256") from None
    well_formed = all(
        isinstance(name, str)
        and _is_subject(name, predicate_type)
        and isinstance(digest, str)
        and _HEX.fullmatch(digest)
        for name, digest in subjects
    )
    if not well_formed or not isinstance(predicate_type, str) or not isinstance(predicate, dict):
        raise UnknownEntry("the signed statement has a subject, type or predicate of unknown form")
    return Statement(subjects, predicate_type, predicate)


def is_subject_name(name: str) -> bool:
    """Whether a file of this name may be published and signed: a plain name that is not an envelope's."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(ENVELOPE_SUFFIX)


def _is_subject(name: str, predicate_type: object) -> bool:
    return is_subject_name(name) or (name == LEDGER_NAME and predicate_type in _ABOUT_LEDGERS)
