"""A store that was taken back, or that went two ways, can be read and no more."""

from __future__ import annotations

import json
import os
import shutil
import stat
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dpsynth.accountant import Accountant
from dpsynth.accountant.anchors import Anchor, default_folder
from dpsynth.errors import AnchorMissing, BudgetRefused, ConfigurationError, DpsynthError, LogInconsistent, StoreError
from dpsynth.ledger import seal
from tests.desk import call
from tests.ledger.office import ANA

pytest.register_assert_rewrite("tests.accountant.store_contract")
from tests.accountant.store_contract import CAP, TENTH, charge, open_people, reserve  # noqa: E402

NAME = "accounts.db"
LETTER = seal(b"x", [ANA])
KEPT = "sha256:" + sha256(LETTER).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Accountant.open(tmp_path / NAME, create=True) as accountant:
        open_people(accountant)
        reserve(accountant, "r1").settle()
    return tmp_path / NAME


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_an_anchor_says_how_far_the_log_had_come_and_no_more(store: Path, anchors: Path) -> None:
    with Accountant.open(store) as accountant:
        origin, lines = accountant.origin, accountant.history("people")
        link = accountant._store.read(lambda tx: tx.head())[1]
    path = only(anchors)
    assert path.name == origin.removeprefix("dpsynth.log/") + ".json"
    assert json.loads(path.read_bytes()) == {"origin": origin, "size": len(lines), "link": link.hex()}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_commit_moves_it_on_and_reading_does_not(store: Path, anchors: Path) -> None:
    with Accountant.open(store) as accountant:
        sizes = [json.loads(only(anchors).read_bytes())["size"]]
        handle = reserve(accountant, "r2")
        for step in (
            lambda: handle.store(handle.draw([charge(TENTH)]), b"x"),
            handle.settle,
            handle.answers,
            lambda: accountant.keep(KEPT, LETTER),
        ):
            sizes.append(json.loads(only(anchors).read_bytes())["size"])
            step()
        sizes.append(json.loads(only(anchors).read_bytes())["size"])
    assert sizes == [3, 4, 6, 7, 7, 7]


def test_a_store_that_no_anchor_knows_is_warned_of_once(store: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with (
        pytest.warns(AnchorMissing, match="the next write makes one") as found,
        Accountant.open(store, anchors=elsewhere) as accountant,
    ):
        accountant.account("people")
        reserve(accountant, "r2").close()
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Accountant.open(store, anchors=elsewhere).close()
        Accountant.open(tmp_path / "new.db", create=True, anchors=tmp_path / "third").close()
        Accountant.open(tmp_path / "new.db", anchors=tmp_path / "third").close()  # no entries: nothing to take back


def test_the_command_says_once_that_no_anchor_is_there(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = ("budget", "show", "--store", store)
    assert call(*show).stderr.count("warning") == 0
    assert "warnings" not in json.loads(call(*show, "--json").stdout)
    monkeypatch.setenv("DPSYNTH_ANCHORS", str(tmp_path / "elsewhere"))
    for _ in range(2):  # a command that only reads makes no anchor
        called = call(*show, "--json")
        assert (called.exit_code, called.stderr.count("warning: ")) == (0, 1)
        (text,) = json.loads(called.stdout)["warnings"]
        assert str(tmp_path / "elsewhere") in text
    refused = call("budget", "show", "nobody", "--store", store, "--json")
    assert (refused.exit_code, len(json.loads(refused.stdout)["warnings"])) == (10, 1)
    assert call("budget", "external", "people", "--store", store, "--what", "a table").stderr.count("warning") == 1
    assert call(*show).stderr.count("warning") == 0


@pytest.mark.parametrize("fork", [False, True])
def test_a_copy_that_is_brought_back_is_read_only(store: Path, tmp_path: Path, fork: bool) -> None:
    copy = Path(shutil.copy(store, tmp_path / "copy.db"))
    with Accountant.open(store) as accountant:
        reserve(accountant, "r2").close()
        spent = accountant.account("people").held
    shutil.move(copy, store)
    if fork:  # the copy went on by itself elsewhere, where no anchor stood, and is as long as the other
        with Accountant.open(store, anchors=tmp_path / "elsewhere") as accountant:
            reserve(accountant, "other").close()
    before = store.read_bytes()
    with Accountant.open(store) as accountant:
        calls: list[Any] = [
            lambda: reserve(accountant, "r3"),
            lambda: reserve(accountant, "r2", CAP.cost()),
            lambda: accountant.check("people", CAP.cost(), release="r3", plan="sha256:" + "a" * 64),
            lambda: open_people(accountant, "more"),
            lambda: accountant.external("people", "a book", None),
            lambda: accountant.keep(KEPT, LETTER),
        ]
        for call in calls:
            with pytest.raises(LogInconsistent, match="anchored at size 4") as caught:
                call()
            assert caught.value.exit_code == 24
        assert accountant.account("people").held != spent or fork
        accountant.check("people", TENTH, release="r3", plan="sha256:" + "a" * 64)
        assert accountant.story("r1").state == "SETTLED"
    assert store.read_bytes() == before


def test_two_copies_on_one_machine_cannot_both_go_on(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(store, tmp_path / "copy.db"))
    with Accountant.open(store) as one, Accountant.open(copy) as two:
        reserve(one, "r2")
        for release in ("r2", "r3"):
            with pytest.raises(LogInconsistent):
                reserve(two, release)
        reserve(one, "r3")


def test_a_draw_that_was_under_way_when_the_store_was_taken_back_is_refused(store: Path, tmp_path: Path) -> None:
    with Accountant.open(store) as accountant:
        handle = reserve(accountant, "r2")
        copy = Path(shutil.copy(store, tmp_path / "copy.db"))
        handle.store(handle.draw([charge(TENTH.amount / 2)]), b"x")
        shutil.copyfile(copy, store)
        with pytest.raises(DpsynthError):
            handle.draw([charge(TENTH.amount / 2)])


def test_a_copy_that_holds_everything_goes_on(store: Path, tmp_path: Path) -> None:
    with Accountant.open(store) as accountant:
        reserve(accountant, "r2").close()
    copy = Path(shutil.copy(store, tmp_path / "copy.db"))
    store.unlink()
    with Accountant.open(copy) as accountant:
        reserve(accountant, "r3").close()
        with pytest.raises(BudgetRefused):
            reserve(accountant, "r4", CAP.cost())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"origin": "dpsynth.log/0", "size": 1, "link": ""}', "\x00"])
def test_an_anchor_that_cannot_be_read_stops_writing(store: Path, anchors: Path, text: str) -> None:
    only(anchors).write_text(text)
    with Accountant.open(store) as accountant:
        with pytest.raises(LogInconsistent, match="bring the anchor's file back"):
            reserve(accountant, "r2")
        assert accountant.account("people").held == TENTH


def test_a_slower_process_does_not_move_it_back(store: Path, anchors: Path) -> None:
    with Accountant.open(store) as accountant:
        early = accountant._store.read(lambda tx: Anchor(1, tx.link(0) or b""))
        reserve(accountant, "r2").close()
        before = only(anchors).read_bytes()
        accountant._store._keep(early)  # type: ignore[attr-defined]
        assert only(anchors).read_bytes() == before


def test_where_anchors_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_folder() == Path(os.environ["DPSYNTH_ANCHORS"])
    monkeypatch.delenv("DPSYNTH_ANCHORS")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "dpsynth" / "anchors"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".local" / "state" / "dpsynth" / "anchors"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_where_no_anchor_can_be_kept_nothing_is_spent(tmp_path: Path) -> None:
    shared = tmp_path / "anchors"
    shared.write_text("a file, no folder")
    with Accountant.open(tmp_path / NAME, create=True, anchors=shared) as accountant:
        with pytest.raises(ConfigurationError, match=r"name a folder that you may write to with DPSYNTH_ANCHORS"):
            open_people(accountant)
        assert accountant.accounts() == ()


def test_an_anchor_that_fails_after_the_commit_says_that_it_is_charged(
    store: Path, monkeypatch: pytest.MonkeyPatch, anchors: Path
) -> None:
    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with Accountant.open(store) as accountant:
        with monkeypatch.context() as patched:
            patched.setattr("dpsynth.accountant.anchors.os.write", full)
            with pytest.raises(StoreError, match="stays charged"):
                reserve(accountant, "r2")
        assert [path.suffix for path in anchors.iterdir()] == [".json"]
        assert accountant.account("people").held.amount == 2 * TENTH.amount
        reserve(accountant, "r2").close()
        assert accountant.account("people").held.amount == 2 * TENTH.amount
