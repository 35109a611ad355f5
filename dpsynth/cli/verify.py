"""``dpsynth verify``."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.output import hint, json_option, keeping_nothing, progress, say, say_json

if TYPE_CHECKING:
    from dpsynth.release import Verdict

DECLARED = ("declared public:", "outside the guarantee:")

UNUSED = (12, 13, 14, 26)
"""Rejected, withdrawn, stale, not approved: the files and what they cost are still as signed."""

EPILOG = """\b
Exit codes: 0 verified, 2 usage, 12 rejected by officers, 13 withdrawn, 14 status old or missing (with --fresh),
20 signature or form, 21 a file or a rebuild differs, 22 a cost, sum or claim is wrong, 23 something unknown,
24 the log forked or was rolled back, 25 a key is expired, revoked or not the root's, 26 too few officers signed.
Of several failures the gravest gives the code: 20, 23, 21, 24, 25, 22, 26, 13, 12, 14."""


@click.command(epilog=EPILOG)
@click.argument("releases", metavar="RELEASE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--root", type=click.Path(path_type=Path), help="root.json of the organisation: who may sign.")
@click.option("--fresh", is_flag=True, help="Refuse a release without a status that is in force today.")
@click.option("--rebuild", is_flag=True, help="Also draw the rows again and fit the model again.")
@click.option("--parent", type=click.Path(path_type=Path), help="For a sample: its release, to draw the rows again.")
@json_option
def verify(
    releases: tuple[Path, ...], root: Path | None, fresh: bool, rebuild: bool, parent: Path | None, as_json: bool
) -> None:
    """Check each RELEASE as a stranger would: no private row is needed.

    The signature, the digest of every file, and the privacy loss: each sensitivity and cost is computed anew from the
    ledger's entries, summed, compared with what was reserved and with the caps of all accounts that paid, and converted
    to epsilon. Each line is shown to lie in the log that the signed checkpoint names.

    With --root also who says so: the ledger's signer is an engine of that root, and enough distinct officers granted
    the budgets and approved these very files. A release that waits under pending/ ends with 26 and says who has signed.

    Of several RELEASEs also whether they tell one history of their people, with 24 if their logs fork.
    """
    from dpsynth.release import check
    from dpsynth.trust import gravest

    verdicts = []
    for release in releases:
        with keeping_nothing(), progress(quiet=as_json) as tell:
            verdict = check.verify(release, rebuild=rebuild, parent=parent, root=root, fresh=fresh, progress=tell)
        verdicts.append(verdict)
        _show(verdict, as_json)
    if len(releases) > 1:
        verdicts.append(check.histories(releases, root=root))
        _show(verdicts[-1], as_json)
    raise SystemExit(gravest(verdicts))


def _show(verdict: Verdict, as_json: bool) -> None:
    from dpsynth.privacy import UNITS, exact_text, require_measure

    if as_json:
        found = asdict(verdict)
        say_json({**found, "exit": found.pop("exit_code"), "error": "; ".join(verdict.failures)})
        return
    if not verdict.ok:
        named = f"release {verdict.release}" if verdict.release else "it"
        stands = "is what was signed, and its loss was reckoned; it is not to be used"
        told = stands if verdict.exit_code in UNUSED else "cannot be relied on in anything that it says"
        say(f"NOT VERIFIED (exit {verdict.exit_code}): {named} {told}")
        for line in verdict.failures:
            hint(f"error: {line}")
        return
    signer = f", signed by {verdict.keyid}" if verdict.keyid else ""
    say(f"verified: release {verdict.release}{signer}")
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
