"""Accounts in one SQLite file: a rollback journal, every commit synced to the disk, one writer at a time.

Write-ahead logging is not used: with it a commit may be lost at a power failure, and a lost spend is a privacy
breach; SQLite before 3.51.3 can also corrupt such files.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from weakref import WeakSet

from dpsynth.accountant.filesystem import require_local
from dpsynth.accountant.locks import FileLock
from dpsynth.accountant.sqlite_additions import EARLIER_HEADS, SECOND_VERSION, TABLES, TRIGGERS
from dpsynth.accountant.sqlite_cells import CELLS, VERSION
from dpsynth.accountant.sqlite_rows import SqliteTransaction
from dpsynth.accountant.sqlite_schema import APPLICATION_ID, FIRST_VERSION, SCHEMA
from dpsynth.accountant.store import Reading, Writing
from dpsynth.errors import ConfigurationError, DpsynthError, StoreBusy, StoreDamaged, StoreError
from dpsynth.files import sync
from dpsynth.ledger import new_secret, nonce

T = TypeVar("T")

WAIT = 5.0
"""Seconds to wait for another process before StoreBusy."""

_TEXTS = {
    FIRST_VERSION: SCHEMA,
    SECOND_VERSION: SCHEMA + TABLES + TRIGGERS,
    VERSION: SCHEMA + TABLES + TRIGGERS + CELLS,
}
"""What makes a store of each version that is known."""
_OBJECTS = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
_OTHER_TABLES = "its tables are not those of a store of dpsynth accounts"


class SqliteStore:
    """A :class:`~dpsynth.accountant.store.Store` in one file, for one thread of one process at a time a handle."""

    def __init__(self, path: Path, connection: sqlite3.Connection, secret: bytes, origin: str) -> None:
        self._path = path
        self._connection = connection
        self._secret = secret
        self._origin = origin
        self._process = os.getpid()
        self._locks: WeakSet[FileLock] = WeakSet()

    @classmethod
    def open(cls, path: str | Path, create: bool = False, wait: float = WAIT) -> SqliteStore:
        """Open the store at ``path``, made first if it is missing and ``create`` is true.

        A file that is there is never made anew, whatever it holds; one of version 2 or 3 gets what version 4 has more.
        Raises ConfigurationError (missing, the place is not writable, or on a network), StoreBusy or StoreDamaged.
        """
        path = Path(path).resolve()
        require_local(path)
        with _translated(path, StoreDamaged):
            if not path.exists():
                if not create:
                    raise ConfigurationError(
                        f"{path}: there is no store of accounts; `dpsynth budget open NAME --store {path.name} ...` "
                        "makes one, with an account in it"
                    )
                _create(path)
            if not path.is_file():
                raise ConfigurationError(f"{path}: a store of accounts is a file, and this is none; name another path")
            connection = _connect(path, wait)
            try:
                secret, origin = _accept(path, connection)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, secret, origin)

    @property
    def secret(self) -> bytes:
        """32 bytes, drawn when the store was made."""
        return self._secret

    @property
    def origin(self) -> str:
        """The public name of the log."""
        return self._origin

    def read(self, act: Callable[[Reading], T]) -> T:
        """Give the result of ``act`` on one consistent moment."""
        return self._transact("BEGIN", act)

    def write(self, act: Callable[[Writing], T]) -> T:
        """Do ``act`` in one transaction that holds the write lock from its start and is on the disk at its end."""
        return self._transact("BEGIN IMMEDIATE", act)

    def lock(self, release: str) -> FileLock:
        """Hold a release by a lock on a file beside the store, which stays until the release is settled."""
        path = self._path.with_name(f"{self._path.name}.{sha256(release.encode()).hexdigest()[:32]}.lock")
        busy = StoreBusy(f"another run of release {release!r} is under way; wait for it, nothing was spent")
        try:
            lock = FileLock.take(path)
        except BlockingIOError:
            raise busy from None
        except OSError as error:
            raise ConfigurationError(
                f"{path}: the store cannot be written ({error.strerror}); it needs a folder that you may write to, on "
                "a local disk that knows file locks"
            ) from error
        self._locks.add(lock)
        return lock

    def close(self) -> None:
        """Let go of the file and of all locks."""
        for lock in list(self._locks):
            lock.close()
        self._connection.close()

    def _transact(self, begin: str, act: Callable[[SqliteTransaction], T]) -> T:
        if os.getpid() != self._process:
            raise DpsynthError(f"{self._path}: a store is not carried across a fork; open it again in this process")
        with _translated(self._path):
            self._connection.execute(begin)
            try:
                result = act(SqliteTransaction(self._connection))
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise
            return result


def _connect(path: Path, wait: float) -> sqlite3.Connection:
    """A connection to a file that is there; SQLite must not make one."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=wait, isolation_level=None)
    try:
        for pragma in ("foreign_keys = ON", "trusted_schema = OFF", "synchronous = EXTRA", "fullfsync = ON"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """Make a whole store under another name, then give it ``path`` in one step that never replaces a file.

    A crash leaves at most a file ``<name>.<nonce>.new``, which nothing opens.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path.parent}: there is no such folder; make it, or name another --store")
    for suffix in ("-journal", "-wal"):
        left = path.with_name(path.name + suffix)
        if left.exists():
            raise StoreDamaged(
                f"{left}: the journal of a store that is gone; bring {path.name} back (it holds spent budget), or move "
                "the journal away if you are sure that nothing was released from it"
            )
    new = path.with_name(f"{path.name}.{nonce()}.new")
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        connection = _connect(new, WAIT)
        try:
            begin = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; BEGIN;"
            connection.executescript(begin + _TEXTS[VERSION])
            connection.execute("INSERT INTO store VALUES (1, ?)", (new_secret(),))
            connection.execute("INSERT INTO log VALUES (1, ?)", (f"dpsynth.log/{nonce()}",))
            connection.execute("COMMIT")
        finally:
            connection.close()
        with suppress(FileExistsError):  # another process made it meanwhile: theirs is opened
            os.link(new, path)
    finally:
        new.unlink()
    sync(path.parent)


def _accept(path: Path, connection: sqlite3.Connection) -> tuple[bytes, str]:
    """Check that the file is a whole store, bring it to this version, and give its secret and the name of its log."""
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise _damaged(path, "it is not a store of dpsynth accounts (empty, truncated, or of another program)")
    version = _pragma(connection, "user_version")
    if isinstance(version, int) and version > VERSION:
        raise ConfigurationError(f"{path}: made by a newer dpsynth (store version {version}); update dpsynth")
    if isinstance(version, int) and 0 < version < FIRST_VERSION:
        raise ConfigurationError(
            f"{path}: made by an older dpsynth (store version {version}; since version {FIRST_VERSION} each account "
            "has its measure). It is left as it is: finish its releases with that dpsynth, and open accounts for other "
            "people in another --store"
        )
    if version not in _TEXTS:
        raise _damaged(path, _OTHER_TABLES)
    if version != VERSION:
        _migrate(path, connection)
    _require_whole(path, connection, _TEXTS[VERSION])
    if _pragma(connection, "journal_mode = DELETE") != "delete":
        raise StoreError(f"{path}: SQLite keeps no rollback journal here; move the store to a local disk")
    row = connection.execute("SELECT secret, origin FROM store, log").fetchone()
    if row is None:
        raise _damaged(path, "its secret or the name of its log is missing")
    return bytes(row[0]), row[1]


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _require_whole(path: Path, connection: sqlite3.Connection, schema: str) -> None:
    """StoreDamaged unless the tables, indices and triggers are those of a schema and SQLite's own checks pass."""
    memory = sqlite3.connect(":memory:")
    try:
        memory.executescript(schema)
        expected = memory.execute(_OBJECTS).fetchall()
    finally:
        memory.close()
    if connection.execute(_OBJECTS).fetchall() != expected:
        raise _damaged(path, _OTHER_TABLES)
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken or _pragma(connection, "integrity_check(1)") != "ok":
        raise _damaged(path, "SQLite's own check of it fails")


def _migrate(path: Path, connection: sqlite3.Connection) -> None:
    """Add to a whole store of an earlier version what this one has more, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _pragma(connection, "user_version")
        if isinstance(version, int) and version < VERSION:  # otherwise another process was quicker
            _require_whole(path, connection, _TEXTS[version])
            if version == FIRST_VERSION:
                for statement in (*_statements(TABLES), EARLIER_HEADS, *_statements(TRIGGERS)):
                    connection.execute(statement)
                (secret,) = connection.execute("SELECT secret FROM store").fetchone() or (b"",)
                connection.execute("INSERT INTO log VALUES (1, ?)", (_origin_of(bytes(secret)),))
            for statement in _statements(CELLS):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _statements(text: str) -> Iterator[str]:
    """The statements of a text, one by one: a trigger is one statement with others inside."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


def _origin_of(secret: bytes) -> str:
    """The name of the log of a store that was made without one: the same for every copy, so that one anchor knows them
    all."""
    return f"dpsynth.log/{hmac.digest(secret, b'dpsynth.log', 'sha256')[:16].hex()}"


def _damaged(path: Path, what: str) -> StoreDamaged:
    return StoreDamaged(
        f"{path}: {what}. It is left as it is and never made anew, since spent budget would be forgotten: bring back a "
        "copy that is not older than the last release"
    )


@contextmanager
def _translated(path: Path, otherwise: type[DpsynthError] = DpsynthError) -> Iterator[None]:
    """Turn SQLite's and the system's errors into ours; ``otherwise`` is what an error without a class becomes."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translation(path, error, otherwise) from error
    except UnicodeDecodeError:  # SQLite quotes what it cannot read
        raise _damaged(path, "it is damaged or is not a store of dpsynth accounts") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the store cannot be made or read here ({error.strerror}); it needs a folder that you may write "
            "to, on a local disk with hard links"
        ) from error


def _translation(path: Path, error: sqlite3.Error, otherwise: type[DpsynthError]) -> DpsynthError:
    code = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(f"{path}: another process holds the store; nothing was written, try again")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_FORMAT:
            return _damaged(path, "it is damaged or is not a store of dpsynth accounts")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return ConfigurationError(
                f"{path}: the store cannot be written; you need the right to write to the file and to its folder, "
                "where the journal stands"
            )
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            return StoreError(
                f"{path}: the disk did not take the write ({error.sqlite_errorname}); make room or mend it and run "
                "again: what was written stays charged, nothing else is"
            )
        case None if str(error).startswith("Could not decode"):  # Python's own, which quotes what it cannot read
            return _damaged(path, "it is damaged or is not a store of dpsynth accounts")
        case _ if otherwise is StoreDamaged:
            return _damaged(path, "it cannot be read as a store of dpsynth accounts")
        case _:
            return otherwise(f"{path}: the store refused a statement: {error}")
