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
from dpsynth.curator import failures
from dpsynth.errors import BudgetRefused, ConfigurationError, DpsynthError, StoreBusy
from tests.curator.bench import RHO, Desk, quick_folder
from tests.gate.crash import HALF, STEPS, Witness, plain, run

ROOT = Path(__file__).parents[2]
LOST = STEPS[STEPS.index("after draw") : STEPS.index("after store")]
"""Dying there, the answer is paid for and lost."""
READING = STEPS[STEPS.index("before opening") : STEPS.index("before draw")]
COUNTING = STEPS[STEPS.index("after count") : STEPS.index("before store")]
"""What is raised there goes through the words of the gate."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


class Died(SystemExit):
    """The engine lets it pass without a word, as it would any request to stop; it stands for a kill."""


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


def check_resumed(
    desk: Desk, folder: Path, fatal: str, victim: str, monkeypatch: pytest.MonkeyPatch, share: Fraction = HALF
) -> None:
    """The release goes on to its end, and then gives all of it back without asking anything."""
    before = Witness(folder).seen()
    if share == 1 and fatal in LOST:
        return check_refused(desk, folder, victim)
    answers = [plain(answer) for answer in run(folder, nothing, victim, share)]
    check_books(desk, folder)
    assert answers[: len(before)] == before
    kinds = [line["kind"] for line in desk.lines()]
    assert (kinds.count("lost"), kinds.count("stored")) == (fatal in LOST, 3)
    paid = RHO * share * (Fraction(3, 2) if fatal in LOST else 1)
    assert paid * Fraction(999_999, 1_000_000) < desk.spent() <= paid

    drawn = Witness(folder).drawn()
    monkeypatch.setattr(room, "open_table", lambda *_: pytest.fail("the table was opened"))
    assert [plain(answer) for answer in run(folder, nothing, victim, share)] == answers
    assert Witness(folder).drawn() == drawn
    check_books(desk, folder)


def check_refused(desk: Desk, folder: Path, victim: str) -> None:
    """The reserve does not cover asking again: the run says so, however often, and draws and charges nothing."""
    drawn, seen, spent = Witness(folder).drawn(), Witness(folder).seen(), desk.spent()
    for _ in range(2):
        with pytest.raises(BudgetRefused, match=r"1 answer\(s\) of it were lost .* does not cover asking again: start"):
            run(folder, nothing, victim, Fraction(1))
        check_books(desk, folder)
    assert (Witness(folder).drawn(), desk.spent()) == (drawn, spent)
    assert {str(value) for _, value in Witness(folder).seen()} == {str(value) for _, value in seen}
    assert [line["kind"] for line in desk.lines()].count("lost") == 1


@pytest.mark.parametrize("share", [HALF, Fraction(1)], ids=["half", "whole"])
@pytest.mark.parametrize(
    ("fatal", "victim"),
    [
        *((step, "marginals") for step in STEPS),
        *((step, "select") for step in STEPS[3:11:2]),
        *((step, "scores") for step in STEPS[:11:2]),
    ],
)
def test_death(folder: Path, fatal: str, victim: str, share: Fraction, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(folder)
    with pytest.raises(Died):
        run(folder, dying_at(fatal), victim, share)
    check_books(desk, folder)
    unpaid = STEPS.index(fatal) <= STEPS.index("before draw")
    assert len(desk.charged()) == (1 if unpaid else 3 if victim == "marginals" else 2)
    check_resumed(desk, folder, fatal, victim, monkeypatch, share)


@pytest.mark.parametrize("fatal", STEPS[::2])
def test_an_error(folder: Path, fatal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(folder)
    with pytest.raises((DpsynthError, ValueError)) as caught:
        run(folder, dying_at(fatal, ValueError))
    assert (failures.LOST in str(caught.value)) == (fatal in COUNTING)
    assert (failures.UNREAD in str(caught.value)) == (fatal in READING)
    check_books(desk, folder)
    check_resumed(desk, folder, fatal, "marginals", monkeypatch)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(
    ("fatal", "share"),
    [("after draw", HALF), ("after noise", HALF), ("after store", HALF), ("after noise", Fraction(1))],
)
def test_a_real_kill(folder: Path, fatal: str, share: Fraction, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(folder)
    died = child(folder, fatal, "SIGKILL", share)
    assert died.wait(60) == -signal.SIGKILL, died.communicate()[1]
    check_books(desk, folder)
    check_resumed(desk, folder, fatal, "marginals", monkeypatch, share)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_while_rows_are_kept_beside_memory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No private file is left, and the run goes on, though it has reserved no more than what it asks for once."""
    desk = Desk(folder)
    words = [sys.executable, "-m", "tests.gate.streams", str(folder)]
    died = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, timeout=120
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert list(tmp_path.iterdir()) == []
    check_books(desk, folder)
    assert desk.charged() == []
    check_resumed(desk, folder, "before draw", "marginals", monkeypatch, Fraction(1))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
@pytest.mark.parametrize(
    ("name", "slow"),
    [("SIGTERM", "after draw"), ("SIGINT", "after count"), ("SIGTERM", "before noise"), ("SIGHUP", "after noise")],
)
def test_a_polite_interruption_loses_nothing(
    folder: Path, name: str, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that has reserved exactly what it asks for: with one answer lost it could never be finished."""
    desk, share = Desk(folder), Fraction(1)
    with child(folder, slow, name, share) as run_:
        assert run_.stdout is not None
        assert run_.stdout.readline() == "slow\n"
        kinds = [line["kind"] for line in desk.lines()]
        assert kinds.count("measure") == 3, "the second verb is paid for"
        assert kinds.count("stored") == 1, "and not stored"
        run_.send_signal(signal.Signals[name])
        assert run_.wait(60) == -signal.Signals[name]
    kinds = [line["kind"] for line in desk.lines()]
    assert (kinds.count("measure"), kinds.count("stored"), kinds.count("lost")) == (3, 2, 0)
    check_resumed(desk, folder, "after store", "marginals", monkeypatch, share)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
@pytest.mark.parametrize("slow", ["after marking", "before opening", "after opening"])
def test_what_ends_a_run_while_it_reads_takes_effect_at_once_and_costs_nothing(
    folder: Path, name: str, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, share = Desk(folder), Fraction(1)
    with child(folder, slow, "SIGTERM", share) as run_:
        assert run_.stdout is not None
        assert run_.stdout.readline() == "slow\n"
        run_.send_signal(signal.Signals[name])
        assert run_.wait(60) == -signal.Signals[name]
    kinds = [line["kind"] for line in desk.lines()]
    assert (kinds.count("measure"), kinds.count("stored")) == (1, 1)
    check_resumed(desk, folder, "before draw", "marginals", monkeypatch, share)


def test_a_release_that_was_killed_while_it_first_read_is_not_given_back(folder: Path) -> None:
    """Why it could not be read may depend on its rows."""
    desk = Desk(folder)
    with pytest.raises(Died):
        run(folder, dying_at("after opening"), first=True)
    assert desk.charged() == []
    with (
        desk.open() as accountant,
        pytest.raises(ConfigurationError, match=r"'r' is DRAWING: .* stays charged for ever"),
    ):
        accountant.void("r")
    assert len(run(folder, nothing)) == 4
    check_books(desk, folder)


def child(folder: Path, step: str, name: str, share: Fraction) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.gate.crash", str(folder), step, name, str(share)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


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
    with pytest.raises(DpsynthError, match="was begun with other questions than are asked now"):
        run(folder, nothing, "scores")
    assert desk.charged() == before
