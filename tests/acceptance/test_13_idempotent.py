"""13. The same release id and plan twice: the same bytes and no new charge. The same id and another plan: refused."""

from __future__ import annotations

from dpsynth.accountant import Accountant
from tests.acceptance.kit import contents, document
from tests.desk import Desk, Office, call


def test_with_officers(published: Office) -> None:
    before = contents(published.out)
    with Accountant.open(published.store) as accountant:
        log = accountant.history("people")
    assert published.run().exit_code == 0
    called = published.run("--json", epsilon="2")
    assert (called.exit_code, document(called.stdout)["exit"]) == (32, 32)
    assert contents(published.out) == before
    with Accountant.open(published.store) as accountant:
        assert accountant.history("people") == log


def test_without_officers(desk: Desk) -> None:
    out, path = desk.folder / "out", desk.release(mechanism="independent")
    assert call("run", path, "--out", out).exit_code == 0
    before = contents(out)
    assert call("run", path, "--out", out).exit_code == 0
    assert call("run", path, "--out", desk.folder / "again").exit_code == 0
    assert contents(out) == contents(desk.folder / "again") == before
    assert call("run", desk.release(mechanism="independent", epsilon="1/2"), "--out", out).exit_code == 32
    assert call("run", desk.release(mechanism="independent", more="seed = 7"), "--out", out).exit_code == 32
    assert contents(out) == before
