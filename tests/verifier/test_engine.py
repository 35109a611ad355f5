"""The verifier understands what the engine really makes of accounts, roots, approvals, status and samples."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from dpsynth.accountant import Accountant
from dpsynth.evidence import Verdict
from dpsynth.ledger import Stamp
from dpsynth.ledger.people import Person, Revocation, RootKey
from dpsynth.trust import verify, verify_all
from tests.desk import FAR, Office, call, make_office
from tests.verifier.engine import publish


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path, epsilon="8")


def judged(folder: Path, office: Office, fresh: bool = True) -> Verdict:
    return verify(folder, office.root.read_bytes(), fresh)


def codes(folders: Sequence[Path], office: Office) -> list[int]:
    return [verdict.exit_code for verdict in verify_all(folders, office.root.read_bytes())]


def test_the_road_of_two_releases(office: Office) -> None:
    assert office.run().exit_code == 11
    assert judged(office.pending, office, fresh=False).exit_code == 26
    office.approve("ana")
    found = judged(office.pending, office, fresh=False)
    assert found.failures == ("[26] approved by 1 of 2 officers: ana",)
    office.approve("bo")
    assert office.run().exit_code == 0
    second = publish(office, "second")
    assert judged(office.out, office).failures == judged(second, office).failures == ()
    assert judged(second, office).approved_by == ("ana", "bo")
    assert codes([office.out, second], office) == [0, 0, 0]
    shown = call("verify", office.out, second, "--root", office.root, "--fresh")
    assert shown.exit_code == 0, shown.output


def test_two_keys_of_one_person_are_one(office: Office) -> None:
    assert office.run().exit_code == 11
    office.approve("ana", "ana2")
    assert judged(office.pending, office, fresh=False).failures == ("[26] approved by 1 of 2 officers: ana",)


def test_a_store_that_was_copied(office: Office, tmp_path: Path) -> None:
    """Acceptance test 8, with the engine: each copy has its own anchors, as on two machines."""
    first = publish(office)
    copy = tmp_path / "copy.db"
    shutil.copy(office.store, copy)
    here = publish(office, "here")
    shutil.move(office.store, tmp_path / "original.db")
    shutil.copy(copy, office.store)
    for path in Path(os.environ["DPSYNTH_ANCHORS"]).iterdir():
        path.unlink()
    there = publish(office, "there")
    assert codes([first, here], office) == codes([first, there], office) == [0, 0, 0]
    assert codes([here, there], office) == [0, 0, 24]
    assert call("verify", here, there, "--root", office.root).exit_code == 24


def test_keys_are_renewed_and_revoked(office: Office) -> None:
    first = publish(office)
    with Accountant.open(office.store) as accountant:
        origin, size = accountant.origin, accountant.story("first").now.size
    officers = [person for person in office.people() if person.role == "officer"]
    new = call("keys", "new", "--out", office.key("key2"))
    assert new.exit_code == 0, new.output
    engine = Person("dee", "engine", (RootKey(office.signer("key2").public, FAR),))
    gone = Revocation(office.signer("key").public.keyid, {origin: size})
    office.set_root((*officers, engine), (gone,))
    assert judged(first, office).failures == ("[25] the key that signed the status does not count: it was revoked",)
    renewed = call("status", "renew", first, "--store", office.store, "--key", office.key("key2"))
    assert renewed.exit_code == 0, renewed.output
    assert judged(first, office).failures == ()
    assert any("by version 2 of the root" in note for note in judged(first, office).notes)


def test_withdrawn(office: Office) -> None:
    first = publish(office)
    old = (first / "status.dsse.json").read_bytes()
    both = ("--key", office.key("ana"), "--key", office.key("bo"), "--reason", "legal")
    shown = call("withdraw", first, *both, "--store", office.store, "--sign-with", office.folder / "key.pem")
    assert judged(first, office).exit_code == 13, shown.output
    assert judged(first, office).state == "withdrawn"
    (first / "status.dsse.json").write_bytes(old)
    assert judged(first, office).exit_code == 13  # the officers' own files lie beside


def test_a_sample_of_an_approved_release(office: Office, tmp_path: Path) -> None:
    first, sample = publish(office), tmp_path / "sample"
    made = call("sample", first, "--rows", 4, "--seed", 3, "--sign-with", office.folder / "key.pem", "--out", sample)
    assert made.exit_code == 0, made.output
    assert verify(sample).failures == ()
    assert verify(sample, office.root.read_bytes(), parent=first).failures == ()
    shown = call("verify", sample, "--parent", first, "--root", office.root)
    assert shown.exit_code == 0, shown.output


def test_the_day_of_a_line_is_today(office: Office) -> None:
    assert f"status of {Stamp.now().day}: current" in " ".join(judged(publish(office), office).notes)
