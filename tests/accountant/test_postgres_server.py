"""The server of the tests goes with the process that started it, also if that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.accountant.postgres_server import Server

ROOT = Path(__file__).parents[2]
STARTED = """
import time
from tests.accountant.postgres_server import Server
server = Server().start()
print(server._process.pid, server.folder, flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int, folder: Path) -> None:
    for _ in range(600):
        if not is_alive(pid) and not folder.exists():
            return
        time.sleep(0.1)
    raise TimeoutError(f"process {pid} or {folder} stays")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(how: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTED], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, folder = parent.stdout.readline().split()
    assert is_alive(int(pid))
    parent.send_signal(how)
    parent.communicate(timeout=60)
    wait_until_gone(int(pid), Path(folder))


def test_closing_removes_it() -> None:
    server = Server().start()
    assert server._process is not None
    pid, folder = server._process.pid, server.folder
    server.close()
    assert not folder.exists()
    assert not is_alive(pid)
    server.close()
