"""Accounts as the store and its log tell them, and how one is opened in a tree of accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from dpsynth.accountant import filter as rule
from dpsynth.accountant import log
from dpsynth.accountant.grid import split
from dpsynth.accountant.store import AccountRow, GrantRow, Reading, Writing
from dpsynth.accountant.values import Account, unit_text
from dpsynth.errors import BudgetRefused, ConfigurationError, StoreDamaged, nearest
from dpsynth.ledger import Entry, amount, claim, cost_of
from dpsynth.ledger.entries import LEVELS, Level
from dpsynth.privacy import NEIGHBOURS, Budget, Cost, Measure, part_of, require_measure

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
        _root(entries if row.parent is None else log.read(tx.lines_of(_top(tx, row), TERMS))),
    )


def _top(tx: Reading, row: AccountRow) -> str:
    """The account at the top of a tree."""
    found: AccountRow | None = row
    while found is not None and found.parent is not None:
        row, found = found, tx.account(found.parent)
    if found is None:
        raise _damaged(row.name)
    return found.name


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
    for row in tx.accounts():
        load(tx, row.name)
        if tx.held(row.name) != row.held:
            raise StoreDamaged(
                f"account {row.name!r} does not hold the sum of its releases: bring back a whole copy of the store"
            )


def _added(entry: Entry) -> Cost:
    return cost_of(entry.fields["cap" if entry.kind == "open" else "added"])


def _damaged(name: str) -> StoreDamaged:
    return StoreDamaged(f"account {name!r} is not what its log lines say: bring back a whole copy of the store")


# --- opening ----------------------------------------------------------------------------------------------------------


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

    @classmethod
    def checked(
        cls,
        name: str,
        entity: str | None,
        column: str | None,
        neighbours: str | None,
        measure: Measure,
        budget: Budget | None,
        parent: str | None = None,
        level: Level = "project",
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
        if level not in LEVELS:
            known = ", ".join(map(repr, LEVELS))
            raise ConfigurationError(f"level {level!r}: must be one of {known}{nearest(level, LEVELS)}")
        budget.require(require_measure(measure))
        cap, grant = granted or (budget.cost(measure, part_of(delta0)), None)
        split(cap)
        return cls(name, entity, column, neighbours, measure, budget, cap, parent, level, grant)

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
        }


def add(tx: Writing, wanted: Terms, root: str | None) -> None:
    """Open an account: its row, its log line and the grant that its cap comes from.

    ConfigurationError if the account above is not of a higher level, protects others, or cannot be charged for it.
    """
    if wanted.parent is not None:
        _require_under(load(tx, wanted.parent), wanted)
    nothing = Cost.nothing(wanted.measure)
    tx.add_account(AccountRow(wanted.name, wanted.parent, nothing if wanted.grant else wanted.cap, nothing))
    seq = log.append(tx, "open", wanted.fields(root), account=wanted.name)
    if wanted.grant is not None:
        tx.grant(GrantRow(seq, wanted.name, wanted.grant, wanted.cap))


def same_terms(tx: Reading, wanted: Terms) -> Account:
    """The account of this name, if it was opened on these terms; ConfigurationError otherwise."""
    found = load(tx, wanted.name)
    opened = terms(tx, wanted.name, tx.head()[0])[0].fields
    words = {"entity": "entity", "column": "unit column", "neighbours": "neighbours", "policy": "budget"}
    words |= {"measure": "measure", "parent": "parent", "level": "level", "grant": "grant"}
    for key, word in {**words, "cap": "part of delta set aside (delta0)"}.items():
        default = "project" if key == "level" else None
        if opened.get(key, default) != wanted.fields(None)[key]:
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
