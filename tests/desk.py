"""A small artificial table with its files, for the tests of release, gate and command line."""

from __future__ import annotations

import io
import random
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from dpsynth.cli import main
from dpsynth.ledger import SigningKey

SCHEMA = """
[unit]
entity = "person"

[columns.sex]
type = "categorical"
values = ["f", "m"]

[columns.age]
type = "integer"
min = 0
max = 99
bins = 20

[columns.income]
type = "real"
min = 0.0
max = 1000.0
bins = 8
nullable = true

[columns.smokes]
type = "boolean"
"""


@dataclass(frozen=True)
class Desk:
    """A working folder with a table, its schema, a key, and a way to write ``release.toml``."""

    folder: Path

    def release(self, name: str = "first", **changes: str) -> Path:
        keys = {
            "source": "people.csv",
            "schema": "schema.toml",
            "epsilon": "1",
            "delta": "1e-6",
            "mechanism": "mst",
            "budget": "",
            "more": "",
            **changes,
        }
        path = self.folder / f"{name}.toml"
        path.write_text(
            '[data]\nsource = "{source}"\nschema = "{schema}"\n'
            '[budget]\nepsilon = "{epsilon}"\ndelta = "{delta}"\n{budget}\n'
            '[mechanism]\nname = "{mechanism}"\n'
            '[release]\nid = "{id}"\nsign_with = "key.pem"\n{more}\n'.format(id=name, **keys)
        )
        return path

    @property
    def table(self) -> Path:
        return self.folder / "people.csv"


def people(rows: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    lines = ["sex,age,income,smokes,note"]
    for _ in range(rows):
        sex = rng.choice("fm")
        age = rng.randrange(100)
        income = "" if rng.random() < 0.1 else f"{age * 8 + rng.random() * 100:.2f}"
        lines.append(f"{sex},{age},{income},{'yes' if (sex == 'f') != (age > 60) else 'no'},x")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Called:
    """What a command came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """All that it said."""
        return self.stdout + self.stderr


def call(*words: object) -> Called:
    """Run the command line as its entry point does, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Called(code, out.getvalue(), err.getvalue())


def make_desk(folder: Path) -> Desk:
    """Write the table, the schema and the key."""
    (folder / "schema.toml").write_text(SCHEMA)
    (folder / "people.csv").write_text(people(400))
    SigningKey.generate().save(folder / "key.pem")
    return Desk(folder)
