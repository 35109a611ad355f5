"""Two processes that publish one release at the same time: one folder comes of it, whole, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import jinja2
import matplotlib.figure
import pytest

from dpsynth import verifier
from dpsynth.accountant import Accountant
from dpsynth.ledger import parse
from tests.desk import Office, call, make_office
from tests.processes import at_once
from tests.release.test_publish import contents

TURNS = 4
IMPORTED = (jinja2, matplotlib.figure)
"""What takes a run long to import is there before two are let go: the sooner they meet."""


def one_run(office: Office, path: Path) -> tuple[int, str]:
    called = call("run", path, "--out", office.out)
    return called.exit_code, called.stderr


def both(office: Office) -> list[tuple[int, str]]:
    """Two runs of one release, let go at the same moment."""
    path = office.release()  # written once: neither may read what the other is writing
    return sorted(at_once(one_run, [(office, path)] * 2))


def left_behind(office: Office) -> list[str]:
    """What lies about that no release needs."""
    return [str(path) for path in office.out.parent.rglob("*") if "partial" in path.name or path.name.endswith(".new")]


@pytest.mark.parametrize("laid", [True, False], ids=["published", "laid anew and published"])
def test_the_same_release_published_twice_at_once(tmp_path: Path, laid: bool) -> None:
    """``laid``: the files wait under pending/; otherwise they are gone and both write them anew."""
    office = make_office(tmp_path)
    assert office.run().exit_code == 11
    office.approve("ana", "bo")
    approved = tmp_path / "approved"
    shutil.copytree(office.pending / "approvals", approved)
    store = office.store.read_bytes()
    published: dict[str, bytes] = {}
    for turn in range(TURNS):
        if turn and not laid:
            shutil.rmtree(office.out)
        found = both(office)
        assert {code for code, _ in found} <= {0, 30}, found
        assert found[0][0] == 0, found
        assert all("under way" in text for code, text in found if code == 30), found
        assert not office.pending.exists()
        assert not left_behind(office)
        judged = verifier.verify(office.out, office.root.read_bytes(), fresh=True)
        assert (judged.failures, judged.approved_by) == ((), ("ana", "bo"))
        files = contents(office.out)
        assert published.setdefault("ledger", files["ledger.dsse.json"]) == files["ledger.dsse.json"]
        with Accountant.open(office.store) as accountant:
            told = [parse(line).kind for line in accountant.story("first").after]
        assert told == ["approve", "approve", "release"]
    assert store != office.store.read_bytes()


def test_the_first_run_of_a_release_twice_at_once(tmp_path: Path) -> None:
    """One measures; the other is told to wait, or comes after it. What waits for approval is one whole folder."""
    office = make_office(tmp_path)
    found = both(office)
    assert {code for code, _ in found} <= {11, 30}, found
    assert found[0][0] == 11, found
    assert verifier.verify(office.pending).ok
    assert not left_behind(office)
    with Accountant.open(office.store) as accountant:
        kinds = [parse(line).kind for line in accountant.history("people")]
    assert (kinds.count("reserve"), kinds.count("settle"), kinds.count("lost")) == (1, 1, 0)
    office.approve("ana", "bo")
    assert office.run().exit_code == 0
