"""A whole run draws by the law that its plan says, and the ledger, the archive and the verifier agree on it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from dpsynth.measurement import Selection, read_archive
from tests.desk import Desk, call

CASES = [
    ("gdp", "exact", "1e-6", "rounded_gaussian"),
    ("zcdp", "exact", "1e-6", "rounded_gaussian"),
    ("zcdp", "opendp", "1e-6", "discrete_gaussian"),
    ("pure", "exact", "0", "discrete_laplace"),
]


def entries(folder: Path) -> list[dict[str, Any]]:
    envelope = json.loads((folder / "ledger.dsse.json").read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    return [json.loads(line) for line in statement["predicate"]["entries"]]


@pytest.mark.parametrize(("measure", "noise", "delta", "law"), CASES)
def test_the_law_of_a_run(desk: Desk, measure: str, noise: str, delta: str, law: str) -> None:
    release = desk.release(delta=delta, budget=f'measure = "{measure}"\nnoise = "{noise}"')
    result = call("run", release, "--out", desk.folder / "out")
    assert result.exit_code == 0, result.output
    folder = next(desk.folder.glob("out/**/ledger.dsse.json")).parent
    drawn = {line["mechanism"]["type"] for line in entries(folder) if line["kind"] == "measure"}
    assert drawn == {law}
    answers = read_archive(folder / "measurements.npz")
    assert {answer.law for answer in answers if not isinstance(answer, Selection)} == {law}
    checked = call("verify", folder, "--rebuild")
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("measure", ["gdp", "pure"])
def test_opendp_s_noise_is_refused_before_anything_is_reserved(desk: Desk, measure: str) -> None:
    delta = "0" if measure == "pure" else "1e-6"
    release = desk.release(delta=delta, budget=f'measure = "{measure}"\nnoise = "opendp"')
    result = call("run", release, "--out", desk.folder / "out")
    assert result.exit_code == 2
    assert "zcdp" in result.output
