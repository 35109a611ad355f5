"""``dpsynth keys``."""

from __future__ import annotations

from pathlib import Path

import click

from dpsynth.cli.output import hint, json_option, say, say_json


@click.group()
def keys() -> None:
    """Make signing keys."""


@keys.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The file to make (mode 0600).")
@json_option
def new(out: Path, as_json: bool) -> None:
    """Make an Ed25519 signing key.

    The file holds the private key: keep it where only the releasing person can read it. The key id that is printed
    is public: give it to those who verify. An existing file is never overwritten.
    """
    from dpsynth.ledger import SigningKey

    key = SigningKey.generate()
    key.save(out)
    if as_json:
        say_json({"ok": True, "keyid": key.public.keyid, "file": str(out)})
        return
    say(key.public.keyid)
    hint(f'private key written to {out}; use it with [release] sign_with = "{out}"')
