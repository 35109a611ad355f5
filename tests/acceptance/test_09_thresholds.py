"""9. Two officers have to approve: two people, not two signatures, and not the one who made the release."""

from __future__ import annotations

from dpsynth.accountant import Accountant
from dpsynth.ledger import Approval, Person, Revocation, RootKey, SigningKey, read_envelope, seal
from dpsynth.release import approve
from tests.desk import FAR, Office, call


def code(office: Office) -> int:
    return call("verify", office.pending, "--root", office.root).exit_code


def test_one_officer_twice_with_one_key(waiting: Office) -> None:
    waiting.approve("ana")
    waiting.approve("ana")
    assert code(waiting) == 26
    assert waiting.run().exit_code == 11


def test_one_key_under_two_ids(waiting: Office) -> None:
    """A key has one id, the hash of its bytes: the same signature under another id is nobody's."""
    waiting.approve("ana")
    (vote,) = approve.votes(waiting.pending)
    envelope = read_envelope(vote.data)
    other = type(envelope)(envelope.payload, envelope.payload_type, (("0" * 64, envelope.signatures[0][1]),))
    forged = approve.add(waiting.pending, other.data)
    assert code(waiting) == 25
    assert waiting.run().exit_code == 25
    forged.unlink()
    assert code(waiting) == 26


def test_one_officer_with_two_keys(waiting: Office) -> None:
    waiting.approve("ana", "ana2")
    assert len(approve.votes(waiting.pending)) == 2
    assert code(waiting) == 26
    assert waiting.run().exit_code == 11


def test_the_one_who_made_it(waiting: Office) -> None:
    waiting.approve("ana")
    (vote,) = approve.votes(waiting.pending)
    said = {**vote.approval.to_json(), "person": "dee"}
    said.pop("version")
    approve.add(waiting.pending, seal(Approval(**said).statement(), [waiting.signer("key")]))
    assert code(waiting) == 26
    assert waiting.run().exit_code == 11


def test_the_one_who_made_it_and_became_an_officer_since(waiting: Office) -> None:
    """Another engine took over from the next line on: what dee's key signed before counts, and dee's vote does not."""
    (*officers, _) = waiting.people()
    with Accountant.open(waiting.store) as accountant:
        log = accountant.story("first").now
    gone = Revocation(waiting.signer("key").public.keyid, {log.origin: log.size})
    for name in ("dee", "eve"):
        SigningKey.generate().save(waiting.key(name))
    dee, eve = (RootKey(waiting.signer(name).public, FAR) for name in ("dee", "eve"))
    waiting.set_root((*officers, Person("dee", "officer", (dee,)), Person("eve", "engine", (eve,))), (gone,))
    waiting.key("eve").replace(waiting.key("key"))
    for name in ("ana", "dee"):
        assert call("approve", waiting.pending, "--key", waiting.key(name), "--root", waiting.root).exit_code == 0
    verified = call("verify", waiting.pending, "--root", waiting.root)
    assert verified.exit_code == 26
    assert "approved by 1 of 2 officers: ana" in verified.output
    called = waiting.run()
    assert (called.exit_code, "nobody approves what is their own" in called.output) == (11, True)


def test_two_people(waiting: Office) -> None:
    waiting.approve("ana", "bo")
    assert code(waiting) == 26, "approved, and not yet shown to be published"
    assert waiting.run().exit_code == 0
    assert call("verify", waiting.out, "--root", waiting.root, "--fresh").exit_code == 0
