"""Approvals, grants and status: they read back exactly, and nothing else reads as one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dpsynth.errors import LogInconsistent, SignatureInvalid, UnknownEntry
from dpsynth.ledger import (
    DECISIONS,
    GRANT_REASONS,
    LEDGER_NAME,
    REJECT_REASONS,
    WITHDRAW_REASONS,
    Envelope,
    canonical,
    envelope,
    parse_approval,
    parse_grant,
    parse_statement,
    parse_status,
    read_attestation,
    read_envelope,
    seal,
    statement,
)
from dpsynth.privacy import Budget, Cost
from tests.ledger.office import (
    ANA,
    DAY,
    ENGINE,
    LATER,
    approval,
    approval_file,
    digest,
    grant,
    granted,
    head,
    ledger_file,
    log,
    status,
)

PAYLOADS = {"approval": approval().statement(), "grant": grant().statement(), "status": status().statement(ENGINE)}
PARSE = {"approval": parse_approval, "grant": parse_grant, "status": parse_status}


def changed(payload: bytes, key: str, value: object) -> bytes:
    """The payload with a key of its predicate replaced, in canonical form."""
    whole = json.loads(payload)
    whole["predicate"][key] = value
    return canonical(whole)


class TestEach:
    @pytest.mark.parametrize("name", PAYLOADS)
    def test_reads_back(self, name: str) -> None:
        made = PARSE[name](PAYLOADS[name])
        assert made == {"approval": approval(), "grant": grant(), "status": status()}[name]
        assert read_attestation(Envelope(PAYLOADS[name], "", ())) == made

    @pytest.mark.parametrize("name", PAYLOADS)
    def test_lacks_no_key_and_has_none_too_many(self, name: str) -> None:
        predicate = json.loads(PAYLOADS[name])["predicate"]
        for key in predicate:
            whole = json.loads(PAYLOADS[name])
            del whole["predicate"][key]
            with pytest.raises(UnknownEntry, match=key):
                PARSE[name](canonical(whole))
        with pytest.raises(UnknownEntry, match="surplus"):
            PARSE[name](changed(PAYLOADS[name], "surplus", 1))

    @pytest.mark.parametrize("wrong", [-1, 10**20, [], [7], {}, {"x": 1}, "", "no such word", None])
    @pytest.mark.parametrize("name", PAYLOADS)
    def test_no_value_of_another_form(self, name: str, wrong: object) -> None:
        texts = {
            "conditions",
            "justification",
            "column",
            "release",
            "person",
            "account",
            "parent",
            "entity",
            "population",
        }
        nothing = {"parent", "column", "by", "reason" if name != "grant" else ""}
        for key in json.loads(PAYLOADS[name])["predicate"]:
            if (key in texts and isinstance(wrong, str)) or (key in nothing and wrong is None):
                continue
            with pytest.raises((UnknownEntry, SignatureInvalid, LogInconsistent)):
                PARSE[name](changed(PAYLOADS[name], key, wrong))

    @pytest.mark.parametrize("name", PAYLOADS)
    def test_only_the_canonical_form_and_the_right_type(self, name: str) -> None:
        with pytest.raises(SignatureInvalid):
            PARSE[name](PAYLOADS[name] + b"\n")
        with pytest.raises(SignatureInvalid):
            PARSE[name](PAYLOADS[name].replace(b":", b": ", 1))
        for other in PAYLOADS:
            if other != name:
                with pytest.raises(UnknownEntry):
                    PARSE[name](PAYLOADS[other])

    @pytest.mark.parametrize("name", PAYLOADS)
    def test_the_subject_is_what_the_predicate_says(self, name: str) -> None:
        whole = json.loads(PAYLOADS[name])
        whole["subject"][0]["digest"]["sha256"] = "0" * 64
        with pytest.raises(SignatureInvalid):
            PARSE[name](canonical(whole))
        whole = json.loads(PAYLOADS[name])
        whole["subject"].append({"name": "zebra.csv", "digest": {"sha256": "0" * 64}})
        with pytest.raises(SignatureInvalid):
            PARSE[name](canonical(whole))

    def test_a_ledger_is_no_attestation(self) -> None:
        with pytest.raises(UnknownEntry):
            read_attestation(read_envelope(ledger_file()))

    def test_only_approvals_and_status_are_about_a_ledger(self) -> None:
        with pytest.raises(ValueError, match="name"):
            statement([(LEDGER_NAME, "0" * 64)], "urn:dpsynth:dp-ledger:v1", {})
        whole = json.loads(PAYLOADS["approval"])
        whole["predicateType"] = "urn:dpsynth:dp-ledger:v1"
        with pytest.raises(UnknownEntry):
            parse_statement(canonical(whole))


class TestApproval:
    @pytest.mark.parametrize("reason", [None, *WITHDRAW_REASONS, *REJECT_REASONS])
    @pytest.mark.parametrize("decision", DECISIONS)
    def test_each_decision_has_its_reasons(self, decision: str, reason: str | None) -> None:
        known: dict[str, tuple[str | None, ...]] = {
            "approve": (None,), "reject": REJECT_REASONS, "withdraw": WITHDRAW_REASONS,
        }  # fmt: skip
        if reason in known[decision]:
            made = approval(decision, reason)
            assert parse_approval(made.statement()) == made
        else:
            with pytest.raises(UnknownEntry, match="reason"):
                approval(decision, reason)

    @pytest.mark.parametrize(
        "changes",
        [
            {"decision": "maybe"},
            {"ledger": "sha256:0"},
            {"data": "0" * 64},
            {"day": "today"},
            {"day": LATER, "expires": DAY},
            {"day": "2026-02-29"},
            {"expires": "2026-11-31"},
            {"expires": "2027-11-24"},
            {"expires": "9999-12-31"},
            {"person": ""},
            {"conditions": "x" * 5000},
            {"release": ""},
        ],
    )
    def test_none_of_another_form_is_made(self, changes: dict[str, Any]) -> None:
        with pytest.raises(UnknownEntry):
            replace(approval(), **changes)

    def test_it_is_about_the_ledger_and_the_data(self) -> None:
        made = approval()
        subjects = dict(parse_statement(made.statement()).subjects)
        assert {name: f"sha256:{value}" for name, value in subjects.items()} == {
            "ledger.dsse.json": made.ledger,
            "data.parquet": made.data,
        }

    def test_no_flipped_bit_is_signed(self) -> None:
        data = approval_file()
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            try:
                found = read_envelope(bytes(changed))
                ((keyid, signature),) = found.signatures
                assert keyid != ANA.public.keyid or _bad(signature, found.signed_bytes)
            except SignatureInvalid:
                pass


def _bad(signature: bytes, message: bytes) -> bool:
    try:
        ANA.public.check(signature, message)
    except SignatureInvalid:
        return True
    return False


class TestGrant:
    def test_its_name_is_that_of_its_payload(self) -> None:
        from hashlib import sha256

        payload = read_envelope(granted()).payload
        assert grant().digest == "sha256:" + sha256(payload).hexdigest()
        assert parse_grant(payload).digest == grant().digest

    @pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
    @pytest.mark.parametrize("reason", GRANT_REASONS)
    def test_every_measure_and_reason(self, measure: Any, reason: Any) -> None:
        policy = Budget("1", "0" if measure == "pure" else "1e-9")
        made = replace(grant(), added=policy.cost(measure), policy=policy, reason=reason, parent="office", column=None)
        assert parse_grant(made.statement()) == made

    @pytest.mark.parametrize(
        "changes",
        [
            {"added": Cost("gdp", 0)},
            {"policy": Budget("1", "0")},
            {"level": "town"},
            {"parent": "people"},
            {"parent": ""},
            {"neighbours": "both"},
            {"reason": "january"},
            {"population": ""},
            {"nonce": "0"},
            {"root": "sha256:"},
            {"origin": "dpsynth.log/office"},
            {"origin": ""},
            {"day": "2026-13-01"},
        ],
    )
    def test_none_of_another_form_is_made(self, changes: dict[str, Any]) -> None:
        with pytest.raises(UnknownEntry):
            replace(grant(), **changes)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("added", {"rho": "1", "delta": "0"}),
            ("added", {"mu2": "2/4", "delta": "0"}),
            ("added", {"mu2": "-1", "delta": "0"}),
            ("added", {"mu2": "1"}),
            ("measure", "renyi"),
            ("measure", "zcdp"),
            ("policy", {"epsilon": "1", "delta": "1"}),
            ("policy", {"epsilon": "0", "delta": "1/10"}),
            ("policy", {"epsilon": "1e0", "delta": "1/10"}),
            ("version", 2),
        ],
    )
    def test_amounts_are_exact_and_of_the_measure(self, key: str, value: object) -> None:
        with pytest.raises(UnknownEntry):
            parse_grant(changed(PAYLOADS["grant"], key, value))


class TestStatus:
    @pytest.mark.parametrize(
        "changes",
        [
            {"state": "superseded", "by": "golden-2"},
            {"state": "withdrawn", "reason": "data-fault"},
            {"entries": (), "log": head(log(), 5, (), (5,))},
            {"expires": "2027-11-23"},
        ],
    )
    def test_each_state(self, changes: dict[str, Any]) -> None:
        made = replace(status(), **changes)
        assert parse_status(made.statement(ENGINE)) == made

    @pytest.mark.parametrize(
        "changes",
        [
            {"state": "fine"},
            {"by": "golden-2"},
            {"reason": "data-fault"},
            {"state": "superseded"},
            {"state": "withdrawn"},
            {"state": "withdrawn", "reason": "utility"},
            {"issued": LATER, "expires": DAY},
            {"issued": "2026-02-29"},
            {"expires": "2027-11-24"},
            {"expires": "9999-99-99"},
            {"release": ""},
            {"ledger": digest("x")[:-1] + "g"},
        ],
    )
    def test_what_does_not_fit_is_not_signed(self, changes: dict[str, Any]) -> None:
        with pytest.raises((UnknownEntry, ValueError)):
            replace(status(), **changes).statement(ENGINE)

    def test_its_checkpoint_is_by_its_signer(self) -> None:
        forged = changed(PAYLOADS["status"], "signer", ANA.public.to_json())
        with pytest.raises(SignatureInvalid):
            parse_status(forged)
        signer = {**ENGINE.public.to_json(), "keyid": ANA.public.keyid}
        with pytest.raises(UnknownEntry):
            parse_status(changed(PAYLOADS["status"], "signer", signer))

    def test_the_lines_are_in_the_log(self) -> None:
        lines = [line.decode() for line in status().entries]
        for wrong in (lines[:2], lines[::-1], [*lines[:2], lines[1]], [line.decode() for line in log()[:3]]):
            with pytest.raises(LogInconsistent):
                parse_status(changed(PAYLOADS["status"], "entries", wrong))
        with pytest.raises((UnknownEntry, SignatureInvalid)):
            parse_status(changed(PAYLOADS["status"], "entries", [*lines[:2], "{}"]))

    def test_it_is_signed_by_one(self) -> None:
        data = envelope(PAYLOADS["status"], ENGINE)
        assert data == seal(PAYLOADS["status"], [ENGINE])
