"""7. A store that was taken back to an older copy is behind its anchor: it can be read and not spent from."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.acceptance.kit import document
from tests.desk import Office, call


def test_an_older_copy_of_the_store(office: Office, anchors: Path) -> None:
    copy = office.folder / "b"
    shutil.copy(office.store, copy)
    assert office.run().exit_code == 11
    (anchor,) = anchors.iterdir()
    size = document(anchor.read_text())["size"]
    shutil.move(copy, office.store)
    before = office.store.read_bytes()
    for name in ("first", "second"):
        called = office.run("--json", name=name)
        assert called.exit_code == 24
        told = document(called.stdout)
        assert told["exit"] == 24
        assert f"size {size}" in told["error"]
    assert office.store.read_bytes() == before, "it is not written"
    shown = call("budget", "show", "--store", office.store, "--json")
    assert shown.exit_code == 0, "it can be read"
