"""Files: there whole or not at all, also after a crash; and TOML that a person wrote.

Any room that writes or reads a file may use it; it knows nothing of what the files hold.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dpsynth.errors import ConfigurationError


def read_whole(path: Path) -> bytes:
    """The bytes of a file; ConfigurationError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def write_whole(path: Path, data: bytes, aside: Path | None = None) -> None:
    """Put a file on the disk, in place of what was there; whoever reads it sees all of the old one or of the new one.

    It is written into the folder ``aside`` first, for a release folder holds nothing that was not signed; without one,
    beside its place. ConfigurationError if it cannot be.
    """
    draft = (aside or path.parent) / f".{path.name}.{os.getpid()}.part"
    with telling(path):
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        sync(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """Make a file that is not there, all of it on the disk, readable by its owner alone; OSError if it cannot be."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def move(folder: Path, place: Path) -> None:
    """Rename a folder, durably. ``place`` is empty or not there."""
    with telling(place):
        folder.replace(place)
        sync(place.absolute().parent)


def sync_files(folder: Path) -> None:
    """See to it that the files of a folder are on the disk."""
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """See to it that a file, or the names in a folder, are on the disk, where the system knows how."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def telling(place: Path) -> Iterator[None]:
    """Inside, an error of the file system is told as a ConfigurationError about ``place``, in fixed words."""
    try:
        yield
    except OSError as error:
        why = error.strerror if error.errno is not None and error.strerror else "the disk refuses it"
        raise ConfigurationError(
            f"{place} cannot be written ({why}): see to that and run the same command again, which goes on and pays "
            "nothing twice"
        ) from None


def parse_toml(text: str, origin: str) -> dict[str, Any]:
    """The tables of a TOML text; ConfigurationError names ``origin`` and the place.

    tomllib's own message can quote what it read, and the file may be the private data by mistake: only the place of a
    fault is told.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at (?:line \d+, column \d+|end of document)", str(error))
        raise ConfigurationError(f"{origin}: not valid TOML {place[0] if place else ''}".rstrip()) from None
    except RecursionError:
        raise ConfigurationError(f"{origin}: not valid TOML: nested too deeply") from None
