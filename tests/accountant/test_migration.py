"""A store of version 2 or 3 is brought to version 4: what it holds stays what it was, and goes on."""

from __future__ import annotations

import hmac
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dpsynth.accountant import Accountant, Attempts, log
from dpsynth.accountant.sqlite_cells import VERSION
from dpsynth.accountant.sqlite_schema import APPLICATION_ID, FIRST_VERSION, SCHEMA
from dpsynth.accountant.store import EntryRow, Reading
from dpsynth.errors import ConfigurationError, LogInconsistent, StoreBusy, StoreDamaged
from dpsynth.ledger import amount, claim, leaf_hash, parse, render
from dpsynth.ledger.kinds import FIELDS, OLDER
from dpsynth.ledger.log import root_of
from dpsynth.privacy import Cells, Cost

pytest.register_assert_rewrite("tests.accountant.store_contract")
from tests.accountant.store_contract import CAP, PLAN, TENTH, charge, open_people, reserve  # noqa: E402
from tests.processes import at_once  # noqa: E402

SECRET = bytes(range(32))
FIXED = next(line for line in SCHEMA.splitlines() if line.startswith("CREATE TRIGGER entry_is_fixed"))


def old_line(kind: Any, fields: dict[str, Any], seq: int, account: str) -> bytes:
    """A line in the form that version 2 wrote."""
    (older,) = OLDER.get(kind, (FIELDS[kind],))
    extra = {"parent": None, "level": "project", "grant": None, "root": None, "above": []}
    line = render(kind, {**fields, **{key: extra[key] for key in FIELDS[kind].keys() - older.keys()}}, seq=seq,
                  account=account)  # fmt: skip
    whole = parse(line)
    stripped = line
    for key in FIELDS[kind].keys() - older.keys():
        value = {"parent": b"null", "level": b'"project"', "grant": b"null", "root": b"null", "above": b"[]"}[key]
        for pair in (b',"%s":%s' % (key.encode(), value), b'"%s":%s,' % (key.encode(), value)):
            if pair in stripped:
                stripped = stripped.replace(pair, b"", 1)
                break
    assert parse(stripped).fields == {key: value for key, value in whole.fields.items() if key in older}
    return stripped


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as the text of version 2 makes it: one settled release, one with an answer and one open verb, one asked
    for only, and two accounts."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FIRST_VERSION}; BEGIN; {SCHEMA} COMMIT;"
        )
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("INSERT INTO store VALUES (1, ?)", (SECRET,))
        link, seq = bytes(32), 0

        def append(kind: Any, fields: dict[str, Any], account: str = "people", release: str | None = None) -> int:
            nonlocal link, seq
            line = old_line(kind, fields, seq, account)
            link = log._link(link, line)
            db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", (seq, account, release, line.decode(), link))
            seq += 1
            return seq - 1

        units = int(CAP.cost().amount * 2**60)
        for name in ("people", "others"):
            db.execute("INSERT INTO account VALUES (?, NULL, 'gdp', 0, ?, 0, 0, 0, 0)", (name, units))
            terms = {"entity": "person", "column": "id", "neighbours": "add-remove", "measure": "gdp"}
            append("open", {**terms, "cap": amount(CAP.cost()), "policy": claim(CAP)}, name)
        mark = hmac.digest(SECRET, b"", "sha256")
        for number, release in enumerate(("done", "drawing", "asked"), 1):
            db.execute("INSERT INTO release VALUES (?, 'people', ?, ?, 'RESERVED', 0)", (release, PLAN, mark))
            held = Cost("gdp", number * TENTH.amount)
            sums = {"reserved": amount(TENTH), "quote": claim(CAP), "held": amount(held), "running_epsilon": "1"}
            append("reserve", {"release": release, "plan": PLAN, **sums}, release=release)
            db.execute("INSERT INTO hold VALUES (?, 'people', 0, ?, 0)", (release, int(TENTH.amount * 2**60)))
        for release in ("done", "drawing"):
            cost = Cost("gdp", TENTH.amount / 4)
            fields = dict(charge(cost).fields)
            running = {"spent": amount(cost), "epsilon": "0.1"}
            fields |= {"release": release, "cost": amount(cost), "running": running, "state": "DRAWING"}
            first = append("measure", fields, release=release)
            db.execute("INSERT INTO verb VALUES (?, ?, ?)", (first, first, release))
            db.execute("UPDATE release SET state = 'DRAWING' WHERE id = ?", (release,))
            if release == "done":
                digest = "sha256:" + sha256(b"noisy").hexdigest()
                append("stored", {"release": release, "of": [first], "answer": digest}, release=release)
                db.execute("INSERT INTO outcome VALUES (?, ?)", (first, b"noisy"))
                db.execute("UPDATE release SET state = 'MEASURED' WHERE id = ?", (release,))
                settle = {"release": release, "spent": amount(cost), "reserved": amount(TENTH)}
                append("settle", settle, release=release)
                db.execute("UPDATE release SET state = 'SETTLED' WHERE id = ?", (release,))
    return path


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        found: int = db.execute("PRAGMA user_version").fetchone()[0]
        return found


def lines(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as db:
        return [line for (line,) in db.execute("SELECT CAST(line AS BLOB) FROM entry ORDER BY seq")]


def test_everything_is_there_and_goes_on(old: Path) -> None:
    before = lines(old)
    with Accountant.open(old) as accountant:
        assert version(old) == VERSION == 4
        assert lines(old) == before
        assert accountant.secret == SECRET
        people, others = accountant.accounts()
        assert (people.held.amount, others.held.amount) == (3 * TENTH.amount, 0)
        assert (people.level, people.parent, people.root, people.cap) == ("project", None, None, CAP.cost())
        assert people.attempts == Attempts()
        open_people(accountant)
        done = reserve(accountant, "done")
        assert (done.settled, [stored.answer for stored in done.answers()]) == (True, [b"noisy"])
        with reserve(accountant, "drawing") as resumed:
            assert [stored.answer for stored in resumed.answers()] == [None]
            resumed.store(resumed.draw([charge(TENTH.amount / 2)]), b"again")
            resumed.settle()
        accountant.void("asked")
        assert accountant.account("people").held.amount == 2 * TENTH.amount
        assert accountant.account("people").attempts == Attempts(lost=1)
        reserve(accountant, "new").settle()
        accountant.decide("done", "withdraw", {"reason": "other", "attestations": []})
    with Accountant.open(old) as accountant:
        assert accountant.account("people").held.amount == 3 * TENTH.amount


def test_the_head_of_what_was_settled_is_known(old: Path) -> None:
    with Accountant.open(old) as accountant:
        origin = accountant.origin
        story = accountant.story("done")
        assert story.head.size == [parse(line).kind for line in lines(old)].index("settle") + 1
        assert story.head.root == root_of([leaf_hash(line) for line in lines(old)[: story.head.size]])
        assert (story.head.history, story.accounts[0].held_after) == ((), TENTH)
        assert (story.accounts[0].level, story.accounts[0].parent, story.grants) == ("project", None, ())
        assert accountant._store.read(_heads) == (story.head.size,)
    with Accountant.open(old) as accountant:
        assert accountant.origin == origin


def test_a_copy_of_before_is_known_by_its_anchor(old: Path, tmp_path: Path) -> None:
    """Brought along twice it is one log: what the first spent is not there to be spent again."""
    copy = Path(shutil.copy(old, tmp_path / "copy.db"))
    with Accountant.open(old) as accountant:
        origin = accountant.origin
        reserve(accountant, "new").close()
    shutil.copy(copy, old)
    with Accountant.open(old) as accountant:
        assert accountant.origin == origin
        assert SECRET.hex()[:32] not in origin
        with pytest.raises(LogInconsistent):
            reserve(accountant, "newer")


def _heads(tx: Reading) -> tuple[int, ...]:
    return tx.heads()


def test_no_grant_reaches_an_account_of_before(old: Path) -> None:
    with Accountant.open(old) as accountant, pytest.raises(ConfigurationError, match="no root of its own"):
        accountant.set_root("people", b"")


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER hold_is_kept",
        "CREATE TABLE head (size INTEGER)",
        f"DROP TRIGGER entry_is_fixed; UPDATE entry SET line = 'x'; {FIXED}",
    ],
    ids=["less", "more", "changed"],
)
def test_what_is_no_whole_store_is_left_as_it_is(old: Path, statement: str) -> None:
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.executescript(statement)
    before = old.read_bytes()
    with pytest.raises(StoreDamaged):
        Accountant.open(old)
    if "line" not in statement:
        assert old.read_bytes() == before


def test_a_busy_store_is_brought_along_another_time(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpsynth.accountant.sqlite.SqliteStore.open.__func__.__defaults__", (False, 0.1))
    before = old.read_bytes()
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            Accountant.open(old)
    assert old.read_bytes() == before
    Accountant.open(old).close()
    assert version(old) == VERSION


def test_many_processes_bring_one_store_along(old: Path) -> None:
    assert len(set(at_once(origin_of, [(old,)] * 8))) == 1


def origin_of(path: Path) -> str:
    with Accountant.open(path) as accountant:
        return accountant.origin


def test_a_crash_while_it_is_brought_along_leaves_version_2(old: Path, tmp_path: Path) -> None:
    """The journal of a transaction that was not committed takes everything back."""
    before = old.read_bytes()
    for number, _ in enumerate(_steps(old, tmp_path)):
        left = tmp_path / f"crashed-{number}.db"
        with closing(sqlite3.connect(left)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (FIRST_VERSION,)
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with Accountant.open(left, anchors=tmp_path / f"anchors-{number}") as accountant:
            assert len(accountant.accounts()) == 2
    assert number > 20
    assert old.read_bytes() == before


def _steps(old: Path, folder: Path) -> Iterator[None]:
    """After each statement of a migration, file and journal as a crash would leave them."""
    from dpsynth.accountant import sqlite

    statements = [*sqlite._statements(sqlite.TABLES), sqlite.EARLIER_HEADS, *sqlite._statements(sqlite.TRIGGERS)]
    statements += sqlite._statements(sqlite.CELLS)
    work = Path(shutil.copy(old, folder / "work.db"))
    with closing(sqlite3.connect(work, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")  # pages reach the file before the commit
        db.execute("BEGIN IMMEDIATE")
        for number, statement in enumerate(statements):
            db.execute(statement)
            copy = folder / f"crashed-{number}.db"
            shutil.copy(work, copy)
            journal = work.with_name(work.name + "-journal")
            if journal.exists():
                shutil.copy(journal, copy.with_name(copy.name + "-journal"))
            yield
        db.execute("ROLLBACK")


def test_old_and_new_rows_are_told_apart_by_nothing_else(old: Path) -> None:
    """Lines of both forms lie in one log, chained to each other."""
    with Accountant.open(old) as accountant:
        reserve(accountant, "new").close()
        rows: tuple[EntryRow, ...] = accountant._store.read(lambda tx: tx.log_of_account("people"))
        kinds = [("above" in parse(row.line).fields) for row in rows if parse(row.line).kind == "reserve"]
        assert kinds == [False, False, False, True]


@pytest.fixture
def third(old: Path) -> Path:
    """The same store as version 3 had it."""
    from dpsynth.accountant import sqlite

    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute("BEGIN")
        for text in (sqlite.TABLES, sqlite.EARLIER_HEADS + ";\n", sqlite.TRIGGERS):
            for statement in sqlite._statements(text):
                db.execute(statement)
        db.execute("INSERT INTO log VALUES (1, ?)", (f"dpsynth.log/{'0' * 32}",))
        db.execute("PRAGMA user_version = 3")
        db.execute("COMMIT")
    return old


def test_a_store_of_version_3_goes_on_and_may_have_cells(third: Path) -> None:
    before = lines(third)
    with Accountant.open(third) as accountant:
        assert (version(third), lines(third), accountant.origin) == (4, before, f"dpsynth.log/{'0' * 32}")
        assert [account.held.amount / TENTH.amount for account in accountant.accounts()] == [3, 0]
        assert {(account.cells, account.cell) for account in accountant.accounts()} == {(None, None)}
        unit: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": "add-remove", "budget": CAP}
        accountant.open_account("study", **unit, level="source", cells=Cells("region", ("north", "south")))
        for label in ("north", "south"):
            accountant.open_account(label, **unit, parent="study", cell=label)
            reserve(accountant, label, account=label).close()
        assert accountant.account("study").held == TENTH
        reserve(accountant, "new").close()
    with Accountant.open(third) as accountant:
        assert accountant.account("study").held == TENTH


def test_a_store_of_version_3_with_something_else_is_left_as_it_is(third: Path) -> None:
    with closing(sqlite3.connect(third, isolation_level=None)) as db:
        db.executescript("CREATE TABLE cell (account TEXT)")
    before = third.read_bytes()
    with pytest.raises(StoreDamaged):
        Accountant.open(third)
    assert third.read_bytes() == before
