"""``dpsynth verify``."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import click

from dpsynth.cli.output import hint, json_option, keeping_nothing, progress, say, say_json

DECLARED = ("declared public:", "outside the guarantee:")


@click.command()
@click.argument("release", type=click.Path(path_type=Path))
@click.option("--rebuild", is_flag=True, help="Also draw the rows again and fit the model again.")
@click.option("--parent", type=click.Path(path_type=Path), help="For a sample: its release, to draw the rows again.")
@json_option
def verify(release: Path, rebuild: bool, parent: Path | None, as_json: bool) -> None:
    """Check RELEASE as a stranger would: no private row is needed.

    The signature, the digest of every file, and the privacy loss: each sensitivity and cost is computed anew from the
    ledger's entries, summed, compared with what was reserved, and converted to epsilon.
    """
    from dpsynth.privacy import UNITS, exact_text, require_measure
    from dpsynth.release import verify as check

    with keeping_nothing(), progress(quiet=as_json) as tell:
        verdict = check(release, rebuild=rebuild, parent=parent, progress=tell)
    if as_json:
        found = asdict(verdict)
        say_json({**found, "exit": found.pop("exit_code"), "error": "; ".join(verdict.failures)})
    elif verdict.ok:
        say(f"verified: release {verdict.release}, signed by {verdict.keyid}")
        if verdict.epsilon:
            amount = f"{UNITS[require_measure(verdict.measure)]} {float(Fraction(verdict.amount)):.6g}"
            claim = f"epsilon {exact_text(Fraction(verdict.epsilon))} at delta {exact_text(Fraction(verdict.delta))}"
            say(f"{claim} ({amount})")
        declared = [line for line in verdict.notes if line.startswith(DECLARED)]
        for line in verdict.notes:
            if line not in declared:
                say(f"  {line}")
        if declared:
            say(f"  {len(declared)} things are declared public or outside the guarantee: see report.html, or --json")
    else:
        say(f"NOT VERIFIED (exit {verdict.exit_code}): nothing that it says can be relied on")
        for line in verdict.failures:
            hint(f"error: {line}")
    raise SystemExit(verdict.exit_code)
