"""Every benchmark script runs: its smoke test, without peers, writes no page."""

import json
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


def test_utility_hands_out_missing_answers_and_takes_them_back() -> None:
    if not (HERE.parents[1] / "shared" / "score.py").exists():
        pytest.skip("needs ../shared/score.py")
    done = benchmark("utility.py", "--quick", "--no-peers", "--json", "--table", "census")
    (found,) = json.loads(done)
    (run,) = found["ours"]["mrm"]
    assert found["rows"] == 500
    assert 0 < run["1-way"] < run["2-way"] < run["3-way"] < 1


def test_tables_are_coded_as_they_say() -> None:
    told = json.loads(
        benchmark(
            "-c",
            "import json, tempfile, pandas as pd, tables; from pathlib import Path\n"
            "with tempfile.TemporaryDirectory() as folder:\n"
            "    two = [tables.make('census', Path(folder)) for _ in range(2)]\n"
            "    frame = pd.read_csv(two[0].path)\n"
            "    print(json.dumps([two[0].digest == two[1].digest, two[0].sizes, sorted(two[0].missing),\n"
            "        frame.min().to_dict(), frame.max().to_dict()]))\n",
        )
    )
    same, sizes, missing, least, most = told
    assert same
    assert len(sizes) == 24
    assert min(least.values()) == 0
    assert all(most[name] < size for name, size in sizes.items())
    assert missing
    assert all(most[name] == sizes[name] - 1 for name in missing)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are timed by os.wait4")
def test_a_cold_process_says_how_it_ended() -> None:
    endings = {
        ("import time; time.sleep(100)", 2): "stopped at 2 s",
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 60): "SIGSEGV",
        ("raise ValueError('why')", 60): "ValueError: why",
        ("x = bytearray(300 << 20)", 60): "",
    }
    for (program, limit), ending in endings.items():
        told = benchmark(
            "-c",
            "import json, sys; from peers import cold\n"
            f"done = cold([sys.executable, '-c', {program!r}], {limit})\n"
            "print(json.dumps([done.failed, done.seconds, done.peak]))\n",
        )
        failed, seconds, peak = json.loads(told)
        assert failed.endswith(ending) if ending else not failed
        assert seconds < 60
        assert (peak > 300) == (not ending)


def benchmark(*words: str) -> str:
    """What a script of the benchmarks prints, or a program that imports them."""
    command = [sys.executable, *(str(HERE / word) if word.endswith(".py") else word for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=HERE)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
