"""Every benchmark script runs: its smoke test, without peers, writes no page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = {
    path.stem: path
    for path in sorted(HERE.glob("*.py"))
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
}
SHARED = {"model_fit", "utility"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_smoke(name: str) -> None:
    if name in SHARED and not (HERE.parents[1] / "shared" / "data").exists():
        pytest.skip("needs ../shared/data")
    page = HERE / "README.md"
    before = page.read_bytes() if page.exists() else None
    options = ["--no-peers"] if "--no-peers" in SCRIPTS[name].read_text(encoding="utf-8") else []
    done = subprocess.run(
        [sys.executable, str(SCRIPTS[name]), "--quick", *options], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("### ")
    assert "\n| --- |" in done.stdout
    assert (page.read_bytes() if page.exists() else None) == before


def test_no_section_is_written_by_hand() -> None:
    page = (HERE / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"^<!-- (\S+) begins -->$", page, re.MULTILINE)
    assert len(set(names)) == len(names) == page.count(" begins -->") == page.count("\n### ") > 0
    for name in names:
        section = page.split(f"<!-- {name} begins -->")[1].split(f"<!-- {name} ends -->")
        assert len(section) == 2, name
        (line,) = (line for line in section[0].splitlines() if line.startswith("Measured "))
        command = re.match(r"Measured \d{4}-\d\d-\d\d by `python benchmarks/(\w+)\.py[ `]", line)
        assert command, line
        assert command[1] in SCRIPTS
