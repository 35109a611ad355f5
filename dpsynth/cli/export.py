"""``dpsynth export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.files import read, read_text, write_new
from dpsynth.cli.output import hint, json_option, keeping_nothing, say, say_json
from dpsynth.errors import ConfigurationError
from dpsynth.files import write_whole

if TYPE_CHECKING:
    from dpsynth.release.export import Format

FORMATS = ("registry", "datapackage", "citation")
FILE = click.Path(path_type=Path)


@click.command()
@click.argument("release", type=FILE)
@click.argument("form", metavar="FORMAT", type=click.Choice(FORMATS))
@click.option("-o", "--out", type=FILE, help="Write the document there  [default: standard output]")
@click.option("--overwrite", is_flag=True, help="Put it in place of a file that is there.")
@click.option("--from", "answers", type=FILE, help="A TOML file with what only a person can say (registry).")
@click.option("--root", type=FILE, help="The root.json of the officers, to verify their approvals too.")
@json_option
def export(
    release: Path,
    form: Format,
    out: Path | None,
    overwrite: bool,
    answers: Path | None,
    root: Path | None,
    as_json: bool,
) -> None:
    """Tell other people's catalogues of RELEASE, once it is verified.

    \b
    registry     an entry for OpenDP's registry of deployments (YAML, tier 3)
    datapackage  its datapackage.json (Data Package, for frictionless and others)
    citation     its CITATION.cff (Citation File Format 1.2.0)

    The entry for the registry says what the signed ledger says: the unit, the loss, the noise, how it adds up, what is
    declared public. What only a person can say is marked TODO, or comes from a small TOML, by the registry's own names:

    \b
    data_curators = ["Statistics Office"]      registry_authors = ["A. Writer"]
    intended_use = "Research on households"    data_product_region = "Utopia"
    data_product_sector = "Government"         data_source_type = "Static"
    actors = "..."  preprocessing_and_hyperparameter_tuning = "..."  mechanisms = "..."
    justification = "..."  sources = "https://..."

    \b
    dpsynth export out/people registry --from registry.toml -o people_2026.yaml
    """
    from dpsynth.release.export import export as make
    from dpsynth.release.told import Told

    told = Told.parse(read_text(answers), str(answers)) if answers else None
    if out is not None and out.resolve().is_relative_to(release.resolve()):
        raise ConfigurationError(f"{out} lies inside the release, which it would break: give another -o")
    if out is not None and out.is_dir():
        raise ConfigurationError(f"{out} is a folder: name a file with -o")
    with keeping_nothing():
        made = make(release, form, told, read(root) if root else None)
    if out is not None:
        (write_whole if overwrite else write_new)(out, made.data)
    if as_json:
        document = {"release": made.release, "format": form, "missing": [key for key, _ in made.missing]}
        place = {"file": str(out)} if out else {"text": made.data.decode()}
        say_json({"ok": True, **document, **place})
        return
    say(str(out) if out else made.data.decode().removesuffix("\n"))
    if made.by is not None:
        hint(f"warning: this release is superseded by {made.by}")
    if made.missing:
        hint(f"{len(made.missing)} things only a person can say (marked TODO; give them with --from FILE.toml):")
        for key, question in made.missing:
            hint(f"  {key}: {question}")
    if out is not None and form == "datapackage":
        hint("its paths are relative: it belongs beside the data files")
