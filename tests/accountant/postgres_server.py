"""A PostgreSQL server of one's own: a cluster in a temporary folder, on a free port of 127.0.0.1, gone at the end.

``postgres`` is the fixture: one server for all tests of a process, with the roles and the database that
docs/postgres.md sets up. It is found by processes that a test starts through the environment (:func:`url`).

As a script it prints the two addresses of a store, keeps the server until its input ends, and then removes it; its
cluster is on the disk, so that it can be measured::

    python -m tests.accountant.postgres_server
"""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "postgres.md"
OWNER, APP, ADMIN = "dpsynth_owner", "dpsynth_app", "admin"
DATABASE = "accounts"
PASSWORDS = {role: f"{role}:pass/word%@?#" for role in (OWNER, APP, ADMIN)}
"""Nobody else reaches the server; the odd signs show where a password is not quoted, or not hidden."""
PORT = "DPSYNTH_TEST_POSTGRES_PORT"
MEMORY = Path("/dev/shm")
"""Where a cluster lies that nobody measures: a commit is as durable as ever for the server, and waits for no disk."""
_GUARD = """read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && ps -o args= -p "$pid" | grep -qF "$1"; then
    kill -QUIT "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
fi
rm -rf "$1"
"""
"""Waits until nobody holds the other end of its input any more, be it that they were killed; then cleans up."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "log_statement": "all",
}


def binaries() -> Path:
    """The folder of the newest server programs on this machine; skips only where they cannot be installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    elsewhere = shutil.which("initdb")
    if found:
        return found[-1].parent
    if elsewhere:
        return Path(elsewhere).resolve().parent
    if shutil.which("apt-get"):
        pytest.fail("PostgreSQL is missing and can be installed: apt-get install postgresql (.ci/run does it)")
    pytest.skip("PostgreSQL is missing and there is no apt-get to install it")


def quoted(text: str) -> str:
    """Text as it stands in a URL."""
    return "".join(f"%{byte:02X}" if not chr(byte).isalnum() else chr(byte) for byte in text.encode())


def url(role: str = APP, database: str = DATABASE, password: bool = True, **query: str) -> str:
    """The address of a database of the server that this process, or one that started it, has running."""
    secret = f":{quoted(PASSWORDS[role])}" if password else ""
    parts = "&".join(f"{key}={quoted(value)}" for key, value in query.items())
    return f"postgresql://{role}{secret}@127.0.0.1:{os.environ[PORT]}/{database}{'?' if parts else ''}{parts}"


def schema_of(place: Path) -> str:
    """The schema that stands for a folder, in tests that know stores by their folders."""
    return "s" + sha256(os.fsencode(place)).hexdigest()[:20]


class Server:
    """A cluster and its process. ``close`` removes both, and so does the end of this process, however it ends."""

    def __init__(self, settings: Mapping[str, str] | None = None, *, in_memory: bool = True) -> None:
        self._programs = binaries()
        self._settings = {**SETTINGS, **(settings or {})}
        place = MEMORY if in_memory and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**30 else None
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=place))
        words = ["sh", "-c", _GUARD, "guard", str(self._folder)]
        self._guard = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _user()
        password = self._folder / "password"
        password.write_text(PASSWORDS[ADMIN])
        if "user" in self._user:
            for path in (self._folder, password):
                os.chown(path, self._user["user"], self._user["group"])
        how = ["--no-sync", "--encoding=UTF8", "--locale=C", f"--username={ADMIN}", "--auth=scram-sha-256"]
        self._run("initdb", "-D", self._folder / "data", *how, f"--pwfile={password}")
        password.unlink()
        self.port, self._begun = _free_port(), False

    def _run(self, program: str, *arguments: str | Path) -> None:
        run = subprocess.run(
            [self._programs / program, *arguments], cwd=self._folder, capture_output=True, text=True, **self._user
        )
        assert run.returncode == 0, run.stdout + run.stderr

    @property
    def folder(self) -> Path:
        """The folder of the cluster and its log."""
        return self._folder

    @property
    def programs(self) -> Path:
        """The folder of this server's programs."""
        return self._programs

    @property
    def log(self) -> str:
        """What the server wrote into its log."""
        file = self._folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self) -> Server:
        """Start it, and return when it takes connections."""
        said = len(self.log)
        settings = {**self._settings, "port": str(self.port)}
        options = [f"--{key}={value}" for key, value in settings.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *options],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt of the tests is theirs to handle
                **self._user,
            )
        ready = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(600):
            if self._process.poll() is not None:
                taken = not self._begun and "Address already in use" in self.log[said:]
                assert taken, self.log
                self.port = _free_port()  # others on this machine look for one too, and this one was quicker
                return self.start()
            if subprocess.run(ready).returncode == 0:
                self._begun = True
                return self
            time.sleep(0.1)
        raise TimeoutError(self.log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends every session, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def configure(self, **settings: str) -> None:
        """Change settings of the running server, without a restart."""
        for key, value in settings.items():
            self.sql(f"ALTER SYSTEM RESET {key}" if value == "" else f"ALTER SYSTEM SET {key} = '{value}'")
        self.sql("SELECT pg_reload_conf()")

    def sql(self, statement: str, role: str = ADMIN, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Do one statement, or several without a result, in a connection of its own."""
        import psycopg

        where = {"host": "127.0.0.1", "port": self.port, "dbname": database}
        with psycopg.connect(**where, user=role, password=PASSWORDS[role], autocommit=True) as connection:  # type: ignore[arg-type]
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._guard.communicate()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _user() -> dict[str, Any]:
    """Who runs the server: its programs refuse root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise LookupError("no user to run PostgreSQL as")


def documented(heading: str, language: str = "sql") -> list[str]:
    """The blocks of docs/postgres.md under this heading."""
    section = DOCUMENT.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def prepare(server: Server) -> Server:
    """Start a server, and make the roles and the database as documented."""
    server.start()
    for statement in _set_up():
        for role in (OWNER, APP):
            statement = statement.replace(f"'the password of {role}'", f"'{PASSWORDS[role]}'")
        server.sql(statement, database="postgres")
    return server


def _set_up() -> list[str]:
    return [statement for statement in re.split(r";\n", documented("Roles and database")[0]) if statement.strip()]


def _empty(server: Server) -> None:
    """Make its database anew, as documented."""
    server.sql(f"DROP DATABASE {DATABASE} WITH (FORCE)", database="postgres")
    for statement in _set_up():
        if not statement.startswith("CREATE ROLE"):
            server.sql(statement, database="postgres")


@functools.cache
def shared(in_memory: bool = True) -> Server:
    """The one server of this process, prepared; stopped when the process ends."""
    server = Server(in_memory=in_memory)
    atexit.register(server.close)
    prepare(server)
    os.environ[PORT] = str(server.port)
    return server


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """A running server; see :func:`shared`. What a file of tests leaves in its database is gone before the next."""
    yield shared()
    _empty(shared())


if __name__ == "__main__":
    shared(in_memory=False)
    for role in (OWNER, APP):
        print(url(role, app=APP), flush=True)
    sys.stdin.read()
