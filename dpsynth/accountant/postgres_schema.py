"""The tables of a store of accounts in PostgreSQL, version 2. ``postgres_rules`` holds their triggers.

A store is accepted only if the catalogue of its server shows what these two modules make, so they never change: a later
version adds to them, with a new ``VERSION`` and a migration. What version 1 had not is named by :data:`SECOND`.

Amounts are integers as in :mod:`~dpsynth.accountant.grid`. Text that is a key is compared by its bytes, so that no
update of a system's alphabets can damage an index.

``turn`` never holds a row: whoever writes locks it first, before the snapshot of the transaction is taken.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

FIRST_VERSION = 1
VERSION = 2
SECOND = ("divided", "cell")
"""The tables that version 2 adds: accounts that are divided into cells."""

_KEY = Text(collation="C")
_BELOW_GRID = "BETWEEN 0 AND 1152921504606846975"
_WHOLE = "BETWEEN 0 AND 1099511627776"
_STATES = (
    "'RESERVED', 'VOID', 'DRAWING', 'MEASURED', 'SETTLED', 'APPROVED', 'REJECTED', 'RELEASED', 'SUPERSEDED', "
    "'WITHDRAWN'"
)

metadata = MetaData()


def _number(name: str) -> Column[int]:
    """A number that is given, never counted up by the server."""
    return Column(name, BigInteger, nullable=False, autoincrement=False)


def _check(name: str, condition: str) -> CheckConstraint:
    return CheckConstraint(text(condition), name=name)


def _reference(column: str, table: str, key: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint([column], [f"{table}.{key}"], name=f"{column}_is_a_{table}")


store = Table(
    "store",
    metadata,
    _number("one"),
    _number("version"),
    Column("secret", LargeBinary, nullable=False),
    Column("origin", _KEY, nullable=False),
    PrimaryKeyConstraint("one", name="store_key"),
    _check("store_is_one", "one = 1"),
    _check("secret_is_long", "length(secret) = 32"),
    _check("origin_is_one", "origin ~ '^dpsynth\\.log/[0-9a-f]{32}$'"),
)

turn = Table(
    "turn",
    metadata,
    _number("nothing"),
    _check("turn_is_empty", "false"),
)

account = Table(
    "account",
    metadata,
    Column("name", _KEY, nullable=False),
    Column("parent", _KEY),
    Column("measure", Text, nullable=False),
    _number("cap_whole"),
    _number("cap_units"),
    _number("cap_delta"),
    _number("held_whole"),
    _number("held_units"),
    _number("held_delta"),
    PrimaryKeyConstraint("name", name="account_key"),
    _reference("parent", "account", "name"),
    _check("account_above_is_another", "parent <> name"),
    _check("measure_is_known", "measure IN ('gdp', 'zcdp', 'pure')"),
    _check("cap_is_an_amount", f"cap_whole {_WHOLE} AND cap_units {_BELOW_GRID} AND cap_delta {_BELOW_GRID}"),
    _check("held_is_an_amount", f"held_whole >= 0 AND held_units {_BELOW_GRID} AND held_delta >= 0"),
    _check("held_within_cap", "(held_whole, held_units) <= (cap_whole, cap_units) AND held_delta <= cap_delta"),
    Index("account_by_parent", "parent"),
)

release = Table(
    "release",
    metadata,
    Column("id", _KEY, nullable=False),
    Column("account", _KEY, nullable=False),
    Column("plan", _KEY, nullable=False),
    Column("source", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    _number("lease"),
    PrimaryKeyConstraint("id", name="release_key"),
    _reference("account", "account", "name"),
    _check("plan_is_a_digest", "starts_with(plan, 'sha256:') AND length(plan) = 71"),
    _check("source_is_a_hash", "length(source) = 32"),
    _check("state_is_known", f"state IN ({_STATES})"),
    _check("lease_is_a_number", "lease >= 0"),
    Index("release_rejected", "account", postgresql_where=text("state = 'REJECTED'")),
)

hold = Table(
    "hold",
    metadata,
    Column("release", _KEY, nullable=False),
    Column("account", _KEY, nullable=False),
    _number("whole"),
    _number("units"),
    _number("delta"),
    PrimaryKeyConstraint("release", "account", name="hold_key"),
    _reference("release", "release", "id"),
    _reference("account", "account", "name"),
    _check("hold_is_an_amount", f"whole {_WHOLE} AND units {_BELOW_GRID} AND delta {_BELOW_GRID}"),
    Index("hold_by_account", "account"),
)

entry = Table(
    "entry",
    metadata,
    _number("seq"),
    Column("account", _KEY, nullable=False),
    Column("release", _KEY),
    Column("line", Text, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("kind", Text, Computed("line::json ->> 'kind'", persisted=True), nullable=False),
    PrimaryKeyConstraint("seq", name="entry_key"),
    _reference("account", "account", "name"),
    _reference("release", "release", "id"),
    _check("seq_is_a_number", "seq >= 0"),
    _check("chain_is_a_hash", "length(chain) = 32"),
    Index("entry_by_account", "account", "seq"),
    Index("entry_by_kind", "account", "kind", "seq"),
    Index("entry_by_release", "release", "seq", postgresql_where=text("release IS NOT NULL")),
)

verb = Table(
    "verb",
    metadata,
    _number("first"),
    _number("last"),
    Column("release", _KEY, nullable=False),
    PrimaryKeyConstraint("first", name="verb_key"),
    _reference("first", "entry", "seq"),
    _reference("last", "entry", "seq"),
    _reference("release", "release", "id"),
    _check("verb_has_entries", "last >= first"),
    Index("verb_by_release", "release", "first"),
)

outcome = Table(
    "outcome",
    metadata,
    _number("verb"),
    Column("answer", LargeBinary),
    PrimaryKeyConstraint("verb", name="outcome_is_one"),
    _reference("verb", "verb", "first"),
)

granted = Table(
    "granted",
    metadata,
    _number("seq"),
    Column("account", _KEY, nullable=False),
    Column("digest", _KEY, nullable=False),
    _number("whole"),
    _number("units"),
    _number("delta"),
    PrimaryKeyConstraint("seq", name="granted_key"),
    UniqueConstraint("digest", name="grant_is_used_once"),
    _reference("seq", "entry", "seq"),
    _reference("account", "account", "name"),
    _check("grant_is_a_digest", "starts_with(digest, 'sha256:') AND length(digest) = 71"),
    _check("grant_is_an_amount", f"whole {_WHOLE} AND units {_BELOW_GRID} AND delta {_BELOW_GRID}"),
    Index("granted_by_account", "account", "seq"),
)

head = Table(
    "head",
    metadata,
    _number("size"),
    PrimaryKeyConstraint("size", name="head_key"),
    _check("head_is_a_length", "size > 0"),
)

attestation = Table(
    "attestation",
    metadata,
    Column("digest", _KEY, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("digest", name="attestation_key"),
    _check("attestation_is_a_digest", "starts_with(digest, 'sha256:') AND length(digest) = 71"),
)

divided = Table(
    "divided",
    metadata,
    Column("account", _KEY, nullable=False),
    _number("moved"),
    _number("whole"),
    _number("units"),
    _number("delta"),
    PrimaryKeyConstraint("account", name="divided_key"),
    _reference("account", "account", "name"),
    _check("neighbours_move_cells", "moved IN (1, 2)"),
    _check("divided_is_an_amount", f"whole {_WHOLE} AND units {_BELOW_GRID} AND delta {_BELOW_GRID}"),
)

cell = Table(
    "cell",
    metadata,
    Column("account", _KEY, nullable=False),
    Column("above", _KEY, nullable=False),
    Column("label", _KEY, nullable=False),
    PrimaryKeyConstraint("account", name="cell_key"),
    UniqueConstraint("above", "label", name="cell_has_one_account"),
    _reference("account", "account", "name"),
    _reference("above", "divided", "account"),
)
