"""``dpsynth budget``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.output import hint, json_option, say, say_json, table
from dpsynth.errors import ConfigurationError

if TYPE_CHECKING:
    from dpsynth.accountant import Account
    from dpsynth.privacy import Measure

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
@click.option("--delta", required=True, help='Exact, such as "1e-9"; "0" with --measure pure.')
@click.option(
    "--measure",
    type=click.Choice(["gdp", "zcdp", "pure"]),
    default="gdp",
    show_default=True,
    help="What it counts in, for ever: Gaussian, zero-concentrated or pure differential privacy.",
)
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
    measure: Measure,
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
        account = accountant.open_account(
            name, entity=entity, column=column, neighbours=neighbours, budget=cap, measure=measure
        )
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
@click.option("--epsilon", help="Exact, such as 1: what does this budget buy?")
@click.option("--rho", help="Exact, such as 293764/114921: what does this much zCDP promise?")
@click.option("--mu2", help="Exact, such as 0.033: what does this much Gaussian DP (mu squared) promise?")
@click.option("--delta", required=True, help="Exact, such as 1e-9.")
@click.option(
    "--measure",
    type=click.Choice(["gdp", "zcdp", "pure"]),
    help="With --epsilon: what to buy, mu squared of Gaussian DP, rho of zCDP, or pure epsilon.  [default: gdp]",
)
@json_option
def convert(
    epsilon: str | None, rho: str | None, mu2: str | None, delta: str, measure: Measure | None, as_json: bool
) -> None:
    """Convert Gaussian DP's mu squared or zCDP's rho to epsilon at a delta, or epsilon to what it buys.

    Give one of --mu2, --rho and --epsilon. What is promised is rounded up and what is bought is rounded down, both
    certified by interval arithmetic, so that the promise is never overstated. Gaussian noise sigma on an answer of L2
    sensitivity D costs mu squared = D^2 / sigma^2, or rho = D^2 / (2 sigma^2); both add up. Gaussian DP promises more
    for the same noise, but not every mechanism has it: the discrete Gaussian is zCDP only. Delta 0 is pure DP only.

    \b
    dpsynth budget convert --epsilon 1 --delta 1e-9                   the mu squared of a budget
    dpsynth budget convert --epsilon 1 --delta 1e-9 --measure zcdp    its rho
    dpsynth budget convert --mu2 1/30 --delta 1e-9                    the epsilon of a mu squared
    """
    from dpsynth.privacy import Budget, Cost, decimal_text, epsilon_of, highest_tpr, parse_fraction
    from dpsynth.report.text import percent_above

    if sum(given is not None for given in (epsilon, rho, mu2)) != 1:
        raise ConfigurationError("give exactly one of --mu2, --rho and --epsilon")
    own: Measure | None = "zcdp" if rho is not None else "gdp" if mu2 is not None else None
    if own and measure not in (None, own):
        raise ConfigurationError(
            f"--measure {measure}: --rho is of zcdp and --mu2 of gdp; --measure goes with --epsilon"
        )
    if epsilon is not None:
        asked = Budget(epsilon=epsilon, delta=delta)
        asked.require(measure or "gdp")
        cost, exact_delta = asked.cost(measure or "gdp"), asked.delta
    else:
        cost = Cost(own or "gdp", parse_fraction(mu2 or rho or "", f"--{'rho' if own == 'zcdp' else 'mu2'}"))
        exact_delta = parse_fraction(delta, "--delta")
    quoted = epsilon_of(cost, exact_delta)
    worst = {str(fpr): highest_tpr(cost, fpr) for fpr in (0.001, 0.01, 0.1)}
    if as_json:
        promise = {"epsilon": decimal_text(quoted), "delta": str(exact_delta), "tpr": worst}
        say_json({"ok": True, "measure": cost.measure, cost.unit: str(cost.amount), **promise})
        return
    if cost.measure != "pure":
        say(f"{cost.unit:<9}{cost.amount} (about {float(cost.amount):.10g})")
    say(f"epsilon  {decimal_text(quoted)}")
    say(f"delta    {delta}")
    for rate, tpr in worst.items():
        shown = percent_above(tpr).replace("\u202f", " ")
        say(f"at most {shown:>7} true positives at {float(rate):.1%} false positives")


def _document(account: Account) -> dict[str, Any]:
    from dpsynth.ledger import amount
    from dpsynth.privacy import decimal_text

    return {
        "account": account.name,
        "entity": account.entity,
        "column": account.column,
        "neighbours": account.neighbours,
        "measure": account.measure,
        "policy": {"epsilon": str(account.policy.epsilon), "delta": str(account.policy.delta)},
        "cap": amount(account.cap),
        "reserved": amount(account.held),
        "left": amount(account.left),
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
                account.cap.unit,
                f"{float(account.cap.amount):.6g}",
                f"{float(account.held.amount):.6g}",
                f"{float(account.left.amount):.6g}",
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
        "counts",
        "cap",
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
