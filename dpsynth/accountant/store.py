"""The seam between the rules of accounts and the database that keeps them.

A store keeps rows and makes transactions; it decides nothing. What may be spent, what a log line says and when a
release is lost is decided above it, once for every database (``tests/accountant/store_contract.py`` holds what each
must do).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dpsynth.errors import StoreDamaged
from dpsynth.privacy import Cost

T = TypeVar("T")


@dataclass(frozen=True)
class AccountRow:
    """What the database enforces of an account: ``held`` never exceeds ``cap``.

    ``cell`` is the label of the cell of its parent that it is. An account that is divided into cells has ``moved``, the
    number of cells in which neighbours differ, and ``together``, what it holds for all of its cells.
    """

    name: str
    parent: str | None
    cap: Cost
    held: Cost
    cell: str | None = None
    moved: int | None = None
    together: Cost | None = None


@dataclass(frozen=True)
class ReleaseRow:
    """A release: to whom it is charged, for which plan, how far it went, and how often its handle was taken.

    ``source`` is the keyed hash (32 bytes) of what its rows were named, never the name.
    """

    id: str
    account: str
    plan: str
    source: bytes
    state: str
    lease: int


@dataclass(frozen=True)
class VerbRow:
    """One group of charges, entries ``first`` to ``last``.

    ``closed``: it has its one outcome. ``answer`` is then the packed noisy answer, or None if it was lost.
    """

    release: str
    first: int
    last: int
    closed: bool = False
    answer: bytes | None = None

    @property
    def seqs(self) -> tuple[int, ...]:
        """The numbers of its entries."""
        return tuple(range(self.first, self.last + 1))


@dataclass(frozen=True)
class EntryRow:
    """A log line as stored: ``chain`` is its link, ``before`` the link of the line before it in the whole log."""

    seq: int
    account: str
    release: str | None
    line: bytes
    chain: bytes
    before: bytes


@dataclass(frozen=True)
class GrantRow:
    """A grant that raised a cap: ``added`` by the line ``seq`` of the log, for ever. ``digest`` is of its payload.

    A cap that was granted when its account was opened has the number of the opening line.
    """

    seq: int
    account: str
    digest: str
    added: Cost


@dataclass(frozen=True)
class Attempts:
    """What was asked in vain of an account and of all accounts below it, by its end.

    ``refused``: asks that some account could not pay. ``lost``: answers paid for and lost in a crash. ``rejected``:
    releases that officers turned down.
    """

    refused: int = 0
    lost: int = 0
    rejected: int = 0


class Reading(Protocol):
    """What can be asked inside a transaction. Everything seen is of one moment."""

    def account(self, name: str) -> AccountRow | None:
        """The account of this name."""
        ...

    def accounts(self) -> tuple[AccountRow, ...]:
        """All accounts, in the order opened."""
        ...

    def held(self, name: str) -> Cost:
        """The sum of what this account holds for each release, added up anew, but for those in cells of it or below."""
        ...

    def cells(self, name: str) -> tuple[AccountRow, ...]:
        """The accounts that are cells of this one, in no order."""
        ...

    def sources(self, name: str) -> tuple[bytes, ...]:
        """The hashes of the sources of all releases for which this account holds anything, each once."""
        ...

    def release(self, name: str) -> ReleaseRow | None:
        """The release of this id."""
        ...

    def verbs(self, release: str) -> tuple[VerbRow, ...]:
        """All verbs of a release with their outcomes, in order."""
        ...

    def last_verb(self, release: str) -> VerbRow | None:
        """The newest verb of a release, without its answer's bytes."""
        ...

    def opening(self, account: str) -> EntryRow | None:
        """The first log line of an account."""
        ...

    def log_of_account(self, account: str) -> tuple[EntryRow, ...]:
        """All log lines of an account, in order."""
        ...

    def log_of_release(self, release: str) -> tuple[EntryRow, ...]:
        """All log lines of a release, in order."""
        ...

    def lines_of(self, account: str, kinds: Collection[str]) -> tuple[EntryRow, ...]:
        """The log lines of an account that are of one of these kinds, in order."""
        ...

    def attempts(self, account: str) -> Attempts:
        """The lines ``refused`` and ``lost`` and the releases REJECTED of an account and of all accounts below it."""
        ...

    def granted(self, account: str) -> tuple[GrantRow, ...]:
        """The grants that make up the cap of an account, in order; none where the cap was fixed at its opening."""
        ...

    def attestation(self, digest: str) -> bytes | None:
        """The signed file that is kept under a digest: a grant, a root or a decision."""
        ...

    def head(self) -> tuple[int, bytes]:
        """The length of the whole log and the link of its last line (zeros if it is empty)."""
        ...

    def link(self, seq: int) -> bytes | None:
        """The link of one line of the whole log; None if the log is not that long."""
        ...

    def leaves(self, upto: int) -> tuple[bytes, ...]:
        """The RFC 6962 leaf hashes of the first ``upto`` lines of the whole log, in order."""
        ...

    def heads(self) -> tuple[int, ...]:
        """The lengths that the whole log had after each release was settled, ascending."""
        ...


class Writing(Reading, Protocol):
    """What can be written inside a transaction: rows are added, and a release goes on.

    Nothing is ever taken away but what a void release held.
    """

    def add_account(self, row: AccountRow) -> None:
        """Open an account; ``held`` must be nothing, and what it holds for cells too.

        The database itself refuses two accounts of one cell, and a cell of an account that is not divided, is not its
        parent or counts in another measure.
        """
        ...

    def grant(self, row: GrantRow) -> None:
        """Raise the cap of an account. The database itself lets no cap move in any other way.

        It refuses a grant that was used before, one whose line is not in the log of this account, and any for an
        account whose cap was fixed at its opening (the first grant is that of the opening line).
        """
        ...

    def add_release(self, row: ReleaseRow) -> None:
        """Add a reserved release."""
        ...

    def hold(self, release: str, account: str, cost: Cost) -> None:
        """Add to what an account holds. The database itself refuses what does not fit the cap."""
        ...

    def price(self, account: str, together: Cost) -> None:
        """Set what an account holds for its cells together; it and every account above it hold the difference.

        The database itself refuses another amount than the rule calls for, and draws nothing before it is set.
        """
        ...

    def advance(self, release: str, state: str, lease: int) -> None:
        """Set the state and the lease of a release. The database itself refuses a step that does not lead on."""
        ...

    def void(self, release: str) -> None:
        """End a release and take what it held from every account that held it.

        The database itself refuses it unless the release is RESERVED, with no verb, so that its table was never opened,
        and the log has its line ``void``.
        """
        ...

    def append(self, row: EntryRow) -> None:
        """Add the next line of the log."""
        ...

    def add_verb(self, row: VerbRow) -> None:
        """Add a verb without outcome. The database itself refuses a second open one of a release."""
        ...

    def close_verb(self, first: int, answer: bytes | None) -> None:
        """Give a verb its one outcome. The database itself refuses a second one."""
        ...

    def add_head(self, size: int) -> None:
        """Note the present length of the whole log, once, as one at which a release was settled."""
        ...

    def add_attestation(self, digest: str, data: bytes) -> None:
        """Keep a signed file under a digest, for ever; StoreDamaged if another is kept there."""
        ...


class Lock(Protocol):
    """What a live run holds while it works on a release."""

    def close(self, for_ever: bool = False) -> None:
        """Let go; again does nothing. ``for_ever``: the release is settled, and no run will ask for its lock again."""
        ...


class Store(Protocol):
    """A database of accounts.

    Every method raises StoreBusy when another process holds the database too long, StoreDamaged when what it holds
    cannot be trusted, ConfigurationError when it cannot be written, StoreError when writing failed.
    """

    @property
    def secret(self) -> bytes:
        """32 bytes, drawn when the store was made, that never leave the curator's side."""
        ...

    @property
    def origin(self) -> str:
        """The public name of this store's log: ``dpsynth.log/`` and 32 hex digits, drawn when the store was made."""
        ...

    def read(self, act: Callable[[Reading], T]) -> T:
        """Give the result of ``act`` on one consistent moment; nothing is written."""
        ...

    def write(self, act: Callable[[Writing], T]) -> T:
        """Do ``act`` in one serialisable transaction that is durable on disk before this returns.

        If ``act`` raises, nothing is written. It may be called again from its start, so it does nothing but read and
        write through what it is given.
        """
        ...

    def lock(self, release: str) -> Lock:
        """Hold a release for as long as this process lives, the Lock is referred to, and neither it nor this is closed.

        StoreBusy, at once, while somebody else holds it: another process, or this one under another Lock. The system
        takes it from a process that died. Nothing that is right depends on it: the lease of a release keeps two runs
        apart also where a system knows no such locks; with them no run takes a release from one that is alive.
        """
        ...

    def close(self) -> None:
        """Let go of the database and of all locks."""
        ...


def another_file(digest: str) -> StoreDamaged:
    """What is wrong where a digest has another file than the one that is to be kept under it."""
    return StoreDamaged(
        f"the store keeps another file under {digest}: bring back a copy of the store that is not older than the last "
        "release"
    )
