"""Bits of the operating system, read by the call that uses them: nothing is kept in between."""

from __future__ import annotations

import os


def entropy(number: int) -> bytes:
    """That many fresh bytes. Each module that draws holds it under a private name: tests put a known stream there."""
    return os.urandom(number)
