"""What other tools read: ``datapackage.json`` (Data Package) and ``CITATION.cff``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dpsynth import __version__
from dpsynth.errors import DigestMismatch, DpsynthError
from dpsynth.measurement import listed
from dpsynth.release.plan import Plan
from dpsynth.release.yamltext import quoted
from dpsynth.schema import (
    Boolean,
    Categorical,
    Column,
    Date,
    Datetime,
    Identifier,
    Integer,
    Ordinal,
    Real,
    Schema,
    Unlisted,
)

ARTIFICIAL = "Everybody in the table behind these data is artificial: nobody in it exists."


def title(plan: Plan) -> str:
    """The title of the release."""
    return plan.title or f"Synthetic data {plan.release}"


def summary(plan: Plan) -> str:
    """One sentence for catalogues."""
    unit = plan.schema.unit
    text = (
        f"Synthetic rows made under ({plan.budget.epsilon}, {plan.budget.delta})-differential privacy for each "
        f"{unit.entity} (neighbours: {unit.neighbours}); the signed ledger beside the data says what it cost."
    )
    return f"{text} {ARTIFICIAL}" if plan.artificial else text


def datapackage(
    plan: Plan,
    rows: int,
    day: str,
    formats: Sequence[str],
    where: str = "",
    found: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> bytes:
    """``datapackage.json``: a Data Package whose property ``dpsynth`` holds the plan and the schema.

    ``where`` is the condition that a further sample was drawn under. ``found`` holds the values that were found
    privately, for each column that has such: they stand beside the schema that was declared.
    """
    columns = listed(plan.schema, found).columns
    kinds = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}
    document = {
        "name": plan.release.lower(),
        "title": title(plan),
        "description": f"Only rows where {where}. {summary(plan)}" if where else summary(plan),
        "created": f"{day}T00:00:00Z",
        "resources": [
            {
                "name": f"data-{kind}",
                "path": f"data.{kind}",
                "format": kind,
                "mediatype": kinds[kind],
                "schema": {
                    "fields": [_field(name, column, kind) for name, column in columns.items()],
                    "missingValues": [""],
                },
            }
            for kind in formats
        ],
        "dpsynth": {
            "plan": plan.document(),
            "schema": plan.schema.to_toml(),
            "rows": rows,
            **({"found": {name: list(values) for name, values in found.items()}} if found else {}),
        },
    }
    return (json.dumps(document, indent=2, ensure_ascii=True) + "\n").encode()


def read_plan(data: bytes) -> Plan:
    """The plan that a ``datapackage.json`` publishes; DigestMismatch if there is none or it contradicts itself."""
    try:
        found = json.loads(data)["dpsynth"]
        schema = Schema.parse(found["schema"], "datapackage.json")
        plan = Plan.from_document(found["plan"], schema)
    except (ValueError, KeyError, TypeError, DpsynthError) as error:
        raise DigestMismatch("datapackage.json does not hold the plan and schema of a release") from error
    if plan.document() != found["plan"]:
        raise DigestMismatch("datapackage.json: the plan and the schema do not belong together")
    return plan


def read_found(data: bytes, plan: Plan) -> Mapping[str, tuple[str, ...]]:
    """The values found of each column of a plan that has such; DigestMismatch if ``datapackage.json`` lacks some."""
    stated = json.loads(data)["dpsynth"].get("found", {})
    try:
        found = {name: tuple(map(str, values)) for name, values in stated.items()}
        if tuple(name for name in plan.schema.names if name in found) != plan.unfound or len(found) > len(plan.unfound):
            raise ValueError("other columns")
        listed(plan.schema, found)
    except (AttributeError, ValueError, TypeError, DpsynthError) as error:
        raise DigestMismatch("datapackage.json: the values found are not those of the plan's columns") from error
    return found


def citation(plan: Plan, day: str) -> bytes:
    """``CITATION.cff``, format 1.2.0."""
    lines = {
        "cff-version": "1.2.0",
        "message": "If you use these synthetic data, please cite them as below.",
        "type": "dataset",
        "title": title(plan),
        "abstract": summary(plan),
        "version": plan.release,
        "date-released": day,
    }
    text = "".join(f"{key}: {quoted(value)}\n" for key, value in lines.items())
    return (text + f"authors:\n  - name: {quoted(f'dpsynth-engine {__version__}')}\n").encode()


def _field(name: str, column: Column, form: str) -> dict[str, Any]:
    constraints: dict[str, Any] = {"required": not column.nullable}
    match column:
        case Categorical() | Ordinal():
            kind, constraints["enum"] = "string", list(column.values)
        case Integer() | Real():
            kind = "integer" if isinstance(column, Integer) else "number"
            if column.bounds is None:
                constraints["minimum"], constraints["maximum"] = column.min, column.max
        case Boolean():
            kind = "boolean"
        case Date():
            kind, constraints["minimum"], constraints["maximum"] = "date", str(column.min), str(column.max)
        case Datetime():
            kind, between = "datetime", " " if form == "csv" else "T"
            constraints["minimum"] = f"{column.min}{between}00:00:00"
            constraints["maximum"] = f"{column.max}{between}23:59:59"
        case Identifier():
            kind, constraints["unique"] = "string" if column.prefix else "integer", True
        case Unlisted():
            kind = "string"
    found: dict[str, Any] = {"name": name, "type": kind, "constraints": constraints}
    if form == "csv" and kind == "datetime":
        found["format"] = "%Y-%m-%d %H:%M:%S"
    if form == "parquet" and column.nullable and kind in ("integer", "number", "datetime"):
        # frictionless reads Parquet by pandas, where a null is no number and no time
        found["missingValues"] = ["", "NaT" if kind == "datetime" else "nan"]
    return found
