"""15. The rows are drawn again from the noisy answers, no others pass for them; and the registry takes its entry."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jsonschema import Draft7Validator

from dpsynth.measurement import NoisyMarginal, pack, read_archive
from tests.acceptance.kit import document, forge
from tests.desk import Office, call

REGISTRY = Path(__file__).parents[1] / "release" / "foreign" / "deployments-schema.yaml"
"""The schema of OpenDP's registry of deployments."""


def test_rebuild(published: Office) -> None:
    called = call("verify", published.out, "--rebuild", "--root", published.root, "--json")
    assert called.exit_code == 0
    assert any(note.startswith("rebuilt: all") for note in document(called.stdout)["notes"])


def test_one_noisy_count_that_was_changed(waiting: Office) -> None:
    archive = waiting.pending / "measurements.npz"
    answers = list(read_archive(archive))
    place = next(number for number, answer in enumerate(answers) if answer.query.levels)  # type: ignore[union-attr]
    old = answers[place]
    assert isinstance(old, NoisyMarginal)
    values = np.array(old.values)
    values.reshape(-1)[0] += 1
    answers[place] = NoisyMarginal(old.query, values, old.scale, old.law, old.entry)
    archive.write_bytes(pack(answers))
    assert call("verify", waiting.pending, "--rebuild").exit_code == 21

    def change(said: dict[str, Any]) -> None:
        (subject,) = (one for one in said["subject"] if one["name"] == archive.name)
        subject["digest"]["sha256"] = sha256(archive.read_bytes()).hexdigest()

    forge(waiting.pending / "ledger.dsse.json", waiting.signer("key"), change)
    assert call("verify", waiting.pending).exit_code == 0, "the engine signed it"
    assert call("verify", waiting.pending, "--rebuild").exit_code == 21
    assert waiting.run().exit_code != 0


def test_an_entry_for_the_registry(published: Office, tmp_path: Path) -> None:
    entry = tmp_path / "people.yaml"
    called = call("export", published.out, "registry", "-o", entry, "--root", published.root)
    assert called.exit_code == 0, called.output
    found = yaml.safe_load(entry.read_text())
    schema = yaml.safe_load(REGISTRY.read_text())
    Draft7Validator.check_schema(schema)
    assert [error.message for error in Draft7Validator(schema).iter_errors(found)] == []
    assert found["tier"] == 3
    assert found["deployment"]["privacy_loss"]["privacy_parameters"] == {"epsilon": 1.0, "delta": 1e-6}
