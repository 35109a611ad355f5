"""What is made of a limit on memory."""

from __future__ import annotations

from dataclasses import dataclass

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
