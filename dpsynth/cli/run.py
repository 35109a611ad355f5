"""``dpsynth run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.output import NEW_FOLDER, hint, json_option, progress, report, say, say_json

if TYPE_CHECKING:
    from dpsynth.release import Published


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out",
    type=NEW_FOLDER,
    help="The release folder; with several FILES the folder that holds one folder a release id.",
)
@json_option
def run(files: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Make the releases that FILES (release.toml) describe.

    Idempotent by release id: a run that was cut off goes on from its stored answers, a finished one is left as it is,
    and nothing is ever paid twice. With several files each gets a line; a failure does not stop the others, and the
    exit code is that of the first failure.
    """
    from dpsynth.release import run_file

    if len(files) == 1:
        with progress(quiet=as_json) as tell:
            published = run_file(files[0], out, progress=tell)
        _say(published, as_json)
        hint(f"next: dpsynth verify {published.folder} --rebuild")
        return
    first = 0
    for file in files:
        try:
            with progress(quiet=as_json) as tell:
                published = run_file(file, out, among_several=True, progress=tell)
        except Exception as error:  # whatever it is, the other files are still to be run
            code = report(error, as_json, about=str(file))
            first = first or code
        else:
            _say(published, as_json)
    raise SystemExit(first)


def _say(published: Published, as_json: bool) -> None:
    from dpsynth.privacy import exact_text

    release = published.release
    if as_json:
        document: dict[str, Any] = {
            "ok": True,
            "release": release.plan.release,
            "folder": str(published.folder),
            "rows": release.rows,
            "epsilon": release.epsilon,
            "delta": release.delta,
            "mechanism": release.plan.mechanism,
            "ignored": list(release.ignored),
        }
        say_json(document)
        return
    if release.ignored:
        hint(f"not in the schema, so never read: {', '.join(release.ignored)}")
    claim = f"epsilon {exact_text(release.plan.budget.epsilon)} at delta {exact_text(release.plan.budget.delta)}"
    say(f"{published.folder}  {release.rows} rows  {claim}")
