"""Numbers in bins that noisy counts find beside public bins of equal width: how far one column is from the private one.

    python benchmarks/numeric.py [--table adult hmeq people] [--runs 5] [--bins 32] [--epsilon 1] [--quick]

Whole runs of the default mechanism, from the CSV to decoded rows, on raw tables: Adult and hmeq with the schemas of
docs/examples, and artificial people. The same schema twice: with ``bins = "private"`` in every column of numbers, and
with public bins of equal width. Wasserstein's distance of order 1 is the mean distance that a value has to be moved, in
the column's own unit, among values that are not missing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from page import publish, table
from tables import DATA

from dpsynth import Accountant, Schema, synthesize
from dpsynth.people import SCHEMA_TOML, write_csv
from dpsynth.privacy import Budget
from dpsynth.schema import Integer, Real

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
ACCOUNT = "benchmark"
PEOPLE = 30_000
TITLES = {"adult": "UCI Adult, raw", "hmeq": "Home-equity loans, raw", "people": "Artificial people"}
FILES = {"adult": "adult_train.csv", "hmeq": "hmeq.csv"}
Values = dict[str, np.ndarray]


def numeric(schema: Schema) -> list[str]:
    """The columns of numbers."""
    return [name for name, column in schema.columns.items() if isinstance(column, Integer | Real)]


def with_bins(schema: Schema, bins: int | str) -> Schema:
    """The same schema with these bins in every column of numbers."""
    columns = {
        name: {**column.model_dump(exclude_defaults=True), "type": column.type}
        | ({"bins": bins} if isinstance(column, Integer | Real) else {})
        for name, column in schema.columns.items()
    }
    return Schema.model_validate({"unit": schema.unit.model_dump(), "columns": columns})


def distance(one: np.ndarray, two: np.ndarray) -> float:
    """Wasserstein's distance of order 1: the area between the two distribution functions."""
    both = np.sort(np.concatenate([one, two]))
    shares = [np.searchsorted(np.sort(values), both[:-1], side="right") / len(values) for values in (one, two)]
    return float(np.sum(np.abs(shares[0] - shares[1]) * np.diff(both)))


def released(source: Path, schema: Schema, epsilon: str) -> Values:
    """The numbers of one whole run."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.db"
        with Accountant.open(store, create=True) as accountant:
            unit = schema.unit
            accountant.open_account(
                ACCOUNT,
                entity=unit.entity,
                column=unit.column,
                neighbours=unit.neighbours,
                budget=Budget(epsilon=epsilon, delta="1e-9"),
            )
        release = synthesize(source, schema=schema, epsilon=epsilon, delta="1e-9", account=ACCOUNT, store=store)
        rows = release.to_arrow()
    return {name: rows[name].drop_null().to_numpy().astype(np.float64) for name in numeric(schema)}


def section(name: str, source: Path, schema: Schema, asked: argparse.Namespace) -> str:
    """The table of one section."""
    import pandas as pd

    frame = pd.read_csv(source, dtype=str)
    columns = numeric(schema)
    private = {column: pd.to_numeric(frame[column]).dropna().to_numpy(np.float64) for column in columns}
    found: Mapping[str, dict[str, list[float]]] = {"public": {}, "private": {}}
    for kind, bins in (("public", asked.bins), ("private", "private")):
        for _ in range(asked.runs):
            rows = released(source, with_bins(schema, bins), asked.epsilon)
            for column in columns:
                found[kind].setdefault(column, []).append(distance(private[column], rows[column]))
    lines = []
    for column in columns:
        public, ours = (float(np.mean(found[kind][column])) for kind in ("public", "private"))
        lines.append([column, private[column].mean(), public, ours, max(found["private"][column]), ours / public])
    ratios = np.array([float(line[-1]) for line in lines])
    head = ["column", "its mean", f"{asked.bins} bins", "found bins", "the worst run", "ratio"]
    told = (
        f"### Numbers: {TITLES[name]}\n\n{len(frame):,} rows, whole runs of the default mechanism at epsilon "
        f"{asked.epsilon} and delta 1e-9. Wasserstein's distance of order 1 between the private column and the "
        f"synthetic one, in the column's unit; means of {asked.runs} runs with {asked.bins} public bins of equal width "
        f"and with bins that noisy counts find. Target: a ratio of at most 0.5, which {int((ratios <= 0.5).sum())} of "
        f"{len(ratios)} columns reach; the geometric mean is {np.exp(np.log(ratios).mean()):.2f}.\n\n"
    )
    return told + table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs="+", choices=TITLES, default=["adult", "hmeq"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bins", type=int, default=32)
    parser.add_argument("--epsilon", default="1")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one run, nothing is written")
    asked = parser.parse_args()
    if asked.quick:
        asked.runs = 1
    for name in asked.table:
        with tempfile.TemporaryDirectory() as folder:
            if name in FILES:
                source = Path(folder) / FILES[name]
                if not (DATA / FILES[name]).exists():
                    raise SystemExit("the tables of ../shared are not at hand")
                source.symlink_to(DATA / FILES[name])
                schema = Schema.load(EXAMPLES / f"{name}.schema.toml")
            else:
                source = Path(folder) / "people.csv"
                write_csv(source, 2_000 if asked.quick else PEOPLE, seed=7)
                schema = Schema.parse(SCHEMA_TOML)
            publish(f"numeric-{name}", section(name, source, schema, asked), asked.quick)


if __name__ == "__main__":
    main()
