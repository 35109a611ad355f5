"""Envelopes that several people sign: one form, in whatever order they sign, read alike by another implementation."""

from __future__ import annotations

import base64
import json
from itertools import permutations

import pytest
from securesystemslib.dsse import Envelope as Other
from securesystemslib.exceptions import VerificationError as OtherError
from securesystemslib.signer import SSlibKey

from dpsynth.errors import SignatureInvalid
from dpsynth.ledger import (
    PAYLOAD_TYPE,
    ROOT_TYPE,
    Envelope,
    SigningKey,
    add_signature,
    canonical,
    envelope,
    merge,
    open_envelope,
    read_envelope,
    seal,
)
from tests.ledger.office import ANA, BEN, CLEO, DORA, GOLDEN

PAYLOAD = b'{"what":"they agree on"}'
THREE = seal(PAYLOAD, [ANA, BEN, CLEO])


def theirs(key: SigningKey) -> SSlibKey:
    return SSlibKey(key.public.keyid, "ed25519", "ed25519", {"public": key.public.raw.hex()})


class TestForm:
    def test_the_order_of_signing_does_not_show(self) -> None:
        for order in permutations([ANA, BEN, CLEO]):
            data = seal(PAYLOAD, [])
            for key in order:
                data = add_signature(data, key)
            assert data == seal(PAYLOAD, order) == THREE

    def test_sorted_distinct_and_canonical(self) -> None:
        value = json.loads(THREE)
        keyids = [one["keyid"] for one in value["signatures"]]
        assert keyids == sorted({key.public.keyid for key in (ANA, BEN, CLEO)})
        assert canonical(value) + b"\n" == THREE

    def test_signing_twice_changes_nothing(self) -> None:
        assert add_signature(THREE, BEN) == THREE

    def test_one_signer_has_the_form_that_it_always_had(self) -> None:
        assert seal(PAYLOAD, [ANA]) == envelope(PAYLOAD, ANA)
        assert open_envelope(envelope(PAYLOAD, ANA), ANA.public) == PAYLOAD

    def test_a_ledger_has_one_signer(self) -> None:
        for data in (THREE, seal(PAYLOAD, [])):
            with pytest.raises(SignatureInvalid):
                open_envelope(data, ANA.public)
        with pytest.raises(SignatureInvalid):
            open_envelope(seal(PAYLOAD, [ANA], ROOT_TYPE), ANA.public)

    def test_copies_are_brought_together(self) -> None:
        left, right = seal(PAYLOAD, [ANA, CLEO]), seal(PAYLOAD, [CLEO, BEN])
        assert merge(left, right) == merge(right, left) == THREE
        with pytest.raises(SignatureInvalid, match="do not say the same"):
            merge(left, seal(PAYLOAD + b" ", [BEN]))
        with pytest.raises(SignatureInvalid, match="do not say the same"):
            merge(left, seal(PAYLOAD, [BEN], ROOT_TYPE))

    def test_two_signatures_under_one_key_id(self) -> None:
        forged = Envelope(PAYLOAD, PAYLOAD_TYPE, ((ANA.public.keyid, bytes(64)),)).data
        with pytest.raises(SignatureInvalid, match="two different"):
            merge(forged, seal(PAYLOAD, [ANA]))
        value = json.loads(seal(PAYLOAD, [ANA]))
        value["signatures"] *= 2
        with pytest.raises(SignatureInvalid):
            read_envelope(canonical(value) + b"\n")

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("payload", "e30"),
            ("payload", "e31="),
            ("payload", 1),
            ("payload", None),
            ("payloadType", 1),
            ("signatures", {}),
            ("signatures", [{"keyid": "A" * 64, "sig": base64.b64encode(bytes(64)).decode()}]),
            ("signatures", [{"keyid": "ab", "sig": base64.b64encode(bytes(64)).decode()}]),
            ("signatures", [{"keyid": "a" * 64, "sig": base64.b64encode(bytes(63)).decode()}]),
            ("signatures", [{"keyid": "a" * 64, "sig": base64.b64encode(bytes(64)).decode(), "cert": ""}]),
            ("signatures", [{"sig": base64.b64encode(bytes(64)).decode()}]),
            ("signatures", [7]),
            ("more", 1),
        ],
    )
    def test_other_forms_are_refused(self, key: str, value: object) -> None:
        with pytest.raises(SignatureInvalid):
            read_envelope(canonical({**json.loads(THREE), key: value}) + b"\n")

    def test_signatures_out_of_order_or_too_many(self) -> None:
        value = json.loads(THREE)
        value["signatures"] = value["signatures"][::-1]
        with pytest.raises(SignatureInvalid):
            read_envelope(canonical(value) + b"\n")
        many = tuple((f"{number:064x}", bytes(64)) for number in range(65))
        with pytest.raises(SignatureInvalid):
            read_envelope(Envelope(PAYLOAD, PAYLOAD_TYPE, many).data)

    def test_no_flipped_bit_is_the_same_envelope(self) -> None:
        """Each bit that leaves the form whole changes the payload, its type, or a signature."""
        original = read_envelope(THREE)
        for bit in range(8 * len(THREE)):
            data = bytearray(THREE)
            data[bit // 8] ^= 1 << bit % 8
            try:
                changed = read_envelope(bytes(data))
            except SignatureInvalid:
                continue
            assert changed != original
            known = {key.public.keyid: key.public for key in (ANA, BEN, CLEO)}
            good = 0
            for keyid, signature in changed.signatures:
                try:
                    known[keyid].check(signature, changed.signed_bytes)
                    good += 1
                except (KeyError, SignatureInvalid):
                    pass
            assert good < 3


class TestAgainstSecuresystemslib:
    """The reference implementation of DSSE reads and checks the same files."""

    def test_it_accepts_ours(self) -> None:
        other = Other.from_dict(json.loads(THREE))
        assert other.pae() == read_envelope(THREE).signed_bytes
        found = other.verify([theirs(key) for key in (ANA, BEN, CLEO)], 3)
        assert set(found) == {key.public.keyid for key in (ANA, BEN, CLEO)}
        with pytest.raises(OtherError):
            other.verify([theirs(ANA), theirs(BEN), theirs(DORA)], 3)

    @pytest.mark.parametrize("name", ["grant", "ledger", "approval", "status"])
    def test_it_accepts_the_golden_files(self, name: str) -> None:
        data = (GOLDEN / f"{name}.dsse.json").read_bytes()
        other = Other.from_dict(json.loads(data))
        assert other.payload == read_envelope(data).payload
        assert other.pae() == read_envelope(data).signed_bytes

    def test_it_counts_key_ids_where_we_count_keys(self) -> None:
        """One key under two ids satisfies its threshold of two: ours has no second id for a key."""
        other = Other.from_dict(json.loads(seal(PAYLOAD, [ANA])))
        twice = SSlibKey("other", "ed25519", "ed25519", {"public": ANA.public.raw.hex()})
        second = next(iter(other.signatures.values()))
        other.signatures["other"] = type(second)("other", second.signature)
        assert len(other.verify([theirs(ANA), twice], 2)) == 2
        with pytest.raises(SignatureInvalid):
            read_envelope(canonical(other.to_dict()) + b"\n")
