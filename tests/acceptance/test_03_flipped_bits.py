"""3. One bit flipped anywhere in what is published never verifies, and the code says what kind of thing was changed.

A signed file whose form is no longer known (23) is refused before its signature is looked at (20), and a key id that
nobody has (25) before there is a key to check with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth import verifier
from dpsynth.ledger import read_envelope
from tests.acceptance.kit import forge
from tests.desk import Office, make_office

FLIPS = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
"""Two hundred of each of five kinds."""

pytestmark = pytest.mark.usefixtures("reckoned_once")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """An office with a release that is published, and another that waits."""
    office = make_office(tmp_path_factory.mktemp("office"))
    assert office.run(more='formats = ["parquet", "csv"]').exit_code == 11
    office.approve("ana", "bo")
    assert office.run(more='formats = ["parquet", "csv"]').exit_code == 0
    assert office.run(name="second").exit_code == 11
    return office


def code_of(office: Office, file: Path, data: bytes) -> int:
    """The verifier's exit code while a file holds other bytes."""
    before = file.read_bytes()
    file.write_bytes(data)
    try:
        return verifier.verify(file.parent.parent if file.parent.name == "approvals" else file.parent).exit_code
    finally:
        file.write_bytes(before)


def flipped(data: bytes, bit: int) -> bytes:
    place = bit % (8 * len(data))
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


BIT = st.integers(0, 2**40)


@FLIPS
@given(bit=BIT, name=st.sampled_from(["data.parquet", "data.csv", "model.npz", "measurements.npz", "report.html"]))
def test_a_data_file(office: Office, bit: int, name: str) -> None:
    file = office.out / name
    assert code_of(office, file, flipped(file.read_bytes(), bit)) == 21


@FLIPS
@given(bit=BIT)
def test_the_ledger(office: Office, bit: int) -> None:
    file = office.out / "ledger.dsse.json"
    assert code_of(office, file, flipped(file.read_bytes(), bit)) in (20, 23)


@FLIPS
@given(bit=BIT, which=st.integers(0, 2))
def test_an_approval_or_the_status(office: Office, bit: int, which: int) -> None:
    file = [*sorted((office.out / "approvals").iterdir()), office.out / "status.dsse.json"][which]
    data = flipped(file.read_bytes(), bit)
    before = file.read_bytes()
    file.write_bytes(data)
    try:
        assert verifier.verify(office.out, office.root.read_bytes()).exit_code in (20, 23, 25)
    finally:
        file.write_bytes(before)


def signed_lie(office: Office, change: Any) -> int:
    """The verifier's exit code for a ledger that its own signer changed and signed again, of a release that waits."""
    folder = office.pending.with_name("second")
    file = folder / "ledger.dsse.json"
    before = file.read_bytes()
    forge(file, office.signer("key"), change)
    try:
        return verifier.verify(folder).exit_code
    finally:
        file.write_bytes(before)


@FLIPS
@given(bit=st.integers(0, 4 * 32 - 1), number=st.integers(0, 2**20))
def test_a_line_of_the_log(office: Office, bit: int, number: int) -> None:
    """Also if the engine's own key signs the ledger again: the line is not the one in its log any more."""

    def change(said: dict[str, Any]) -> None:
        lines = said["predicate"]["entries"]
        entry = json.loads(lines[number % len(lines)])
        digit = entry["nonce"][bit // 4]
        other = f"{int(digit, 16) ^ 1 << bit % 4:x}"
        assert other != digit
        nonce = entry["nonce"][: bit // 4] + other + entry["nonce"][bit // 4 + 1 :]
        lines[number % len(lines)] = lines[number % len(lines)].replace(entry["nonce"], nonce)

    assert signed_lie(office, change) == 24


@FLIPS
@given(bit=BIT)
def test_the_checkpoint(office: Office, bit: int) -> None:
    """Also if the engine's own key signs the ledger again."""

    def change(said: dict[str, Any]) -> None:
        log = said["predicate"]["log"]
        note = log["checkpoint"].encode()
        log["checkpoint"] = flipped(note, bit).decode(errors="replace")

    assert signed_lie(office, change) in (20, 24)


def test_what_was_not_changed_verifies(office: Office) -> None:
    assert verifier.verify(office.out, office.root.read_bytes(), fresh=True).ok
    assert verifier.verify(office.pending.with_name("second")).ok
    assert read_envelope((office.out / "ledger.dsse.json").read_bytes()).signatures
