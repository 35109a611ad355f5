"""A small, complete, artificial release of version 1, every byte fixed, and a forger that signs what it is told to.

``python -m tests.verifier.build`` wrote the folders in ``golden``, one release for each measure. The key below is a
published test key: what it signs means nothing. Once a version is published the golden folders are never written again:
every later verifier must accept them, so a change of the format gets a new version and a new folder beside them.
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
    amount,
    canonical,
    envelope,
    merkle_root,
    statement,
)
from dpsynth.privacy import Cost, Measure, exponential_cost, gaussian_cost, laplace_cost, residual_squared
from dpsynth.verifier import epsilon_of, epsilon_of_gdp
from tests.verifier.office import text

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
class Quote:
    epsilon: Fraction
    delta: Fraction = DELTA


@dataclass(frozen=True)
class Unit:
    entity: str = "person"
    column: str | None = "id"
    max_rows: int = 2
    neighbours: str = "add-remove"


@dataclass(frozen=True)
class Terms:
    """What an account and a release of a measure are about: the release reserves half of what is held after it."""

    measure: Measure
    reserved: Fraction
    cap: Fraction
    quote: Quote
    policy: Quote
    law: str

    def cost(self, amount: Fraction) -> Cost:
        return Cost(self.measure, amount)


TERMS: dict[str, Terms] = {
    "gdp": Terms(
        "gdp", Fraction(1, 32), Fraction(1, 8), Quote(Fraction(5, 4)), Quote(Fraction(3)), "rounded_gaussian"
    ),
    "zcdp": Terms(
        "zcdp", Fraction(1, 64), Fraction(1, 16), Quote(Fraction(5, 4)), Quote(Fraction(3)), "discrete_gaussian"
    ),
    "pure": Terms(
        "pure", Fraction(1), Fraction(3), Quote(Fraction(1), Fraction(0)), Quote(Fraction(3), Fraction(0)),
        "discrete_laplace",
    ),
}  # fmt: skip


def digest(text: str) -> str:
    return "sha256:" + sha256(text.encode()).hexdigest()


def up(amount: Fraction, measure: str = "gdp") -> str:
    """Epsilon at DELTA as a finite decimal, rounded up to 10^-18, by the verifier's own conversion."""
    exact = amount if measure == "pure" else {"gdp": epsilon_of_gdp, "zcdp": epsilon_of}[measure](amount, DELTA)
    units = math.ceil(exact * 10**18)
    return f"{units // 10**18}.{units % 10**18:018d}"


def nonce(number: int) -> str:
    return sha256(f"nonce {number}".encode()).hexdigest()[:32]


class Log:
    """The lines of one release, written like the accountant would."""

    def __init__(self, unit: Unit, terms: Terms, release: str = "golden") -> None:
        self.unit, self.terms, self.release = unit, terms, release
        self.lines: list[bytes] = []
        self.spent = Cost.nothing(terms.measure)
        self.answered: list[int] = []
        self.seq = -1
        opening = {
            "entity": unit.entity,
            "column": unit.column,
            "neighbours": unit.neighbours,
            "measure": terms.measure,
        }
        self.add("open", {**opening, "cap": self.both(terms.cap), "policy": quote(terms.policy)})
        self.seq = 6  # another release's lines lie between
        held = 2 * terms.reserved
        reserve = {"plan": digest("plan"), "reserved": self.both(terms.reserved), "quote": quote(terms.quote)}
        running = {"held": self.both(held), "running_epsilon": up(held, terms.measure)}
        self.add("reserve", {"release": release, **reserve, **running})

    def both(self, number: Fraction) -> dict[str, str]:
        return amount(self.terms.cost(number))

    def add(self, kind: Any, fields: dict[str, Any]) -> int:
        self.seq += 1
        common = {"v": 1, "seq": self.seq, "kind": kind, "account": "people", "day": DAY, "nonce": nonce(self.seq)}
        self.lines.append(canonical({**text(fields), **common}))
        return self.seq

    def charge(self, kind: str, mechanism: dict[str, Any], query: dict[str, Any], squared: int, cost: Cost) -> int:
        self.spent += cost
        unit = {"entity": self.unit.entity, "column": self.unit.column, "max_rows": self.unit.max_rows}
        fields = {
            "release": self.release,
            "mechanism": mechanism,
            "query": query,
            "unit": unit,
            "neighbours": self.unit.neighbours,
            "sensitivity_squared": str(squared),
            "cost": amount(cost),
            "chosen_by": list(self.answered),
            "running": {"spent": amount(self.spent), "epsilon": up(self.spent.amount, self.terms.measure)},
            "state": "DRAWING",
        }
        return self.add(kind, fields)

    def measure(self, *columns: str, scale: int, basis: str = "marginal") -> int:
        rows, replace = self.unit.max_rows, self.unit.neighbours == "replace-one"
        shape, laplace = [4, 3, 2][: len(columns)], self.terms.law == "discrete_laplace"
        query = {
            "columns": list(columns),
            "levels": [digest(column) for column in columns],
            "shape": shape,
            "basis": basis,
        }
        squared = rows**2 * ((4 if laplace else 2) if replace and columns else 1)
        if basis == "residual":
            squared = residual_squared(shape, rows, self.unit.neighbours)
        if replace and not columns and rows == 1 and self.unit.column is None:
            return self.charge("measure", {"type": "public_count"}, query, 0, Cost.nothing(self.terms.measure))
        return self.noisy("measure", query, squared, scale)

    def noisy(self, kind: str, query: dict[str, Any], squared: int, scale: int) -> int:
        laplace = self.terms.law == "discrete_laplace"
        mechanism = {"type": self.terms.law, "scale" if laplace else "sigma": Fraction(scale)}
        if laplace:
            cost = laplace_cost("pure", math.isqrt(squared), Fraction(scale))
        else:
            cost = gaussian_cost(self.terms.measure, squared, Fraction(scale))
        return self.charge(kind, mechanism, query, squared, cost)

    def select(self, scale: int, picks: int, weight: int = 3) -> int:
        moved = 1024 * weight * self.unit.max_rows * (2 if self.unit.neighbours == "replace-one" else 1)
        mechanism = {"type": "exponential", "scale": Fraction(scale), "picks": picks, "rule": "spanning-forest"}
        cost = exponential_cost(self.terms.measure, moved, Fraction(scale), picks)
        return self.charge("select", mechanism, {**compared(3), "weight": weight}, moved**2, cost)

    def score(self, scale: int, candidates: int) -> int:
        moved = 1024 * self.unit.max_rows * (2 if self.unit.neighbours == "replace-one" else 1)
        squared = moved**2 * candidates ** (2 if self.terms.law == "discrete_laplace" else 1)
        return self.noisy("score", compared(candidates), squared, scale)

    def stored(self, *of: int) -> None:
        self.add("stored", {"release": self.release, "of": list(of), "answer": digest(f"answer {of}")})
        self.answered += of

    def lost(self, *of: int) -> None:
        self.add("lost", {"release": self.release, "of": list(of)})

    def settle(self) -> None:
        fields = {"release": self.release, "spent": amount(self.spent), "reserved": self.both(self.terms.reserved)}
        self.add("settle", fields)


def compared(candidates: int) -> dict[str, Any]:
    return {"score": "l1-to-model", "lattice": 1024, "candidates": candidates, "digest": digest("candidates")}


def quote(claim: Quote) -> dict[str, Fraction]:
    return {"epsilon": claim.epsilon, "delta": claim.delta}


def build_release(
    folder: Path, unit: Unit | None = None, files: dict[str, bytes] | None = None, measure: Measure = "gdp"
) -> Path:
    """A release folder with one of each kind of entry. Equal arguments give equal bytes."""
    one, terms = unit or Unit(), TERMS[measure]
    log = Log(one, terms)
    log.stored(log.measure(scale=80))
    log.stored(log.measure("age", scale=80), log.measure("sex", scale=80))
    log.stored(log.select(scale=360_000, picks=2))
    log.lost(log.measure("age", "sex", scale=80))
    log.stored(log.measure("age", "sex", scale=400, basis="marginal" if measure == "pure" else "residual"))
    log.stored(log.score(scale=5_000_000, candidates=226))
    log.settle()
    reserved = terms.cost(terms.reserved)
    predicate = LedgerPredicate(
        Guarantee(terms.quote, reserved, one.entity, one.column, one.max_rows, one.neighbours),
        AccountState("people", terms.cost(terms.cap), reserved, reserved + reserved),
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
    if (GOLDEN / "release-v1").exists():
        raise SystemExit("the golden folders are never written again")
    build_sample(GOLDEN / "sample-v1", build_release(GOLDEN / "release-v1"))
    for measure in ("zcdp", "pure"):
        build_release(GOLDEN / f"release-v1-{measure}", measure=measure)
