"""Amounts of memory: how a person writes one, and what this machine has."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path

from dpsynth.errors import ConfigurationError

UNITS = {
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)},
}
"""Bytes of each unit, by its name in small letters."""

EXPECTED = (
    "expected an amount of memory, a number and its unit (B, KB, MB, GB, TB, KiB, MiB, GiB or TiB), such as "
    '"3 GiB", or a whole number of bytes'
)

_AMOUNT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([A-Za-z]{1,3})").fullmatch
_WHOLE = re.compile(r"[0-9]+").fullmatch

CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux tells how much memory the processes of a container may have."""


def bytes_of(text: str, key: str) -> int:
    """The bytes of an amount such as ``"3 GiB"``: B; KB, MB, GB, TB by the thousand; KiB, MiB, GiB, TiB by 1024.

    Units in any case, a decimal fraction at will, rounded down; a whole number alone is bytes. ConfigurationError,
    naming the ``key``, for anything else, and for less than one byte.
    """
    text = text.strip()
    found = _AMOUNT(f"{text} B" if _WHOLE(text) else text)
    unit = UNITS.get(found[2].lower()) if found else None
    amount = int(Fraction(found[1]) * unit) if found and unit else 0
    if amount < 1:
        raise ConfigurationError(f"{key}: {EXPECTED}")
    return amount


def amount_text(amount: int) -> str:
    """Bytes as a person reads them: ``"2.8 GiB"``; three digits, rounded up, so that what is told is enough."""
    unit = next((name for name in ("GiB", "MiB", "KiB") if amount >= UNITS[name.lower()]), "B")
    size = UNITS[unit.lower()]
    if amount >= 100 * size or size == 1:
        return f"{-(-amount // size):,} {unit}"
    places = 1 if amount >= 10 * size else 2
    return f"{-(-amount * 10**places // size) / 10**places:g} {unit}"


def limit_of(memory: object, key: str = "memory") -> int:
    """The limit in bytes that a text, a number of bytes, or nothing at all means.

    Nothing is half of the machine's memory, or 1 GiB of a machine that has less than twice that.
    ConfigurationError as of :func:`bytes_of`, and for a value of any other kind.
    """
    if memory is None:
        machine = machine_memory()
        return max(machine // 2, min(machine, 1 << 30))
    if isinstance(memory, str):
        return bytes_of(memory, key)
    if type(memory) is not int or memory < 1:
        raise ConfigurationError(f"{key}: {EXPECTED}")
    return memory


def machine_memory() -> int:
    """Bytes of memory that this machine has, or that its container may have; 4 GiB where the system does not tell."""
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, OSError, ValueError):
        found = []
    for path in CONTAINER:
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        found += [int(text)] if text.isdecimal() and int(text) else []
    return min((amount for amount in found if amount > 0), default=4 << 30)
