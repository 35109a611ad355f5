"""The engine's readers and the independent ones of the verifier come to the same verdict on the same bytes."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth import evidence, trust, verifier
from dpsynth.errors import VerificationError
from dpsynth.ledger import (
    ROOT_TYPE,
    Envelope,
    Revocation,
    SigningKey,
    Tree,
    Trust,
    canonical,
    checkpoint,
    extends,
    includes,
    leaf_hash,
    next_root,
    open_envelope,
    parse_statement,
    read_chain,
    read_envelope,
    seal,
    write_chain,
)
from tests.ledger import office
from tests.ledger.office import ANA, BEN, CLEO, DAY, DORA, ENGINE, GOLDEN, LATER, NEXT_YEAR, ORIGIN, key

KEYS = {name: key(name) for name in ("ana", "ben", "cleo", "dora", "engine", "engine-2")}
READ = [(Trust.parse(root), trust.read_trust(root)) for root in (office.first_root(), office.second_root())]
BOTH = [json.loads(one.payload) for one in read_chain(office.second_root())]


def verdicts(data: bytes) -> tuple[int, int]:
    """The exit code of each reader of a root file."""
    codes = []
    try:
        Trust.parse(data)
        codes.append(0)
    except VerificationError as error:
        codes.append(error.exit_code)
    try:
        trust.read_trust(data)
        codes.append(0)
    except evidence.Refused as refused:
        codes.append(refused.args[1] if len(refused.args) > 1 else evidence.UNKNOWN)
    return codes[0], codes[1]


def chain(*links: tuple[Any, list[SigningKey]]) -> bytes:
    return write_chain([read_envelope(seal(canonical(value), keys, ROOT_TYPE)) for value, keys in links])


def test_both_read_the_golden_roots() -> None:
    for name in ("root.json", "root-v1.json"):
        data = (GOLDEN / name).read_bytes()
        ours, theirs = Trust.parse(data), trust.read_trust(data)
        assert [root.digest for root in ours.roots] == [root.digest for root in theirs.roots]
        assert verdicts(data) == (0, 0)


FORGED: dict[str, tuple[tuple[dict[str, Any], list[SigningKey], dict[str, Any], list[SigningKey]], int]] = {
    "as it is": (({}, [ANA, BEN], {}, [ANA, BEN, DORA]), 0),
    "one signature": (({}, [ANA], {}, [ANA, BEN]), 26),
    "no new threshold": (({}, [ANA, BEN], {"threshold": 3}, [ANA, BEN]), 26),
    "no old threshold": (({}, [ANA, BEN], {}, [ANA, DORA]), 26),
    "threshold 0": (({"threshold": 0}, [ANA, BEN], {}, []), 23),
    "threshold 4": (({"threshold": 4}, [ANA, BEN, CLEO], {}, []), 26),
    "a skipped version": (({}, [ANA, BEN], {"version": 3}, [ANA, BEN]), 20),
    "the same version": (({}, [ANA, BEN], {"version": 1}, [ANA, BEN]), 20),
    "another previous": (({}, [ANA, BEN], {"previous": "sha256:" + "0" * 64}, [ANA, BEN]), 20),
    "a stranger": (({}, [ANA, BEN, DORA], {}, [ANA, BEN]), 25),
    "an engine": (({}, [ANA, BEN, ENGINE], {}, [ANA, BEN]), 25),
    "an unknown key": (({"more": 1}, [ANA, BEN], {}, []), 23),
    "an unknown role": (({"people": [{**BOTH[0]["people"][0], "role": "king"}]}, [ANA], {}, []), 23),
    "one key of two": (
        ({"people": [BOTH[0]["people"][0], {**BOTH[0]["people"][0], "id": "ben"}]}, [ANA], {}, []), 25,
    ),
    "listed and revoked": (({}, [ANA, BEN], {"revoked": [{"keyid": ANA.public.keyid, "origins": {}}]}, [ANA, BEN]), 25),
    "a key that changes hands": (
        ({}, [ANA, BEN], {"revoked": [], "people": [
            *BOTH[0]["people"][:2], {**BOTH[0]["people"][2], "id": "carl"}]}, [ANA, BEN]), 25,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_both_judge_a_forged_root_alike(name: str) -> None:
    (first, signers, second, next_signers), code = FORGED[name]
    one = {**BOTH[0], **first}
    links = [(one, signers)]
    if next_signers:
        digest = "sha256:" + sha256(canonical(one)).hexdigest()
        links.append(({**BOTH[1], "previous": digest, **second}, next_signers))
    assert verdicts(chain(*links)) == (code, code)


def test_both_refuse_every_flipped_bit_of_a_root() -> None:
    data = office.second_root()
    for bit in range(3, 8 * len(data), 41):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        ours, theirs = verdicts(bytes(changed))
        assert ours, bit
        assert theirs, bit


@given(
    st.sets(st.sampled_from(sorted(KEYS))),
    st.sampled_from([DAY, LATER, NEXT_YEAR, "2028-01-01", "2028-01-02"]),
    st.sampled_from([None, (ORIGIN, 2), (ORIGIN, 3), (ORIGIN, 4), (ORIGIN.replace("0", "1"), 1)]),
)
@settings(max_examples=150, deadline=None)
def test_both_count_the_same_officers(names: set[str], day: str, place: tuple[str, int] | None) -> None:
    data = seal(b"{}", [KEYS[name] for name in names] or [ANA])
    origin, position = place or (None, None)
    for engine, other in READ:
        ours = engine.accepted(read_envelope(data), role="officer", day=day, origin=origin, position=position)
        theirs = other.officers(evidence.parse_envelope(data, "it"), day, place)
        assert {person.id for person in ours} == theirs


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_both_check_proofs_alike(data: st.DataObject) -> None:
    lines = [b"line %d" % number for number in range(24)]
    tree = Tree([leaf_hash(line) for line in lines])
    size, shown = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24))
    index, claimed = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 23))
    root, proof = tree.root(shown), tree.inclusion(index, size)
    ours = includes(leaf_hash(lines[index]), claimed, shown, proof, root)
    assert evidence.lies(lines[index], claimed, [one.hex() for one in proof], shown, root) == ours
    first, other = data.draw(st.integers(1, size)), data.draw(st.integers(1, 24))
    path = tree.consistency(first, size)
    past = {"size": other, "root": tree.root(first).hex(), "proof": [one.hex() for one in path]}
    assert evidence.goes_on(past, shown, root) == extends(other, tree.root(first), shown, root, path)


@pytest.mark.parametrize("name", ["approval", "rejection", "status", "grant", "ledger"])
def test_the_independent_reader_knows_the_golden_files(name: str) -> None:
    data = (GOLDEN / f"{name}.dsse.json").read_bytes()
    report, envelope = evidence.Report(), evidence.parse_envelope(data, name)
    payload = read_envelope(data).payload
    assert envelope.payload == payload
    kind = parse_statement(payload).predicate_type
    value = evidence.read_statement(envelope, kind, report)["predicate"]
    shapes = {"status": trust.STANDING, "grant": trust.GRANTED, "ledger": verifier.LEDGER}
    assert evidence.misfit(value, shapes.get(name, trust.DECISIONS), name) == ""
    if "log" in value:
        lines = [line.encode() for line in value["entries"]]
        public = ENGINE.public.raw
        evidence.check_log(value["log"], lines, [json.loads(line) for line in lines], public, report)
        forged = {**value["log"], "checkpoint": checkpoint(ORIGIN, 3, bytes(32), ENGINE)}
        wrong = evidence.Report()
        evidence.check_log(forged, lines, [json.loads(line) for line in lines], public, wrong)
        assert [code for code, _ in wrong.failures] == [evidence.LOG]
        assert open_envelope(data, ENGINE.public) == payload
    assert report.failures == []


def test_both_refuse_the_same_envelopes() -> None:
    good = read_envelope(office.granted())
    (first, one), (second, two) = good.signatures
    for signatures in ([(second, two), (first, one)], [(first, one), (first, one)], [("A" * 64, one)]):
        data = Envelope(good.payload, good.payload_type, tuple(signatures)).data
        with pytest.raises(VerificationError):
            read_envelope(data)
        with pytest.raises(evidence.Refused):
            evidence.parse_envelope(data, "it")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The golden release, with its approvals and its status."""
    folder = tmp_path / "release"
    (folder / "approvals").mkdir(parents=True)
    for name, data in office.FILES.items():
        (folder / name).write_bytes(data)
    for name in ("ledger.dsse.json", "status.dsse.json"):
        (folder / name).write_bytes((GOLDEN / name).read_bytes())
    for file, officer in (("approval", "ana"), ("approval-ben", "ben")):
        place = folder / "approvals" / f"approve-{key(officer).public.keyid[:16]}.dsse.json"
        place.write_bytes((GOLDEN / f"{file}.dsse.json").read_bytes())
    return folder


class TestTheGoldenRelease:
    @pytest.mark.parametrize("root", ["root.json", "root-v1.json"])
    def test_it_verifies(self, release: Path, root: str) -> None:
        verdict = trust.verify(release, (GOLDEN / root).read_bytes(), fresh=True, today=DAY)
        assert verdict.failures == ()
        assert (verdict.epsilon, verdict.approved_by, verdict.state) == ("1", ("ana", "ben"), "current")

    def test_and_without_a_root(self, release: Path) -> None:
        assert trust.verify(release, today=DAY).ok

    def test_its_status_expires(self, release: Path) -> None:
        root = (GOLDEN / "root.json").read_bytes()
        assert trust.verify(release, root, fresh=True, today=LATER).ok
        assert trust.verify(release, root, fresh=True, today="2026-12-23").exit_code == 14
        assert trust.verify(release, root, today="2026-12-23").ok

    def test_a_revocation_before_the_approval(self, release: Path) -> None:
        """Ben's key counts up to size 7, where his approval was recorded; up to size 6 it does not."""
        for size, code in ((7, 0), (6, 26)):
            first = Trust.parse(office.first_root())
            gone = [Revocation(BEN.public.keyid, {ORIGIN: size})]
            root = office.signed(next_root(first, revoked=gone), ANA, CLEO)
            assert trust.verify(release, root, today=DAY).exit_code == code

    def test_a_rejection_beside_the_approvals(self, release: Path) -> None:
        place = release / "approvals" / f"reject-{BEN.public.keyid[:16]}.dsse.json"
        place.write_bytes((GOLDEN / "rejection.dsse.json").read_bytes())
        assert not trust.verify(release, (GOLDEN / "root.json").read_bytes(), today=DAY).ok
