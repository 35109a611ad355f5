"""Samples on the command line: what a newcomer is told, and what an interruption or a wrong place is called."""

from __future__ import annotations

import json
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from tests.desk import Desk, call


def test_the_demo_says_how_to_draw_more_rows(tmp_path: Path) -> None:
    made = call("demo", "--out", tmp_path / "release")
    (line,) = (line for line in made.stderr.splitlines() if "dpsynth sample" in line)
    assert "sample" not in made.stdout
    words = shlex.split(line.split("dpsynth ")[1])
    drawn = call(*words)
    assert drawn.exit_code == 0, drawn.output
    assert call("verify", tmp_path / "release-sample", "--parent", tmp_path / "release").exit_code == 0


@pytest.mark.parametrize(("target", "command"), [("derive", "sample"), ("check.verify", "verify")])
def test_an_interruption_of_what_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, command: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"dpsynth.release.{target}", stop)
    result = call(command, tmp_path, *["--rows", 5][: 2 * (command == "sample")])
    assert result.exit_code == 130
    assert result.stderr == "error: interrupted; nothing was written\n"


def test_an_interrupted_sample_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    call("run", desk.release(), "--out", desk.folder / "out")
    before = sorted(desk.folder.iterdir())
    monkeypatch.setattr(import_module("dpsynth.release.derive"), "datapackage", stop)
    assert call("sample", desk.folder / "out", "--rows", 5, "--sign-with", desk.folder / "key.pem").exit_code == 130
    assert sorted(desk.folder.iterdir()) == before


def test_a_parent_that_is_no_folder_does_not_condemn_a_sample(desk: Desk) -> None:
    out, key = desk.folder / "out", desk.folder / "key.pem"
    call("run", desk.release(), "--out", out)
    call("sample", out, "--rows", 5, "--sign-with", key)
    for parent in (desk.folder / "nothing", key):
        result = call("verify", f"{out}-sample", "--parent", parent, "--json")
        assert result.exit_code == 2
        assert str(parent) in json.loads(result.stdout)["error"]


@pytest.mark.parametrize("words", [["run", "x.toml"], ["sample", "x", "--rows", 5], ["demo"]])
def test_a_file_is_no_place_for_a_folder(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "taken").write_text("kept")
    result = call(*words, "--out", tmp_path / "taken")
    assert result.exit_code == 2
    assert "taken' is a file" in result.stderr
    assert (tmp_path / "taken").read_text() == "kept"
