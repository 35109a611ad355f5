#!/usr/bin/env python3
"""Check a release of differentially private synthetic data without trusting, or having, the program that made it.

    python verifier.py RELEASE [--json]                     check a release folder (or the folder of a further sample)
    python verifier.py convert --mu2 P/Q --delta D [--json] epsilon of mu-GDP at a delta, rounded up (of zCDP: --rho)

This one file needs Python >= 3.11, its standard library and the package `cryptography`. It reads no private data, opens
no connection, imports nothing that a ledger names, and refuses everything that it does not know.

WHAT A PASS PROVES. The files are those that the holder of the key signed. By the signed ledger, every question asked of
the private table was paid before the answer was known, at the price that its noise and its sensitivity call for; the
prices sum to at most what was reserved; what was reserved gives at most the epsilon claimed, at the delta claimed, for
the unit and the neighbour relation named; and the account's cap holds.

WHAT IT DOES NOT PROVE. That the noise was really drawn so, and well; that what is declared public is public; that the
table was not queried elsewhere; that the rows are those of the model (dpsynth draws them again: verify --rebuild, for a
sample --parent); who holds the key: compare the key id with one got from the publisher another way.

Exit codes: 0 verified; 2 usage; 20 signature or form; 21 a file is missing, unlisted or changed; 22 a cost, sum or
claim is wrong; 23 something unknown, so that epsilon must be taken as infinite; 70 the verifier failed. Of several
failures the first of 20, 23, 21, 22, 70 gives the code.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import os
import re
import stat
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from fractions import Fraction
from io import BufferedReader
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OK, SIGNATURE, FILES, TOTALS, UNKNOWN, INTERNAL = 0, 20, 21, 22, 23, 70
MAX_BYTES = 64 * 2**20  # an envelope longer than this is refused unread
MAX_NUMBER = 2500  # so is an exact number of more digits, above or below the line; Python itself reads 4300

Json = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The outcome. Unless ``ok``, epsilon is "infinity": nothing is shown. All text is safe to print."""

    ok: bool
    exit_code: int
    epsilon: str
    delta: str
    measure: str
    amount: str
    release: str
    keyid: str
    notes: tuple[str, ...]
    failures: tuple[str, ...]


class Refused(Exception):
    """What follows cannot be checked at all: a message and the exit code."""


@dataclass
class Report:
    """What was found so far."""

    claim: dict[str, str] = field(default_factory=dict)  # epsilon, delta, measure, amount, release, keyid
    notes: list[str] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def require(self, holds: bool, message: str, code: int = TOTALS) -> None:
        """Record a failure unless ``holds``, and go on."""
        if not holds:
            self.failures.append((code, message))

    def verdict(self) -> Verdict:
        """The outcome of it all."""
        order, failed = (SIGNATURE, UNKNOWN, FILES, TOTALS, INTERNAL), {code for code, _ in self.failures}
        code = next((code for code in order if code in failed), OK)
        said = {key: plain(self.claim.get(key, "")) for key in ("delta", "measure", "amount", "release", "keyid")}
        epsilon = "infinity" if failed else plain(self.claim["epsilon"])
        failures = tuple(plain(f"[{code}] {message}") for code, message in self.failures)
        return Verdict(not failed, code, epsilon, **said, notes=tuple(map(plain, self.notes)), failures=failures)


def plain(text: str, limit: int = 500) -> str:
    """Text from a ledger, made safe to print: no control characters, no hidden or reordering marks, not too long."""
    safe = (char if char.isprintable() and char != "\\" else f"\\u{{{ord(char):x}}}" for char in text[:limit])
    return "".join(safe) + ("…" if len(text) > limit else "")


# === 1. Exact arithmetic ==============================================================================================
# Costs are exact fractions. Only logarithms and the normal law are not; they are bounded below and above.

WIDE, SLACK = Context(prec=80, Emax=MAX_EMAX, Emin=MIN_EMIN), Decimal("1e-50")
ROOT = Decimal("1.2533141373155002512078826424055226265034933703049691583149617881711468273039")  # sqrt(pi/2)
TOLERANCE = Fraction(1, 2**50)  # a stated bound may exceed the exact value by this much, and never fall below it
FLOOR = Context(prec=60, rounding=ROUND_FLOOR, Emax=MAX_EMAX, Emin=MIN_EMIN)
CEILING = Context(prec=60, rounding=ROUND_CEILING, Emax=MAX_EMAX, Emin=MIN_EMIN)


def log_bounds(x: Fraction) -> tuple[Fraction, Fraction]:
    """Numbers below and above ln(x). Decimal's ln is correctly rounded, so one step outward is past the true value."""
    above, below = (context.divide(Decimal(x.numerator), Decimal(x.denominator)) for context in (CEILING, FLOOR))
    return Fraction(FLOOR.next_minus(FLOOR.ln(below))), Fraction(CEILING.next_plus(CEILING.ln(above)))


def epsilon_of(rho: Fraction, delta: Fraction) -> Fraction:
    """An upper bound on the epsilon for which rho-zCDP gives (epsilon, delta)-DP.

    Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (2020), Proposition 12: for EVERY
    alpha > 1, rho-zCDP implies (epsilon, delta)-DP with, writing t = alpha - 1,

        epsilon = (1 + t) rho + ln(t / (1 + t)) + (ln(1 / delta) - ln(1 + t)) / t.

    So it does not matter how t is found: any t is safe, and only this formula, evaluated upward, must be right. The
    best t is the one root of rho t^2 + ln(1 + t) = ln(1 / delta); floating point finds it closely enough for the
    result to be within 10^-20 of the least possible epsilon for every rho from 10^-12 to 10^6.
    """
    if rho == 0:
        return Fraction(0)
    _, target = log_bounds(1 / delta)
    slope, goal = float(min(max(rho, Fraction(1, 10**30)), Fraction(10**30))), float(target)
    low, high = 0.0, math.sqrt(goal / slope)
    for _ in range(120):
        middle = (low + high) / 2
        above = slope * middle * middle + math.log1p(middle) >= goal
        low, high = (low, middle) if above else (middle, high)
    t = Fraction(max(high, 1e-30))
    (_, ratio), (growth, _) = log_bounds(t / (1 + t)), log_bounds(1 + t)
    return max(Fraction(0), (1 + t) * rho + ratio + (target - growth) / t)


def mills(x: Decimal, depth: int = 100) -> Decimal:
    """Mills' ratio R(x) = Phi(-x) / phi(x) of the normal law for x >= -12, within SLACK of itself.

    x < 3: R = sqrt(pi/2) exp(x^2/2) - x - x^3/3 - x^5/(3 5) - ...; once a term is at most half the one before, all that
    are left out come to at most twice the first of them. x >= 3: Laplace's continued fraction R = 1/(x + 1/(x + 2/(x +
    3/...))); what is cut off lies between 0 and n/x, so it is begun with both, and deeper until they agree.
    """
    if x < 3:
        ratio, term, odd = (x * x / 2).exp() * ROOT, x, 1
        while abs(term) > Decimal("1e-70") or 2 * x * x > odd:
            ratio, odd = ratio - term, odd + 2
            term *= x * x / odd
        return ratio
    least, most = Decimal(0), (depth + 1) / x
    for n in range(depth, 0, -1):
        least, most = n / (x + most), n / (x + least)
    return 1 / (x + least) if most - least < SLACK else mills(x, 2 * depth)


def gdp_gives(mu2: Fraction, epsilon: Fraction, delta: Fraction) -> bool:
    """Whether mu-GDP certainly gives (epsilon, delta)-DP, for mu^2 > 0, epsilon >= 0 and 0 < delta < 1.

    Dong, Roth, Su, "Gaussian Differential Privacy" (2022), Corollary 2.13: it does if and only if, with
    a = epsilon/mu - mu/2 and b = a + mu, delta is at least

        Phi(-a) - exp(epsilon) Phi(-b) = phi(a) (R(a) - R(b)).

    That falls with epsilon and rises with mu, so mu is taken too large and a too small. Below a = -12 it is above
    1 - 10^-32. All is reckoned with 80 digits, which leaves more than 60; what is compared is too large by SLACK.
    """
    with localcontext(WIDE):
        size, claimed, limit = (Decimal(x.numerator) / x.denominator for x in (mu2, epsilon, delta))
        mu = size.sqrt() * (1 + SLACK)
        a = claimed / mu - mu / 2 - (claimed / mu + mu / 2) * SLACK
        if a < -12:
            return False
        apart = mills(a) * (1 + SLACK) - mills(a + mu) * (1 - SLACK)
        return (-a * a / 2).exp() * apart / (2 * ROOT) * (1 + SLACK) <= limit


def epsilon_of_gdp(mu2: Fraction, delta: Fraction) -> Fraction:
    """An upper bound on the epsilon for which mu-GDP gives (epsilon, delta)-DP, by halving."""
    low, high = Fraction(0), Fraction(0 if mu2 == 0 else 1)
    while mu2 and not gdp_gives(mu2, high, delta):
        low, high = high, 2 * high
    while high - low > Fraction(1, 2**70):
        middle = (low + high) / 2
        low, high = (low, middle) if gdp_gives(mu2, middle, delta) else (middle, high)
    return high


def gives(amount: Json, measure: str, epsilon: Fraction, delta: Fraction) -> bool:
    """Whether an amount certainly gives (epsilon, delta)-DP; its own delta_0 uses up a part of delta."""
    size, left = quantity(amount, measure), delta - Fraction(amount["delta"])
    if measure == "pure":
        return size <= epsilon and amount["delta"] == "0"
    if size == 0 or left <= 0 or epsilon < 0:
        return size == 0 <= epsilon and left >= 0
    return gdp_gives(size, epsilon, left) if measure == "gdp" else epsilon_of(size, left) <= epsilon


def quantity(amount: Json, measure: str) -> Fraction:
    """The number of an amount, which must be in the unit of the account's measure."""
    unit = UNITS[measure]
    demand(amount, {unit: NUMBER, "delta": NUMBER}, f"an amount in {unit}", TOTALS)
    return Fraction(amount[unit])


def converted(stated: str, amount: Json, measure: str, delta: Fraction) -> bool:
    """Whether a stated epsilon is one of an amount at a delta, and not needlessly far above the least."""
    epsilon = Fraction(stated)
    return gives(amount, measure, epsilon, delta) and not gives(amount, measure, epsilon - TOLERANCE, delta)


def decimal(x: Fraction, places: int = 6) -> str:
    """A number for people, rounded up."""
    digits = f"{math.ceil(x * 10**places):0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


# === 2. What each mechanism costs =====================================================================================
# A closed table. The relation "add-remove" adds or removes all rows of one entity; "replace-one" exchanges them for
# others. An entity has at most s = max_rows rows.

UNITS = {"gdp": "mu2", "zcdp": "rho", "pure": "epsilon"}  # what adds up in each measure that an account may have
SCORE_LATTICE = 1024  # scores are counted in 1/1024 of a row


def sensitivity_squared(entry: Json) -> Fraction:
    """The squared sensitivity of what an entry asked, in L1 where the noise is Laplace's and in L2 otherwise.

    total      add-remove: s^2.  replace-one: 0 if each row is its own entity (n never changes), s^2 otherwise.
    marginal   add-remove: s^2 (all s rows in one cell).  replace-one, out of one cell and into another: 2 s^2, in L1
               (2 s)^2.
    residual   of axes with m cells: s^2 times the product P of all m (m - 1).  replace-one: 2 s^2 P m/(m - 1) with the
               least m (two cells that differ along the shortest axis alone).
    score      weight times sum |count - expected| of a marginal against public numbers, on the lattice of 1/1024, less
               a public number: moves by 1024 weight s, replace-one by twice that. Where all N scores are answered
               (weight 1) each may move so far: N times its square, in L1 the square of N times that.
    """
    rows, replace, query = entry["unit"]["max_rows"], entry["neighbours"] == "replace-one", entry["query"]
    laplace = entry["mechanism"]["type"] == "discrete_laplace"
    if entry["kind"] != "measure":
        moved = SCORE_LATTICE * query.get("weight", 1) * rows * (2 if replace else 1)
        return Fraction(moved**2 * (1 if entry["kind"] == "select" else query["candidates"] ** (2 if laplace else 1)))
    if not query["shape"]:
        return Fraction(0 if replace and rows == 1 and entry["unit"]["column"] is None else rows**2)
    if query["basis"] == "residual":
        squared, least = rows**2 * math.prod(m * (m - 1) for m in query["shape"]), min(query["shape"])
        return Fraction(2 * squared * least, least - 1) if replace else Fraction(squared)
    return Fraction(rows**2 * ((4 if laplace else 2) if replace else 1))


def cost_of(entry: Json, squared: Fraction, measure: str) -> Fraction | None:
    """What an answer costs, given the squared sensitivity D^2; None if it may not be given at any price.

    rounded_gaussian    gdp: mu^2 = D^2 / sigma^2 (Dong, Roth, Su 2022, Theorem 2.7; rounding is post-processing).
                        zcdp: rho = D^2 / (2 sigma^2).  pure: no price.
    discrete_gaussian   zcdp: rho = D^2 / (2 sigma^2)  (Canonne, Kamath, Steinke 2020, Theorem 4).  Else: no price.
    discrete_laplace    pure: epsilon = D / scale, D in L1.  Else, and for a residual: no price.
    exponential         each pick draws index i with probability proportional to exp(score_i / scale), which is
                        e-bounded-range with e = 2 D / scale.  pure: e a pick.  zcdp: e^2 / 8 a pick (Cesar and Rogers
                        2021, "Bounding, Concentrating, and Truncating").  gdp: 355/113 > pi times that.
    public_count        the exact answer, free where D = 0, and only there.
    """
    mechanism, law = entry["mechanism"], entry["mechanism"]["type"]
    if law == "public_count":
        return None if squared else Fraction(0)
    noise = Fraction(mechanism["sigma"] if "sigma" in mechanism else mechanism["scale"])
    if law == "exponential":
        picks = int(mechanism["picks"])
        if measure == "pure":
            return 2 * picks * math.isqrt(int(squared)) / noise
        return picks * squared / (2 * noise**2) * (Fraction(355, 113) if measure == "gdp" else 1)
    if law == "discrete_laplace":
        priced = measure == "pure" and entry["query"].get("basis") != "residual"
        return math.isqrt(int(squared)) / noise if priced else None
    if measure == "zcdp":
        return squared / (2 * noise**2)
    return squared / noise**2 if (measure, law) == ("gdp", "rounded_gaussian") else None


# === 3. The form of everything signed =================================================================================
# A shape says which values are known: an object with exactly these keys, a list [shape], alternatives (a, b), a range
# of whole numbers, a pattern for text, a type, a test, or one literal value. Whatever does not fit is unknown.

Shape = Any


def exact(above: int = -1, below: float = math.inf) -> Shape:
    """An exact number between two bounds, as text in lowest terms: "3", "1/800"."""
    whole = f"[1-9][0-9]{{0,{MAX_NUMBER - 1}}}"

    def test(value: Any) -> bool:
        form = type(value) is str and re.fullmatch(f"(0|{whole})(/{whole})?", value)
        return bool(form) and above < Fraction(value) < below and str(Fraction(value)) == value

    return test


# fmt: off
NUMBER, POSITIVE, PROBABILITY, COUNT, COUNTING = exact(), exact(0), exact(-1, 1), range(2**63), range(1, 2**63)
NAME, DECIMAL = re.compile("(?s).+"), re.compile(r"(0|[1-9][0-9]{0,999})(\.[0-9]{1,999})?")
DIGEST, HEX64, HEX32 = re.compile("sha256:[0-9a-f]{64}"), re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{32}")
DAY, NEIGHBOURS, NULLABLE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}"), ("add-remove", "replace-one"), (None, str)
MEASURE: Shape = tuple(UNITS)
AMOUNT: Shape = tuple({unit: NUMBER, "delta": NUMBER} for unit in UNITS.values())
CLAIM: Shape = {"epsilon": POSITIVE, "delta": PROBABILITY}
NOISE: Shape = (
    {"type": ("rounded_gaussian", "discrete_gaussian"), "sigma": POSITIVE},
    {"type": "discrete_laplace", "scale": POSITIVE}, {"type": "public_count"},
)
CHOICE: Shape = {"type": "exponential", "scale": POSITIVE, "picks": COUNTING, "rule": ("distinct", "spanning-forest")}
TABLE: Json = {"columns": [str], "levels": [DIGEST], "shape": [COUNTING], "basis": "marginal"}
RESIDUAL: Json = {**TABLE, "shape": [range(2, 2**63)], "basis": "residual"}
SCORE: Json = {"score": "l1-to-model", "lattice": SCORE_LATTICE, "candidates": COUNTING, "digest": DIGEST}
CHARGE: Json = {
    "release": NAME, "unit": {"entity": NAME, "column": NULLABLE, "max_rows": COUNTING}, "neighbours": NEIGHBOURS,
    "sensitivity_squared": NUMBER, "cost": AMOUNT, "chosen_by": [COUNT], "state": "DRAWING",
    "running": {"spent": AMOUNT, "epsilon": DECIMAL},
}
COMMON: Json = {"v": 1, "seq": COUNT, "nonce": HEX32, "kind": str, "day": DAY, "account": NAME}
KINDS: dict[str, Json] = {
    "open": {
        "entity": NAME, "column": NULLABLE, "neighbours": NEIGHBOURS, "measure": MEASURE, "cap": AMOUNT,
        "policy": CLAIM,
    },
    "reserve": {
        "release": NAME, "plan": DIGEST, "reserved": AMOUNT, "quote": CLAIM, "held": AMOUNT, "running_epsilon": DECIMAL,
    },
    "measure": {"mechanism": NOISE, "query": (TABLE, RESIDUAL), **CHARGE},
    "select": {"mechanism": CHOICE, "query": {**SCORE, "weight": COUNTING}, **CHARGE},
    "score": {"mechanism": NOISE[:2], "query": SCORE, **CHARGE},
    "stored": {"release": NAME, "of": [COUNT], "answer": DIGEST},
    "lost": {"release": NAME, "of": [COUNT]},
    "settle": {"release": NAME, "spent": AMOUNT, "reserved": AMOUNT},
}
SIGNER: Shape = {"algorithm": "ed25519", "keyid": HEX64, "public_key": str}
SOFTWARE: Shape = {"name": str, "version": str}
LEDGER: Shape = {
    "version": 1,
    "guarantee": {
        "epsilon": POSITIVE, "delta": PROBABILITY, "measure": MEASURE, "reserved": AMOUNT, "entity": NAME,
        "unit_column": NULLABLE, "max_rows": COUNTING, "neighbours": NEIGHBOURS,
    },
    "account": {"name": NAME, "cap": AMOUNT, "held_before": AMOUNT, "held_after": AMOUNT},
    "release": {
        "id": NAME, "plan": DIGEST, "mechanism": str, "rows": COUNT, "rows_rule": ("noisy total", "given"),
        "seed": COUNT, "rows_digest": DIGEST, "day": DAY,
    },
    "public": [str], "outside": [str], "entries": [str], "log": {"root": HEX64, "size": COUNT},
    "signer": SIGNER, "software": SOFTWARE,
}
DERIVATION: Shape = {
    "version": 1,
    "parent": {"release": NAME, "envelope": DIGEST, "model": DIGEST},
    "sample": {"rows": COUNT, "seed": COUNT, "where": NULLABLE, "rows_digest": DIGEST, "day": DAY},
    "signer": SIGNER, "software": SOFTWARE,
}
LEDGER_TYPE, DERIVATION_TYPE = "urn:dpsynth:dp-ledger:v1", "urn:dpsynth:dp-derivation:v1"
SAMPLE = ("data.parquet", "datapackage.json")
RELEASE = (*SAMPLE, "measurements.npz", "model.npz", "report.html", "CITATION.cff")
PUBLISHED = {LEDGER_TYPE: (RELEASE, ("data.csv",)), DERIVATION_TYPE: (SAMPLE, ())}  # what is signed, and what may be
STATEMENT: Shape = {
    "_type": "https://in-toto.io/Statement/v1", "subject": [{"name": str, "digest": {"sha256": HEX64}}],
    "predicateType": (LEDGER_TYPE, DERIVATION_TYPE), "predicate": dict,
}
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVELOPE: Shape = {"payload": str, "payloadType": PAYLOAD_TYPE, "signatures": [{"keyid": HEX64, "sig": str}]}
# fmt: on


def misfit(value: Any, shape: Shape, where: str) -> str:
    """The first place where a value does not have its shape, or nothing."""
    match shape:
        case dict():
            if type(value) is dict and value.keys() == shape.keys():
                return next(filter(None, (misfit(value[key], shape[key], f"{where}.{key}") for key in shape)), "")
            return f"{where}.{min(value.keys() ^ shape.keys())}" if type(value) is dict else where
        case list():
            fits = type(value) is list and not any(misfit(item, shape[0], where) for item in value)
        case tuple():
            fits = any(not misfit(value, alternative, where) for alternative in shape)
        case range():
            fits = type(value) is int and value in shape
        case re.Pattern():
            fits = type(value) is str and shape.fullmatch(value) is not None
        case type():
            fits = type(value) is shape
        case _:
            fits = shape(value) if callable(shape) else type(value) is type(shape) and value == shape
    return "" if fits else where


def demand(value: Any, shape: Shape, what: str, code: int = UNKNOWN) -> None:
    """Refuse a value that does not have its shape."""
    if where := misfit(value, shape, what):
        raise Refused(f"{where} is missing, not known to this verifier, or not of a form that it knows", code)


def read_json(data: bytes, what: str) -> Any:
    """JSON in its one canonical spelling: ASCII, sorted, each key once, only whole numbers (int refuses others)."""
    with suppress(ValueError, RecursionError):
        value = json.loads(data.decode("ascii"), parse_float=int, parse_constant=int)
        if json.dumps(value, sort_keys=True, separators=(",", ":")).encode() == data:
            return value
    raise Refused(f"{what} is not JSON in canonical form", SIGNATURE)


# === 4. The envelope: DSSE 1.0.2 around an in-toto Statement v1 =======================================================


def open_envelope(path: Path, report: Report) -> tuple[Json, str, str]:
    """The statement in an envelope, its signer's key id, the file's digest. What is read is what was signed."""
    with open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES or not data.endswith(b"\n"):
        raise Refused(f"{path.name} is longer than {MAX_BYTES} bytes, or does not end with a newline", SIGNATURE)
    envelope = read_json(data[:-1], path.name)
    demand(envelope, ENVELOPE, path.name, SIGNATURE)
    if len(envelope["signatures"]) != 1:
        raise Refused(f"{path.name} does not carry exactly one signature", SIGNATURE)
    payload, signature = unbase64(envelope["payload"]), unbase64(envelope["signatures"][0]["sig"])
    statement: Json = read_json(payload, f"the statement in {path.name}")
    demand(statement, STATEMENT, "statement")
    signer = statement["predicate"].get("signer")
    demand(signer, SIGNER, "statement.predicate.signer")
    key, keyid = unbase64(signer["public_key"]), envelope["signatures"][0]["keyid"]
    named = hashlib.sha256(key).hexdigest() == keyid == signer["keyid"]
    report.require(named, f"{path.name}: the key id is not the SHA-256 of the public key", SIGNATURE)
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)  # DSSE's PAE
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        report.require(False, f"{path.name}: the signature does not fit the bytes and the key", SIGNATURE)
    (must, may), names = PUBLISHED[statement["predicateType"]], [subject["name"] for subject in statement["subject"]]
    demand(names, [(*must, *may)], f"the name of a file signed by {path.name}")
    report.require(set(must) <= set(names), f"{path.name} does not sign all of {', '.join(must)}", FILES)
    report.require(len(set(names)) == len(names), f"{path.name} signs a file twice", FILES)
    return statement, keyid, "sha256:" + hashlib.sha256(data).hexdigest()


def unbase64(text: str) -> bytes:
    """Standard base64 in its one canonical spelling."""
    with suppress(ValueError):
        data = base64.b64decode(text, validate=True)
        if base64.b64encode(data).decode() == text:
            return data
    raise Refused("base64 in an envelope is not in canonical form", SIGNATURE)


# === 5. The ledger ====================================================================================================


def merkle_root(lines: list[bytes]) -> str:
    """RFC 6962, section 2.1: a leaf hashes 0x00 and a line, a node hashes 0x01 and its two children."""
    nodes = [hashlib.sha256(b"\x00" + line).digest() for line in lines]
    while len(nodes) > 1:
        pairs = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(nodes[::2], nodes[1::2], strict=False)]
        nodes = pairs + nodes[2 * len(pairs) :]  # an odd last node moves up as it is
    return (nodes[0] if nodes else hashlib.sha256().digest()).hex()


def read_entry(line: bytes, report: Report) -> Json | None:
    """One line of the log, if it can be understood."""
    try:
        entry: Json = read_json(line, "a line of the log")
        demand(entry, dict, "a line of the log")
        demand(entry.get("kind"), tuple(KINDS), f"the kind {entry.get('kind')} of an entry")
        demand(entry, {**COMMON, **KINDS[entry["kind"]]}, f"entry {entry.get('seq')} ({entry['kind']})")
        return entry
    except Refused as refusal:
        report.require(False, *refusal.args)
        return None


def check_ledger(ledger: Json, report: Report) -> None:
    """Everything that can be recomputed from a ledger alone."""
    demand(ledger, LEDGER, "ledger")
    guarantee, account, release = ledger["guarantee"], ledger["account"], ledger["release"]
    reserved, quote = guarantee["reserved"], {key: guarantee[key] for key in ("epsilon", "delta")}
    measure, size = guarantee["measure"], quantity(reserved, guarantee["measure"])
    report.claim |= {**quote, "measure": measure, "amount": str(size), "release": release["id"]}
    lines = [line.encode(errors="replace") for line in ledger["entries"]]
    head = {"root": merkle_root(lines), "size": len(lines)}
    report.require(ledger["log"] == head, "the root of the log is not that of its lines", FILES)
    entries = [entry for line in lines if (entry := read_entry(line, report))]
    if len(entries) < len(lines):
        return  # what was not understood may have cost anything
    if [entry["kind"] for entry in entries[:2]] != ["open", "reserve"]:
        raise Refused("the log does not begin by opening the account and reserving for the release", TOTALS)
    opened, reserve, *charges = entries
    require, seqs = report.require, [entry["seq"] for entry in entries]
    require(seqs == sorted(set(seqs)), "the entries are not in the order of their seq")
    require(len({entry["nonce"] for entry in entries}) == len(entries), "two entries carry the same nonce")
    require(all(entry["account"] == account["name"] for entry in entries), "an entry belongs to another account")
    require(all(entry.get("release") == release["id"] for entry in entries[1:]), "an entry belongs to another release")
    for key, own in (("entity",) * 2, ("unit_column", "column"), ("neighbours",) * 2, ("measure",) * 2):
        require(opened[own] == guarantee[key], f"the {key} of the guarantee is not that of the account")
    require(reserve["plan"] == release["plan"], "the plan of the release is not the one that was reserved for")
    require(reserve["reserved"] == reserved, "the guarantee is not stated for what was reserved")
    require(reserve["quote"] == quote, "the guarantee is not what was quoted when the budget was reserved")
    given = gives(reserved, measure, Fraction(guarantee["epsilon"]), Fraction(guarantee["delta"]))
    require(given, "what was reserved does not give the epsilon claimed")
    spent = check_charges(charges, guarantee, report)
    require(spent <= size, "the entries cost more than was reserved")
    require(opened["cap"] == account["cap"], "the cap stated is not that with which the account was opened")
    require(reserve["held"] == account["held_after"], "what the account holds is not what its entry says")
    states, unit = ("held_before", "held_after", "cap"), UNITS[measure]
    before, after, cap = (quantity(account[state], measure) for state in states)
    require(before + size == after, f"{unit} held before + reserved is not held after")
    require(after <= cap, f"the account holds more {unit} than its cap")
    before, after, cap = (Fraction(account[state]["delta"]) for state in states)
    require(before + Fraction(reserved["delta"]) == after <= cap, "the deltas held do not add up, or exceed the cap")
    policy = {key: Fraction(number) for key, number in opened["policy"].items()}
    require(gives(account["cap"], measure, **policy), "the cap is above the account's policy")
    held = converted(reserve["running_epsilon"], account["held_after"], measure, policy["delta"])
    require(held, "the running epsilon of the account is wrong")
    used = " of ".join(decimal(quantity(account[state], measure)) for state in ("held_after", "cap"))
    column, most = guarantee["unit_column"], guarantee["max_rows"]
    rows = f"at most {most} row{'s' * (most > 1)} each ({'no column' if column is None else f'column {column}'})"
    report.notes += [
        f"protected: each {guarantee['entity']}, {rows}, neighbours {guarantee['neighbours']}",
        f"account {account['name']}: {unit} {used} held after this release",
        f"{release['rows']} rows ({release['rows_rule']}) by {release['mechanism']} on {release['day']}",
        *(f"declared public: {text}" for text in ledger["public"]),
        *(f"outside the guarantee: {text}" for text in ledger["outside"]),
    ]


def check_charges(entries: list[Json], guarantee: Json, report: Report) -> Fraction:
    """Recompute the price of every answer; returns their sum (no mechanism known has a cost in delta)."""
    unit = {"entity": guarantee["entity"], "column": guarantee["unit_column"], "max_rows": guarantee["max_rows"]}
    measure, delta, spent = guarantee["measure"], Fraction(guarantee["delta"]), Fraction(0)
    waiting, stored = set[int](), set[int]()  # drawn and neither stored nor lost; stored
    counts = dict.fromkeys(KINDS, 0)
    for entry in entries:
        kind, found = entry["kind"], Report()
        require = found.require
        counts[kind] += 1
        require(not counts["settle"] or entry is entries[-1], "the release was settled before")
        if "cost" in entry:
            require(entry["unit"] == unit, "its unit of privacy is not that of the guarantee")
            require(entry["neighbours"] == guarantee["neighbours"], "its neighbours are not those of the guarantee")
            if kind == "measure":
                columns, levels, shape, _ = (entry["query"][key] for key in TABLE)
                axes = len(set(columns)) == len(columns) == len(levels) == len(shape)
                require(axes, "its query does not have one level and one size for each column")
            squared = sensitivity_squared(entry)
            require(Fraction(entry["sensitivity_squared"]) == squared, f"its squared sensitivity is {squared}")
            price, cost, running = cost_of(entry, squared, measure), entry["cost"], entry["running"]
            stated, so_far = quantity(cost, measure), quantity(running["spent"], measure)
            priced = price is not None and price <= stated <= price + TOLERANCE
            require(priced, "its cost is not what its noise calls for (in some measures some answers have none)")
            require(cost["delta"] == running["spent"]["delta"] == "0", "its mechanism has no cost in delta")
            spent += stated
            if spent.denominator.bit_length() > 2**13:  # keep a long sum short, rounding up
                spent = Fraction(math.ceil(spent * 2**512), 2**512)
            require(spent <= so_far <= spent + TOLERANCE, "its running sum is wrong")
            known = converted(running["epsilon"], running["spent"], measure, delta)
            require(known, "its running epsilon is wrong")
            require(set(entry["chosen_by"]) <= stored, "it was chosen by an answer that was not known")
            waiting.add(entry["seq"])
        elif kind in ("stored", "lost"):
            of = set(entry["of"])
            require(0 < len(of) == len(entry["of"]) and of <= waiting, "it names what is not waiting for an answer")
            waiting -= of
            stored |= of if kind == "stored" else set()
        elif kind == "settle":
            told = spent <= quantity(entry["spent"], measure) <= spent + TOLERANCE and entry["spent"]["delta"] == "0"
            require(told, "it does not state what was spent")
            require(entry["reserved"] == guarantee["reserved"], "it does not state what was reserved")
        else:
            require(False, "an account is opened, and a release reserved for, once")
        report.failures += [(code, f"entry {entry['seq']} ({kind}): {message}") for code, message in found.failures]
    report.require(bool(stored), "no answer was paid for and stored, so that no row can come from the table")
    report.notes += [
        f"tables measured: {counts['measure']}, private selections made: {counts['select']}, "
        f"lists of scores: {counts['score']}",
        f"answers paid for and never seen: {len(waiting)} unfinished, {counts['lost']} lost",
    ]
    return spent


# === 6. The files =====================================================================================================


def open_regular(path: Path) -> BufferedReader:
    """A regular file, opened for reading; never through a symbolic link, never a pipe or a device."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        raise Refused(f"the file {path.name} is missing or is a link", FILES) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused(f"{path.name} is not a regular file", FILES)
    return os.fdopen(descriptor, "rb")


def check_files(folder: Path, statement: Json, envelopes: set[str], report: Report) -> None:
    """The folder holds the files signed, unchanged, the envelopes read, and nothing else whatever."""
    signed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    for name, digest in signed.items():
        try:
            with open_regular(folder / name) as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == digest
            report.require(same, f"the file {name} was changed after it was signed", FILES)
        except Refused as refusal:
            report.require(False, *refusal.args)
    for name in sorted({path.name for path in folder.iterdir()} - signed.keys() - envelopes):  # file, folder or link
        report.require(False, f"{name} is not among the files signed", FILES)


def check_derivation(folder: Path, derivation: Json, report: Report) -> None:
    """A further sample of a published model is free. Only its signer says that it is one: it must be the parent's."""
    demand(derivation, DERIVATION, "derivation")
    parent, where = derivation["parent"], derivation["sample"]["where"]
    origin, keyid, digest = open_envelope(folder / "parent.dsse.json", report)
    report.require(digest == parent["envelope"], "parent.dsse.json is not the ledger that was sampled", FILES)
    demand(origin["predicateType"], LEDGER_TYPE, "predicateType of the parent")
    same = derivation["signer"] == origin["predicate"]["signer"]
    report.require(same, "the sample is not signed by the key that signed its parent", SIGNATURE)
    check_ledger(origin["predicate"], report)
    report.require(report.claim["release"] == parent["release"], "the parent is another release", FILES)
    model = {"name": "model.npz", "digest": {"sha256": parent["model"].removeprefix("sha256:")}}
    report.require(model in origin["subject"], "the model sampled is not the parent's", FILES)
    report.notes[:0] = [
        f"post-processing of release {parent['release']}, whose ledger is signed by key {keyid}",
        "this check did not draw the rows again: `dpsynth verify --parent RELEASE` shows whether they are the model's",
        *([f"said to be drawn given a condition, so that each row fulfils it: {where}"] if where else []),
    ]


def verify(folder: str | os.PathLike[str]) -> Verdict:
    """Check a release folder. Nothing that the folder holds makes it raise: what it cannot judge, it refuses."""
    report, path = Report(), Path(folder)
    try:
        derived = os.path.lexists(path / "derivation.dsse.json")
        name = "derivation.dsse.json" if derived else "ledger.dsse.json"
        statement, report.claim["keyid"], _ = open_envelope(path / name, report)
        check_files(path, statement, {name, "parent.dsse.json"} if derived else {name}, report)
        demand(statement["predicateType"], DERIVATION_TYPE if derived else LEDGER_TYPE, "predicateType")
        if derived:
            check_derivation(path, statement["predicate"], report)
        else:
            check_ledger(statement["predicate"], report)
        report.notes.append("the signer is not tied to any root: compare the key id with one got from the publisher")
    except Refused as refusal:
        report.require(False, *refusal.args)
    except Exception as error:  # whatever happens, it is not a pass
        report.require(False, f"the verifier failed ({type(error).__name__})", INTERNAL)
    return report.verdict()


# === 7. The command line ==============================================================================================


def main(arguments: list[str]) -> int:
    """Print the outcome and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", help="a release folder, or the word convert")
    parser.add_argument("--mu2", help="convert: mu squared of Gaussian DP, exact: 1/30 or 0.033")
    parser.add_argument("--rho", help="convert: rho of zCDP, exact: 1/800 or 0.00125")
    parser.add_argument("--delta", help="convert: between 0 and 1, exact: 1e-9")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(arguments)
    given = {unit: text for unit in ("mu2", "rho") if (text := getattr(options, unit)) is not None}
    if options.release == "convert":
        try:
            [(unit, amount)], delta = [(key, Fraction(text)) for key, text in given.items()], Fraction(options.delta)
        except (TypeError, ValueError, ZeroDivisionError):
            parser.error("convert needs --mu2 or --rho, and --delta, as exact numbers such as 1/800, 0.00125 or 1e-9")
        if amount < 0 or not 0 < delta < 1:
            parser.error("--mu2 and --rho are not negative, and --delta lies between 0 and 1")
        epsilon = decimal(epsilon_of_gdp(amount, delta) if unit == "mu2" else epsilon_of(amount, delta), 15)
        code, facts, lines = OK, {unit: str(amount), "delta": str(delta), "epsilon": epsilon}, [f"epsilon {epsilon}"]
    else:
        if given or options.delta or not Path(options.release).is_dir():
            parser.error(f"{plain(options.release)} is not a folder, or an amount or --delta is given without convert")
        verdict = verify(options.release)
        code, facts = verdict.exit_code, asdict(verdict)
        lines = [
            f"{'VERIFIED' if verdict.ok else f'NOT VERIFIED (exit {code})'}: release {verdict.release or '?'}",
            f"  epsilon {verdict.epsilon} at delta {verdict.delta or '?'} ({verdict.measure} {verdict.amount or '?'})",
            f"  signed by key {verdict.keyid or '?'}",
            *(f"  FAILED {text}" for text in verdict.failures),
            *(f"  {text}" for text in verdict.notes),
        ]
    lines = [json.dumps(facts)] if options.json else lines
    sys.stdout.buffer.write("\n".join([*lines, ""]).encode(errors="backslashreplace"))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
