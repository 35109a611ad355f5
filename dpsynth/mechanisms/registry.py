"""Mechanisms by the name that ``release.toml`` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dpsynth.errors import ConfigurationError, nearest
from dpsynth.mechanisms.aim import AIM
from dpsynth.mechanisms.independent import Independent
from dpsynth.mechanisms.mrm import MRM
from dpsynth.mechanisms.mst import MST
from dpsynth.mechanisms.privbayes import PrivBayes
from dpsynth.mechanisms.protocol import Mechanism
from dpsynth.mechanisms.workload import Workload

DEFAULT = "mrm"
"""The mechanism that is taken where none is named."""

REGISTRY: Mapping[str, Callable[[Workload], Mechanism]] = MappingProxyType(
    {
        "mrm": MRM,
        "aim": AIM,
        "mst": lambda _: MST(),
        "privbayes": lambda _: PrivBayes(),
        "independent": lambda _: Independent(),
    }
)
"""What each name makes for a workload, with its defaults."""

ANY = Workload()
"""What is asked for where no workload is: every pair of columns."""

HEEDING = frozenset({"aim", "mrm"})
"""The mechanisms that choose by the workload."""


def by_name(name: str, workload: Workload = ANY) -> Mechanism:
    """The mechanism of this name; ConfigurationError names the nearest right one, or a workload that it cannot heed."""
    if name not in REGISTRY:
        raise ConfigurationError(
            f"mechanism {name!r}: expected one of {', '.join(map(repr, REGISTRY))}{nearest(name, REGISTRY)}"
        )
    if workload != ANY and name not in HEEDING:
        raise ConfigurationError(
            f"workload: mechanism {name!r} measures what it measures; take one of {', '.join(sorted(HEEDING))}, or no "
            "workload"
        )
    return REGISTRY[name](workload)
