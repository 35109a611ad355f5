"""A run that dies at any step: recorded spend is never below true spend, stored answers come back, and one charge
reveals at most one noise vector."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dpsynth.curator import curator as room
from dpsynth.errors import BudgetRefused, DpsynthError, StoreBusy
from tests.curator.bench import RHO, Desk, quick_folder
from tests.gate.crash import STEPS, Witness, plain, run

ROOT = Path(__file__).parents[2]
LOST = STEPS[STEPS.index("after draw") : STEPS.index("after store")]
"""Dying there, the answer is paid for and lost."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


class Died(BaseException):
    """Nothing in the engine catches it, as nothing catches a kill."""


def dying_at(fatal: str, error: type[BaseException] = Died) -> Callable[[str], None]:
    def at(name: str) -> None:
        if name == fatal:
            raise error(fatal)

    return at


def nothing(_: str) -> None:
    """Let the run live."""


def check_books(desk: Desk, folder: Path) -> None:
    """What is charged covers what was drawn, and no charge has shown two answers."""
    drawn, charged = Witness(folder).drawn(), desk.charged()
    assert sum(drawn, Fraction(0)) <= desk.spent()
    assert len(drawn) <= sum(line["mechanism"].get("picks", 1) for line in charged)
    seen = defaultdict(set)
    for entry, value in Witness(folder).seen():
        seen[entry].add(str(value))
    assert set(seen) <= {line["seq"] for line in charged}
    assert all(len(values) == 1 for values in seen.values())


def check_resumed(desk: Desk, folder: Path, fatal: str, victim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The release goes on to its end, and then gives all of it back without asking anything."""
    before = Witness(folder).seen()
    answers = [plain(answer) for answer in run(folder, nothing, victim)]
    check_books(desk, folder)
    assert answers[: len(before)] == before
    kinds = [line["kind"] for line in desk.lines()]
    assert (kinds.count("lost"), kinds.count("stored")) == (fatal in LOST, 3)
    paid = RHO * (Fraction(3, 4) if fatal in LOST else Fraction(1, 2))
    assert paid * Fraction(999_999, 1_000_000) < desk.spent() <= paid

    drawn = Witness(folder).drawn()
    monkeypatch.setattr(room, "open_table", lambda *_: pytest.fail("the table was opened"))
    assert [plain(answer) for answer in run(folder, nothing, victim)] == answers
    assert Witness(folder).drawn() == drawn
    check_books(desk, folder)


@pytest.mark.parametrize(
    ("fatal", "victim"), [*((step, "marginals") for step in STEPS), *((step, "select") for step in STEPS[3:9:2])]
)
def test_death(folder: Path, fatal: str, victim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(folder)
    with pytest.raises(Died):
        run(folder, dying_at(fatal), victim)
    check_books(desk, folder)
    assert len(desk.charged()) == (1 if fatal == "before draw" else 3 if victim == "marginals" else 2)
    check_resumed(desk, folder, fatal, victim, monkeypatch)


@pytest.mark.parametrize("fatal", STEPS[::2])
def test_an_error(folder: Path, fatal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(folder)
    with pytest.raises((DpsynthError, ValueError)):
        run(folder, dying_at(fatal, ValueError))
    check_books(desk, folder)
    check_resumed(desk, folder, fatal, "marginals", monkeypatch)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("fatal", ["after draw", "after noise", "after store"])
def test_a_real_kill(folder: Path, fatal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(folder)
    command = [sys.executable, "-m", "tests.gate.crash", str(folder), fatal]
    died = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    check_books(desk, folder)
    check_resumed(desk, folder, fatal, "marginals", monkeypatch)


def test_losses_stay_charged_until_the_reserve_is_used_up(folder: Path) -> None:
    desk = Desk(folder)
    for _ in range(3):
        with pytest.raises(Died):
            run(folder, dying_at("after noise"))
    drawn = Witness(folder).drawn()
    with pytest.raises(BudgetRefused, match=r"3 answer\(s\) of it were lost .* start a new release under another id"):
        run(folder, nothing)
    assert Witness(folder).drawn() == drawn
    check_books(desk, folder)
    assert len(desk.charged()) == 7


def test_a_second_run_does_not_disturb_the_first(folder: Path) -> None:
    desk = Desk(folder)
    refused = []

    def meanwhile(name: str) -> None:
        with pytest.raises(StoreBusy, match="another run of release 'r' is under way"):
            run(folder, nothing)
        refused.append(name)

    assert len(run(folder, meanwhile)) == 4
    assert set(STEPS) == set(refused)
    check_books(desk, folder)
    assert [line["kind"] for line in desk.lines()].count("lost") == 0


def test_a_run_that_was_taken_over_shows_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system keeps no locks."""
    desk = Desk(folder)
    monkeypatch.setattr("dpsynth.accountant.locks.fcntl", None)

    def meanwhile(name: str) -> None:
        if name == "before store":
            with desk.open() as accountant:
                desk.reserve(accountant)

    with pytest.raises(StoreBusy):
        run(folder, meanwhile)
    check_books(desk, folder)
    assert len(Witness(folder).seen()) == 1
    assert [line["kind"] for line in desk.lines()].count("lost") == 1


def test_a_release_resumed_with_other_questions(folder: Path) -> None:
    desk = Desk(folder)
    with pytest.raises(Died):
        run(folder, dying_at("after store"))
    before: list[Any] = desk.charged()
    with pytest.raises(DpsynthError, match="was begun with other questions than are asked now"):
        run(folder, nothing, "select")
    assert desk.charged() == before
