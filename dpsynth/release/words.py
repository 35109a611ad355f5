"""What is said about a release in words: what was declared public, what the guarantee leaves out."""

from __future__ import annotations

from dpsynth import privacy
from dpsynth.ledger import parse
from dpsynth.mechanisms import Workload
from dpsynth.mechanisms.registry import HEEDING
from dpsynth.mechanisms.workload import TARGET_WEIGHT
from dpsynth.release.plan import Plan
from dpsynth.release.release import Release
from dpsynth.schema import Boolean, Categorical, Column, Date, Datetime, Identifier, Integer, Ordinal, Real, Unlisted
from dpsynth.schema.constraints import repairs

TOLD = 8
"""Listed marginals and weighed columns that are told one by one."""


def workload_told(plan: Plan) -> str:
    """Which marginals the release is meant to get right; empty where the mechanism heeds no workload."""
    return _told(plan.workload) if plan.mechanism in HEEDING else ""


def rows_told(plan: Plan) -> str:
    """Where the number of synthetic rows comes from."""
    if plan.rows is not None:
        return "given"
    return "public total" if _total_is_public(plan) else "noisy total"


def _total_is_public(plan: Plan) -> bool:
    unit = plan.schema.unit
    return privacy.total(unit.most, unit.neighbours, unit.row_unit and plan.cell is None) == 0


def _told(workload: Workload) -> str:
    if workload.marginals:
        listed = [" × ".join(names) + _times(weight) for names, weight in workload.marginals]
        parts = [f"{'the marginal' if len(listed) == 1 else f'{len(listed):,} marginals:'} {_few(listed)}"]
    else:
        parts = ["all marginals of " + ("1 column" if workload.ways == 1 else f"{workload.ways} columns")]
    if workload.columns:
        parts.append(_few([f"{name} counts {weight} times" for name, weight in workload.columns]))
    if workload.target is not None:
        parts.append(f"{workload.target} is to be predicted and counts {TARGET_WEIGHT} times")
    return "; ".join(parts)


def _times(weight: int) -> str:
    return "" if weight == 1 else f" ({weight} times)"


def _few(parts: list[str]) -> str:
    more = len(parts) - TOLD
    return ", ".join(parts[:TOLD]) + (f" and {more:,} more" if more > 0 else "")


def public_things(plan: Plan) -> tuple[str, ...]:
    """Everything that the owner declared public: true only if it was decided without looking at the rows."""
    unit = plan.schema.unit
    who = "each row stands for one" if unit.column is None else f"column {unit.column!r} names the"
    kept = "1 is" if unit.max_rows == 1 else f"{unit.max_rows} are"
    things = [
        f"the schema {plan.schema.digest}",
        f"the unit: {who} {unit.entity}, of whose rows at most {kept} kept",
        *constraints_told(plan),
        f"the plan {plan.digest}: mechanism {plan.mechanism!r}, budget, sampling seed {plan.seed}",
    ]
    if unit.weight is not None:
        things.append(
            f"the weights: each row counts with its weight of column {unit.weight!r}, as that of at most "
            f"{unit.max_weight:g} people, in 64ths of that, which the sampling design fixed; counts and numbers of "
            "people on these pages are weighted sums"
        )
    if told := workload_told(plan):
        things.append(f"the workload: {told}")
    if plan.cell is not None:
        things.append(f"the cell: the rows of {plan.cell} alone count, of entities that lie in it")
    if plan.rows is not None:
        things.append(f"the number of rows to write, {plan.rows}")
    if _total_is_public(plan):
        things.append("the number of rows of the private table")
    if plan.artificial:
        things.append("that everybody in the table is artificial")
    # Last, so that a page that shows the first ones alone leaves out columns and neither weights nor constraints.
    return (*things, *columns_told(plan))


def columns_told(plan: Plan) -> tuple[str, ...]:
    """What is declared of each column."""
    return tuple(f"column {name!r}: {_declared(column)}" for name, column in plan.schema.columns.items())


def constraints_told(plan: Plan) -> tuple[str, ...]:
    """What is declared of several columns together, and which of them gives way."""
    giving: dict[int, list[str]] = {}
    for one in repairs(plan.schema.constraints):
        giving.setdefault(one.number, []).append(repr(one.target))
    return tuple(
        f"constraint {number}: {constraint}; in a row that breaks it {' and '.join(giving[number])} "
        f"{'gives' if len(giving[number]) == 1 else 'give'} way"
        for number, constraint in enumerate(plan.schema.constraints, 1)
    )


def changed_told(plan: Plan, changed: int) -> str:
    """How many synthetic rows were drawn otherwise; empty for a schema without constraints."""
    return f", of which {changed:,} were moved to keep the constraints" if plan.schema.constraints else ""


def outside(release: Release) -> tuple[str, ...]:
    """What may depend on the data and is not bounded by epsilon and delta."""
    lost = sum(len(entry.fields["of"]) for line in release.lines if (entry := parse(line)).kind == "lost")
    things = [
        "whether this release was made at all, and whether earlier ones were given up",
        "anything else that was computed from the same rows, by this or any other program",
        "how the table came to be before it was handed over: types that another reader guessed, a view, a query",
        "facts about a person that hold whether or not that person is in the table",
    ]
    if release.plan.noise == "opendp" or release.plan.measure == "pure":
        things.append(
            "a virtual machine copied while it draws: the noise is OpenDP's, which reads OpenSSL's generator in the "
            "process, so that the copies may repeat noise"
        )
    if release.plan.cell is not None:
        things.append(
            "whether the entities of this table were ever in another cell, in an earlier or a later state of it: the "
            "accounts above add up cells as if each entity had one for ever"
        )
    if lost:
        things.append(f"that {lost} answers were lost to a crash; they stay charged")
    return tuple(things)


def _declared(column: Column) -> str:
    match column:
        case Categorical() | Ordinal():
            text = f"{column.type}, {len(column.values)} listed values"
            if column.levels:
                text += f", grouped by {', then by '.join(column.levels)}"
        case Integer() | Real():
            bins = "in bins that noisy counts find" if column.found else f"in {column.bins} bins"
            bins += "; they find the bounds, too, and are paid for" if column.bounds else ""
            span = "without declared bounds," if column.bounds else f"from {column.min} to {column.max}"
            text = f"{column.type} {span} {bins}"
        case Boolean():
            text = "boolean"
        case Date() | Datetime():
            kept = "the week and the weekday" if column.weekday else "the day"
            text = f"{column.type} from {column.min} to {column.max} by {kept}"
            if isinstance(column, Datetime):
                text += " and the time of day" if column.time else ", any time of day alike"
        case Identifier():
            return "identifier, never read: the rows have fresh ones"
        case Unlisted():
            most = f"at most {column.max_values} values, found privately"
            text = f"categorical, {most}, and {column.otherwise!r} for all others"
    return f"{text}, nulls possible" if column.nullable else text
