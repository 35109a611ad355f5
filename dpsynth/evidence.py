"""What was signed: canonical JSON of known forms, envelopes, files, and an append-only log. Beside verifier.py.

Needs Python >= 3.11, its standard library and the package `cryptography`, and imports nothing else. How much a release
costs is reckoned by verifier.py; who may say so is the question of trust.py. Nothing here knows either.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from io import BufferedReader
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OK, USAGE, REJECTED, WITHDRAWN, STALE, SIGNATURE, FILES, TOTALS, UNKNOWN = 0, 2, 12, 13, 14, 20, 21, 22, 23
LOG, KEY, THRESHOLD, INTERNAL = 24, 25, 26, 70
GRAVEST = (SIGNATURE, UNKNOWN, FILES, LOG, KEY, TOTALS, THRESHOLD, WITHDRAWN, REJECTED, STALE, INTERNAL)
MAX_BYTES = 64 * 2**20  # a signed file longer than this is refused unread
MAX_DEPTH = 32  # so is JSON that is nested deeper
MAX_NUMBER = 2500  # and an exact number of more digits, above or below the line; Python itself reads 4300
MAX_APPROVALS, MAX_SIGNATURES = 1000, 64

Json = dict[str, Any]


# === 1. The outcome ===================================================================================================


@dataclass(frozen=True)
class Decision:
    """What somebody decided, and whether it counts. ``file`` is empty where only a line of the log says so."""

    file: str
    person: str
    keyid: str
    decision: str
    counts: bool
    why: str


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
    approved_by: tuple[str, ...] = ()
    state: str = ""
    decisions: tuple[Decision, ...] = ()


class Refused(Exception):
    """What follows cannot be checked at all: a message and the exit code."""


@dataclass
class Report:
    """What was found so far."""

    claim: dict[str, str] = field(default_factory=dict)  # the texts of a verdict, by their names
    notes: list[str] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)
    approved_by: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def require(self, holds: bool, message: str, code: int = TOTALS) -> None:
        """Record a failure unless ``holds``, and go on."""
        if not holds:
            self.failures.append((code, message))

    def verdict(self) -> Verdict:
        """The outcome of it all."""
        failed = {code for code, _ in self.failures}
        code = next((code for code in GRAVEST if code in failed), OK)
        texts = ("delta", "measure", "amount", "release", "keyid", "state")
        delta, measure, amount, release, keyid, state = (plain(self.claim.get(key, "")) for key in texts)
        epsilon = "infinity" if failed else plain(self.claim["epsilon"])
        notes, people = tuple(map(plain, self.notes)), tuple(map(plain, self.approved_by))
        failures = tuple(plain(f"[{code}] {message}") for code, message in self.failures)
        said = (epsilon, delta, measure, amount, release, keyid)
        return Verdict(not failed, code, *said, notes, failures, people, state, tuple(self.decisions))


def plain(text: str, limit: int = 500) -> str:
    """Text from a ledger, made safe to print: no control characters, no hidden or reordering marks, not too long."""
    safe = (char if char.isprintable() and char != "\\" else f"\\u{{{ord(char):x}}}" for char in text[:limit])
    return "".join(safe) + ("…" if len(text) > limit else "")


# === 2. Forms =========================================================================================================
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


def is_day(value: Any) -> bool:
    """Whether a value is a day that the calendar has, as text: "2026-11-22"."""
    with suppress(ValueError):
        return (
            type(value) is str
            and bool(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value))
            and bool(date.fromisoformat(value))
        )
    return False


# fmt: off
NUMBER, POSITIVE, PROBABILITY, COUNT, COUNTING = exact(), exact(0), exact(-1, 1), range(2**63), range(1, 2**63)
DAY, NAME, DECIMAL = is_day, re.compile("(?s).+"), re.compile(r"(0|[1-9][0-9]{0,999})(\.[0-9]{1,999})?")
DIGEST, HEX64, HEX32 = re.compile("sha256:[0-9a-f]{64}"), re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{32}")
ORIGIN = re.compile("dpsynth[.]log/[0-9a-f]{32}")
PERSON = re.compile("[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
TEXT, NAMED, DIGESTED = (None, str), (None, NAME), (None, DIGEST)  # or nothing
SIGNER: Shape = {"algorithm": "ed25519", "keyid": HEX64, "public_key": str}
SOFTWARE: Shape = {"name": str, "version": str}
LEDGER_TYPE, DERIVATION_TYPE, APPROVAL_TYPE, STATUS_TYPE, GRANT_TYPE = (
    f"urn:dpsynth:dp-{kind}:v1" for kind in ("ledger", "derivation", "approval", "status", "budget-grant")
)
SAMPLE = ("data.parquet", "datapackage.json")
RELEASE = (*SAMPLE, "measurements.npz", "model.npz", "report.html", "CITATION.cff")
PUBLISHED = {  # the files that a statement of each kind is about, and those that it may be about besides
    LEDGER_TYPE: (RELEASE, ("data.csv",)), DERIVATION_TYPE: (SAMPLE, ()), STATUS_TYPE: (("ledger.dsse.json",), ()),
    APPROVAL_TYPE: (("data.parquet", "ledger.dsse.json"), ()), GRANT_TYPE: (("root.json",), ()),
}
STATEMENT: Shape = {
    "_type": "https://in-toto.io/Statement/v1", "subject": [{"name": str, "digest": {"sha256": HEX64}}],
    "predicateType": tuple(PUBLISHED), "predicate": dict,
}
OF_APPROVAL = re.compile(r"(approve|reject|withdraw)-[0-9a-f]{16}[.]dsse[.]json")
IN_TOTO, ROOT_TYPE = "application/vnd.in-toto+json", "application/vnd.dpsynth.root+json"
ENVELOPE: Json = {"payload": str, "payloadType": str, "signatures": [{"keyid": HEX64, "sig": str}]}
HEAD: Shape = {
    "origin": ORIGIN, "size": COUNTING, "root": HEX64, "proofs": [[HEX64]], "checkpoint": str,
    "history": [{"size": COUNTING, "root": HEX64, "proof": [HEX64]}],
}
HEAD_1: Shape = {"root": HEX64, "size": COUNT}
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
        if json.dumps(value, sort_keys=True, separators=(",", ":")).encode() == data and not deep(value):
            return value
    raise Refused(f"{what} is not JSON in canonical form, or nested deeper than {MAX_DEPTH}", SIGNATURE)


def deep(value: Any, left: int = MAX_DEPTH) -> bool:
    """Whether lists and objects lie inside one another more than so many times."""
    inner = value.values() if type(value) is dict else value if type(value) is list else None
    return inner is not None and (left == 0 or any(deep(item, left - 1) for item in inner))


# === 3. Envelopes: DSSE 1.0.2 around an in-toto Statement v1 ==========================================================


@dataclass(frozen=True)
class Envelope:
    """What was signed, and by which keys it is said to have been. ``digest`` is that of the file."""

    name: str
    kind: str
    payload: bytes
    signatures: dict[str, bytes]
    digest: str

    @property
    def keyid(self) -> str:
        """The first key id, which is the only one where one may sign."""
        return next(iter(self.signatures))

    def signed_by(self, keyid: str, public: bytes) -> bool:
        """Whether this key made the signature under its id: DSSE 1.0.2, over the kind and the exact bytes."""
        message = b"DSSEv1 %d %s %d %s" % (len(self.kind), self.kind.encode(), len(self.payload), self.payload)
        return hashlib.sha256(public).hexdigest() == keyid and signed(public, self.signatures[keyid], message)


def signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 key signed a message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_envelope(value: Any, name: str, kind: str = IN_TOTO, digest: str = "") -> Envelope:
    """An envelope in its one form: its signatures are sorted by key id, each key id once."""
    demand(value, {**ENVELOPE, "payloadType": kind}, name, SIGNATURE)
    keyids = [signature["keyid"] for signature in value["signatures"]]
    if not 0 < len(keyids) <= MAX_SIGNATURES or keyids != sorted(set(keyids)):
        raise Refused(f"{name} is not signed, or by a key twice, or not in the order of key ids", SIGNATURE)
    signatures = {signature["keyid"]: unbase64(signature["sig"]) for signature in value["signatures"]}
    return Envelope(name, kind, unbase64(value["payload"]), signatures, digest)


def parse_envelope(data: bytes, name: str) -> Envelope:
    """The envelope in the bytes of a file."""
    if not data.endswith(b"\n"):
        raise Refused(f"{name} does not end with a newline", SIGNATURE)
    return read_envelope(read_json(data[:-1], name), name, digest=digest_of(data))


def read_statement(envelope: Envelope, kind: str, report: Report) -> Json:
    """The in-toto Statement v1 in an envelope: of the kind expected, about the files that such a one is about."""
    statement: Json = read_json(envelope.payload, f"the statement in {envelope.name}")
    demand(statement, STATEMENT, "statement")
    demand(statement["predicateType"], kind, f"predicateType of {envelope.name}")
    (must, may), names = PUBLISHED[kind], [subject["name"] for subject in statement["subject"]]
    demand(names, [(*must, *may)], f"the name of a file signed by {envelope.name}")
    report.require(set(must) <= set(names), f"{envelope.name} does not sign all of {', '.join(must)}", FILES)
    report.require(len(set(names)) == len(names), f"{envelope.name} signs a file twice", FILES)
    return statement


def open_own(path: Path, kind: str, report: Report) -> tuple[Json, Envelope, bytes]:
    """A statement that names the one key that signed it, its envelope, and that key: what is read was signed."""
    envelope = parse_envelope(read_file(path), path.name)
    if len(envelope.signatures) != 1:
        raise Refused(f"{path.name} does not carry exactly one signature", SIGNATURE)
    statement = read_statement(envelope, kind, report)
    signer = statement["predicate"].get("signer")
    demand(signer, SIGNER, "statement.predicate.signer")
    ((keyid, _),), public = envelope.signatures.items(), unbase64(signer["public_key"])
    report.require(signer["keyid"] == keyid, f"{path.name}: the key id is not the signer's", SIGNATURE)
    good = envelope.signed_by(keyid, public)
    report.require(good, f"{path.name}: the signature does not fit the bytes and the key, or its id", SIGNATURE)
    return statement, envelope, public


def unbase64(text: str) -> bytes:
    """Standard base64 in its one canonical spelling."""
    with suppress(ValueError):
        data = base64.b64decode(text, validate=True)
        if base64.b64encode(data).decode() == text:
            return data
    raise Refused("base64 in something signed is not in canonical form", SIGNATURE)


def digest_of(data: bytes) -> str:
    """The SHA-256 of some bytes, as it is written."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


# === 4. The files =====================================================================================================


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


def read_file(path: Path) -> bytes:
    """The bytes of a signed file."""
    with open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Refused(f"{path.name} is longer than {MAX_BYTES} bytes", SIGNATURE)
    return data


def check_files(folder: Path, statement: Json, besides: set[str], report: Report) -> None:
    """The folder holds the files signed, unchanged, what may lie beside them, and nothing else whatever."""
    listed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    for name, digest in listed.items():
        try:
            with open_regular(folder / name) as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == digest
            report.require(same, f"the file {name} was changed after it was signed", FILES)
        except Refused as refusal:
            report.require(False, *refusal.args)
    for name in sorted({path.name for path in folder.iterdir()} - listed.keys() - besides):  # file, folder or link
        report.require(False, f"{name} is not among the files signed", FILES)


def read_decisions(folder: Path) -> Iterator[tuple[Envelope, str]]:
    """The envelopes in ``approvals``, and the name of each without its folder."""
    place = folder / "approvals"
    if not os.path.lexists(place):
        return
    if place.is_symlink() or not place.is_dir():
        raise Refused("approvals is not a folder", FILES)
    names = sorted(path.name for path in place.iterdir())
    if len(names) > MAX_APPROVALS:
        raise Refused(f"there are more than {MAX_APPROVALS} approvals", FILES)
    for name in names:
        if not OF_APPROVAL.fullmatch(name):
            raise Refused(f"approvals/{name} is not the name of an approval", FILES)
        yield parse_envelope(read_file(place / name), f"approvals/{name}"), name


# === 5. The log =======================================================================================================
# A Merkle tree as in RFC 6962, section 2.1: a leaf hashes 0x00 and a line, a node hashes 0x01 and its two children, and
# n > 1 leaves are divided after the largest power of two below n.


def leaf(line: bytes) -> bytes:
    """What stands for a line."""
    return hashlib.sha256(b"\x00" + line).digest()


def node(left: bytes, right: bytes) -> bytes:
    """What stands for all lines under two nodes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def divide(size: int) -> int:
    """The largest power of two below ``size`` > 1."""
    return 1 << (size - 1).bit_length() - 1


def merkle_root(lines: list[bytes]) -> str:
    """The root over lines."""
    if len(lines) < 2:
        return (leaf(lines[0]) if lines else hashlib.sha256().digest()).hex()
    half = divide(len(lines))
    return node(*(bytes.fromhex(merkle_root(part)) for part in (lines[:half], lines[half:]))).hex()


def climb(found: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root over ``size`` leaves, number ``index`` being ``found``; ValueError for a path of another tree."""
    if size == 1:
        () = path
        return found
    *path, last = path
    half = divide(size)
    if index < half:
        return node(climb(found, index, half, path), last)
    return node(last, climb(found, index - half, size - half, path))


def grow(first: int, size: int, path: Sequence[bytes], known: bytes | None) -> tuple[bytes, bytes]:
    """The roots over the ``first`` leaves and over all; ``known`` is that of the first, if the subtree begins there."""
    if first == size:
        (same,) = [*path, *([] if known is None else [known])]
        return same, same
    *path, last = path
    half = divide(size)
    if first <= half:
        before, after = grow(first, half, path, known)
        return before, node(after, last)
    before, after = grow(first - half, size - half, path, None)
    return node(last, before), node(last, after)


def lies(line: bytes, seq: int, path: list[str], size: int, root: bytes) -> bool:
    """Whether a line is number ``seq`` of the log of that size and root."""
    with suppress(ValueError):
        return seq < size and climb(leaf(line), seq, size, [bytes.fromhex(text) for text in path]) == root
    return False


def goes_on(past: Json, size: int, root: bytes) -> bool:
    """Whether the log of that size and root begins with an earlier one."""
    before = bytes.fromhex(past["root"])
    with suppress(ValueError):
        path = [bytes.fromhex(text) for text in past["proof"]]
        return bool(past["size"] <= size) and grow(past["size"], size, path, before) == (before, root)
    return False


def check_log(log: Json, lines: list[bytes], entries: list[Json], public: bytes, report: Report) -> None:
    """Each line lies in the log at its place, the log goes on from each earlier head, and the signer vouches for it."""
    size, root, origin, require = log["size"], bytes.fromhex(log["root"]), log["origin"], report.require
    require(len(log["proofs"]) == len(lines), "the log does not have one proof for each line", LOG)
    for line, entry, path in zip(lines, entries, log["proofs"], strict=False):
        shown = lies(line, entry["seq"], path, size, root)
        require(shown, f"entry {entry['seq']} ({entry['kind']}) is not shown to lie in the log", LOG)
    sizes = [past["size"] for past in log["history"]]
    require(sizes == sorted(set(sizes)), "the history of the log is not in order", LOG)
    for past in log["history"]:
        require(goes_on(past, size, root), f"the log does not go on from what it was at size {past['size']}", LOG)
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"  # a signed note: c2sp.org/tlog-checkpoint
    encoded = log["checkpoint"].removeprefix(f"{text}\n\u2014 {origin} ").removesuffix("\n")
    note, hint = b"", hashlib.sha256(f"{origin}\n\x01".encode() + public).digest()[:4]
    with suppress(Refused):
        note = unbase64(encoded)
    good = log["checkpoint"] == f"{text}\n\u2014 {origin} {encoded}\n" and note[:4] == hint
    require(good and signed(public, note[4:], text.encode()), "the checkpoint of the log is not its signer's", LOG)
