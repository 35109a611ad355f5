"""The statements of a store in PostgreSQL, built once: that takes longer than the way to a server that is near."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, BindParameter, Select, bindparam, func, insert, null, select

from dpsynth.accountant import postgres_schema as tables

NAME: BindParameter[str] = bindparam("name")
_before = tables.entry.alias("before")
_LINE = (
    tables.entry.c.seq,
    tables.entry.c.account,
    tables.entry.c.release,
    tables.entry.c.line,
    tables.entry.c.chain,
    _before.c.chain,
)
ENTRY = (
    select(*_LINE)
    .join_from(tables.entry, _before, _before.c.seq == tables.entry.c.seq - 1, isouter=True)
    .order_by(tables.entry.c.seq)
)
OPENED = select(func.min(tables.entry.c.seq)).where(tables.entry.c.account == tables.account.c.name).scalar_subquery()
ACCOUNT = (
    select(
        tables.account,
        tables.cell.c.label,
        tables.divided.c.moved,
        tables.divided.c.whole,
        tables.divided.c.units,
        tables.divided.c.delta,
    )
    .join_from(tables.account, tables.cell, tables.cell.c.account == tables.account.c.name, isouter=True)
    .join(tables.divided, tables.divided.c.account == tables.account.c.name, isouter=True)
)
RELEASE = select(
    tables.release.c.id,
    tables.release.c.account,
    tables.release.c.plan,
    tables.release.c.source,
    tables.release.c.state,
    tables.release.c.lease,
).where(tables.release.c.id == NAME)


def _verbs(answer: Any) -> Select[Any]:
    closed = tables.outcome.c.verb.is_not(None)
    found = select(tables.verb.c.release, tables.verb.c.first, tables.verb.c.last, closed, answer).join_from(
        tables.verb, tables.outcome, tables.outcome.c.verb == tables.verb.c.first, isouter=True
    )
    return found.where(tables.verb.c.release == NAME)


VERBS = _verbs(tables.outcome.c.answer).order_by(tables.verb.c.first)
LAST_VERB = _verbs(null()).order_by(tables.verb.c.first.desc()).limit(1)
HEAD = select(tables.entry.c.seq + 1, tables.entry.c.chain).order_by(tables.entry.c.seq.desc()).limit(1)
LINES_OF_RELEASE = ENTRY.where(tables.entry.c.release == NAME)
TERMS = ENTRY.where(
    tables.entry.c.account.in_(bindparam("names", expanding=True)),
    tables.entry.c.kind.in_(bindparam("kinds", expanding=True)),
)
ADD = {table.name: insert(table) for table in (tables.release, tables.hold, tables.entry, tables.verb, tables.outcome)}
"""A row to be added, by table."""
GRANTED = (
    select(
        tables.granted.c.seq,
        tables.granted.c.account,
        tables.granted.c.digest,
        tables.account.c.measure,
        tables.granted.c.whole,
        tables.granted.c.units,
        tables.granted.c.delta,
    )
    .join_from(tables.granted, tables.account, tables.account.c.name == tables.granted.c.account)
    .where(tables.granted.c.account.in_(bindparam("names", expanding=True)))
    .order_by(tables.granted.c.seq)
)


def _above() -> CTE:
    """The account ``name`` and all that pay with it."""
    columns = tables.account.c.name, tables.account.c.parent
    own = select(*columns).where(tables.account.c.name == NAME).cte("above", recursive=True)
    return own.union(select(*columns).join_from(tables.account, own, tables.account.c.name == own.c.parent))


PAYING = ACCOUNT.where(tables.account.c.name.in_(select(_above().c.name)))


def below(name: str) -> CTE:
    """This account and all below it."""
    top = select(tables.account.c.name).where(tables.account.c.name == name).cte("below", recursive=True)
    return top.union(
        select(tables.account.c.name).join_from(tables.account, top, tables.account.c.parent == top.c.name)
    )
