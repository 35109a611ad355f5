"""What the benchmarks fit: noisy marginals of made-up rows, or of UCI Adult, as one file that every worker reads.

A problem file (.npz) holds ``manifest`` (names, sizes, cliques, noise scales and the number of rows as JSON) and one
array of noisy counts a clique. The noise is rounded normal from a seed: nothing here is private.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]
Clique = tuple[str, ...]

DATA = Path(__file__).parents[2] / "shared" / "data"
BUDGETS = {"0.1": 178e-6, "1": 14974e-6, "10": 1090786e-6}
"""The zCDP budget that (epsilon, 1e-9) gives, rounded down, by epsilon."""


@dataclass(frozen=True)
class Problem:
    """``tables[k]`` is the noisy table of ``cliques[k]``, each cell with normal noise of ``scale``.

    ``exact`` holds the tables without noise; it stays with the benchmark, no worker reads it. ``levels[k]``, if there
    are any, says into how many groups of neighbours each column of a clique is summed.
    """

    names: Clique
    sizes: tuple[int, ...]
    rows: int
    cliques: tuple[Clique, ...]
    tables: tuple[Floats, ...]
    scale: float
    exact: tuple[Floats, ...] = ()
    levels: tuple[tuple[int, ...], ...] = ()

    def save(self, path: Path) -> None:
        manifest = {"names": self.names, "sizes": self.sizes, "rows": self.rows, "scale": self.scale}
        manifest |= {"levels": self.levels}
        arrays: dict[str, Any] = {f"table_{k}": table for k, table in enumerate(self.tables)}
        np.savez(path, manifest=json.dumps({**manifest, "cliques": self.cliques}), **arrays)

    @classmethod
    def load(cls, path: Path) -> Problem:
        with np.load(path) as found:
            manifest = json.loads(str(found["manifest"]))
            cliques = tuple(tuple(clique) for clique in manifest["cliques"])
            tables = tuple(found[f"table_{k}"] for k in range(len(cliques)))
        names, sizes = tuple(manifest["names"]), tuple(manifest["sizes"])
        levels = tuple(tuple(level) for level in manifest["levels"])
        return cls(names, sizes, manifest["rows"], cliques, tables, manifest["scale"], levels=levels)

    def groups(self, k: int) -> dict[str, NDArray[np.intp]]:
        """The groups of the columns of a clique."""
        levels = self.levels[k] if self.levels else ()
        return {
            name: neighbours(self.sizes[self.names.index(name)], level)
            for name, level in zip(self.cliques[k], levels, strict=False)
        }

    @property
    def cells(self) -> int:
        """How many numbers were measured."""
        return sum(table.size for table in self.tables)

    def loss(self, fitted: Sequence[Floats]) -> float:
        """sum (y - fitted)^2 / (2 scale^2), whoever fitted."""
        pairs = zip(self.tables, fitted, strict=True)
        return sum(float(((y - found) ** 2).sum()) for y, found in pairs) / (2 * self.scale**2)

    def distance(self, fitted: Sequence[Floats]) -> float:
        """The mean total variation between the fitted tables and those without noise."""
        pairs = zip(self.exact, fitted, strict=True)
        return float(np.mean([np.abs(table - found).sum() for table, found in pairs])) / (2 * self.rows)


def measure(
    names: Clique, sizes: Sequence[int], codes: Codes, cliques: Sequence[Clique], rho: float = BUDGETS["1"]
) -> Problem:
    """Every clique's table of the rows with noise: the zCDP budget in equal parts, neighbours differ by one row."""
    rng, scale = np.random.default_rng(0), sqrt(len(cliques) / (2 * rho))
    exact: list[Floats] = []
    for clique in cliques:
        axes = [names.index(name) for name in clique]
        shape = tuple(sizes[axis] for axis in axes)
        place = np.ravel_multi_index(tuple(codes[:, axis] for axis in axes), shape)
        exact.append(np.bincount(place, minlength=prod(shape)).reshape(shape).astype(np.float64))
    tables = tuple(table + np.rint(rng.normal(0, scale, table.shape)) for table in exact)
    return Problem(names, tuple(sizes), len(codes), tuple(cliques), tables, scale, tuple(exact))


def neighbours(size: int, groups: int) -> NDArray[np.intp]:
    """The group of each cell where neighbours are summed into at most so many groups."""
    return np.arange(size) * min(size, groups) // size


def adult() -> tuple[Clique, tuple[int, ...], Codes]:
    """Names, sizes and codes of UCI Adult; FileNotFoundError where ../shared is not at hand."""
    sizes = json.loads((DATA / "adult_codes_domain.json").read_text())
    codes = np.loadtxt(DATA / "adult_codes.csv", delimiter=",", skiprows=1, dtype=np.int64)
    return tuple(sizes), tuple(sizes.values()), codes


def growing(
    data: tuple[Clique, tuple[int, ...], Codes], levels: Sequence[int], scale: float, limit: int, most: int
) -> Problem:
    """All one-ways, then ``most`` pairs as a mechanism takes them: the strongest first, while the tree is small.

    A pair is taken at the first of the levels (groups a column), and again at the next one four pairs later.
    """
    from dpsynth.measurement import Domain  # here, as the peers' environments have no dpsynth
    from dpsynth.model import JunctionTree

    names, sizes, codes = data
    maps = [neighbours(size, max(levels)) for size in sizes]
    codes = np.column_stack([cells[codes[:, j]] for j, cells in enumerate(maps)])
    sizes = tuple(min(size, max(levels)) for size in sizes)
    strength: dict[Clique, float] = {}
    for i, j in combinations(range(len(names)), 2):
        joint = np.bincount(codes[:, i] * sizes[j] + codes[:, j], minlength=sizes[i] * sizes[j])
        joint = joint.reshape(sizes[i], sizes[j])
        strength[names[i], names[j]] = float(
            np.abs(joint - np.outer(joint.sum(axis=1), joint.sum(axis=0)) / len(codes)).sum()
        )
    tree, taken = JunctionTree.of(Domain(names, sizes), []), list[Clique]()
    for pair in sorted(strength, key=lambda pair: -strength[pair]):
        if tree.cells_with(pair) <= limit:
            tree = tree.grown(pair)
            taken.append(pair)
    asked = sorted(
        ((i + 4 * k, pair, level) for i, pair in enumerate(taken) for k, level in enumerate(levels)),
        key=lambda entry: entry[0],
    )
    cliques = [*((name,) for name in names), *(pair for _, pair, _ in asked[:most])]
    groups = [*((size,) for size in sizes), *((level, level) for _, _, level in asked[:most])]
    rng, exact = np.random.default_rng(0), list[Floats]()
    for clique, level in zip(cliques, groups, strict=True):
        axes = [names.index(name) for name in clique]
        seen = [neighbours(sizes[axis], part) for axis, part in zip(axes, level, strict=True)]
        shape = [int(part.max()) + 1 for part in seen]
        place = np.ravel_multi_index(tuple(part[codes[:, a]] for a, part in zip(axes, seen, strict=True)), shape)
        exact.append(np.bincount(place, minlength=prod(shape)).reshape(shape).astype(np.float64))
    tables = tuple(table + rng.normal(0, scale, table.shape) for table in exact)
    return Problem(names, sizes, len(codes), tuple(cliques), tables, scale, tuple(exact), tuple(groups))


def adult_tree(extra: int = 0, epsilon: str = "1") -> Problem:
    """All one-ways and the spanning tree of strongest pairs, then ``extra`` of the next pairs.

    Strong is far from independent: the sum of absolute differences, which is what ``mst`` scores (here without noise).
    """
    names, sizes, codes = adult()
    strength: dict[tuple[int, int], float] = {}
    for i, j in combinations(range(len(names)), 2):
        place = codes[:, i] * sizes[j] + codes[:, j]
        joint = np.bincount(place, minlength=sizes[i] * sizes[j]).reshape(sizes[i], sizes[j])
        strength[i, j] = float(np.abs(joint - np.outer(joint.sum(axis=1), joint.sum(axis=0)) / len(codes)).sum())
    group = list(range(len(names)))
    tree, rest = [], []
    for i, j in sorted(strength, key=lambda pair: -strength[pair]):
        if group[i] == group[j]:
            rest.append((names[i], names[j]))
            continue
        tree.append((names[i], names[j]))
        group = [group[i] if g == group[j] else g for g in group]
    return measure(names, sizes, codes, [*((name,) for name in names), *tree, *rest[:extra]], BUDGETS[epsilon])


def ring(length: int, size: int, rows: int = 50_000) -> Problem:
    """Pairs of neighbours around a ring, each near to the one before: the tree has (length - 2) size^3 cells."""
    rng = np.random.default_rng(1)
    codes = np.empty((rows, length), dtype=np.int64)
    codes[:, 0] = rng.integers(0, size, rows)
    for j in range(1, length):
        step = rng.geometric(0.3, rows) - 1
        codes[:, j] = np.where(rng.random(rows) < 0.3, rng.integers(0, size, rows), (codes[:, j - 1] + step) % size)
    names = tuple(f"x{j}" for j in range(length))
    return measure(names, (size,) * length, codes, [(names[j], names[(j + 1) % length]) for j in range(length)])


def binary(columns: int = 16, triples: int = 63, rows: int = 50_000) -> Problem:
    """Yes-or-no columns behind three hidden factors: all one-ways, all pairs and some triples, on one joint table."""
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(rows, 3)) @ rng.normal(size=(3, columns)) + rng.normal(size=(rows, columns))
    codes = (hidden > rng.normal(size=columns)).astype(np.int64)
    names = tuple(f"x{j}" for j in range(columns))
    three = list(combinations(names, 3))
    chosen = [three[k] for k in sorted(rng.choice(len(three), triples, replace=False))]
    return measure(names, (2,) * columns, codes, [*((n,) for n in names), *combinations(names, 2), *chosen])


def hundred(rows: int = 50_000, columns: int = 100) -> tuple[Clique, tuple[int, ...], Codes, list[Clique]]:
    """Columns of 10 values, each near to an earlier one, and all their pairs in a fixed random order."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 10, (rows, columns))
    for j in range(1, columns):
        step = rng.geometric(0.5, rows) - 1
        codes[:, j] = np.where(rng.random(rows) < 0.4, codes[:, j], (codes[:, rng.integers(j)] + step) % 10)
    names = tuple(f"x{j}" for j in range(columns))
    pairs = list(combinations(names, 2))
    return names, (10,) * columns, codes, [pairs[k] for k in rng.permutation(len(pairs))]
