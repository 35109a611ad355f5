"""Parallel composition over a fixed partition: what releases about different cells cost together.

An entity lies in one cell, told from its own rows alone, and a release about a cell sees the rows of that cell's
entities only. Two neighbours then differ in one cell (add-remove), or in two (replace-one: an entity leaves one and
another enters the other). Proof: proofs/privacy/together.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from heapq import nlargest

from dpsynth.errors import ConfigurationError, nearest
from dpsynth.privacy.cost import Cost
from dpsynth.privacy.measure import Measure

MOST_CELLS = 1000
"""Cells that a partition may have."""
_LONGEST = 200
_MOVED = {"add-remove": 1, "replace-one": 2}


@dataclass(frozen=True)
class Cells:
    """A public column and the labels that divide a table by it, for ever. Rows with another value are in no cell.

    ConfigurationError unless there are 2 to 1,000 labels, each of them distinct, printable text.
    """

    column: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if not self.column or "=" in self.column:
            raise ConfigurationError("cells: name the column that divides the table; its name has no =")
        if not 2 <= len(self.labels) <= MOST_CELLS:
            raise ConfigurationError(f"cells of column {self.column!r}: a partition has 2 to {MOST_CELLS:,} cells")
        for label in self.labels:
            if not label or len(label) > _LONGEST or not label.isprintable() or label != label.strip():
                raise ConfigurationError(
                    f"cells of column {self.column!r}: a label is 1 to {_LONGEST} printable characters without white "
                    "space around it"
                )
        if len(set(self.labels)) < len(self.labels):
            raise ConfigurationError(f"cells of column {self.column!r}: a label stands twice")

    @classmethod
    def parse(cls, text: str) -> Cells:
        """The cells that ``COLUMN=LABEL,LABEL,...`` names."""
        column, _, labels = text.partition("=")
        return cls(column.strip(), tuple(label.strip() for label in labels.split(",")) if labels else ())

    def cell(self, account: str, label: str) -> Cell:
        """One of these cells, of the account that they divide; ConfigurationError if none has this label."""
        if label not in self.labels:
            raise ConfigurationError(
                f"account {account!r} has no cell {label!r}{nearest(label, self.labels)}: its cells are the values of "
                f"column {self.column!r} that it was opened with"
            )
        return Cell(account, self, label)


@dataclass(frozen=True)
class Cell:
    """One cell of the partition of an ``account``."""

    account: str
    cells: Cells
    label: str

    @property
    def column(self) -> str:
        """The column that tells the cell of a row."""
        return self.cells.column

    @property
    def where(self) -> str:
        """The cell as ``COLUMN=LABEL``."""
        return f"{self.column}={self.label}"


def moved_cells(neighbours: str) -> int:
    """In how many cells two neighbours differ: 1 under add-remove, 2 under replace-one."""
    return _MOVED[neighbours]


def together(sums: Iterable[Cost], neighbours: str, measure: Measure) -> Cost:
    """What the sums of the cells cost together: the largest under add-remove, the two largest under replace-one.

    The amount and delta each by itself. Each sum is of prices under the same relation.
    """
    found, most = list(sums), moved_cells(neighbours)
    if any(one.measure != measure for one in found):
        raise ValueError(f"the sums of cells are all in {measure}")
    amount, delta = (
        sum(nlargest(most, (getattr(one, key) for one in found)), Fraction(0)) for key in ("amount", "delta")
    )
    return Cost(measure, amount, delta)
