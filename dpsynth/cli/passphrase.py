"""Opening and encrypting key files from the command line: a passphrase is typed, or comes from a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.errors import ConfigurationError

if TYPE_CHECKING:
    from dpsynth.ledger import SigningKey

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="A file whose first line is the passphrase of an encrypted key; without it DPSYNTH_PASSPHRASE_FILE, "
    "DPSYNTH_PASSPHRASE, or a prompt on a terminal.",
)


def asking(path: str | Path, passphrase_file: Path | None = None) -> Callable[[], bytes]:
    """How to come by the passphrase of a key file, should it be encrypted; ConfigurationError if there is no way."""

    def ask() -> bytes:
        return _given(passphrase_file) or _typed(f"passphrase of {path}", confirm=False)

    return ask


def load_key(path: str | Path, passphrase_file: Path | None = None) -> SigningKey:
    """The key in a file, asking for its passphrase if it is encrypted."""
    from dpsynth.ledger import SigningKey

    return SigningKey.load(path, asking(path, passphrase_file))


def new_passphrase(passphrase_file: Path | None) -> bytes:
    """A passphrase to encrypt under, typed twice on a terminal."""
    return _given(passphrase_file) or _typed("new passphrase (several words that nobody guesses)", confirm=True)


def _given(passphrase_file: Path | None) -> bytes | None:
    from dpsynth.ledger.keys import passphrase_of_environment, read_passphrase

    return read_passphrase(passphrase_file) if passphrase_file else passphrase_of_environment()


def _typed(prompt: str, confirm: bool) -> bytes:
    from dpsynth.ledger.keys import require_passphrase

    if not sys.stdin.isatty():
        raise ConfigurationError("the key needs a passphrase and nobody is there to type it: give --passphrase-file")
    text: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return require_passphrase(text.encode("utf-8"))
