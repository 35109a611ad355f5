"""``dpsynth demo``."""

from __future__ import annotations

from pathlib import Path

import click

from dpsynth.cli.output import NEW_FOLDER, hint, json_option, progress, say, say_json
from dpsynth.errors import ConfigurationError

ROWS = 20_000
RELEASE = """# Artificial people: nobody in this table exists.
[data]
source = "people.csv"
schema = "people.toml"
artificial = true

[budget]
account = "demo"
store = "accounts.db"
epsilon = "1"
delta = "1e-9"

[mechanism]
name = "mrm"

[release]
id = "demo"
title = "Artificial people, made synthetic"
formats = ["parquet", "csv"]
sign_with = "signing.pem"
"""


@click.command()
@click.option(
    "--out",
    type=NEW_FOLDER,
    default=Path("dpsynth-demo/release"),
    show_default=True,
    help="The release folder to make; its inputs, accounts and key go beside it.",
)
@json_option
def demo(out: Path, as_json: bool) -> None:
    """Make a signed release from embedded artificial people, offline.

    The whole road: a table, its schema, an account with a budget, a release, and its signature. The inputs are kept
    beside the release in OUT-inputs, to look at and to change. Run twice, it pays once.
    """
    from dpsynth import people
    from dpsynth.accountant import Accountant
    from dpsynth.ledger import SigningKey
    from dpsynth.privacy import Budget, exact_text
    from dpsynth.release import run_file

    out = out.absolute() if out.name in ("", "..") else out
    try:
        inputs = out.with_name(f"{out.name}-inputs")
        inputs.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError):
        raise ConfigurationError(f"{out} cannot be made: give another --out") from None
    if not (inputs / "people.csv").exists():
        people.write_csv(inputs / "people.csv", ROWS)
    (inputs / "people.toml").write_text(people.SCHEMA_TOML, encoding="utf-8")
    (inputs / "release.toml").write_text(RELEASE, encoding="utf-8")
    if not (inputs / "signing.pem").exists():
        SigningKey.generate().save(inputs / "signing.pem")
    unit = people.schema().unit
    with Accountant.open(inputs / "accounts.db", create=not (inputs / "accounts.db").exists()) as accountant:
        if not accountant.accounts():
            cap = Budget(epsilon="1", delta="1e-9")
            accountant.open_account(
                "demo", entity=unit.entity, column=unit.column, neighbours=unit.neighbours, budget=cap
            )
    with progress(quiet=as_json) as tell:
        published = run_file(inputs / "release.toml", out, progress=tell)
    release = published.release
    if as_json:
        say_json(
            {"ok": True, "folder": str(out), "rows": release.rows, "epsilon": release.epsilon, "delta": release.delta}
        )
        return
    claim = f"epsilon {exact_text(release.plan.budget.epsilon)} at delta {exact_text(release.plan.budget.delta)}"
    say(f"{out}: {release.rows} synthetic rows from {ROWS} artificial people, {claim}")
    say()
    say(release.to_pandas().head(5).to_string(index=False, max_cols=8))
    say()
    for file in sorted(out.iterdir()):
        say(f"  {file}")
    hint(f"\nthe page for people: {out / 'report.html'}\nnext: dpsynth verify {out} --rebuild")
    hint(f"more rows: dpsynth sample {out} --rows 50 --sign-with {inputs / 'signing.pem'}")
