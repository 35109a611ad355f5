"""The folder in which a release is made, beside its place; what killed processes left of such folders is removed."""

from __future__ import annotations

import os
import re
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # Windows has none


@dataclass(frozen=True)
class Aside:
    """An empty folder ``.NAME.HOST.PID.N.partial`` beside the place ``NAME``, which nobody else fills.

    Who makes one first removes those that killed processes left beside the same place. That a folder's maker is still
    at work is told by a lock that it holds on the folder, which the system gives up with the process: a process number
    tells nothing, as it may be another's by now, or of another container. A network drive may show the folders of other
    hosts and not their locks, so only those of this host (HOST, a digest of its name) are judged; and where folders
    cannot be locked, as on Windows, they stay.
    """

    path: Path
    _lock: int | None

    @classmethod
    def of(cls, place: Path) -> Aside:
        """Make one; OSError or ValueError if it cannot be."""
        parent, name = place.absolute().parent, place.absolute().name
        host = sha256(socket.gethostname().encode()).hexdigest()[:8]
        parent.mkdir(parents=True, exist_ok=True)
        _clean(parent, re.compile(rf"\.{re.escape(name)}\.{host}\.[0-9]+\.[0-9]+\.partial"))
        for number in count():
            path = parent / f".{name}.{host}.{os.getpid()}.{number}.partial"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            with suppress(BlockingIOError):  # another process takes it for left behind, as it was not locked yet
                lock = _locked(path)
                if lock is None or _is(path, lock):
                    return cls(path, lock)
                os.close(lock)
        raise AssertionError

    def drop(self) -> None:
        """Remove the folder if it is still there, and let go of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)


def _clean(parent: Path, wanted: re.Pattern[str]) -> None:
    with suppress(OSError):  # a folder may be open to be written and not to be listed
        for path in parent.iterdir():
            if wanted.fullmatch(path.name):
                _remove(path)


def _remove(path: Path) -> None:
    """Remove a folder that no process holds."""
    with suppress(BlockingIOError):
        lock = _locked(path)
        if lock is None:
            return
        if _is(path, lock):
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _locked(path: Path) -> int | None:
    """A lock on a folder, held until it is closed; None where there are none. BlockingIOError: a process holds it."""
    if fcntl is None:
        return None
    handle = None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except OSError as error:
        if handle is not None:
            os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None


def _is(path: Path, handle: int) -> bool:
    """Whether a path still leads to the open folder."""
    with suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(handle))
    return False
