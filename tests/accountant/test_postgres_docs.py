"""What docs/postgres.md says to do works as it stands there: roles, the store, backups, and what anchors are for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpsynth.accountant import Accountant
from dpsynth.errors import LogInconsistent

pytest.register_assert_rewrite("tests.accountant.store_contract")
from tests.accountant.postgres_server import (  # noqa: E402
    APP,
    OWNER,
    PASSWORDS,
    PORT,
    Server,
    documented,
    prepare,
    url,
)
from tests.accountant.store_contract import TENTH, open_people, reserve  # noqa: E402


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of its own: a dump takes all of a database, and on the shared one other tests leave tables behind."""
    server = Server()
    try:
        prepare(server)
        monkeypatch.setenv(PORT, str(server.port))
        yield server
    finally:
        server.close()


def shell(commands: str, folder: Path, old: Server, new: Server | None = None) -> str:
    """Do the documented commands; the passwords are in a file, as it says."""
    hosts = {"db.example.org": old, "new.example.org": new}
    for host, server in hosts.items():
        if server is not None:
            commands = commands.replace(host, f"127.0.0.1:{server.port}")
    secrets = folder / "pgpass"
    escaped = {role: password.replace("\\", "\\\\").replace(":", "\\:") for role, password in PASSWORDS.items()}
    secrets.write_text("".join(f"127.0.0.1:*:accounts:{role}:{text}\n" for role, text in escaped.items()))
    secrets.chmod(0o600)
    path = os.pathsep.join([str(old.programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env={**os.environ, "PATH": path, "PGPASSFILE": str(secrets)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert not any(password in run.stdout + run.stderr for password in PASSWORDS.values())
    return run.stdout


def test_the_documented_way(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shell(documented("The store", "sh")[0], tmp_path, postgres)
    assert all(word in shown for word in ("births", "deaths"))
    dump, restore = documented("Backups", "sh")
    anchors = tmp_path / "anchors"
    with Accountant.open(url(APP), anchors=anchors) as accountant:
        open_people(accountant)
        reserve(accountant, "before").close()
        origin, before = accountant.origin, accountant.accounts()
    shell(dump, tmp_path, postgres)
    with Accountant.open(url(APP), anchors=anchors) as accountant:
        reserve(accountant, "after").close()
        size = len(accountant.history("people"))

    with Server() as other:
        prepare(other)
        shell(restore, tmp_path, postgres, other)
        monkeypatch.setenv(PORT, str(other.port))
        with Accountant.open(url(APP), anchors=anchors) as accountant:
            assert (accountant.origin, accountant.accounts()) == (origin, before)
            with pytest.raises(LogInconsistent, match="anchored at size 5") as caught:
                reserve(accountant, "again")
            assert caught.value.exit_code == 24
            assert len(accountant.history("people")) == size - 1
        with Accountant.open(url(APP), anchors=tmp_path / "of a machine that never saw it") as accountant:
            assert reserve(accountant, "again").held_after == TENTH + TENTH


def test_a_person_s_own_role(postgres: Server, tmp_path: Path) -> None:
    Accountant.open(url(OWNER, schema="persons", app=APP), create=True).close()
    postgres.sql(f"CREATE ROLE alice LOGIN PASSWORD 'alice' IN ROLE {APP}")
    address = f"postgresql://alice:alice@127.0.0.1:{postgres.port}/accounts?schema=persons"
    with Accountant.open(address) as accountant:
        open_people(accountant)
        reserve(accountant).settle()
