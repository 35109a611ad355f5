"""An artificial office: a log with accounts, grants, releases, approvals and status, written from the formats alone.

Nothing here uses the engine's ledger: keys, envelopes, Merkle trees and checkpoints are made by a second, plainer code
(roots and proofs straight from the recursive definitions of RFC 6962), so that the verifier is not tested against its
own misunderstandings. The keys come from published words: what they sign means nothing.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dpsynth.privacy import Measure
from dpsynth.verifier import epsilon_of, epsilon_of_gdp

DAY, LATER = "2026-11-22", "2026-12-31"
DELTA = Fraction(1, 10**9)
IN_TOTO, ROOT_TYPE = "application/vnd.in-toto+json", "application/vnd.dpsynth.root+json"
SOFTWARE = {"name": "dpsynth-engine", "version": "0.1.0"}
UNITS = {"gdp": "mu2", "zcdp": "rho"}
FILES = {
    "CITATION.cff": b"cff-version: 1.2.0\n",
    "data.csv": b"age,sex\n31,f\n47,m\n",
    "data.parquet": b"artificial rows\n",
    "datapackage.json": b'{"artificial": true}\n',
    "measurements.npz": b"artificial archive of noisy answers\n",
    "model.npz": b"artificial integer tables\n",
    "report.html": b"<!doctype html><title>artificial</title>\n",
}
Json = dict[str, Any]


# --- bytes, keys, envelopes -------------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def hex_of(data: bytes) -> str:
    return sha256(data).hexdigest()


def digest(data: bytes | str) -> str:
    return "sha256:" + hex_of(data.encode() if isinstance(data, str) else data)


@dataclass(frozen=True)
class Pen:
    """A key that anybody can make again from its name."""

    name: str

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(sha256(f"dpsynth test key {self.name}".encode()).digest())

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def keyid(self) -> str:
        return hex_of(self.public)

    def told(self, **more: str) -> Json:
        public = base64.b64encode(self.public).decode()
        return {"algorithm": "ed25519", "keyid": self.keyid, "public_key": public, **more}


def seal(payload: bytes, pens: Iterable[Pen], kind: str = IN_TOTO) -> Json:
    message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    signatures = [{"keyid": pen.keyid, "sig": base64.b64encode(pen.private.sign(message)).decode()} for pen in pens]
    ordered = sorted(signatures, key=lambda one: one["keyid"])
    return {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": ordered}


def as_file(envelope: Json) -> bytes:
    return canonical(envelope) + b"\n"


def opened(data: bytes) -> Json:
    """The payload of an envelope, as JSON."""
    return json.loads(base64.b64decode(json.loads(data)["payload"]))  # type: ignore[no-any-return]


def statement(subjects: dict[str, str], kind: str, predicate: Json) -> bytes:
    listed = [{"name": name, "digest": {"sha256": subjects[name]}} for name in sorted(subjects)]
    head = {"_type": "https://in-toto.io/Statement/v1", "predicateType": f"urn:dpsynth:dp-{kind}:v1"}
    return canonical({**head, "subject": listed, "predicate": predicate})


# --- the log, by the recursive definitions of RFC 6962, 2.1 -----------------------------------------------------------


def split(count: int) -> int:
    return max(2**power for power in range(count.bit_length()) if 2**power < count)


def root_of(lines: Sequence[bytes]) -> bytes:
    if len(lines) < 2:
        return sha256(b"\x00" + lines[0] if lines else b"").digest()
    k = split(len(lines))
    return sha256(b"\x01" + root_of(lines[:k]) + root_of(lines[k:])).digest()


def path_to(index: int, lines: Sequence[bytes]) -> list[bytes]:
    if len(lines) == 1:
        return []
    k = split(len(lines))
    if index < k:
        return [*path_to(index, lines[:k]), root_of(lines[k:])]
    return [*path_to(index - k, lines[k:]), root_of(lines[:k])]


def growth(first: int, lines: Sequence[bytes], whole: bool = True) -> list[bytes]:
    if first == len(lines):
        return [] if whole else [root_of(lines)]
    k = split(len(lines))
    if first <= k:
        return [*growth(first, lines[:k], whole), root_of(lines[k:])]
    return [*growth(first - k, lines[k:], False), root_of(lines[:k])]


def checkpoint(origin: str, size: int, root: bytes, pen: Pen) -> str:
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    hint = sha256(f"{origin}\n".encode() + b"\x01" + pen.public).digest()[:4]
    signature = base64.b64encode(hint + pen.private.sign(text.encode())).decode()
    return f"{text}\n\u2014 {origin} {signature}\n"


# --- the office -------------------------------------------------------------------------------------------------------


def text(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, dict):
        return {key: text(item) for key, item in value.items()}
    return [text(item) for item in value] if isinstance(value, list | tuple) else value


def amount(measure: str, size: Fraction) -> Json:
    return {UNITS[measure]: str(size), "delta": "0"}


def up(size: Fraction, measure: str) -> str:
    exact = {"gdp": epsilon_of_gdp, "zcdp": epsilon_of}[measure](size, DELTA)
    units = math.ceil(exact * 10**18)
    return f"{units // 10**18}.{units % 10**18:018d}"


@dataclass
class Account:
    """An account as it stands."""

    name: str
    level: str
    parent: str | None
    measure: Measure
    cap: Fraction
    epsilon: str
    held: Fraction = Fraction(0)
    column: str = "id"

    @property
    def policy(self) -> Json:
        return {"epsilon": self.epsilon, "delta": str(DELTA)}


@dataclass
class Person:
    id: str
    role: str
    keys: dict[str, str]  # name of the pen: day of its end

    def told(self) -> Json:
        keys = [Pen(name).told(expires=expires) for name, expires in self.keys.items()]
        return {"id": self.id, "role": self.role, "keys": keys}


def people() -> list[Person]:
    officers = [Person(name, "officer", {name: "2030-01-01"}) for name in ("ana", "bo", "chi")]
    return [*officers, Person("engine-1", "engine", {"engine": "2030-01-01"})]


@dataclass
class Office:
    """A store and its people. ``governed``: caps come from grants and releases wait for approval."""

    governed: bool = True
    name: str = "office"
    root_file: list[Json] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    grants: dict[str, Json] = field(default_factory=dict)  # by the digest of the payload
    after: dict[str, list[int]] = field(default_factory=dict)
    engine: Pen = Pen("engine")
    day: str = DAY

    @property
    def origin(self) -> str:
        return f"dpsynth.log/{hex_of(self.name.encode())[:32]}"

    @property
    def root(self) -> bytes:
        """The bytes of root.json."""
        return canonical({"roots": self.root_file}) + b"\n"

    @property
    def root_digest(self) -> str:
        return digest(base64.b64decode(self.root_file[-1]["payload"]))

    # roots

    def add_root(
        self,
        who: list[Person],
        signers: Sequence[str],
        *,
        threshold: int = 2,
        gone: Sequence[tuple[str, dict[str, int]]] = (),
        expires: str = "2031-01-01",
        **changes: Any,
    ) -> None:
        before = digest(base64.b64decode(self.root_file[-1]["payload"])) if self.root_file else None
        payload = {
            "version": len(self.root_file) + 1,
            "name": "An artificial office",
            "expires": expires,
            "threshold": threshold,
            "people": [person.told() for person in who],
            "revoked": [{"keyid": Pen(name).keyid, "origins": origins} for name, origins in gone],
            "previous": before,
            **changes,
        }
        self.root_file.append(seal(canonical(payload), map(Pen, signers), ROOT_TYPE))

    # the log

    def add(self, kind: str, account: str, **fields: Any) -> int:
        seq = len(self.lines)
        nonce = hex_of(f"{self.name} nonce {seq}".encode())[:32]
        common = {"v": 1, "seq": seq, "nonce": nonce, "kind": kind, "day": self.day, "account": account}
        self.lines.append(canonical({**text(fields), **common}))
        return seq

    def head(self, seqs: Sequence[int], size: int, history: Sequence[int], pen: Pen) -> Json:
        lines, root = self.lines[:size], root_of(self.lines[:size])
        past = [
            {"size": one, "root": root_of(lines[:one]).hex(), "proof": [part.hex() for part in growth(one, lines)]}
            for one in history
        ]
        return {
            "origin": self.origin,
            "size": size,
            "root": root.hex(),
            "proofs": [[part.hex() for part in path_to(seq, lines)] for seq in seqs],
            "history": past,
            "checkpoint": checkpoint(self.origin, size, root, pen),
        }

    # accounts

    def grant(
        self,
        account: Account,
        added: Fraction,
        reason: str,
        signers: Sequence[str] = ("ana", "bo"),
        lies: Json | None = None,
    ) -> str:
        predicate = {
            "version": 1,
            "account": account.name,
            "level": account.level,
            "parent": account.parent,
            "measure": account.measure,
            "added": amount(account.measure, added),
            "policy": account.policy,
            "entity": "person",
            "column": account.column,
            "neighbours": "add-remove",
            "population": "everybody who answered",
            "reason": reason,
            "justification": "an artificial survey",
            "origin": self.origin,
            "root": self.root_digest,
            "nonce": hex_of(f"grant {account.name} {len(self.lines)}".encode())[:32],
            "day": self.day,
            **(lies or {}),
        }
        subject = {"root.json": str(predicate["root"]).removeprefix("sha256:")}
        payload = statement(subject, "budget-grant", predicate)
        self.grants[digest(payload)] = seal(payload, map(Pen, signers))
        return digest(payload)

    def open(self, account: Account, signers: Sequence[str] = ("ana", "bo"), lies: Json | None = None) -> None:
        grant = self.grant(account, account.cap, "opening", signers, lies) if self.governed else None
        self.accounts[account.name] = account
        root = self.root_digest if self.governed and account.parent is None else None
        cap = amount(account.measure, account.cap)
        placed = {"parent": account.parent, "level": account.level, "grant": grant, "root": root}
        terms = {"entity": "person", "column": account.column, "neighbours": "add-remove", "measure": account.measure}
        self.add("open", account.name, cap=cap, policy=account.policy, **terms, **placed)

    def raise_cap(self, name: str, added: Fraction, epsilon: str, signers: Sequence[str] = ("ana", "bo")) -> None:
        account = self.accounts[name]
        account.cap, account.epsilon = account.cap + added, epsilon
        grant = self.grant(account, added, "new-people", signers)
        told = {"cap": amount(account.measure, account.cap), "policy": account.policy, "reason": "new-people"}
        self.add("grant", name, grant=grant, added=amount(account.measure, added), **told)

    def set_root(self, account: str) -> None:
        self.add("root", account, root=self.root_digest, version=len(self.root_file))

    def path(self, name: str) -> list[Account]:
        found = [self.accounts[name]]
        while found[-1].parent is not None:
            found.append(self.accounts[found[-1].parent])
        return found

    # releases

    def release(self, folder: Path, name: str, account: str, questions: int = 3, **changes: Any) -> Path:
        """Run and settle a release, and write its folder; ``changes`` are of the predicate."""
        path, reserved = self.path(account), Fraction(1, 32)
        before = [one.held for one in path]
        for one in path:
            one.held += reserved if one.measure == "gdp" else reserved / 2
        states = [
            {
                "name": one.name,
                "level": one.level,
                "parent": one.parent,
                "cap": amount(one.measure, one.cap),
                "held_before": amount(one.measure, held),
                "held_after": amount(one.measure, one.held),
            }
            for one, held in zip(path, before, strict=True)
        ]
        own, quote = path[0], {"epsilon": "5/4", "delta": str(DELTA)}
        names = {one.name for one in path}
        seqs = [
            seq
            for seq, line in enumerate(self.lines)
            if (found := json.loads(line))["kind"] in ("open", "grant", "root") and found["account"] in names
        ]
        used = [grant for seq in seqs if (grant := json.loads(self.lines[seq]).get("grant"))]
        root = self.root_digest if self.governed else None
        plan = digest(f"plan of {name}")
        above = [{"account": state["name"], "held": state["held_after"]} for state in states[1:]]
        start = self.add(
            "reserve", account, release=name, plan=plan, reserved=amount("gdp", reserved), quote=quote,
            held=states[0]["held_after"], running_epsilon=up(own.held, "gdp"), above=above,
        )  # fmt: skip
        self.ask(account, name, questions)
        settled = len(self.lines) - 1
        seqs += range(start, settled + 1)
        predicate = {
            "version": 2,
            "guarantee": {
                **quote, "measure": "gdp", "reserved": amount("gdp", reserved), "entity": "person",
                "unit_column": own.column, "max_rows": 1, "neighbours": "add-remove",
            },
            "accounts": states,
            "release": {
                "id": name, "plan": plan, "mechanism": "mst", "rows": 2, "rows_rule": "noisy total", "seed": 7,
                "rows_digest": digest("rows"), "day": self.day, "supersedes": None,
            },
            "public": ["the columns and their values"],
            "outside": ["what the officer saw before approving"],
            "entries": [self.lines[seq].decode() for seq in seqs],
            "log": self.head(seqs, settled + 1, self.heads, self.engine),
            "root": root,
            "grants": [as_file(self.grants[one]).decode() for one in used],
            "signer": self.engine.told(),
            "software": SOFTWARE,
            **changes,
        }  # fmt: skip
        self.heads.append(settled + 1)
        self.after[name] = []
        folder.mkdir(parents=True)
        for file, data in FILES.items():
            (folder / file).write_bytes(data + (f"{name}\n".encode() if file == "data.parquet" else b""))
        payload = statement({path.name: hex_of(path.read_bytes()) for path in folder.iterdir()}, "ledger", predicate)
        (folder / "ledger.dsse.json").write_bytes(as_file(seal(payload, [self.engine])))
        return folder

    def ask(self, account: str, name: str, questions: int) -> None:
        unit = {"entity": "person", "column": self.accounts[account].column, "max_rows": 1}
        spent, sigma, known = Fraction(0), 80, list[int]()
        for number in range(questions):
            column = f"c{number}"
            spent += Fraction(1, sigma**2)
            query = {"columns": [column], "levels": [digest(column)], "shape": [4], "basis": "marginal"}
            running = {"spent": amount("gdp", spent), "epsilon": up(spent, "gdp")}
            seq = self.add(
                "measure", account, release=name, mechanism={"type": "rounded_gaussian", "sigma": str(sigma)},
                query=query, unit=unit, neighbours="add-remove", sensitivity_squared="1", running=running,
                cost=amount("gdp", Fraction(1, sigma**2)), chosen_by=list(known), state="DRAWING",
            )  # fmt: skip
            self.add("stored", account, release=name, of=[seq], answer=digest(f"answer {seq}"))
            known.append(seq)
        reserved = amount("gdp", Fraction(1, 32))
        self.add("settle", account, release=name, spent=amount("gdp", spent), reserved=reserved)

    # what officers and the engine say of a release

    def decide(self, folder: Path, pen: str, decision: str = "approve", log: bool = True, **changes: Any) -> Path:
        """Sign a decision, and write it into the log unless told otherwise."""
        ledger = (folder / "ledger.dsse.json").read_bytes()
        predicate = {
            "version": 1,
            "decision": decision,
            "release": opened(ledger)["predicate"]["release"]["id"],
            "ledger": digest(ledger),
            "data": digest((folder / "data.parquet").read_bytes()),
            "root": self.root_digest,
            "person": pen,
            "conditions": "",
            "reason": {"approve": None, "reject": "utility", "withdraw": "legal"}[decision],
            "day": self.day,
            "expires": LATER,
            **changes,
        }
        subjects = {"ledger.dsse.json": predicate["ledger"], "data.parquet": predicate["data"]}
        bare = {name: value.removeprefix("sha256:") for name, value in subjects.items()}
        data = as_file(seal(statement(bare, "approval", predicate), [Pen(pen)]))
        (folder / "approvals").mkdir(exist_ok=True)
        path = folder / "approvals" / f"{decision}-{Pen(pen).keyid[:16]}.dsse.json"
        path.write_bytes(data)
        if log and decision != "withdraw":
            told = {"attestation": digest(data), "by": predicate["person"], "keyid": Pen(pen).keyid}
            self.told(folder, decision, **told)
        return path

    def told(self, folder: Path, kind: str, **fields: Any) -> int:
        """A line about a settled release."""
        ledger = opened((folder / "ledger.dsse.json").read_bytes())["predicate"]
        name = ledger["release"]["id"]
        seq = self.add(kind, ledger["accounts"][0]["name"], release=name, **fields)
        self.after[name].append(seq)
        return seq

    def publish(self, folder: Path) -> None:
        """Release what was approved, with its status."""
        approvals = [digest(path.read_bytes()) for path in sorted((folder / "approvals").iterdir())]
        self.told(folder, "release", ledger=digest((folder / "ledger.dsse.json").read_bytes()), approvals=approvals)
        self.renew(folder)

    def withdraw(self, folder: Path, *pens: str) -> None:
        files = [self.decide(folder, pen, "withdraw") for pen in pens]
        self.told(folder, "withdraw", reason="legal", attestations=[digest(path.read_bytes()) for path in files])
        self.renew(folder)

    def renew(self, folder: Path, pen: Pen | None = None, **changes: Any) -> None:
        """Write the status of today."""
        signer = pen or self.engine
        ledger = (folder / "ledger.dsse.json").read_bytes()
        origin = opened(ledger)["predicate"]
        seqs = self.after[origin["release"]["id"]]
        entries = [json.loads(self.lines[seq]) for seq in seqs]
        last = {entry["kind"]: entry for entry in entries}
        withdrawn, superseded = last.get("withdraw"), last.get("supersede")
        predicate = {
            "version": 1,
            "release": origin["release"]["id"],
            "ledger": digest(ledger),
            "state": "withdrawn" if withdrawn else "superseded" if superseded else "current",
            "by": superseded["by"] if superseded and not withdrawn else None,
            "reason": withdrawn["reason"] if withdrawn else None,
            "issued": self.day,
            "expires": LATER,
            "entries": [self.lines[seq].decode() for seq in seqs],
            "log": self.head(seqs, len(self.lines), [origin["log"]["size"]], signer),
            "signer": signer.told(),
            "software": SOFTWARE,
            **changes,
        }
        payload = statement({"ledger.dsse.json": hex_of(ledger)}, "status", predicate)
        (folder / "status.dsse.json").write_bytes(as_file(seal(payload, [signer])))


def tree(governed: bool = True, name: str = "office") -> Office:
    """Three accounts, the topmost in zCDP; the population's cap was raised once."""
    office = Office(governed, name)
    if governed:
        office.add_root(people(), ["ana", "bo"])
    office.open(Account("office", "organisation", None, "zcdp", Fraction(1, 8), "4"))
    small = Fraction(1, 8)
    office.open(Account("people", "population", "office", "gdp", small if governed else 2 * small, "4"))
    office.add("external", "people", what="a table of 2019", claim=None)
    if governed:
        office.raise_cap("people", small, "4")
    office.open(Account("survey", "project", "people", "gdp", small, "3"))
    return office


def approved(folder: Path, name: str = "first", office: Office | None = None, account: str = "survey") -> Office:
    """A governed release that two officers approved, in ``folder / name``."""
    place = office or tree()
    where = place.release(folder / name, name, account)
    place.decide(where, "ana")
    place.decide(where, "bo")
    place.publish(where)
    return place
