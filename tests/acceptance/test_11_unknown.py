"""11. What the verifier does not know counts as infinite, and what a ledger names is never imported or run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpsynth import verifier
from dpsynth.ledger import canonical
from tests.acceptance.kit import document, forge
from tests.desk import Office, call

HOOKED = """
import sys
from dpsynth import trust, verifier
verifier.verify({first!r})
events = []
WATCHED = ("import", "exec", "compile", "subprocess", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork",
           "socket", "ctypes", "marshal", "pickle")
sys.addaudithook(lambda event, arguments: events.append(event) if event.startswith(WATCHED) else None)
code = verifier.verify({folder!r}).exit_code
print(code, events)
"""


def entry(said: dict[str, Any], kind: str, change: Callable[[dict[str, Any]], object]) -> None:
    lines = said["predicate"]["entries"]
    place = next(number for number, line in enumerate(lines) if json.loads(line)["kind"] == kind)
    value = json.loads(lines[place])
    change(value)
    lines[place] = canonical(value).decode()


def super_gaussian(said: dict[str, Any]) -> None:
    entry(said, "measure", lambda value: value["mechanism"].update(type="super_gaussian"))


def another_kind(said: dict[str, Any]) -> None:
    entry(said, "stored", lambda value: value.update(kind="gift"))


def another_line(said: dict[str, Any]) -> None:
    lines = said["predicate"]["entries"]
    lines.append(canonical({**json.loads(lines[-1]), "kind": "refund", "seq": 10**6}).decode())


def a_module(said: dict[str, Any]) -> None:
    entry(said, "measure", lambda value: value.update(mechanism={"type": "os.system", "module": "antigravity"}))


@pytest.mark.parametrize("change", [super_gaussian, another_kind, another_line, a_module])
def test_it_is_infinite(waiting: Office, change: Callable[[dict[str, Any]], None]) -> None:
    forge(waiting.pending / "ledger.dsse.json", waiting.signer("key"), change)
    called = call("verify", waiting.pending, "--json")
    assert called.exit_code == 23
    assert document(called.stdout)["epsilon"] == "infinity"
    assert call("approve", waiting.pending, "--key", waiting.key("ana")).exit_code == 23


def test_nothing_that_it_names_is_run(waiting: Office, tmp_path: Path) -> None:
    import shutil

    whole = tmp_path / "whole"
    shutil.copytree(waiting.pending, whole)
    forge(waiting.pending / "ledger.dsse.json", waiting.signer("key"), a_module)
    program = HOOKED.format(first=str(whole), folder=str(waiting.pending))
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == ("23 []", "")
    assert verifier.verify(whole).ok
