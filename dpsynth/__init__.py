"""dpsynth: differentially private synthetic data from noisy marginals, under one accountant, with a signed ledger.

The public names are loaded when they are first used (PEP 562), so that ``import dpsynth`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.6.0"

_PUBLIC = {
    "Accountant": "dpsynth.accountant",
    "Budget": "dpsynth.privacy",
    "Curator": "dpsynth.curator",
    "Release": "dpsynth.release",
    "Schema": "dpsynth.schema",
    "Workload": "dpsynth.mechanisms",
    "synthesize": "dpsynth.release",
    "verify": "dpsynth.release",
}

__all__ = ["Accountant", "Budget", "Curator", "Release", "Schema", "Workload", "synthesize", "verify"]

if TYPE_CHECKING:
    from dpsynth.accountant import Accountant
    from dpsynth.curator import Curator
    from dpsynth.mechanisms import Workload
    from dpsynth.privacy import Budget
    from dpsynth.release import Release, synthesize, verify
    from dpsynth.schema import Schema


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dpsynth' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
