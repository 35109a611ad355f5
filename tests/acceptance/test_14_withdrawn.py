"""14. A withdrawn release: an old bundle goes stale, a new one says so, what it spent stays spent; revoked keys."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from dpsynth.accountant import Accountant
from dpsynth.ledger import Revocation, SigningKey
from dpsynth.ledger.people import Person, RootKey
from dpsynth.release import approve, status
from tests.acceptance.kit import document
from tests.desk import FAR, Office, call


def verify(office: Office, folder: Path) -> int:
    return call("verify", folder, "--root", office.root, "--fresh").exit_code


def test_withdrawn(waiting: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = approve.today() - timedelta(days=40)
    waiting.approve("ana", "bo")
    with monkeypatch.context() as then:  # its status is of forty days ago, for thirty
        then.setattr(status, "today", lambda: before)
        assert waiting.run().exit_code == 0
    old = tmp_path / "old bundle"
    shutil.copytree(waiting.out, old)
    words = ("budget", "show", "people", "--store", waiting.store, "--json")
    told = document(call(*words).stdout)
    spent = told["accounts"]
    assert float(spent[0]["epsilon"]) > 0
    assert [one["state"] for one in told["releases"]] == ["RELEASED"]

    taken = ["withdraw", waiting.out, "--reason", "privacy-fault", "--store", waiting.store]
    taken += ["--sign-with", waiting.key("key"), "--key", waiting.key("ana"), "--key", waiting.key("bo")]
    assert call(*taken).exit_code == 0
    assert verify(waiting, old) == 14
    assert call("verify", old, "--root", waiting.root).exit_code == 0, "nobody who does not ask can know"
    assert verify(waiting, waiting.out) == 13
    shutil.copy(waiting.out / "status.dsse.json", old)
    assert call("verify", old).exit_code == 13
    assert waiting.run().exit_code == 13
    told = document(call("budget", "show", "people", "--store", waiting.store, "--json").stdout)
    assert told["accounts"] == spent
    assert [one["state"] for one in told["releases"]] == ["WITHDRAWN"]


def test_a_key_that_was_revoked(published: Office, tmp_path: Path) -> None:
    """The engine's key is revoked up to the log's present size; another release was signed with it after that."""
    with Accountant.open(published.store) as accountant:
        known = accountant.story("first").now
    assert published.run(name="later").exit_code == 11
    published.approve("ana", "bo", release=published.pending.with_name("later"))
    assert published.run(name="later").exit_code == 0
    for name in ("first", "later"):
        assert verify(published, published.out.with_name(name)) == 0

    key = SigningKey.generate()
    (*officers, _) = published.people()
    engine = Person("dee", "engine", (RootKey(key.public, FAR),))
    gone = Revocation(published.signer("key").public.keyid, {known.origin: known.size})
    published.set_root((*officers, engine), (gone,))

    key.save(published.key("new"))
    words = ("--store", published.store, "--key", published.key("new"))
    assert call("status", "renew", published.out, *words).exit_code == 0
    assert verify(published, published.out) == 0
    later = published.out.with_name("later")
    assert call("status", "renew", later, *words).exit_code == 25
    assert verify(published, later) == 25
    assert published.run(name="third").exit_code == 25, "and nothing more is signed with it"

    for name in ("ana", "bo"):  # officers take back what only the revoked key vouches for; the new one says so
        words = ("withdraw", later, "--reason", "privacy-fault", "--root", published.root, "--key", published.key(name))
        assert call(*words).exit_code == 0
    assert call("status", "renew", later, "--store", published.store, "--key", published.key("new")).exit_code == 0
    assert "13" in [
        text[1:3] for text in document(call("verify", later, "--root", published.root, "--json").stdout)["failures"]
    ]


def test_an_officers_key_that_was_revoked(published: Office) -> None:
    with Accountant.open(published.store) as accountant:
        known = accountant.story("first").now
    keyid = published.signer("ana").public.keyid
    published.set_root(revoked=(Revocation(keyid, {known.origin: known.size}),))
    assert verify(published, published.out) == 0
    assert published.run(name="second").exit_code == 11
    published.approve("bo", release=published.pending.with_name("second"))
    called = call("approve", published.pending.with_name("second"), "--key", published.key("ana"))
    assert called.exit_code == 25
    published.approve("ana2", release=published.pending.with_name("second"))
    assert published.run(name="second").exit_code == 0
