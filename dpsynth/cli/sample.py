"""``dpsynth sample``."""

from __future__ import annotations

from pathlib import Path

import click

from dpsynth.cli.output import NEW_FOLDER, hint, json_option, keeping_nothing, progress, say, say_json


@click.command()
@click.argument("release", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(min=1, max=10**9), required=True, help="How many rows to draw.")
@click.option("--where", multiple=True, metavar="CONDITION", help="Draw rows that fulfil it; several: all of them.")
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), default=1, show_default=True, help="Public.")
@click.option("--out", type=NEW_FOLDER, help="The folder to make  [default: RELEASE-sample]")
@click.option(
    "--sign-with", type=click.Path(path_type=Path), help="The key that signed RELEASE  [default: the user's own]"
)
@json_option
def sample(
    release: Path,
    rows: int,
    where: tuple[str, ...],
    seed: int,
    out: Path | None,
    sign_with: Path | None,
    as_json: bool,
) -> None:
    """Draw more rows from the model of RELEASE.

    Free: a function of what is public already. The folder holds the rows and a signed derivation that binds them to
    their parent, so that `dpsynth verify FOLDER --parent RELEASE` can draw them again.

    \b
    With --where every row fulfils a condition on public values:
      dpsynth sample out/people --rows 1000 --where "income = '>50K' and age between 30 and 39"
    Tests are = != < <= > >=, in ('a', 'b'), between 1 and 9, is null, is not null, not in and not between,
    joined by and; or joins tests of one column. Text stands in 'single' quotes, odd column names in "double" ones.
    """
    from dpsynth.release import derive
    from dpsynth.release.check import read_statement
    from dpsynth.release.condition import short

    target = out or release.with_name(f"{release.name}-sample")
    with keeping_nothing(), progress(quiet=as_json) as tell:
        folder = derive(release, rows=rows, seed=seed, out=target, where=where, key=sign_with, progress=tell)
    condition = read_statement(folder).predicate["sample"]["where"]
    if as_json:
        say_json({"ok": True, "folder": str(folder), "rows": rows, "seed": seed, "where": condition})
        return
    say(f"{folder}  {rows} rows{f' where {short(condition, 500)}' if condition else ''}")
    hint(f"next: dpsynth verify {folder} --parent {release}")
