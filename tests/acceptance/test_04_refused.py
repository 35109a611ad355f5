"""4. What the cap cannot pay is refused before the private file is opened, and leaves one line and nothing else."""

from __future__ import annotations

from dpsynth.accountant import Accountant
from dpsynth.ledger import parse
from tests.acceptance.kit import Watch, document
from tests.desk import Office


def log(office: Office) -> list[str]:
    with Accountant.open(office.store) as accountant:
        return [parse(line).kind for line in accountant.history("people")]


def test_a_refused_run(office: Office) -> None:
    watch = Watch(office.desk.table)
    assert office.run(epsilon="3").exit_code == 11
    assert watch.opened(), "a run that is granted opens the file"
    with Accountant.open(office.store) as accountant:
        held, before = [account.held for account in accountant.path("people")], log(office)

    called = office.run("--json", name="second", epsilon="3")

    assert called.exit_code == 10
    assert not watch.opened()
    told = document(called.stdout)
    assert told["exit"] == 10
    assert "people" in told["error"]
    assert log(office) == [*before, "refused"]
    with Accountant.open(office.store) as accountant:
        assert [account.held for account in accountant.path("people")] == held
        assert accountant.account("people").attempts.refused == 1
    assert not office.pending.with_name("second").exists()
