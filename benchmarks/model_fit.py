"""How well the mechanisms fit Adult, and how their defaults were chosen.

    python benchmarks/model_fit.py [--seeds 3] [--shares] [--quick]

Runs the mechanisms on ``../shared/data/adult_codes.csv`` under zCDP budgets of (epsilon, 1e-9) with rounded normal
noise from a seed (tests/mechanisms/fake.py): a measure of inference, not a release. ``--shares`` repeats it with one
setting of ``mst`` changed at a time, on Adult and on a table of yes-or-no questions about it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import problems
from page import publish, table

from dpsynth.measurement import Domain, Level, Query, Replayer
from dpsynth.mechanisms import MST, Independent, Mechanism
from dpsynth.model import FittedModel
from dpsynth.table.counting import count
from tests.mechanisms.fake import FakeMeasurer

BUDGETS = {epsilon: Fraction(round(rho * 10**6), 10**6) for epsilon, rho in problems.BUDGETS.items()}
Table = tuple[Domain, np.ndarray]
HEAD = ("two-way mean", "max", "cells", "evaluations", "fit s")


def adult() -> Table:
    names, sizes, codes = problems.adult()
    return Domain(names, sizes), codes


def survey(whole: Table) -> Table:
    """Yes-or-no questions about Adult: is the code above its 30 % or 70 % quantile?"""
    _, codes = whole
    bits = [codes[:, i] > np.quantile(codes[:, i], q) for i in range(codes.shape[1]) for q in (0.3, 0.7)]
    kept = [bit for bit in bits if 0.01 < bit.mean() < 0.99]
    return Domain(tuple(f"q{i}" for i in range(len(kept))), (2,) * len(kept)), np.column_stack(kept).astype(np.int64)


def distances(whole: Table, fitted: FittedModel) -> np.ndarray:
    domain, codes = whole
    pairs = list(combinations(zip(domain.names, domain.sizes, strict=True), 2))
    queries = [Query(tuple(Level.identity(*column) for column in pair)) for pair in pairs]
    real = count(dict(zip(domain.names, codes.astype(np.uint16).T, strict=True)), len(codes), queries)
    model = fitted.expected_all(queries)
    both = zip(real, model, strict=True)
    return np.array([np.abs(r / len(codes) - m / fitted.network.rows).sum() / 2 for r, m in both])


def row(name: str, whole: Table, mechanism: Mechanism, budget: Fraction, seeds: Sequence[int]) -> list[object]:
    found = []
    for seed in seeds:
        fake = FakeMeasurer(*whole, seed)
        mechanism.fit(fake, budget)
        start = time.perf_counter()
        fitted = mechanism.fit(Replayer.of(fake.domain, fake.levels, tuple(fake.answers)), budget)
        seconds = time.perf_counter() - start
        apart, ended = distances(whole, fitted), fitted.network.convergence
        found.append((apart.mean(), apart.max(), fitted.network.tree.cells, ended.evaluations, seconds))
    mean, worst, cells, evaluations, seconds = np.mean(found, axis=0).tolist()
    return [name, f"{mean:.4f}", f"{worst:.3f}", round(cells), round(evaluations), seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shares", action="store_true", help="one setting of mst changed at a time")
    parser.add_argument("--quick", action="store_true", help="a smoke test: few rows, one seed, nothing is written")
    asked = parser.parse_args()
    if not problems.DATA.exists():
        raise SystemExit(f"{problems.DATA} is not at hand")
    seeds, whole = range(1 if asked.quick else asked.seeds), adult()
    if asked.quick:
        whole = whole[0].project(whole[0].names[:5]), whole[1][:2000, :5]
    rows = [
        row(f"{epsilon} {mechanism.name}", whole, mechanism, budget, seeds)
        for epsilon, budget in BUDGETS.items()
        for mechanism in (Independent(), MST())
    ]
    about = (
        "Mean and largest total variation between Adult's real two-way tables and the model's expected ones, "
        f"{len(seeds)} seeds of noise at (epsilon, 1e-9); fit s is the whole mechanism replayed from its answers, "
        "without counting.\n\n"
    )
    publish("model-fit", f"### Mechanisms\n\n{about}{table(('epsilon, mechanism', *HEAD), rows)}", asked.quick)
    if asked.shares:
        plain = MST()
        variants = [
            plain,
            *(replace(plain, one_way=Fraction(n, 20)) for n in (5, 8, 12)),
            *(replace(plain, select=Fraction(n, 20)) for n in (1, 4)),
            *(replace(plain, merge=Fraction(n)) for n in (3, 12)),
            *(replace(plain, useful=Fraction(n)) for n in (1, 3, 12)),
        ]
        rows = [
            row(f"{name} {epsilon} {m.one_way} {m.select} {m.merge} {m.useful}", data, m, budget, seeds)
            for name, data in (("adult", whole), ("survey", survey(whole)))
            for epsilon, budget in BUDGETS.items()
            for m in variants
        ]
        head = ("table, epsilon, one-way, select, merge, useful", *HEAD)
        publish("model-fit-shares", f"### Settings of mst\n\n{about}{table(head, rows)}", asked.quick)


if __name__ == "__main__":
    main()
