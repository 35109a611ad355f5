"""The SQLite store: the contract of all stores, and what a file can suffer."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth.accountant import Accountant
from dpsynth.accountant.anchors import AnchoredStore
from dpsynth.accountant.locks import FileLock
from dpsynth.accountant.sqlite import WAIT, SqliteStore
from dpsynth.accountant.sqlite_cells import VERSION
from dpsynth.errors import BudgetRefused, ConfigurationError, DpsynthError, StoreBusy, StoreDamaged, StoreError
from dpsynth.ledger import seal
from tests.ledger.office import ANA
from tests.processes import alone

pytest.register_assert_rewrite("tests.accountant.store_contract")
from tests.accountant.store_contract import CAP, TENTH, StoreContract, charge, open_people, reserve  # noqa: E402

NAME = "accounts.db"
SIGNED = seal(b"signed", [ANA])
DIGEST = "sha256:" + sha256(SIGNED).hexdigest()
NOBODY = 65534


def open_sqlite(place: Path) -> SqliteStore:
    return SqliteStore.open(place / NAME, create=True, wait=20)


def open_anchored(place: Path) -> AnchoredStore:
    """As an accountant opens it."""
    return AnchoredStore(open_sqlite(place), place / "anchors")


class TestSqlite(StoreContract):
    opener = staticmethod(open_anchored)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with accounts, a settled release and one in the middle of a verb."""
    path = tmp_path_factory.mktemp("filled") / NAME
    with Accountant.open(path, create=True) as accountant:
        for name in ("people", "others"):
            open_people(accountant, name)
        done = reserve(accountant)
        for turn in range(20):
            done.store(done.draw([charge(TENTH.amount / 40)] * 2), bytes([turn]) * 1000)
        done.settle()
        reserve(accountant, "r2").draw([charge(TENTH)])
        reserve(accountant, "r0").void()
        reserve(accountant, "r3").close()
        accountant.keep(DIGEST, SIGNED)
    return path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path))


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """The file in the hands of another program."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def everything(path: Path) -> list[object]:
    with Accountant.open(path) as accountant:
        found: list[object] = []
        for name in ("people", "others"):
            found.append(accountant.history(name))
        for release in ("r1", "r2"):
            reservation = reserve(accountant, release)
            found += [reservation.answers(), reservation.settled, reservation.left]
        return [accountant.accounts(), *found]


# --- making and opening -----------------------------------------------------------------------------------------------


def test_a_missing_store_is_named_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"accounts\.db.*`dpsynth budget open"):
        Accountant.open(tmp_path / NAME)
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_made_for_its_owner_alone_and_leaves_nothing_else(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        Accountant.open(tmp_path / NAME, create=True).close()
    finally:
        os.umask(old)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_create_opens_what_is_there(store: Path) -> None:
    before = store.read_bytes()
    with Accountant.open(store, create=True) as accountant:
        assert len(accountant.accounts()) == 2
    assert store.read_bytes() == before


def test_the_journal_of_a_store_that_is_gone_is_not_mixed_into_a_new_one(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}-journal").write_bytes(b"pages of spent budget")
    with pytest.raises(StoreDamaged, match="the journal of a store that is gone"):
        Accountant.open(tmp_path / NAME, create=True)
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}-journal"]


def test_a_folder_that_is_missing_and_a_path_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        Accountant.open(tmp_path / "nowhere" / NAME, create=True)
    with pytest.raises(ConfigurationError, match="a store of accounts is a file"):
        Accountant.open(tmp_path, create=True)


@pytest.mark.parametrize("name", ["a store #1?mode=memory&x=%41.db", "bürgerämter 人口.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        with Accountant.open(tmp_path / name, create=True) as accountant:
            open_people(accountant)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_newer_store_asks_for_a_newer_dpsynth(store: Path) -> None:
    with raw(store) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(ConfigurationError, match="newer dpsynth"):
        Accountant.open(store)


def test_an_older_store_is_left_as_it_is_and_says_what_to_do(store: Path) -> None:
    with raw(store) as connection:
        connection.execute("PRAGMA user_version = 1")
    before = store.read_bytes()
    with pytest.raises(
        ConfigurationError, match=r"older dpsynth .store version 1.* each account has its measure.*another --store"
    ):
        Accountant.open(store)
    assert store.read_bytes() == before


def test_every_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    with closing(open_sqlite(tmp_path)) as store:
        for pragma, value in {
            "journal_mode": "delete",
            "synchronous": 3,
            "foreign_keys": 1,
            "trusted_schema": 0,
        }.items():
            assert store._connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)


def test_a_store_that_was_put_into_wal_mode_is_taken_back(store: Path) -> None:
    with raw(store) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    Accountant.open(store).close()
    assert store.read_bytes()[18:20] == b"\x01\x01"


def test_a_store_is_not_carried_across_a_fork(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Accountant.open(store) as accountant:
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(DpsynthError, match="across a fork"):
            accountant.accounts()


# --- locks of releases ------------------------------------------------------------------------------------------------


def locks(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{NAME}.*.lock"))


def test_a_lock_is_a_file_that_tells_nothing_and_goes_when_the_release_is_settled(store: Path) -> None:
    old = os.umask(0)
    try:
        with Accountant.open(store) as accountant:
            held, other = reserve(accountant, "../r 3"), reserve(accountant, "x" * 200)
            assert len(locks(store.parent)) == 2
            assert {path.stat().st_mode & 0o777 for path in locks(store.parent)} == {0o600}
            assert {path.stat().st_size for path in locks(store.parent)} == {0}
            held.settle()
            held.close()
            assert len(locks(store.parent)) == 1
            other.close()
            assert len(locks(store.parent)) == 1, "another process may wait for it"
            with pytest.raises(BudgetRefused):
                reserve(accountant, "r4", CAP.cost())
            reserve(accountant, "r1")
    finally:
        os.umask(old)
    assert len(locks(store.parent)) == 1


def test_a_handle_that_nobody_has_holds_nothing(store: Path) -> None:
    with Accountant.open(store) as accountant:
        reservation = reserve(accountant, "r2")
        with pytest.raises(StoreBusy):
            reserve(accountant, "r2")
        del reservation
        reserve(accountant, "r2")


def test_a_link_in_the_place_of_a_lock_is_not_followed(store: Path, tmp_path: Path) -> None:
    with Accountant.open(store) as accountant:
        reserve(accountant, "r2").close()
        (path,) = locks(store.parent)
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ConfigurationError, match="the store cannot be written"):
            reserve(accountant, "r2")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_that_ends_does_not_let_go(tmp_path: Path) -> None:
    alone(end_a_forked_child, tmp_path / "lock")


def end_a_forked_child(path: Path) -> None:
    lock = FileLock.take(path)
    child = os.fork()
    if child == 0:
        lock.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(BlockingIOError):
        FileLock.take(path)
    lock.close()
    FileLock.take(path).close(for_ever=True)
    assert not path.exists()


def test_without_file_locks_the_newest_run_goes_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpsynth.accountant.locks.fcntl", None)
    with Accountant.open(store) as accountant:
        old, new = reserve(accountant, "r9"), reserve(accountant, "r9")
        with pytest.raises(StoreBusy, match="took release 'r9' over"):
            old.draw([charge(TENTH)])
        new.settle()
    assert locks(store.parent) == []


# --- damage -----------------------------------------------------------------------------------------------------------

DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"not a database " * 999),
    "text": lambda path: path.write_text("account,epsilon\n"),
    "first page only": lambda path: os.truncate(path, 4096),
    "half a page short": lambda path: os.truncate(path, path.stat().st_size - 2048),
    "a page short": lambda path: os.truncate(path, path.stat().st_size - 4096),
    "cut in the header": lambda path: os.truncate(path, 50),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}

STATEMENTS = {
    "another program": "PRAGMA application_id = 1",
    "older version": "PRAGMA user_version = 0",
    "missing table": "DROP TABLE outcome",
    "missing trigger": "DROP TRIGGER entry_is_kept",
    "missing index": "DROP INDEX verb_by_release",
    "foreign table": "CREATE TABLE notes (x)",
    "weakened trigger": "DROP TRIGGER hold_is_kept; "
    "CREATE TRIGGER hold_is_kept BEFORE DELETE ON hold BEGIN SELECT 1; END",
    "no secret": "DROP TRIGGER store_is_kept; DELETE FROM store; CREATE TRIGGER store_is_kept BEFORE DELETE ON store "
    "BEGIN SELECT RAISE(ABORT, 'a store keeps its secret'); END",
    "held lowered": "UPDATE account SET held_whole = 0, held_units = 0 WHERE name = 'people'",
    "check broken": "PRAGMA ignore_check_constraints = ON; UPDATE account SET held_whole = 1 WHERE name = 'people'",
    "orphan": "PRAGMA foreign_keys = OFF; INSERT INTO release VALUES ('r9', 'nobody', 'sha256:' || hex(zeroblob(32)), "
    "zeroblob(32), 'RESERVED', 0)",
}


BEHIND = {
    "cap raised": ("cap_is_granted", "UPDATE account SET cap_whole = 9 WHERE name = 'people'"),
    "another parent": ("account_is_fixed", "UPDATE account SET parent = 'others' WHERE name = 'people'"),
    "no name of the log": ("log_is_kept", "DELETE FROM log"),
    "a void release": (
        "release_is_given_back",
        "INSERT INTO entry SELECT max(seq) + 1, 'people', 'r3', '{\"kind\":\"void\"}', zeroblob(32) FROM entry; "
        "UPDATE release SET state = 'VOID' WHERE id = 'r3'",
    ),
}
"""A trigger that is taken away, a statement that it forbids, and the trigger put back."""


def behind(path: Path, trigger: str, statement: str) -> None:
    with raw(path) as connection:
        (text,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (trigger,)).fetchone()
        connection.executescript(f"DROP TRIGGER {trigger}; {statement}; {text};")


def refuse(path: Path) -> None:
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises(StoreDamaged, match="bring back") as caught:
            Accountant.open(path, create=create)
        assert caught.value.exit_code == 31
    assert path.read_bytes() == before, "a damaged store is left as it is"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_and_left(store: Path, damage: str) -> None:
    DAMAGES[damage](store)
    refuse(store)


@pytest.mark.parametrize("statements", STATEMENTS)
def test_a_changed_store_is_told_and_left(store: Path, statements: str) -> None:
    with raw(store) as connection:
        connection.executescript(STATEMENTS[statements])
    refuse(store)


@pytest.mark.parametrize("what", BEHIND)
def test_a_store_changed_behind_its_triggers_is_told_and_left(store: Path, what: str) -> None:
    behind(store, *BEHIND[what])
    refuse(store)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with raw(path) as connection:
        connection.executescript("CREATE TABLE account (name); CREATE TABLE entry (line)")
    refuse(path)


@pytest.mark.parametrize(
    ("trigger", "statement"),
    [
        ("entry_is_fixed", "UPDATE entry SET line = replace(line, '\"cost\"', '\"c0st\"') WHERE seq = 3"),
        ("outcome_is_fixed", "UPDATE outcome SET answer = x'00'"),
        ("outcome_is_kept", "DELETE FROM outcome"),
        ("outcome_is_one", "INSERT OR REPLACE INTO outcome SELECT first, x'00' FROM verb WHERE release = 'r2'"),
        ("verb_is_kept", "PRAGMA foreign_keys = OFF; DELETE FROM verb WHERE release = 'r2'"),
        ("entry_is_kept", "PRAGMA foreign_keys = OFF; DELETE FROM entry WHERE seq = 5"),
    ],
)
def test_a_changed_line_or_answer_is_told_when_it_is_read(store: Path, trigger: str, statement: str) -> None:
    behind(store, trigger, statement)
    with pytest.raises(StoreDamaged, match="bring back"):
        everything(store)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_a_flipped_bit_never_changes_what_is_read(filled: Path, place: int, bit: int) -> None:
    data = bytearray(filled.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_bytes(data)
        secret_at = data.index(_secret(filled))
        os.environ["DPSYNTH_ANCHORS"] = f"{folder}/first"
        expected = everything(path)
        os.environ["DPSYNTH_ANCHORS"] = f"{folder}/second"  # a copy that is brought back on purpose
        place %= len(data)
        data[place] ^= 1 << bit
        path.write_bytes(data)
        try:
            found = everything(path)
        except DpsynthError as error:
            assert error.exit_code in (2, 31, 32), error
        else:
            assert _without_nonces(found) == _without_nonces(expected) or secret_at <= place < secret_at + 32


def test_a_text_that_is_none_any_more_is_damage(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the plan of a release stands and is read; and what stands there is not quoted."""
    data, plan = store.read_bytes(), b"sha256:" + b"a" * 64
    places = [at for at in range(len(data)) if data.startswith(plan, at)]
    told = []
    for at in places:
        monkeypatch.setenv("DPSYNTH_ANCHORS", f"{store}.{at}")  # each is a copy of its own
        changed = bytearray(data)
        changed[at + len("sha256:")] ^= 0x80
        store.write_bytes(changed)
        try:
            everything(store)
        except DpsynthError as error:
            assert isinstance(error, StoreDamaged)
            told.append(str(error))
    assert told
    assert "aaaa" not in "".join(told)


def _secret(path: Path) -> bytes:
    with Accountant.open(path) as accountant:
        return accountant.secret


def _without_nonces(found: list[object]) -> list[object]:
    """Taking r2 over writes one new line, which is not the same twice."""
    accounts, people, *rest = found
    assert isinstance(people, tuple)
    return [accounts, people[:-1], *rest]


# --- the database enforces --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET line = '{}'",
        "DELETE FROM entry",
        "DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)",
        "INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE seq = 3",
        "INSERT INTO entry SELECT 999, account, release, line, chain FROM entry WHERE seq = 3",
        "UPDATE outcome SET answer = NULL",
        "DELETE FROM outcome",
        "INSERT OR REPLACE INTO outcome SELECT verb, x'00' FROM outcome",
        "DELETE FROM verb",
        "UPDATE verb SET last = first",
        "INSERT OR REPLACE INTO verb SELECT * FROM verb",
        "DELETE FROM hold",
        "UPDATE hold SET units = 0",
        "INSERT OR REPLACE INTO hold SELECT release, account, 0, 0, 0 FROM hold",
        "INSERT INTO hold VALUES ('r1', 'others', 1, 0, 0)",
        "INSERT INTO hold VALUES ('r1', 'others', 0, -1, 0)",
        "UPDATE account SET held_whole = 1",
        "UPDATE account SET name = 'x'",
        "DELETE FROM account",
        "UPDATE account SET measure = 'zcdp'",
        "INSERT OR REPLACE INTO account SELECT name, parent, measure, 9, 0, 0, 0, 0, 0 FROM account",
        "UPDATE release SET plan = 'sha256:' || hex(zeroblob(32))",
        "UPDATE release SET source = zeroblob(32)",
        "UPDATE release SET state = 'RESERVED' WHERE id = 'r1'",
        "UPDATE release SET state = 'VOID' WHERE id = 'r2'",
        "UPDATE release SET lease = lease - 1",
        "DELETE FROM release",
        "INSERT OR REPLACE INTO release SELECT id, account, plan, source, 'RESERVED', 0 FROM release",
        "UPDATE store SET secret = zeroblob(32)",
        "DELETE FROM store",
        "INSERT OR REPLACE INTO store VALUES (1, zeroblob(32))",
        "UPDATE account SET cap_whole = cap_whole + 1",
        "UPDATE account SET cap_units = 0",
        "INSERT INTO granted VALUES (2, 'people', 'sha256:' || lower(hex(zeroblob(32))), 0, 0, 0)",
        "INSERT INTO granted VALUES (0, 'people', 'sha256:' || lower(hex(zeroblob(32))), 0, 0, 0)",
        "UPDATE log SET origin = 'dpsynth.log/' || lower(hex(zeroblob(16)))",
        "DELETE FROM log",
        "INSERT OR REPLACE INTO log VALUES (1, 'dpsynth.log/' || lower(hex(zeroblob(16))))",
        "UPDATE head SET size = size + 1",
        "DELETE FROM head",
        "INSERT INTO head VALUES (1)",
        "INSERT OR REPLACE INTO head SELECT * FROM head",
        "UPDATE attestation SET data = x'00'",
        "DELETE FROM attestation",
        "INSERT OR REPLACE INTO attestation SELECT digest, x'00' FROM attestation",
        "INSERT INTO verb SELECT max(seq), max(seq), 'r1' FROM entry",
        "INSERT INTO hold VALUES ('r0', 'others', 0, 0, 0)",
        "UPDATE release SET state = 'VOID' WHERE id = 'r3'",
    ],
)
def test_nothing_that_was_written_can_be_changed(store: Path, statement: str) -> None:
    before = everything(store)
    with raw(store) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(statement)
    assert everything(store)[0] == before[0]


def test_the_sum_is_kept_by_the_database(store: Path) -> None:
    with raw(store) as connection:
        connection.execute("DROP TRIGGER cap_is_granted")
        connection.execute("UPDATE account SET cap_whole = 3, cap_units = 1, cap_delta = 7 WHERE name = 'others'")
        connection.execute("INSERT INTO hold VALUES ('r1', 'others', 1, 1152921504606846975, 7)")
        with pytest.raises(sqlite3.IntegrityError, match="held_within_cap"):
            connection.execute("INSERT INTO hold VALUES ('r2', 'others', 1, 3, 0)")
        connection.execute("INSERT INTO hold VALUES ('r2', 'others', 1, 2, 0)")
        row = connection.execute("SELECT held_whole, held_units, held_delta FROM account WHERE name = 'others'")
        assert row.fetchone() == (3, 1, 7)


# --- other processes, other users, full disks -------------------------------------------------------------------------


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_lock_held_too_long_is_busy(store: Path, lock: str) -> None:
    with closing(SqliteStore.open(store, wait=0.1)) as inner, raw(store) as other:
        accountant = Accountant(inner)
        other.execute(f"BEGIN {lock}")
        started = time.monotonic()
        with pytest.raises(StoreBusy, match="nothing was written, try again") as caught:
            reserve(accountant, "r9")
        assert caught.value.exit_code == 30
        assert time.monotonic() - started < WAIT, "it waits as long as it was told, not as by default"
        if lock == "EXCLUSIVE":
            with pytest.raises(StoreBusy):
                SqliteStore.open(store, wait=0.1)
        other.execute("ROLLBACK")
        reserve(accountant, "r9")


def test_a_reader_that_stays_holds_a_commit_back_and_nothing_is_written(store: Path) -> None:
    with closing(SqliteStore.open(store, wait=0.1)) as inner, raw(store) as other:
        accountant = Accountant(inner)
        before = accountant.history("people")
        other.execute("BEGIN")
        other.execute("SELECT * FROM entry").fetchone()
        with pytest.raises(StoreBusy):
            reserve(accountant, "r9")
        other.execute("ROLLBACK")
        assert accountant.history("people") == before
        reserve(accountant, "r9")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere: take its rights away for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def guarded(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store that its user may read, in a folder that he may not write to."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders cannot be entered by another user
    anchors = Path(tempfile.mkdtemp())
    monkeypatch.setenv("DPSYNTH_ANCHORS", str(anchors))
    path = Path(shutil.copy(filled, folder))
    if os.geteuid() == 0:
        for mine in (path, anchors):
            os.chown(mine, NOBODY, NOBODY)
    folder.chmod(0o555)
    yield path
    folder.chmod(0o700)
    shutil.rmtree(folder)
    shutil.rmtree(anchors)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_folder_that_cannot_be_written_can_be_read(guarded: Path, mode: int) -> None:
    guarded.chmod(mode)
    before = guarded.read_bytes()
    with as_nobody(), Accountant.open(guarded) as accountant:
        assert accountant.account("people").held.amount == 3 * TENTH.amount
        with pytest.raises(ConfigurationError, match="the store cannot be written"):
            reserve(accountant, "r9")
    assert guarded.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_a_store_cannot_be_made_where_nothing_can(guarded: Path) -> None:
    with as_nobody(), pytest.raises(ConfigurationError, match="needs a folder that you may write to"):
        Accountant.open(guarded.with_name("new.db"), create=True)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_a_store_of_somebody_else_cannot_be_read(guarded: Path) -> None:
    guarded.chmod(0)
    with as_nobody(), pytest.raises(ConfigurationError):
        Accountant.open(guarded)


def test_a_full_disk_charges_nothing_that_was_not_written(store: Path) -> None:
    with closing(SqliteStore.open(store)) as inner:
        accountant = Accountant(inner)
        reservation = reserve(accountant, "r9")
        (pages,) = inner._connection.execute("PRAGMA page_count").fetchone()
        inner._connection.execute(f"PRAGMA max_page_count = {pages}")
        before = accountant.history("people")
        seqs = ()
        with pytest.raises(StoreError, match="the disk did not take the write"):
            for _ in range(100):
                seqs = reservation.draw([charge(TENTH.amount / 200)])
                before = accountant.history("people")
                reservation.store(seqs, b"x" * 5000)
        assert accountant.history("people") == before
        inner._connection.execute("PRAGMA max_page_count = 100000")
        reservation.store(seqs, b"x" * 5000)
        assert reservation.answers()[-1].answer == b"x" * 5000


def test_what_is_spent_survives_a_copy_brought_back(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(store, tmp_path / "copy.db"))
    store.write_bytes(b"damaged")
    with pytest.raises(StoreDamaged):
        Accountant.open(store, create=True)
    shutil.copy(copy, store)
    with Accountant.open(store) as accountant:
        assert accountant.account("people").left == CAP.cost() - TENTH - TENTH - TENTH
