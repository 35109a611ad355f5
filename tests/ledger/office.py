"""An artificial office whose every byte is fixed: officers, an engine, a log, and one of each attestation.

``python -m tests.ledger.office`` wrote the files in ``golden``. They are never written again: every later version has
to read them. The keys are published test keys; what they sign means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dpsynth.ledger import (
    LEDGER_TYPE,
    AccountState,
    Approval,
    Grant,
    Guarantee,
    Kind,
    LedgerPredicate,
    LogHead,
    Past,
    Person,
    ReleaseFacts,
    Revocation,
    Role,
    RootKey,
    SigningKey,
    Software,
    Stamp,
    Status,
    Tree,
    Trust,
    amount,
    leaf_hash,
    new_root,
    next_root,
    render,
    seal,
    sign_root,
    statement,
)
from dpsynth.privacy import Budget, Cost, decimal_text, epsilon_of

GOLDEN = Path(__file__).parent / "golden"
DAY, LATER, NEXT_YEAR, END = "2026-11-22", "2026-12-22", "2027-11-22", "2028-01-01"
ORIGIN = "dpsynth.log/00112233445566778899aabbccddeeff"
FILES = {
    "CITATION.cff": b"cff-version: 1.2.0\n",
    "data.parquet": b"artificial rows\n",
    "datapackage.json": b'{"artificial": true}\n',
    "measurements.npz": b"artificial archive of noisy answers\n",
    "model.npz": b"artificial integer tables\n",
    "report.html": b"<!doctype html><title>artificial</title>\n",
}
SOFTWARE = Software("dpsynth-engine", "0.1.0")


def key(name: str) -> SigningKey:
    """The published test key of somebody."""
    secret = sha256(f"dpsynth test key of {name}: signs nothing real".encode()).digest()
    return SigningKey._of(Ed25519PrivateKey.from_private_bytes(secret))


ANA, BEN, CLEO, DORA, ENGINE = map(key, ("ana", "ben", "cleo", "dora", "engine"))


def person(name: str, *keys: SigningKey, role: Role = "officer", expires: str = END) -> Person:
    """Somebody with keys; without any given, their own test key."""
    return Person(name, role, tuple(RootKey(one.public, expires) for one in keys or (key(name),)))


PEOPLE = (person("ana"), person("ben"), person("cleo"), person("engine", role="engine"))


def signed(draft: bytes, *keys: SigningKey) -> bytes:
    """A root draft with these signatures."""
    for one in keys:
        draft = sign_root(draft, one)
    return draft


@cache
def first_root() -> bytes:
    """Two of ana, ben and cleo decide."""
    return signed(new_root("Office of Artificial Statistics", NEXT_YEAR, 2, PEOPLE), ANA, BEN)


@cache
def second_root() -> bytes:
    """Cleo's key is revoked, what the log recorded up to size 3 stands; dora comes in; the engine gets a second key."""
    trust = Trust.parse(first_root())
    people = (
        *PEOPLE[:2],
        Person("cleo", "officer", ()),
        person("dora"),
        person("engine", ENGINE, key("engine-2"), role="engine"),
    )
    gone = [Revocation(CLEO.public.keyid, {ORIGIN: 3})]
    return signed(next_root(trust, expires=END, people=people, revoked=gone), ANA, BEN, DORA)


def digest(text: str) -> str:
    """A fixed digest."""
    return "sha256:" + sha256(text.encode()).hexdigest()


def of_bytes(data: bytes) -> str:
    """The digest of a file."""
    return "sha256:" + sha256(data).hexdigest()


@cache
def grant() -> Grant:
    """The grant that opens an account under the first root."""
    policy = Budget("1", "1e-9")
    return Grant(
        "people", "population", None, policy.cost("gdp"), policy, "person", "id", "add-remove",
        "all artificial residents", "opening", "a first release", Trust.parse(first_root()).digest, ORIGIN,
        "0" * 32, DAY,
    )  # fmt: skip


@cache
def granted() -> bytes:
    """The grant, signed by two officers."""
    return seal(grant().statement(), [ANA, BEN])


@cache
def ledgered() -> tuple[bytes, ...]:
    """The log up to the release's settling: an account is opened, a release measures one table and settles."""
    policy, spent = Budget("1", "1e-9"), Cost("gdp", Fraction(1, 256))
    cost = policy.cost("gdp")
    held, running = (decimal_text(epsilon_of(one, policy.delta)) for one in (cost, spent))
    quote = {"epsilon": Fraction(1), "delta": Fraction(1, 10**9)}
    given = grant()
    return _lines(
        ("open", {
            "entity": "person", "column": "id", "neighbours": "add-remove", "measure": "gdp",
            "cap": amount(given.added), "policy": {"epsilon": policy.epsilon, "delta": policy.delta}, "parent": None,
            "level": "population", "grant": given.digest, "root": given.root,
        }),
        ("reserve", {
            "release": "golden", "plan": digest("plan"), "reserved": amount(cost), "quote": quote,
            "held": amount(cost), "running_epsilon": held, "above": [],
        }),
        ("measure", {
            "mechanism": {"type": "rounded_gaussian", "sigma": Fraction(16)},
            "query": {"columns": ["sex"], "levels": [digest("level")], "shape": [2], "basis": "marginal"},
            "release": "golden", "unit": {"entity": "person", "column": "id", "max_rows": 1},
            "neighbours": "add-remove", "sensitivity_squared": Fraction(1), "cost": amount(spent),
            "chosen_by": [], "running": {"spent": amount(spent), "epsilon": running}, "state": "DRAWING",
        }),
        ("stored", {"release": "golden", "of": [2], "answer": digest("answer")}),
        ("settle", {"release": "golden", "spent": amount(spent), "reserved": amount(cost)}),
    )  # fmt: skip


@cache
def log() -> tuple[bytes, ...]:
    """The whole log: two officers approve the release, and it is released."""
    before, files = ledgered(), {"ana": approval_file(), "ben": approval_file(by="ben")}
    names = {name: of_bytes(data) for name, data in files.items()}
    approved: list[tuple[Kind, dict[str, object]]] = [
        ("approve", {"release": "golden", "attestation": names[one], "by": one, "keyid": key(one).public.keyid})
        for one in files
    ]
    released: dict[str, object] = {
        "release": "golden", "ledger": of_bytes(ledger_file()), "approvals": list(names.values())
    }  # fmt: skip
    return (*before, *_lines(*approved, ("release", released), start=len(before)))


def _lines(*told: tuple[Kind, dict[str, object]], start: int = 0) -> tuple[bytes, ...]:
    return tuple(
        render(kind, fields, seq=number, account="people", stamp=Stamp(DAY, f"{number:032x}"))
        for number, (kind, fields) in enumerate(told, start)
    )


def head(lines: Sequence[bytes], size: int, shown: Sequence[int], earlier: Sequence[int] = ()) -> LogHead:
    """The head of the log at a size."""
    tree = Tree([leaf_hash(line) for line in lines])
    history = tuple(Past(past, tree.root(past), tree.consistency(past, size)) for past in earlier)
    return LogHead(ORIGIN, size, tree.root(size), tuple(tree.inclusion(number, size) for number in shown), history)


@cache
def ledger() -> LedgerPredicate:
    """The ledger of the release, version 2."""
    lines, cost = ledgered(), Budget("1", "1e-9").cost("gdp")
    return LedgerPredicate(
        Guarantee(Budget("1", "1e-9"), cost, "person", "id", 1, "add-remove"),
        AccountState("people", grant().added, Cost.nothing("gdp"), cost, "population", None),
        ReleaseFacts("golden", digest("plan"), "mst", 2, "noisy total", 7, digest("rows"), DAY, None),
        ("the columns and their values",),
        ("what the officers saw before approving",),
        lines,
        SOFTWARE,
        head(lines, 5, range(5)),
        (),
        grant().root,
        (granted(),),
    )


@cache
def ledger_file() -> bytes:
    """The ledger, signed by the engine."""
    files = [(name, sha256(data).hexdigest()) for name, data in FILES.items()]
    return seal(statement(files, LEDGER_TYPE, ledger().to_json(ENGINE)), [ENGINE])


@cache
def approval(decision: str = "approve", reason: str | None = None, by: str = "ana") -> Approval:
    """Somebody's decision on the release."""
    return Approval(
        decision, "golden", of_bytes(ledger_file()), of_bytes(FILES["data.parquet"]), grant().root, by,  # type: ignore[arg-type]
        "only beside the report" if decision == "approve" else "", reason, DAY, LATER,  # type: ignore[arg-type]
    )  # fmt: skip


@cache
def approval_file(decision: str = "approve", reason: str | None = None, by: str = "ana") -> bytes:
    """Somebody's decision, signed."""
    return seal(approval(decision, reason, by).statement(), [key(by)])


@cache
def status() -> Status:
    """The release is current, a month long."""
    lines = log()
    return Status(
        "golden", of_bytes(ledger_file()), "current", None, None, DAY, LATER, lines[5:],
        head(lines, 8, (5, 6, 7), (5,)), SOFTWARE,
    )  # fmt: skip


@cache
def files() -> dict[str, bytes]:
    """The golden files by name."""
    return {
        "root.json": second_root(),
        "root-v1.json": first_root(),
        "grant.dsse.json": granted(),
        "ledger.dsse.json": ledger_file(),
        "approval.dsse.json": approval_file(),
        "approval-ben.dsse.json": approval_file(by="ben"),
        "rejection.dsse.json": approval_file("reject", "utility", "ben"),
        "status.dsse.json": seal(status().statement(ENGINE), [ENGINE]),
    }


if __name__ == "__main__":
    for name, data in files().items():
        if not (GOLDEN / name).exists():
            (GOLDEN / name).write_bytes(data)
