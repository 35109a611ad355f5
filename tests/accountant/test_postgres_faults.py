"""The PostgreSQL store when others are in its way: rivals, kills, cut wires, servers that go away and come back."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dpsynth.accountant import Accountant, postgres_session
from dpsynth.accountant.postgres import WAIT, PostgresStore
from dpsynth.accountant.store import AccountRow, EntryRow, ReleaseRow, Store, Writing
from dpsynth.errors import ConfigurationError, DpsynthError, StoreBusy, StoreError
from dpsynth.ledger import parse
from dpsynth.privacy import GRID, Cost

pytest.register_assert_rewrite("tests.accountant.store_contract")
from tests.accountant.postgres_proxy import Wire  # noqa: E402
from tests.accountant.postgres_server import ADMIN, APP, PASSWORDS, PORT, Server, postgres, prepare, schema_of, url  # noqa: E402
from tests.accountant.store_contract import TENTH, charge, open_people, reserve  # noqa: E402
from tests.accountant.test_postgres_store import open_postgres  # noqa: E402
from tests.processes import alone  # noqa: E402

__all__ = ["postgres"]

pytestmark = pytest.mark.usefixtures("postgres")

PLAN = "sha256:" + "a" * 64
GRAIN = Cost("gdp", Fraction(1, GRID))


def write_line(tx: Writing, account: str = "a", release: str | None = None) -> int:
    """A line as the store sees it; its link is new each time."""
    seq, before = tx.head()
    tx.append(EntryRow(seq, account, release, b'{"kind":"note"}', sha256(os.urandom(32)).digest(), before))
    return seq


def ask(tx: Writing, release: str, cost: Cost = GRAIN) -> bool:
    """The least that a reservation is: room in the account, a release, a line, a hold."""
    row = tx.account("a")
    assert row is not None
    if not (row.held + cost).fits(row.cap):
        return False
    tx.add_release(ReleaseRow(release, "a", PLAN, bytes(32), "RESERVED", 0))
    write_line(tx, release=release)
    tx.hold(release, "a", cost)
    return True


def add_account(store: Store, room: int) -> None:
    cap = Cost("gdp", room * GRAIN.amount)
    store.write(lambda tx: tx.add_account(AccountRow("a", None, cap, Cost.nothing("gdp"))))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PostgresStore]:
    with closing(open_postgres(tmp_path)) as store:
        add_account(store, 1000)
        yield store


@pytest.fixture
def rival(tmp_path: Path, store: PostgresStore) -> Iterator[PostgresStore]:
    with closing(open_postgres(tmp_path)) as rival:
        yield rival


@pytest.fixture
def wire() -> Iterator[Wire]:
    with closing(Wire()) as wire:
        yield wire


@pytest.fixture
def without_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers that do not wait for each other: the database alone tells them apart."""
    monkeypatch.setattr(postgres_session, "_WRITE", "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE")


def end_session(server: Server, store: PostgresStore) -> None:
    server.sql(f"SELECT pg_terminate_backend({store._session._backend})")


# --- rivals -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_turns")
def test_a_transaction_that_a_rival_spoiled_is_done_again(store: PostgresStore, rival: PostgresStore) -> None:
    calls = []

    def act(tx: Writing) -> tuple[int, bool]:
        calls.append(tx.head()[0])
        if len(calls) <= 2:
            assert rival.write(lambda other: ask(other, f"rival{len(calls)}"))
        seq = write_line(tx)
        return seq, ask(tx, "ours")

    assert store.write(act) == (2, True)
    assert calls == [0, 1, 2]
    row = store.read(lambda tx: tx.account("a"))
    assert row is not None
    assert row.held.amount == 3 * GRAIN.amount
    assert store.read(lambda tx: tx.head())[0] == 4


@pytest.mark.usefixtures("without_turns")
def test_rivals_without_end_are_busy(tmp_path: Path, store: PostgresStore, rival: PostgresStore) -> None:
    store.write(lambda tx: ask(tx, "r1"))
    calls = []

    def act(tx: Writing) -> None:
        assert tx.release("r1") is not None
        calls.append(rival.write(lambda other: other.advance("r1", "RESERVED", len(calls))))
        tx.advance("r1", "DRAWING", 10**6)

    with closing(open_postgres(tmp_path, wait=0.5)) as hasty, pytest.raises(StoreBusy, match="nothing was written"):
        hasty.write(act)
    assert len(calls) > 3
    found = store.read(lambda tx: tx.release("r1"))
    assert found is not None
    assert (found.state, found.lease) == ("RESERVED", len(calls) - 1)


@pytest.mark.usefixtures("without_turns")
def test_without_turns_the_sum_is_exact_too(tmp_path: Path, store: PostgresStore) -> None:
    granted: list[bool] = []
    add = store.write(lambda tx: [ask(tx, f"fill{n}", Cost("gdp", 240 * GRAIN.amount)) for n in range(4)])
    assert all(add)  # room for 40 of 80

    def work(worker: int) -> None:
        with closing(open_postgres(tmp_path)) as own:
            for turn in range(20):
                release = f"{worker}-{turn}"
                granted.append(own.write(lambda tx, release=release: ask(tx, release)))  # type: ignore[misc]

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(granted), sum(granted)) == (80, 40)
    row = store.read(lambda tx: tx.account("a"))
    assert row is not None
    assert row.held == row.cap == store.read(lambda tx: tx.held("a"))


def test_a_turn_that_is_held_too_long_is_busy(postgres: Server, tmp_path: Path, store: PostgresStore) -> None:
    where = {"host": "127.0.0.1", "port": postgres.port, "dbname": "accounts", "user": APP, "password": PASSWORDS[APP]}
    with psycopg.connect(**where) as other, closing(open_postgres(tmp_path, wait=0.2)) as hasty:  # type: ignore[arg-type]
        other.execute(f"LOCK TABLE {schema_of(tmp_path)}.turn IN EXCLUSIVE MODE")
        started = time.monotonic()
        with pytest.raises(StoreBusy, match="another process holds the store; nothing was written, try again"):
            hasty.write(write_line)
        assert time.monotonic() - started < WAIT, "it waits as long as it was told, not as by default"
        assert hasty.read(lambda tx: tx.head())[0] == 0, "who reads waits for nobody"
        other.rollback()
        hasty.write(write_line)


def test_a_key_that_is_there_is_refused_in_the_end(store: PostgresStore) -> None:
    calls = []

    def act(tx: Writing) -> None:
        calls.append(1)
        for _ in range(2):
            tx.add_release(ReleaseRow("twice", "a", PLAN, bytes(32), "RESERVED", 0))

    with pytest.raises(DpsynthError, match="release_key") as caught:
        store.write(act)
    assert caught.value.exit_code == 70
    assert len(calls) == 4
    assert store.read(lambda tx: tx.release("twice")) is None


def test_an_error_that_was_not_heeded_writes_nothing(store: PostgresStore) -> None:
    def act(tx: Writing) -> str:
        write_line(tx)
        with suppress(Exception):
            tx.hold("nobody", "a", GRAIN)
        return "done"

    with pytest.raises(DpsynthError, match="not heeded; nothing was written"):
        store.write(act)
    assert store.read(lambda tx: tx.head())[0] == 0


def test_a_transaction_in_a_transaction_is_a_mistake(store: PostgresStore) -> None:
    with pytest.raises(DpsynthError, match="under way already"):
        store.write(lambda tx: store.read(lambda other: other.head()))
    store.write(write_line)


def test_a_pool_that_changes_sessions_is_refused(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store._session, "_backend", 1)
    with pytest.raises(ConfigurationError, match="a connection pool"):
        store.lock("r1")


# --- processes --------------------------------------------------------------------------------------------------------


def write_and_stay(place: Path, told: Any) -> None:
    with closing(open_postgres(place)) as store:

        def act(tx: Writing) -> None:
            ask(tx, "half")
            told.set()
            time.sleep(600)

        store.write(act)


def test_a_client_that_is_killed_in_a_transaction_wrote_nothing(tmp_path: Path, store: PostgresStore) -> None:
    context = multiprocessing.get_context("spawn")
    told = context.Event()
    child = context.Process(target=write_and_stay, args=(tmp_path, told), daemon=True)
    child.start()
    assert told.wait(60)
    with closing(open_postgres(tmp_path, wait=0.2)) as hasty, pytest.raises(StoreBusy):
        hasty.write(write_line)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert store.write(lambda tx: ask(tx, "whole"))
    assert store.read(lambda tx: tx.release("half")) is None
    assert store.read(lambda tx: tx.head())[0] == 1


def test_a_forked_child_that_ends_does_not_end_the_session(tmp_path: Path) -> None:
    alone(end_a_forked_child, tmp_path)


def end_a_forked_child(tmp_path: Path) -> None:
    with Accountant(open_postgres(tmp_path)) as accountant, Accountant(open_postgres(tmp_path)) as other:
        open_people(accountant)
        held = reserve(accountant)
        backend = accountant._store._session._backend  # type: ignore[attr-defined]
        child = os.fork()
        if child == 0:
            try:
                with pytest.raises(DpsynthError, match="across a fork"):
                    accountant.accounts()
                accountant._store._session._drop()  # type: ignore[attr-defined]
                held.close()
                accountant.close()
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with psycopg.connect(url(ADMIN)) as admin:
            found = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [backend]).fetchall()
        assert found == [(1,)]
        with pytest.raises(StoreBusy, match="under way"):
            reserve(other)
        held.draw([charge(TENTH)])


# --- locks ------------------------------------------------------------------------------------------------------------


def test_a_lock_tells_nothing_and_ends_with_its_handle(postgres: Server, tmp_path: Path) -> None:
    with Accountant(open_postgres(tmp_path)) as one, Accountant(open_postgres(tmp_path)) as two:
        open_people(one)
        handle = reserve(one, "r1")
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        before = postgres.sql(query)[0][0]
        with pytest.raises(StoreBusy):
            reserve(two, "r1")
        del handle
        assert postgres.sql(query) == [(before - 1,)]
        with reserve(two, "r1"), pytest.raises(StoreBusy):
            reserve(one, "r1")


def test_a_lock_that_nobody_refers_to_in_a_transaction_ends_after_it(
    store: PostgresStore, rival: PostgresStore
) -> None:
    locks = [store.lock("r1")]

    def act(tx: Writing) -> None:
        locks.clear()
        with pytest.raises(StoreBusy):
            rival.lock("r1")

    store.write(act)
    rival.lock("r1").close()


def test_a_session_that_is_made_anew_holds_what_it_held(
    postgres: Server, store: PostgresStore, rival: PostgresStore
) -> None:
    kept, lost = store.lock("kept"), store.lock("lost")
    end_session(postgres, store)
    time.sleep(0.2)
    taken = rival.lock("lost")
    assert store.write(write_line) == 0
    with pytest.raises(StoreBusy):
        rival.lock("kept")
    with pytest.raises(StoreBusy):
        store.lock("lost")
    lost.close()
    with pytest.raises(StoreBusy):
        store.lock("lost")
    taken.close()
    kept.close()
    rival.lock("kept").close()
    store.lock("lost").close()


def test_a_run_whose_session_was_lost_and_taken_over_stops(postgres: Server, tmp_path: Path) -> None:
    with Accountant(open_postgres(tmp_path)) as one, Accountant(open_postgres(tmp_path)) as two:
        open_people(one)
        old = reserve(one)
        seqs = old.draw([charge(TENTH.amount / 2)])
        end_session(postgres, one._store)  # type: ignore[arg-type]
        time.sleep(0.2)
        with reserve(two) as new:
            before = new.lines()
            with pytest.raises(StoreBusy, match="another run took release 'r1' over"):
                old.store(seqs, b"too late")
            assert new.lines() == before
            assert [answer.answer for answer in new.answers()] == [None]


# --- wires ------------------------------------------------------------------------------------------------------------


def test_a_session_that_ends_within_a_transaction_does_it_again(postgres: Server, store: PostgresStore) -> None:
    calls = []

    def act(tx: Writing) -> int:
        calls.append(write_line(tx))
        if len(calls) == 1:
            end_session(postgres, store)
            time.sleep(0.2)
        return tx.head()[0]

    assert store.write(act) == 1
    assert calls == [0, 0]
    assert store.read(lambda tx: tx.head())[0] == 1


@pytest.mark.parametrize(("what", "tries"), [("message", 2), ("answer", 1)])
def test_a_commit_without_an_answer_is_looked_up(
    tmp_path: Path, store: PostgresStore, wire: Wire, what: Any, tries: int
) -> None:
    calls = []

    def act(tx: Writing) -> int:
        calls.append(write_line(tx))
        return calls[-1]

    with closing(PostgresStore.open(wire.url(APP, schema=schema_of(tmp_path)))) as far:
        wire.cut(what, b"COMMIT")
        assert far.write(act) == 0
    assert wire.cuts == 1
    assert len(calls) == tries
    assert store.read(lambda tx: tx.head())[0] == 1


def test_a_commit_that_cannot_be_looked_up_is_told(
    tmp_path: Path, store: PostgresStore, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_session, "PATIENCE", 0.3)
    with closing(PostgresStore.open(wire.url(APP, schema=schema_of(tmp_path)), wait=0.1)) as far:
        wire.cut("answer", b"COMMIT")
        wire.take_no_more()
        with pytest.raises(StoreError, match=r"did not say whether it did.*stays charged.*run again") as caught:
            far.write(write_line)
        assert not isinstance(caught.value, StoreBusy)
    assert store.read(lambda tx: tx.head())[0] == 1


@pytest.mark.parametrize("what", ["message", "answer"])
def test_a_release_comes_through_wherever_the_wire_is_cut(tmp_path: Path, wire: Wire, what: Any) -> None:
    """Each release meets one cut, later and later; each is charged once, and each answer is there."""
    cost = Cost("gdp", Fraction(int(TENTH.amount * GRID) // 20, GRID))

    def use(accountant: Accountant, release: str) -> None:
        with reserve(accountant, release, cost) as reservation:
            reservation.store(reservation.draw([charge(cost)]), release.encode())
            reservation.settle()

    with Accountant(open_postgres(tmp_path)) as near:
        open_people(near)
        with Accountant(PostgresStore.open(wire.url(APP, schema=schema_of(tmp_path)))) as far:
            before = wire.messages
            use(far, "whole")
            length = wire.messages - before
            places = range(0, length, max(1, length // 12))
            for place in places:
                wire.cut(what, skip=place)
                use(far, f"r{place}")
            assert wire.cuts == len(places)
        entries = [parse(line) for line in near.history("people")]
        for kind in ("reserve", "measure", "stored", "settle"):
            assert sum(entry.kind == kind for entry in entries) == len(places) + 1
        assert near.account("people").held.amount == (len(places) + 1) * cost.amount
        for place in places:
            assert [a.answer for a in reserve(near, f"r{place}", cost).answers()] == [f"r{place}".encode()]


# --- the server goes away ---------------------------------------------------------------------------------------------


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of this test alone."""
    with Server() as server:
        prepare(server)
        monkeypatch.setenv(PORT, str(server.port))
        yield server


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL], ids=["restart", "crash", "kill"])
def test_a_run_goes_on_when_the_server_comes_back(own: Server, tmp_path: Path, how: signal.Signals) -> None:
    with Accountant(open_postgres(tmp_path)) as accountant:
        open_people(accountant)
        with reserve(accountant) as reservation:
            seqs = reservation.draw([charge(TENTH)])
            back = threading.Thread(target=lambda: (time.sleep(0.5), own.start()))
            own.stop(how)
            back.start()
            try:
                reservation.store(seqs, b"x")
            finally:
                back.join()
            reservation.settle()
        assert [answer.answer for answer in reserve(accountant).answers()] == [b"x"]
        assert not any(parse(line).kind == "lost" for line in accountant.history("people"))


def test_a_server_that_stays_away_is_busy(own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_session, "PATIENCE", 0.5)
    with Accountant(open_postgres(tmp_path, wait=0.1)) as accountant:
        open_people(accountant)
        reservation = reserve(accountant)
        seqs = reservation.draw([charge(TENTH)])
        before = accountant.history("people")
        own.stop()
        try:
            calls: list[Callable[[], object]] = [
                lambda: reservation.store(seqs, b"x"),
                accountant.accounts,
                lambda: reserve(accountant, "r2"),
                lambda: PostgresStore.open(url(APP, schema=schema_of(tmp_path))),
            ]
            for call in calls:
                with pytest.raises(StoreBusy, match=r"takes no connection .*nothing was written, try again"):
                    call()
        finally:
            own.start()
        assert accountant.history("people") == before
        reservation.store(seqs, b"x")


def test_no_room_for_another_session_is_busy(postgres: Server, tmp_path: Path) -> None:
    open_postgres(tmp_path).close()
    postgres.sql(f"ALTER ROLE {APP} CONNECTION LIMIT 1")
    try:
        with closing(open_postgres(tmp_path)), pytest.raises(StoreBusy, match="too many connections"):
            PostgresStore.open(url(APP, schema=schema_of(tmp_path)))
    finally:
        postgres.sql(f"ALTER ROLE {APP} CONNECTION LIMIT -1")
