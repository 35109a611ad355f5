"""``dpsynth export``: where the document goes, what is never overwritten, what each failure is called."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from dpsynth.cli.export import FORMATS as OFFERED
from dpsynth.release.export import FORMATS
from tests.desk import Desk, call, make_desk


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a release in ``out``."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPSYNTH_ANCHORS", str(folder / "anchors"))
        desk = make_desk(folder)
        called = call("run", desk.release(mechanism="independent"), "--out", folder / "out")
        assert called.exit_code == 0, called.output
        yield desk


@pytest.fixture
def out(made: Desk) -> Iterator[Path]:
    """The release, which must be as it was after each test."""
    folder = made.folder / "out"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    yield folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_formats_are_those_of_the_release_room() -> None:
    assert OFFERED == FORMATS


def test_the_entry_on_stdout_and_what_is_missing_on_stderr(out: Path) -> None:
    called = call("export", out, "registry")
    assert called.exit_code == 0
    entry = yaml.safe_load(called.stdout)
    assert entry["tier"] == 3
    assert "11 things only a person can say" in called.stderr
    assert "data_curators: who publishes the data" in called.stderr


@pytest.mark.parametrize(("form", "name"), [("datapackage", "datapackage.json"), ("citation", "CITATION.cff")])
def test_what_the_folder_holds_comes_out_as_it_is(out: Path, tmp_path: Path, form: str, name: str) -> None:
    assert call("export", out, form).stdout == (out / name).read_text()
    called = call("export", out, form, "-o", tmp_path / name)
    assert called.stdout == f"{tmp_path / name}\n"
    assert (tmp_path / name).read_bytes() == (out / name).read_bytes()
    assert ("belongs beside the data files" in called.stderr) == (form == "datapackage")


def test_answers_from_a_file(out: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.toml").write_text('data_curators = ["Zoo"]\nintended_use = "Teaching"\n')
    called = call("export", out, "registry", "--from", tmp_path / "answers.toml", "--json")
    document = json.loads(called.stdout)
    assert document.keys() == {"ok", "release", "format", "missing", "text"}
    assert (document["ok"], document["release"], document["format"]) == (True, "first", "registry")
    assert "intended_use" not in document["missing"]
    assert len(document["missing"]) == 9
    assert yaml.safe_load(document["text"])["deployment"]["basic"]["data_curators"] == ["Zoo"]
    assert called.stderr == ""


def test_the_answers_of_the_help_are_answers(out: Path, tmp_path: Path) -> None:
    text = call("export", "--help").stdout
    lines = [line.strip() for line in text.splitlines() if " = " in line]
    parts = [part for line in lines for part in line.split("  ") if part.strip()]
    (tmp_path / "answers.toml").write_text("\n".join(parts))
    called = call("export", out, "registry", "--from", tmp_path / "answers.toml", "--json")
    assert json.loads(called.stdout)["missing"] == []
    (example,) = (line.strip() for line in text.splitlines() if "dpsynth export out/people" in line)
    words = [{"out/people": out, "registry.toml": tmp_path / "answers.toml"}.get(x, x) for x in shlex.split(example)]
    words[-1] = tmp_path / str(words[-1])
    assert call(*words[1:]).exit_code == 0


def test_a_file_is_overwritten_only_when_told(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "entry.yaml"
    target.write_text("mine")
    called = call("export", out, "registry", "-o", target)
    assert called.exit_code == 2
    assert "never overwritten" in called.stderr
    assert target.read_text() == "mine"
    assert call("export", out, "registry", "-o", target, "--overwrite").exit_code == 0
    assert yaml.safe_load(target.read_text())["tier"] == 3
    assert sorted(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["entry.yaml", "report.html", "approvals/entry.yaml", "."])
def test_nothing_is_written_into_the_release(out: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to(out)
    for place in (out / name, tmp_path / "link" / name):
        called = call("export", out, "registry", "-o", place, "--overwrite")
        assert called.exit_code == 2
        assert "lies inside the release" in called.stderr


def test_a_folder_is_no_file(out: Path, tmp_path: Path) -> None:
    called = call("export", out, "registry", "-o", tmp_path, "--overwrite")
    assert (called.exit_code, "is a folder" in called.stderr) == (2, True)


def test_a_changed_release_gives_the_verifiers_exit_code_and_no_file(out: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(out, tmp_path / "copy")
    (folder / "data.parquet").write_bytes(b"other rows")
    called = call("export", folder, "registry", "-o", tmp_path / "entry.yaml", "--json")
    assert called.exit_code == json.loads(called.stdout)["exit"] == 21
    ledger = folder / "ledger.dsse.json"
    ledger.write_bytes(ledger.read_bytes().replace(b'"sig":"', b'"sig":"AAAA'))
    assert call("export", folder, "citation", "-o", tmp_path / "entry.yaml").exit_code == 20
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_wrong_words(out: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text("epsilon = '0.01'")
    for words, said in (
        (["registy"], "registy"),
        (["registry", "--from", answers], "unknown key 'epsilon'"),
        (["registry", "--from", tmp_path / "none.toml"], "cannot be read"),
        (["registry", "--root", tmp_path / "root.json"], "cannot be read"),
        (["registry", "-o", tmp_path / "no" / "where.yaml"], "cannot be written"),
    ):
        called = call("export", out, *words)
        assert called.exit_code == 2, called.output
        assert said in called.stderr
    assert call("export", tmp_path / "nothing", "registry").exit_code == 2


def test_a_root_that_does_not_know_the_release(out: Path, tmp_path: Path) -> None:
    (tmp_path / "root.json").write_text("{}")
    assert call("export", out, "registry", "--root", tmp_path / "root.json").exit_code in (20, 23)


def test_an_interruption_leaves_nothing(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("dpsynth.release.export"), "export", stop)
    called = call("export", out, "registry", "-o", tmp_path / "entry.yaml")
    assert (called.exit_code, called.stderr) == (130, "error: interrupted; nothing was written\n")
    assert not list(tmp_path.iterdir())
