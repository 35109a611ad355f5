"""``dpsynth sample``."""

from __future__ import annotations

from pathlib import Path

import click

from dpsynth.cli.output import hint, json_option, progress, say, say_json


@click.command()
@click.argument("release", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(min=1, max=10**9), required=True, help="How many rows to draw.")
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), default=1, show_default=True, help="Public.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder to make  [default: RELEASE-sample]")
@click.option(
    "--sign-with", type=click.Path(path_type=Path), help="The key that signed RELEASE  [default: the user's own]"
)
@json_option
def sample(release: Path, rows: int, seed: int, out: Path | None, sign_with: Path | None, as_json: bool) -> None:
    """Draw more rows from the model of RELEASE.

    Free: a function of what is public already. The folder holds the rows and a signed derivation that binds them to
    their parent, so that `dpsynth verify FOLDER --parent RELEASE` can draw them again.
    """
    from dpsynth.release import derive

    target = out or release.with_name(f"{release.name}-sample")
    with progress(quiet=as_json) as tell:
        folder = derive(release, rows=rows, seed=seed, out=target, key=sign_with, progress=tell)
    if as_json:
        say_json({"ok": True, "folder": str(folder), "rows": rows, "seed": seed})
        return
    say(f"{folder}  {rows} rows")
    hint(f"next: dpsynth verify {folder} --parent {release}")
