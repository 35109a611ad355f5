"""Ledgers of every released format version keep verifying for ever, and the builder still writes the newest one."""

from __future__ import annotations

from pathlib import Path

from dpsynth.verifier import verify
from tests.verifier.build import GOLDEN, KEY, build_release, build_sample


def test_release_v1() -> None:
    verdict = verify(GOLDEN / "release-v1")
    assert (verdict.ok, verdict.exit_code, verdict.failures) == (True, 0, ())
    assert (verdict.epsilon, verdict.delta, verdict.rho) == ("5/4", "1/1000000000", "1/64")
    assert (verdict.release, verdict.keyid) == ("golden", KEY.public.keyid)
    assert "protected: each person, at most 2 rows each (column id), neighbours add-remove" in verdict.notes
    assert "declared public: the columns and their values" in verdict.notes
    assert "outside the guarantee: what the officer saw before approving" in verdict.notes


def test_sample_v1() -> None:
    verdict = verify(GOLDEN / "sample-v1")
    assert verdict.ok
    assert (verdict.epsilon, verdict.release) == ("5/4", "golden")
    assert verdict.notes[0].startswith("post-processing of release golden, whose ledger is signed by key a08059596063")


def test_the_format_did_not_drift(tmp_path: Path) -> None:
    build_sample(tmp_path / "sample-v1", build_release(tmp_path / "release-v1"))
    for folder in ("release-v1", "sample-v1"):
        made = {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        assert made == {path.name: path.read_bytes() for path in (GOLDEN / folder).iterdir()}
