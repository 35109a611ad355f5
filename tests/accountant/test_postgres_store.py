"""The PostgreSQL store: the contract of all stores, kept by a role that only adds; what makes and what damages it."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import Connection

from dpsynth.accountant import Accountant, postgres_catalogue, postgres_rows
from dpsynth.accountant.postgres import PostgresStore
from dpsynth.accountant.postgres_schema import VERSION
from dpsynth.errors import ConfigurationError, DpsynthError, StoreBusy, StoreDamaged
from dpsynth.ledger.kinds import LEVELS
from dpsynth.privacy import Cells, Cost

pytest.register_assert_rewrite("tests.accountant.store_contract")
from tests.accountant.postgres_server import (  # noqa: E402
    ADMIN,
    APP,
    OWNER,
    PASSWORDS,
    PORT,
    Server,
    postgres,
    quoted,
    schema_of,
    url,
)
from tests.accountant.store_contract import (  # noqa: E402
    CAP,
    TENTH,
    StoreContract,
    charge,
    open_people,
    open_under,
    reserve,
)

__all__ = ["postgres"]

pytestmark = pytest.mark.usefixtures("postgres")


def open_postgres(place: Path, wait: float = 20) -> PostgresStore:
    """As the role that uses a store; its owner makes it if it is missing."""
    schema = schema_of(place)
    try:
        return PostgresStore.open(url(APP, schema=schema), wait=wait)
    except ConfigurationError:
        PostgresStore.open(url(OWNER, schema=schema, app=APP), create=True, wait=wait).close()
        return PostgresStore.open(url(APP, schema=schema), wait=wait)


TINY = Cost("gdp", Fraction(1, 2**20))


class TestPostgres(StoreContract):
    opener = staticmethod(open_postgres)


class Ways:
    """The statements that a store sends: each is a way to the server and back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[str] = []
        begun, done = Connection.exec_driver_sql, Connection.execute

        def by_hand(connection: Connection, statement: str, *more: Any) -> Any:
            self.sent.append(statement)
            return begun(connection, statement, *more)

        def built(connection: Connection, statement: Any, *more: Any) -> Any:
            self.sent.append(str(statement))
            return done(connection, statement, *more)

        monkeypatch.setattr(Connection, "exec_driver_sql", by_hand)
        monkeypatch.setattr(Connection, "execute", built)

    def of(self, act: Callable[[], Any]) -> tuple[int, Any]:
        self.sent.clear()
        made = act()
        return len(self.sent), made


def test_an_account_deeper_in_its_tree_takes_one_way_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All who pay are read at once; each holds by a row of its own. What was read is not asked for again."""
    with Accountant(open_postgres(tmp_path)) as accountant:
        names = ("top", "people", "source", "map")
        for name, above, level in zip(names, (None, *names), LEVELS, strict=False):
            open_under(accountant, name, above, level, CAP)
        ways = Ways(monkeypatch)
        found = {}
        for name in names:
            found[name], handle = ways.of(lambda name=name: reserve(accountant, name, TINY, account=name))
            drawn, seqs = ways.of(lambda handle=handle: handle.draw([charge(TINY)]))
            stored, _ = ways.of(lambda handle=handle, seqs=seqs: handle.store(seqs, b"x"))
            assert (drawn, stored) == (8, 8)
            assert len(ways.sent) == len(set(ways.sent))
        assert [found[name] - found["top"] for name in names] == [0, 1, 2, 3]
        assert found["top"] <= 21


def test_more_accounts_than_a_statement_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_rows, "_MOST", 2)
    with Accountant(open_postgres(tmp_path)) as accountant:
        for name in "abcd":
            open_people(accountant, name)
        before = accountant.accounts()
        reserve(accountant, account="b").settle()
    with Accountant(open_postgres(tmp_path)) as accountant:
        found = accountant.accounts()
    assert [account.name for account in found] == list("abcd")
    assert [account.held != other.held for account, other in zip(found, before, strict=True)] == [0, 1, 0, 0]


@pytest.fixture
def schema(postgres: Server, tmp_path: Path) -> str:
    """A store with accounts, a settled release and one in the middle of a verb."""
    with Accountant(open_postgres(tmp_path)) as accountant:
        for name in ("people", "others"):
            open_people(accountant, name)
        done = reserve(accountant)
        for turn in range(3):
            done.store(done.draw([charge(TENTH.amount / 40)] * 2), bytes([turn]) * 1000)
        done.settle()
        reserve(accountant, "r2").draw([charge(TENTH)])
    everything(schema_of(tmp_path))  # what was drawn and not stored is lost now
    return schema_of(tmp_path)


def raw(server: Server, schema: str, statement: str, role: str = ADMIN) -> list[tuple[Any, ...]]:
    """A statement of another program."""
    return server.sql(f"SET search_path = {schema}; {statement}", role)


def everything(schema: str) -> list[object]:
    with Accountant(PostgresStore.open(url(APP, schema=schema))) as accountant:
        found: list[object] = [accountant.accounts()]
        for name in ("people", "others"):
            found.append(accountant.history(name))
        for release in ("r1", "r2"):
            with reserve(accountant, release) as reservation:
                found += [reservation.answers(), reservation.settled, reservation.left]
        return found


# --- the database enforces --------------------------------------------------------------------------------------------

DIGEST = "'sha256:' || repeat('0', 64)"
CHANGES = [
    "UPDATE entry SET line = '{}'",
    "DELETE FROM entry",
    "DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)",
    "DELETE FROM entry WHERE false",
    "TRUNCATE entry CASCADE",
    "INSERT INTO entry SELECT 999, account, release, line, chain FROM entry WHERE seq = 3",
    "INSERT INTO entry SELECT * FROM (SELECT seq, account, release, line, chain FROM entry) AS e ON CONFLICT (seq) "
    "DO UPDATE SET line = '{}'",
    "UPDATE outcome SET answer = NULL",
    "DELETE FROM outcome",
    "TRUNCATE outcome",
    "INSERT INTO outcome SELECT verb, '\\x00' FROM outcome",
    "INSERT INTO outcome SELECT verb, '\\x00' FROM outcome ON CONFLICT (verb) DO UPDATE SET answer = '\\x00'",
    "DELETE FROM verb",
    "UPDATE verb SET last = first",
    "INSERT INTO verb SELECT first + 1, last, release FROM verb WHERE release = 'r2'",
    "DELETE FROM hold",
    "UPDATE hold SET units = 0",
    "INSERT INTO hold SELECT release, account, 0, 0, 0 FROM hold",
    "INSERT INTO hold VALUES ('r1', 'others', 1, 0, 0)",
    "INSERT INTO hold VALUES ('r1', 'others', 0, -1, 0)",
    "UPDATE account SET held_whole = 0, held_units = 0",
    "UPDATE account SET cap_whole = 9",
    "UPDATE account SET name = 'x'",
    "UPDATE account SET measure = 'zcdp'",
    "DELETE FROM account",
    "TRUNCATE account CASCADE",
    "INSERT INTO account VALUES ('new', NULL, 'gdp', 1, 0, 0, 1, 0, 0)",
    "INSERT INTO account VALUES ('new', 'people', 'zcdp', 1, 0, 0, 0, 0, 0)",
    f"UPDATE release SET plan = {DIGEST}",
    "UPDATE release SET source = decode(repeat('00', 32), 'hex')",
    "UPDATE release SET state = 'RESERVED' WHERE id = 'r1'",
    "UPDATE release SET state = 'VOID' WHERE id = 'r2'",
    "UPDATE release SET state = 'VOID' WHERE id = 'r1'",
    "UPDATE release SET lease = lease - 1",
    "DELETE FROM release",
    f"INSERT INTO release VALUES ('r9', 'people', {DIGEST}, decode(repeat('00', 32), 'hex'), 'SETTLED', 0)",
    f"INSERT INTO granted VALUES (0, 'people', {DIGEST}, 1, 0, 0)",
    f"INSERT INTO granted VALUES (2, 'people', {DIGEST}, 1, 0, 0)",
    f"INSERT INTO granted VALUES (1, 'people', {DIGEST}, 1, 0, 0)",
    "UPDATE head SET size = size + 1",
    "DELETE FROM head",
    "INSERT INTO head VALUES (2)",
    "INSERT INTO head VALUES (99)",
    "DELETE FROM attestation",
    "TRUNCATE attestation",
    "UPDATE store SET secret = decode(repeat('00', 32), 'hex')",
    "UPDATE store SET origin = 'dpsynth.log/' || repeat('0', 32)",
    "DELETE FROM store",
    "INSERT INTO store SELECT 1, version, secret, origin FROM store",
    "INSERT INTO turn VALUES (1)",
]
PRIVILEGED = [
    "ALTER TABLE entry DISABLE TRIGGER ALL",
    "DROP TRIGGER entry_is_kept ON entry",
    "CREATE OR REPLACE FUNCTION entry_is_kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "ALTER TABLE account DROP CONSTRAINT held_within_cap",
    "DROP TABLE outcome",
    "CREATE TABLE notes (x int)",
    "SET session_replication_role = replica",
    "CREATE RULE nothing AS ON INSERT TO entry DO INSTEAD NOTHING",
    "GRANT UPDATE ON entry TO CURRENT_USER",
    "SET ROLE " + OWNER,
]


@pytest.mark.parametrize("role", [APP, OWNER, ADMIN])
def test_nothing_that_was_written_can_be_changed(postgres: Server, schema: str, role: str) -> None:
    before = everything(schema)[0]
    for statement in CHANGES:
        with pytest.raises((psycopg.IntegrityError, psycopg.errors.InsufficientPrivilege)):
            raw(postgres, schema, statement, role)
            pytest.fail(statement)
    assert everything(schema)[0] == before


@pytest.mark.parametrize("statement", PRIVILEGED)
def test_the_role_that_uses_a_store_cannot_free_itself(postgres: Server, schema: str, statement: str) -> None:
    try:
        raw(postgres, schema, f"{statement}; DELETE FROM outcome", APP)
    except psycopg.errors.InsufficientPrivilege:
        everything(schema)
    else:
        pytest.fail("it was let do it")


def test_nothing_is_given_back_without_a_line_of_the_log(postgres: Server, tmp_path: Path) -> None:
    with Accountant(open_postgres(tmp_path)) as accountant:
        open_people(accountant)
        reserve(accountant).close()
        schema, held = schema_of(tmp_path), accountant.account("people").held
        with pytest.raises(Exception, match="nor without a log line"):
            raw(postgres, schema, "UPDATE release SET state = 'VOID'", APP)
        assert accountant.account("people").held == held
        accountant.void("r1")
        assert not accountant.account("people").held.amount


def test_the_role_that_uses_a_store_may_add_and_move_releases_on(postgres: Server, schema: str) -> None:
    rights = postgres.sql(
        "SELECT relname, privilege_type, string_agg(attname, ',' ORDER BY attname) FROM ("
        "  SELECT relname, (aclexplode(relacl)).*, NULL::name AS attname FROM pg_class "
        f"    WHERE relnamespace = '{schema}'::regnamespace "
        "  UNION ALL SELECT relname, (aclexplode(attacl)).*, attname FROM pg_attribute JOIN pg_class ON attrelid = "
        f"    pg_class.oid WHERE relnamespace = '{schema}'::regnamespace) AS r "
        f"WHERE grantee = '{APP}'::regrole AND privilege_type <> 'SELECT' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    added = ["account", "attestation", "cell", "divided", "entry", "granted", "head", "hold", "outcome", "release"]
    added.append("verb")
    expected: list[tuple[str, str, str | None]] = [(table, "INSERT", None) for table in added]
    assert rights == sorted(
        [
            *expected,
            ("divided", "UPDATE", "delta,units,whole"),
            ("release", "UPDATE", "lease,state"),
            ("turn", "UPDATE", None),
        ],
        key=lambda r: r[:2],
    )


def test_another_role_sees_nothing(postgres: Server, schema: str) -> None:
    postgres.sql("DROP ROLE IF EXISTS stranger")
    postgres.sql("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(f"host=127.0.0.1 port={postgres.port} dbname=accounts user=stranger password=stranger")


def test_the_sum_is_kept_by_the_database(postgres: Server, schema: str) -> None:
    raw(
        postgres,
        schema,
        "SET session_replication_role = replica; "
        "UPDATE account SET cap_whole = 3, cap_units = 1, cap_delta = 7 WHERE name = 'others'",
    )
    raw(postgres, schema, "INSERT INTO hold VALUES ('r1', 'others', 1, 1152921504606846975, 7)", APP)
    with pytest.raises(psycopg.errors.CheckViolation, match="held_within_cap"):
        raw(postgres, schema, "INSERT INTO hold VALUES ('r2', 'others', 1, 3, 0)", APP)
    raw(postgres, schema, "INSERT INTO hold VALUES ('r2', 'others', 1, 2, 0)", APP)
    query = f"SELECT held_whole, held_units, held_delta FROM {schema}.account WHERE name = 'others'"
    assert postgres.sql(query) == [(3, 1, 7)]


# --- making and opening -----------------------------------------------------------------------------------------------


def test_a_missing_store_is_named_with_what_makes_one(postgres: Server) -> None:
    with pytest.raises(ConfigurationError, match=r"/accounts\?schema=nowhere: .*no store.*`dpsynth budget open"):
        PostgresStore.open(url(APP, schema="nowhere"))


def test_the_role_that_uses_a_store_cannot_make_one(postgres: Server) -> None:
    with pytest.raises(ConfigurationError, match=r"has not the right .*docs/postgres\.md"):
        PostgresStore.open(url(APP, schema="nowhere"), create=True)
    assert postgres.sql("SELECT to_regnamespace('nowhere')") == [(None,)]


def test_a_role_that_was_not_let_in_is_told(postgres: Server, tmp_path: Path) -> None:
    schema = schema_of(tmp_path)
    PostgresStore.open(url(OWNER, schema=schema), create=True).close()
    with pytest.raises(ConfigurationError, match="has not the right"):
        PostgresStore.open(url(APP, schema=schema))
    PostgresStore.open(url(OWNER, schema=schema, app=APP), create=True).close()
    PostgresStore.open(url(APP, schema=schema)).close()


def test_create_opens_what_is_there(schema: str) -> None:
    before = everything(schema)[:2]
    for role in (OWNER, APP):
        with Accountant(PostgresStore.open(url(role, schema=schema, app=APP), create=True)) as accountant:
            assert len(accountant.accounts()) == 2
    assert everything(schema)[:1] == before[:1]


def test_who_gives_the_same_rights_at_once_waits(
    postgres: Server, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that change the rights of one table at once the server would refuse one, whichever comes later."""
    owner, given, allow = url(OWNER, schema=schema, app=APP), threading.Event(), postgres_catalogue.allow

    def slowly(*words: Any) -> None:
        allow(*words)
        given.set()
        until = time.monotonic() + 20
        while not postgres.sql("SELECT 1 FROM pg_locks WHERE NOT granted", ADMIN) and time.monotonic() < until:
            time.sleep(0.01)

    with ThreadPoolExecutor() as pool:
        monkeypatch.setattr(postgres_catalogue, "allow", slowly)
        first = pool.submit(PostgresStore.open, owner, create=True)
        assert given.wait(20)
        monkeypatch.setattr(postgres_catalogue, "allow", allow)
        second = pool.submit(PostgresStore.open, owner, create=True)
        for opened in (first, second):
            opened.result(60).close()


def test_a_schema_of_another_program_is_left_alone(postgres: Server, tmp_path: Path) -> None:
    schema = schema_of(tmp_path)
    postgres.sql(f"CREATE SCHEMA {schema} CREATE TABLE entry (line text)", OWNER)
    for create in (False, True):
        with pytest.raises(StoreDamaged, match=r"not a store of dpsynth accounts.* bring back"):
            PostgresStore.open(url(OWNER, schema=schema), create=create)
    assert postgres.sql(f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'")


def test_an_empty_schema_will_do_and_so_will_a_word_of_the_language(postgres: Server) -> None:
    postgres.sql('DROP SCHEMA IF EXISTS "order" CASCADE')
    postgres.sql('CREATE SCHEMA "order"', OWNER)
    for role in (OWNER, APP):
        with Accountant(PostgresStore.open(url(role, schema="order", app=APP), create=True)) as accountant:
            open_people(accountant)
    postgres.sql('DROP SCHEMA "order" CASCADE')


def test_a_newer_store_asks_for_a_newer_dpsynth(postgres: Server, schema: str) -> None:
    raw(postgres, schema, f"SET session_replication_role = replica; UPDATE store SET version = {VERSION + 1}")
    with pytest.raises(ConfigurationError, match="newer dpsynth"):
        PostgresStore.open(url(APP, schema=schema))


def test_stores_of_one_database_do_not_meet(tmp_path: Path) -> None:
    accountants = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        accountants.append(Accountant(open_postgres(tmp_path / name)))
        open_people(accountants[-1])
    held = [reserve(accountant) for accountant in accountants]
    assert len({accountant.secret for accountant in accountants}) == len(held) == 2
    for accountant in accountants:
        assert accountant.account("people").held == TENTH
        accountant.close()


@pytest.mark.parametrize("missing", ["psycopg", "sqlalchemy"])
def test_without_the_extra_it_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if re.match(r"dpsynth\.accountant\.postgres_|psycopg|sqlalchemy", name)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigurationError, match=r"pip install dpsynth-engine\[postgres\]"):
        PostgresStore.open("postgresql://127.0.0.1/accounts")


def test_a_store_in_a_file_needs_no_driver(tmp_path: Path) -> None:
    from tests.test_house import loaded_by

    code = (
        f"from dpsynth.accountant import Accountant\nAccountant.open({str(tmp_path / 'a.db')!r}, create=True).close()"
    )
    assert not loaded_by(code) & {"psycopg", "sqlalchemy"}


# --- addresses and passwords ------------------------------------------------------------------------------------------

SECRET = "swordfish/@#?%&= x"


def wrong_addresses() -> Iterator[str]:
    port, secret = os.environ[PORT], quote(SECRET, safe="")
    yield f"postgresql://{APP}:{secret}@127.0.0.1:{port}/accounts"
    yield f"postgresql://nobody:{secret}@127.0.0.1:{port}/accounts"
    yield f"postgresql://{APP}:{secret}@127.0.0.1:{port}/nowhere"
    yield f"postgresql://{APP}:{secret}@127.0.0.1:1/accounts"
    yield f"postgresql://{APP}:{secret}@no.such.host.invalid/accounts"
    yield f"postgresql://{APP}:{SECRET}@127.0.0.1:{port}/accounts"
    yield f"postgresql://{APP}@127.0.0.1:{port}/accounts?password={secret}&colour=red"
    yield f"postgresql://{APP}@127.0.0.1:{port}/accounts?colour={secret}"
    yield f"postgresql://{APP}@127.0.0.1:{port}/accounts?schema={secret}"
    yield f"postgresql://{APP}@127.0.0.1:{port}/accounts?app={secret}"
    yield f"postgresql://{APP}:%zz{secret}@127.0.0.1:{port}/accounts"
    yield f"postgresql://{APP}:{secret}@127.0.0.1:{port}/accounts?sslmode={secret}"


@pytest.mark.parametrize("number", range(12))
def test_a_wrong_address_is_told_without_the_password(
    number: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    address = list(wrong_addresses())[number]
    with pytest.raises((ConfigurationError, StoreBusy)) as caught:
        PostgresStore.open(address)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + "".join(capfd.readouterr())
    assert "swordfish" not in told
    assert (caught.type is StoreBusy) == (number == 3), "trying again helps where nobody listens, and nowhere else"


def test_no_error_or_name_holds_the_password(
    postgres: Server, schema: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    store = PostgresStore.open(url(APP, schema=schema), wait=0.1)
    told.append(repr(store) + repr(vars(store)) + repr(store._session.place))
    for act in (lambda tx: tx.close_verb(0, b"x"), lambda tx: tx.advance("r1", "RESERVED", 9), lambda tx: tx._no()):
        with pytest.raises((DpsynthError, AttributeError)) as caught:
            store.write(act)
        told.append("".join(traceback.format_exception(caught.value)))
    raw(postgres, "public", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{APP}'")
    assert store.read(lambda tx: tx.head())[0] > 5
    store.close()
    text = "".join(told) + caplog.text + "".join(capfd.readouterr())
    for role in (APP, OWNER, ADMIN):
        assert PASSWORDS[role] not in text
        assert quoted(PASSWORDS[role]) not in text
    assert f"postgresql://{APP}@127.0.0.1:{postgres.port}/accounts?schema={schema}" in repr(store)


def test_an_error_quotes_no_row(postgres: Server, tmp_path: Path) -> None:
    with Accountant(open_postgres(tmp_path)) as accountant:
        open_people(accountant)
        reservation = reserve(accountant)
        seqs = reservation.draw([charge(TENTH)])
        answer = b"swordfish"
        reservation.store(seqs, answer)
        with pytest.raises(DpsynthError) as caught:
            accountant._store.write(lambda tx: tx.close_verb(seqs[0], answer))
        told = "".join(traceback.format_exception(caught.value))
        assert "outcome_is_one" in told
        assert not any(word in told for word in (answer.decode(), answer.hex(), "Key (verb)"))


# --- damage -----------------------------------------------------------------------------------------------------------

FREELY = "SET session_replication_role = replica; "
DAMAGES = {
    "missing table": "DROP TABLE attestation",
    "missing trigger": "DROP TRIGGER entry_is_kept ON entry",
    "trigger disabled": "ALTER TABLE entry DISABLE TRIGGER entry_is_kept",
    "trigger for replicas": "ALTER TABLE hold ENABLE REPLICA TRIGGER hold_is_charged",
    "weakened trigger": "CREATE OR REPLACE FUNCTION hold_is_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
    "SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NEW; END'",
    "trigger without rights": "ALTER FUNCTION hold_is_charged() SECURITY INVOKER",
    "conditional trigger": "DROP TRIGGER verb_is_new ON verb; CREATE TRIGGER verb_is_new BEFORE INSERT ON verb "
    "FOR EACH ROW WHEN (NEW.first > 99) EXECUTE FUNCTION verb_is_new()",
    "foreign trigger": "CREATE TRIGGER a BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION verb_is_new()",
    "missing check": "ALTER TABLE account DROP CONSTRAINT held_within_cap",
    "hollow check": "ALTER TABLE account DROP CONSTRAINT held_within_cap; ALTER TABLE account ADD CONSTRAINT "
    "held_within_cap CHECK (true)",
    "weaker check": "ALTER TABLE account DROP CONSTRAINT held_within_cap; ALTER TABLE account ADD CONSTRAINT "
    "held_within_cap CHECK ((held_whole, held_units) <= (cap_whole, cap_units) OR held_delta <= cap_delta)",
    "other key": "ALTER TABLE granted DROP CONSTRAINT grant_is_used_once; ALTER TABLE granted ADD CONSTRAINT "
    "grant_is_used_once UNIQUE (digest, seq)",
    "deleting reference": "ALTER TABLE verb DROP CONSTRAINT release_is_a_release; ALTER TABLE verb ADD CONSTRAINT "
    "release_is_a_release FOREIGN KEY (release) REFERENCES release ON DELETE CASCADE",
    "missing reference": "ALTER TABLE verb DROP CONSTRAINT release_is_a_release",
    "unchecked reference": "ALTER TABLE verb DROP CONSTRAINT release_is_a_release; ALTER TABLE verb ADD CONSTRAINT "
    "release_is_a_release FOREIGN KEY (release) REFERENCES release NOT VALID",
    "missing key": "ALTER TABLE outcome DROP CONSTRAINT outcome_is_one",
    "missing index": "DROP INDEX verb_by_release",
    "other type": "ALTER TABLE release ALTER lease TYPE numeric",
    "nulls": "ALTER TABLE entry ALTER chain DROP NOT NULL",
    "foreign table": "CREATE TABLE notes (x int)",
    "foreign column": "ALTER TABLE entry ADD note text",
    "forgotten at a crash": "ALTER TABLE attestation SET UNLOGGED",
    "rows out of sight": "ALTER TABLE entry ENABLE ROW LEVEL SECURITY",
    "a rule": "CREATE RULE nothing AS ON INSERT TO entry DO INSTEAD NOTHING",
    "no secret": FREELY + "DELETE FROM store",
    "line missing": FREELY + "DELETE FROM entry WHERE seq = 4",
    "held lowered": FREELY + "UPDATE account SET held_whole = 0, held_units = 0 WHERE name = 'people'",
    "cap raised": FREELY + "UPDATE account SET cap_whole = 9 WHERE name = 'people'",
    "line changed": FREELY + "UPDATE entry SET line = replace(line, '\"cost\"', '\"c0st\"') WHERE seq = 3",
    "answer changed": FREELY + "UPDATE outcome SET answer = '\\x00'",
    "answer gone": FREELY + "DELETE FROM outcome",
    "charge gone": FREELY + "DELETE FROM verb WHERE release = 'r2'",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_and_left(postgres: Server, schema: str, damage: str) -> None:
    raw(postgres, schema, DAMAGES[damage])
    with pytest.raises(StoreDamaged, match="bring back") as caught:
        everything(schema)
    assert caught.value.exit_code == 31


# --- the server must be durable ---------------------------------------------------------------------------------------


def test_every_commit_is_synced_to_the_disk(postgres: Server, tmp_path: Path) -> None:
    assert postgres.sql("SHOW fsync") == [("on",)]
    with Accountant(open_postgres(tmp_path)) as accountant:
        open_people(accountant)
        store = accountant._store
        for name, value in {"synchronous_commit": "on", "transaction_isolation": "serializable"}.items():
            query = f"SELECT current_setting('{name}')"
            for do in (store.read, store.write):
                assert do(lambda tx, query=query: tx._connection.exec_driver_sql(query).scalar()) == value


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_a_commit_that_may_be_lost_is_refused(postgres: Server, schema: str, value: str) -> None:
    postgres.sql(f"ALTER ROLE {APP} SET synchronous_commit = {value}")
    try:
        with pytest.raises(ConfigurationError, match=f"synchronous_commit is {value}.*ALTER ROLE"):
            PostgresStore.open(url(APP, schema=schema))
    finally:
        postgres.sql(f"ALTER ROLE {APP} RESET synchronous_commit")


def test_a_line_that_may_be_lost_is_refused_to_everybody(postgres: Server, schema: str) -> None:
    line = "INSERT INTO entry SELECT max(seq) + 1, 'people', NULL, '{\"kind\":\"note\"}', sha256('x') FROM entry"
    for role in (APP, OWNER, ADMIN):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="synchronous_commit off"):
            raw(postgres, schema, f"SET synchronous_commit = off; {line}", role)
    raw(postgres, schema, line, APP)


def test_a_running_session_stays_durable(postgres: Server, schema: str) -> None:
    with Accountant(PostgresStore.open(url(APP, schema=schema))) as accountant:
        before = accountant.history("people")
        try:
            postgres.configure(synchronous_commit="off")
            reservation = reserve(accountant, "r3")
            store = accountant._store
            shown = store.read(lambda tx: tx._connection.exec_driver_sql("SHOW synchronous_commit").scalar())
            assert shown == "on"
            postgres.configure(fsync="off")
            with pytest.raises(ConfigurationError, match="fsync off"):
                reservation.draw([charge(TENTH)])
            with pytest.raises(ConfigurationError, match="synchronous_commit is off"):
                PostgresStore.open(url(APP, schema=schema))
        finally:
            postgres.configure(synchronous_commit="", fsync="")
        reservation.draw([charge(TENTH)])
        assert len(accountant.history("people")) == len(before) + 2


def test_another_alphabet_is_refused(postgres: Server) -> None:
    postgres.sql(
        f"CREATE DATABASE latin OWNER {OWNER} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
        database="postgres",
    )
    with pytest.raises(ConfigurationError, match=r"is in LATIN1; .*ENCODING 'UTF8'"):
        PostgresStore.open(url(OWNER, database="latin"), create=True)


def first_version(schema: str) -> None:
    """Take from a store what version 2 added, as its owner."""
    with psycopg.connect(url(OWNER), autocommit=True) as connection:
        connection.execute(f"DROP TABLE {schema}.cell, {schema}.divided CASCADE")
        connection.execute(f"DROP TRIGGER verb_is_priced ON {schema}.verb")
        for name in ("divided_is_kept", "cell_is_kept", "divided_is_new", "divided_is_priced", "divided_is_charged"):
            connection.execute(f"DROP FUNCTION {schema}.{name}")
        connection.execute(f"DROP FUNCTION {schema}.cell_is_new, {schema}.verb_is_priced")
        connection.execute(f"ALTER TABLE {schema}.store DISABLE TRIGGER store_is_kept")
        connection.execute(f"UPDATE {schema}.store SET version = 1")
        connection.execute(f"ALTER TABLE {schema}.store ENABLE TRIGGER store_is_kept")


def test_a_store_of_version_1_is_brought_along_by_its_owner(schema: str) -> None:
    before = everything(schema)
    first_version(schema)
    with pytest.raises(ConfigurationError, match=r"store version 1\): let its owner open it once"):
        PostgresStore.open(url(APP, schema=schema))
    PostgresStore.open(url(OWNER, schema=schema)).close()
    assert everything(schema) == before
    unit: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": "add-remove", "budget": CAP}
    with Accountant(PostgresStore.open(url(APP, schema=schema))) as accountant:
        accountant.open_account("study", **unit, level="source", cells=Cells("region", ("north", "south")))
        for label in ("north", "south"):
            accountant.open_account(label, **unit, parent="study", cell=label)
            reserve(accountant, label, account=label).close()
        assert accountant.account("study").held == TENTH


def test_a_store_of_version_1_with_something_else_is_left_as_it_is(schema: str) -> None:
    first_version(schema)
    with psycopg.connect(url(OWNER), autocommit=True) as connection:
        connection.execute(f"DROP TRIGGER hold_is_kept ON {schema}.hold")
    with pytest.raises(StoreDamaged):
        PostgresStore.open(url(OWNER, schema=schema))
    with psycopg.connect(url(OWNER)) as connection:
        assert connection.execute(f"SELECT version FROM {schema}.store").fetchone() == (1,)
