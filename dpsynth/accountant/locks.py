"""Files that a live process locks: how a run holds its release on one machine.

The kernel gives a lock back when the process that took it dies, however it dies, so that there is no lock to break and
no time after which one counts as old. Where the system has no ``fcntl`` (Windows) nothing is locked: the lease in the
store then still lets only the newest of two runs write, and the older one loses the answer that it was drawing.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]  # Windows has none


class FileLock:
    """An exclusive lock on a file, held until ``close``, until nothing refers to this object, or until the end.

    A second lock on the same file is refused to any other process and to this one.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self._path = path
        self._let_go = weakref.finalize(self, _let_go, handle, os.getpid())

    @classmethod
    def take(cls, path: Path) -> FileLock:
        """Lock a file, which is made for its owner alone if it is missing.

        BlockingIOError: it is locked already. OSError: it cannot be made, or nothing can be locked there.
        """
        if fcntl is None:
            return cls(path, None)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(handle)
            raise
        return cls(path, handle)

    def close(self, for_ever: bool = False) -> None:
        """Let go; again does nothing. ``for_ever``: nobody will need the lock again, so that its file can go too.

        Without it the file stays: whoever waits for a lock on a file that is gone would hold it together with the one
        who makes the file anew.
        """
        held = self._let_go() is not None
        if held and for_ever:
            with suppress(OSError):
                self._path.unlink()


def _let_go(handle: int | None, process: int) -> bool:
    if handle is not None:
        if os.getpid() == process:  # a forked child has the same lock: it must not end its parent's
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
    return True
