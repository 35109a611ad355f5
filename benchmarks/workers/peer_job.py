"""What a peer's worker is given: a job as JSON (argument 1), and where its rows go as CSV (argument 2).

The job holds ``table`` (a CSV of codes), ``sizes`` (column -> how many codes, public), ``epsilon``, ``delta`` and
what the peer's line in peers.py adds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd


def given() -> tuple[dict[str, Any], pd.DataFrame]:
    """The job and the rows of its table."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    return job, pd.read_csv(job["table"])


def answer(rows: pd.DataFrame) -> None:
    """Write the artificial rows."""
    rows.to_csv(sys.argv[2], index=False)
