"""What a durable step of an account takes: reserving a release, paying for a verb, storing its answer.

    python benchmarks/accounts.py [--repeats 200] [--folder DIR] [--postgres postgresql://...] [--quick]

Each step is a whole call as a run makes it, on a project account under a population (so two accounts pay), with the
anchor of the log moved on. A bare commit is one row in a table of its own with the same durability and nothing else:
what the disk and the database take by themselves. The store lies in --folder, the system's folder for temporary files
if not given; name one on the disk that is meant.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from page import publish, table

from dpsynth.accountant import Accountant, Charge
from dpsynth.ledger import nonce
from dpsynth.privacy import Budget, Cost

PLAN = "sha256:" + "0" * 64
CAP, QUOTE = Budget("9", "1e-9"), Budget("1", "1e-9")
SMALL = Fraction(1, 2**24)
ANSWER = bytes(8 * 1024)
STEPS = ("reserve", "draw", "store", "refuse")


def charge(cost: Fraction) -> Charge:
    fields = {
        "unit": {"entity": "person", "column": "id", "max_rows": 1},
        "neighbours": "add-remove",
        "sensitivity_squared": "1",
        "chosen_by": [],
        "mechanism": {"type": "rounded_gaussian", "sigma": "2048"},
        "query": {"columns": ["sex", "age"], "levels": [PLAN, PLAN], "shape": [2, 100], "basis": "marginal"},
    }
    return Charge("measure", Cost("gdp", cost), fields)


def steps(place: str, anchors: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds of each step, over ``repeats`` releases of one verb."""
    found: dict[str, list[float]] = {name: [] for name in STEPS}
    above, below = (f"{name}-{nonce()[:8]}" for name in ("population", "project"))
    unit = {"entity": "person", "column": "id", "neighbours": "add-remove", "budget": CAP}
    with Accountant.open(place, create=True, anchors=anchors) as accountant:
        accountant.open_account(above, level="population", **unit)  # type: ignore[arg-type]
        accountant.open_account(below, parent=above, **unit)  # type: ignore[arg-type]

        def timed(name: str, act: Callable[[], object]) -> object:
            began = time.perf_counter()
            made = act()
            found[name].append(time.perf_counter() - began)
            return made

        for turn in range(repeats):
            cost = Cost("gdp", SMALL * (1 + turn % 7))
            terms = {"release": f"{below}-{turn}", "plan": PLAN, "quote": QUOTE}
            handle = timed("reserve", lambda terms=terms, cost=cost: accountant.reserve(below, cost=cost, **terms))  # type: ignore[misc]
            seqs = timed("draw", lambda handle=handle: handle.draw([charge(SMALL)]))  # type: ignore[misc]
            timed("store", lambda handle=handle, seqs=seqs: handle.store(seqs, ANSWER))  # type: ignore[misc]
            handle.settle()  # type: ignore[attr-defined]
            timed("refuse", lambda terms=terms: refused(accountant, below, {**terms, "release": f"{below}-no"}))  # type: ignore[misc]
    return found


def refused(accountant: Accountant, account: str, terms: dict[str, object]) -> None:
    from dpsynth.errors import BudgetRefused

    try:
        accountant.check(account, Cost("gdp", Fraction(64)), release=str(terms["release"]), plan=PLAN)
    except BudgetRefused:
        return
    raise SystemExit("more was granted than the cap")


def bare_sqlite(path: Path, repeats: int) -> list[float]:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = DELETE", "synchronous = EXTRA", "fullfsync = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE one (number INTEGER PRIMARY KEY, text TEXT)")
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO one (text) VALUES (?)", ("x" * 500,))
        connection.execute("COMMIT")
        found.append(time.perf_counter() - began)
    connection.close()
    return found


def bare_postgres(url: str, repeats: int) -> list[float]:
    import psycopg

    found, schema = [], f"bare_{nonce()[:8]}"
    with psycopg.connect(url.partition("?")[0], autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema} CREATE TABLE one (text TEXT)")
        for _ in range(repeats):
            began = time.perf_counter()
            connection.execute(f"INSERT INTO {schema}.one VALUES (%s)", ("x" * 500,))
            found.append(time.perf_counter() - began)
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
    return found


def urgent() -> bool:
    """Whether this process goes before all others (``chrt -f 20``)."""
    return hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER


def rows(name: str, bare: list[float], found: dict[str, list[float]]) -> list[list[object]]:
    def row(step: str, seconds: list[float]) -> list[object]:
        ordered = sorted(1000 * one for one in seconds)
        return [name, step, median(ordered), ordered[int(0.9 * len(ordered))], ordered[-1]]

    return [row("a bare commit", bare), *(row(step, found[step]) for step in STEPS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--postgres", help="a database in which a store may be made")
    parser.add_argument("--quick", action="store_true", help="a smoke test: three releases, nothing is written")
    asked = parser.parse_args()
    repeats = 3 if asked.quick else asked.repeats
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        bare = bare_sqlite(folder / "bare.db", repeats)
        found = rows("SQLite", bare, steps(str(folder / "accounts.db"), folder / "anchors", repeats))
        if asked.postgres:
            sys.argv = [word.replace(asked.postgres, "postgresql://...") for word in sys.argv]  # it may hold a password
            found += rows(
                "PostgreSQL", bare_postgres(asked.postgres, repeats), steps(asked.postgres, folder / "anchors", repeats)
            )
    publish(
        "accounts",
        f"### Accounts\n\nMilliseconds of a durable step, over {repeats} releases of one verb on an account under "
        "another: it is on the disk, and the log's anchor in a second file, when the call returns. `reserve` reads, "
        "converts to epsilon and commits; `refuse` is an ask that does not fit and leaves its line. A bare commit "
        "is one row with the same durability and nothing else. Target: a reserve of at most 15 ms on SQLite."
        + (" Scheduled in real time, since the machine had other work." if urgent() else "")
        + "\n\n"
        + table(("store", "step", "median ms", "of ten, nine within ms", "worst ms"), found),
        asked.quick,
    )


if __name__ == "__main__":
    main()
