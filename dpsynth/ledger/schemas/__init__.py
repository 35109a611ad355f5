"""The formats of the ledger as JSON Schema (draft 2020-12), for other programs to check and to write against.

A schema says less than the readers do: not that numbers are in lowest terms, that a signature is good, or that costs
add up.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from dpsynth.errors import ConfigurationError, nearest

NAMES = ("approval", "entry", "envelope", "grant", "ledger", "root", "status")
"""What there are schemas of: payloads of envelopes, the envelope itself, and a line of the log (``entry``)."""


def schema(name: str) -> dict[str, Any]:
    """The schema of one of :data:`NAMES`; ConfigurationError if there is none of this name."""
    if name not in NAMES:
        raise ConfigurationError(f"there is no schema {name!r}, only {', '.join(NAMES)}{nearest(name, NAMES)}")
    found: dict[str, Any] = json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return found
