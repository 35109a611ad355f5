"""Files of every released format are read for ever: the golden ones, byte for byte.

The names and digests below are never changed; a change of a format gets new files beside these.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from dpsynth.ledger import (
    Trust,
    open_envelope,
    parse,
    parse_approval,
    parse_grant,
    parse_statement,
    parse_status,
    read_envelope,
)
from dpsynth.ledger.heads import LogHead
from tests.ledger.office import DAY, ENGINE, GOLDEN, ORIGIN, files, grant, ledger, second_root

DIGESTS = {
    "approval-ben.dsse.json": "0ae4f6758cae52f01dd043af8f4f09e75c0b0149685ca56566f24f07e5e5e0a9",
    "approval.dsse.json": "36e30d9a4666644a3337aef7b1fbf7593f0cbfcec312d676354b697680956b1c",
    "grant.dsse.json": "1727870d48587aa5b250805c19634dc62902ac954076718a043fe57efe982093",
    "ledger.dsse.json": "5b687cbf2e6e7cf4cbbcb311ed8863124ce941fcef06b54758315311e056c7a3",
    "rejection.dsse.json": "6392abb7c46436794c1e246a3a68782ad8cb67964406492d3aa955c077e95ddc",
    "root-v1.json": "472f16ee9cdce6c30e3c040335a49094581ae1a7654e6f1345d81c97515203a7",
    "root.json": "6b09ceed4bf3f99c6620ce1dd18a1568800d8d9317b755138da2b6cff425671c",
    "status.dsse.json": "148a8a76000a2ebbf2770502e6fc5ebed020851fbd900a6a4e1e22f74175fec4",
}


def read(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def test_they_are_all_there_and_unchanged() -> None:
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in GOLDEN.iterdir()} == DIGESTS


@pytest.mark.parametrize("name", sorted(files()))
def test_the_same_is_still_written(name: str) -> None:
    assert files()[name] == read(name)


def test_the_roots() -> None:
    one, two = Trust.parse(read("root-v1.json")), Trust.parse(read("root.json"))
    assert (one.newest.version, two.newest.version) == (1, 2)
    assert two.version(one.digest) == one.newest
    assert two.data == second_root()


def test_the_grant_is_signed_by_two_officers() -> None:
    trust, data = Trust.parse(read("root-v1.json")), read("grant.dsse.json")
    envelope = read_envelope(data)
    found = parse_grant(envelope.payload)
    assert found == grant()
    assert found.root == trust.digest
    trust.require(trust.accepted(envelope, role="officer", day=found.day))


@pytest.mark.parametrize(
    ("name", "decision", "person"), [("approval", "approve", "ana"), ("rejection", "reject", "ben")]
)
def test_the_decisions(name: str, decision: str, person: str) -> None:
    trust, envelope = Trust.parse(read("root.json")), read_envelope(read(f"{name}.dsse.json"))
    found = parse_approval(envelope.payload)
    assert (found.decision, found.person) == (decision, person)
    assert trust.signer(envelope, role="officer", day=found.day).id == person
    assert found.ledger == "sha256:" + sha256(read("ledger.dsse.json")).hexdigest()


def test_the_status() -> None:
    found = parse_status(open_envelope(read("status.dsse.json")))
    assert found.state == "current"
    assert [parse(line).kind for line in found.entries] == ["approve", "approve", "release"]
    (past,) = found.log.history
    signed = parse_statement(open_envelope(read("ledger.dsse.json"))).predicate["log"]
    assert (past.size, past.root.hex()) == (signed["size"], signed["root"])


def test_the_ledger() -> None:
    payload = open_envelope(read("ledger.dsse.json"))
    value = parse_statement(payload).predicate
    assert value == ledger().to_json(ENGINE)
    head = LogHead.parse(value["log"], ENGINE.public)
    lines = [line.encode() for line in value["entries"]]
    head.require([(parse(line).seq, line) for line in lines])
    assert head.origin == ORIGIN
    trust = Trust.parse(read("root.json"))
    assert trust.signer(
        read_envelope(read("ledger.dsse.json")), role="engine", day=DAY, origin=head.origin, position=head.size
    ).id == "engine"  # fmt: skip
    assert [parse_grant(read_envelope(one.encode()).payload) for one in value["grants"]] == [grant()]
