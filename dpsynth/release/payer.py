"""Who pays for a release: its account, the store that holds it, and what a run would be told there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dpsynth.accountant import Accountant
from dpsynth.curator import Curator, Source
from dpsynth.errors import BudgetRefused, ConfigurationError, DpsynthError
from dpsynth.ledger import amount
from dpsynth.release.config import ReleaseConfig
from dpsynth.release.plan import Plan

OWN_ACCOUNT = "default"
"""The account of a store that lies beside its data."""


@dataclass(frozen=True)
class Outlook:
    """What a run would be told by the account that pays, at the moment of looking.

    ``why``: in words, that it fits and what it leaves, or the refusal, whose exit code is ``exit`` (0 where it fits).
    ``left`` is what the account would have left, as a ledger writes it; None where that does not change.
    """

    account: str
    exit: int
    why: str
    left: dict[str, str] | None = None

    @property
    def told(self) -> str:
        """One line for people."""
        refused = "the release would be refused, because " if self.exit else ""
        return f"account {self.account!r}: {refused}{self.why}"


def outlook(path: str | Path, plan: Plan, store: str | Path | None = None) -> Outlook:
    """What a run of this ``release.toml``, whose plan this is, would be told by its account.

    ``store`` takes the place of ``[budget] store``. No row is read, no store is made, and nothing is written in one,
    refusals included, but for what opening a store of an older version does: it is brought to this one.
    """
    config, here = ReleaseConfig.load(path), Path(path).parent
    account = config.budget.account
    name = account or OWN_ACCOUNT
    try:
        source = Source.of(config.data.source, here)
        named = store_named(config, here, store)
        place = _store_of(source, account, named)
        if not _is_missing(place):
            with Accountant.open(place) as accountant:
                if account is not None or _has_own(accountant, place):
                    return _foreseen(plan, accountant, name, place_of(source, named))
    except DpsynthError as error:
        return Outlook(name, error.exit_code, str(error))
    return Outlook(name, 0, f"the run opens it in {Path(place).name}, with the release's budget as its cap for ever")


def _foreseen(plan: Plan, accountant: Accountant, name: str, source: str) -> Outlook:
    """The outlook in a store that is open; DpsynthError where the run would be refused."""
    require_account(plan, accountant, name)
    bills = accountant.bills(name, plan.cost, release=plan.release, plan=plan.digest, source=source)
    if bills:
        above = "".join(f"; {bill.account.name!r} above it {bill.left_told}" for bill in bills[1:])
        return Outlook(name, 0, f"it fits, and leaves {bills[0].left_told}{above}", dict(amount(bills[0].left)))
    _, state = accountant.states()[plan.release]
    if state == "LOST":
        raise BudgetRefused(
            f"release {plan.release!r} is LOST: what is left of its reserve does not pay for asking again what was "
            "lost. Give this one another id",
            account=name,
        )
    return Outlook(name, 0, f"release {plan.release!r} has reserved and is {state}: the same run pays nothing more")


def store_named(config: ReleaseConfig, here: Path, store: str | Path | None) -> str | Path | None:
    """The store that is asked for, else that of a ``release.toml`` in the folder ``here``, if one is named at all."""
    return store if store is not None or config.budget.store is None else _within(here, config.budget.store)


def _within(folder: Path, store: str) -> str | Path:
    """A store as it is named in a file of ``folder``: a path from there, or the URL of a database as it is."""
    return store if _is_database(store) else folder / store


def _is_database(store: str | Path) -> bool:
    """Whether a store is named by the URL of a database."""
    return "://" in str(store)


def _is_missing(store: str | Path) -> bool:
    return not _is_database(store) and not Path(store).exists()


def structure(plan: Plan, source: Source) -> tuple[str, ...]:
    """Check the names of the columns, before anything is reserved; returns those that the schema lacks."""
    divided = [] if plan.cell is None else [plan.cell.partition("=")[0]]
    Curator.require(source, plan.schema, *divided)
    known = {*plan.schema.names, *plan.schema.unit.columns, *divided}
    return tuple(column.name for column in Curator.columns(source) if column.name not in known)


def open_store(plan: Plan, source: Source, account: str | None, store: str | Path | None) -> Accountant:
    """The store of the account that pays. Where none is named, it is made beside the data, and the account in it."""
    place = _store_of(source, account, store)
    if account is not None:
        return Accountant.open(place)
    missing = _is_missing(place)
    if missing:
        structure(plan, source)
    accountant = Accountant.open(place, create=missing)
    try:
        if not _has_own(accountant, place):
            unit = plan.schema.unit
            accountant.open_account(
                OWN_ACCOUNT,
                entity=unit.entity,
                column=unit.column,
                neighbours=unit.neighbours,
                budget=plan.budget,
                measure=plan.measure,
                delta0=plan.cost.delta,
            )
    except BaseException:
        accountant.close()
        raise
    return accountant


def _store_of(source: Source, account: str | None, store: str | Path | None) -> str | Path:
    """Where the account that pays is: in the store that is named, or in one beside the data, there or not."""
    if account is not None:
        if store is None:
            raise ConfigurationError(
                f"account {account!r} needs its store: give [budget] store (or store=...), the file that "
                "`dpsynth budget open` made"
            )
        if _is_missing(store):
            raise BudgetRefused(
                f"there is no store {store}, so no account {account!r}: `dpsynth budget open {account} --store {store} "
                "--epsilon ... --delta ...` opens one. The data were not opened",
                account=account,
            )
        return store
    if source.path is None:
        raise ConfigurationError(
            f"{source.name}: data in a database, in memory or named by a pattern must name an account and its store: "
            "`dpsynth budget open NAME --store FILE ...` makes one"
        )
    if store is not None and _is_database(store):
        raise ConfigurationError("a store that is a database holds many accounts: say which pays with [budget] account")
    # Resolved, so that another name of the same file finds the same store.
    return Path(store or f"{source.path.resolve()}.dpsynth.db")


def _has_own(accountant: Accountant, place: str | Path) -> bool:
    """Whether a store has the account that is its own; ConfigurationError where it has others alone."""
    names = [found.name for found in accountant.accounts()]
    if names and OWN_ACCOUNT not in names:
        raise ConfigurationError(
            f"{Path(place).name} holds the accounts {', '.join(map(repr, names))}: say which one pays with [budget] "
            "account (or account=...)"
        )
    return bool(names)


def place_of(source: Source, store: str | Path | None) -> str:
    """Where the rows come from, seen from the store: a folder that is moved as a whole stays the same place."""
    if store is None:
        return ""  # a store beside its data knows them by its own name
    file, table = source.place  # a frame has neither
    if file is None:
        return table
    if _is_database(store):
        return f"{file.resolve()}{table}"
    return os.path.relpath(file.resolve(), Path(store).resolve().parent) + table


def require_account(plan: Plan, accountant: Accountant, name: str) -> None:
    """An account protects one kind of entity under one neighbour relation, and counts in one measure, for ever."""
    account, unit = accountant.account(name), plan.schema.unit
    if (account.entity, account.column, account.neighbours) != (unit.entity, unit.column, unit.neighbours):
        raise ConfigurationError(
            f"account {name!r} protects {account.unit}; the schema's [unit] has entity {unit.entity!r}, column "
            f"{unit.column!r} and neighbours {unit.neighbours!r}: use an account of that unit, or mend the schema"
        )
    where = None if account.cell is None else account.cell.where
    if where != plan.cell:
        raise ConfigurationError(
            f"account {name!r} lies in no cell, and the plan reads {plan.cell!r} alone: remove [data] cell (or "
            "cell=...), or name the account of that cell"
            if where is None
            else f'account {name!r} pays for one cell alone: write [data] cell = "{where}" (or cell=...), so that the '
            "plan says so, or name another account"
        )
    if account.measure != plan.measure:
        raise ConfigurationError(
            f"account {name!r} counts in {account.measure} for ever, and the plan in {plan.measure}: write "
            f'[budget] measure = "{account.measure}" (or measure=...), or name another account'
        )
