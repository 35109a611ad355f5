"""The facts of a release, gathered for the report. Everything read here is public already."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth import __version__, report
from dpsynth.encoding import Codec
from dpsynth.ledger import CHARGES, Entry, cost_of, parse
from dpsynth.measurement import LATTICE, TOTAL, Level, NoisyMarginal, Tree
from dpsynth.release.describe import title
from dpsynth.release.picture import picture
from dpsynth.release.release import Release
from dpsynth.release.words import changed_told, outside, public_things, rows_told, workload_told
from dpsynth.sampling import IntegerTables, RowsDigest
from dpsynth.schema import Categorical

MOST_SHOWN = 300
"""Most cells of a table that is drawn of a column whose bins are found."""


class Tally(RowsDigest):
    """A digest of the rows that also counts each column's fine cells on the way."""

    def __init__(self, tables: IntegerTables, rows: int) -> None:
        super().__init__(tables, rows)
        self.counts = {name: np.zeros(size, np.int64) for name, size in zip(tables.columns, tables.fine, strict=True)}

    def add(self, codes: Mapping[str, NDArray[np.uint16]]) -> None:
        """Take the next chunk."""
        super().add(codes)
        for name, count in self.counts.items():
            count += np.bincount(codes[name], minlength=count.size)


def facts(release: Release, tally: Tally) -> report.ReportFacts:
    """What the report shows: the claim, every charged query, and the synthetic beside the noisy one-way counts."""
    plan, unit = release.plan, release.plan.schema.unit
    marginals = [answer for answer in release.answers if isinstance(answer, NoisyMarginal)]
    totals = [int(answer.values) for answer in marginals if answer.query == TOTAL]
    entries = [entry for line in release.lines if (entry := parse(line)).kind in CHARGES]
    return report.ReportFacts(
        title=title(plan),
        release=plan.release,
        day=release.day,
        software=f"dpsynth-engine {__version__}",
        mechanism=plan.mechanism,
        rows=release.rows,
        rows_rule=rows_told(plan) + changed_told(plan, tally.changed),
        total=totals[0] if totals else None,
        claim=report.Claim(
            unit.entity,
            unit.column,
            unit.max_rows,
            unit.neighbours,
            plan.budget.epsilon,
            plan.budget.delta,
            plan.cost,
        ),
        account=report.Account(
            release.account,
            release.cap,
            release.held_before,
            release.held_after,
            release.policy.delta,
        ),
        queries=tuple(query_fact(entry) for entry in entries),
        worst=report.WorstCase.of(plan.cost),
        fits=tuple(_fit(answer, release.codecs, tally) for answer in marginals if _is_column(answer, plan.grid.trees)),
        picture=picture(release.tables, (answer.query.columns for answer in marginals)),
        public=public_things(plan),
        outside=outside(release),
        fingerprints=(("plan", plan.digest), ("schema", plan.schema.digest), ("rows", tally.text)),
        artificial=plan.artificial,
        workload=workload_told(plan),
    )


def query_fact(entry: Entry) -> report.QueryFact:
    """A charged entry, as the pages show it."""
    fields = entry.fields
    mechanism, query = fields["mechanism"], fields["query"]
    cost, chosen_by = cost_of(fields["cost"]).amount, tuple(fields["chosen_by"])
    epsilon = fields["running"]["epsilon"]
    scale = Fraction(mechanism.get("sigma", mechanism.get("scale", "0")))
    if entry.kind == "partitions":
        return report.QueryFact(
            entry.seq,
            "values",
            (query["column"],),
            0,
            mechanism["type"],
            scale,
            cost,
            chosen_by,
            epsilon,
            threshold=mechanism["threshold"],
            delta=Fraction(mechanism["delta"]),
        )
    if entry.kind != "measure":
        return report.QueryFact(
            entry.seq,
            "selection" if entry.kind == "select" else "scores",
            None,
            query["candidates"],
            mechanism["type"],
            scale / (LATTICE * query.get("weight", 1)),
            cost,
            chosen_by,
            epsilon,
            mechanism.get("picks", 1),
        )
    columns = tuple(query["columns"])
    return report.QueryFact(
        entry.seq,
        "total" if not columns else "residual" if query["basis"] == "residual" else "marginal",
        columns,
        int(np.prod(query["shape"], dtype=np.int64)),
        mechanism["type"],
        scale,
        cost,
        chosen_by,
        epsilon,
    )


def _is_column(answer: NoisyMarginal, trees: Mapping[str, Tree]) -> bool:
    """Whether an answer counts the cells of one column, not too many of them to be shown where bins are found."""
    if len(answer.query.levels) != 1 or answer.query.basis != "marginal":
        return False
    return answer.query.columns[0] not in trees or answer.query.cells <= MOST_SHOWN


def _fit(answer: NoisyMarginal, codecs: tuple[Codec, ...], tally: Tally) -> report.ColumnFit:
    (level,) = answer.query.levels
    codec = next(codec for codec in codecs if codec.name == level.column)
    synthetic = np.bincount(level.cells, weights=tally.counts[codec.name], minlength=level.size)
    return report.ColumnFit(
        codec.name,
        labels(codec, level),
        tuple(answer.values.tolist()),
        tuple(synthetic.astype(np.int64).tolist()),
        float(answer.scale),
        answer.law,
        not isinstance(codec.column, Categorical),
    )


def labels(codec: Codec, level: Level) -> tuple[str, ...]:
    """What the cells of a level are called: the value, the least and greatest value, or "missing"."""
    first = np.unique(level.cells, return_index=True)[1]
    last = level.fine - 1 - np.unique(level.cells[::-1], return_index=True)[1]
    least = codec.decode(first, np.zeros(level.size, np.uint64)).to_pylist()
    most = codec.decode(last, np.full(level.size, 2**64 - 1, np.uint64)).to_pylist()
    return tuple(_label(low, high) for low, high in zip(least, most, strict=True))


def _label(low: object, high: object) -> str:
    if low is None:
        return "missing"
    if isinstance(low, date) and isinstance(high, date):
        return _span(low, high)
    if isinstance(low, time) and isinstance(high, time):
        return f"{low:%H:%M} to {high:%H:%M}" if (low.hour, low.minute) != (high.hour, high.minute) else f"{low:%H:%M}"
    short = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in (low, high)]
    return short[0] if low == high else f"{short[0]} to {short[1]}"


def _span(low: date, high: date) -> str:
    """Whole years, quarters and months by their names, other days by the first and the last."""
    after = high + timedelta(1) if high < date.max else high
    if low.day == after.day == 1 and low < high:
        months = (after.year - low.year) * 12 + after.month - low.month
        if months == 12 and low.month == 1:
            return f"{low.year}"
        if months == 3 and low.month % 3 == 1:
            return f"{low.year} Q{low.month // 3 + 1}"
        if months == 1:
            return f"{low:%Y-%m}"
    return f"{low}" if low == high else f"{low} to {high}"
