"""What the acceptance tests share."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dpsynth.ledger import SigningKey, canonical, read_envelope, seal


def document(text: str) -> dict[str, Any]:
    """The one JSON document on a command's standard output."""
    (line,) = text.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def forge(file: Path, key: SigningKey, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a signed file says and sign it anew with its own key: the signature holds, the content lies."""
    said = json.loads(read_envelope(file.read_bytes()).payload)
    change(said)
    file.write_bytes(seal(canonical(said), [key]))


class Watch:
    """Tells whether a file is opened or read, by anybody on this machine: the kernel's inotify."""

    OPENED = 0x20 | 0x01  # IN_OPEN, IN_ACCESS

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if libc.inotify_add_watch(self._handle, os.fsencode(path), self.OPENED) < 0:
            raise OSError(ctypes.get_errno(), "nobody watches this file")

    def opened(self) -> bool:
        """Whether it was, since this was last asked."""
        try:
            return bool(os.read(self._handle, 4096))
        except BlockingIOError:
            return False
