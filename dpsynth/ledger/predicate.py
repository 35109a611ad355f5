"""What a release says about itself, as typed values: the ledger, and the derivation of a further sample.

``to_json`` gives the exact JSON object that is signed; the verifier refuses a key too many or too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dpsynth.ledger.entries import Claim, amount, claim
from dpsynth.ledger.heads import LogHead
from dpsynth.ledger.keys import PublicKey, SigningKey
from dpsynth.ledger.kinds import Level
from dpsynth.ledger.log import merkle_root
from dpsynth.privacy import Cost

PREDICATE_VERSION = 1
LEDGER_VERSION = 2
RowsRule = Literal["noisy total", "given"]
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Software:
    """What wrote the release."""

    name: str
    version: str

    def to_json(self) -> dict[str, Any]:
        """``{"name", "version"}``."""
        return {"name": self.name, "version": self.version}


@dataclass(frozen=True)
class Guarantee:
    """The claim: ``quote`` (epsilon at delta) follows from what was ``reserved`` before anything was measured."""

    quote: Claim
    reserved: Cost
    entity: str
    unit_column: str | None
    max_rows: int
    neighbours: str
    weight_units: int = 1

    def to_json(self) -> dict[str, Any]:
        """``{"epsilon", "delta", "measure", "reserved", "entity", "unit_column", "max_rows", "neighbours"}``.

        And ``"weight_units"``, the most that one row counts for, where that is not 1.
        """
        return {
            **claim(self.quote),
            "measure": self.reserved.measure,
            "reserved": amount(self.reserved),
            "entity": self.entity,
            "unit_column": self.unit_column,
            "max_rows": self.max_rows,
            "neighbours": self.neighbours,
            **({} if self.weight_units == 1 else {"weight_units": self.weight_units}),
        }


@dataclass(frozen=True)
class AccountState:
    """An account that paid: its cap, and what all its releases together held before and after this one."""

    name: str
    cap: Cost
    held_before: Cost
    held_after: Cost
    level: Level = "project"
    parent: str | None = None

    def to_json(self) -> dict[str, Any]:
        """``{"name", "level", "parent", "cap", "held_before", "held_after"}``."""
        return {
            "name": self.name,
            "level": self.level,
            "parent": self.parent,
            "cap": amount(self.cap),
            "held_before": amount(self.held_before),
            "held_after": amount(self.held_after),
        }


@dataclass(frozen=True)
class ReleaseFacts:
    """What was released. ``plan`` and ``rows_digest`` are ``sha256:…``; ``seed`` is public, 0 to 2**63 - 1.

    ``supersedes`` is the id of the release that this one replaces.
    """

    id: str
    plan: str
    mechanism: str
    rows: int
    rows_rule: RowsRule
    seed: int
    rows_digest: str
    day: str
    supersedes: str | None = None

    def to_json(self) -> dict[str, Any]:
        """One key for each field."""
        return {
            "id": self.id,
            "plan": self.plan,
            "mechanism": self.mechanism,
            "rows": self.rows,
            "rows_rule": self.rows_rule,
            "seed": self.seed,
            "rows_digest": self.rows_digest,
            "day": self.day,
            "supersedes": self.supersedes,
        }


@dataclass(frozen=True)
class LedgerPredicate:
    """The whole ledger of a release (predicate type ``LEDGER_TYPE``).

    ``account`` is the one that the release names, ``ancestors`` those above it from its parent up; all of them paid.
    ``entries`` are exact lines of the log in the order of seq: what opened the accounts, granted to them or set their
    root, then every line of this release. ``log`` says where they stand in the store's log. ``root`` is the digest of
    the root of the officers and ``grants`` are the files of the grants, if the accounts are governed. ``public`` says
    what is declared public, ``outside`` what lies outside the guarantee.

    Without ``log`` it is written as version 1, which knows one account and the root of its own lines alone.
    """

    guarantee: Guarantee
    account: AccountState
    release: ReleaseFacts
    public: tuple[str, ...]
    outside: tuple[str, ...]
    entries: tuple[bytes, ...]
    software: Software
    log: LogHead | None = None
    ancestors: tuple[AccountState, ...] = ()
    root: str | None = None
    grants: tuple[bytes, ...] = ()

    def to_json(self, signer: SigningKey | PublicKey) -> dict[str, Any]:
        """The exact object to be signed by ``signer``: the key itself, which also signs the log's checkpoint.

        ValueError for a public key, unless it is of version 1.
        """
        common = {
            "guarantee": self.guarantee.to_json(),
            "public": list(self.public),
            "outside": list(self.outside),
            "entries": [line.decode("ascii") for line in self.entries],
            "software": self.software.to_json(),
        }
        if self.log is None:
            return common | self._first_version(signer if isinstance(signer, PublicKey) else signer.public)
        if isinstance(signer, PublicKey):
            raise ValueError("a ledger is made with the key that signs it: its checkpoint is signed too")
        return common | {
            "version": LEDGER_VERSION,
            "accounts": [one.to_json() for one in (self.account, *self.ancestors)],
            "release": self.release.to_json(),
            "log": self.log.to_json(signer),
            "root": self.root,
            "grants": [one.decode("ascii") for one in self.grants],
            "signer": signer.public.to_json(),
        }

    def _first_version(self, signer: PublicKey) -> dict[str, Any]:
        return {
            "version": 1,
            "account": _without(self.account.to_json(), "level", "parent"),
            "release": _without(self.release.to_json(), "supersedes"),
            "log": log_head(self.entries),
            "signer": signer.to_json(),
        }


@dataclass(frozen=True)
class Parent:
    """The release that a derivation comes from.

    ``envelope`` is ``sha256:…`` of its ``ledger.dsse.json``, a copy of which lies in the derived folder as
    ``parent.dsse.json``; ``model`` is ``sha256:…`` of its ``model.npz``.
    """

    release: str
    envelope: str
    model: str


@dataclass(frozen=True)
class DerivationPredicate:
    """A further sample of a published model (predicate type ``DERIVATION_TYPE``): post-processing, it costs nothing.

    ``where`` is the condition on the rows, or None.
    """

    parent: Parent
    rows: int
    seed: int
    where: str | None
    rows_digest: str
    day: str
    software: Software

    def to_json(self, signer: PublicKey) -> dict[str, Any]:
        """The exact object to be signed by ``signer``."""
        parent = {"release": self.parent.release, "envelope": self.parent.envelope, "model": self.parent.model}
        sample = {
            "rows": self.rows,
            "seed": self.seed,
            "where": self.where,
            "rows_digest": self.rows_digest,
            "day": self.day,
        }
        return {
            "version": PREDICATE_VERSION,
            "parent": parent,
            "sample": sample,
            "signer": signer.to_json(),
            "software": self.software.to_json(),
        }


def log_head(lines: Sequence[bytes]) -> dict[str, Any]:
    """``{"root", "size"}`` of exactly these lines."""
    return {"root": merkle_root(lines).hex(), "size": len(lines)}


def _without(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The object without some keys."""
    return {key: item for key, item in value.items() if key not in keys}
