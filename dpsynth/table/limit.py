"""How much memory there is."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNKNOWN = 2 << 30


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
