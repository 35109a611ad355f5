"""``dpsynth keys``: signing keys, and the root of the officers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.output import hint, json_option, say, say_json
from dpsynth.cli.passphrase import load_key, new_passphrase, passphrase_option
from dpsynth.cli.roots import check, merge, revoke, root, sign

if TYPE_CHECKING:
    from dpsynth.ledger import SigningKey

FILE = click.Path(path_type=Path)


@click.group()
def keys() -> None:
    """Make signing keys, and decide together whose keys count.

    \b
    Two officers and an engine:
      dpsynth keys new -o ana.pem --encrypt          each makes a key and gives its public part away
      dpsynth keys show ana.pem
      dpsynth keys root people.toml -o root.json     a draft from the people listed
      dpsynth keys sign root.json --key ana.pem      each signs, one after the other
      dpsynth keys check root.json                   who is missing
    """


@keys.command()
@click.option("-o", "--out", type=FILE, required=True, help="The file to make (mode 0600).")
@click.option("--encrypt", is_flag=True, help="Encrypt the file under a passphrase, typed on the terminal.")
@passphrase_option
@json_option
def new(out: Path, encrypt: bool, passphrase_file: Path | None, as_json: bool) -> None:
    """Make an Ed25519 signing key.

    The file holds the private key: keep it where only its owner can read it. With --encrypt or --passphrase-file it
    opens with a passphrase only; choose several random words, for whoever has the file can try many. The key id and
    the public key that are printed are for everybody. An existing file is never overwritten.

    \b
    Example:
      dpsynth keys new -o ana.pem --encrypt
    """
    from dpsynth.ledger import SigningKey

    secret = new_passphrase(passphrase_file) if encrypt or passphrase_file else None
    key = SigningKey.generate()
    key.save(out, secret)
    if as_json:
        say_json({"ok": True, **_public(key), "file": str(out), "encrypted": secret is not None})
        return
    say(key.public.keyid)
    hint(f"public key {key.public.base64}")
    hint(f'private key written to {out}; use it with [release] sign_with = "{out}"')


@keys.command()
@click.argument("key_file", type=FILE)
@passphrase_option
@json_option
def show(key_file: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Show the key id and the public key of KEY_FILE. Both are for everybody.

    \b
    Example:
      dpsynth keys show ana.pem
    """
    key = load_key(key_file, passphrase_file)
    if as_json:
        say_json({"ok": True, **_public(key)})
        return
    say(f"key id      {key.public.keyid}")
    say(f"public key  {key.public.base64}")


for command in (root, revoke, sign, merge, check):
    keys.add_command(command)


def _public(key: SigningKey) -> dict[str, str]:
    return {"keyid": key.public.keyid, "public_key": key.public.base64}
