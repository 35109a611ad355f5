"""Making the tables of a store in PostgreSQL, and telling whether a server still has them as they were made."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import (
    CheckConstraint,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)

from dpsynth.accountant.postgres_rules import RULES, Rule, grants
from dpsynth.accountant.postgres_schema import SECOND, VERSION, metadata, store
from dpsynth.ledger import new_secret, nonce

_CONSTRAINTS = {PrimaryKeyConstraint: "p", UniqueConstraint: "u", ForeignKeyConstraint: "f", CheckConstraint: "c"}

_SPELLINGS = (
    (r"REFERENCES (?:[a-z_0-9]+|\"[^\"]+\")\.", "REFERENCES "),
    (r"(\w+) BETWEEN (\d+) AND (\d+)", r"\1 >= \2 AND \1 <= \3"),
    (r"\bIN \(([^()]*)\)", r"= ANY ARRAY[\1]"),
    (r"::(?:bigint|text)\b|\bROW\b|[()\s]", ""),
    (r"'(\d+)'", r"\1"),
)

_USERS = """
SELECT DISTINCT quote_ident(rolname) FROM pg_catalog.pg_class,
    aclexplode(relacl) AS given JOIN pg_catalog.pg_roles ON pg_roles.oid = given.grantee
WHERE pg_class.oid = to_regclass(:table) AND given.privilege_type = 'INSERT' AND given.grantee <> relowner
"""

_FOUND = """
WITH own AS (SELECT oid, relname, relkind, relpersistence, relrowsecurity FROM pg_catalog.pg_class
    WHERE relnamespace = to_regnamespace(:schema) AND relkind NOT IN ('i', 'I', 't'))
SELECT concat_ws(' ', 'table', relname, relkind, relpersistence, relrowsecurity) FROM own
UNION ALL SELECT concat_ws(' ', 'column', relname, attname, format_type(atttypid, atttypmod), attnotnull)
    FROM own JOIN pg_catalog.pg_attribute ON attrelid = own.oid WHERE attnum > 0 AND NOT attisdropped
UNION ALL SELECT concat_ws(' ', 'constraint', relname, conname, contype, convalidated, confrelid = 0 OR
        confrelid IN (SELECT oid FROM own), pg_get_constraintdef(pg_constraint.oid))
    FROM own JOIN pg_catalog.pg_constraint ON conrelid = own.oid WHERE contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL SELECT concat_ws(' ', 'index', own.relname, made.relname, indisunique, indisvalid)
    FROM own JOIN pg_catalog.pg_index ON indrelid = own.oid JOIN pg_catalog.pg_class AS made ON made.oid = indexrelid
UNION ALL SELECT concat_ws(' ', 'trigger', relname, tgname, tgtype, tgenabled, tgqual IS NULL,
        pronamespace = to_regnamespace(:schema), prosecdef, proconfig, prosrc)
    FROM own JOIN pg_catalog.pg_trigger ON tgrelid = own.oid JOIN pg_catalog.pg_proc AS made ON made.oid = tgfoid
    WHERE NOT tgisinternal
UNION ALL SELECT concat_ws(' ', 'rule', relname, rulename)
    FROM own JOIN pg_catalog.pg_rewrite ON ev_class = own.oid
"""


def exists(connection: Connection, schema: str) -> bool:
    """Whether the schema holds anything, so that nothing is ever made in it."""
    found = text("SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace(:schema))")
    return bool(connection.execute(found, {"schema": schema}).scalar())


def has(connection: Connection, schema: str, table: str) -> bool:
    """Whether there is a table of this name."""
    return connection.execute(text("SELECT to_regclass(:name)"), {"name": f"{schema}.{table}"}).scalar() is not None


def make(connection: Connection, schema: str) -> None:
    """Make the tables, their rules and the one row of ``store``, inside a transaction that somebody else commits."""
    if connection.execute(text("SELECT to_regnamespace(:schema)"), {"schema": schema}).scalar() is None:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    metadata.create_all(connection, checkfirst=False)
    for rule in RULES:
        for statement in rule.statements(schema):
            connection.exec_driver_sql(statement)
    origin = f"dpsynth.log/{nonce()}"
    connection.execute(store.insert().values(one=1, version=VERSION, secret=new_secret(), origin=origin))


def is_owner(connection: Connection, schema: str) -> bool:
    """Whether the store is one's own."""
    own = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE oid = to_regnamespace(:schema)"
    return bool(connection.execute(text(own), {"schema": schema}).scalar())


def migrate(connection: Connection, schema: str) -> None:
    """Add to a whole store of version 1 what version 2 has more, inside a transaction that somebody else commits.

    Whoever adds holds to it may use what is new, too.
    """
    metadata.create_all(connection, tables=[metadata.tables[name] for name in SECOND], checkfirst=False)
    for rule in filter(is_second, RULES):
        for statement in rule.statements(schema):
            connection.exec_driver_sql(statement)
    for role in connection.execute(text(_USERS), {"table": f"{schema}.hold"}).scalars().all():
        for statement in grants(schema, role):
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"ALTER TABLE {schema}.store DISABLE TRIGGER store_is_kept")
    connection.execute(store.update().values(version=VERSION))
    connection.exec_driver_sql(f"ALTER TABLE {schema}.store ENABLE TRIGGER store_is_kept")


def is_second(rule: Rule) -> bool:
    """Whether a rule was not there in version 1."""
    return rule.table in SECOND or rule.name == "verb_is_priced"


def allow(connection: Connection, schema: str, role: str) -> None:
    """If the store is one's own: let a role use it by its rules. Doing it again changes nothing."""
    myself = connection.execute(text("SELECT current_user = :role"), {"role": role}).scalar()
    if myself or not is_owner(connection, schema):
        return
    for statement in grants(schema, f'"{role}"'):
        connection.exec_driver_sql(statement)


def is_whole(connection: Connection, schema: str, version: int = VERSION) -> bool:
    """Whether every table, column, constraint, index and trigger is there as it was made, enabled, and nothing else."""
    found = connection.execute(text(_FOUND), {"schema": schema}).scalars().all()
    return sorted(map(_plain, found)) == sorted(map(_plain, _expected(connection, schema, version)))


def _plain(line: str) -> str:
    """A line of a constraint without what servers write differently: brackets, types, the schema of a reference."""
    if not line.startswith("constraint "):
        return line
    for pattern, plain in _SPELLINGS:
        line = re.sub(pattern, plain, line)
    return line


def _definition(constraint: Constraint) -> str:
    """What a constraint says, as SQL has it."""
    match constraint:
        case CheckConstraint():
            return f"CHECK {constraint.sqltext}"
        case ForeignKeyConstraint():
            (one,) = constraint.elements
            table, _, key = one.target_fullname.partition(".")
            return f"FOREIGN KEY {one.parent.name} REFERENCES {table}({key})"
        case PrimaryKeyConstraint() | UniqueConstraint():
            kind = "PRIMARY KEY" if isinstance(constraint, PrimaryKeyConstraint) else "UNIQUE"
            return f"{kind} {', '.join(column.name for column in constraint.columns)}"
        case _:
            raise TypeError(f"no definition of a {type(constraint).__name__} is known")


def _expected(connection: Connection, schema: str, version: int) -> Iterator[str]:
    """What :data:`_FOUND` finds in a store of a version that is as it was made."""
    for table in metadata.tables.values():
        if version < VERSION and table.name in SECOND:
            continue
        yield f"table {table.name} r p f"
        for column in table.columns:
            kind = column.type.compile(dialect=connection.dialect).partition(" ")[0].lower()
            yield f"column {table.name} {column.name} {kind} {'f' if column.nullable else 't'}"
        for constraint in table.constraints:
            kind = next(letter for of, letter in _CONSTRAINTS.items() if isinstance(constraint, of))
            if constraint.name is None:  # what SQLAlchemy gives a table without a key
                continue
            yield f"constraint {table.name} {constraint.name} {kind} t t {_definition(constraint)}"
            if kind in "pu":
                yield f"index {table.name} {constraint.name} t t"
        for index in table.indexes:
            yield f"index {table.name} {index.name} f t"
    config = '{"search_path=pg_catalog, pg_temp"}'
    for rule in RULES:
        if version < VERSION and is_second(rule):
            continue
        yield f"trigger {rule.table} {rule.name} {rule.kind} O t t t {config} {rule.body(schema)}"
