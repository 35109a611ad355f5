"""``dpsynth budget``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.output import hint, json_option, say, say_json, table
from dpsynth.errors import ConfigurationError

if TYPE_CHECKING:
    from dpsynth.accountant import Account

store_option = click.option(
    "--store", type=click.Path(path_type=Path), required=True, help="The store of accounts (an SQLite file)."
)


@click.group()
def budget() -> None:
    """Open, show and convert privacy budgets."""


@budget.command(name="open")
@click.argument("name")
@store_option
@click.option("--epsilon", required=True, help='Exact, such as "1" or "3/2".')
@click.option("--delta", required=True, help='Exact, such as "1e-9".')
@click.option("--entity", default="row", show_default=True, help="Whom it protects, as in the schema's [unit].")
@click.option("--column", help="The column that names the entity, as in [unit]; without it each row is one.")
@click.option(
    "--neighbours",
    type=click.Choice(["add-remove", "replace-one"]),
    default="add-remove",
    show_default=True,
    help="The neighbour relation, as in the schema's [unit].",
)
@json_option
def open_(
    name: str,
    store: Path,
    epsilon: str,
    delta: str,
    entity: str,
    column: str | None,
    neighbours: str,
    as_json: bool,
) -> None:
    """Open the account NAME with a cap for its whole life.

    No clock refills it, and no spend is ever given back. The store is made if it does not exist.
    """
    from dpsynth.accountant import Accountant
    from dpsynth.privacy import Budget

    cap = Budget(epsilon=epsilon, delta=delta)
    with Accountant.open(store, create=not store.exists()) as accountant:
        account = accountant.open_account(name, entity=entity, column=column, neighbours=neighbours, budget=cap)
    if as_json:
        say_json({"ok": True, **_document(account)})
        return
    _show([account])


@budget.command()
@click.argument("name", required=False)
@store_option
@json_option
def show(name: str | None, store: Path, as_json: bool) -> None:
    """Show what each account may spend, has reserved and has left."""
    from dpsynth.accountant import Accountant

    with Accountant.open(store) as accountant:
        found = [accountant.account(name)] if name else list(accountant.accounts())
    if as_json:
        say_json({"ok": True, "accounts": [_document(account) for account in found]})
        return
    _show(found)


@budget.command()
@click.option("--epsilon", help="Exact, such as 1.")
@click.option("--rho", help="Exact, such as 293764/114921.")
@click.option("--delta", required=True, help="Exact, such as 1e-9.")
@json_option
def convert(epsilon: str | None, rho: str | None, delta: str, as_json: bool) -> None:
    """Convert zCDP's rho to epsilon at a delta (rounded up), or epsilon to the rho that it buys (rounded down).

    Both are certified: evaluated by interval arithmetic and rounded so that the promise is never overstated.
    """
    from dpsynth.privacy import Budget, decimal_text, epsilon_of_rho, highest_tpr, parse_fraction

    if (epsilon is None) == (rho is None):
        raise ConfigurationError("give either --rho or --epsilon")
    if rho is not None:
        amount = parse_fraction(rho, "--rho")
        exact_delta = parse_fraction(delta, "--delta")
        quoted = epsilon_of_rho(amount, exact_delta)
    else:
        asked = Budget(epsilon=str(epsilon), delta=delta)
        exact_delta, amount = asked.delta, asked.cost().rho
        quoted = epsilon_of_rho(amount, exact_delta)
    worst = {str(fpr): highest_tpr(amount, fpr) for fpr in (0.001, 0.01, 0.1)}
    if as_json:
        say_json(
            {"ok": True, "rho": str(amount), "epsilon": decimal_text(quoted), "delta": str(exact_delta), "tpr": worst}
        )
        return
    say(f"rho      {amount} (about {float(amount):.10g})")
    say(f"epsilon  {decimal_text(quoted)}")
    say(f"delta    {delta}")
    for fpr, tpr in worst.items():
        say(f"at most {tpr:7.2%} true positives at {float(fpr):.1%} false positives")


def _document(account: Account) -> dict[str, Any]:
    from dpsynth.privacy import decimal_text

    return {
        "account": account.name,
        "entity": account.entity,
        "column": account.column,
        "neighbours": account.neighbours,
        "measure": account.measure,
        "policy": {"epsilon": str(account.policy.epsilon), "delta": str(account.policy.delta)},
        "cap": str(account.cap.rho),
        "reserved": str(account.held.rho),
        "left": str(account.left.rho),
        "epsilon": decimal_text(account.epsilon),
    }


def _show(accounts: list[Account]) -> None:
    from dpsynth.privacy import exact_text

    rows = []
    for account in accounts:
        found = _document(account)
        rows.append(
            [
                account.name,
                f"{float(account.cap.rho):.6g}",
                f"{float(account.held.rho):.6g}",
                f"{float(account.left.rho):.6g}",
                f"{float(found['epsilon']):.6g}",
                exact_text(account.policy.epsilon),
                exact_text(account.policy.delta),
                account.entity,
                account.column or "each row",
                account.neighbours,
            ]
        )
    header = [
        "account",
        "cap rho",
        "reserved",
        "left",
        "epsilon so far",
        "of",
        "at delta",
        "entity",
        "column",
        "neighbours",
    ]
    say(table(header, rows))
    hint("epsilon so far is the promise of everything reserved, for the account's whole life")
