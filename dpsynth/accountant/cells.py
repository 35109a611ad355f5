"""Accounts that are divided into cells: what their log lines say, and what their releases have to keep to."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from dpsynth.accountant import accounts
from dpsynth.accountant import filter as rule
from dpsynth.accountant.store import AccountRow, Reading, Writing
from dpsynth.accountant.values import Account
from dpsynth.errors import ConfigurationError
from dpsynth.ledger import amount
from dpsynth.privacy import together


def told(owed: Sequence[rule.Bill]) -> Mapping[str, Any]:
    """What the line of a reservation says besides, if the release lies in a cell: enough to price it again."""
    for below, bill in pairwise(owed):
        if bill.cell is not None:
            rest = [amount(one) for one in rule.others(bill.account, below.account)]
            return {"parallel": {"account": bill.account.name, "cell": bill.cell, "others": rest}}
    return {}


def require_source(tx: Reading, account: Account, source: bytes) -> None:
    """ConfigurationError if a release would lie in a cell and read other rows than releases of its sister cells.

    Whoever moved from one cell to another between two tables would be in both: so all cells are of one source.
    """
    if account.cell is None:
        return
    marks = {mark for cell in tx.cells(account.cell.account) for mark in tx.sources(cell.name)}
    if not all(hmac.compare_digest(mark, source) for mark in marks):
        raise ConfigurationError(
            f"account {account.name!r} lies in a cell of {account.cell.account!r}, whose releases are of another "
            "source: all cells are of one table, in which each entity has its one cell. Name that source, or an "
            "account that lies in no cell"
        )


def reprice(tx: Writing, name: str) -> None:
    """After an account gave something back: let the divided account above it, if there is one, hold what is due."""
    row: AccountRow | None = tx.account(name)
    while row is not None and row.parent is not None:
        if row.cell is not None:
            divided = accounts.load(tx, row.parent)
            sums = (held for _, held in divided.sums)
            tx.price(divided.name, together(sums, divided.neighbours, divided.measure))
            return
        row = tx.account(row.parent)
