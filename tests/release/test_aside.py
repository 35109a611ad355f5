"""What a killed writer leaves beside a place is removed by the next one there, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dpsynth.release.aside import Aside
from dpsynth.release.folder import new_folder

WRITER = """
import sys, time
from pathlib import Path
from dpsynth.release.aside import Aside
made = Aside.of(Path(sys.argv[1]))
(made.path / "data.parquet").write_text("half")
print(made.path, flush=True)
time.sleep(60)
"""


def writer(place: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="folders are locked by flock")
def test_what_a_killed_process_left_is_removed_and_not_what_a_living_one_fills(tmp_path: Path) -> None:
    place = tmp_path / "out"
    one, dead = writer(place)
    killed(one)
    assert dead.is_dir()
    two, alive = writer(place)
    assert not dead.exists()
    with new_folder(place) as made:
        assert {path for path in tmp_path.iterdir() if path.name.startswith(".")} == {alive, made}
        (made / "data.parquet").write_text("whole")
    assert (alive / "data.parquet").read_text() == "half"
    assert (place / "data.parquet").read_text() == "whole"
    killed(two)
    Aside.of(place).drop()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_folders_of_this_host_and_place_are_judged(tmp_path: Path) -> None:
    made = Aside.of(tmp_path / "out")
    host = made.path.name.split(".")[2]
    others = [f".out.{'0' * 8}.7.0.partial", f".out.x.{host}.7.0.partial", f".out.{host}.7.0.partial.txt"]
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / f".out.{host}.7.1.partial").write_text("a file")
    (tmp_path / f".out.{host}.7.2.partial").symlink_to(tmp_path / others[0])
    stale = tmp_path / f".out.{host}.7.3.partial"
    stale.mkdir()
    Aside.of(tmp_path / "out").drop()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, f".out.{host}.7.1.partial", f".out.{host}.7.2.partial", made.path.name}
    made.drop()


def test_one_process_fills_as_many_as_it_likes(tmp_path: Path) -> None:
    made = [Aside.of(tmp_path / "out") for _ in range(3)]
    assert len({one.path for one in made}) == 3
    assert all(str(os.getpid()) in one.path.name for one in made)
    for one in made:
        one.drop()
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_locked_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Aside.of(tmp_path / "out").drop()
    monkeypatch.setattr("dpsynth.release.aside.fcntl", None)
    first = Aside.of(tmp_path / "out")
    second = Aside.of(tmp_path / "out")
    assert first.path.is_dir()
    assert second.path != first.path
    first.drop()
    second.drop()
    assert not list(tmp_path.iterdir())
