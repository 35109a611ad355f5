"""8. A store that was copied to a second machine, and used on both: the two releases tell two histories."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.desk import Desk, Office, call


def publish(office: Office, name: str) -> Path:
    assert office.run(name=name).exit_code == 11
    office.approve("ana", "bo", release=office.pending.with_name(name))
    assert office.run(name=name).exit_code == 0
    return office.out.with_name(name)


def test_two_copies_of_a_store(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Office(Desk(tmp_path / "second machine"))
    shutil.copytree(office.folder, other.folder, ignore=shutil.ignore_patterns("second machine"))
    one = publish(office, "first")
    more = publish(office, "third")
    with monkeypatch.context() as there:
        there.setenv("DPSYNTH_ANCHORS", str(tmp_path / "anchors of the second machine"))
        two = publish(other, "second")
    for release in (one, two, more):
        assert call("verify", release, "--root", office.root, "--fresh").exit_code == 0
    assert call("verify", one, more, "--root", office.root).exit_code == 0
    for pair in ((one, two), (two, more)):
        called = call("verify", *pair, "--root", office.root)
        assert called.exit_code == 24
        assert "two histories for people" in called.output
