"""Kills processes that use a store: ``python -m tests.accountant.crash MODE FOLDER``. Prints one JSON object.

It runs in a process of its own so that it can fork without threads. Each child tells, by appending to a file, what it
has been given: only that may count as seen by anybody, and each of it must be on the disk after the kill.

- ``making``: the child is killed before each statement, link and unlink while it makes a store.
- ``statements``: killed before each SQL statement of a release, from reserving to settling, and before and after each
  move of the log's anchor.
- ``anywhere``: killed from outside after ever longer times, also in the middle of a commit.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from dpsynth.accountant import Accountant, sqlite
from dpsynth.errors import BudgetRefused
from dpsynth.ledger import parse
from dpsynth.privacy import Cost, ceil_to_grid
from tests.accountant.store_contract import CAP, TENTH, charge, open_people, reserve

VERBS = 2
TURNS = 16
STEPS = ("BEGIN", "CREATE TABLE", "INSERT", "COMMIT")
"""Killed before one of these. Between them nothing is written."""


class Diary:
    """What the child was given, in the order it came."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "diary"

    def note(self, what: str, *values: Any) -> None:
        handle = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(handle, json.dumps([what, *values]).encode() + b"\n")
        os.close(handle)

    def __iter__(self) -> Iterator[list[Any]]:
        text = self.path.read_text() if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # the child may be in the middle of a line
        return iter([json.loads(line) for line in whole.splitlines()])


def open_store(folder: Path) -> Accountant:
    return Accountant.open(folder / "accounts.db", create=True, anchors=folder / "anchors")


def use(folder: Path, diary: Diary, release: str = "r1", cost: Cost = TENTH, verbs: int = VERBS) -> None:
    """A whole release: what was answered before is taken as it is, the rest is drawn."""
    with open_store(folder) as accountant:
        reservation = reserve(accountant, release, cost)
        diary.note("reserved", release)
        kept = [answer for answer in reservation.answers() if answer.answer is not None]
        try:
            for _ in range(verbs - len(kept)):
                seqs = reservation.draw([charge(cost.amount / (4 * verbs))] * 2)
                diary.note("drawn", release, seqs)
                answer = os.urandom(20_000)
                reservation.store(seqs, answer)
                diary.note("shown", release, seqs, sha256(answer).hexdigest())
        except BudgetRefused:
            diary.note("refused", release)
        reservation.settle()
        diary.note("settled", release)


def judge(folder: Path, diary: Diary) -> None:
    """I1 to I4: nothing was seen that is not charged, the cap holds, one answer a charge, the log only grew."""
    with open_store(folder) as accountant:
        account = accountant.account("people")
        entries = [parse(line) for line in accountant.history("people")]
        assert [entry.seq for entry in entries] == list(range(len(entries)))
        charged = {entry.seq: entry.fields["cost"]["mu2"] for entry in entries if entry.kind == "measure"}
        reserved = {e.fields["release"]: Fraction(e.fields["reserved"]["mu2"]) for e in entries if e.kind == "reserve"}
        assert account.held.amount == sum(reserved.values()) <= CAP.cost().amount
        ended = [seq for e in entries if e.kind in ("stored", "lost") for seq in e.fields["of"]]
        assert len(ended) == len(set(ended))
        answers = {}
        for release, rho in reserved.items():  # take each handle as a resuming run does: what hangs is lost now
            reservation = reserve(accountant, release, Cost("gdp", rho))
            assert reservation.left.amount >= 0
            answers |= {answer.seqs: answer.answer for answer in reservation.answers()}
        assert sorted(seq for seqs in answers for seq in seqs) == sorted(charged)
        for what, release, *values in diary:
            assert release in reserved
            if what == "drawn":
                assert set(values[0]) <= set(charged)
            elif what == "shown":
                answer = answers[tuple(values[0])]
                assert answer is not None
                assert sha256(answer).hexdigest() == values[1]
            elif what == "settled":
                assert any(entry.kind == "settle" and entry.fields["release"] == release for entry in entries)


def run_child(act: Callable[[], None], until: Callable[[], None] | None = None) -> bool:
    """Fork a child that does ``act``, killed once ``until`` returns; whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if until is not None:
        until()
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def kill_at(place: int) -> None:
    """From here on, SIGKILL this process at the ``place``-th step: an SQL statement, a link, a rename or an unlink."""
    left = count(place, -1)

    def step(*_: object) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    connect, link, unlink, replace = sqlite._connect, os.link, Path.unlink, Path.replace

    def traced(path: Path, wait: float) -> sqlite3.Connection:
        connection = connect(path, wait)
        connection.set_trace_callback(lambda sql: step() if sql.lstrip().startswith(STEPS) else None)
        return connection

    def stepped(function: Callable[..., None]) -> Callable[..., None]:
        def wrapper(*arguments: Any) -> None:
            step()
            function(*arguments)
            step()

        return wrapper

    sqlite._connect = traced
    sqlite.os.link = stepped(link)  # type: ignore[attr-defined]
    Path.unlink = stepped(unlink)  # type: ignore[assignment, method-assign]
    Path.replace = stepped(replace)  # type: ignore[assignment, method-assign]


def making(folder: Path) -> dict[str, int]:
    """Killed while it makes a store: there is none, or a whole one, and the next process has no trouble."""
    absent = whole = 0
    for place in count(1):
        here = folder / str(place)
        here.mkdir()

        def act(here: Path = here, place: int = place) -> None:
            kill_at(place)
            open_store(here).close()

        killed = run_child(act)
        if (here / "accounts.db").exists():
            whole += 1
        else:
            absent += 1
        with open_store(here) as accountant:
            open_people(accountant)
        assert (here / "accounts.db").stat().st_mode & 0o777 == 0o600
        if not killed:
            return {"absent": absent, "whole": whole}


def statements(folder: Path) -> dict[str, int]:
    """Killed before each statement of a release; afterwards the same run ends it."""
    prepared = folder / "prepared"
    prepared.mkdir()
    with open_store(prepared) as accountant:
        open_people(accountant)
    lost = 0
    for place in count(1):
        here = folder / str(place)
        shutil.copytree(prepared, here)
        diary = Diary(here)

        def act(here: Path = here, diary: Diary = diary, place: int = place) -> None:
            kill_at(place)
            use(here, diary)

        killed = run_child(act)
        judge(here, diary)
        use(here, diary)
        with open_store(here) as accountant:
            answers = reserve(accountant, "r1", TENTH).answers()
            lost += sum(1 for answer in answers if answer.answer is None)
            assert sum(1 for answer in answers if answer.answer is not None) == VERBS
            assert accountant.account("people").held == TENTH
        if not killed:
            return {"kills": place - 1, "lost": lost}


def anywhere(folder: Path) -> dict[str, int]:
    """Killed at no particular place, again and again, on one store: a release each time, asking without end."""
    with open_store(folder) as accountant:
        open_people(accountant)
    diary = Diary(folder)
    journals = 0
    cost = Cost("gdp", ceil_to_grid(TENTH.amount / TURNS))
    for turn in range(TURNS):
        release = f"r{turn}"

        def act(release: str = release) -> None:
            use(folder, diary, release, cost, verbs=10**6)

        def until(release: str = release, turn: int = turn) -> None:
            while sum(1 for what, by, *_ in diary if by == release and what == "shown") < turn // 4:
                time.sleep(0.001)
            time.sleep(turn % 4 * 0.002)

        assert run_child(act, until)
        journals += (folder / "accounts.db-journal").exists()
        judge(folder, diary)
    return {"kills": TURNS, "journals": journals, "shown": sum(1 for what, *_ in diary if what == "shown")}


if __name__ == "__main__":
    print(
        json.dumps({"making": making, "statements": statements, "anywhere": anywhere}[sys.argv[1]](Path(sys.argv[2])))
    )
