"""The group of commands. Each command's body is imported when it is called, so that ``--help`` stays quick."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

import click

from dpsynth import __version__
from dpsynth.cli.output import heeding, report

COMMANDS = {
    "demo": ("dpsynth.cli.demo", "Make a signed release from embedded artificial people."),
    "init": ("dpsynth.cli.prepare", "Draft a schema from column names and declared types."),
    "plan": ("dpsynth.cli.prepare", "Show every query, its cost and expected error; reads no row."),
    "run": ("dpsynth.cli.run", "Make the releases that one or more release.toml describe."),
    "review": ("dpsynth.cli.review", "Write or show the page by which an officer decides."),
    "approve": ("dpsynth.cli.approve", "Sign that a release may be published."),
    "reject": ("dpsynth.cli.approve", "Sign that a release may not be published."),
    "withdraw": ("dpsynth.cli.approve", "Sign that a published release may no longer be used."),
    "status": ("dpsynth.cli.status", "Renew the statement that a release still stands."),
    "sample": ("dpsynth.cli.sample", "Draw more rows from a release: free, signed, bound to it."),
    "verify": ("dpsynth.cli.verify", "Check a release as a stranger would."),
    "export": ("dpsynth.cli.export", "Tell catalogues of a release: registry entry, data package, citation."),
    "budget": ("dpsynth.cli.budget", "Open, show and convert privacy budgets."),
    "keys": ("dpsynth.cli.keys", "Make signing keys, and decide together whose keys count."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a first release."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


EPILOG = """\b
A first release:
  dpsynth demo --out first/release                the whole road on artificial people
  dpsynth init people.csv -o people.toml          then fill in what only you may declare
  dpsynth plan release.toml                       what would be asked, and what it costs
  dpsynth run release.toml --out out/release      make and sign it
  dpsynth verify out/release --rebuild            check it as a stranger would

\b
With officers who decide:
  dpsynth run release.toml --out out/people       exit code 11: the files lie under out/pending/people
  dpsynth review out/pending/people               what an officer looks at, with its twelve words
  dpsynth approve out/pending/people --key anna.pem --fingerprint "..."
  dpsynth run release.toml --out out/people       once enough have approved it: published

\b
Exit codes:
   0  done                                  20  signature wrong
   2  usage or configuration                21  a file or a rebuild differs from what was signed
   3  the data do not fit the schema        22  a cost or a sum is wrong
  10  budget refused                        23  unknown schema or mechanism: epsilon is infinite
  11  waiting for approval                  24  log forked or rolled back
  12  rejected                              25  key expired, revoked or not known
  13  withdrawn                             26  too few people signed
  14  status stale (verify --fresh)         30  store busy: try again
  70  internal error                        31  store damaged
 130  interrupted                           32  same release id, other plan

Every command takes --json and --help."""


@click.command(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dpsynth")
def dpsynth() -> None:
    """Differentially private synthetic data, with a signed ledger that a stranger can verify."""


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(words: Sequence[str] | None = None) -> None:
    """The entry point of ``dpsynth``: every error becomes one sentence, an exit code and, if asked, JSON."""
    given = list(sys.argv[1:] if words is None else words)
    signal.signal(signal.SIGTERM, _terminated)
    with heeding() as warned:
        try:
            code = dpsynth.main(given, prog_name="dpsynth", standalone_mode=False, obj=warned)
        except BaseException as error:
            if isinstance(error, SystemExit):
                raise
            if isinstance(error, click.exceptions.NoArgsIsHelpError):
                error.show()
                raise SystemExit(error.exit_code) from None
            code = report(error, "--json" in given, warned=warned)
    raise SystemExit(code or 0)
