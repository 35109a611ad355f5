"""Statement, envelope and predicates against their specifications."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from dpsynth import evidence, trust, verifier
from dpsynth.errors import SignatureInvalid, UnknownEntry
from dpsynth.ledger import (
    LEDGER_NAME,
    LEDGER_TYPE,
    PAYLOAD_TYPE,
    AccountState,
    SigningKey,
    canonical,
    envelope,
    is_subject_name,
    open_envelope,
    pae,
    parse_statement,
    read_checkpoint,
    read_object,
    statement,
)
from dpsynth.privacy import Cost
from tests.ledger import office
from tests.verifier.build import GOLDEN, KEY

HEX = sha256(b"").hexdigest()
PREDICATE = {"signer": {"algorithm": "ed25519", "keyid": KEY.public.keyid, "public_key": KEY.public.base64}}
PAYLOAD = statement([("b.csv", HEX), ("a.csv", HEX)], LEDGER_TYPE, PREDICATE)


class TestPae:
    def test_vector_of_the_specification(self) -> None:
        assert pae("http://example.com/HelloWorld", b"hello world") == (
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        )

    def test_lengths_are_of_bytes(self) -> None:
        assert pae("é", "ü".encode()) == "DSSEv1 2 é 2 ü".encode()
        assert pae("", b"") == b"DSSEv1 0  0 "


class TestEnvelope:
    DATA = envelope(PAYLOAD, KEY)

    def test_is_a_dsse_envelope(self) -> None:
        value = json.loads(self.DATA)
        assert value.keys() == {"payload", "payloadType", "signatures"}
        assert value["payloadType"] == PAYLOAD_TYPE == "application/vnd.in-toto+json"
        assert base64.b64decode(value["payload"]) == PAYLOAD
        (signature,) = value["signatures"]
        assert signature["keyid"] == KEY.public.keyid
        KEY.public.check(base64.b64decode(signature["sig"]), pae(PAYLOAD_TYPE, PAYLOAD))

    def test_is_canonical_and_deterministic(self) -> None:
        assert canonical(json.loads(self.DATA)) + b"\n" == self.DATA == envelope(PAYLOAD, KEY)

    def test_opens(self) -> None:
        assert open_envelope(self.DATA) == open_envelope(self.DATA, KEY.public) == PAYLOAD

    def test_another_signer_is_refused(self) -> None:
        other = SigningKey.generate()
        with pytest.raises(SignatureInvalid, match=other.public.keyid):
            open_envelope(self.DATA, other.public)
        with pytest.raises(SignatureInvalid):
            open_envelope(envelope(PAYLOAD, other))

    def test_no_flipped_bit_opens(self) -> None:
        for bit in range(8 * len(self.DATA)):
            data = bytearray(self.DATA)
            data[bit // 8] ^= 1 << bit % 8
            with pytest.raises((SignatureInvalid, UnknownEntry)):
                open_envelope(bytes(data))

    @pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", DATA[:-1], DATA + b"\n", b" " + DATA])
    def test_other_forms_are_refused(self, data: bytes) -> None:
        with pytest.raises(SignatureInvalid):
            open_envelope(data)

    @pytest.mark.parametrize(
        "predicate", [{}, {"signer": 1}, {"signer": {**PREDICATE["signer"], "algorithm": "rsa"}}, {"signer": {}}]
    )
    def test_an_unknown_signer_is_refused(self, predicate: dict[str, Any]) -> None:
        with pytest.raises(UnknownEntry):
            open_envelope(envelope(statement([("a", HEX)], LEDGER_TYPE, predicate), KEY))


class TestStatement:
    def test_is_an_in_toto_statement(self) -> None:
        assert json.loads(PAYLOAD) == {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "a.csv", "digest": {"sha256": HEX}}, {"name": "b.csv", "digest": {"sha256": HEX}}],
            "predicateType": "urn:dpsynth:dp-ledger:v1",
            "predicate": PREDICATE,
        }

    def test_reads_back(self) -> None:
        read = parse_statement(PAYLOAD)
        assert read.subjects == (("a.csv", HEX), ("b.csv", HEX))
        assert (read.predicate_type, read.predicate) == (LEDGER_TYPE, PREDICATE)

    def test_every_name_that_the_verifier_knows_can_be_signed(self) -> None:
        for must, may in evidence.PUBLISHED.values():
            names = {*must, *may} - {LEDGER_NAME}
            assert all(map(is_subject_name, names))

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "/a",
            "a\\b",
            ".hidden",
            "a\x00",
            "a\n",
            "é.csv",
            "a b",
            "x.dsse.json",
            "a" * 129,
        ],
    )
    def test_names_that_are_no_plain_file(self, name: str) -> None:
        assert not is_subject_name(name)
        with pytest.raises(ValueError, match="name"):
            statement([(name, HEX)], LEDGER_TYPE, PREDICATE)
        value = json.loads(PAYLOAD)
        value["subject"][0]["name"] = name
        with pytest.raises(UnknownEntry):
            parse_statement(canonical(value))

    def test_subjects_are_distinct_and_hashed(self) -> None:
        for subjects in ([], [("a", HEX), ("a", HEX)], [("a", HEX[:-1])], [("a", HEX.upper())]):
            with pytest.raises(ValueError):
                statement(subjects, LEDGER_TYPE, PREDICATE)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("_type", "https://in-toto.io/Statement/v0.1"),
            ("subject", [{"name": "a"}]),
            ("subject", [{"name": "a", "digest": {"sha1": HEX}}]),
            ("subject", [{"name": "a", "digest": {"sha256": "0"}}]),
            ("subject", 7),
            ("predicateType", 7),
            ("predicate", None),
            ("more", 7),
        ],
    )
    def test_other_statements_are_refused(self, key: str, value: object) -> None:
        with pytest.raises(UnknownEntry):
            parse_statement(canonical({**json.loads(PAYLOAD), key: value}))


class TestPredicates:
    """What the typed values give is what the verifier knows, key for key."""

    def read(self, name: str) -> dict[str, Any]:
        folder = GOLDEN / ("release-v1" if name.startswith("ledger") else "sample-v1")
        return dict(parse_statement(open_envelope((folder / name).read_bytes())).predicate)

    def test_ledger(self) -> None:
        value = self.read("ledger.dsse.json")
        assert evidence.misfit(value, verifier.LEDGER_1, "ledger") == ""
        lines = [line.encode() for line in value["entries"]]
        assert value["log"] == {"root": evidence.merkle_root(lines), "size": len(lines)}
        assert value["signer"] == PREDICATE["signer"]

    def test_derivation(self) -> None:
        assert evidence.misfit(self.read("derivation.dsse.json"), trust.DERIVED, "derivation") == ""


class TestVersions:
    def test_a_ledger_without_a_log_is_of_version_1(self) -> None:
        made = replace(office.ledger(), log=None).to_json(KEY.public)
        assert evidence.misfit(made, verifier.LEDGER_1, "ledger") == ""
        assert made["version"] == 1
        assert made.keys() == self.golden("release-v1").keys()

    def test_version_2_names_every_account_that_paid(self) -> None:
        above = AccountState("office", Cost.nothing("gdp"), Cost.nothing("gdp"), Cost.nothing("gdp"), "organisation")
        made = replace(office.ledger(), ancestors=(above,)).to_json(KEY)
        assert evidence.misfit(made, verifier.LEDGER, "ledger") == ""
        assert [one["name"] for one in made["accounts"]] == ["people", "office"]
        assert made["version"] == 2

    def test_the_signer_makes_the_checkpoint(self) -> None:
        made = office.ledger().to_json(KEY)
        assert made["signer"] == KEY.public.to_json()
        assert read_checkpoint(made["log"]["checkpoint"], KEY.public)[1] == made["log"]["size"]
        with pytest.raises(ValueError, match="checkpoint"):
            office.ledger().to_json(KEY.public)

    def golden(self, name: str) -> dict[str, Any]:
        return dict(parse_statement(open_envelope((GOLDEN / name / "ledger.dsse.json").read_bytes())).predicate)


def test_nothing_deeper_than_32_is_read() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' * depth + b"1" + b"}" * depth

    assert read_object(nested(32), "it")
    for depth in (33, 1000, 200_000):
        with pytest.raises(SignatureInvalid):
            read_object(nested(depth), "it")
    with pytest.raises(SignatureInvalid):
        read_object(b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "it")
    with pytest.raises(ValueError, match="deep"):
        canonical(json.loads(nested(33)))
