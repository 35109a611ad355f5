"""Accuracy and wall time of a whole ``dpsynth run`` on UCI Adult, coded, each run a cold process.

    python benchmarks/utility.py [--mechanism mst] [--epsilon 1] [--delta 1e-9] [--runs 5] [--table ../shared/data/...]
        [--json] [--quick]

Shows every run and the mean and worst of all (none is left out): seconds and peak memory of the process, and
the mean total variation distance over all 1-, 2- and 3-way marginals. The table and the scorer are those of
``../shared``; the figures of other libraries on the same table stand in ``../shared/peers.md``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from page import publish, table

SHARED = Path(__file__).parents[2] / "shared"
ORDERED = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}


def write_inputs(folder: Path, data: Path, mechanism: str, epsilon: str, delta: str) -> Path:
    sizes = json.loads(data.with_name(data.stem + "_domain.json").read_text())
    schema = ["[unit]", 'entity = "person"']
    for name, size in sizes.items():
        schema.append(f'[columns."{name}"]')
        if name in ORDERED:
            schema.append(f'type = "integer"\nmin = 0\nmax = {size - 1}\nbins = {size}')
        else:
            schema.append(f'type = "categorical"\nvalues = {json.dumps([str(code) for code in range(size)])}')
    (folder / "schema.toml").write_text("\n".join(schema))
    release = folder / "release.toml"
    release.write_text(
        f'[data]\nsource = "{data}"\nschema = "schema.toml"\n'
        f'[budget]\nstore = "accounts.db"\nepsilon = "{epsilon}"\ndelta = "{delta}"\n'
        f'[mechanism]\nname = "{mechanism}"\n'
        '[release]\nid = "bench"\nformats = ["parquet", "csv"]\nsign_with = "key.pem"\n'
    )
    dpsynth("keys", "new", "-o", str(folder / "key.pem"))
    return release


def dpsynth(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dpsynth", *words], check=True, capture_output=True)


def scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", SHARED / "score.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=SHARED / "data" / "adult_codes.csv")
    parser.add_argument("--mechanism", default="mst")
    parser.add_argument("--epsilon", default="1")
    parser.add_argument("--delta", default="1e-9")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one run on few rows, nothing is written")
    asked = parser.parse_args()
    if not asked.table.exists():
        raise SystemExit(f"{asked.table} is not at hand")
    score = scorer()
    rows = []
    for _ in range(1 if asked.quick else asked.runs):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            data = shortened(asked.table, folder) if asked.quick else asked.table.resolve()
            release = write_inputs(folder, data, asked.mechanism, asked.epsilon, asked.delta)
            began = time.perf_counter()
            dpsynth("run", str(release), "--out", str(folder / "out"))
            seconds = time.perf_counter() - began
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            found = score.score(score.load(str(data)), score.load(str(folder / "out" / "data.csv")))
        rows.append(
            {
                "s": seconds,
                "peak MiB": peak,
                **{f"{k}-way": found[k]["mean"] for k in found},
                "max 2-way": found[2]["max"],
            }
        )
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
    worst = {key: max(row[key] for row in rows) for key in rows[0]}
    if asked.json:
        print(json.dumps({"runs": rows, "mean": mean, "worst": worst}))
        return
    named = [*((str(n), row) for n, row in enumerate(rows, start=1)), ("mean", mean), ("worst", worst)]
    publish(
        f"utility-{asked.mechanism}-{asked.epsilon}",
        f"### Accuracy: {asked.mechanism} at epsilon {asked.epsilon}, delta {asked.delta}\n\n`dpsynth run` on "
        f"{asked.table.name}, each run a new process and new noise: mean total variation distance over all 1-, 2- and "
        "3-way marginals.\n\n" + table(("run", *mean), [(name, *row.values()) for name, row in named]),
        asked.quick,
    )


def shortened(data: Path, folder: Path) -> Path:
    """The first rows of a table, with its domain beside them."""
    short = folder / data.name
    short.write_text("".join(data.open().readlines()[:500]))
    name = f"{data.stem}_domain.json"
    (folder / name).write_text(data.with_name(name).read_text())
    return short


if __name__ == "__main__":
    main()
