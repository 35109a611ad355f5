"""A thousand flipped bits: in the data, the ledger, the log, the approvals, the checkpoint, the status, the root.

None verifies. A bit of a file is flipped as it lies there. One inside the signed ledger (a line, a proof, a checkpoint,
a grant) is flipped, the ledger signed anew by its engine and approved anew by its officers, so that nothing but what
was flipped can give it away.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dpsynth.trust import verify
from tests.verifier.office import Office, Pen, approved, as_file, canonical, hex_of, opened, seal

FLIPS = 1000

pytestmark = pytest.mark.usefixtures("reckoned_once")
TODAY = "2026-11-23"
EXPECTED = {
    "data": {21},
    "ledger": {20, 21, 23},
    "approvals": {20, 21, 23, 25},
    "status": {20, 23},
    "root": {20, 23, 25, 26},
    "line": {20, 21, 22, 23, 24},
    "proof": {24},
    "history": {24},
    "checkpoint": {23, 24},
    "head": {24},
    "grant": {20, 21, 23, 26},
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> tuple[Office, Path]:
    place = tmp_path_factory.mktemp("office")
    office = approved(place, "zero")
    return approved(place, "first", office), place / "first"


def flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_text(text: str, rng: random.Random) -> str:
    """Another character of the same alphabet, one bit apart: what a signed ledger can hold at all."""
    while True:
        place = rng.randrange(len(text))
        char = chr(ord(text[place]) ^ (1 << rng.randrange(7)))
        if char.isascii():
            return text[:place] + char + text[place + 1 :]


def flip_hex(text: str, rng: random.Random) -> str:
    return flipped(bytes.fromhex(text), rng).hex()


def resigned(ledger: bytes, part: str, rng: random.Random) -> bytes:
    value = opened(ledger)
    predicate: dict[str, Any] = value["predicate"]
    log = predicate["log"]
    if part in ("line", "grant"):
        texts = predicate["entries" if part == "line" else "grants"]
        number = rng.randrange(len(texts))
        texts[number] = flip_text(texts[number], rng)
    elif part == "proof":
        proof = rng.choice([proof for proof in log["proofs"] if proof])
        number = rng.randrange(len(proof))
        proof[number] = flip_hex(proof[number], rng)
    elif part == "history":
        past = rng.choice(log["history"])
        number = rng.randrange(-1, len(past["proof"]))
        if number < 0:
            past["root"] = flip_hex(past["root"], rng)
        else:
            past["proof"][number] = flip_hex(past["proof"][number], rng)
    elif part == "checkpoint":
        log["checkpoint"] = flip_text(log["checkpoint"], rng)
    else:
        log["root"] = flip_hex(log["root"], rng)
    return as_file(seal(canonical(value), [Pen("engine")]))


def sign(place: Office, folder: Path, published: int) -> None:
    """Approvals of what lies there, and a status whose log has released it."""
    for pen in ("ana", "bo"):
        place.decide(folder, pen, log=False)
    line = json.loads(place.lines[published])
    line["ledger"] = "sha256:" + hex_of((folder / "ledger.dsse.json").read_bytes())
    before = place.lines[published]
    place.lines[published] = canonical(line)
    place.renew(folder)
    place.lines[published] = before


def test_none_of_a_thousand_verifies(office: tuple[Office, Path]) -> None:
    place, folder = office
    rng, found = random.Random(20261122), Counter[tuple[str, int]]()
    names = {
        "data": [path for path in folder.iterdir() if path.is_file() and not path.name.endswith(".dsse.json")],
        "ledger": [folder / "ledger.dsse.json"],
        "approvals": sorted((folder / "approvals").iterdir()),
        "status": [folder / "status.dsse.json"],
    }
    ledger, published = folder / "ledger.dsse.json", place.after["first"][-1]
    assert verify(folder, place.root, today=TODAY).ok
    bare = folder.parent / "bare"
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns("approvals", "status.dsse.json"))
    for number in range(FLIPS):
        part, root = list(EXPECTED)[number % len(EXPECTED)], place.root
        if part in names:
            path = rng.choice(names[part])
            before = path.read_bytes()
            path.write_bytes(flipped(before, rng))
            verdict = verify(folder, root, today=TODAY)
            path.write_bytes(before)
        elif part == "root":
            verdict = verify(folder, flipped(root, rng), today=TODAY)
        else:
            (bare / ledger.name).write_bytes(resigned(ledger.read_bytes(), part, rng))
            sign(place, bare, published)
            verdict = verify(bare, root, today=TODAY)
        assert not verdict.ok, part
        assert verdict.exit_code in EXPECTED[part], (part, verdict.failures)
        found[part, verdict.exit_code] += 1
    assert verify(folder, place.root, today=TODAY).ok
    (bare / ledger.name).write_bytes(ledger.read_bytes())
    sign(place, bare, published)
    assert verify(bare, place.root, today=TODAY).ok
    assert {part for part, _ in found} == EXPECTED.keys()


def test_a_flip_in_an_approval_is_found_though_others_suffice(office: tuple[Office, Path], tmp_path: Path) -> None:
    """Three approve and two are needed: a bad third is no smaller matter."""
    place = approved(tmp_path)
    folder = tmp_path / "first"
    path = place.decide(folder, "chi", log=False)
    assert verify(folder, place.root, today=TODAY).ok
    before, rng = path.read_bytes(), random.Random(7)
    for _ in range(60):
        path.write_bytes(flipped(before, rng))
        assert verify(folder, place.root, today=TODAY).exit_code in (20, 21, 23, 25)
    path.write_bytes(before)
    assert verify(folder, place.root, today=TODAY).ok
