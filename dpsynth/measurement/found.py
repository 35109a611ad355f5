"""The schema once its private values were found: a function of public answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from dpsynth.measurement.query import Partitions
from dpsynth.schema import Schema, Unlisted


def unfound(schema: Schema) -> tuple[str, ...]:
    """The columns whose values are to be found privately, in order."""
    return tuple(name for name, column in schema.columns.items() if isinstance(column, Unlisted))


def labels(schema: Schema, answers: Iterable[object]) -> Mapping[str, tuple[str, ...]]:
    """For each column whose values were found those that become cells of their own, sorted.

    They are the ``max_values`` of the largest noisy counts, ties by their text. Answers of other kinds do not count.
    """
    asked = {answer.column: answer for answer in answers if isinstance(answer, Partitions)}
    found: dict[str, tuple[str, ...]] = {}
    for name, column in schema.columns.items():
        if isinstance(column, Unlisted) and name in asked:
            ranked = sorted(zip((-asked[name].counts).tolist(), asked[name].values, strict=True))
            found[name] = tuple(sorted(value for _, value in ranked[: column.max_values]))
    return found


def listed(schema: Schema, values: Mapping[str, tuple[str, ...]]) -> Schema:
    """The schema with the values found as a list, ``otherwise`` behind them; other columns stay as they are."""
    if not values:
        return schema
    columns = {
        name: column.found(values[name]) if isinstance(column, Unlisted) and name in values else column
        for name, column in schema.columns.items()
    }
    return schema.model_copy(update={"columns": MappingProxyType(columns)})


def found(schema: Schema, answers: Iterable[object]) -> Schema:
    """The schema with all values that these answers found."""
    return listed(schema, labels(schema, answers))
