"""Holding a polite interruption back until what was paid for is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What asks a process to end and lets it finish. Against SIGKILL nothing helps."""


@contextmanager
def held_back(told: Callable[[], None] | None = None) -> Iterator[None]:
    """Inside, an interruption only calls ``told``, the first time; it takes effect when the block ends.

    It works by handlers and not by a mask of signals: a mask holds for one thread, and the kernel then gives the signal
    to another one, of NumPy or Arrow. Python lets the main thread alone set handlers, so in another thread nothing is
    held back (there Python raises no KeyboardInterrupt either, but SIGTERM ends the process at once). A signal that is
    ignored stays ignored.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if told is not None and len(came) == 1:
            with suppress(Exception):  # it must not look like a failure of what it came into
                told()

    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):  # None: not of Python, and could not be put back
                    before[number] = handler
                    signal.signal(number, note)
        yield
    finally:
        for number, handler in reversed(before.items()):  # SIGINT last: its handler may raise at once
            signal.signal(number, handler)
        for number in sorted(set(came), reverse=True):  # SIGTERM before SIGINT
            signal.raise_signal(number)
