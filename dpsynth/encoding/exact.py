"""Constraints on values drawn inside cells: orderings and sums hold exactly, and each value stays in its cell.

Cells that keep the constraints leave room for values that do: the repair of codes has seen to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding.rules import Axis, Box, Cells, Order, Rule, Total, added
from dpsynth.errors import SchemaError
from dpsynth.schema import toml

if TYPE_CHECKING:
    import pyarrow as pa

Values = dict[str, NDArray[np.float64]]
"""Column -> values, one a row; what stands at a null means nothing. Whole numbers up to 2^53 are exact."""


@dataclass(frozen=True, eq=False)
class Exact:
    """What is left to do on values: only where cells hold several. ``columns`` are those whose values may move."""

    clamps: tuple[Box, ...] = ()
    orders: tuple[Order, ...] = ()
    totals: tuple[Total, ...] = ()
    chain: tuple[Axis, ...] = ()

    @classmethod
    def of(cls, rules: Sequence[Rule]) -> Exact:
        """Those rules that cells alone do not keep; SchemaError where two of them move the values of one column."""
        clamps = tuple(rule for rule in rules if isinstance(rule, Box) and rule.clamp and rule.target.wide)
        orders = tuple(rule for rule in rules if isinstance(rule, Order) and any(side.wide for side in rule.sides))
        totals = tuple(rule for rule in rules if isinstance(rule, Total) and _is_wide(rule))
        _require_apart(clamps, orders, totals)
        return cls(clamps, orders, totals, _chain(orders))

    @property
    def columns(self) -> frozenset[str]:
        """The columns whose values may move inside their cells."""
        axes = [rule.target for rule in self.clamps] + [axis for rule in self.orders for axis in rule.sides]
        axes += [axis for rule in self.totals for axis in (*rule.sources, rule.target)]
        return frozenset(axis.codec.name for axis in axes if axis.wide)

    def moves(self, name: str, cell: int) -> bool:
        """Whether values of a column may move inside a cell."""
        held = [box.clamp[0] for box in self.clamps if box.clamp and box.target.codec.name == name]
        return cell in held if held else name in self.columns

    def applied(self, codes: Cells, arrays: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """The columns with exact values; the others as they are. ``codes`` keep every constraint."""
        from dpsynth.encoding import arrays as arrow

        result = dict(arrays)
        if not self.columns:
            return result
        rules: tuple[Rule, ...] = (*self.clamps, *self.orders, *self.totals)
        axes = {axis.codec.name: axis for rule in rules for axis in (*rule.sources, rule.target)}
        values = {
            name: arrow.to_numpy(arrays[name]).astype(np.float64)
            for name in axes
            if name in self.columns or any(name in rule.columns for rule in (*self.orders, *self.totals))
        }
        for box in self.clamps:
            _clamp(box, codes, values)
        _arrange(self.orders, self.chain, codes, values)
        for total in self.totals:
            _add(total, codes, values)
        for name in self.columns:
            axis = axes[name]
            numbers = values[name].astype(np.int64) if axis.whole else values[name]
            result[name] = arrow.of_numpy(numbers, axis.null(codes[name]))
        return result


def _is_wide(rule: Total) -> bool:
    return any(axis.wide for axis in (*rule.sources, rule.target))


def _require_apart(clamps: Sequence[Box], orders: Sequence[Order], totals: Sequence[Total]) -> None:
    """A column in cells of several values belongs to one group of rules: all orderings, or one sum, or one range."""
    owner: dict[str, tuple[object, int]] = {}
    groups: list[tuple[object, int, tuple[Axis, ...]]] = [
        *(((box.target.codec.name, box.clamp), box.number, (box.target,)) for box in clamps),
        *(("orders", rule.number, rule.sides) for rule in orders),
        *((("total", at), rule.number, (*rule.sources, rule.target)) for at, rule in enumerate(totals)),
    ]
    for group, number, axes in groups:
        for axis in axes:
            if not axis.wide:
                continue
            known, earlier = owner.setdefault(axis.codec.name, (group, number))
            if known != group:
                raise SchemaError(
                    f"constraints {min(earlier, number)} and {max(earlier, number)} both move the values of column "
                    f"{toml.quote(axis.codec.name)} inside its cells, which hold several values: leave one out, or "
                    "declare an integer column whose numbers are few enough for a cell each (4,096)"
                )


def _chain(orders: Sequence[Order]) -> tuple[Axis, ...]:
    """The columns of the orderings, lower ones first."""
    left = {axis.codec.name: axis for rule in orders for axis in rule.sides}
    done: list[Axis] = []
    while left:
        higher = {rule.sides[1].codec.name for rule in orders if rule.sides[0].codec.name in left}
        name = next(name for name in left if name not in higher)
        done.append(left.pop(name))
    return tuple(done)


def _clamp(box: Box, codes: Cells, values: Values) -> None:
    name = box.target.codec.name
    cell, low, high = box.clamp or (-1, 0.0, 0.0)
    rows = (box.classes(codes) >= 0) & (codes[name] == cell)
    values[name][rows] = np.clip(values[name][rows], low, high)


def _arrange(orders: Sequence[Order], chain: Sequence[Axis], codes: Cells, values: Values) -> None:
    """Order values: those of like cells change places, then each is brought above those that it must not be below.

    First the most that each may be is handed down, so that nobody is raised above what a higher column can reach.
    """
    for rule in orders:
        low, high = rule.sides
        one, two = low.codec.name, high.codec.name
        if np.array_equal(low.low, high.low) and np.array_equal(low.high, high.high):
            like = (codes[one] == codes[two]) & (values[one] > values[two])
            values[one][like], values[two][like] = values[two][like], values[one][like]
    most: Values = {}
    for axis in reversed(chain):
        name = axis.codec.name
        reach = axis.at(axis.high, codes[name], np.inf)
        for rule in orders:
            if rule.sides[0] is axis:
                reach = np.minimum(reach, most[rule.sides[1].codec.name])
        reach = np.floor(reach) if axis.whole else reach
        most[name] = np.where(axis.null(codes[name]), np.inf, reach)
    for axis in chain:
        name = axis.codec.name
        for rule in orders:
            if rule.sides[1] is axis:
                below = rule.sides[0]
                floor = np.where(below.null(codes[below.codec.name]), -np.inf, values[below.codec.name])
                values[name] = np.maximum(values[name], np.ceil(floor) if axis.whole else floor)
        values[name] = np.minimum(values[name], most[name])


def _add(total: Total, codes: Cells, values: Values) -> None:
    """The total from its parts, which first move inside their cells where it would lie outside its own."""
    names, name = total.columns[:-1], total.columns[-1]
    known = ~total.target.null(codes[name])
    for axis, part in zip(total.sources, names, strict=True):
        known &= ~axis.null(codes[part])
    cells = {column: codes[column][known] for column in total.columns}
    parts = [values[part][known] for part in names]
    lows = [axis.low[cells[part]] for axis, part in zip(total.sources, names, strict=True)]
    highs = [axis.high[cells[part]] for axis, part in zip(total.sources, names, strict=True)]
    target = total.target
    least = np.maximum(target.low[cells[name]], added(lows))
    most = np.minimum(target.high[cells[name]], added(highs))
    sums = added(parts)
    outside = np.flatnonzero((sums < target.low[cells[name]]) | (sums > target.high[cells[name]]))
    aim = np.clip(sums, least, most) if target.whole else least / 2 + most / 2
    need = aim[outside] - sums[outside]
    for value, low, high in zip(parts, lows, highs, strict=True):
        own = value[outside]
        moved = np.clip(own + need, low[outside], high[outside])
        value[outside] = moved
        need = need - (moved - own)
    for part, value in zip(names, parts, strict=True):
        values[part][known] = value
    values[name][known] = added(parts)
