"""The verifier stands alone: four short files, no other room, nothing that a ledger could make it run."""

from __future__ import annotations

import ast
import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dpsynth import evidence, roots, trust, verifier
from tests.verifier.build import FILES, Forged, build_release, build_sample, forge
from tests.verifier.office import Office, approved, canonical, tree

SOURCES = [Path(module.__file__) for module in (verifier, evidence, trust, roots)]
NAMES = {"verifier", "evidence", "trust", "roots"}

WATCH = """
import sys
sys.path.insert(0, {place!r})
import trust
root = open({root!r}, "rb").read()
for folder in {warm!r}:
    trust.verify(folder), trust.verify(folder, root, True)
events = []
WATCHED = ("import", "exec", "compile", "subprocess", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork",
           "socket", "ctypes", "urllib", "webbrowser", "pty", "marshal", "pickle")
sys.addaudithook(lambda event, args: events.append(event) if event.startswith(WATCHED) else None)
codes = [trust.verify(folder).exit_code for folder in {folders!r}]
codes += [trust.verify(folder, root).exit_code for folder in {governed!r}]
print(codes, events)
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the four files."""
    place = tmp_path_factory.mktemp("alone")
    for source in SOURCES:
        shutil.copy(source, place)
    return place


def run(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", *map(str, words)]
    return subprocess.run(command, cwd=place, capture_output=True, text=True)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
class TestSource:
    def test_it_is_short(self, source: Path) -> None:
        assert len(source.read_text().splitlines()) < 600

    def test_it_imports_the_standard_library_and_cryptography_alone(self, source: Path) -> None:
        tree = ast.parse(source.read_text())
        named = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert not node.level
                own = node.module == "dpsynth"
                named += [alias.name for alias in node.names] if own else [str(node.module).removeprefix("dpsynth.")]
        roots = {name.partition(".")[0] for name in named}
        assert roots <= sys.stdlib_module_names | {"cryptography"} | NAMES - {source.stem}

    def test_it_runs_nothing_that_is_text(self, source: Path) -> None:
        called = [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call)]
        names = {node.func.id for node in called if isinstance(node.func, ast.Name)}
        assert not names & {"eval", "exec", "compile", "__import__", "globals", "setattr"}
        loaded = [node for node in called if isinstance(node.func, ast.Name) and node.func.id == "import_module"]
        texts = [ast.unparse(node.args[0]) for node in loaded]
        assert texts == (["'dpsynth.trust' if __package__ else 'trust'"] if source.stem == "verifier" else [])


@pytest.mark.parametrize("name", ["verifier.py", "trust.py"])
def test_it_runs_from_an_empty_folder_without_the_package(alone: Path, tmp_path: Path, name: str) -> None:
    release = build_release(tmp_path / "release")
    ran = run(alone, name, release, "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["epsilon"] == "5/4"
    (release / "data.csv").write_bytes(b"x")
    ran = run(alone, name, release)
    assert ran.returncode == 21
    assert ran.stdout.startswith("NOT VERIFIED (exit 21): release golden\n  epsilon infinity")
    office = approved(tmp_path)
    (tmp_path / "root.json").write_bytes(office.root)
    ran = run(alone, name, tmp_path / "first", "--root", tmp_path / "root.json", "--json")
    assert (ran.returncode, json.loads(ran.stdout)["approved_by"]) == (0, ["ana", "bo"]), ran.stdout + ran.stderr


def test_without_the_other_files_it_says_what_is_missing(tmp_path: Path) -> None:
    shutil.copy(SOURCES[0], tmp_path)
    ran = run(tmp_path, "verifier.py", tmp_path)
    assert ran.returncode != 0
    assert ran.stderr == "verifier.py needs evidence.py, trust.py and roots.py beside it\n"


def test_several_releases_and_their_histories(alone: Path, tmp_path: Path) -> None:
    office = approved(tmp_path)
    approved(tmp_path, "second", office)
    other = tree(name="another office")
    approved(tmp_path, "third", other)
    ran = run(alone, "trust.py", tmp_path / "first", tmp_path / "second", "--json")
    assert ran.returncode == 0, ran.stdout
    assert [json.loads(line)["release"] for line in ran.stdout.splitlines()] == ["first", "second", "first, second"]
    ran = run(alone, "trust.py", tmp_path / "first", tmp_path / "third")
    assert ran.returncode == 24
    assert "FAILED [24] two histories for people" in ran.stdout


@pytest.mark.parametrize(
    "words", [(), ("nowhere",), (".", "--root", "nowhere"), (".", "--fresh=x"), ("convert",), ("convert", "--mu2", "x")]
)
def test_usage_is_2(alone: Path, words: tuple[str, ...]) -> None:
    assert run(alone, "verifier.py", *words).returncode == 2


def test_nothing_in_a_ledger_makes_it_import_or_run(tmp_path: Path, alone: Path) -> None:
    warm, hostile = build_release(tmp_path / "warm"), build_release(tmp_path / "hostile")
    sample = build_sample(tmp_path / "sample", warm)
    module = "antigravity"

    def poison(forged: Forged) -> None:
        forged.predicate["software"] = {"name": f"__import__('{module}')", "version": module}
        forged.predicate["release"]["mechanism"] = module
        forged.entry("measure")["mechanism"] = {"type": "os.system", "module_name": module, "class_name": "geohash"}
        forged.entry("select")["query"]["score"] = f"{module}:run"

    forge(hostile, poison)
    office = approved(tmp_path)
    (tmp_path / "root.json").write_bytes(office.root)
    named: Office = tree(name=module)
    evil = named.release(tmp_path / "evil", module, "survey", software={"name": module, "version": f"{module}:run"})
    named.decide(evil, "ana", conditions=f"__import__('{module}')")
    named.publish(evil)
    file = evil / "approvals" / next((evil / "approvals").iterdir()).name
    value = json.loads(file.read_bytes())
    value["payload"] = base64.b64encode(canonical({"__reduce__": module})).decode()
    forms = {"status.dsse.json": canonical({"import": module}) + b"\n", file.name: canonical(value) + b"\n"}
    bad = [evil]
    for name, data in forms.items():
        folder = tmp_path / f"evil {name}"
        shutil.copytree(evil, folder)
        (folder / ("" if name.startswith("status") else "approvals") / name).write_bytes(data)
        bad.append(folder)
    code = WATCH.format(
        place=str(alone),
        root=str(tmp_path / "root.json"),
        warm=[str(warm), str(tmp_path / "first")],
        folders=[str(hostile), str(sample), str(tmp_path)],
        governed=[str(folder) for folder in (tmp_path / "first", *bad)],
    )
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert ran.stdout == "[23, 0, 21, 0, 26, 20, 20] []\n", ran.stdout + ran.stderr


def test_terminal_controls_do_not_reach_the_terminal(tmp_path: Path) -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07 VERIFIED\r\n\u202e\u200b \\"

    def dress(forged: Forged) -> None:
        forged.predicate["outside"] = [nasty]
        forged.predicate["release"]["id"] = nasty
        forged.entries.append({"kind": nasty})

    folder = build_release(tmp_path / "release")
    forge(folder, dress)
    verdict = verifier.verify(folder)
    assert verdict.exit_code == 23
    for text in (verdict.release, *verdict.notes, *verdict.failures):
        assert text.isprintable()
    shown = "\\u{1b}[2J\\u{1b}]0;owned\\u{7} VERIFIED\\u{d}\\u{a}\\u{202e}\\u{200b} \\u{5c}"
    assert verdict.release == shown
    assert any(shown in text for text in verdict.failures)
    assert evidence.plain("x" * 501) == "x" * 500 + "…"
    assert evidence.plain("\ud800é") == "\\u{d800}é"


def test_a_hundred_megabytes_take_less_than_two_seconds(tmp_path: Path) -> None:
    big = os.urandom(2**20) * 100
    folder = build_release(tmp_path / "release", files={**FILES, "data.csv": big})
    started = time.process_time()
    assert verifier.verify(folder).ok
    assert time.process_time() - started < 2
