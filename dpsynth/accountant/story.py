"""The story of a settled release: everything that a ledger and a status say of accounts and of the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.accountant import accounts, log, states
from dpsynth.accountant import filter as rule
from dpsynth.accountant.store import Reading
from dpsynth.errors import ConfigurationError, StoreDamaged
from dpsynth.ledger import AccountState, Entry, cost_of
from dpsynth.ledger.heads import LogHead, Past
from dpsynth.ledger.log import Tree
from dpsynth.privacy import Cost, together


@dataclass(frozen=True)
class Story:
    """A release from its account's opening to now. All but ``state``, ``after`` and ``now`` is the same for ever.

    ``accounts`` are all that paid, its own first, as they stood around its reservation. ``lines`` are the exact lines
    of the log that a ledger holds: what made these accounts, their grants and roots up to the reservation, then the
    release's own to its settling; ``head`` proves them in the log as it was then, and tells every earlier head.
    ``after`` are the release's lines since, and those of new roots of its tree among them: who may decide changes with
    these. ``now`` proves them in the log as it is, and its one earlier head is ``head``.
    ``state`` is what the lines come to, in the words of :mod:`dpsynth.accountant.states`.
    ``grants`` are the files of the grants among ``lines``, ``root`` is the digest of the root in force at the
    reservation, None if no officers govern the accounts.
    """

    release: str
    account: str
    state: states.State
    accounts: tuple[AccountState, ...]
    lines: tuple[bytes, ...]
    head: LogHead
    after: tuple[bytes, ...]
    now: LogHead
    grants: tuple[bytes, ...]
    root: str | None


def tell(tx: Reading, release: str, origin: str) -> Story:
    """The story of a release. ConfigurationError: there is none of this id, or it is not settled.

    StoreDamaged: the database has it in another state than its lines.
    """
    row = tx.release(release)
    if row is None:
        raise ConfigurationError(f"there is no release {release!r} in this store")
    entries = log.of_release(tx, release)
    settled = next((entry.seq for entry in entries if entry.kind == "settle"), None)
    if settled is None:
        raise ConfigurationError(f"release {release!r} is not settled: there is nothing to publish of it yet")
    state = states.follow(entries, states.threshold(tx, row.account))
    if state != row.state:
        raise StoreDamaged(f"release {release!r} is not in the state that its lines tell: bring back a whole copy")
    reserve, names = entries[0], _names(tx, row.account)
    made = [accounts.terms(tx, name, reserve.seq) for name in names]
    roots = [entry.fields.get("root") for entry in made[-1] if entry.kind in ("open", "root")]
    lines = sorted((entry for found in made for entry in found), key=lambda entry: entry.seq)
    grants = [digest for entry in lines if (digest := entry.fields.get("grant"))]
    lines += [entry for entry in entries if entry.seq <= settled]
    rooted = log.read(tx.lines_of(names[-1], ("root",)))
    after = sorted((entry for entry in (*entries, *rooted) if entry.seq > settled), key=lambda entry: entry.seq)
    size, _ = tx.head()
    tree = Tree(tx.leaves(size))
    earlier = [head for head in tx.heads() if head <= settled]
    return Story(
        release,
        row.account,
        state,
        tuple(_states(reserve, names, made)),
        tuple(entry.line for entry in lines),
        _head(tree, origin, settled + 1, lines, earlier),
        tuple(entry.line for entry in after),
        _head(tree, origin, size, after, [settled + 1]),
        tuple(_file(tx, digest) for digest in grants),
        roots[-1],
    )


def _names(tx: Reading, name: str) -> list[str]:
    """The accounts that pay, their own first."""
    names, row = [name], tx.account(name)
    while row is not None and row.parent is not None:
        names.append(row.parent)
        row = tx.account(row.parent)
    return names


def _states(reserve: Entry, names: Sequence[str], made: Sequence[Sequence[Entry]]) -> list[AccountState]:
    """Each account around the reservation, as the lines say it."""
    above, parallel = reserve.fields.get("above", []), reserve.fields.get("parallel")
    if [one["account"] for one in above] != list(names[1:]):
        raise StoreDamaged("a reservation does not name the accounts above its own: bring back a copy of the store")
    found: list[AccountState] = []
    asked = cost_of(reserve.fields["reserved"])
    before, now = Cost.nothing(asked.measure), asked
    for name, terms, told in zip(names, made, [reserve.fields, *above], strict=True):
        opened, cap = terms[0].fields, [entry.fields["cap"] for entry in terms if entry.kind != "root"][-1]
        held = cost_of(told["held"])
        if parallel is not None and parallel["account"] == name:
            rest, relation = tuple(map(cost_of, parallel["others"])), opened["neighbours"]
            cell = found[-1]
            before, now = (
                together((own, *rest), relation, held.measure) for own in (cell.held_before, cell.held_after)
            )
        more = rule.charged_in(held.measure, now) - rule.charged_in(held.measure, before)
        state = (name, cost_of(cap), held - more, held, opened.get("level", "project"), opened.get("parent"))
        found.append(AccountState(*state))
    return found


def _head(tree: Tree, origin: str, size: int, lines: Sequence[Entry], earlier: Sequence[int]) -> LogHead:
    """The head at ``size``, the proofs of these lines in it, and that each earlier head is a beginning of it."""
    return LogHead(
        origin,
        size,
        tree.root(size),
        tuple(tree.inclusion(entry.seq, size) for entry in lines),
        tuple(Past(head, tree.root(head), tree.consistency(head, size)) for head in earlier),
    )


def _file(tx: Reading, digest: str) -> bytes:
    data = tx.attestation(digest)
    if data is None:
        raise StoreDamaged("a grant that the store's log names is gone: bring back a whole copy of the store")
    return data
