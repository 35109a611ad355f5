"""Mechanisms by the name that ``release.toml`` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dpsynth.errors import ConfigurationError, nearest
from dpsynth.mechanisms.independent import Independent
from dpsynth.mechanisms.mst import MST
from dpsynth.mechanisms.protocol import Mechanism

REGISTRY: Mapping[str, Callable[[], Mechanism]] = MappingProxyType({"independent": Independent, "mst": MST})
"""What each name makes, with its defaults."""


def by_name(name: str) -> Mechanism:
    """The mechanism of this name; ConfigurationError names the nearest right one."""
    if name not in REGISTRY:
        raise ConfigurationError(
            f"mechanism {name!r}: expected one of {', '.join(map(repr, REGISTRY))}{nearest(name, REGISTRY)}"
        )
    return REGISTRY[name]()
