"""Files that are there whole or not at all, also after a crash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpsynth.errors import ConfigurationError


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
    """See to it that a file, or the names in a folder, are on the disk."""
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
