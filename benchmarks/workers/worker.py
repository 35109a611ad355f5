"""What every worker is given: a file to read, a file to write, and when its process was asked for."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser(doc: str | None) -> argparse.ArgumentParser:
    """``started`` is time.time() when the process was asked for, so that a cold time holds interpreter and imports."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("given", type=Path)
    result.add_argument("answer", type=Path)
    result.add_argument("--started", type=float, required=True)
    return result
