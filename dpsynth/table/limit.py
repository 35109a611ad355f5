"""How much memory there is, and what is made of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNKNOWN = 2 << 30

_FIXED = 640 << 20
"""Bytes that the program and a batch of rows take, however few rows there are: measured, and rounded up."""


@dataclass(frozen=True)
class Sizes:
    """``share`` bytes of rows stay in memory, twice while entities are told apart; ``room`` bytes are worked with.

    ``least`` rows make a block.
    """

    share: int
    room: int
    least: int = 1 << 17

    @classmethod
    def of(cls, memory: int) -> Sizes:
        """Those that keep a process below ``memory`` bytes."""
        left = max(memory - _FIXED, 0)
        return cls(left // 4, max(left // 4, 1 << 25))


def least_memory() -> int:
    """The least memory that counting needs; what a model and its tables need comes on top."""
    return _FIXED + (1 << 27)


def default_memory() -> int:
    """Half of the bytes that this machine, or the container that we run in, has."""
    try:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN
    for name in _GROUPS:
        try:
            found.append(int(Path(name).read_text()))
        except (OSError, ValueError):  # there is none, or it is "max"
            continue
    return min(found) // 2
