"""15. The rows are drawn again from the noisy answers, and no other rows pass for them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np

from dpsynth.measurement import NoisyMarginal, pack, read_archive
from tests.acceptance.kit import document, forge
from tests.desk import Office, call


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
