"""Runs of a governed release that end badly at a chosen point, and the books that they leave behind.

``python -m tests.release.crash FOLDER kill|full POINT...`` forks a child for each run and prints one JSON object. It is
a process of its own so that it can fork without threads. At a point the child kills itself (SIGKILL), or finds its disk
full: from then on the kernel answers every write to a file with ENOSPC (a seccomp filter), also those of SQLite's and
Arrow's own code. What is drawn is witnessed on the child's standard output, which its parent keeps.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import shutil
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jinja2
import matplotlib.figure

from dpsynth.accountant import Accountant, Reservation
from dpsynth.cli.output import failure
from dpsynth.curator import curator as curator_room
from dpsynth.ledger import parse
from dpsynth.noise import RoundedGaussianNoise
from dpsynth.privacy import gaussian_cost
from dpsynth.release import folder as folder_room
from dpsynth.release import publish as publish_room
from dpsynth.release import run_file
from tests.desk import Desk, Office, make_office

POINTS = (
    "reserve", "reserved", "marked", "read", "draw", "drawn", "noised", "stored", "settled", "written", "laid",
    "approved", "released", "stated",
)  # fmt: skip
"""Where a run ends, in the order of its steps.

Before and after the reservation; the release marked, so that the table may be opened; the table read; before the second
answer is paid for, after that, after its noise, after it is kept;
settled; the folder written and signed, laid under ``pending/``; the first approval in the log, the release in the log,
the status written and the folder not yet in its place.
"""
LOST = ("drawn", "noised")
"""Ending there, an answer is paid for and gone: the reserve does not cover asking again."""
APPROVED = POINTS[11:]
"""Only reached once the officers have approved."""
CAPS = ("people", "office")
IMPORTED = (jinja2, matplotlib.figure)
"""What takes each run long to import; it starts no thread."""


def run(office: Office, at: Callable[[str], None]) -> int:
    """The run, with ``at`` called at each point that it reaches; its exit code."""
    counts: dict[str, int] = {}

    def around(function: Callable[..., Any], before: str = "", after: str = "", number: int = 1) -> Callable[..., Any]:
        name = before or after

        def call(*arguments: Any, **options: Any) -> Any:
            counts[name] = counts.get(name, 0) + 1
            due = counts[name] == number
            if due and before:
                at(before)
            result = function(*arguments, **options)
            if due and after:
                at(after)
            return result

        return call

    def decided(accountant: Accountant, release: str, kind: str, fields: Any) -> None:
        decide(accountant, release, kind, fields)  # type: ignore[arg-type]
        at({"approve": "approved", "release": "released"}.get(kind, ""))

    def noisy(noise: RoundedGaussianNoise, counts: Any, scale: Fraction) -> Any:
        found = drawn(noise, counts, scale)
        os.write(1, f"{gaussian_cost('gdp', 1, scale).amount}\n".encode())
        return found

    decide, drawn = Accountant.decide, RoundedGaussianNoise.noisy
    try:
        with ExitStack() as patched:
            for patching in (
                patch.object(Accountant, "reserve", around(Accountant.reserve, "reserve", "reserved")),
                patch.object(Reservation, "open", around(Reservation.open, "", "marked")),
                patch.object(curator_room, "open_table", around(curator_room.open_table, "", "read")),
                patch.object(Reservation, "draw", around(Reservation.draw, "draw", "drawn", 2)),
                patch.object(Reservation, "store", around(Reservation.store, "noised", "stored", 2)),
                patch.object(Reservation, "settle", around(Reservation.settle, "", "settled")),
                patch.object(folder_room, "sign_ledger", around(folder_room.sign_ledger, "", "written")),
                patch.object(publish_room, "save", around(publish_room.save, "", "laid")),
                patch.object(publish_room, "issue", around(publish_room.issue, "", "stated")),
                patch.object(Accountant, "decide", decided),
                patch.object(RoundedGaussianNoise, "noisy", noisy),
            ):
                patched.enter_context(patching)
            run_file(office.release(), office.out)
    except BaseException as error:
        code, text = failure(error)
        os.write(2, f"{text}\n".encode())
        return code
    return 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    """From here on every write of this process to a file fails with ENOSPC; standard output and error go on.

    A seccomp filter (classic BPF over struct seccomp_data: the number of the call at 0, its first argument at 16).
    """
    calls = {"x86_64": (1, 18, 20, 285, 296, 328), "aarch64": (64, 68, 66, 47, 70, 287)}[platform.machine()]
    allow, refuse = 0x7FFF0000, 0x00050000 | errno.ENOSPC
    program = [(0x20, 0, 0, 0)]
    program += [(0x15, len(calls) - place, 0, number) for place, number in enumerate(calls)]
    program += [(0x06, 0, 0, allow), (0x20, 0, 0, 16), (0x35, 1, 0, 3), (0x06, 0, 0, allow), (0x06, 0, 0, refuse)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, number = 38, {"x86_64": 317, "aarch64": 277}[platform.machine()]
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.syscall(number, 1, 1, header):
        raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")


@dataclass
class Trial:
    """One release in a folder of its own: its runs, and what must be true after each."""

    office: Office
    lines: dict[str, list[bytes]] = field(default_factory=dict)

    @property
    def witness(self) -> Path:
        return self.office.folder / "witness"

    def child(self, fatal: str = "", act: Callable[[], None] = die) -> int:
        """A run that meets ``act`` at the point ``fatal``; its exit code, or less than 0 for a signal."""
        process = os.fork()
        if process == 0:
            code = 99
            try:
                for descriptor, name in ((1, "witness"), (2, "errors")):
                    path = self.office.folder / name
                    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
                code = run(self.office, lambda point: act() if point == fatal else None)
            finally:
                os._exit(code)
        found = os.waitpid(process, 0)[1]
        self.judge()
        return os.waitstatus_to_exitcode(found)

    def judge(self) -> None:
        """I1 to I4: what was drawn is charged, every cap holds, one vector a charge at most, and the log only grew."""
        with Accountant.open(self.office.store) as accountant:
            for account in accountant.path("people"):
                lines = list(accountant.history(account.name))
                before = self.lines.setdefault(account.name, [])
                assert lines[: len(before)] == before
                self.lines[account.name] = lines
                assert account.held.amount <= account.cap.amount
            entries = [parse(line) for line in self.lines["people"]]
            reserved = [Fraction(entry.fields["reserved"]["mu2"]) for entry in entries if entry.kind == "reserve"]
            held = [account.held.amount for account in accountant.path("people")]
            assert held == [sum(reserved, Fraction(0))] * len(CAPS)
        charged = {entry.seq: Fraction(entry.fields["cost"]["mu2"]) for entry in entries if entry.kind == "measure"}
        drawn = [Fraction(line) for line in self.witness.read_text().split()] if self.witness.exists() else []
        assert len(drawn) <= len(charged)
        assert sum(drawn, Fraction(0)) <= sum(charged.values(), Fraction(0)) <= sum(reserved, Fraction(0))
        ended = [seq for entry in entries if entry.kind in ("stored", "lost") for seq in entry.fields["of"]]
        assert len(ended) == len(set(ended))
        assert set(ended) <= set(charged)

    def state(self) -> str:
        with Accountant.open(self.office.store) as accountant:
            return accountant.states()["first"][1]

    def files(self) -> dict[str, bytes]:
        out = self.office.out
        return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def errors(self) -> str:
        return (self.office.folder / "errors").read_text()


def ends_badly(trial: Trial, point: str, act: Callable[[], None]) -> dict[str, Any]:
    """A run that ends badly at a point, and the runs after it; what they came to."""
    office = trial.office
    if point in APPROVED:
        assert trial.child() == 11, trial.errors()
        office.approve("ana", "bo")
    first = trial.child(point, act)
    again = trial.child()
    if point in LOST:
        assert again == 10, trial.errors()
        assert "lost" in trial.errors()
        assert trial.child() == 10  # and so for ever: nothing is drawn a second time
        assert trial.state() == "LOST"
        return {"first": first, "again": again}
    if point not in APPROVED:
        assert again == 11, trial.errors()
        assert not office.out.exists()
        office.approve("ana", "bo")
        again = trial.child()
    assert again == 0, trial.errors()
    assert trial.state() == "RELEASED"
    published = trial.files()
    assert {"status.dsse.json", "ledger.dsse.json", "data.parquet"} < set(published)
    assert len([name for name in published if name.startswith("approvals/")]) == 2
    assert not office.pending.exists()
    lines = dict(trial.lines)
    assert trial.child() == 0  # I5: the same again gives the same bytes and costs nothing
    assert (trial.files(), trial.lines) == (published, lines)
    return {"first": first, "again": again}


def prepared(folder: Path) -> Path:
    """A folder with everything that a run needs, to be copied."""
    folder.mkdir()
    make_office(folder)
    return folder


def main() -> None:
    """What the module says."""
    place, mode, points = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    model = prepared(place / "prepared")
    found: dict[str, list[Any]] = {}
    for number, point in enumerate(points):
        here = place / str(number)
        shutil.copytree(model, here)
        anchors = here / "anchors"  # of a store that is copied, so not those of the others
        os.environ["DPSYNTH_ANCHORS"] = str(anchors)
        trial = Trial(Office(Desk(here)))
        found.setdefault(point, []).append(ends_badly(trial, point, {"kill": die, "full": fill_the_disk}[mode]))
        shutil.rmtree(here)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
