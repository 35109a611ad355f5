"""The import contracts of pyproject.toml hold, and each of them can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        LINT, cwd=root, env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )


def test_contracts_hold() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("mechanisms", "import dpsynth.curator"),
        ("model", "import dpsynth.noise"),
        ("release", "import dpsynth.table"),
        ("sampling", "import opendp.measurements"),
        ("privacy", "import dpsynth.ledger"),
        ("people", "import dpsynth.encoding"),
    ],
)
def test_a_breach_is_caught(tmp_path: Path, room: str, line: str) -> None:
    shutil.copytree(ROOT / "dpsynth", tmp_path / "dpsynth", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "dpsynth" / room / "breach.py").write_text(f"{line}\n")
    result = lint(tmp_path)
    assert result.returncode != 0
    assert "BROKEN" in result.stdout
