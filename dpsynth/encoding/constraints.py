"""The one repair of rows that break a constraint: public, record-wise, idempotent, the same at both ends of the road.

Of each constraint one column gives way (:func:`dpsynth.schema.constraints.repairs`). The columns that give way are
taken in an order in which each comes after those that its repair reads, and each is moved to the nearest cell that all
of its constraints admit: a value to the nearest value by place, the lower one of two as near, and to null only where no
value is admitted; a null to the lowest admitted value. One pass therefore leaves every constraint kept, and a row that
keeps them all as it is. That some cell is always admitted is checked here, when the schema is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding.codec import Codec
from dpsynth.encoding.exact import Exact
from dpsynth.encoding.rules import Axis, Box, Cells, Image, Listing, Mask, Order, Rule, Total, first, last
from dpsynth.errors import SchemaError
from dpsynth.schema import Schema, toml
from dpsynth.schema.constraints import Condition, Depends, Impossible, Ordered, Required, Sum, order, repairs

if TYPE_CHECKING:
    import pyarrow as pa

MOST_STATES = 1 << 20
"""Most joint states of columns for which it is checked that something is admitted."""

SLACK = 2.0**-40
"""Of the largest total: how far real sums stay from the ends of what the parts' cells can add up to."""


@dataclass(frozen=True, eq=False)
class Step:
    """One column that gives way, and what is asked of it."""

    axis: Axis
    listings: tuple[Listing, ...]
    orders: tuple[Order, ...]
    total: Total | None

    @property
    def name(self) -> str:
        """The column."""
        return self.axis.codec.name

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All that is asked of it."""
        return (*self.listings, *self.orders, *([self.total] if self.total else []))


@dataclass(frozen=True, eq=False)
class Constraints:
    """The constraints of a schema on the codes of its columns; without any, rows stay as they are."""

    steps: tuple[Step, ...] = ()
    exact: Exact = field(default_factory=Exact)

    @classmethod
    def of(cls, schema: Schema, codecs: Sequence[Codec]) -> Constraints:
        """Compile a schema's constraints for its codecs.

        SchemaError, naming constraints by number, where they contradict each other or a grid cannot keep them.
        """
        if not schema.constraints:
            return cls()
        asked = {name for one in repairs(schema.constraints) for name in (*one.sources, one.target)}
        axes = {codec.name: Axis.of(codec) for codec in codecs if codec.name in asked}
        rules = [rule for place in range(len(schema.constraints)) for rule in _rules(schema, place, axes)]
        names = order(repairs(schema.constraints), schema.names) or ()
        steps = tuple(_step(axes[name], [rule for rule in rules if rule.columns[-1] == name]) for name in names)
        result = cls(steps, Exact.of(rules))
        tops: dict[str, float] = {}
        for place, step in enumerate(steps):
            _require_admitted(step, steps[:place], tops)
        return result

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, in the order of the repair."""
        return tuple(rule for step in self.steps for rule in step.rules)

    def repaired(self, codes: Cells) -> tuple[dict[str, NDArray[Any]], Mask]:
        """The rows brought to keep all constraints, and which of them were changed, beside totals computed anew.

        ``codes`` holds a vector of codes for each column, of one length; those of the result have the same types, and
        columns that nothing moves are the same arrays. A function of each row alone, which leaves its result as it is.
        """
        result = dict(codes)
        changed = np.zeros(len(next(iter(codes.values()))), dtype=np.bool_)
        least: dict[str, NDArray[np.float64]] = {}
        for step in self.steps:
            name, floor = step.name, _floor(step, result, least)
            low, high = _interval(step, result, floor)
            kinds = [rule.classes(result) for rule in step.listings]
            bad = _broken(step, result[name], kinds, low, high)
            if bad.any():
                rows = np.flatnonzero(bad)
                moved = result[name].copy()
                ends = (low[rows], high[rows])
                moved[rows] = _nearest(step, result[name][rows], [kind[rows] for kind in kinds], *ends)
                result[name] = moved
                if step.total is None:
                    changed |= bad
            if floor is not None:
                own = step.axis.at(step.axis.low, result[name], -np.inf)
                least[name] = np.where(step.axis.null(result[name]), -np.inf, np.maximum(own, floor))
        return result, changed

    def values(self, codes: Cells, arrays: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """Decoded columns with their values exact: those that are ordered in order, totals the sums of their parts."""
        return self.exact.applied(codes, arrays)


def _rules(schema: Schema, place: int, axes: Mapping[str, Axis]) -> Iterator[Rule]:
    number, constraint = place + 1, schema.constraints[place]
    match constraint:
        case Impossible():
            *given, (name, condition) = constraint.where.items()
            yield _box(number, "where", given, axes, name, _complement(axes[name], condition), "outside of it")
        case Required():
            for name, condition in constraint.then.items():
                inside = (axes[name].within(condition), axes[name].pieces(condition))
                yield _box(number, "then", [*constraint.if_.items()], axes, name, inside, "within it")
        case Depends():
            on, column = axes[constraint.on], axes[constraint.column]
            places = [column.point(constraint.map[word]) for word in on.words]
            image = np.array([*places, *[-1] * (on.size - on.leaves)], dtype=np.int64)
            yield Image(number, (on,), column, image)
        case Ordered():
            low, high = (axes[name] for name in constraint.columns)
            (repair,) = (one for one in repairs(schema.constraints) if one.number == number)
            up = repair.target == constraint.columns[1]
            yield Order(number, (low,) if up else (high,), high if up else low, up)
        case Sum():
            yield _total(number, [axes[name] for name in constraint.parts], axes[constraint.total])


def _complement(axis: Axis, condition: Condition) -> tuple[Mask, list[tuple[float, float]]]:
    """The cells that hold nothing a condition means, and the values beside it as closed ranges."""
    step = 1.0 if axis.whole else None
    edges = [-np.inf]
    for low, high in sorted(axis.pieces(condition)):
        edges += [low - step if step else np.nextafter(low, -np.inf)]
        edges += [high + step if step else np.nextafter(high, np.inf)]
    edges += [np.inf]
    return ~axis.touched(condition), [(edges[at], edges[at + 1]) for at in range(0, len(edges), 2)]


def _box(
    number: int,
    key: str,
    given: Sequence[tuple[str, Condition]],
    axes: Mapping[str, Axis],
    name: str,
    meant: tuple[Mask, list[tuple[float, float]]],
    where: str,
) -> Box:
    """A box whose target has the cells of a mask; where they are none, the one cell with a part of the values meant."""
    axis, (allowed, pieces) = axes[name], meant
    tests = tuple(axes[column].touched(condition) for column, condition in given)
    clamp = None
    if not allowed.any():
        parts = [
            (int(cell), max(low, axis.low[cell]), min(high, axis.high[cell]))
            for low, high in pieces
            for cell in np.flatnonzero((axis.high >= low) & (axis.low <= high))
        ]
        clamp = next(((cell, low, high) for cell, low, high in parts if low <= high), None)
        if clamp is None:
            raise SchemaError(f"constraint {number}, {toml.key(key, name)}: leaves the column no value {where}")
        allowed = np.arange(axis.size) == clamp[0]
    return Box(number, tuple(axes[column] for column, _ in given), axis, tests, allowed, clamp)


def _total(number: int, parts: Sequence[Axis], total: Axis) -> Total:
    slack = 0.0
    if not total.whole:
        slack = SLACK * float(np.abs([total.low[0], total.high[-1]]).max())
        for axis in (*parts, total):
            width = axis.high - axis.low
            name = toml.quote(axis.codec.name)
            if axis.whole and axis.wide:
                raise SchemaError(
                    f"constraint {number}, parts: {name} is integer in cells of several values, which real numbers "
                    "cannot be added to exactly: declare it real, or all of them integer"
                )
            if not axis.whole and ((width > 0) & (width < 4 * slack)).any():
                raise SchemaError(
                    f"constraint {number}: {name} has cells too narrow beside the total's values for their sums to be "
                    "exact: bring the bounds of the columns nearer to each other"
                )
    return Total(number, tuple(parts), total, slack)


def _step(axis: Axis, rules: Sequence[Rule]) -> Step:
    orders = tuple(rule for rule in rules if isinstance(rule, Order))
    if len({rule.up for rule in orders}) > 1:
        numbers = " and ".join(str(rule.number) for rule in orders)
        raise SchemaError(
            f"constraints {numbers} hold column {toml.quote(axis.codec.name)} between columns that do not order each "
            "other: leave one out, or order those first"
        )
    totals = [rule for rule in rules if isinstance(rule, Total)]
    if len(totals) > 1:
        raise SchemaError(
            f"constraints {totals[0].number} and {totals[1].number} both say what column "
            f"{toml.quote(axis.codec.name)} adds up to: leave one out"
        )
    listings = tuple(rule for rule in rules if isinstance(rule, Listing))
    return Step(axis, listings, orders, totals[0] if totals else None)


def _floor(step: Step, codes: Cells, least: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """The least value that orderings leave the column in each row; None if none raises it.

    It counts through chains: a column is at least what those below it are at least, unless they are null.
    """
    found: NDArray[np.float64] | None = None
    for rule in step.orders:
        if rule.up:
            name = rule.columns[0]
            one = least[name] if name in least else rule.sources[0].at(rule.sources[0].low, codes[name], -np.inf)
            found = one if found is None else np.maximum(found, one)
    return np.ceil(found) if found is not None and step.axis.whole else found


def _interval(
    step: Step, codes: Cells, floor: NDArray[np.float64] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last cell of values that orderings and sums admit in each row."""
    rows = len(codes[step.name])
    low, high = np.zeros(rows, dtype=np.int64), np.full(rows, step.axis.leaves - 1, dtype=np.int64)
    if floor is not None:
        low = first(step.axis, floor)
    for rule in step.orders:
        if not rule.up:
            ceiling = rule.sources[0].at(rule.sources[0].high, codes[rule.columns[0]], np.inf)
            high = np.minimum(high, last(step.axis, ceiling))
    if step.total is not None:
        begin, end = step.total.interval(codes)
        low, high = np.maximum(low, begin), np.minimum(high, end)
    return low, high


def _broken(
    step: Step,
    target: NDArray[Any],
    kinds: Sequence[NDArray[np.int64]],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> Mask:
    """Which rows hold a cell that is not admitted. A null is ordered and adds up with anything."""
    bad: Mask = ((target < low) | (target > high)) & ~step.axis.null(target)
    for rule, kind in zip(step.listings, kinds, strict=True):
        bad |= rule.broken(kind, target)
    return bad


def _nearest(
    step: Step,
    target: NDArray[Any],
    kinds: Sequence[NDArray[np.int64]],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The admitted cell that is nearest to each row's."""
    result = np.zeros(target.size, dtype=np.int64)
    leaves, axis = step.axis.leaves, step.axis
    for rows in _alike(kinds, target.size):
        mask = _admitted(step, [int(kind[rows[0]]) for kind in kinds])
        values = np.flatnonzero(mask[:leaves])
        first_, last_ = low[rows], high[rows]
        begin = np.where(axis.null(target[rows]), 0, target[rows]).astype(np.int64)
        at = np.clip(begin, first_, last_)
        if values.size:
            after = np.searchsorted(values, at, side="left")
            above = values[np.minimum(after, values.size - 1)]
            below = values[np.maximum(np.searchsorted(values, at, side="right") - 1, 0)]
            has_above, has_below = (above >= at) & (above <= last_), (below <= at) & (below >= first_)
            up = has_above & (~has_below | (above - at < at - below))
            chosen = np.where(up, above, np.where(has_below, below, leaves))
        else:
            chosen = np.full(rows.size, leaves, dtype=np.int64)
        # That some cell is admitted was checked when the schema was compiled; were there none, nothing may raise here.
        result[rows] = np.minimum(chosen, step.axis.size - 1)
    return result


def _alike(kinds: Sequence[NDArray[np.int64]], rows: int) -> list[NDArray[np.intp]]:
    """The rows of each combination of classes that occurs."""
    key = np.zeros(rows, dtype=np.int64)
    for kind in kinds:
        key = np.unique(key * (int(kind.max(initial=0)) + 2) + kind + 1, return_inverse=True)[1].reshape(-1)
    ends = np.cumsum(np.bincount(key)) if rows else np.zeros(0, dtype=np.int64)
    return np.split(np.argsort(key, kind="stable"), ends[:-1])


def _admitted(step: Step, kinds: Sequence[int]) -> Mask:
    """The cells that the listings admit for rows of some classes."""
    mask = np.ones(step.axis.size, dtype=np.bool_)
    for rule, kind in zip(step.listings, kinds, strict=True):
        mask &= rule.admitted(kind)
    return mask


def _require_admitted(step: Step, before: Sequence[Step], tops: dict[str, float]) -> None:
    """SchemaError unless in every state of the sources, as it can be after the steps before, some cell is admitted.

    ``tops`` holds the most that each column so far can be at least, where columns below it raise that; it is added to.
    """
    name = toml.quote(step.name)
    tight = [
        tops.get(rule.columns[0], rule.sources[0].low[-1]) if rule.up else rule.sources[0].high[0]
        for rule in step.orders
    ]
    for rule, end in zip(step.orders, tight, strict=True):
        other = rule.sources[0]
        if end > step.axis.high[-1] if rule.up else end < step.axis.low[0]:
            side, far, sign = ("greatest", "above", "greater") if rule.up else ("least", "below", "smaller")
            raise SchemaError(
                f"constraint {rule.number}, columns: {toml.quote(other.codec.name)} can lie {far} the {side} value of "
                f"{name}: give {name} a {sign} bound, or the other column a nearer one"
            )
    states, sources = _states(step, before)
    kinds = [rule.classes(states) for rule in step.listings]
    kept = np.ones(len(states[step.name]), dtype=np.bool_)
    for earlier in before:
        if {*sources, step.name} >= {name for rule in earlier.listings for name in rule.columns}:
            for listing in earlier.listings:
                kept &= ~listing.broken(listing.classes(states), states[earlier.name])
    window = np.ones(step.axis.leaves, dtype=np.bool_)
    for rule, end in zip(step.orders, tight, strict=True):  # the tightest, which lies in all others
        window &= step.axis.high >= end if rule.up else step.axis.low <= end
    found = np.unique(np.stack([np.zeros(kept.sum(), np.int64), *[kind[kept] for kind in kinds]], axis=1), axis=0)
    for kind in found[:, 1:].tolist():
        mask = _admitted(step, kind)
        mask[: step.axis.leaves] &= window
        if not mask.any():
            active = [rule.number for rule, one in zip(step.listings, kind, strict=True) if one >= 0]
            raise SchemaError(_contradiction([*active, *[rule.number for rule in step.orders]], name))
    raising = [end for rule, end in zip(step.orders, tight, strict=True) if rule.up]
    if raising:
        top = float(np.ceil(max(raising))) if step.axis.whole else max(raising)
        tops[step.name] = max(top, float(step.axis.low[-1]))


def _contradiction(numbers: Sequence[int], name: str) -> str:
    told = sorted(set(numbers))
    if len(told) == 1:
        return f"constraint {told[0]} leaves column {name} no value in rows where it applies: it contradicts itself"
    joined = ", ".join(map(str, told[:-1])) + f" and {told[-1]}"
    return (
        f"constraints {joined} leave column {name} no value in rows where they all apply: they contradict each other; "
        "change one, or say in another that such rows are impossible"
    )


def _states(step: Step, before: Sequence[Step]) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """One row for each joint state of the sources of a step's listings that its rules and those before tell apart."""
    axes = {axis.codec.name: axis for rule in step.listings for axis in rule.sources}
    inner = [rule for earlier in before for rule in earlier.listings if set(rule.columns) <= set(axes)]
    kept: list[NDArray[np.int64]] = []
    for name, axis in axes.items():
        profiles = [
            rule.profile(at) for rule in (*step.listings, *inner) for at, own in enumerate(rule.sources) if own is axis
        ]
        for rule in inner:
            if rule.columns[-1] == name:
                profiles += [np.arange(axis.size)] if isinstance(rule, Image) else [rule.admitted(0).astype(np.int64)]
        kept.append(np.unique(np.stack(profiles, axis=1), axis=0, return_index=True)[1])
    if prod(len(cells) for cells in kept) > MOST_STATES:
        numbers = sorted({rule.number for rule in step.listings})
        raise SchemaError(
            f"constraints {', '.join(map(str, numbers))}: {len(numbers)} constraints about column "
            f"{toml.quote(step.name)} have too many joint states to check whether they can all be kept: name fewer "
            "columns in them, or let other columns give way"
        )
    grids = np.meshgrid(*kept, indexing="ij") if kept else []
    states = {name: grid.ravel().astype(np.int64) for name, grid in zip(axes, grids, strict=True)}
    rows = len(next(iter(states.values()))) if states else 1
    return {**states, step.name: np.zeros(rows, dtype=np.int64)}, list(axes)
