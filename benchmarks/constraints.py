"""What declared constraints do to accuracy, and how many drawn rows are left to repair, where the truth is known.

    python benchmarks/constraints.py [--seeds 4] [--quick]

Artificial people of whom three constraints hold: the state follows from the city, nothing ends before it begins, nobody
under 18 is married. One model a seed, fitted to their noisy answers, is drawn from as it is, with its rows repaired,
and with structural zeros in its tables before that. Distances are to the law that the people come from. Beginnings and
ends lie in cells of ten days, inside which no model knows an order: the last columns tell how many rows end as they
begin, in truth, repaired, and were beginning and end of such rows exchanged instead, with the distance that this gives.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

sys.path.insert(0, str(Path(__file__).parents[1]))

from page import publish, table

from dpsynth import Schema, synthesize
from dpsynth.encoding import layout
from dpsynth.sampling import IntegerTables, sample_chunks, zeroed
from dpsynth.sampling.draw import Sampler
from dpsynth.sampling.kept import kept

CITIES, STATES, CELL = 24, 6, 10
WIDTH = {"city": 1, "state": 1, "begin": 5, "end": 5, "age": 6, "married": 1}
COLUMNS = f"""
[columns.city]
type = "categorical"
values = {[f"c{city}" for city in range(CITIES)]}
[columns.state]
type = "categorical"
values = {[f"s{state}" for state in range(STATES)]}
[columns.begin]
type = "integer"
min = 0
max = 49
bins = {50 // CELL}
[columns.end]
type = "integer"
min = 0
max = 49
bins = {50 // CELL}
[columns.age]
type = "integer"
min = 0
max = 89
[columns.married]
type = "boolean"
""".replace("'", '"')
CONSTRAINTS = f"""
[[constraints]]
kind = "depends"
column = "state"
on = "city"
map = {{ {", ".join(f'c{city} = "s{city * STATES // CITIES}"' for city in range(CITIES))} }}
[[constraints]]
kind = "ordered"
columns = ["begin", "end"]
[[constraints]]
kind = "required"
if = {{ age = {{ max = 17 }} }}
then = {{ married = false }}
"""
PLAIN, RULED = Schema.parse(COLUMNS), Schema.parse(COLUMNS + CONSTRAINTS)
LAYOUT = layout(RULED)

Codes = dict[str, np.ndarray]
Shares = dict[tuple[str, str], np.ndarray]


def people(rows: int, random: np.random.Generator) -> Codes:
    """Codes, each of which is its value."""
    weight = np.exp(-np.arange(CITIES) / 6)
    city = random.choice(CITIES, rows, p=weight / weight.sum())
    begin = random.integers(0, 50, rows)
    end = np.minimum(begin + random.geometric(0.15, rows) - 1, 49)
    age = np.clip(random.normal(40, 20, rows), 0, 89).astype(int)
    married = (age >= 18) & (random.random(rows) < 0.55)
    state = city * STATES // CITIES
    return {"city": city, "state": state, "begin": begin, "end": end, "age": age, "married": married.astype(int)}


def rows_of(codes: Codes) -> pa.Table:
    words = {name: [f"{name[0]}{code}" for code in codes[name]] for name in ("city", "state")}
    return pa.table({**codes, **words})


def pairs(codes: Codes) -> Shares:
    """The share of each cell of every two columns, numbers in bins."""
    cells = {name: codes[name] // width for name, width in WIDTH.items()}
    sizes = {"city": CITIES, "state": STATES, "begin": 10, "end": 10, "age": 15, "married": 2}
    found = {}
    for one, two in combinations(cells, 2):
        place = cells[one].astype(int) * sizes[two] + cells[two]
        found[one, two] = np.bincount(place, minlength=sizes[one] * sizes[two]) / place.size
    return found


def distances(codes: Codes, truth: Shares) -> list[float]:
    """Total variation distance: over all pairs, and over those of the three constraints."""
    found = {pair: np.abs(shares - truth[pair]).sum() / 2 for pair, shares in pairs(codes).items()}
    bound = [("city", "state"), ("begin", "end"), ("age", "married")]
    return [float(np.mean(list(found.values()))), float(np.mean([found[pair] for pair in bound]))]


def equal(codes: Codes) -> float:
    """Per cent of the rows that end as they begin."""
    return 100 * float(np.mean(codes["begin"] == codes["end"]))


def exchanged(codes: Codes) -> Codes:
    """Rows whose beginning and end lie in one cell, in order: what the engine does not do."""
    begin, end = codes["begin"], codes["end"]
    wrong = (begin > end) & (begin // CELL == end // CELL)
    return {**codes, "begin": np.where(wrong, end, begin), "end": np.where(wrong, begin, end)}


def drawn(tables: IntegerTables, rows: int, seed: int) -> Codes:
    (codes,) = sample_chunks(tables, rows, seed)
    return dict(codes)


def measured(rows: int, epsilon: str, mechanism: str, seeds: int, truth: Shares, alike: float) -> list[object]:
    found = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "people.parquet"
            parquet.write_table(rows_of(people(rows, np.random.default_rng(100 + seed))), place)
            made = synthesize(place, schema=PLAIN, epsilon=epsilon, delta="1e-9", mechanism=mechanism, rows=rows)
        plain = drawn(made.tables, rows, seed)
        repaired, changed = kept(Sampler.of(made.tables), LAYOUT, plain, seed, 0)
        sparse = zeroed(made.tables, LAYOUT.constraints)
        again, left = kept(Sampler.of(sparse), LAYOUT, drawn(sparse, rows, seed), seed, 0)
        arms = [distances(codes, truth) for codes in (plain, dict(repaired), dict(again))]
        other, _ = LAYOUT.constraints.repaired(exchanged(drawn(sparse, rows, seed)))
        shares = [100 * changed / rows, 100 * left / rows, alike, equal(dict(again)), equal(other)]
        shares += distances(other, truth)
        found.append([arm[which] for which in (0, 1) for arm in arms] + shares)
    return [rows, epsilon, mechanism, *np.mean(found, axis=0).tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few people, nothing is written")
    asked = parser.parse_args()
    law = people(20_000 if asked.quick else 2_000_000, np.random.default_rng(1))
    truth, alike = pairs(law), equal(law)
    plans = [(500, "1")] if asked.quick else [(5000, "0.5"), (5000, "2"), (50_000, "1")]
    seeds = 1 if asked.quick else asked.seeds
    lines = [
        measured(rows, epsilon, mechanism, seeds, truth, alike)
        for rows, epsilon in plans
        for mechanism in (["mst"] if asked.quick else ["mrm", "mst"])
    ]
    head = ["rows", "epsilon", "mechanism"]
    head += [
        f"{what}, {how}" for what in ("all pairs", "ruled pairs") for how in ("as drawn", "repaired", "with zeros")
    ]
    head += ["% of rows changed", "% with zeros"]
    head += ["% begin = end in truth", "repaired", "exchanged", "all pairs, exchanged", "ruled pairs, exchanged"]
    publish(
        "constraints",
        "### Constraints\n\nMean total variation distance of the joint distribution of two columns from the truth, "
        f"over {seeds} fits: for all pairs, and for the three pairs of a constraint. Rows are taken as they are drawn, "
        "repaired, and repaired after structural zeros were put into the tables; then how many drawn rows break a "
        "constraint, without such zeros and with them; and how many end as they begin, with zeros.\n\n"
        + table(head, lines),
        asked.quick,
    )


if __name__ == "__main__":
    main()
