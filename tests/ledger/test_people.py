"""The root of the officers: what one version may say, how versions follow each other, whose signatures count."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import KeyRefused, SignatureInvalid, ThresholdNotMet, UnknownEntry, VerificationError
from dpsynth.ledger import (
    PAYLOAD_TYPE,
    ROOT_TYPE,
    Draft,
    Envelope,
    Person,
    Revocation,
    Root,
    RootKey,
    SigningKey,
    Trust,
    canonical,
    merge_roots,
    new_root,
    next_root,
    read_chain,
    read_envelope,
    seal,
    sign_root,
    write_chain,
)
from tests.ledger.office import (
    ANA,
    BEN,
    CLEO,
    DAY,
    DORA,
    END,
    ENGINE,
    LATER,
    NEXT_YEAR,
    ORIGIN,
    PEOPLE,
    first_root,
    key,
    person,
    second_root,
    signed,
)

FIRST, BOTH = Trust.parse(first_root()), Trust.parse(second_root())
PAYLOAD = b"{}"


def sealed(*keys: SigningKey) -> Envelope:
    return read_envelope(seal(PAYLOAD, keys))


def ids(people: tuple[Person, ...]) -> set[str]:
    return {one.id for one in people}


def link(payload: bytes, *keys: SigningKey) -> Envelope:
    """A link of a chain over any payload, signed by anybody."""
    return read_envelope(seal(payload, keys, ROOT_TYPE))


def altered(root: Root, **changes: Any) -> bytes:
    """The payload of a root with some keys replaced, whatever they then say."""
    return canonical({**root.to_json(), **changes})


class TestRoot:
    def test_reads_back(self) -> None:
        for root in BOTH.roots:
            assert Root.parse(root.payload()) == root

    def test_has_the_keys_of_its_format(self) -> None:
        value = json.loads(BOTH.newest.payload())
        assert value.keys() == {"version", "name", "expires", "threshold", "people", "revoked", "previous"}
        assert value["previous"] == FIRST.digest
        assert value["revoked"] == [{"keyid": CLEO.public.keyid, "origins": {ORIGIN: 3}}]
        assert value["people"][0] == {
            "id": "ana",
            "role": "officer",
            "keys": [
                {
                    "algorithm": "ed25519",
                    "keyid": ANA.public.keyid,
                    "public_key": ANA.public.base64,
                    "expires": END,
                }
            ],
        }

    @pytest.mark.parametrize("threshold", [0, 4, 100])
    def test_a_threshold_that_nobody_needs_or_nobody_meets(self, threshold: int) -> None:
        with pytest.raises(ThresholdNotMet if threshold else UnknownEntry):
            Root.parse(altered(FIRST.newest, threshold=threshold))
        with pytest.raises(ThresholdNotMet):
            new_root("Office", END, threshold, PEOPLE)

    def test_engines_do_not_count_as_officers(self) -> None:
        with pytest.raises(ThresholdNotMet):
            new_root("Office", END, 2, (person("ana"), person("engine", role="engine")))

    def test_an_officer_without_a_key_does_not_count(self) -> None:
        with pytest.raises(ThresholdNotMet):
            new_root("Office", END, 2, (person("ana"), Person("ben", "officer", ())))

    def test_one_key_of_two_people(self) -> None:
        with pytest.raises(KeyRefused, match="twice"):
            new_root("Office", END, 2, (person("ana"), person("ben", ANA)))
        with pytest.raises(KeyRefused, match="twice"):
            new_root("Office", END, 1, (person("ana"), person("engine", ANA, role="engine")))

    def test_one_key_twice_of_one_person(self) -> None:
        with pytest.raises(KeyRefused, match="twice"):
            new_root("Office", END, 1, (person("ana", ANA, ANA),))

    def test_one_key_under_two_ids(self) -> None:
        people = FIRST.newest.to_json()["people"]
        people[1]["keys"][0] |= {"public_key": ANA.public.base64}
        with pytest.raises(KeyRefused, match="another id"):
            Root.parse(altered(FIRST.newest, people=people))

    @pytest.mark.parametrize("name", ["ana", "ANA", "Ana"])
    def test_two_people_of_one_name(self, name: str) -> None:
        with pytest.raises(UnknownEntry, match="same id"):
            new_root("Office", END, 1, (person("ana"), person(name, BEN)))

    def test_a_key_that_is_listed_and_revoked(self) -> None:
        with pytest.raises(KeyRefused, match="revokes"):
            Root.parse(altered(FIRST.newest, revoked=[{"keyid": ANA.public.keyid, "origins": {}}]))
        with pytest.raises(KeyRefused, match="twice"):
            Root.parse(altered(FIRST.newest, revoked=[{"keyid": "a" * 64, "origins": {}}] * 2))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("version", 0),
            ("version", "1"),
            ("version", True),
            ("version", 2**64),
            ("name", ""),
            ("name", None),
            ("expires", "2026-02-30"),
            ("expires", "2026-11-22T00:00:00Z"),
            ("expires", "20261122"),
            ("threshold", "2"),
            ("threshold", -1),
            ("people", {}),
            ("people", [{"id": "ana", "role": "officer"}]),
            ("people", [{"id": "ana", "role": "auditor", "keys": []}]),
            ("people", [{"id": "a b", "role": "officer", "keys": []}]),
            ("people", [{"id": "", "role": "officer", "keys": []}]),
            ("people", [{"id": "аna", "role": "officer", "keys": []}]),
            ("revoked", [{"keyid": "xyz", "origins": {}}]),
            ("revoked", [{"keyid": "a" * 64, "origins": {ORIGIN: -1}}]),
            ("revoked", [{"keyid": "a" * 64, "origins": {"log": 1}}]),
            ("revoked", [{"keyid": "a" * 64, "origins": []}]),
            ("previous", "sha256:00"),
            ("more", 1),
        ],
    )
    def test_other_forms_are_refused(self, field: str, value: object) -> None:
        with pytest.raises(UnknownEntry):
            Root.parse(altered(FIRST.newest, **{field: value}))

    def test_other_algorithms_and_keys_are_refused(self) -> None:
        people = FIRST.newest.to_json()["people"]
        good = people[0]["keys"][0]
        for wrong in ({"algorithm": "rsa"}, {"public_key": "AAAA"}, {"expires": "never"}, {"more": 1}):
            people[0]["keys"] = [{**good, **wrong}]
            with pytest.raises((UnknownEntry, SignatureInvalid)):
                Root.parse(altered(FIRST.newest, people=people))

    def test_only_the_first_has_none_before_it(self) -> None:
        with pytest.raises(SignatureInvalid, match="previous"):
            Root.parse(altered(FIRST.newest, previous=FIRST.digest))
        with pytest.raises(SignatureInvalid, match="previous"):
            Root.parse(altered(FIRST.newest, version=2))

    def test_only_the_canonical_form(self) -> None:
        with pytest.raises(SignatureInvalid, match="canonical"):
            Root.parse(FIRST.newest.payload() + b"\n")


class TestChain:
    def test_the_first_needs_its_own_threshold(self) -> None:
        draft = new_root("Office", END, 2, PEOPLE)
        for keys in ((), (ANA,), (ANA, ANA)):
            with pytest.raises(ThresholdNotMet, match="of the 2 officers"):
                Trust.parse(signed(draft, *keys))
        assert Trust.parse(signed(draft, BEN, CLEO)).newest.version == 1

    def test_one_person_with_two_keys_counts_once(self) -> None:
        people = (person("ana", ANA, key("ana-2")), person("ben"))
        draft = signed(new_root("Office", END, 2, people), ANA, key("ana-2"))
        with pytest.raises(ThresholdNotMet, match="1 of the 2"):
            Trust.parse(draft)
        assert Trust.parse(signed(draft, BEN)).newest.threshold == 2

    def test_the_next_needs_both_thresholds(self) -> None:
        people = (person("ana"), person("dora"), person("eve"))
        draft = next_root(FIRST, people=people)
        for keys in ((ANA, DORA), (ANA, BEN), (DORA, key("eve"))):
            with pytest.raises(ThresholdNotMet):
                Trust.parse(signed(draft, *keys))
        assert Trust.parse(signed(draft, ANA, BEN, DORA)).newest.version == 2
        assert Trust.parse(signed(draft, BEN, CLEO, DORA, key("eve"))).newest.version == 2

    def test_a_higher_threshold_binds_at_once(self) -> None:
        draft = next_root(FIRST, threshold=3)
        with pytest.raises(ThresholdNotMet, match="version 2"):
            Trust.parse(signed(draft, ANA, BEN))
        assert Trust.parse(signed(draft, ANA, BEN, CLEO)).newest.threshold == 3

    def test_a_skipped_version(self) -> None:
        third = Root.parse(altered(BOTH.newest, version=3, previous=FIRST.digest))
        chain = [*read_chain(first_root()), link(third.payload(), ANA, BEN, DORA)]
        with pytest.raises(SignatureInvalid, match="follow"):
            Trust.parse(write_chain(chain))

    def test_the_same_version_again(self) -> None:
        with pytest.raises(SignatureInvalid, match="follow"):
            Trust.parse(write_chain(read_chain(first_root()) * 2))

    def test_another_previous(self) -> None:
        forged = Root.parse(altered(BOTH.newest, previous="sha256:" + "0" * 64))
        chain = [*read_chain(first_root()), link(forged.payload(), ANA, BEN, DORA)]
        with pytest.raises(SignatureInvalid, match="follow"):
            Trust.parse(write_chain(chain))

    def test_a_chain_that_begins_later(self) -> None:
        with pytest.raises(SignatureInvalid, match="follow"):
            Trust.parse(write_chain(read_chain(second_root())[1:]))

    def test_a_wrong_signature(self) -> None:
        (envelope,) = read_chain(first_root())
        forged = replace(envelope, signatures=tuple((keyid, bytes(64)) for keyid, _ in envelope.signatures))
        with pytest.raises(SignatureInvalid):
            Trust.parse(write_chain([forged]))

    @pytest.mark.parametrize("stranger", [DORA, ENGINE])
    def test_a_signature_of_nobody_who_decides(self, stranger: SigningKey) -> None:
        (envelope,) = read_chain(first_root())
        with pytest.raises(KeyRefused, match="no officer"):
            Trust.parse(write_chain([envelope.with_signature(stranger)]))
        with pytest.raises(KeyRefused, match="no officer"):
            sign_root(first_root(), stranger)

    def test_a_revoked_key_never_comes_back(self) -> None:
        with pytest.raises(KeyRefused, match="which it revokes"):
            next_root(BOTH, people=PEOPLE)
        forged = Root.parse(
            altered(
                BOTH.newest,
                version=3,
                previous=BOTH.digest,
                revoked=[],
                people=[*BOTH.newest.to_json()["people"][:2], person("cleo").to_json()],
            )
        )
        chain = [*read_chain(second_root()), link(forged.payload(), ANA, BEN)]
        with pytest.raises(KeyRefused, match="brings back"):
            Trust.parse(write_chain(chain))

    def test_a_key_never_changes_hands(self) -> None:
        people = (person("ana"), person("ben"), person("carl", CLEO))
        with pytest.raises(KeyRefused, match="another person"):
            next_root(FIRST, people=people)
        forged = Root.parse(altered(BOTH.newest, revoked=[], people=[one.to_json() for one in people]))
        with pytest.raises(KeyRefused, match="another person"):
            Trust.parse(write_chain([*read_chain(first_root()), link(forged.payload(), ANA, BEN)]))

    def test_a_key_is_revoked_for_its_own_signing(self) -> None:
        """The old officers sign, whoever they are; of the new version a revoked key is nobody's."""
        draft = next_root(FIRST, revoked=[Revocation(ANA.public.keyid, {})])
        with pytest.raises(ThresholdNotMet, match="1 of the 2 officers of version 2"):
            Trust.parse(signed(draft, ANA, BEN))
        assert Trust.parse(signed(draft, BEN, CLEO)).newest.version == 2

    def test_another_payload_type(self) -> None:
        (envelope,) = read_chain(first_root())
        with pytest.raises(UnknownEntry):
            Trust.parse(write_chain([replace(envelope, payload_type=PAYLOAD_TYPE)]))

    @pytest.mark.parametrize(
        "data", [b"", b"{}\n", b'{"roots":[]}\n', b'{"roots":{}}\n', b'{"roots":[{}]}\n', b'{"roots":[],"x":1}\n']
    )
    def test_other_files(self, data: bytes) -> None:
        with pytest.raises((UnknownEntry, SignatureInvalid)):
            Trust.parse(data)

    def test_every_flipped_bit_is_refused(self) -> None:
        data = second_root()
        for bit in range(0, 8 * len(data), 23):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(VerificationError):
                Trust.parse(bytes(changed))


class TestAccepted:
    def test_officers_and_engines(self) -> None:
        found = sealed(ANA, BEN, ENGINE, DORA)
        assert ids(FIRST.accepted(found, role="officer", day=DAY)) == {"ana", "ben"}
        assert ids(FIRST.accepted(found, role="engine", day=DAY)) == {"engine"}
        assert ids(BOTH.accepted(found, role="officer", day=DAY)) == {"ana", "ben", "dora"}

    def test_people_are_counted_not_keys(self) -> None:
        found = BOTH.accepted(sealed(ENGINE, key("engine-2")), role="engine", day=DAY)
        assert [one.id for one in found] == ["engine"]
        trust = Trust.parse(signed(new_root("O", END, 2, (person("ana", ANA, DORA), person("ben"))), ANA, BEN))
        with pytest.raises(ThresholdNotMet):
            trust.require(trust.accepted(sealed(ANA, DORA), role="officer", day=DAY))
        trust.require(trust.accepted(sealed(ANA, BEN), role="officer", day=DAY))

    def test_nobody_approves_their_own(self) -> None:
        found = FIRST.accepted(sealed(ANA, BEN), role="officer", day=DAY, but=FIRST.person(ANA.public.keyid))
        assert ids(found) == {"ben"}
        with pytest.raises(ThresholdNotMet, match=r"1 of the 2 .*\(ben\)"):
            FIRST.require(found)

    def test_the_same_person_twice_does_not_meet_a_threshold(self) -> None:
        (ana,) = FIRST.accepted(sealed(ANA), role="officer", day=DAY)
        with pytest.raises(ThresholdNotMet):
            FIRST.require([ana, ana, ana])

    def test_a_wrong_signature_of_a_known_key_refuses_the_whole(self) -> None:
        forged = Envelope(
            PAYLOAD, PAYLOAD_TYPE, tuple(sorted([(ANA.public.keyid, bytes(64)), *sealed(BEN).signatures]))
        )
        with pytest.raises(SignatureInvalid):
            FIRST.accepted(forged, role="officer", day=DAY)

    def test_a_signature_over_another_type_is_wrong(self) -> None:
        other = replace(read_envelope(seal(PAYLOAD, [ANA], ROOT_TYPE)), payload_type=PAYLOAD_TYPE)
        with pytest.raises(SignatureInvalid):
            FIRST.accepted(other, role="officer", day=DAY)

    def test_an_expired_key(self) -> None:
        people = (person("ana", expires=DAY), person("ben"))
        trust = Trust.parse(signed(new_root("Office", END, 1, people), BEN))
        assert ids(trust.accepted(sealed(ANA), role="officer", day=DAY)) == {"ana"}
        assert trust.accepted(sealed(ANA), role="officer", day=LATER) == ()
        with pytest.raises(KeyRefused, match=f"expired on {DAY}"):
            trust.signer(sealed(ANA), role="officer", day=LATER)

    @pytest.mark.parametrize(
        ("origin", "position", "counts"),
        [
            (ORIGIN, 1, True),
            (ORIGIN, 3, True),
            (ORIGIN, 4, False),
            (ORIGIN, None, False),
            (None, 1, False),
            (None, None, False),
            (ORIGIN.replace("0", "1"), 1, False),
        ],
    )
    def test_a_revoked_key_counts_where_it_was_recorded_early(
        self, origin: str | None, position: int | None, counts: bool
    ) -> None:
        found = BOTH.accepted(sealed(CLEO), role="officer", day=DAY, origin=origin, position=position)
        assert ids(found) == ({"cleo"} if counts else set())
        if not counts:
            with pytest.raises(KeyRefused, match="revoked"):
                BOTH.signer(sealed(CLEO), role="officer", day=DAY, origin=origin, position=position)

    def test_a_revoked_key_that_had_expired(self) -> None:
        people = (person("ana"), person("ben", expires=DAY))
        first = Trust.parse(signed(new_root("O", END, 1, people), ANA))
        gone = [Revocation(BEN.public.keyid, {ORIGIN: 9})]
        trust = Trust.parse(signed(next_root(first, revoked=gone), ANA))
        assert trust.accepted(sealed(BEN), role="officer", day=DAY, origin=ORIGIN, position=1)
        assert not trust.accepted(sealed(BEN), role="officer", day=LATER, origin=ORIGIN, position=1)

    def test_a_key_that_was_left_out(self) -> None:
        trust = Trust.parse(signed(next_root(FIRST, people=PEOPLE[:2]), ANA, BEN))
        assert trust.accepted(sealed(CLEO), role="officer", day=DAY, origin=ORIGIN, position=1) == ()
        with pytest.raises(KeyRefused, match="no longer"):
            trust.signer(sealed(CLEO), role="officer", day=DAY)
        assert trust.person(CLEO.public.keyid) == FIRST.person(CLEO.public.keyid)

    def test_somebody_who_changed_roles(self) -> None:
        people = (person("ana"), person("ben"), person("cleo", role="engine"))
        trust = Trust.parse(signed(next_root(FIRST, people=people), ANA, BEN))
        assert trust.accepted(sealed(CLEO), role="officer", day=DAY) == ()
        with pytest.raises(KeyRefused, match="no officer"):
            trust.signer(sealed(CLEO), role="officer", day=DAY)

    def test_the_signer(self) -> None:
        assert FIRST.signer(sealed(ENGINE), role="engine", day=DAY).id == "engine"
        with pytest.raises(KeyRefused, match="no engine"):
            FIRST.signer(sealed(ANA), role="engine", day=DAY)
        with pytest.raises(KeyRefused, match="does not know"):
            FIRST.signer(sealed(DORA), role="officer", day=DAY)
        with pytest.raises(SignatureInvalid, match="exactly one"):
            FIRST.signer(sealed(ANA, BEN), role="officer", day=DAY)
        with pytest.raises(SignatureInvalid):
            FIRST.signer(replace(sealed(ANA), payload=b"[]"), role="officer", day=DAY)

    def test_versions_and_their_days(self) -> None:
        assert BOTH.version(FIRST.digest) == FIRST.newest
        assert BOTH.version(BOTH.digest) == BOTH.newest
        assert FIRST.version(BOTH.digest) is None
        FIRST.require_current(NEXT_YEAR)
        with pytest.raises(KeyRefused, match="newer one"):
            FIRST.require_current(END)
        assert FIRST.accepted(sealed(ANA), role="officer", day=NEXT_YEAR)
        assert FIRST.accepted(sealed(ANA), role="officer", day=END) == ()
        with pytest.raises(KeyRefused, match="root expired"):
            FIRST.signer(sealed(ANA), role="officer", day=END)
        BOTH.require_current(END)

    def test_the_threshold_of_the_version_in_force(self) -> None:
        trust = Trust.parse(signed(next_root(FIRST, threshold=3), ANA, BEN, CLEO))
        two = trust.accepted(sealed(ANA, BEN), role="officer", day=DAY)
        trust.require(two, FIRST.newest)
        with pytest.raises(ThresholdNotMet):
            trust.require(two)


class TestDrafts:
    def test_signing_on_different_machines(self) -> None:
        draft = next_root(FIRST, revoked=[Revocation(CLEO.public.keyid, {ORIGIN: 3})])
        left, right = sign_root(draft, ANA), sign_root(draft, BEN)
        assert not Draft.parse(left).complete
        whole = merge_roots(left, right)
        assert whole == merge_roots(right, left) == signed(draft, BEN, ANA)
        assert Draft.parse(whole).complete
        assert Draft.parse(whole).data == whole
        assert Trust.parse(whole).newest.revocation(CLEO.public.keyid) == Revocation(CLEO.public.keyid, {ORIGIN: 3})

    def test_who_is_missing(self) -> None:
        draft = Draft.parse(sign_root(next_root(FIRST, people=(person("ana"), person("dora"))), ANA))
        old, new = draft.quorums
        assert (old.version, old.needed, ids(old.signed), ids(old.missing)) == (1, 2, {"ana"}, {"ben", "cleo"})
        assert (new.version, new.needed, ids(new.signed), ids(new.missing)) == (2, 2, {"ana"}, {"dora"})
        assert not old.met

    def test_other_drafts_are_not_mixed(self) -> None:
        with pytest.raises(SignatureInvalid, match="different versions"):
            merge_roots(first_root(), second_root())
        with pytest.raises(SignatureInvalid, match="do not say the same"):
            merge_roots(new_root("A", END, 1, PEOPLE), new_root("B", END, 1, PEOPLE))

    def test_what_is_not_given_stays(self) -> None:
        root = Draft.parse(next_root(BOTH)).root
        newest = BOTH.newest
        assert root == replace(newest, version=3, previous=BOTH.digest)

    def test_a_revocation_is_kept_and_may_be_corrected(self) -> None:
        assert Draft.parse(next_root(BOTH)).root.revoked == BOTH.newest.revoked
        corrected = Revocation(CLEO.public.keyid, {ORIGIN: 2})
        assert Draft.parse(next_root(BOTH, revoked=[corrected])).root.revoked == (corrected,)

    def test_what_cannot_be_revoked(self) -> None:
        with pytest.raises(KeyRefused, match="never had"):
            next_root(FIRST, revoked=[Revocation(DORA.public.keyid, {})])
        with pytest.raises(ThresholdNotMet):
            next_root(FIRST, revoked=[Revocation(one.public.keyid, {}) for one in (ANA, BEN)])

    def test_an_incomplete_version_is_not_built_on(self) -> None:
        unsigned = Draft.parse(next_root(FIRST)).envelope
        third = Root.parse(altered(BOTH.newest, version=3, previous=Root.parse(unsigned.payload).digest))
        with pytest.raises(ThresholdNotMet):
            Draft.parse(write_chain([*read_chain(first_root()), unsigned, link(third.payload(), ANA, BEN)]))


class TestThresholdsByChance:
    """Thresholds against a count by hand, for any people, keys and signers."""

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_as_counted_by_hand(self, data: st.DataObject) -> None:
        owners = data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6))
        keys = [key(f"key {number}") for number in range(len(owners))]
        people = tuple(
            person(name, *[one for one, owner in zip(keys, owners, strict=True) if owner == name])
            for name in sorted(set(owners))
        )
        threshold = data.draw(st.integers(1, len(people)))
        chosen = data.draw(st.sets(st.integers(0, len(keys) - 1)))
        draft = signed(new_root("Office", END, threshold, people), *[keys[number] for number in chosen])
        if len({owners[number] for number in chosen}) >= threshold:
            trust = Trust.parse(draft)
            trust.require(trust.accepted(sealed(*[keys[number] for number in chosen]), role="officer", day=DAY))
        else:
            with pytest.raises(ThresholdNotMet):
                Trust.parse(draft)


def test_a_key_of_a_root_knows_its_id() -> None:
    assert RootKey(ANA.public, END).keyid == ANA.public.keyid
