"""Small files of the command line: read whole, written whole, never overwritten by mistake."""

from __future__ import annotations

from pathlib import Path

from dpsynth.errors import ConfigurationError
from dpsynth.files import write_whole


def read(path: Path) -> bytes:
    """The bytes of a file, no more of them than an envelope may have; ConfigurationError if it cannot be read."""
    from dpsynth.ledger.strict_json import MAX_BYTES

    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{str(path)!r} cannot be read ({error.strerror})") from None


def read_text(path: Path) -> str:
    """The text of a file in UTF-8; ConfigurationError if it is none."""
    try:
        return read(path).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{str(path)!r} is not a text file in UTF-8") from None


def write_new(path: Path, data: bytes) -> None:
    """Make a file that is not there; ConfigurationError if it is."""
    if path.exists():
        raise ConfigurationError(f"{str(path)!r} is there already and is never overwritten: name another file")
    write_whole(path, data)
