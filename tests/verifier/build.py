"""A small, complete, artificial release whose every byte is fixed, and a forger that signs whatever it is told to.

``python -m tests.verifier.build`` wrote ``golden/release-v1`` and ``golden/sample-v1``. The key below is a published
test key: what it signs means nothing. The golden folders are never written again: every later verifier must accept
them, so a change of the format gets a new version and a new folder beside them.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dpsynth.ledger import (
    DERIVATION_TYPE,
    LEDGER_TYPE,
    AccountState,
    DerivationPredicate,
    Guarantee,
    LedgerPredicate,
    Parent,
    ReleaseFacts,
    SigningKey,
    Software,
    Stamp,
    canonical,
    envelope,
    merkle_root,
    render,
    statement,
)
from dpsynth.verifier import epsilon_of

GOLDEN = Path(__file__).parent / "golden"
KEY = SigningKey._of(Ed25519PrivateKey.from_private_bytes(sha256(b"dpsynth test key: signs nothing real").digest()))
DAY = "2026-11-22"
DELTA = Fraction(1, 10**9)
SOFTWARE = Software("dpsynth-engine", "0.1.0")
FILES = {
    "CITATION.cff": b"cff-version: 1.2.0\n",
    "data.csv": b"age,sex\n31,f\n47,m\n",
    "data.parquet": b"artificial rows\n",
    "datapackage.json": b'{"artificial": true}\n',
    "measurements.npz": b"artificial archive of noisy answers\n",
    "model.npz": b"artificial integer tables\n",
    "report.html": b"<!doctype html><title>artificial</title>\n",
}


@dataclass(frozen=True)
class Cost:
    rho: Fraction
    delta: Fraction = Fraction(0)


@dataclass(frozen=True)
class Quote:
    epsilon: Fraction
    delta: Fraction = DELTA


@dataclass(frozen=True)
class Unit:
    entity: str = "person"
    column: str | None = "id"
    max_rows: int = 2
    neighbours: str = "add-remove"


RESERVED, CAP, BEFORE = Cost(Fraction(1, 64)), Cost(Fraction(1, 16)), Cost(Fraction(1, 64))
AFTER, QUOTE, POLICY = Cost(Fraction(1, 32)), Quote(Fraction(5, 4)), Quote(Fraction(3))


def digest(text: str) -> str:
    return "sha256:" + sha256(text.encode()).hexdigest()


def up(rho: Fraction) -> str:
    """Epsilon at DELTA as a finite decimal, rounded up to 10^-18."""
    units = math.ceil(epsilon_of(rho, DELTA) * 10**18)
    return f"{units // 10**18}.{units % 10**18:018d}"


def stamp(number: int) -> Stamp:
    return Stamp(DAY, sha256(f"nonce {number}".encode()).hexdigest()[:32])


class Log:
    """The lines of one release, written like the accountant would."""

    def __init__(self, unit: Unit, release: str = "golden") -> None:
        self.unit, self.release = unit, release
        self.lines: list[bytes] = []
        self.spent = Fraction(0)
        self.answered: list[int] = []
        self.seq = -1
        opening = {
            "entity": unit.entity,
            "column": unit.column,
            "neighbours": unit.neighbours,
            "measure": "zcdp",
        }
        self.add("open", {**opening, "cap": both(CAP), "policy": quote(POLICY)})
        self.seq = 6  # another release's lines lie between
        reserve = {"plan": digest("plan"), "reserved": both(RESERVED), "quote": quote(QUOTE), "held": both(AFTER)}
        self.add("reserve", {"release": release, **reserve, "running_epsilon": up(AFTER.rho)})

    def add(self, kind: Any, fields: dict[str, Any]) -> int:
        self.seq += 1
        self.lines.append(render(kind, fields, seq=self.seq, account="people", stamp=stamp(self.seq)))
        return self.seq

    def charge(self, kind: str, mechanism: dict[str, Any], query: dict[str, Any], squared: int, cost: Fraction) -> int:
        self.spent += cost
        unit = {"entity": self.unit.entity, "column": self.unit.column, "max_rows": self.unit.max_rows}
        fields = {
            "release": self.release,
            "mechanism": mechanism,
            "query": query,
            "unit": unit,
            "neighbours": self.unit.neighbours,
            "sensitivity_squared": str(squared),
            "cost": both(Cost(cost)),
            "chosen_by": list(self.answered),
            "running": {"rho": self.spent, "epsilon": up(self.spent)},
            "state": "DRAWING",
        }
        return self.add(kind, fields)

    def measure(self, *columns: str, sigma: int) -> int:
        rows, replace = self.unit.max_rows, self.unit.neighbours == "replace-one"
        squared = rows**2 * (2 if replace and columns else 1)
        query = {
            "columns": list(columns),
            "levels": [digest(column) for column in columns],
            "shape": [4] * len(columns),
            "basis": "marginal",
        }
        mechanism: dict[str, Any] = {"type": "discrete_gaussian", "sigma": Fraction(sigma)}
        if replace and not columns and rows == 1 and self.unit.column is None:
            squared, mechanism = 0, {"type": "public_count"}
        return self.charge("measure", mechanism, query, squared, Fraction(squared, 2 * sigma**2))

    def select(self, scale: int, picks: int) -> int:
        squared = (1024 * self.unit.max_rows * (2 if self.unit.neighbours == "replace-one" else 1)) ** 2
        mechanism = {"type": "exponential", "scale": Fraction(scale), "picks": picks, "rule": "spanning-forest"}
        query = {"score": "l1-to-model", "lattice": 1024, "candidates": 3, "digest": digest("candidates")}
        return self.charge("select", mechanism, query, squared, Fraction(picks * squared, 2 * scale**2))

    def stored(self, *of: int) -> None:
        self.add("stored", {"release": self.release, "of": list(of), "answer": digest(f"answer {of}")})
        self.answered += of

    def lost(self, *of: int) -> None:
        self.add("lost", {"release": self.release, "of": list(of)})

    def settle(self) -> None:
        fields = {"release": self.release, "spent": both(Cost(self.spent)), "reserved": both(RESERVED)}
        self.add("settle", fields)


def both(cost: Cost) -> dict[str, Fraction]:
    return {"rho": cost.rho, "delta": cost.delta}


def quote(claim: Quote) -> dict[str, Fraction]:
    return {"epsilon": claim.epsilon, "delta": claim.delta}


def build_release(folder: Path, unit: Unit | None = None, files: dict[str, bytes] | None = None) -> Path:
    """A release folder with one of each kind of entry. Equal arguments give equal bytes."""
    one = unit or Unit()
    log = Log(one)
    log.stored(log.measure(sigma=80))
    log.stored(log.measure("age", sigma=80), log.measure("sex", sigma=80))
    log.stored(log.select(scale=120_000, picks=2))
    log.lost(log.measure("age", "sex", sigma=80))
    log.stored(log.measure("age", "sex", sigma=80))
    log.settle()
    predicate = LedgerPredicate(
        Guarantee(QUOTE, RESERVED, one.entity, one.column, one.max_rows, one.neighbours),
        AccountState("people", CAP, BEFORE, AFTER),
        ReleaseFacts("golden", digest("plan"), "mst", 2, "noisy total", 7, digest("rows"), DAY),
        ("the columns and their values",),
        ("what the officer saw before approving",),
        tuple(log.lines),
        SOFTWARE,
    )
    write(folder, FILES if files is None else files)
    sign(folder, "ledger.dsse.json", LEDGER_TYPE, predicate.to_json(KEY.public))
    return folder


def build_sample(folder: Path, parent: Path) -> Path:
    """A further sample of a release folder."""
    write(folder, {"data.parquet": b"another artificial row\n", "datapackage.json": b'{"artificial": true}\n'})
    ledger = (parent / "ledger.dsse.json").read_bytes()
    model = sha256((parent / "model.npz").read_bytes()).hexdigest()
    origin = Parent("golden", "sha256:" + sha256(ledger).hexdigest(), f"sha256:{model}")
    predicate = DerivationPredicate(origin, 1, 8, None, digest("more rows"), DAY, SOFTWARE)
    sign(folder, "derivation.dsse.json", DERIVATION_TYPE, predicate.to_json(KEY.public))
    (folder / "parent.dsse.json").write_bytes(ledger)
    return folder


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def sign(folder: Path, name: str, predicate_type: str, predicate: dict[str, Any]) -> None:
    subjects = [(path.name, sha256(path.read_bytes()).hexdigest()) for path in folder.iterdir()]
    (folder / name).write_bytes(envelope(statement(subjects, predicate_type, predicate), KEY))


# --- forging ----------------------------------------------------------------------------------------------------------


@dataclass
class Forged:
    """A signed statement, taken apart. ``entries`` are the lines as objects; ``raw`` replaces the lines if given."""

    statement: dict[str, Any]
    entries: list[dict[str, Any]]
    raw: list[str] | None = None
    root: bool = True

    @property
    def predicate(self) -> dict[str, Any]:
        return self.statement["predicate"]  # type: ignore[no-any-return]

    def entry(self, kind: str, number: int = 0) -> dict[str, Any]:
        return [entry for entry in self.entries if entry["kind"] == kind][number]


def forge(folder: Path, change: Callable[[Forged], object], name: str = "ledger.dsse.json") -> None:
    """Change a signed statement and sign it anew with its own key: the signature holds, the content lies."""
    payload = json.loads(base64.b64decode(json.loads((folder / name).read_bytes())["payload"]))
    forged = Forged(payload, [json.loads(line) for line in payload["predicate"].get("entries", [])])
    change(forged)
    if "entries" in payload["predicate"]:
        lines = forged.raw or [canonical(entry).decode() for entry in forged.entries]
        payload["predicate"]["entries"] = lines
        if forged.root:
            root = merkle_root([line.encode(errors="replace") for line in lines]).hex()
            payload["predicate"]["log"] = {"root": root, "size": len(lines)}
    (folder / name).write_bytes(envelope(canonical(payload), KEY))


if __name__ == "__main__":
    if GOLDEN.exists():
        raise SystemExit("the golden folders are never written again")
    build_sample(GOLDEN / "sample-v1", build_release(GOLDEN / "release-v1"))
