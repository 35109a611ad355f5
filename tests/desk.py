"""A small artificial table with its files, for the tests of release, gate and command line."""

from __future__ import annotations

import io
import random
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpsynth.accountant import Accountant
from dpsynth.cli import main
from dpsynth.ledger import Grant, Person, RootKey, SigningKey, Stamp, Trust, new_root, next_root, nonce, seal, sign_root
from dpsynth.ledger.people import Revocation, Root
from dpsynth.privacy import Budget

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


FAR = "2199-12-31"


@dataclass(frozen=True)
class Office:
    """A desk whose account ``people``, under ``office``, has officers: ana, bo and cy, two of whom decide.

    Each has a key file of that name in the folder, and ana a second one, ``ana2``. ``key.pem`` is of dee, who runs it.
    """

    desk: Desk

    @property
    def folder(self) -> Path:
        return self.desk.folder

    @property
    def store(self) -> Path:
        return self.folder / "accounts.db"

    @property
    def root(self) -> Path:
        return self.folder / "root.json"

    @property
    def out(self) -> Path:
        return self.folder / "out" / "first"

    @property
    def pending(self) -> Path:
        return self.folder / "out" / "pending" / "first"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def signer(self, name: str) -> SigningKey:
        return SigningKey.load(self.key(name))

    def release(self, name: str = "first", **changes: str) -> Path:
        budget = f'account = "people"\nstore = "{changes.pop("store", "accounts.db")}"'
        return self.desk.release(name, **{"budget": budget, "mechanism": "independent", **changes})

    def run(self, *words: object, name: str = "first", **changes: str) -> Called:
        return call("run", self.release(name, **changes), "--out", self.out.with_name(name), *words)

    def approve(self, *names: str, release: Path | None = None) -> None:
        for name in names:
            called = call("approve", release or self.pending, "--key", self.key(name))
            assert called.exit_code == 0, called.output

    def people(self, **expires: str) -> tuple[Person, ...]:
        """Whose keys count; ``expires`` gives the day of some."""

        def person(name: str, role: Any, *keys: str) -> Person:
            found = (RootKey(self.signer(key).public, expires.get(key, FAR)) for key in keys)
            return Person(name, role, tuple(found))

        officers = [
            person("ana", "officer", "ana", "ana2"),
            person("bo", "officer", "bo"),
            person("cy", "officer", "cy"),
        ]
        return (*officers, person("dee", "engine", "key"))

    def grant(self, origin: str, account: str, parent: str | None, level: Any, epsilon: str, *signers: str) -> bytes:
        """The signed grant that opens an account of the store whose log is ``origin``."""
        budget = Budget(epsilon=epsilon, delta="1e-6")
        made = Grant(
            account,
            level,
            parent,
            budget.cost("gdp"),
            budget,
            "person",
            None,
            "add-remove",
            "artificial people",
            "opening",
            "to test",
            Trust.parse(self.root.read_bytes()).digest,
            origin,
            nonce(),
            Stamp.now().day,
        )
        return seal(made.statement(), [self.signer(name) for name in signers or ("ana", "bo")])

    def set_root(
        self,
        people: tuple[Person, ...] | None = None,
        revoked: tuple[Revocation, ...] = (),
        threshold: int | None = None,
        signers: tuple[str, ...] = ("bo", "cy"),
    ) -> Root:
        """Put the next version of the root in force, signed by bo and cy, and into ``root.json``."""
        data = next_root(Trust.parse(self.root.read_bytes()), people=people, revoked=revoked, threshold=threshold)
        for name in signers:
            data = sign_root(data, self.signer(name))
        self.root.write_bytes(data)
        with Accountant.open(self.store) as accountant:
            accountant.set_root("office", data)
        return Trust.parse(data).newest


def make_office(folder: Path, epsilon: str = "4", store: str | None = None) -> Office:
    """Make the keys, the root, the grants and the accounts; ``store`` may be the URL of a store that is there."""
    office = Office(make_desk(folder))
    for name in ("ana", "ana2", "bo", "cy"):
        SigningKey.generate().save(office.key(name))
    data = new_root("the statistics office", FAR, 2, office.people())
    for name in ("ana", "bo"):
        data = sign_root(data, office.signer(name))
    office.root.write_bytes(data)
    with Accountant.open(store or office.store, create=store is None) as accountant:
        log = accountant.origin
        accountant.open_account("office", grant=office.grant(log, "office", None, "organisation", "9"), trust=data)
        accountant.open_account("people", grant=office.grant(log, "people", "office", "population", epsilon))
    return office


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
