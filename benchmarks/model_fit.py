"""How fast and how well models are fitted: Adult's tree, cost a cell at three sizes, structure of 100 columns, shares.

    python benchmarks/model_fit.py [--seeds 3] [--shares]

Part 1 runs the mechanisms on ``../shared/data/adult_codes.csv`` under zCDP budgets of (epsilon, 1e-9) with rounded
normal noise from a seed (tests/mechanisms/fake.py): a measure of inference, not a release. Distances are mean and
largest total variation between the real two-way tables and the model's expected ones; ``fit s`` is the whole mechanism
replayed from its answers, so counting is left out. Part 2 fits a ring of pair tables. ``--shares`` repeats part 1 with
one setting of ``mst`` changed at a time: how its defaults were chosen, together with tables that are not Adult.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from dpsynth.measurement import Domain, Replayer  # noqa: E402
from dpsynth.mechanisms import MST, Independent, Mechanism  # noqa: E402
from dpsynth.model import FittedModel, JunctionTree, Measurement, estimate  # noqa: E402
from tests.mechanisms.fake import FakeMeasurer  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
BUDGETS = {"0.1": Fraction(178, 10**6), "1": Fraction(14974, 10**6), "10": Fraction(1090786, 10**6)}
Table = tuple[Domain, np.ndarray]


def adult() -> Table:
    sizes = json.loads((DATA / "adult_codes_domain.json").read_text())
    codes = np.loadtxt(DATA / "adult_codes.csv", delimiter=",", skiprows=1, dtype=np.int64)
    return Domain(tuple(sizes), tuple(sizes.values())), codes


def survey(table: Table) -> Table:
    """Yes-or-no questions about Adult: is the code above its 30 % or 70 % quantile?"""
    _, codes = table
    bits = [codes[:, i] > np.quantile(codes[:, i], q) for i in range(codes.shape[1]) for q in (0.3, 0.7)]
    kept = [bit for bit in bits if 0.01 < bit.mean() < 0.99]
    return Domain(tuple(f"q{i}" for i in range(len(kept))), (2,) * len(kept)), np.column_stack(kept).astype(np.int64)


def distances(table: Table, fitted: FittedModel) -> np.ndarray:
    domain, codes = table
    result = []
    spread = {name: fitted.spread(name) for name in domain.names}
    for (i, one), (j, two) in combinations(enumerate(domain.names), 2):
        shape = domain.shape((one, two))
        real = np.bincount(np.ravel_multi_index((codes[:, i], codes[:, j]), shape), minlength=shape[0] * shape[1])
        cells = np.ix_(fitted.levels[one].cells, fitted.levels[two].cells)
        model = fitted.network.probabilities((one, two))[cells] * spread[one][:, None] * spread[two]
        result.append(np.abs(real.reshape(shape) / len(codes) - model).sum() / 2)
    return np.array(result)


def row(name: str, table: Table, mechanism: Mechanism, budget: Fraction, seeds: Sequence[int]) -> str:
    found = []
    for seed in seeds:
        fake = FakeMeasurer(*table, seed)
        mechanism.fit(fake, budget)
        start = time.perf_counter()
        fitted = mechanism.fit(Replayer.of(fake.domain, fake.levels, tuple(fake.answers)), budget)
        seconds = time.perf_counter() - start
        apart, ended = distances(table, fitted), fitted.network.convergence
        found.append((apart.mean(), apart.max(), fitted.network.tree.cells, ended.evaluations, seconds))
    mean, worst, cells, evaluations, seconds = np.mean(found, axis=0)
    return f"| {name} | {mean:.4f} | {worst:.3f} | {cells:.0f} | {evaluations:.0f} | {seconds:.2f} |"


def ring(length: int, size: int, scale: float = 20.0) -> tuple[Domain, list[Measurement]]:
    rng = np.random.default_rng(0)
    domain = Domain(tuple(f"x{i}" for i in range(length)), (size,) * length)
    pairs = [*pairwise(domain.names), (domain.names[-1], domain.names[0])]
    shares = rng.dirichlet(np.full(size * size, 0.5), length).reshape(length, size, size)
    noisy = 50_000 * shares + rng.normal(0, scale, shares.shape)
    return domain, [Measurement.of(domain, p, y, scale) for p, y in zip(pairs, noisy, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shares", action="store_true")
    asked = parser.parse_args()
    seeds, head = range(asked.seeds), "| two-way mean | max | cells | evaluations | fit s |\n|---|---|---|---|---|---|"
    if DATA.exists():
        table = adult()
        print(f"| Adult, epsilon, mechanism {head}")
        for epsilon, budget in BUDGETS.items():
            for mechanism in (Independent(), MST()):
                print(row(f"{epsilon} {mechanism.name}", table, mechanism, budget, seeds), flush=True)
        if asked.shares:
            plain = MST()
            variants = [
                plain,
                *(replace(plain, one_way=Fraction(n, 20)) for n in (5, 8, 12)),
                *(replace(plain, select=Fraction(n, 20)) for n in (1, 4)),
                *(replace(plain, merge=Fraction(n)) for n in (3, 12)),
                *(replace(plain, useful=Fraction(n)) for n in (1, 3, 12)),
            ]
            print(f"\n| table, epsilon, one-way, select, merge, useful {head}")
            for name, data in (("adult", table), ("survey", survey(table))):
                for epsilon, budget in BUDGETS.items():
                    for m in variants:
                        label = f"{name} {epsilon} {m.one_way} {m.select} {m.merge} {m.useful}"
                        print(row(label, data, m, budget, seeds), flush=True)
    print("\n| ring of pairs | cells | structure s | evaluations | ms each | ns a cell |\n|---|---|---|---|---|---|")
    for length, size in ((12, 10), (12, 22), (12, 46)):
        domain, measurements = ring(length, size)
        start = time.perf_counter()
        tree = JunctionTree.of(domain, [m.columns for m in measurements])
        structure = time.perf_counter() - start
        start = time.perf_counter()
        evaluations = estimate(domain, measurements, 50_000.0, cap=60).convergence.evaluations
        each = (time.perf_counter() - start) / evaluations
        name = f"{length} columns of {size}"
        print(
            f"| {name} | {tree.cells:,} | {structure:.3f} | {evaluations} | {1e3 * each:.2f} | "
            f"{1e9 * each / tree.cells:.1f} |"
        )
    domain = Domain(tuple(f"x{i}" for i in range(100)), (10,) * 100)
    order = np.random.default_rng(0).permutation(100)
    pairs = [(domain.names[order[i]], domain.names[order[i // 2]]) for i in range(1, 100)]
    near = [(domain.names[order[i]], domain.names[order[i + 1]]) for i in range(50, 99, 2)]
    start = time.perf_counter()
    tree = JunctionTree.of(domain, [*pairs, *near])
    print(f"\n100 columns, {len(pairs) + len(near)} pairs: {tree.cells:,} cells in {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
