"""The plan of a release: everything that is decided before a private row is read, bound by one digest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from typing import Any, get_args

from dpsynth.encoding import Codec, Constraints, codecs
from dpsynth.errors import ConfigurationError, nearest
from dpsynth.ledger import RowsRule
from dpsynth.measurement import Answer, Domain, Grid, Level, Replayer, found, grid, unfound
from dpsynth.mechanisms import Mechanism, Workload, by_name
from dpsynth.privacy import Budget, Cost, Measure, floor_to_grid, part_of, require_measure
from dpsynth.release.config import NoiseKind, ReleaseConfig, checked
from dpsynth.schema import Schema


@dataclass(frozen=True)
class Plan:
    """What will be asked, at what price, and how the rows will be drawn.

    ``budget`` is counted in ``measure``, as the account is; ``noise`` says who draws. ``rows`` is None for the noisy
    total. ``seed`` drives the public sampling alone; it is bound here, before anything is measured, so that nobody can
    choose among draws. ``workload`` says which marginals matter; ``supersedes`` is the id of the release that this one
    is to replace. Two plans are the same release when their digests are equal. ConfigurationError names a value that no
    ``release.toml`` could have.
    """

    release: str
    schema: Schema
    mechanism: str
    budget: Budget
    rows: int | None = None
    seed: int = 0
    formats: tuple[str, ...] = ("parquet",)
    title: str = ""
    artificial: bool = False
    measure: Measure = "gdp"
    noise: NoiseKind = "exact"
    workload: Workload = field(default_factory=Workload)
    supersedes: str | None = None
    cell: str | None = None

    def __post_init__(self) -> None:
        by_name(self.mechanism, self.workload)
        schema = self.schema
        _ = self.constraints  # which must not contradict each other
        self.workload.require(schema.parts, [name for name in schema.names if name not in schema.read])
        self.budget.require(require_measure(self.measure))
        _require_noise(self.measure, self.noise)
        _require_findable(self.measure, self.unfound)
        section = checked(
            {
                "id": self.release,
                "rows": self.rows,
                "seed": self.seed,
                "formats": self.formats,
                "title": self.title,
                "supersedes": self.supersedes,
            }
        )
        object.__setattr__(self, "formats", section.formats)

    @classmethod
    def of(cls, config: ReleaseConfig, schema: Schema) -> Plan:
        """The plan of a ``release.toml``."""
        chosen = config.release
        return cls(
            release=chosen.id,
            schema=schema,
            mechanism=config.mechanism.name,
            budget=config.total,
            rows=chosen.rows,
            seed=chosen.seed,
            formats=chosen.formats,
            title=chosen.title,
            artificial=config.data.artificial,
            measure=config.budget.measure,
            noise=config.budget.noise,
            workload=config.mechanism.workload.workload,
            supersedes=chosen.supersedes,
            cell=config.data.cell,
        )

    def document(self) -> dict[str, Any]:
        """The plan as JSON values: what the digest is over, and what the release publishes."""
        return {
            "v": 2,
            "release": self.release,
            "schema": self.schema.digest,
            "mechanism": {"name": self.mechanism, "workload": self.workload.document()},
            "budget": {
                "epsilon": str(self.budget.epsilon),
                "delta": str(self.budget.delta),
                "measure": self.measure,
                "noise": self.noise,
            },
            "rows": "noisy total" if self.rows is None else self.rows,
            "seed": self.seed,
            "formats": list(self.formats),
            "title": self.title,
            "artificial": self.artificial,
            **({} if self.supersedes is None else {"supersedes": self.supersedes}),
            **({} if self.cell is None else {"cell": self.cell}),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], schema: Schema) -> Plan:
        """The plan that a release publishes; KeyError, TypeError or ValueError where it is not one."""
        rows, budget = document["rows"], document["budget"]
        return cls(
            release=document["release"],
            schema=schema,
            mechanism=document["mechanism"]["name"],
            budget=Budget(epsilon=budget["epsilon"], delta=budget["delta"]),
            rows=None if rows == "noisy total" else int(rows),
            seed=document["seed"],
            formats=tuple(document["formats"]),
            title=document["title"],
            artificial=document["artificial"],
            measure=budget["measure"],
            noise=budget["noise"],
            workload=Workload.from_document(document["mechanism"]["workload"]),
            supersedes=document.get("supersedes"),
            cell=document.get("cell"),
        )

    @cached_property
    def digest(self) -> str:
        """``sha256:...`` over the canonical JSON of :meth:`document`."""
        text = json.dumps(self.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return "sha256:" + sha256(b"dpsynth-plan-v2\n" + text.encode()).hexdigest()

    @property
    def rows_rule(self) -> RowsRule:
        """Where the number of synthetic rows comes from."""
        return "noisy total" if self.rows is None else "given"

    @cached_property
    def codecs(self) -> tuple[Codec, ...]:
        """One codec a column of the model, in the schema's order."""
        return codecs(self.schema)

    @cached_property
    def constraints(self) -> Constraints:
        """The constraints of the schema on codes."""
        return Constraints.of(self.schema, self.codecs)

    @property
    def domain(self) -> Domain:
        """The finest public grid."""
        return self.grid.domain

    @property
    def levels(self) -> Mapping[str, Level]:
        """The declared level of each column."""
        return self.grid.levels

    @cached_property
    def grid(self) -> Grid:
        """What is declared of the columns' cells."""
        return grid(self.codecs)

    @property
    def unfound(self) -> tuple[str, ...]:
        """The columns whose values are to be found privately, in order."""
        return unfound(self.schema)

    @property
    def delta0(self) -> Fraction:
        """The part of delta for finding the values of each such column; a multiple of 2^-60, as accounts hold."""
        return floor_to_grid(self._finding / max(1, len(self.unfound)))

    @property
    def _finding(self) -> Fraction:
        """The part of delta for finding values, rounded as that which an account sets aside: so the same fits."""
        return part_of(self.budget.delta * FINDING_DELTA) if self.unfound else Fraction(0)

    @cached_property
    def cost(self) -> Cost:
        """What is reserved: the largest exact cost whose epsilon at delta is at most the budget's.

        A part of delta is its own where values are to be found privately.
        """
        return self.budget.cost(self.measure, self._finding)

    def replayer(self, answers: Sequence[Answer]) -> Replayer:
        """What gives these answers back, on the grid of the values that they found."""
        return Replayer.of(grid(codecs(found(self.schema, answers))), answers, self.unfound)

    def algorithm(self) -> Mechanism:
        """The mechanism, ready to fit."""
        return by_name(self.mechanism, self.workload)


def _require_findable(measure: Measure, names: tuple[str, ...]) -> None:
    """ConfigurationError where values cannot be found privately."""
    if names and measure == "pure":
        raise ConfigurationError(
            f'column {names[0]!r}: values = "private" shows a rare value with a small probability, delta_0, which '
            'measure "pure" does not allow: list the values, or take measure = "gdp" or "zcdp"'
        )


def _require_noise(measure: Measure, noise: str) -> None:
    """ConfigurationError for a noise that the measure does not have."""
    if noise not in get_args(NoiseKind):
        raise ConfigurationError(f"noise {noise!r}: must be 'exact' or 'opendp'{nearest(noise, get_args(NoiseKind))}")
    if noise == "opendp" and measure != "zcdp":
        raise ConfigurationError(
            f'noise "opendp" is the discrete Gaussian, which measure "{measure}" does not cover: take measure = '
            '"zcdp", or noise = "exact"'
        )


FINDING_DELTA = Fraction(1, 10)
"""The part of delta that finding values privately takes, of all columns together."""
