"""One bit flipped anywhere in a release, a file removed or a file added: it does not verify."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from dpsynth.release import run_file, verify
from tests.desk import make_desk, make_office
from tests.verifier.engine import publish

FLIPS = 400

pytestmark = pytest.mark.usefixtures("reckoned_once")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = make_desk(tmp_path_factory.mktemp("desk"))
    return run_file(desk.release(more='formats = ["parquet", "csv"]'), desk.folder / "out").folder


def test_one_flipped_bit_is_always_found(folder: Path) -> None:
    rng = random.Random(20261122)
    files = sorted(folder.iterdir())
    for flip in range(FLIPS):
        path = files[flip % len(files)]
        data = bytearray(path.read_bytes())
        place = rng.randrange(len(data))
        data[place] ^= 1 << rng.randrange(8)
        original = path.read_bytes()
        path.write_bytes(data)
        try:
            assert verify(folder).exit_code in (20, 21, 22, 23), f"{path.name} byte {place}"
        finally:
            path.write_bytes(original)
    assert verify(folder).ok


def test_a_missing_or_an_added_file_is_found(folder: Path, tmp_path: Path) -> None:
    for path in sorted(folder.iterdir()):
        copy = tmp_path / f"without-{path.name}"
        shutil.copytree(folder, copy)
        (copy / path.name).unlink()
        assert not verify(copy).ok
    copy = tmp_path / "more"
    shutil.copytree(folder, copy)
    (copy / "extra.csv").write_text("x")
    assert verify(copy).exit_code == 21


def test_one_flipped_bit_in_an_approved_release(tmp_path: Path) -> None:
    """In any file of it, approvals and status included, and in the root by which it is judged."""
    office = make_office(tmp_path)
    folder, rng = publish(office), random.Random(20261122)
    files = [*sorted(path for path in folder.rglob("*") if path.is_file()), office.root]
    assert {path.parent.name for path in files} >= {"first", "approvals"}
    for flip in range(FLIPS):
        path = files[flip % len(files)]
        original = path.read_bytes()
        data = bytearray(original)
        place = rng.randrange(len(data))
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            assert verify(folder, root=office.root).exit_code in (20, 21, 23, 25, 26), f"{path.name} byte {place}"
        finally:
            path.write_bytes(original)
    assert verify(folder, root=office.root, fresh=True).ok
    for path in sorted((folder / "approvals").iterdir()):
        moved = path.rename(tmp_path / path.name)
        assert verify(folder, root=office.root).exit_code == 26
        moved.rename(path)
    assert verify(folder, root=office.root).ok
