"""``dpsynth run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.output import NEW_FOLDER, failure, hint, json_option, memory_option, progress, report, say, say_json
from dpsynth.cli.passphrase import asking, passphrase_option
from dpsynth.errors import WaitingForApproval

if TYPE_CHECKING:
    from dpsynth.release import Published


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out",
    type=NEW_FOLDER,
    help="The release folder; with several FILES the folder that holds one folder a release id.",
)
@click.option("--store", help="The store of accounts, in place of [budget] store: a file, or postgresql://...")
@memory_option
@passphrase_option
@json_option
def run(
    files: tuple[Path, ...],
    out: Path | None,
    store: str | None,
    memory: str | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make the releases that FILES (release.toml) describe.

    Idempotent by release id: a run that was cut off goes on from its stored answers, a finished one is left as it is,
    and nothing is ever paid twice. With several files each gets a line; a failure does not stop the others, and the
    exit code is that of the first failure.

    Where the account has officers, the files are laid under pending/ beside the release folder and the exit code is 11;
    it says how to approve them. The same run again, once enough officers have, publishes the folder (0) or says that
    it was rejected (12).
    """
    from dpsynth.release import run_file

    def one(file: Path) -> Published:
        with progress(quiet=as_json) as tell:
            return run_file(
                file,
                out,
                among_several=len(files) > 1,
                store=store,
                memory=memory,
                passphrase=lambda key: asking(key, passphrase_file)(),
                progress=tell,
            )

    if len(files) == 1:
        try:
            published = one(files[0])
        except WaitingForApproval as error:
            raise SystemExit(_waiting(error, as_json)) from None
        _say(published, as_json)
        hint(f"next: dpsynth verify {published.folder} --rebuild")
        return
    first = 0
    for file in files:
        try:
            published = one(file)
        except WaitingForApproval as error:
            code = _waiting(error, as_json)
        except Exception as error:  # whatever it is, the other files are still to be run
            code = report(error, as_json, about=str(file))
        else:
            _say(published, as_json)
            continue
        first = first or code
    raise SystemExit(first)


def _waiting(error: WaitingForApproval, as_json: bool) -> int:
    """Say that the officers have to decide: no error, and not done."""
    from dpsynth.release.publish import Waiting

    code, text = failure(error)
    if as_json:
        document: dict[str, Any] = {"ok": False, "exit": code, "error": text}
        if isinstance(error, Waiting):
            signed = {"approved": list(error.approved), "needed": error.needed}
            document |= {"pending": str(error.pending), "fingerprint": error.fingerprint, **signed}
        say_json(document)
    hint(text)
    return code


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
    if release.plan.supersedes:
        hint(f"next: dpsynth status renew, for the folder of {release.plan.supersedes}: its status still says current")
    if release.ignored:
        hint(f"not in the schema, so never read: {', '.join(release.ignored)}")
    claim = f"epsilon {exact_text(release.plan.budget.epsilon)} at delta {exact_text(release.plan.budget.delta)}"
    say(f"{published.folder}  {release.rows} rows  {claim}")
