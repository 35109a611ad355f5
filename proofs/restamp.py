"""Rewrite the hash of a proof after its function changed.

``python proofs/restamp.py "reason" proofs/ROOM/NAME.md ...``

Re-stamping needs a changed proof or a stated reason; the reason is kept in the proof's front matter.
"""

from __future__ import annotations

import re
import sys
from hashlib import sha256
from importlib import import_module
from inspect import getsource
from pathlib import Path


def proved(path: Path) -> str:
    """The dotted path of what a proof proves."""
    found = re.search(r"^proves:\s*(\S+)", path.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{path}: no line 'proves: dotted.path'")
    return found.group(1)


def stamp_of(path: Path) -> str:
    """The hash that a proof holds."""
    found = re.search(r"^source_sha256:\s*(\S+)", path.read_text(), re.MULTILINE)
    return found.group(1) if found else ""


def source_of(dotted: str) -> str:
    """The source text of a function, method or class."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            target = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            target = getattr(target, name)
        return getsource(target)
    raise SystemExit(f"{dotted}: no such module")


def digest(dotted: str) -> str:
    """The hash of that source text."""
    return sha256(source_of(dotted).encode()).hexdigest()


def main() -> None:
    """Stamp the proofs named on the command line."""
    if len(sys.argv) < 3 or len(sys.argv[1].split()) < 3:
        raise SystemExit(__doc__)
    reason, files = sys.argv[1], sys.argv[2:]
    for name in files:
        path = Path(name)
        text = re.sub(
            r"^source_sha256:.*$", f"source_sha256: {digest(proved(path))}", path.read_text(), flags=re.MULTILINE
        )
        text = re.sub(r"^restamped:.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^(source_sha256:.*)$", rf"\1\nrestamped: {reason}", text, count=1, flags=re.MULTILINE)
        path.write_text(text)


if __name__ == "__main__":
    main()
