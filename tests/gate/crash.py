"""A run that dies where it is told to, and what it leaves behind.

Also a program: ``python -m tests.gate.crash FOLDER STEP SIGNAL SHARE``. It runs in a folder that has a store, and at a
step it kills itself (``SIGKILL``) or says so and is slow, so that it can be sent the signal from outside.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.accountant import Accountant, Reservation
from dpsynth.curator import Curator
from dpsynth.curator import curator as room
from dpsynth.measurement import Answer, Candidate, Query, Selection
from dpsynth.noise import RoundedGaussianNoise
from dpsynth.privacy import exponential_cost, gaussian_cost
from dpsynth.schema import Schema
from dpsynth.table import PrivateTable
from tests.curator.bench import RHO, Desk

STEPS = (
    "before marking",
    "after marking",
    "before opening",
    "after opening",
    "before draw",
    "after draw",
    "after count",
    "before noise",
    "after noise",
    "before store",
    "after store",
    "after return",
)
"""Where to die: around each of the gate's steps, in their order."""

HALF = Fraction(1, 2)

SCHEMA = Schema.parse(
    '[columns.a]\ntype = "categorical"\nvalues = ["x", "y"]\n[columns.b]\ntype = "categorical"\nvalues = ["u", "v"]\n'
)
FRAME = pd.DataFrame({"a": list("xyxxy"), "b": list("uvuvu")})


class Witness:
    """Counts the cost of the noise that was really drawn, and the answers that were really seen, on the disk."""

    def __init__(self, folder: Path) -> None:
        self._drawn, self._seen = folder / "drawn", folder / "seen"

    def note(self, cost: Fraction) -> None:
        with self._drawn.open("a") as file:
            file.write(f"{cost}\n")
            file.flush()
            os.fsync(file.fileno())

    def drawn(self) -> list[Fraction]:
        return [Fraction(line) for line in self._drawn.read_text().splitlines()] if self._drawn.exists() else []

    def see(self, answers: Sequence[Answer]) -> None:
        with self._seen.open("a") as file:
            file.writelines(json.dumps(plain(answer)) + "\n" for answer in answers)

    def seen(self) -> list[Any]:
        return [json.loads(line) for line in self._seen.read_text().splitlines()] if self._seen.exists() else []


def plain(answer: Answer) -> list[Any]:
    return [answer.entry, list(answer.picks) if isinstance(answer, Selection) else answer.values.tolist()]


class WitnessedNoise(RoundedGaussianNoise):
    """Real noise with a witness. ``squared`` is the squared sensitivity of what noise is drawn on next."""

    squared = 1

    def __init__(self, witness: Witness, at: Callable[[str], None]) -> None:
        self._witness, self._at = witness, at

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        self._at("before noise")
        drawn = super().noisy(counts, scale)
        self._witness.note(gaussian_cost("gdp", self.squared, scale).amount)
        self._at("after noise")
        return drawn

    def exponential(self, scores: NDArray[np.int64], scale: Fraction) -> int:
        self._at("before noise")
        drawn = super().exponential(scores, scale)
        self._witness.note(exponential_cost("gdp", 1024, scale, 1).amount)
        self._at("after noise")
        return drawn


def run(
    folder: Path,
    at: Callable[[str], None],
    victim: str = "marginals",
    share: Fraction = HALF,
    first: bool = False,
) -> list[Answer]:
    """Three verbs, the second of which may die: ``at`` is called with the name of each step of it that is reached.

    Together they ask for ``share`` of what the release has reserved. With ``first`` the first may die, too.
    """
    witness = Witness(folder)
    rho = RHO * share
    armed = first
    noise = WitnessedNoise(witness, lambda name: step(name))

    def step(name: str) -> None:
        if armed:
            at(name)

    def around(function: Callable[..., Any], before: str, after: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if before:
                step(before)
            result = function(*arguments)
            step(after)
            return result

        return call

    with (
        Accountant.open(folder / "store.db") as accountant,
        patch.object(Reservation, "open", around(Reservation.open, "before marking", "after marking")),
        patch.object(Reservation, "draw", around(Reservation.draw, "before draw", "after draw")),
        patch.object(Reservation, "store", around(Reservation.store, "before store", "after store")),
        patch.object(room, "open_table", around(room.open_table, "before opening", "after opening")),
        patch.object(PrivateTable, "count", around(PrivateTable.count, "", "after count")),
        Curator.open(FRAME, SCHEMA, Desk.reserve(accountant), _noise=noise) as curator,
    ):
        a, b = (Query((level,)) for level in curator.levels.values())
        answers: list[Answer] = [curator.total(rho / 4)]
        witness.see(answers)
        candidates = [Candidate.of(query, np.zeros(2)) for query in (a, b)]
        curator._table, armed = None, True
        if victim == "marginals":
            found: list[Answer] = [*curator.marginals([a, b], rho / 2)]
        elif victim == "scores":
            noise.squared = 2 * 1024**2
            found = [curator.scores(candidates, "l1-to-model", rho / 2)]
        else:
            found = [curator.select(candidates, "l1-to-model", 2, rho / 2)]
        step("after return")
        armed, noise.squared = False, 1
        witness.see(found)
        last = list(curator.marginals([a], rho / 4))
        witness.see(last)
        return answers + found + last


def main() -> None:
    """What the module says."""
    folder, fatal, number, share = Path(sys.argv[1]), sys.argv[2], signal.Signals[sys.argv[3]], Fraction(sys.argv[4])

    def at(name: str) -> None:
        if name != fatal:
            return
        if number == signal.SIGKILL:
            os.kill(os.getpid(), number)
        print("slow", flush=True)
        time.sleep(1)

    run(folder, at, share=share)


if __name__ == "__main__":
    main()
