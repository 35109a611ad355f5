"""``dpsynth budget grant``: asking officers for a budget, and using what they signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.output import hint, json_option, say, say_json
from dpsynth.cli.trees import document, show_accounts
from dpsynth.errors import ConfigurationError

if TYPE_CHECKING:
    from dpsynth.accountant import Account
    from dpsynth.ledger.attestations import Grant
    from dpsynth.ledger.kinds import GrantReason, Level
    from dpsynth.privacy import Cells, Measure

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("name")
@click.option(
    "--store", required=True, help="The store of accounts that the grant is for; made for a first request with --root."
)
@click.option("--grant", "grant_file", type=FILE, help="A request that enough officers signed: use it.")
@click.option(
    "--request", type=click.Path(path_type=Path, dir_okay=False), help="Write a request to sign to this file."
)
@click.option("--epsilon", help="The whole promise that the account may give after the grant, exact.")
@click.option("--delta", help="Its delta, exact.")
@click.option(
    "--delta0",
    help='The part of delta set aside for finding values = "private", exact.  [default: as it is, or none]',
)
@click.option(
    "--reason",
    type=click.Choice(["opening", "new-people", "new-period-data", "policy-change"]),
    default="opening",
    show_default=True,
    help="Why. No reason is that time has passed.",
)
@click.option("--justification", default="", help="The reason in words.")
@click.option("--population", help="Whose data they are, in words.  [default: the account's name]")
@click.option("--root", "root_file", type=FILE, help="To open an account at the top: the officers who will govern it.")
@click.option("--parent", help="To open an account: the one above it.")
@click.option(
    "--level",
    type=click.Choice(["organisation", "population", "source", "project"]),
    default="project",
    show_default=True,
    help="To open an account: where it stands in its tree.",
)
@click.option("--measure", type=click.Choice(["gdp", "zcdp", "pure"]), default="gdp", show_default=True)
@click.option("--entity", default="row", show_default=True, help="To open an account: whom it protects.")
@click.option("--column", help="To open an account: the column that names the entity.")
@click.option("--neighbours", type=click.Choice(["add-remove", "replace-one"]), default="add-remove", show_default=True)
@click.option("--cells", metavar="COLUMN=LABEL,...", help="To open an account: what divides it, for ever.")
@click.option("--cell", metavar="LABEL", help="To open an account: which cell of its parent it is.")
@json_option
def grant(
    name: str,
    store: str,
    grant_file: Path | None,
    request: Path | None,
    epsilon: str | None,
    delta: str | None,
    delta0: str | None,
    reason: GrantReason,
    justification: str,
    population: str | None,
    root_file: Path | None,
    parent: str | None,
    level: Level,
    measure: Measure,
    entity: str,
    column: str | None,
    neighbours: str,
    cells: str | None,
    cell: str | None,
    as_json: bool,
) -> None:
    """Ask officers to raise the cap of the account NAME (--request), or use a grant that they signed (--grant).

    A request says the whole promise after it; what it adds is what is missing to that. Officers sign it with `dpsynth
    keys sign FILE --key KEY`, each on their own machine. A grant that opens an account is used by `dpsynth budget open
    NAME --grant FILE`. A grant is used once, in the one store that it names. Exit 26: too few people have signed.
    """
    if grant_file is not None and request is None:
        _use(name, store, grant_file, as_json)
        return
    if request is None or grant_file is not None:
        raise ConfigurationError("give --request FILE to ask for a grant, or --grant FILE to use one that is signed")
    if epsilon is None or delta is None:
        raise ConfigurationError("a request needs --epsilon and --delta: the whole promise after it")
    account, root, origin = _standing(store, name, parent, root_file)
    if account is not None:
        parent, level, measure = account.parent, account.level, account.measure
        entity, column, neighbours = account.entity, account.column, account.neighbours
    if (account is None) != (reason == "opening"):
        raise ConfigurationError(
            f"account {name!r} is open already: say the --reason, new-people, new-period-data or policy-change"
            if account
            else f"account {name!r} is not open yet: the --reason of its first grant is opening"
        )
    asked = _asked(
        name, account, (root, origin), (epsilon, delta, delta0), (reason, justification, population or name),
        (parent, level, measure), (entity, column, neighbours), (cells, cell),
    )  # fmt: skip
    _write(request, asked)
    if as_json:
        say_json({"ok": True, "file": str(request), "grant": asked.digest, **asked.to_json()})
        return
    say(f"{request}: a request for account {name!r}, epsilon {epsilon} at delta {delta} in all")
    hint(f"each officer signs it: dpsynth keys sign {request} --key KEY")


def _use(name: str, store: str, grant_file: Path, as_json: bool) -> None:
    from dpsynth.accountant import Accountant

    with Accountant.open(store) as accountant:
        account = accountant.grant(name, grant_file.read_bytes())
    if as_json:
        say_json({"ok": True, **document(account)})
        return
    show_accounts([account])


def _standing(store: str, name: str, parent: str | None, root_file: Path | None) -> tuple[Account | None, str, str]:
    """The account, if it is open, the digest of the root under which a grant is to be signed, and the store's log."""
    from dpsynth.accountant import Accountant
    from dpsynth.ledger.trust import Trust

    first = None if root_file is None else Trust.parse(root_file.read_bytes()).digest
    with Accountant.open(store, create=first is not None and parent is None) as accountant:
        found, origin = {one.name: one for one in accountant.accounts()}, accountant.origin
    account = found.get(name)
    if parent is not None and account is None and parent not in found:
        raise ConfigurationError(f"--parent {parent}: there is no such account in this store")
    above = account or found.get(parent or "")
    if above is not None and above.root is None:
        raise ConfigurationError(f"account {above.name!r} was opened without officers: no grant moves its cap")
    root = above.root if above else first
    if root is None:
        raise ConfigurationError("an account at the top needs the --root of the officers who will govern it")
    return account, root, origin


def _asked(
    name: str,
    account: Account | None,
    rule: tuple[str, str],
    promise: tuple[str, str, str | None],
    why: tuple[GrantReason, str, str],
    place: tuple[str | None, Level, Measure],
    unit: tuple[str, str | None, str],
    divided: tuple[str | None, str | None],
) -> Grant:
    from dpsynth.ledger import Stamp
    from dpsynth.ledger.attestations import Grant
    from dpsynth.privacy import Budget, Cost, part_of

    (reason, justification, population), (parent, level, measure) = why, place
    policy, stamp = Budget(epsilon=promise[0], delta=promise[1]), Stamp.now()
    policy.require(measure)
    before = account.cap if account else Cost.nothing(measure)
    cap = policy.cost(measure, before.delta if promise[2] is None else part_of(promise[2]))
    if not before.fits(cap) or cap == before:
        raise ConfigurationError(
            f"--epsilon {promise[0]}: account {name!r} may give that already, in one part or the other, and a grant "
            "never takes away"
        )
    return Grant(
        name, level, parent, cap - before, policy, *unit, population, reason, justification, *rule, stamp.nonce,
        stamp.day, *(_divided(*divided) if account is None else (account.cells, account.label)),
    )  # fmt: skip


def _divided(cells: str | None, cell: str | None) -> tuple[Cells | None, str | None]:
    from dpsynth.privacy import Cells

    return None if cells is None else Cells.parse(cells), cell


def _write(path: Path, asked: Grant) -> None:
    """Write the unsigned request to a file that is not there yet."""
    from dpsynth.ledger.dsse import seal

    try:
        with path.open("xb") as file:
            file.write(seal(asked.statement(), []))
    except FileExistsError:
        raise ConfigurationError(f"{path}: is there already; a request is never written over another file") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror})") from error
