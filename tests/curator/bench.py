"""What the tests of the gate stand on: a frozen noise that records, a light reservation, a store in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.accountant import Account, Accountant, Charge, Reservation, StoredAnswer
from dpsynth.ledger import CHARGES
from dpsynth.measurement import Law
from dpsynth.privacy import Budget, Cost, Measure

BUDGET = Budget(epsilon="1", delta="1e-6")
RHO = BUDGET.cost().amount
PLAN = "sha256:" + "0" * 64
ACCOUNT = "people"


MEMORY = Path("/dev/shm")
"""Where writing through to the disk takes no time. A killed process leaves the same there as on a disk."""


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder for a store of accounts, in memory where the system has such a place."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@dataclass
class Frozen:
    """Noise that answers without looking, and records what it was given: the exact input of every query.

    Its answers are the same for every table, so what is asked next is too: what differs between two tables is the
    inputs alone.
    """

    law: Law = "rounded_gaussian"
    inputs: list[tuple[str, NDArray[np.int64], Fraction]] = field(default_factory=list)

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        self.inputs.append(("noisy", counts.copy(), scale))
        return np.arange(counts.size, dtype=np.int64) * 7 % 40

    def exponential(self, scores: NDArray[np.int64], scale: Fraction) -> int:
        self.inputs.append(("exponential", scores.copy(), scale))
        return 0


class LightReservation:
    """The same promises as a reservation, but for durability."""

    def __init__(self, measure: Measure = "gdp") -> None:
        self.release = "light"
        self.drawn: list[Charge] = []
        self.secret = b"s" * 32
        cap = Cost(measure, RHO)
        self.account = Account("light", "row", None, "add-remove", measure, BUDGET, cap, cap)

    def open(self, charges: Sequence[Charge]) -> None:
        assert charges

    def draw(self, charges: Sequence[Charge]) -> tuple[int, ...]:
        first = len(self.drawn)
        self.drawn += charges
        return tuple(range(first, first + len(charges)))

    def store(self, seqs: Sequence[int], answer: bytes) -> None:
        assert seqs
        assert answer

    def answers(self) -> tuple[StoredAnswer, ...]:
        return ()

    @classmethod
    def new(cls, measure: Measure = "gdp") -> Reservation:
        return cast(Reservation, cls(measure))


class Desk:
    """A store of accounts in a folder, with one account, opened anew by each question as another process would."""

    def __init__(
        self, folder: Path, entity: str = "row", neighbours: str = "add-remove", column: str | None = None
    ) -> None:
        self.path = folder / "store.db"
        with Accountant.open(self.path, create=True) as accountant:
            accountant.open_account(ACCOUNT, entity=entity, column=column, neighbours=neighbours, budget=BUDGET)

    def open(self) -> Accountant:
        return Accountant.open(self.path)

    @staticmethod
    def reserve(accountant: Accountant, release: str = "r") -> Reservation:
        return accountant.reserve(ACCOUNT, release=release, plan=PLAN, cost=BUDGET.cost(), quote=BUDGET)

    def lines(self) -> list[Mapping[str, Any]]:
        """The log as another process sees it on the disk at this moment."""
        with self.open() as accountant:
            return [json.loads(line) for line in accountant.history(ACCOUNT)]

    def charged(self) -> list[Mapping[str, Any]]:
        """The entries that were paid for, in order."""
        return [line for line in self.lines() if line["kind"] in CHARGES]

    def spent(self) -> Fraction:
        return sum((Fraction(line["cost"]["mu2"]) for line in self.charged()), Fraction(0))
