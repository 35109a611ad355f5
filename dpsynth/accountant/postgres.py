"""Accounts in PostgreSQL, for a team: serialisable transactions, one writer at a time, each commit on the disk.

The database itself enforces the rules of accounts (``postgres_schema``, ``postgres_rules``), also against the role that
uses it. How its roles are set up: docs/postgres.md. Needs the extra ``postgres`` (SQLAlchemy and psycopg).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from dpsynth.accountant.store import Reading, Writing
from dpsynth.errors import ConfigurationError, StoreBusy

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dpsynth.accountant.postgres_place import Place
    from dpsynth.accountant.postgres_session import Session

T = TypeVar("T")

OTHER_TABLES = "its tables and rules are not those of a store of dpsynth accounts"
WAIT = 15.0
"""Seconds to wait for the others before StoreBusy: whoever writes stands in one queue."""


class PostgresStore:
    """A :class:`~dpsynth.accountant.store.Store` in one schema of a database, in a session of its own.

    One thread of one process uses a handle at a time. A session that is lost is made anew; see
    :meth:`~dpsynth.accountant.postgres_session.Session.transact`.
    """

    def __init__(self, session: Session, secret: bytes, origin: str) -> None:
        self._session = session
        self._secret = secret
        self._origin = origin

    @classmethod
    def open(cls, url: str, create: bool = False, wait: float = WAIT) -> PostgresStore:
        """Open the store at ``postgresql://USER@HOST/DATABASE``, made first if it is missing and ``create`` is true.

        ``?schema=NAME`` names another schema than ``dpsynth``. Whoever makes the store owns its tables; with
        ``?app=ROLE`` the owner lets ROLE use it, and no more. What is there is never made anew, whatever it holds.

        Raises ConfigurationError (missing, no such address, the extra is not installed, the server is not durable or
        the role lacks a right), StoreBusy (the server takes no connection) or StoreDamaged.
        """
        try:
            from dpsynth.accountant.postgres_place import parse
            from dpsynth.accountant.postgres_session import Session
        except ModuleNotFoundError as error:
            if error.name not in ("psycopg", "sqlalchemy"):
                raise
            raise ConfigurationError(
                "a store in PostgreSQL needs SQLAlchemy and psycopg: pip install dpsynth-engine[postgres]"
            ) from None
        place = parse(url)
        session = Session(place, wait)
        try:
            secret, origin = session.administer(lambda connection: _accept(place, connection, create))
        except BaseException:
            session.close()
            raise
        return cls(session, secret, origin)

    def __repr__(self) -> str:
        return f"PostgresStore({self._session.place.name!r})"

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
        return self._session.transact(act, writes=False)

    def write(self, act: Callable[[Writing], T]) -> T:
        """Do ``act`` in one transaction that no other writer comes between, and that is on the disk at its end."""
        return self._session.transact(act, writes=True)

    def lock(self, release: str) -> SessionLock:
        """Hold a release by an advisory lock of the server, which it takes back when this session ends."""
        key = int.from_bytes(sha256(f"{self._origin}\n{release}".encode()).digest()[:8], "big", signed=True)
        if not self._session.lock(key):
            raise StoreBusy(f"another run of release {release!r} is under way; wait for it, nothing was spent")
        return SessionLock(self._session, key)

    def close(self) -> None:
        """End the session, and all locks with it."""
        self._session.close()


class SessionLock:
    """A number that a session holds until ``close``, until nothing refers to this object, or until the session ends.

    A session that was lost and made anew takes its numbers again. If somebody else was quicker the lease of the
    release keeps the two apart.
    """

    def __init__(self, session: Session, key: int) -> None:
        self._let_go = weakref.finalize(self, session.unlock, key)
        self._let_go.atexit = False

    def close(self, for_ever: bool = False) -> None:
        """Let go; again does nothing. Nothing is left behind, also not ``for_ever``."""
        self._let_go()


def _accept(place: Place, connection: Connection, create: bool) -> tuple[bytes, str]:
    """Make the store if it may be made, check that it is a whole one of this version, and give its secret and name."""
    from sqlalchemy import func, select, text

    from dpsynth.accountant import postgres_catalogue as catalogue
    from dpsynth.accountant.postgres_errors import damaged
    from dpsynth.accountant.postgres_schema import FIRST_VERSION, VERSION, entry, store

    turn = int.from_bytes(sha256(f"dpsynth {place.schema}".encode()).digest()[:8], "big", signed=True)
    if create:  # one at a time: also of two who give the same rights at once the server refuses one
        connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": turn})
    if not catalogue.exists(connection, place.quoted):
        if not create:
            raise ConfigurationError(
                f"{place.name}: there is no store of accounts; its owner makes one, with an account in it: "
                "`dpsynth budget open NAME --store URL ...` (docs/postgres.md)"
            )
        catalogue.make(connection, place.quoted)
    if create and place.role is not None:
        catalogue.allow(connection, place.quoted, place.role)
    if not catalogue.has(connection, place.quoted, "store"):
        raise damaged(place, "it is not a store of dpsynth accounts")
    row = connection.execute(select(store)).first()
    if row is None:
        raise damaged(place, "its secret is missing")
    if row.version > VERSION:
        raise ConfigurationError(f"{place.name}: made by a newer dpsynth (store version {row.version}); update dpsynth")
    if row.version < VERSION:
        if not catalogue.is_owner(connection, place.quoted):
            raise ConfigurationError(
                f"{place.name}: made by an older dpsynth (store version {row.version}): let its owner open it once, "
                "such as by `dpsynth budget show`, which adds what this version has more and leaves all that it holds"
            )
        connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": turn})
        if connection.execute(select(store.c.version)).scalar_one() < VERSION:
            if not catalogue.is_whole(connection, place.quoted, FIRST_VERSION):
                raise damaged(place, OTHER_TABLES)
            catalogue.migrate(connection, place.quoted)
    if not catalogue.is_whole(connection, place.quoted):
        raise damaged(place, OTHER_TABLES)
    lines, last = connection.execute(select(func.count(), func.max(entry.c.seq))).one()
    if lines != (0 if last is None else last + 1):
        raise damaged(place, "lines of its log are missing")
    return bytes(row.secret), str(row.origin)
