"""How long synthetic rows take from a model to files, and from the files back: whole commands, each a cold process.

    python benchmarks/writing.py [--most 10000000] [--quick]

Three sizes, each ten times the one before, the last being ``--most``; from 100,000,000 rows on CSV and the bare
writing, whose table would not fit, are left out. The model is that of a release of 20,000 artificial people by the
default mechanism. The last column says how much of a command's processor seconds the bare libraries take: numpy to draw
a random number for each cell, and pyarrow to write the same table, which is already in memory, as one Parquet file with
the same compression (and as CSV), or to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from page import publish, table
from peers import Cold, cold

from dpsynth.people import SCHEMA_TOML, write_csv

ROOT = Path(__file__).parents[1]
PATIENCE = 3600.0
IN_MEMORY = 50_000_000

RELEASE = """
[data]
source = "people.csv"
schema = "people.toml"
artificial = true
[budget]
epsilon = "1"
delta = "1e-6"
[mechanism]
name = "{mechanism}"
[release]
id = "people"
rows = {rows}
formats = ["parquet", "csv"]
"""

BARE = """
import io, json, sys, time
import numpy, pyarrow.csv, pyarrow.parquet
def timed(work):
    began = time.process_time()
    result = work()
    return time.process_time() - began, result
source, target = sys.argv[1], sys.argv[2]
found = {}
found["read parquet"], table = timed(lambda: pyarrow.parquet.read_table(source))
table = table.combine_chunks()
found["parquet"], _ = timed(lambda: pyarrow.parquet.write_table(table, target, compression=sys.argv[3]))
found["csv"], _ = timed(lambda: pyarrow.csv.write_csv(table, target))
def draw():
    generator = numpy.random.default_rng()
    for _ in range(columns):
        generator.random(rows)
rows, columns = table.shape
del table
found["draw"], _ = timed(draw)
found["read csv"], _ = timed(lambda: pyarrow.csv.read_csv(target))
print(json.dumps(found))
"""


def command(*words: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "dpsynth", *words]


def done(*words: str) -> Cold:
    """One whole command."""
    found = cold([*words], PATIENCE)
    if found.failed:
        raise SystemExit(f"{' '.join(words)[:200]}: {found.failed}")
    return found


def bare(source: Path, target: Path, compression: str) -> dict[str, float]:
    """Processor seconds of pyarrow to read a Parquet file, write the table and read it as CSV; of numpy to draw."""
    ran = subprocess.run(
        [sys.executable, "-c", BARE, str(source), str(target), compression], capture_output=True, text=True, check=True
    )
    target.unlink()
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def released(place: Path, rows: int, people: int, mechanism: str) -> Cold:
    """Make the folder ``place`` with a table of people, and ``place/out``, a release of so many rows."""
    place.mkdir()
    write_csv(place / "people.csv", people)
    (place / "people.toml").write_text(SCHEMA_TOML)
    (place / "release.toml").write_text(RELEASE.format(rows=rows, mechanism=mechanism))
    return done(*command("run", str(place / "release.toml"), "--out", str(place / "out")))


def measured(folder: Path, base: Path, rows: int, people: int, mechanism: str) -> list[tuple[str, Cold, float | None]]:
    """What was done, what it took, and the processor seconds of the machine's own limit, of each command."""
    here, drawn, whole = folder / "here.parquet", folder / "sample", folder / "release"
    fits = rows <= IN_MEMORY
    found: list[tuple[str, Cold, float | None]] = []

    def bound(*steps: str) -> float | None:
        return sum(limit[step] for step in ("draw", *steps)) if fits else None

    def of_people(kind: str) -> Cold:
        program = f"from dpsynth import people; people.write_{kind}({str(here)!r}, {rows})"
        return done(sys.executable, "-c", program)

    took = of_people("parquet")
    limit = bare(here, folder / "bare", "snappy") if fits else {}
    found.append(("people, Parquet", took, bound("parquet")))
    if fits:
        found.append(("people, CSV", of_people("csv"), bound("csv")))
    here.unlink()
    took = done(*command("sample", str(base), "--rows", str(rows), "--out", str(drawn)))
    limit = bare(drawn / "data.parquet", folder / "bare", "zstd") if fits else {}
    found.append(("`sample`, Parquet", took, bound("parquet")))
    took = done(*command("verify", str(drawn), "--parent", str(base)))
    found.append(("`verify` of the sample, drawn again", took, bound("read parquet")))
    shutil.rmtree(drawn)
    if fits:
        took = released(whole, rows, people, mechanism)
        found.append(("`run`, Parquet and CSV", took, bound("parquet", "csv")))
        took = done(*command("verify", str(whole / "out"), "--rebuild"))
        found.append(("`verify --rebuild`, both", took, bound("read parquet", "read csv")))
        shutil.rmtree(whole)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10_000_000, help="rows of the largest size")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one small size, nothing is written")
    asked = parser.parse_args()
    sizes = [2000] if asked.quick else [asked.most // 100, asked.most // 10, asked.most]
    people, mechanism = (500, "independent") if asked.quick else (20_000, "mrm")
    lines: list[list[object]] = []
    before: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        own = {"DPSYNTH_ANCHORS": folder / "anchors", "XDG_CONFIG_HOME": folder / "config", "PYTHONPATH": ROOT}
        os.environ |= {name: str(path) for name, path in own.items()}
        released(folder / "base", 1000, people, mechanism)
        for rows in sizes:
            for what, took, limit in measured(folder, folder / "base" / "out", rows, people, mechanism):
                each = 1e9 * took.cpu / rows
                growth = each / before[what] if what in before else None
                share = f"{100 * limit / took.cpu:.0f} %" if limit else None
                before[what] = each
                lines.append([what, rows, took.seconds, took.cpu, took.peak, each, growth, share])
    lines.sort(key=lambda line: list(before).index(str(line[0])))
    head = (
        "whole command", "rows", "s", "processor s", "peak MiB", "processor ns a row", "times as much a row", "limit",
    )  # fmt: skip
    publish(
        "writing",
        "### Writing\n\nRows of the artificial people: of the generator itself (16 columns), and synthetic ones (14 "
        f"columns) from the model of a release of {people:,} of them by `{mechanism}`, each a whole command in a new "
        "process, with its signature. `run` measures and fits, too. *Times as much a row* compares with a tenth of "
        "the rows; *limit* is the share of the processor seconds that the bare libraries take: numpy to draw a number "
        "for each cell, pyarrow to write the same table, already in memory, or to read it. Target: 10,000,000 "
        "synthetic rows in Parquet in 60 s and 3 GiB on 2 cores.\n\n" + table(head, lines),
        asked.quick,
    )


if __name__ == "__main__":
    main()
