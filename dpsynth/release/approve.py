"""What officers decide about a release, signed on any machine, and how their files come back.

A decision is a small signed file that names the release by the digests of its ledger and data: it holds for exactly
these, and for no other files under the same name. It goes to ``approvals/`` in the release folder. Who may sign is in
the root of the officers; whether enough of them have is for :mod:`dpsynth.release.publish` to count, by the root in the
store. The signing key never leaves the machine of its owner: a request (:func:`request`) and the signed file travel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from dpsynth.errors import ConfigurationError, DigestMismatch, KeyRefused, SignatureInvalid
from dpsynth.files import read_whole, telling, write_whole
from dpsynth.ledger import (
    DATA_NAME,
    DECISIONS,
    REJECT_REASONS,
    WITHDRAW_REASONS,
    Approval,
    Decision,
    Envelope,
    SigningKey,
    Trust,
    canonical,
    fingerprint_of_digest,
    parse_approval,
    read_envelope,
    read_object,
    same_words,
    seal,
)
from dpsynth.release.check import LEDGER, read_statement
from dpsynth.release.folder import UNDECIDED, raise_for, sha256_of

APPROVALS = "approvals"
REQUEST_TYPE = "dpsynth approval request"
LIFE = 30
"""Days for which a decision waits to be counted, unless its officer says otherwise."""
_KEYS = {"version", "type", "release", "ledger", "data", "root", "fingerprint", "officers"}


def today() -> date:
    """The day, UTC."""
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class Request:
    """What an officer is asked to decide on: digests of the ledger's file and of the data, and who may sign.

    ``root`` is the digest of the root of the officers, ``officers`` the person of each key id.
    """

    release: str
    ledger: str
    data: str
    root: str
    officers: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Twelve words for the ledger's digest, to compare with those on the page and in the message of ``run``."""
        return fingerprint_of_digest(self.ledger)

    def to_bytes(self) -> bytes:
        """The file to carry to another machine."""
        document = {
            "version": 1,
            "type": REQUEST_TYPE,
            "release": self.release,
            "ledger": self.ledger,
            "data": self.data,
            "root": self.root,
            "fingerprint": self.fingerprint,
            "officers": dict(self.officers),
        }
        return canonical(document) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Read such a file; ConfigurationError unless it is one, and its words are those of its digest."""
        try:
            found = read_object(data, "the request")
            texts = all(isinstance(found[key], str) for key in _KEYS - {"version", "officers"})
            made = cls(found["release"], found["ledger"], found["data"], found["root"], found["officers"])
            good = texts and found.keys() == _KEYS and made.to_bytes() == data
        except (SignatureInvalid, KeyError, TypeError, ValueError, AttributeError):
            good = False
        if not good:
            raise ConfigurationError(
                "this is no request to approve a release: give the folder, or the file that `dpsynth approve RELEASE "
                "--request FILE` made"
            )
        return made


def request(folder: str | Path, root: bytes | None = None) -> bytes:
    """The request for a release folder, as a file.

    ``root`` is the ``root.json`` of the officers. Without it the request is found that ``run`` laid beside a folder
    under ``pending/``. Raises the verifier's error for a folder that does not verify, ConfigurationError for one whose
    account has no officers or of whom nothing is known.
    """
    return _of_folder(Path(folder), root).to_bytes()


def make_request(folder: Path, trust: Trust) -> Request:
    """The request for a release folder that was verified."""
    facts = read_statement(folder).predicate["release"]
    officers = {key.keyid: person.id for person in trust.newest.officers for key in person.keys}
    return Request(facts["id"], *digests(folder), trust.digest, officers)


def digests(folder: Path) -> tuple[str, str]:
    """What a decision is about: ``sha256:...`` of the ledger's file and of the data."""
    ledger, data = (f"sha256:{sha256_of(folder / name)}" for name in (LEDGER, DATA_NAME))
    return ledger, data


def request_place(folder: Path) -> Path:
    """Where ``run`` lays the request for a folder under ``pending/``."""
    return folder.with_name(f"{folder.name}.request.json")


def sign(
    target: str | Path,
    key: SigningKey,
    decision: Decision,
    *,
    fingerprint: str | None = None,
    conditions: str = "",
    reason: str | None = None,
    days: int = LIFE,
    root: bytes | None = None,
) -> bytes:
    """One officer's signed decision on a release folder, or on a request that was carried here.

    ``fingerprint``: the twelve words that the officer has compared; they must be those of what is signed.
    ``reason``: None to approve, else one of ``REJECT_REASONS`` or ``WITHDRAW_REASONS``. It counts for ``days``.

    Raises DigestMismatch for other words, KeyRefused for a key that is no officer's, the verifier's error for a folder
    that does not verify, ConfigurationError for a wrong reason or number of days.
    """
    _require_terms(decision, reason, days)
    path = Path(target)
    asked = _of_folder(path, root) if path.is_dir() else _of_file(path, root)
    if fingerprint is not None and not same_words(fingerprint, asked.fingerprint):
        raise DigestMismatch(
            f"the fingerprint of {target} is not the one given: these are other files than those that were looked at. "
            "Nothing was signed"
        )
    person = asked.officers.get(key.public.keyid)
    if person is None:
        raise KeyRefused(f"key {key.public.keyid} is no officer's in the root {asked.root}; nothing was signed")
    day = today()
    made: Any = reason
    approval = Approval(
        decision,
        asked.release,
        asked.ledger,
        asked.data,
        asked.root,
        person,
        conditions,
        made,
        day.isoformat(),
        (day + timedelta(days=days)).isoformat(),
    )
    return seal(approval.statement(), [key])


def add(folder: str | Path, data: bytes) -> Path:
    """Put a signed decision into a release folder; returns its file. Adding it again changes nothing.

    DigestMismatch if it is about other files; SignatureInvalid or UnknownEntry if it is no decision. Whether its
    signature counts is looked at when decisions are counted.
    """
    where = Path(folder)
    require_release(where)
    vote = Vote.read(data)
    vote.require_about(where)
    target = where / APPROVALS / vote.file
    with telling(target):
        target.parent.mkdir(exist_ok=True)
    if not target.is_file() or target.read_bytes() != data:
        write_whole(target, data, aside=where.absolute().parent)
    return target


@dataclass(frozen=True)
class Vote:
    """A decision as it lies in ``approvals/``: one signature, which is not checked here. ``digest`` is of the file."""

    data: bytes
    envelope: Envelope
    approval: Approval
    digest: str

    @classmethod
    def read(cls, data: bytes) -> Vote:
        """Read a file; SignatureInvalid or UnknownEntry unless it is a decision in its one form."""
        envelope = read_envelope(data)
        if len(envelope.signatures) != 1:
            raise SignatureInvalid("a decision carries exactly one signature: each officer signs a file of their own")
        return cls(data, envelope, parse_approval(envelope.payload), "sha256:" + sha256(data).hexdigest())

    @property
    def keyid(self) -> str:
        """The key id that it is signed under."""
        return self.envelope.signatures[0][0]

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.approval.decision}-{self.keyid[:16]}.dsse.json"

    def require_about(self, folder: Path) -> None:
        """DigestMismatch unless it is about exactly the ledger and the data of this folder."""
        if (self.approval.ledger, self.approval.data) != digests(folder):
            raise DigestMismatch(
                f"{self.file} is about other files than {folder} holds: a decision is about the very files that the "
                "officer looked at. Have the officer look at these and sign anew"
            )


def votes(folder: Path) -> tuple[Vote, ...]:
    """All decisions in a release folder, which must all be about its files, in the order of their names."""
    place = folder / APPROVALS
    found = []
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        vote = Vote.read(read_whole(path))
        if path.name != vote.file:
            raise DigestMismatch(f"{path} is not named {vote.file}, as what it holds: put it in with --add")
        vote.require_about(folder)
        found.append(vote)
    return tuple(found)


def require_release(folder: Path, trust: Trust | None = None, advice: str = "") -> None:
    """Raise the verifier's error unless a folder holds what was signed.

    That it is not approved, rejected or withdrawn is no hindrance, nor is its status, which may be of a key that was
    revoked and has to be replaced. ``trust`` says whose keys count; ``advice`` ends the error's text.
    """
    from dpsynth.trust import verify

    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder; give the folder of a release")
    found = verify(folder, None if trust is None else trust.data, status=False)
    if found.exit_code not in UNDECIDED:
        raise_for(found, folder, advice)


def _of_folder(folder: Path, root: bytes | None) -> Request:
    require_release(folder)
    if read_statement(folder).predicate.get("root") is None:
        raise ConfigurationError(
            f"{folder} is paid by an account without officers: there is nothing to sign (withdraw takes --store)"
        )
    if root is not None:
        return make_request(folder, Trust.parse(root))
    beside = request_place(folder)
    if not beside.is_file():
        raise ConfigurationError(f"{folder}: who its officers are is not known here; give their --root root.json")
    found = Request.parse(read_whole(beside))
    if (found.ledger, found.data) != digests(folder):
        raise DigestMismatch(f"{beside} is about other files than {folder} holds: run again, which writes it anew")
    return found


def _of_file(path: Path, root: bytes | None) -> Request:
    found = Request.parse(read_whole(path))
    if root is None:
        return found
    trust = Trust.parse(root)
    officers = {key.keyid: person.id for person in trust.newest.officers for key in person.keys}
    return Request(found.release, found.ledger, found.data, trust.digest, officers)


def _require_terms(decision: Decision, reason: str | None, days: int) -> None:
    known = {"approve": (), "reject": REJECT_REASONS, "withdraw": WITHDRAW_REASONS}
    if decision not in DECISIONS:
        raise ConfigurationError(f"decision {decision!r}: must be one of {', '.join(DECISIONS)}")
    if (reason is None) != (decision == "approve") or (reason is not None and reason not in known[decision]):
        named = f"one of the reasons {', '.join(known[decision])}" if known[decision] else "no reason"
        raise ConfigurationError(f"to {decision} takes {named}")
    if not 1 <= days <= 366:
        raise ConfigurationError(f"{days} days: a decision counts for 1 to 366 days")
