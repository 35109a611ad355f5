"""How accounts are shown: as a table that follows their tree, and as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dpsynth.cli.output import hint, say, table

if TYPE_CHECKING:
    from dpsynth.accountant import Account, State

_HEADER = (
    "account", "level", "counts", "cap", "reserved", "left", "epsilon so far", "of", "at delta", "in vain", "entity",
    "column", "neighbours",
)  # fmt: skip


def document(account: Account) -> dict[str, Any]:
    """An account as JSON; ``reserved``, ``left`` and ``epsilon`` are for its whole life."""
    from dpsynth.ledger import amount
    from dpsynth.privacy import decimal_text

    tried = account.attempts
    return {
        "account": account.name,
        "level": account.level,
        "parent": account.parent,
        "root": account.root,
        "entity": account.entity,
        "column": account.column,
        "neighbours": account.neighbours,
        "measure": account.measure,
        **divided(account),
        "policy": {"epsilon": str(account.policy.epsilon), "delta": str(account.policy.delta)},
        "cap": amount(account.cap),
        "reserved": amount(account.held),
        "left": amount(account.left),
        "epsilon": decimal_text(account.epsilon),
        "attempts": {"refused": tried.refused, "lost": tried.lost, "rejected": tried.rejected},
    }


def divided(account: Account) -> dict[str, Any]:
    """What divides an account, and the cell in which one lies, if anything does."""
    from dpsynth.ledger import amount

    found: dict[str, Any] = {}
    if account.cells is not None:
        held = {label: amount(cost) for label, cost in account.sums}
        found["cells"] = {"column": account.cells.column, "labels": list(account.cells.labels), "reserved": held}
    if account.cell is not None:
        found["cell"] = {"account": account.cell.account, "column": account.cell.column, "label": account.cell.label}
    return found


def _divided(account: Account) -> str:
    """What a divided account holds for its cells, in words."""
    from dpsynth.privacy import moved_cells, together

    cost = together((held for _, held in account.sums), account.neighbours, account.measure)
    how = "the largest counts" if moved_cells(account.neighbours) == 1 else "the two largest count"
    held = ", ".join(f"{label} {float(own.amount):.6g}" for label, own in account.sums) or "no cell has an account yet"
    column = account.cells.column if account.cells else ""
    return (
        f"{account.name} is divided by column {column!r} ({held}); under {account.neighbours} {how}: "
        f"{cost.unit} {float(cost.amount):.6g} for all cells together"
    )


def show_accounts(accounts: Sequence[Account]) -> None:
    """Print a table of accounts, each below the one that is charged for it."""
    from dpsynth.privacy import exact_text

    rows = []
    for depth, account in _ordered(accounts):
        tried = account.attempts
        rows.append(
            [
                "  " * depth + account.name,
                account.level,
                account.cap.unit,
                f"{float(account.cap.amount):.6g}",
                f"{float(account.held.amount):.6g}",
                f"{float(account.left.amount):.6g}",
                f"{float(account.epsilon):.6g}",
                exact_text(account.policy.epsilon),
                exact_text(account.policy.delta),
                str(tried.refused + tried.lost + tried.rejected),
                account.entity,
                account.column or "each row",
                account.neighbours,
            ]
        )
    say(table(_HEADER, rows))
    for account in accounts:
        if account.cells is not None:
            hint(_divided(account))
        elif account.cell is not None:
            hint(f"{account.name} sees {account.cell.where} alone, a cell of {account.cell.account}")
    for account in accounts:
        if account.cap.delta:
            aside, used = (f"{float(cost.delta):.6g}" for cost in (account.cap, account.held))
            hint(f"{account.name}: delta {aside} is set aside for finding values privately, {used} of it reserved")
    hint("epsilon so far is the promise of everything reserved, for the account's whole life and all accounts below it")
    governed = [account.name for account in accounts if account.root is not None]
    if governed:
        hint(f"officers govern {', '.join(governed)}: only grants that they sign move a cap")


def releases_of(names: Collection[str], states: Mapping[str, tuple[str, State]]) -> dict[str, tuple[str, State]]:
    """Those releases that one of these accounts was asked for itself, with their states."""
    return {release: found for release, found in states.items() if found[0] in names}


def releases_document(states: Mapping[str, tuple[str, State]]) -> list[dict[str, str]]:
    """Releases as JSON."""
    return [{"release": release, "account": account, "state": state} for release, (account, state) in states.items()]


def show_releases(states: Mapping[str, tuple[str, State]]) -> None:
    """Print a table of releases with their states, if there are any."""
    if states:
        say()
        say(table(("release", "account", "state"), [[release, *found] for release, found in states.items()]))


def _ordered(accounts: Sequence[Account]) -> list[tuple[int, Account]]:
    """Each account after its parent, and how deep it stands; a parent that is not shown counts for none."""
    known = {account.name for account in accounts}
    found: list[tuple[int, Account]] = []

    def follow(account: Account, depth: int) -> None:
        found.append((depth, account))
        for child in accounts:
            if child.parent == account.name:
                follow(child, depth + 1)

    for account in accounts:
        if account.parent not in known:
            follow(account, 0)
    return found
