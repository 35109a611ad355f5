"""The verifier stands alone: one short file, no other room, nothing that a ledger could make it run."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from dpsynth import verifier
from tests.verifier.build import FILES, Forged, build_release, build_sample, forge

SOURCE = Path(verifier.__file__)

WATCH = """
import sys, runpy
sys.argv = ["verifier.py", {warm!r}]
events = []
module = runpy.run_path({source!r}, run_name="verifier")
module["verify"]({warm!r})
WATCHED = ("import", "exec", "compile", "subprocess", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork",
           "socket", "ctypes", "urllib", "webbrowser", "pty", "marshal", "pickle")
sys.addaudithook(lambda event, args: events.append(event) if event.startswith(WATCHED) else None)
codes = [module["verify"](folder).exit_code for folder in {folders!r}]
print(codes, events)
"""


def test_it_is_short() -> None:
    assert len(SOURCE.read_text().splitlines()) < 700


def test_it_imports_the_standard_library_and_cryptography_alone() -> None:
    tree = ast.parse(SOURCE.read_text())
    roots = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    roots |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert roots <= sys.stdlib_module_names | {"cryptography"}
    assert not any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__", "getattr_static", "globals"}


def test_it_runs_from_an_empty_folder_without_the_package(tmp_path: Path) -> None:
    release = build_release(tmp_path / "release")
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(SOURCE, alone / "verifier.py")
    ran = subprocess.run(
        [sys.executable, "-I", "verifier.py", str(release), "--json"], cwd=alone, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["epsilon"] == "5/4"
    (release / "data.csv").write_bytes(b"x")
    ran = subprocess.run([sys.executable, "-I", "verifier.py", str(release)], cwd=alone, capture_output=True, text=True)
    assert ran.returncode == 21
    assert ran.stdout.startswith("NOT VERIFIED (exit 21): release golden\n  epsilon infinity")


def test_nothing_in_a_ledger_makes_it_import_or_run(tmp_path: Path) -> None:
    warm, hostile = build_release(tmp_path / "warm"), build_release(tmp_path / "hostile")
    sample = build_sample(tmp_path / "sample", warm)

    def poison(forged: Forged) -> None:
        module = "antigravity"
        forged.predicate["software"] = {"name": f"__import__('{module}')", "version": module}
        forged.predicate["release"]["mechanism"] = module
        forged.entry("measure")["mechanism"] = {"type": "os.system", "module_name": module, "class_name": "geohash"}
        forged.entry("select")["query"]["score"] = f"{module}:run"

    forge(hostile, poison)
    folders = [str(hostile), str(sample), str(tmp_path)]
    code = WATCH.format(source=str(SOURCE), warm=str(warm), folders=folders)
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert ran.stdout == "[23, 0, 21] []\n", ran.stderr


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
    assert verifier.plain("x" * 501) == "x" * 500 + "…"
    assert verifier.plain("\ud800é") == "\\u{d800}é"


def test_a_hundred_megabytes_take_less_than_two_seconds(tmp_path: Path) -> None:
    big = os.urandom(2**20) * 100
    folder = build_release(tmp_path / "release", files={**FILES, "data.csv": big})
    started = time.process_time()
    assert verifier.verify(folder).ok
    assert time.process_time() - started < 2
