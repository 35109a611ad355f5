"""Workload: the marginals that the synthetic data should get right, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

from dpsynth.errors import ConfigurationError, nearest

TARGET_WEIGHT = 4
"""How many times a marginal counts that holds the column to be predicted."""

LARGEST_WEIGHT = 1000
MOST_WAYS = 4
MOST_MARGINALS = 500_000
"""Most marginals of a workload: each has its weight in memory."""


@dataclass(frozen=True)
class Workload:
    """Every marginal of ``ways`` columns, or the ``marginals`` listed, each with its weight.

    ``columns`` names those that matter most, with a factor: a marginal counts so many times for each of them that it
    holds. ``target`` is a column that will be predicted from the others: marginals that hold it count four times.
    Weights are whole numbers from 1 to 1000.
    """

    ways: int = 2
    marginals: tuple[tuple[tuple[str, ...], int], ...] = ()
    columns: tuple[tuple[str, int], ...] = ()
    target: str | None = None

    def __post_init__(self) -> None:
        if type(self.ways) is not int or not 1 <= self.ways <= MOST_WAYS:
            raise ConfigurationError(f"workload.ways: expected a whole number from 1 to {MOST_WAYS}")
        for name, weight in (*self.marginals, *self.columns):
            if type(weight) is not int or not 1 <= weight <= LARGEST_WEIGHT:
                raise ConfigurationError(f"workload: the weight of {name!r} is no whole number from 1 to 1000")
        for names, _ in self.marginals:
            if not names or len(set(names)) != len(names):
                raise ConfigurationError(f"workload.marginals: {list(names)} names no columns, or one twice")

    def document(self) -> dict[str, Any]:
        """As JSON values: what a plan publishes."""
        return {
            "ways": self.ways,
            "marginals": [[list(names), weight] for names, weight in self.marginals],
            "columns": [[name, weight] for name, weight in self.columns],
            "target": self.target,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Workload:
        """The workload of :meth:`document`; KeyError, TypeError or ValueError where it is not one."""
        marginals = tuple((tuple(names), weight) for names, weight in document["marginals"])
        columns = tuple((name, weight) for name, weight in document["columns"])
        return cls(document["ways"], marginals, columns, document["target"])

    def require(self, names: Sequence[str], identifiers: Sequence[str] = ()) -> None:
        """ConfigurationError, naming the nearest right one, for a column that the model does not have.

        ``identifiers`` are the columns of the schema that are never read.
        """
        asked = [name for found, _ in self.marginals for name in found]
        asked += [name for name, _ in self.columns] + ([self.target] if self.target is not None else [])
        for name in asked:
            if name in identifiers:
                raise ConfigurationError(
                    f"workload: column {name!r} is an identifier, which is never read: no marginal holds it"
                )
            if name not in names:
                raise ConfigurationError(f"workload: the schema has no column {name!r}{nearest(name, names)}")
        ways = min(self.ways, len(names))
        if not self.marginals and comb(len(names), ways) > MOST_MARGINALS:
            raise ConfigurationError(
                f"workload.ways: {len(names)} columns have more than {MOST_MARGINALS:,} marginals of {self.ways} "
                "columns; list those that matter in workload.marginals, or take fewer ways"
            )

    def weights(self, names: Sequence[str]) -> dict[tuple[str, ...], int]:
        """The weight of each marginal; its columns in the order of ``names``, which the schema has."""
        self.require(names)
        place = {name: at for at, name in enumerate(names)}
        listed = [(tuple(sorted(found, key=place.__getitem__)), weight) for found, weight in self.marginals]
        every = listed or [(found, 1) for found in combinations(names, min(self.ways, len(names)))]
        factor = dict(self.columns)
        if self.target is not None:
            factor[self.target] = factor.get(self.target, 1) * TARGET_WEIGHT
        result: dict[tuple[str, ...], int] = {}
        for found, weight in every:
            for name in found:
                weight *= factor.get(name, 1)
            result[found] = result.get(found, 0) + weight
        return result

    def triples(self, names: Sequence[str]) -> dict[tuple[str, ...], int]:
        """The weights of the marginals that are listed and have three columns."""
        return {found: weight for found, weight in self.weights(names).items() if self.marginals and len(found) == 3}

    def inside(self, names: Sequence[str], ways: int) -> dict[tuple[str, ...], int]:
        """For each set of so many columns the weight of all marginals that hold it; none that no marginal holds."""
        result: dict[tuple[str, ...], int] = {}
        for found, weight in self.weights(names).items():
            for part in combinations(found, ways):
                result[part] = result.get(part, 0) + weight
        return result
