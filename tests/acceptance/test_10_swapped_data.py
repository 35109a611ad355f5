"""10. Data that were swapped after they were approved are not published, and the approval is good for nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from dpsynth.accountant import Accountant
from dpsynth.release import approve
from tests.desk import Desk, Office, call, make_office


def rerun(office: Office, tmp_path: Path) -> Path:
    """The same plan on the same table, run on a store of its own."""
    (tmp_path / "again").mkdir()
    other = make_office(tmp_path / "again")
    for name in ("people.csv", "key.pem"):
        shutil.copy(office.folder / name, other.folder / name)
    with Accountant.open(office.folder / "other.db", create=True) as accountant:
        trust = office.root.read_bytes()
        accountant.open_account(
            "office", grant=office.grant(accountant.origin, "office", None, "organisation", "9"), trust=trust
        )
        accountant.open_account("people", grant=office.grant(accountant.origin, "people", "office", "population", "4"))
    again = Office(Desk(office.folder))
    called = call("run", again.release(store="other.db", more='formats = ["parquet", "csv"]'), "--out",
                  tmp_path / "again" / "out" / "first")  # fmt: skip
    assert called.exit_code == 11, called.output
    return tmp_path / "again" / "out" / "pending" / "first"


def test_the_data_of_another_run(office: Office, tmp_path: Path) -> None:
    more = 'formats = ["parquet", "csv"]'
    assert office.run(more=more).exit_code == 11
    office.approve("ana", "bo")
    again = rerun(office, tmp_path)
    approvals = approve.votes(office.pending)

    shutil.copy(again / "data.csv", office.pending)
    assert office.run(more=more).exit_code == 21

    for name in ("data.csv", "data.parquet", "measurements.npz", "model.npz", "report.html", "ledger.dsse.json"):
        shutil.copy(again / name, office.pending)
    assert office.run(more=more).exit_code == 21, "all of the other run, under the approvals of this one"
    assert not office.out.exists()

    for vote in approvals:
        (tmp_path / vote.file).write_bytes(vote.data)
        assert call("approve", again, "--add", tmp_path / vote.file).exit_code == 21
