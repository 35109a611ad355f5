"""The verifier understands what the accountant really writes: long sums of many noise scales, lost answers too."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from dpsynth.accountant import Accountant, Charge
from dpsynth.ledger import (
    LEDGER_TYPE,
    AccountState,
    Guarantee,
    LedgerPredicate,
    ReleaseFacts,
    Software,
    envelope,
    statement,
)
from dpsynth.privacy import Budget, Cost, Measure, gaussian_cost, gaussian_sigma, laplace_cost, laplace_scale
from dpsynth.verifier import verify
from tests.verifier.build import FILES, KEY, digest, write

LAWS = {"gdp": "rounded_gaussian", "zcdp": "discrete_gaussian"}


def charge(column: str, measure: Measure, price: Fraction, chosen_by: list[int]) -> Charge:
    mechanism: dict[str, object]
    cost: Cost
    if measure == "pure":
        scale = laplace_scale("pure", 1, price)
        cost, mechanism = laplace_cost("pure", 1, scale), {"type": "discrete_laplace", "scale": scale}
    else:
        sigma = gaussian_sigma(measure, 1, price)
        cost, mechanism = gaussian_cost(measure, 1, sigma), {"type": LAWS[measure], "sigma": sigma}
    fields = {
        "mechanism": mechanism,
        "query": {"columns": [column], "levels": [digest(column)], "shape": [3], "basis": "marginal"},
        "unit": {"entity": "person", "column": None, "max_rows": 1},
        "neighbours": "add-remove",
        "sensitivity_squared": Fraction(1),
        "chosen_by": chosen_by,
    }
    return Charge("measure", cost, fields)


@pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
@pytest.mark.parametrize("answers", [0, 1, 5, 120])
def test_its_lines_verify(answers: int, measure: Measure, tmp_path: Path) -> None:
    delta = "0" if measure == "pure" else "1e-9"
    claim, cap = Budget("1", delta), Budget("3", delta)
    cost = claim.cost(measure)
    store = tmp_path / "store.db"
    with ExitStack() as stack:
        accountant = stack.enter_context(Accountant.open(store, create=True))
        accountant.open_account("people", entity="person", neighbours="add-remove", budget=cap, measure=measure)
        accountant.reserve("people", release="before", plan=digest("x"), cost=cost, quote=claim)
        ask = {"release": "golden", "plan": digest("plan"), "cost": cost, "quote": claim}
        reservation = accountant.reserve("people", **ask)  # type: ignore[arg-type]
        known: list[int] = []
        for number in range(answers):
            share = cost.amount / (answers + 2) * Fraction(1000 - number, 1000)
            seqs = reservation.draw([charge(f"c{number}", measure, share, list(known))])
            if number == 2:  # the run is cut off and taken up again
                accountant.close()
                accountant = stack.enter_context(Accountant.open(store))
                reservation = accountant.reserve("people", **ask)  # type: ignore[arg-type]
                continue
            reservation.store(seqs, b"answer")
            known += seqs
        reservation.settle()
        predicate = LedgerPredicate(
            Guarantee(claim, reservation.reserved, "person", None, 1, "add-remove"),
            AccountState("people", accountant.account("people").cap, reservation.held_before, reservation.held_after),
            ReleaseFacts("golden", digest("plan"), "aim", 2, "given", 7, digest("rows"), reservation.day),
            (),
            (),
            reservation.lines(),
            Software("dpsynth-engine", "0.1.0"),
        )
    folder = tmp_path / "release"
    write(folder, FILES)
    subjects = [(name, sha256(data).hexdigest()) for name, data in FILES.items()]
    payload = statement(subjects, LEDGER_TYPE, predicate.to_json(KEY.public))
    (folder / "ledger.dsse.json").write_bytes(envelope(payload, KEY))
    verdict = verify(folder)
    if not answers:  # nothing was measured: there is nothing that the rows could come from
        assert verdict.exit_code == 22
        return
    assert verdict.failures == ()
    assert verdict.epsilon == "1"
    assert f"tables measured: {answers}, private selections made: 0, lists of scores: 0" in verdict.notes
