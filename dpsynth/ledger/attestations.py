"""What people and engines sign besides the ledger: approvals, status and budget grants, as typed values.

Each is an in-toto statement of its own predicate type. ``statement`` gives the exact bytes to be signed; ``parse_…``
reads them back and refuses whatever those bytes could not be: a key too many or too few, another spelling, a subject
that the predicate does not name. Whose signature counts is for :class:`dpsynth.ledger.trust.Trust` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, TypeVar, get_args

from dpsynth.errors import BudgetFormatError, ConfigurationError, SignatureInvalid, UnknownEntry
from dpsynth.ledger.dsse import Envelope
from dpsynth.ledger.entries import amount, cells_json, claim, parse
from dpsynth.ledger.fields import Fields
from dpsynth.ledger.heads import LogHead
from dpsynth.ledger.intoto import (
    APPROVAL_TYPE,
    GRANT_TYPE,
    LEDGER_NAME,
    ROOT_NAME,
    STATUS_TYPE,
    parse_statement,
    statement,
)
from dpsynth.ledger.keys import ALGORITHM, PublicKey, SigningKey
from dpsynth.ledger.kinds import (
    GRANT_REASONS,
    LEVELS,
    WITHDRAW_REASONS,
    GrantReason,
    Level,
    WithdrawReason,
)
from dpsynth.ledger.predicate import Software
from dpsynth.privacy import MEASURES, NEIGHBOURS, UNITS, Budget, Cells, Cost

ATTESTATION_VERSION = 1
DATA_NAME = "data.parquet"
LONGEST_LIFE = 366
"""Days after which an approval or a status says nothing any more."""
Decision = Literal["approve", "reject", "withdraw"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
RejectReason = Literal["budget", "unit", "public-facts", "utility", "other"]
REJECT_REASONS: tuple[RejectReason, ...] = get_args(RejectReason)
State = Literal["current", "superseded", "withdrawn"]
STATES: tuple[State, ...] = get_args(State)

Made = TypeVar("Made", "Approval", "Grant")


@dataclass(frozen=True)
class Approval:
    """One officer's decision on one release: on exactly the ledger and the data of these digests, until ``expires``.

    ``root`` is the digest of the root under which it was signed. ``reason`` is None to approve, else a class of reasons
    (WITHDRAW_REASONS, REJECT_REASONS). Making one of another form is an UnknownEntry.
    """

    decision: Decision
    release: str
    ledger: str
    data: str
    root: str
    person: str
    conditions: str
    reason: WithdrawReason | RejectReason | None
    day: str
    expires: str

    def __post_init__(self) -> None:
        _approval(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "version": ATTESTATION_VERSION,
            "decision": self.decision,
            "release": self.release,
            "ledger": self.ledger,
            "data": self.data,
            "root": self.root,
            "person": self.person,
            "conditions": self.conditions,
            "reason": self.reason,
            "day": self.day,
            "expires": self.expires,
        }

    def statement(self) -> bytes:
        """The bytes to be signed."""
        subjects = [(LEDGER_NAME, _hex(self.ledger)), (DATA_NAME, _hex(self.data))]
        return statement(subjects, APPROVAL_TYPE, self.to_json())


def _approval(predicate: Mapping[str, Any]) -> dict[str, Any]:
    at = Fields(
        predicate, "an approval", "version", "decision", "release", "ledger", "data", "root", "person", "conditions",
        "reason", "day", "expires",
    )  # fmt: skip
    _version(at)
    decision = at.word("decision", DECISIONS)
    reason: Any = None
    if decision == "approve":
        if at["reason"] is not None:
            at.wrong("reason")
    else:
        reason = at.word("reason", REJECT_REASONS if decision == "reject" else WITHDRAW_REASONS)
    return {
        "decision": decision,
        "release": at.name("release"),
        "ledger": at.digest("ledger"),
        "data": at.digest("data"),
        "root": at.digest("root"),
        "person": at.name("person"),
        "conditions": at.text("conditions"),
        "reason": reason,
        "day": at.day("day"),
        "expires": at.until("expires", at.day("day"), LONGEST_LIFE),
    }


def parse_approval(payload: bytes) -> Approval:
    """The approval in a payload; SignatureInvalid or UnknownEntry unless it is exactly one."""
    return _exactly(payload, Approval(**_approval(_predicate(payload, APPROVAL_TYPE))))


@dataclass(frozen=True)
class Grant:
    """Officers give an account ``added`` more; ``policy`` is the whole promise (epsilon, delta) after it.

    With reason ``opening`` it opens the account, whose terms it fixes. ``population`` says in words whose data they
    are, ``root`` is the digest of the root under which it was made, ``origin`` names the log of the one store that it
    is for. A grant is used once: ``nonce`` tells two apart. ``cells`` divide the account, or it is a ``cell`` of its
    parent (:mod:`dpsynth.privacy.parallel`).
    """

    account: str
    level: Level
    parent: str | None
    added: Cost
    policy: Budget
    entity: str
    column: str | None
    neighbours: str
    population: str
    reason: GrantReason
    justification: str
    root: str
    origin: str
    nonce: str
    day: str
    cells: Cells | None = None
    cell: str | None = None

    def __post_init__(self) -> None:
        _grant(self.to_json())

    @property
    def digest(self) -> str:
        """``sha256:…`` of the payload: the name of this grant, however many have signed it."""
        return "sha256:" + sha256(self.statement()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "version": ATTESTATION_VERSION,
            "account": self.account,
            "level": self.level,
            "parent": self.parent,
            "measure": self.added.measure,
            "added": amount(self.added),
            "policy": claim(self.policy),
            "entity": self.entity,
            "column": self.column,
            "neighbours": self.neighbours,
            "population": self.population,
            "reason": self.reason,
            "justification": self.justification,
            "root": self.root,
            "origin": self.origin,
            "nonce": self.nonce,
            "day": self.day,
            **({} if self.cells is None else {"cells": cells_json(self.cells)}),
            **({} if self.cell is None else {"cell": self.cell}),
        }

    def statement(self) -> bytes:
        """The bytes to be signed."""
        return statement([(ROOT_NAME, _hex(self.root))], GRANT_TYPE, self.to_json())


def _grant(predicate: Mapping[str, Any]) -> dict[str, Any]:
    at = Fields(
        predicate, "a grant", "version", "account", "level", "parent", "measure", "added", "policy", "entity", "column",
        "neighbours", "population", "reason", "justification", "root", "origin", "nonce", "day",
        *(key for key in ("cells", "cell") if key in predicate),
    )  # fmt: skip
    _version(at)
    if "cells" in predicate and "cell" in predicate:
        at.wrong("cell")
    measure = at.word("measure", MEASURES)
    unit = UNITS[measure]
    added = Fields(at["added"], "what a grant adds", unit, "delta")
    policy = Fields(at["policy"], "the policy of a grant", "epsilon", "delta")
    more = Cost(measure, added.fraction(unit), added.fraction("delta"))
    if not more.amount and not more.delta:
        at.wrong("added")
    try:
        promise = Budget(policy.fraction("epsilon"), policy.fraction("delta"))
        promise.require(measure)
    except BudgetFormatError:
        at.wrong("policy")
    level, parent = at.word("level", LEVELS), at.optional_name("parent")
    if parent == at["account"]:
        at.wrong("parent")
    return {
        "account": at.name("account"),
        "level": level,
        "parent": parent,
        "added": more,
        "policy": promise,
        "entity": at.name("entity"),
        "column": None if at["column"] is None else at.text("column"),
        "neighbours": at.word("neighbours", NEIGHBOURS),
        "population": at.name("population"),
        "reason": at.word("reason", GRANT_REASONS),
        "justification": at.text("justification"),
        "root": at.digest("root"),
        "origin": at.origin("origin"),
        "nonce": at.nonce("nonce"),
        "day": at.day("day"),
        "cells": _cells(at) if "cells" in predicate else None,
        "cell": at.name("cell") if "cell" in predicate else None,
    }


def _cells(at: Fields) -> Cells:
    """What divides an account. Whether its labels are good is asked where the account is opened."""
    said = Fields(at["cells"], "the cells of a grant", "column", "labels")
    labels = said.items("labels")
    try:
        if all(isinstance(label, str) for label in labels):
            return Cells(said.name("column"), tuple(labels))
    except ConfigurationError:
        pass
    at.wrong("cells")


def parse_grant(payload: bytes) -> Grant:
    """The grant in a payload; SignatureInvalid or UnknownEntry unless it is exactly one."""
    return _exactly(payload, Grant(**_grant(_predicate(payload, GRANT_TYPE))))


@dataclass(frozen=True)
class Status:
    """What an engine says of a release for a short time: current, superseded ``by`` another, or withdrawn.

    ``entries`` are the release's lines after it settled; ``log`` is the present head, its only history the head in the
    ledger. Nobody may take a release for current on an old status: withdrawing is not renewing.
    """

    release: str
    ledger: str
    state: State
    by: str | None
    reason: WithdrawReason | None
    issued: str
    expires: str
    entries: tuple[bytes, ...]
    log: LogHead
    software: Software

    def to_json(self, key: SigningKey) -> dict[str, Any]:
        """The predicate, to be signed by ``key``, which also signs the checkpoint."""
        return {
            "version": ATTESTATION_VERSION,
            "release": self.release,
            "ledger": self.ledger,
            "state": self.state,
            "by": self.by,
            "reason": self.reason,
            "issued": self.issued,
            "expires": self.expires,
            "entries": [line.decode("ascii") for line in self.entries],
            "log": self.log.to_json(key),
            "signer": key.public.to_json(),
            "software": self.software.to_json(),
        }

    def statement(self, key: SigningKey) -> bytes:
        """The bytes to be signed by ``key``; UnknownEntry if the values do not fit together."""
        payload = statement([(LEDGER_NAME, _hex(self.ledger))], STATUS_TYPE, self.to_json(key))
        parse_status(payload)
        return payload


def parse_status(payload: bytes) -> Status:
    """The status in a payload. SignatureInvalid or UnknownEntry unless it is exactly one.

    LogInconsistent unless its checkpoint, the proofs of its lines and the older head all fit its log.
    """
    predicate = _predicate(payload, STATUS_TYPE)
    at = Fields(
        predicate, "a status", "version", "release", "ledger", "state", "by", "reason", "issued", "expires", "entries",
        "log", "signer", "software",
    )  # fmt: skip
    _version(at)
    signer, software = _signer(at["signer"]), Fields(at["software"], "the software of a status", "name", "version")
    state, by = at.word("state", STATES), at.optional_name("by")
    reason = None if at["reason"] is None else at.word("reason", WITHDRAW_REASONS)
    if (state == "superseded") != (by is not None):
        at.wrong("by")
    if (state == "withdrawn") != (reason is not None):
        at.wrong("reason")
    found = Status(
        at.name("release"), at.digest("ledger"), state, by, reason, at.day("issued"),
        at.until("expires", at.day("issued"), LONGEST_LIFE),
        at.lines("entries"), LogHead.parse(at["log"], signer),
        Software(software.name("name"), software.name("version")),
    )  # fmt: skip
    if statement([(LEDGER_NAME, _hex(found.ledger))], STATUS_TYPE, predicate) != payload:
        raise SignatureInvalid("a status is not in the one form that dpsynth writes")
    found.log.require([(parse(line).seq, line) for line in found.entries])
    return found


def read_attestation(envelope: Envelope) -> Approval | Grant | Status:
    """Whatever is in an envelope; UnknownEntry if it is none of the three."""
    kind = parse_statement(envelope.payload).predicate_type
    readers: dict[str, Callable[[bytes], Approval | Grant | Status]] = {
        APPROVAL_TYPE: parse_approval,
        GRANT_TYPE: parse_grant,
        STATUS_TYPE: parse_status,
    }
    if kind not in readers:
        raise UnknownEntry("the envelope holds no approval, grant or status")
    return readers[kind](envelope.payload)


def _predicate(payload: bytes, kind: str) -> Mapping[str, Any]:
    found = parse_statement(payload)
    if found.predicate_type != kind:
        raise UnknownEntry(f"the signed statement is not of type {kind}")
    return found.predicate


def _exactly(payload: bytes, made: Made) -> Made:
    if made.statement() != payload:
        raise SignatureInvalid("an attestation is not in the one form that dpsynth writes")
    return made


def _version(at: Fields) -> None:
    if at.count("version") != ATTESTATION_VERSION:
        at.wrong("version")


def _signer(value: object) -> PublicKey:
    at = Fields(value, "a signer", "algorithm", "keyid", "public_key")
    at.word("algorithm", (ALGORITHM,))
    key = PublicKey.parse(at.text("public_key"))
    if at["keyid"] != key.keyid:
        at.wrong("keyid")
    return key


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
