"""How well the mechanisms fit, how their defaults were chosen, and what each ingredient of ``mrm`` is worth.

    python benchmarks/model_fit.py [--seeds 3] [--ablation | --triples] [--tables adult_codes ...] [--quick]

Runs the mechanisms under Gaussian-DP budgets of (epsilon, 1e-9) with rounded normal noise from a seed
(tests/mechanisms/fake.py): a measure of what is asked and how it is fitted, not a release. ``--ablation`` instead takes
one ingredient of ``mrm`` away, or changes one setting, at a time; ``--triples`` lists triples in its workload.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import tables
from page import publish, table

from dpsynth.measurement import Domain, Level, Query, Replayer
from dpsynth.mechanisms import MRM, REGISTRY, Mechanism, Workload, by_name, mrm, oneway
from dpsynth.mechanisms.purchase import Basket
from dpsynth.model import FittedModel, strength
from dpsynth.privacy import Budget
from dpsynth.table.counting import Tables
from tests.mechanisms.fake import FakeMeasurer

Table = tuple[Domain, np.ndarray]
Columns = tuple[str, ...]
HEAD = ("two-way mean", "max", "cells", "evaluations", "fit s")
EPSILONS = {"adult_codes": ("1", "10", "0.1"), "people_survey": ("1", "0.2")}
"""Of a table; of all others 1."""


def load(name: str) -> Table:
    """A coded table in memory."""
    with tempfile.TemporaryDirectory() as folder:
        made = tables.make(name, Path(folder))
        codes = np.loadtxt(made.path, delimiter=",", skiprows=1, dtype=np.int64)
    return Domain(tuple(made.sizes), tuple(made.sizes.values())), codes


def budget(epsilon: str) -> Fraction:
    return Budget(epsilon, "1e-9").cost("gdp").amount


def distances(whole: Table, fitted: FittedModel, sets: Sequence[Columns] = ()) -> np.ndarray:
    """Total variation between the real tables of these columns, by default of all pairs, and the expected ones."""
    domain, codes = whole
    sets = sets or list(combinations(domain.names, 2))
    queries = [Query(tuple(Level.identity(name, domain.size(name)) for name in columns)) for columns in sets]
    real = Tables(queries)
    real.add(dict(zip(domain.names, codes.astype(np.uint16).T, strict=True)), len(codes))
    model = fitted.expected_all(queries)
    both = zip(real.counts(), model, strict=True)
    return np.array([np.abs(r / len(codes) - m / fitted.network.rows).sum() / 2 for r, m in both])


def run(whole: Table, mechanism: Mechanism, price: Fraction, seed: int) -> tuple[float, ...]:
    """The figures of one seed, as in HEAD; the seconds are those of the mechanism replayed, without counting."""
    fake = FakeMeasurer(*whole, seed, measure="gdp")
    mechanism.fit(fake, price)
    start = time.perf_counter()
    fitted = mechanism.fit(Replayer.of(fake.grid, fake.answers), price)
    seconds = time.perf_counter() - start
    apart, ended = distances(whole, fitted), fitted.network.convergence
    return apart.mean(), apart.max(), fitted.network.tree.cells, ended.evaluations, seconds


def compared(wholes: dict[str, Table], seeds: Sequence[int], quick: bool) -> None:
    rows = []
    for name, whole in wholes.items():
        for epsilon in EPSILONS.get(name, ("1",)):
            for mechanism in map(by_name, REGISTRY):
                found = [run(whole, mechanism, budget(epsilon), seed) for seed in seeds]
                mean, worst, cells, evaluations, seconds = np.mean(found, axis=0).tolist()
                figures = f"{mean:.4f}", f"{worst:.3f}", round(cells), round(evaluations), seconds
                rows.append([name, epsilon, mechanism.name, *figures])
                print(rows[-1], file=sys.stderr, flush=True)
    about = (
        "Mean and largest total variation between the real two-way tables and the model's expected ones, "
        f"{len(seeds)} seeds of noise at (epsilon, 1e-9); fit s is the whole mechanism replayed from its answers, "
        "without counting.\n\n"
    )
    head = ("table", "epsilon", "mechanism", *HEAD)
    publish("model-fit", f"### Mechanisms\n\n{about}{table(head, rows)}", quick)


@contextmanager
def without(ingredient: str) -> Iterator[None]:
    """One-way tables as they were measured, the same share for whatever is bought, or each table's own strength."""
    smoothed, choose, rounds = oneway.smoothed, mrm.choose, strength.ROUNDS
    oneway.smoothed = (lambda values, sigma: values) if "not smoothed" in ingredient else smoothed
    mrm.choose = (lambda *asked: alike(choose(*asked))) if "equal shares" in ingredient else choose
    strength.ROUNDS = 0 if "each table's own" in ingredient else rounds
    try:
        yield
    finally:
        oneway.smoothed, mrm.choose, strength.ROUNDS = smoothed, choose, rounds


def alike(basket: Basket | None) -> Basket | None:
    if basket is None:
        return None
    share = 1 / len(basket.purchases)
    return replace(basket, purchases=tuple(replace(bought, share=share) for bought in basket.purchases))


def fit(whole: Table, mechanism: Mechanism, price: Fraction, seed: int) -> FittedModel:
    return mechanism.fit(FakeMeasurer(*whole, seed, measure="gdp"), price)


def ablation(wholes: dict[str, Table], seeds: Sequence[int], quick: bool) -> None:
    plain = MRM()
    finest = plain.resolutions[:1]
    variants = {
        "as it is": plain,
        "one-way tables not smoothed": plain,
        "equal shares of what is bought": plain,
        "each table's own strength, not learned together": plain,
        "one resolution, the finest": replace(plain, resolutions=finest),
        "no column asked again": replace(plain, again=Fraction(0)),
        "whole tables, not residuals": replace(plain, residual=False),
        "scores however small the tables are": replace(plain, outright=False),
        "a private choice before the scores": replace(plain, scored=1),
        "two rounds, 1:1": replace(plain, batches=(1, 1)),
        "three rounds, 1:1:2": replace(plain, batches=(1, 1, 2)),
        "triples offered in a second round, 4:1": replace(plain, workload=Workload(3), batches=(4, 1)),
        "one-ways 1/10": replace(plain, one_way=Fraction(1, 10)),
        "one-ways 1/4": replace(plain, one_way=Fraction(1, 4)),
        "scores 1/50": replace(plain, select=Fraction(1, 50)),
        "scores 1/10": replace(plain, select=Fraction(1, 10)),
        "groups of 2 noise scales": replace(plain, merge=Fraction(2)),
        "groups of 8 noise scales": replace(plain, merge=Fraction(8)),
        "tree of 2^17 cells": replace(plain, cells=1 << 17),
        "tree of 2^22 cells": replace(plain, cells=1 << 22),
    }
    kinds = [(name, epsilon) for name in wholes for epsilon in EPSILONS.get(name, ("1",))]
    rows = []
    for title, mechanism in variants.items():
        row: list[object] = [title]
        for name, epsilon in kinds:
            with without(title):
                fitted = (fit(wholes[name], mechanism, budget(epsilon), seed) for seed in seeds)
                row.append(f"{np.mean([distances(wholes[name], found).mean() for found in fitted]):.4f}")
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    about = f"Mean total variation of the expected two-way tables, {len(seeds)} seeds of noise at (epsilon, 1e-9).\n\n"
    head = ("mrm", *(f"{name}, epsilon {epsilon}" for name, epsilon in kinds))
    publish("ablation", f"### Ingredients of mrm\n\n{about}{table(head, rows)}", quick)


def triples(wholes: dict[str, Table], seeds: Sequence[int], quick: bool) -> None:
    """What listing triples gives to them, and takes from pairs."""
    rows = []
    for table_name, epsilon in [(name, epsilon) for name in wholes for epsilon in EPSILONS.get(name, ("1",))]:
        whole = wholes[table_name]
        names = whole[0].names
        every, pairs = list(combinations(names, 3)), list(combinations(names, 2))
        for listed in (every[:: len(every) // len(names) + 1], every[::4]):
            plain = MRM(Workload(marginals=tuple((columns, 1) for columns in (*listed, *pairs))))
            for title, mechanism in {
                "left to their pairs": replace(plain, triples=0),
                "on offer": replace(plain, triples=len(every)),
                "all triples in a second round, 4:1": replace(plain, workload=Workload(3), batches=(4, 1)),
            }.items():
                fitted = [fit(whole, mechanism, budget(epsilon), seed) for seed in seeds]
                figures = [np.mean([distances(whole, f, sets).mean() for f in fitted]) for sets in (listed, pairs)]
                rows.append([table_name, epsilon, len(listed), title, *(f"{figure:.4f}" for figure in figures)])
                print(rows[-1], file=sys.stderr, flush=True)
    about = (
        "Mean total variation of the expected tables of some triples, which the workload lists beside all pairs, and "
        f"of all pairs; {len(seeds)} seeds of noise at (epsilon, 1e-9).\n\n"
    )
    head = ("table", "epsilon", "triples listed", "", "their distance", "two-way")
    publish("triples", f"### Listed triples\n\n{about}{table(head, rows)}", quick)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ablation", action="store_true", help="one ingredient of mrm away at a time")
    parser.add_argument("--triples", action="store_true", help="triples listed in the workload of mrm")
    parser.add_argument(
        "--tables", nargs="+", default=["adult_codes", "people_survey", "adult_survey", "census", "hmeq_mixed"]
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: few rows, one seed, nothing is written")
    asked = parser.parse_args()
    if not tables.DATA.exists():
        raise SystemExit(f"{tables.DATA} is not at hand")
    seeds = range(1 if asked.quick else asked.seeds)
    wholes = {name: load(name) for name in asked.tables[: 1 if asked.quick else None]}
    if asked.quick:
        wholes = {n: (domain.project(domain.names[:5]), codes[:2000, :5]) for n, (domain, codes) in wholes.items()}
    (ablation if asked.ablation else triples if asked.triples else compared)(wholes, seeds, asked.quick)


if __name__ == "__main__":
    main()
