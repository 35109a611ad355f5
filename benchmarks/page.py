"""Each script writes its own section of README.md, between two markers; nothing in it is written by hand."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

PAGE = Path(__file__).with_name("README.md")
INTRODUCTION = """# Benchmarks

Each section is written by the script that measured it, with its day, its command and its machine; nothing here is
written by hand. Peers run in environments of their own. Seconds vary with the machine and with what else it does,
processor seconds less so: ratios are of one run.
"""
BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a number is shown with three digits, None as a dash."""
    lines = [head, ["---"] * len(head), *([shown(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def shown(cell: object) -> str:
    """How a cell of a table is written."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if type(cell) is int else str(cell)


def machine() -> str:
    """The processor, how many cores we may use and how busy they were, and the versions that matter."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    blas = "".join(f", {name}={os.environ[name]}" for name in BLAS if name in os.environ)
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    return f"{found.group(1) if found else model}, {cores} cores{load}; {versions}{blas}"


def publish(name: str, text: str, quick: bool) -> None:
    """Print a section and, unless it is only a smoke test, put it into README.md in place of the last one."""
    print(text)
    if quick:
        return
    script = Path(sys.argv[0]).name
    command = shlex.join(["python", f"benchmarks/{script}", *sys.argv[1:]])
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    begin, end = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    section = f"{begin}\n{text.strip()}\n\nMeasured {day} by `{command}` on {machine()}.\n{end}"
    page = PAGE.read_text() if PAGE.exists() else INTRODUCTION
    if begin in page:
        before, rest = page.split(begin)
        page = before + section + rest.split(end)[1]
    else:
        page = page.rstrip() + "\n\n" + section + "\n"
    PAGE.write_text(page)
