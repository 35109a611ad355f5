"""``dpsynth status``."""

from __future__ import annotations

from pathlib import Path

import click

from dpsynth.cli.output import hint, json_option, say, say_json
from dpsynth.cli.passphrase import load_key, passphrase_option


@click.group()
def status() -> None:
    """Renew the short-lived statement that a release still stands."""


@status.command()
@click.argument("release", type=click.Path(path_type=Path))
@click.option("--store", required=True, help="The store that made RELEASE: a file, or postgresql://...")
@click.option(
    "--key", type=click.Path(path_type=Path), help="The engine's key, or that of RELEASE  [default: the user's own]"
)
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long it is to last.")
@passphrase_option
@json_option
def renew(release: Path, store: str, key: Path | None, days: int, passphrase_file: Path | None, as_json: bool) -> None:
    """Write RELEASE's status.dsse.json anew: current, superseded or withdrawn, as the store has it now.

    Who verifies with --fresh asks for a status that is not past its day, so that a withdrawn release cannot be passed
    on as if nothing had happened. Officers' decisions to withdraw take effect here, once enough of them have signed.
    """
    from dpsynth.release.status import renew as tell

    found = tell(release, store, load_key(key, passphrase_file) if key else None, days=days)
    if as_json:
        document = {"state": found.state, "by": found.by, "reason": found.reason, "expires": found.expires}
        say_json({"ok": True, "release": found.release, "folder": str(release), **document})
        return
    more = f" by {found.by}" if found.by else f" ({found.reason})" if found.reason else ""
    say(f"{release}  {found.state}{more}, status until {found.expires}")
    hint("publish the new status.dsse.json wherever the release lies")
