"""Facts of an invented release, shaped like the real ones: 15 columns, a spanning tree, adult-like names."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations
from math import cos, exp

from dpsynth.privacy import (
    Budget,
    Cost,
    Measure,
    decimal_text,
    epsilon_of,
    gaussian_cost,
    gaussian_sigma,
    laplace_cost,
    laplace_scale,
)
from dpsynth.report import Account, Claim, ColumnFit, ModelPicture, QueryFact, ReportFacts, Tie, WorstCase

DELTA = Fraction(1, 10**9)
COLUMNS = {
    "age": 33,
    "workclass": 9,
    "fnlwgt": 32,
    "education": 16,
    "education-num": 16,
    "marital-status": 7,
    "occupation": 15,
    "relationship": 6,
    "race": 5,
    "sex": 2,
    "capital-gain": 32,
    "capital-loss": 32,
    "hours-per-week": 32,
    "native-country": 42,
    "income>50K": 2,
}
ORDERED = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
TREE = (
    ("relationship", "marital-status"),
    ("relationship", "sex"),
    ("relationship", "age"),
    ("relationship", "income>50K"),
    ("education", "education-num"),
    ("education-num", "income>50K"),
    ("education-num", "occupation"),
    ("occupation", "workclass"),
    ("occupation", "hours-per-week"),
    ("income>50K", "capital-gain"),
    ("income>50K", "capital-loss"),
    ("education-num", "native-country"),
    ("native-country", "race"),
    ("race", "fnlwgt"),
)


@cache
def worst_case(cost: Cost) -> WorstCase:
    return WorstCase.of(cost)


@cache
def running(cost: Cost) -> str:
    return decimal_text(epsilon_of(cost, DELTA))


def sample_facts(
    *,
    epsilon: Fraction = Fraction(1),
    columns: dict[str, int] = COLUMNS,
    cliques: tuple[tuple[str, ...], ...] = TREE,
    artificial: bool = True,
    unit_column: str | None = None,
    neighbours: str = "add-remove",
    total: int = 32_561,
    measure: Measure = "gdp",
) -> ReportFacts:
    delta = Fraction(0) if measure == "pure" else DELTA
    law = "discrete_laplace" if measure == "pure" else "rounded_gaussian"
    reserved = Budget(epsilon, delta).cost(measure)
    queries: list[QueryFact] = []
    spent = Cost.nothing(measure)

    def add(kind: str, names: tuple[str, ...] | None, cells: int, share: Fraction) -> QueryFact:
        nonlocal spent
        price = reserved.amount * share
        if measure == "pure":
            sigma = laplace_scale(measure, 1, price)
            cost = laplace_cost(measure, 1, sigma)
        else:
            sigma = gaussian_sigma(measure, 1, price)
            cost = gaussian_cost(measure, 1, sigma)
        spent += cost
        query = QueryFact(
            seq=3 + 2 * len(queries),
            kind=kind,  # type: ignore[arg-type]
            columns=names,
            cells=cells,
            mechanism="exponential" if kind == "selection" else law,
            scale=sigma,
            cost=cost.amount,
            chosen_by=tuple(query.seq for query in queries),
            running_epsilon=running(spent),
            picks=len(cliques) if kind == "selection" else 1,
        )
        queries.append(query)
        return query

    add("total", (), 1, Fraction(1, 100))
    ones = [add("marginal", (name,), size, Fraction(30, 100 * len(columns))) for name, size in columns.items()]
    if cliques:
        add("selection", None, len(columns) * (len(columns) - 1) // 2, Fraction(20, 100))
        for clique in cliques:
            cells = 1
            for name in clique:
                cells *= columns[name]
            add("marginal", clique, cells, Fraction(48, 100 * len(cliques)))
    fits = tuple(
        _fit(name, size, total, float(query.scale)) for (name, size), query in zip(columns.items(), ones, strict=True)
    )
    return ReportFacts(
        title="Census income, made synthetic",
        release="adult-2026",
        day="2026-11-22",
        software="dpsynth-engine 0.1.0",
        mechanism="mst",
        rows=32_561,
        rows_rule="the noisy total",
        total=total,
        claim=Claim("person", unit_column, 1 if unit_column is None else 3, neighbours, epsilon, delta, reserved),
        account=Account("adult", Budget(3 * epsilon, delta).cost(measure), *_around(reserved), delta),
        queries=tuple(queries),
        worst=worst_case(reserved),
        fits=fits,
        picture=picture(tuple(columns), cliques),
        public=(
            "the schema sha256:5d1c0c2d8be0a5a3f4b0a3a9a1e1b7b0b6d0a2c4e6f8a0b2c4d6e8f0a1b2c3d4",
            "the unit: each row stands for one person, of whose rows at most 1 are kept",
            *(
                f"column {name!r}: " + (f"integer, {n} bins" if name in ORDERED else f"categorical, {n} listed values")
                for name, n in columns.items()
            ),
            "the plan sha256:0b2c4d6e8f0a1b2c3d45d1c0c2d8be0a5a3f4b0a3a9a1e1b7b0b6d0a2c4e6f8a: mechanism 'mst', "
            "budget, sampling seed 0",
        ),
        outside=(
            "whether this release was made at all, and whether earlier ones were given up",
            "anything else that was computed from the same rows, by this or any other program",
            "facts about a person that hold whether or not that person is in the table",
        ),
        fingerprints=(
            ("Plan", "sha256:0b2c4d6e8f0a1b2c3d45d1c0c2d8be0a5a3f4b0a3a9a1e1b7b0b6d0a2c4e6f8a"),
            ("Synthetic rows", "sha256:1803fb76534677bd0e449c5956fb2a8c5f1ec20df006d589fbd61c5de088ef19"),
        ),
        artificial=artificial,
    )


def _around(reserved: Cost) -> tuple[Cost, Cost]:
    """What the account held before a release that takes two thirds of its sum, and after."""
    half = Cost(reserved.measure, reserved.amount / 2)
    return half, half + reserved


def picture(columns: tuple[str, ...], cliques: tuple[tuple[str, ...], ...]) -> ModelPicture:
    """Ties of invented strength between all columns of a clique."""
    pairs = dict.fromkeys(pair for clique in cliques for pair in combinations(clique, 2))
    return ModelPicture(columns, tuple(Tie(pair, 0.4 / (i + 1), True) for i, pair in enumerate(pairs)))


def _fit(name: str, size: int, total: int, sigma: float) -> ColumnFit:
    """Invented counts with a wobble in place of noise: no chance, so the page is the same each time."""
    if name in ORDERED:
        mass = [exp(-((i - size * 0.35) ** 2) / (size * 1.6)) + 0.01 for i in range(size)]
        labels = tuple(f"{17 + 3 * i}-{19 + 3 * i}" for i in range(size))
    else:
        mass = [exp(-0.45 * ((i * 5 + len(name)) % size)) for i in range(size)]
        labels = tuple(f"{'value' if i % 3 else 'a rather long value'} {i}" for i in range(size))
    synthetic = tuple(round(total * m / sum(mass)) for m in mass)
    noisy = tuple(round(s + sigma * 1.2 * cos(7.1 * i + len(name))) for i, s in enumerate(synthetic))
    return ColumnFit(name, labels, noisy, synthetic, sigma, ordered=name in ORDERED)
