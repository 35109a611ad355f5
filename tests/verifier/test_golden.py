"""Ledgers of every released format version keep verifying for ever, and the builder still writes the newest one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth import trust
from dpsynth.privacy import Measure
from dpsynth.verifier import verify
from tests.verifier.build import GOLDEN, KEY, build_release, build_sample

CLAIMS = {
    "release-v1": ("5/4", "1/1000000000", "gdp", "1/32"),
    "release-v1-zcdp": ("5/4", "1/1000000000", "zcdp", "1/64"),
    "release-v1-pure": ("1", "0", "pure", "1"),
}


@pytest.mark.parametrize("folder", CLAIMS)
def test_release_v1(folder: str) -> None:
    verdict = verify(GOLDEN / folder)
    assert (verdict.ok, verdict.exit_code, verdict.failures) == (True, 0, ())
    assert (verdict.epsilon, verdict.delta, verdict.measure, verdict.amount) == CLAIMS[folder]
    assert (verdict.release, verdict.keyid) == ("golden", KEY.public.keyid)
    assert "protected: each person, at most 2 rows each (column id), neighbours add-remove" in verdict.notes
    assert "declared public: the columns and their values" in verdict.notes
    assert "outside the guarantee: what the officer saw before approving" in verdict.notes


def test_sample_v1() -> None:
    verdict = verify(GOLDEN / "sample-v1")
    assert verdict.ok
    assert (verdict.epsilon, verdict.release) == ("5/4", "golden")
    assert verdict.notes[0].startswith("post-processing of release golden, whose ledger is signed by key a08059596063")


def test_release_v2() -> None:
    verdict = verify(GOLDEN / "release-v2")
    assert (verdict.failures, verdict.epsilon, verdict.delta) == ((), "1", "1/1000000")
    assert (verdict.measure, verdict.amount) == ("gdp", "16149249318745535/288230376151711744")
    assert "account default: mu2 0.056029 of 0.056029 held after this release" in verdict.notes
    assert verify(GOLDEN / "sample-v2").failures == ()


@pytest.mark.parametrize("rooted", [True, False])
def test_governed_v2(rooted: bool) -> None:
    """Without --fresh it verifies for ever: its approvals are judged by the days of the lines that record them."""
    folder = GOLDEN / "governed-v2" / "first"
    root = (GOLDEN / "governed-v2" / "root.json").read_bytes()
    for today in ("2026-11-22", "2098-12-31"):
        verdict = trust.verify(folder, root if rooted else None, today=today)
        assert (verdict.failures, verdict.epsilon, verdict.state) == ((), "1", "current")
        assert verdict.approved_by == (("ana", "bo") if rooted else ())
    assert trust.verify(folder, root, fresh=True, today="2026-12-22").ok
    assert trust.verify(folder, root, fresh=True, today="2026-12-23").exit_code == 14


def test_the_format_did_not_drift(tmp_path: Path) -> None:
    measure: Measure
    build_sample(tmp_path / "sample-v1", build_release(tmp_path / "release-v1"))
    for measure in ("zcdp", "pure"):
        build_release(tmp_path / f"release-v1-{measure}", measure=measure)
    for folder in ("sample-v1", *CLAIMS):
        made = {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        assert made == {path.name: path.read_bytes() for path in (GOLDEN / folder).iterdir()}
