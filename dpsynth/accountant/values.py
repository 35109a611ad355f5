"""What the accountant gives and takes: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from dpsynth.accountant.store import Attempts
from dpsynth.ledger import ChargeKind
from dpsynth.ledger.kinds import Level
from dpsynth.privacy import Budget, Cell, Cells, Cost, Measure, epsilon_of


@dataclass(frozen=True)
class Account:
    """An account as it stood at one moment.

    It protects one kind of ``entity``, told apart by the text in one ``column`` (None: each row is one of its own),
    under one ``neighbours`` relation, and adds costs in one ``measure``, for ever. How many rows of an entity count may
    differ from entry to entry.
    ``cap`` is the most it may ever hold and ``policy`` the (epsilon, delta) that the cap comes from; ``held`` is the
    sum of everything reserved so far, spent or not, here and in every account below.
    ``parent`` is the account above, which holds whatever this one holds. ``root`` is the digest of the root in force if
    officers govern its tree: its cap then moves by their grants, and never otherwise. ``attempts`` counts what
    was asked in vain, here and below.
    ``cells`` divide it, for ever; ``sums`` is what each cell that has an account holds, and of these sums it holds what
    they cost together. ``cell`` is the cell of an account above in which it lies: its releases see that cell alone.
    """

    name: str
    entity: str
    column: str | None
    neighbours: str
    measure: Measure
    policy: Budget
    cap: Cost
    held: Cost
    level: Level = "project"
    parent: str | None = None
    root: str | None = None
    attempts: Attempts = field(default_factory=Attempts)
    cells: Cells | None = None
    sums: tuple[tuple[str, Cost], ...] = ()
    cell: Cell | None = None

    @property
    def governed(self) -> bool:
        """Whether officers decide about its cap and its releases."""
        return self.root is not None

    @property
    def label(self) -> str | None:
        """The cell of its parent that it is itself."""
        return self.cell.label if self.cell is not None and self.cell.account == self.parent else None

    @property
    def unit(self) -> str:
        """What it protects, in words."""
        return unit_text(self.entity, self.column, self.neighbours)

    @property
    def left(self) -> Cost:
        """What may still be reserved."""
        return self.cap - self.held

    @property
    def epsilon(self) -> Fraction:
        """The epsilon, at the policy's delta, of everything reserved so far, rounded up; a multiple of 10^-18."""
        return epsilon_of(self.held, self.policy.delta)


def unit_text(entity: str, column: str | None, neighbours: str) -> str:
    """An entity, its column and its neighbour relation in words: ``'person' (column 'pid') under add-remove``."""
    told = "each row its own" if column is None else f"column {column!r}"
    return f"{entity!r} ({told}) under {neighbours}"


@dataclass(frozen=True)
class Charge:
    """One entry to be paid: its exact ``cost`` and what its log line says besides.

    ``fields`` are those of ``ledger.FIELDS[kind]`` but ``release``, ``cost``, ``running`` and ``state``, which the
    accountant writes.
    """

    kind: ChargeKind
    cost: Cost
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class StoredAnswer:
    """What one verb of a release came to: its entries ``seqs``, the ``fields`` of each line, and the answer.

    ``answer`` holds the bytes given to ``Reservation.store``. None: the answer was lost in a crash between drawing
    and storing; the charge stands.
    """

    seqs: tuple[int, ...]
    kind: ChargeKind
    fields: tuple[Mapping[str, Any], ...]
    answer: bytes | None

    def __repr__(self) -> str:
        held = "lost" if self.answer is None else f"{len(self.answer)} bytes"
        return f"StoredAnswer(seqs={self.seqs}, kind={self.kind!r}, {held})"
