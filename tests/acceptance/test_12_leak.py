"""12. Two tables that differ by one person, answered with the same noisy numbers: not one published byte differs."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dpsynth.noise import RoundedGaussianNoise
from tests.acceptance.kit import contents
from tests.desk import Called, Desk, call, make_desk, people

ROWS = 4273
SEED = 918_273_645


def release(desk: Desk, mechanism: str) -> Called:
    path = desk.release(mechanism=mechanism, more=f'formats = ["parquet", "csv"]\nrows = 300\nseed = {SEED}')
    return call("run", path, "--out", desk.folder / "out")


class Chance:
    """All randomness of a run, the same each time: nonces and secrets by counting, noisy numbers as first drawn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.drawn: list[Any] = []
        self.again: Iterator[Any] | None = None
        noisy, exponential = RoundedGaussianNoise.noisy, RoundedGaussianNoise.exponential

        def kept(draw: Any) -> Any:
            def act(noise: Any, *arguments: Any) -> Any:
                if self.again is not None:
                    return next(self.again)
                self.drawn.append(draw(noise, *arguments))
                return self.drawn[-1]

            return act

        monkeypatch.setattr(RoundedGaussianNoise, "noisy", kept(noisy))
        monkeypatch.setattr(RoundedGaussianNoise, "exponential", kept(exponential))
        monkeypatch.setattr("secrets.token_hex", lambda size: self._next(size).hex())
        monkeypatch.setattr("secrets.token_bytes", self._next)
        self.count = 0

    def _next(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size, "big")

    def replay(self) -> None:
        self.again, self.count = iter(self.drawn), 0


@pytest.mark.parametrize("mechanism", ["mst", "mrm"])
def test_neighbouring_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mechanism: str) -> None:
    desks = []
    for name in ("alpha", "beta"):
        (tmp_path / name).mkdir()
        desks.append(make_desk(tmp_path / name))
    one, two = desks
    shutil.copy(one.folder / "key.pem", two.folder / "key.pem")
    one.table.write_text(people(ROWS))
    two.table.write_text(people(ROWS) + "m,99,,yes,the one person more\n")
    chance = Chance(monkeypatch)
    first = release(one, mechanism)
    chance.replay()
    monkeypatch.setenv("DPSYNTH_ANCHORS", str(tmp_path / "anchors"))  # the same origin, another store
    second = release(two, mechanism)
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert next(chance.again or iter([0]), None) is None, "every number was asked for again"
    assert contents(one.folder / "out") == contents(two.folder / "out")
    said = [called.output.replace(desk.folder.name, "") for called, desk in ((first, one), (second, two))]
    assert said[0] == said[1]


def test_nothing_of_the_table_or_the_machine(tmp_path: Path) -> None:
    folder = tmp_path / "secretfolder"
    folder.mkdir()
    desk = make_desk(folder)
    desk.table.write_text(people(ROWS))
    assert release(desk, "mst").exit_code == 0
    files = contents(folder / "out")
    payload = json.loads(files["ledger.dsse.json"])["payload"]
    texts = [base64.b64decode(payload), *(files[name] for name in ("report.html", "datapackage.json", "CITATION.cff"))]
    for text in (found.decode() for found in texts):
        # Its digits in a row may stand in a signature, by chance one time in ten thousand runs.
        assert not re.search(rf"(?<![0-9A-Za-z+/.]){ROWS}(?![0-9A-Za-z+/=.])", text), "the number of rows"
        for word in ("secretfolder", str(tmp_path), socket.gethostname(), "people.csv", "duration", "seconds"):
            assert word not in text
    assert all(b"secretfolder" not in data for data in files.values())
