"""One session with a PostgreSQL server: transactions that are tried again, and locks that end with it."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from dpsynth.accountant.postgres_errors import AGAIN, LOST, UNIQUE, no_connection, sqlstate, translation, unknown_end
from dpsynth.accountant.postgres_place import Place
from dpsynth.accountant.postgres_rows import PostgresTransaction
from dpsynth.errors import ConfigurationError, DpsynthError, StoreBusy

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds in which a server that went away in the middle of a run may come back."""

_OLDEST = 130000
_RACES = 3
_READ = "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"
_WRITE = (
    "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE; SET LOCAL idle_in_transaction_session_timeout = '60s'; "
    "LOCK TABLE {schema}.turn IN EXCLUSIVE MODE"
)
"""The turn is taken before the first SELECT, which takes the snapshot: writers wait for each other, and see all.

A writer that is stopped loses its turn after a minute; so does, by the settings below, one that is cut off.
"""
_LOCK = text("SELECT pg_try_advisory_lock(:key), pg_backend_pid()")
_SETTINGS = text(
    "SELECT pg_backend_pid(), current_setting('fsync'), current_setting('server_version_num')::int, "
    "current_setting('server_encoding'), pg_is_in_recovery(), current_setting('synchronous_commit'), "
    "set_config('synchronous_commit', current_setting('synchronous_commit'), false), "
    "set_config('lock_timeout', :wait, false), set_config('tcp_keepalives_idle', '30', false), "
    "set_config('tcp_keepalives_interval', '10', false), "
    "set_config('tcp_keepalives_count', '3', false)"
)

_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


class Session:
    """A connection to one store, made anew when it is lost. For one thread of one process at a time."""

    def __init__(self, place: Place, wait: float) -> None:
        self.place = place
        self._wait = wait
        self._process = os.getpid()
        self._mutex, self._working_thread = threading.Lock(), 0
        self._connection: Connection | None = None
        self._backend = 0
        self._held: set[int] = set()
        self._leaving: list[int] = []
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=self._dial,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",  # transactions are begun and ended by hand, see _WRITE
            hide_parameters=True,
            use_native_hstore=False,
        )
        _sessions.add(self)

    # --- transactions -------------------------------------------------------------------------------------------------

    def transact(self, act: Callable[[PostgresTransaction], T], *, writes: bool) -> T:
        """Do ``act`` in one serialisable transaction, again from its start if others or the network spoiled it.

        Where the connection is lost while a commit is under way, the log tells afterwards whether it came through.
        """
        begin = _WRITE.format(schema=self.place.quoted) if writes else _READ
        until, races = time.monotonic() + self._wait, 0
        unsure: tuple[PostgresTransaction, T] | None = None
        with self._working():
            for pause in _pauses():
                made: tuple[PostgresTransaction, T] | None = None
                try:
                    connection = self._connected()
                    connection.exec_driver_sql(begin)
                    transaction = PostgresTransaction(connection)
                    if unsure is not None and unsure[0].came_through(transaction):
                        connection.exec_driver_sql("ROLLBACK")
                        return unsure[1]
                    unsure = None
                    result = act(transaction)
                    self._require_open(connection)
                    made = transaction, result
                    connection.exec_driver_sql("COMMIT")
                    return result
                except DBAPIError as error:
                    lost = self._abandon() or sqlstate(error) in LOST
                    if lost and made is not None and made[0].wrote_lines:
                        unsure = made
                    races += sqlstate(error) == UNIQUE
                    again = lost or sqlstate(error) in AGAIN or (sqlstate(error) == UNIQUE and races <= _RACES)
                    if not again or time.monotonic() > until + (PATIENCE if lost else 0):
                        self._give_up(error, unsure is not None)
                except BaseException:
                    self._abandon()
                    raise
                time.sleep(pause)
        raise AssertionError("the pauses have no end")

    def administer(self, act: Callable[[Connection], T]) -> T:
        """Do ``act`` on the tables themselves, once, in one transaction that sees what others commit meanwhile."""
        with self._working():
            try:
                connection = self._connected()
                connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
                result = act(connection)
                connection.exec_driver_sql("COMMIT")
                return result
            except DBAPIError as error:
                self._abandon()
                self._give_up(error)
            except BaseException:
                self._abandon()
                raise

    def _require_open(self, connection: Connection) -> None:
        """A transaction that failed and went on would be rolled back by COMMIT, without a word."""
        if _driver(connection).info.transaction_status is not TransactionStatus.INTRANS:
            raise DpsynthError(f"{self.place.name}: a statement failed and was not heeded; nothing was written")

    # --- locks --------------------------------------------------------------------------------------------------------

    def lock(self, key: int) -> bool:
        """Hold a number until ``unlock``, or as long as the session lives; False if somebody holds it already."""
        with self._working():
            until = time.monotonic() + PATIENCE
            for pause in _pauses():
                try:
                    connection = self._connected()
                    if key in self._held or not self._try_lock(connection, key):
                        return False
                    self._held.add(key)
                    return True
                except DBAPIError as error:
                    if not self._abandon() or time.monotonic() > until:
                        self._give_up(error)
                time.sleep(pause)
        raise AssertionError("the pauses have no end")

    def unlock(self, key: int) -> None:
        """Let go of a number: at once, or after the transaction that is under way. Never raises."""
        self._leaving.append(key)
        if os.getpid() == self._process and self._mutex.acquire(blocking=False):
            try:
                self._leave()
            finally:
                self._mutex.release()

    def _leave(self) -> None:
        while self._leaving:
            key = self._leaving.pop()
            if key in self._held and self._connection is not None:
                try:
                    self._connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
                except DBAPIError:
                    self._abandon()
            self._held.discard(key)

    def _try_lock(self, connection: Connection, key: int) -> bool:
        got, backend = connection.execute(_LOCK, {"key": key}).one()
        if backend != self._backend:
            raise ConfigurationError(
                f"{self.place.name}: a connection pool hands each transaction to another session, so that nothing can "
                "be held; connect to the server itself, or pool by sessions. Nothing was written"
            )
        return bool(got)

    # --- the connection -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the session, and every lock with it."""
        if self._connection is not None and os.getpid() == self._process:
            self._drop()

    def cut_off(self) -> None:
        """In a forked child: whatever it does, it must not end its parent's session."""
        if self._connection is None:
            return
        with suppress(Exception):
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, _driver(self._connection).fileno())
            os.close(nothing)

    @contextmanager
    def _working(self) -> Iterator[None]:
        if os.getpid() != self._process:
            raise DpsynthError(
                f"{self.place.name}: a store is not carried across a fork; open it again in this process"
            )
        if self._working_thread == threading.get_ident():
            raise DpsynthError(f"{self.place.name}: a transaction is under way already")
        with self._mutex:
            self._working_thread = threading.get_ident()
            try:
                self._leave()
                yield
                self._leave()
            finally:
                self._working_thread = 0

    def _dial(self) -> psycopg.Connection:
        usual = {"connect_timeout": "10", "application_name": "dpsynth"}
        # mypy: text may stand for any option of connect; these are libpq's own, all text
        return psycopg.connect("", **{**usual, **self.place.parameters, "client_encoding": "UTF8"})  # type: ignore[arg-type]

    def _connected(self) -> Connection:
        """The connection; a new one takes over what the lost one held, where nobody else took it meanwhile."""
        if self._connection is None:
            made = self._engine.connect().execution_options(schema_translate_map={None: self.place.schema})
            self._connection = made
            try:
                self._prepare(made)
            except BaseException:
                self._drop()
                raise
        return self._connection

    def _prepare(self, connection: Connection) -> None:
        wait = f"{max(1, round(self._wait * 1000))}ms"
        backend, fsync, version, encoding, standby, commit, *_ = connection.execute(_SETTINGS, {"wait": wait}).one()
        self._require_server(version, encoding, standby, commit, fsync)
        self._backend = backend
        self._held = {key for key in self._held if self._try_lock(connection, key)}

    def _require_server(self, version: int, encoding: str, standby: bool, commit: str, fsync: str) -> None:
        name = self.place.name
        if version < _OLDEST:
            raise ConfigurationError(f"{name}: PostgreSQL {version // 10000} is too old; 13 or newer is needed")
        if encoding != "UTF8":
            raise ConfigurationError(
                f"{name}: the database is in {encoding}; make one with CREATE DATABASE ... ENCODING 'UTF8' "
                "TEMPLATE template0"
            )
        if standby:
            raise ConfigurationError(f"{name}: this server is a standby; name the one that is written to")
        if commit not in ("on", "remote_apply"):
            raise ConfigurationError(
                f"{name}: synchronous_commit is {commit}, so that a commit may be lost; the role needs ALTER ROLE ... "
                "SET synchronous_commit = on"
            )
        if fsync != "on":
            raise ConfigurationError(
                f"{name}: the server has fsync off, so that a power failure forgets spent budget; set fsync = on"
            )

    def _abandon(self) -> bool:
        """Roll back; whether the connection is lost, so that there is nothing to roll back."""
        connection = self._connection
        if connection is None:
            return True
        try:
            if not connection.invalidated and not _driver(connection).closed:
                if _driver(connection).info.transaction_status is not TransactionStatus.IDLE:
                    connection.exec_driver_sql("ROLLBACK")
                return False
        except DBAPIError:
            pass
        self._drop()
        return True

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()

    def _give_up(self, error: DBAPIError, unsure: bool = False) -> NoReturn:
        """Raise our own error. The server's is not chained to it: its text may quote a row."""
        if unsure:
            raise unknown_end(self.place) from None
        if self._connection is None and sqlstate(error) is None:
            raise no_connection(self.place, error) from None
        if self._connection is None:
            raise StoreBusy(
                f"{self.place.name}: the server ended the session; nothing was written, try again"
            ) from None
        raise translation(self.place, error) from None


def _driver(connection: Connection) -> psycopg.Connection:
    return cast("psycopg.Connection", connection.connection.driver_connection)


def _pauses() -> Iterator[float]:
    """Seconds to wait before the next try: at first next to none, at last a quarter of a second."""
    pause = 0.001
    while True:
        yield pause
        pause = min(2 * pause, 0.25)


def _cut_off() -> None:
    for session in list(_sessions):
        session.cut_off()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cut_off)
