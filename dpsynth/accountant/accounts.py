"""Accounts as the store and its log tell them, and how one is opened in a tree of accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from dpsynth.accountant import filter as rule
from dpsynth.accountant import log
from dpsynth.accountant.grid import split
from dpsynth.accountant.store import AccountRow, GrantRow, Reading, Writing
from dpsynth.accountant.values import Account, unit_text
from dpsynth.errors import BudgetRefused, ConfigurationError, StoreDamaged, nearest
from dpsynth.ledger import Entry, amount, claim, cost_of
from dpsynth.ledger.entries import cells_json
from dpsynth.ledger.kinds import LEVELS, Level
from dpsynth.privacy import (
    NEIGHBOURS,
    Budget,
    Cell,
    Cells,
    Cost,
    Measure,
    moved_cells,
    part_of,
    require_measure,
    together,
)

TERMS = ("open", "grant", "root")
"""The kinds of lines that make an account what it is."""
_LONGEST_NAME = 200
_ABOVE = {"entity": "entity", "column": "unit column", "neighbours": "neighbours"}


# --- as they stand ----------------------------------------------------------------------------------------------------


def load(tx: Reading, name: str) -> Account:
    """An account from its row and its log lines, which must agree. BudgetRefused if there is none of this name."""
    return replace(_payer(tx, name), attempts=tx.attempts(name))


def path(tx: Reading, name: str) -> tuple[Account, ...]:
    """All who pay for a release of this account: itself first, then every account above. Attempts are not counted."""
    found = [_payer(tx, name)]
    while found[-1].parent is not None:
        found.append(_payer(tx, found[-1].parent))
    return tuple(found)


def _payer(tx: Reading, name: str) -> Account:
    row = tx.account(name)
    if row is None:
        known = [found.name for found in tx.accounts()]
        raise BudgetRefused(
            f"there is no account {name!r} in this store{nearest(name, known)}; nothing was read or spent. "
            f"`dpsynth budget open {name} --epsilon ... --delta ...` opens one",
            account=name,
        )
    entries = log.read(tx.lines_of(name, TERMS))
    if not entries or entries[0].kind != "open":
        raise _damaged(name)
    capped = [entry for entry in entries if entry.kind != "root"]
    terms, last = entries[0].fields, capped[-1].fields
    used = [entry for entry in capped if entry.fields.get("grant")]
    if (
        last["cap"] != amount(row.cap)
        or terms.get("parent") != row.parent
        or [(entry.seq, entry.fields["grant"], _added(entry)) for entry in used]
        != [(grant.seq, grant.digest, grant.added) for grant in tx.granted(name)]
    ):
        raise _damaged(name)
    line = (row,) if row.parent is None else _line(tx, row)
    if row.cell != terms.get("cell") or (row.moved is None) != (terms.get("cells") is None):
        raise _damaged(name)
    return Account(
        name,
        terms["entity"],
        terms["column"],
        terms["neighbours"],
        terms["measure"],
        Budget(last["policy"]["epsilon"], last["policy"]["delta"]),
        row.cap,
        row.held,
        terms.get("level", "project"),
        row.parent,
        _root(entries if row.parent is None else log.read(tx.lines_of(line[-1].name, TERMS))),
        cells=_cells(terms),
        sums=tuple((cell.cell or "", cell.held) for cell in tx.cells(name)) if row.moved else (),
        cell=_cell(tx, line),
    )


def _line(tx: Reading, row: AccountRow) -> tuple[AccountRow, ...]:
    """An account and all above it, up to the top of its tree."""
    found = [row]
    while found[-1].parent is not None:
        above = tx.account(found[-1].parent)
        if above is None:
            raise _damaged(row.name)
        found.append(above)
    return tuple(found)


def _cells(terms: Mapping[str, Any]) -> Cells | None:
    """What divides an account, by the line that opened it."""
    said = terms.get("cells")
    return None if said is None else Cells(said["column"], tuple(said["labels"]))


def _cell(tx: Reading, line: Sequence[AccountRow]) -> Cell | None:
    """The cell in which an account lies, which is that of itself or of one above it."""
    for row, above in pairwise(line):
        if row.cell is not None:
            (opening,) = log.read([found] if (found := tx.opening(above.name)) else [])
            cells = _cells(opening.fields)
            if cells is None or row.cell not in cells.labels:
                raise _damaged(row.name)
            return cells.cell(above.name, row.cell)
    return None


def _root(entries: Iterable[Entry]) -> str | None:
    """The digest of the root in force, by the terms of the account at the top; None if no officers govern it."""
    roots = [entry.fields.get("root") for entry in entries if entry.kind != "grant"]
    return roots[-1] if roots else None


def terms(tx: Reading, name: str, before: int) -> tuple[Entry, ...]:
    """The lines of the log that made an account what it was before line ``before``."""
    found = log.read(tx.lines_of(name, TERMS))
    return tuple(entry for entry in found if entry.seq < before)


def audit(tx: Reading) -> None:
    """StoreDamaged unless each account holds the sum of its reservations and is what its log says."""
    rows = {row.name: row for row in tx.accounts()}
    shared = {name: Cost.nothing(row.cap.measure) for name, row in rows.items()}
    for row in rows.values():
        account = load(tx, row.name)
        if row.together is None:
            continue
        if row.together != together((held for _, held in account.sums), account.neighbours, account.measure):
            raise StoreDamaged(
                f"account {row.name!r} does not hold what its cells cost together: bring back a whole copy of the store"
            )
        for above in _line(tx, row):
            shared[above.name] += rule.charged_in(above.cap.measure, row.together)
    for row in rows.values():
        if tx.held(row.name) + shared[row.name] != row.held:
            raise StoreDamaged(
                f"account {row.name!r} does not hold the sum of its releases: bring back a whole copy of the store"
            )


def _added(entry: Entry) -> Cost:
    return cost_of(entry.fields["cap" if entry.kind == "open" else "added"])


def _damaged(name: str) -> StoreDamaged:
    return StoreDamaged(f"account {name!r} is not what its log lines say: bring back a whole copy of the store")


# --- opening ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where an account stands in its tree: under which other, at which level, as which cell; and what divides it."""

    parent: str | None = None
    level: Level = "project"
    cells: Cells | None = None
    cell: str | None = None

    def require(self, name: str) -> None:
        """ConfigurationError unless an account may stand there, as far as can be told without the others."""
        if self.level not in LEVELS:
            known = ", ".join(map(repr, LEVELS))
            raise ConfigurationError(f"level {self.level!r}: must be one of {known}{nearest(self.level, LEVELS)}")
        if self.cell is not None and self.parent is None:
            raise ConfigurationError(f"account {name!r}: cell {self.cell!r} of which account? Name its parent")
        if self.cell is not None and self.cells is not None:
            raise _nested(name)
        if self.cells is not None:
            _require_spelt(name, self.cells)


def _require_spelt(name: str, cells: Cells) -> None:
    """ConfigurationError for a label that no value of a table could be."""
    from dpsynth.schema.text import canonical, clean

    for label in cells.labels:
        if (plain := canonical(clean(label))) != label:
            raise ConfigurationError(f"account {name!r}: cell {label!r} is spelt {plain!r} in a table")


@dataclass(frozen=True)
class Terms:
    """What an account is opened for. ``grant`` is the digest of the grant that its cap comes from, if officers rule."""

    name: str
    entity: str
    column: str | None
    neighbours: str
    measure: Measure
    policy: Budget
    cap: Cost
    parent: str | None
    level: Level
    grant: str | None = None
    cells: Cells | None = None
    cell: str | None = None

    @classmethod
    def checked(
        cls,
        name: str,
        entity: str | None,
        column: str | None,
        neighbours: str | None,
        measure: Measure,
        budget: Budget | None,
        place: Place,
        granted: tuple[Cost, str] | None = None,
        delta0: Fraction | int = 0,
    ) -> Terms:
        """Checked terms. The cap is what the budget gives, or what was ``granted`` (with the digest of the grant).

        ``delta0`` is the part of the budget's delta that is set aside for steps that find values privately.

        ConfigurationError names what is wrong.
        """
        require_name("account", name)
        if budget is None or entity is None or neighbours is None:
            raise ConfigurationError(f"account {name!r}: without a grant it needs a budget, an entity and neighbours")
        require_name("entity", entity)
        if neighbours not in NEIGHBOURS:
            known = " or ".join(map(repr, NEIGHBOURS))
            raise ConfigurationError(f"neighbours {neighbours!r}: must be {known}{nearest(neighbours, NEIGHBOURS)}")
        if column == "":
            raise ConfigurationError("column '': name the column that tells entities apart, or None for rows")
        place.require(name)
        budget.require(require_measure(measure))
        cap, grant = granted or (budget.cost(measure, part_of(delta0)), None)
        split(cap)
        return cls(
            name, entity, column, neighbours, measure, budget, cap, place.parent, place.level, grant, place.cells,
            place.cell,
        )  # fmt: skip

    def fields(self, root: str | None) -> Mapping[str, Any]:
        """The line that opens the account; ``root`` is for the top account of a governed tree."""
        return {
            "entity": self.entity,
            "column": self.column,
            "neighbours": self.neighbours,
            "measure": self.measure,
            "cap": amount(self.cap),
            "policy": claim(self.policy),
            "parent": self.parent,
            "level": self.level,
            "grant": self.grant,
            "root": root,
            **({} if self.cells is None else {"cells": cells_json(self.cells)}),
            **({} if self.cell is None else {"cell": self.cell}),
        }


def add(tx: Writing, wanted: Terms, root: str | None) -> None:
    """Open an account: its row, its log line and the grant that its cap comes from.

    ConfigurationError if the account above is not of a higher level, protects others, or cannot be charged for it.
    """
    if wanted.parent is not None:
        _require_under(load(tx, wanted.parent), wanted)
    nothing = Cost.nothing(wanted.measure)
    divided = (None, None) if wanted.cells is None else (moved_cells(wanted.neighbours), nothing)
    cap = nothing if wanted.grant else wanted.cap
    tx.add_account(AccountRow(wanted.name, wanted.parent, cap, nothing, wanted.cell, *divided))
    seq = log.append(tx, "open", wanted.fields(root), account=wanted.name)
    if wanted.grant is not None:
        tx.grant(GrantRow(seq, wanted.name, wanted.grant, wanted.cap))


def same_terms(tx: Reading, wanted: Terms) -> Account:
    """The account of this name, if it was opened on these terms; ConfigurationError otherwise."""
    found = load(tx, wanted.name)
    opened = terms(tx, wanted.name, tx.head()[0])[0].fields
    words = {"entity": "entity", "column": "unit column", "neighbours": "neighbours", "policy": "budget"}
    words |= {"measure": "measure", "parent": "parent", "level": "level", "grant": "grant", "cells": "cells"}
    words |= {"cell": "cell", "cap": "part of delta set aside (delta0)"}
    for key, word in words.items():
        default = "project" if key == "level" else None
        if opened.get(key, default) != wanted.fields(None).get(key):
            raise ConfigurationError(
                f"account {wanted.name!r} is open already with another {word}, and its "
                "terms never change: use it as it is (`dpsynth budget show`), or another name for other people"
            )
    return found


def require_name(what: str, name: str) -> None:
    """ConfigurationError unless a name can be written and read by people."""
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise ConfigurationError(
            f"{what} {name[:40]!r}: a name is 1 to {_LONGEST_NAME} printable characters without white space around it"
        )


def _require_under(above: Account, wanted: Terms) -> None:
    if LEVELS.index(wanted.level) <= LEVELS.index(above.level):
        raise ConfigurationError(
            f"account {wanted.name!r} of level {wanted.level!r} cannot stand under {above.name!r} of level "
            f"{above.level!r}: the levels are {' > '.join(LEVELS)}"
        )
    if any(getattr(above, key) != getattr(wanted, key) for key in _ABOVE):
        told = unit_text(wanted.entity, wanted.column, wanted.neighbours)
        raise ConfigurationError(
            f"account {wanted.name!r} protects {told}, and {above.name!r} above it {above.unit}: what adds up is of "
            "one entity, told apart in one way, under one neighbour relation"
        )
    rule.charged(above, Cost.nothing(wanted.measure))
    if wanted.cells is not None and above.cell is not None:
        raise _nested(wanted.name)
    if wanted.cell is not None:
        _require_cell(above, wanted, wanted.cell)


def _require_cell(above: Account, wanted: Terms, label: str) -> None:
    """ConfigurationError unless an account may be opened as a cell of the one above."""
    if above.cells is None:
        raise ConfigurationError(
            f"account {above.name!r} was opened without cells: open {wanted.name!r} without a cell, or under an "
            "account that is divided"
        )
    above.cells.cell(above.name, label)
    if wanted.measure != above.measure:
        raise ConfigurationError(
            f"account {above.name!r} counts in {above.measure} for ever, and its cells do: open {wanted.name!r} in it"
        )
    if any(label == known for known, _ in above.sums):
        raise ConfigurationError(
            f"cell {label!r} of account {above.name!r} has its account already: use that one, or open accounts under it"
        )


def _nested(name: str) -> ConfigurationError:
    return ConfigurationError(f"account {name!r}: what lies in a cell is not divided again")
