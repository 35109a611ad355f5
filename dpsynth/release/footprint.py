"""What a plan takes of memory, part by part, from public things alone: said and checked before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass

from dpsynth.curator import Curator
from dpsynth.errors import ConfigurationError
from dpsynth.release.plan import Plan
from dpsynth.release.planned import largest_model, most_measured_cells
from dpsynth.schema.quantity import amount_text

CANDIDATE = 2048
"""Bytes of a candidate besides its table: the query, its names, the offers made of it."""

COMPARED = 16
"""Bytes of a cell of a candidate: the model's expectation as int64, and as the float64 that it is rounded from."""

MEASURED = 96
"""Bytes of a cell that is measured: the noisy answer, stored and archived, and what a fit derives of it."""

MODELLED = 48
"""Bytes of a cell of the model: its tables at the end of a fit, their fixed point, what a draw prepares of them."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that a run takes at most, beside those of its own ``limit``.

    ``counting`` is the least that reading and counting needs with the program itself; it is given all that the other
    parts leave of the limit. ``candidates`` are the tables that private choices compare, ``answers`` all that is
    measured, ``model`` the largest model. Each is an upper bound and follows from the schema and the plan alone.
    """

    limit: int
    counting: int
    candidates: int
    answers: int
    model: int

    @classmethod
    def of(cls, plan: Plan, limit: int) -> Footprint:
        """That of a plan. Reads no row."""
        number, cells = plan.algorithm().compared(plan.domain, plan.levels)
        return cls(
            limit,
            Curator.least_memory(),
            number * CANDIDATE + cells * COMPARED,
            most_measured_cells(plan) * MEASURED,
            largest_model(plan) * MODELLED,
        )

    @property
    def needed(self) -> int:
        """The least limit that the plan fits."""
        return self.counting + self.public

    @property
    def public(self) -> int:
        """What is taken beside reading and counting."""
        return self.candidates + self.answers + self.model

    @property
    def left(self) -> int:
        """What reading and counting may take of the limit."""
        return self.limit - self.public

    @property
    def fits(self) -> bool:
        """Whether the limit can be kept."""
        return self.needed <= self.limit

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Each part by its name, for people."""
        return (
            ("the program, reading and counting, at least", self.counting),
            ("tables that private choices compare", self.candidates),
            ("answers", self.answers),
            ("the model", self.model),
        )

    def require(self) -> None:
        """ConfigurationError, with what would fit, where the limit cannot be kept."""
        if self.fits:
            return
        told = ", ".join(f"{name} {amount_text(size)}" for name, size in self.parts)
        raise ConfigurationError(
            f"memory: the limit is {amount_text(self.limit)}, and this plan may need {amount_text(self.needed)} "
            f"({told}). {self.advice}. Nothing was read or spent"
        )

    @property
    def advice(self) -> str:
        """What to do where it does not fit."""
        more = f'Give it memory = "{amount_text(self.needed)}" (--memory) or more'
        if self.public < self.counting // 4:
            return more
        return (
            f"{more}, or ask for less: fewer bins for the columns that have most cells, a workload that lists the "
            "marginals that matter (mrm and aim), fewer columns, or the mechanism independent"
        )
