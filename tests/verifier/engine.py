"""Releases of version 2 that the engine really makes; ``python -m tests.verifier.engine`` wrote the golden ones.

The keys were drawn for that and thrown away. Once a version is published its golden folders are never written again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tests.desk import Office, call, make_desk, make_office

GOLDEN = Path(__file__).parent / "golden"


def publish(office: Office, name: str = "first") -> Path:
    """Run, have ana and bo approve, and run again."""
    assert office.run(name=name).exit_code == 11
    office.approve("ana", "bo", release=office.pending.with_name(name))
    ran = office.run(name=name)
    assert ran.exit_code == 0, ran.output
    return office.out.with_name(name)


def make_golden(place: Path) -> None:
    """``release-v2`` and ``sample-v2``, without officers; ``governed-v2``, the second of its log, beside its root."""
    for name in ("desk", "office"):
        (place / name).mkdir(parents=True)
    desk, office = make_desk(place / "desk"), make_office(place / "office")
    release, sample = place / "release-v2", place / "sample-v2"
    assert call("run", desk.release(), "--out", release).exit_code == 0
    key = desk.folder / "key.pem"
    assert call("sample", release, "--rows", 5, "--seed", 1, "--sign-with", key, "--out", sample).exit_code == 0
    publish(office, "zero")
    (place / "governed-v2").mkdir()
    shutil.copytree(publish(office), place / "governed-v2" / "first")
    shutil.copy(office.root, place / "governed-v2" / "root.json")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["DPSYNTH_ANCHORS"] = f"{temporary}/anchors"
        make_golden(Path(temporary))
        for folder in ("release-v2", "sample-v2", "governed-v2"):
            if (GOLDEN / folder).exists():
                raise SystemExit(f"{folder} is there: a golden folder is never written again")
            shutil.copytree(Path(temporary) / folder, GOLDEN / folder)
