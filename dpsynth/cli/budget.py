"""``dpsynth budget``: accounts, their caps and their lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.convert import convert
from dpsynth.cli.grants import grant
from dpsynth.cli.output import hint, json_option, say, say_json
from dpsynth.cli.trees import document, releases_document, releases_of, show_accounts, show_releases
from dpsynth.errors import ConfigurationError

if TYPE_CHECKING:
    from dpsynth.accountant import Accountant
    from dpsynth.ledger import Entry
    from dpsynth.ledger.kinds import Level
    from dpsynth.privacy import Measure

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
store_option = click.option(
    "--store", required=True, help="The store of accounts: an SQLite file, or postgresql://USER@HOST/DATABASE."
)


@click.group()
def budget() -> None:
    """Open, show and convert privacy budgets.

    \b
    One account, whose cap never moves:
      dpsynth budget open people --store office.db --epsilon 2 --delta 1e-9
    An account of disjoint parts of a table, which add up to the largest (under replace-one: to the two largest):
      dpsynth budget open study --store office.db --level source --cells region=north,south --epsilon 2 --delta 1e-9
      dpsynth budget open north --store office.db --parent study --cell north --epsilon 2 --delta 1e-9
    A tree that officers govern (root.json: see dpsynth keys):
      dpsynth budget grant births --store office.db --request births.json --root root.json --epsilon 4 --delta 1e-9
      dpsynth keys sign births.json --key ana.pem            each officer, one after the other
      dpsynth budget open births --store office.db --grant births.json --root root.json
      dpsynth budget grant births --store office.db --request more.json --epsilon 5 --delta 1e-9 --reason new-people
      dpsynth budget grant births --store office.db --grant more.json      once more.json is signed
    """


@budget.command(name="open")
@click.argument("name")
@store_option
@click.option("--epsilon", help='Exact, such as "1" or "3/2".')
@click.option("--delta", help='Exact, such as "1e-9"; "0" with --measure pure.')
@click.option("--delta0", default="0", help='A part of delta, exact, set aside for finding values = "private".')
@click.option(
    "--measure",
    type=click.Choice(["gdp", "zcdp", "pure"]),
    default="gdp",
    show_default=True,
    help="What it counts in, for ever: Gaussian, zero-concentrated or pure differential privacy.",
)
@click.option("--entity", help="Whom it protects, as in the schema's [unit].  [default: as its parent, else row]")
@click.option(
    "--column", help="The column that names the entity, as in [unit]; without it, and below no other, each row is one."
)
@click.option(
    "--neighbours",
    type=click.Choice(["add-remove", "replace-one"]),
    help="The neighbour relation, as in the schema's [unit].  [default: as its parent, else add-remove]",
)
@click.option("--parent", help="The account above, which is charged for whatever this one spends.")
@click.option(
    "--level",
    type=click.Choice(["organisation", "population", "source", "project"]),
    default="project",
    show_default=True,
    help="Where it stands in a tree of accounts: below its parent.",
)
@click.option(
    "--cells",
    metavar="COLUMN=LABEL,LABEL,...",
    help="Divide it by a public column, for ever: it then holds what its cells cost together, not their sum.",
)
@click.option("--cell", metavar="LABEL", help="Open it as one cell of its parent: its releases see that cell alone.")
@click.option("--grant", "grant_file", type=FILE, help="The signed grant that its terms and its cap come from.")
@click.option("--root", "root_file", type=FILE, help="The officers who will govern it and all accounts below it.")
@json_option
def open_(
    name: str,
    store: str,
    epsilon: str | None,
    delta: str | None,
    delta0: str,
    measure: Measure,
    entity: str | None,
    column: str | None,
    neighbours: str | None,
    parent: str | None,
    level: Level,
    cells: str | None,
    cell: str | None,
    grant_file: Path | None,
    root_file: Path | None,
    as_json: bool,
) -> None:
    """Open the account NAME with a cap for its whole life.

    No clock refills it, and no spend is ever given back. The store is made if it does not exist. With --root, at the
    top of a tree, officers govern it and all accounts below: each then takes its terms and its cap from a --grant that
    they signed. Releases that find values privately need a part of delta of their own, --delta0, a tenth of theirs.
    """
    from dpsynth.accountant import Accountant
    from dpsynth.privacy import Budget, Cells, part_of

    if grant_file is None:
        if epsilon is None or delta is None:
            raise ConfigurationError("give --epsilon and --delta, or the --grant that officers signed")
        cap = Budget(epsilon=epsilon, delta=delta)
    elif epsilon is not None or delta is not None or delta0 != "0":
        raise ConfigurationError("--epsilon, --delta and --delta0: the --grant says what is granted; leave them out")
    else:
        cap = None
    with Accountant.open(store, create=True) as accountant:
        if cap is not None:
            entity, column, neighbours = _unit(accountant, parent, entity, column, neighbours)
        account = accountant.open_account(
            name,
            entity=entity,
            column=column,
            neighbours=neighbours,
            budget=cap,
            measure=measure,
            parent=parent,
            level=level,
            grant=None if grant_file is None else grant_file.read_bytes(),
            trust=None if root_file is None else root_file.read_bytes(),
            delta0=part_of(delta0),
            cells=None if cells is None else Cells.parse(cells),
            cell=cell,
        )
    if as_json:
        say_json({"ok": True, **document(account)})
        return
    show_accounts([account])


def _unit(
    accountant: Accountant, parent: str | None, entity: str | None, column: str | None, neighbours: str | None
) -> tuple[str, str | None, str]:
    """The unit of a new account: what is not said is as in the account above, of which it has to be."""
    above = accountant.account(parent) if parent is not None else None
    if above is None:
        return entity or "row", column, neighbours or "add-remove"
    return entity or above.entity, column or above.column, neighbours or above.neighbours


@budget.command()
@click.argument("name", required=False)
@store_option
@json_option
def show(name: str | None, store: str, as_json: bool) -> None:
    """Show what each account may spend, has reserved and has left, for its whole life.

    NAME shows one account and those above it, which pay for what it spends. "in vain" counts asks that were refused,
    answers that were paid for and lost in a crash, and releases that officers rejected. Each release of these accounts
    has a state: PLANNED, RESERVED, DRAWING, MEASURED, SETTLED, APPROVED, RELEASED, SUPERSEDED, WITHDRAWN, VOID, LOST or
    REJECTED.
    """
    from dpsynth.accountant import Accountant

    with Accountant.open(store) as accountant:
        found = list(accountant.path(name)) if name else list(accountant.accounts())
        states = releases_of([name] if name else [account.name for account in found], accountant.states())
    if as_json:
        accounts = [document(account) for account in found]
        say_json({"ok": True, "accounts": accounts, "releases": releases_document(states)})
        return
    show_accounts(found)
    show_releases(states)


@budget.command()
@click.argument("name")
@store_option
@json_option
def history(name: str, store: str, as_json: bool) -> None:
    """Show every line of the log about the account NAME, oldest first, and the states of its releases.

    --json gives the lines as they are.
    """
    from dpsynth.accountant import Accountant
    from dpsynth.ledger import parse

    with Accountant.open(store) as accountant:
        lines, states = accountant.history(name), releases_of([name], accountant.states())
    if as_json:
        told = {"lines": [json.loads(line) for line in lines], "releases": releases_document(states)}
        say_json({"ok": True, "account": name, **told})
        return
    for entry in map(parse, lines):
        say(f"{entry.seq:>6}  {entry.stamp.day}  {entry.kind:<9}  {_told(entry)}".rstrip())
    show_releases(states)


@budget.command()
@click.argument("release")
@store_option
@json_option
def void(release: str, store: str, as_json: bool) -> None:
    """Give up RELEASE, which was reserved and never opened its table.

    Every account gets back what it holds for it, and the id is used up. Once the table was opened, nothing is given
    back: exit 2.
    """
    from dpsynth.accountant import Accountant

    with Accountant.open(store) as accountant:
        accountant.void(release)
    if as_json:
        say_json({"ok": True, "release": release, "state": "VOID"})
        return
    say(f"release {release!r} is void; what was held for it is given back")


@budget.command()
@click.argument("name")
@store_option
@click.option("--what", required=True, help="Which release it was, in a few words.")
@click.option("--epsilon", help="What it claims, exact, if it claims anything.")
@click.option("--delta", help="What it claims, exact.")
@json_option
def external(name: str, store: str, what: str, epsilon: str | None, delta: str | None, as_json: bool) -> None:
    """Note in the log of the account NAME a release about the same people that was not made here.

    It is charged nothing, and officers see it beside the account's own: what was published otherwise is outside of the
    guarantee, differentially private or not.
    """
    from dpsynth.accountant import Accountant
    from dpsynth.privacy import Budget

    if (epsilon is None) != (delta is None):
        raise ConfigurationError("give both --epsilon and --delta, or neither where nothing is claimed")
    promise = None if epsilon is None or delta is None else Budget(epsilon=epsilon, delta=delta)
    with Accountant.open(store) as accountant:
        accountant.external(name, what, promise)
    if as_json:
        say_json({"ok": True, "account": name, "what": what})
        return
    say(f"noted beside account {name!r}")


@budget.command()
@click.argument("name")
@store_option
@click.option("--root", "root_file", type=FILE, required=True, help="The root.json with the next version.")
@json_option
def root(name: str, store: str, root_file: Path, as_json: bool) -> None:
    """Put the next version of the officers' root in force for NAME, the top of a tree, and all accounts below it."""
    from dpsynth.accountant import Accountant

    with Accountant.open(store) as accountant:
        account = accountant.set_root(name, root_file.read_bytes())
    if as_json:
        say_json({"ok": True, **document(account)})
        return
    say(f"root {account.root} is in force")
    hint("a grant that was signed under the version before it, and not used yet, has to be asked for anew")


for command in (convert, grant):
    budget.add_command(command)


def _told(entry: Entry) -> str:
    """What a line says, in one line for people."""
    from dpsynth.ledger import CHARGES

    fields: dict[str, Any] = dict(entry.fields)
    release = f"{fields['release']}  " if "release" in fields else ""
    match entry.kind:
        case "open" | "grant":
            policy = fields["policy"]
            why = f", {fields['reason']}" if entry.kind == "grant" else ""
            return f"cap {_amount(fields['cap'])}, epsilon {policy['epsilon']} at delta {policy['delta']}{why}"
        case "root":
            return f"version {fields['version']}"
        case "external":
            promise = fields["claim"]
            told = f"epsilon {promise['epsilon']} at delta {promise['delta']}" if promise else "no claim"
            return f"{fields['what']}, {told}"
        case "refused":
            return f"{release}asked {_amount(fields['asked'])}, {fields['by']!r} could not pay"
        case "reserve":
            return f"{release}{_amount(fields['reserved'])}, epsilon so far {float(fields['running_epsilon']):.6g}"
        case "settle":
            return f"{release}spent {_amount(fields['spent'])} of {_amount(fields['reserved'])}"
        case "approve" | "reject":
            return f"{release}by {fields['by']}"
        case "supersede":
            return f"{release}by {fields['by']}"
        case "withdraw":
            return f"{release}{fields['reason']}"
        case kind if kind in CHARGES:
            return f"{release}{_amount(fields['cost'])}, {fields['mechanism']['type']}"
        case _:
            return release.rstrip()


def _amount(fields: dict[str, str]) -> str:
    from dpsynth.ledger import cost_of

    cost = cost_of(fields)
    own = f" and delta {float(cost.delta):.6g}" if cost.delta else ""
    return f"{cost.unit} {float(cost.amount):.6g}{own}"
