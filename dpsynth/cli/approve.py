"""``dpsynth approve``, ``dpsynth reject`` and ``dpsynth withdraw``: what officers sign, on their own machines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dpsynth.cli.output import hint, json_option, say, say_json
from dpsynth.cli.passphrase import load_key, passphrase_option
from dpsynth.errors import ConfigurationError
from dpsynth.files import read_whole

if TYPE_CHECKING:
    from dpsynth.ledger import Decision, WithdrawReason

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(path_type=Path)
SAID = {"approve": "approved", "reject": "rejected", "withdraw": "withdrawn"}


@dataclass(frozen=True)
class Given:
    """The options that all three have."""

    keys: tuple[Path, ...]
    fingerprint: str | None
    conditions: str
    days: int
    root: Path | None
    out: Path | None
    request: Path | None
    added: tuple[Path, ...]
    passphrase_file: Path | None
    as_json: bool


class _Deciding(click.Command):
    """A command that is called with the options that all three have as one value, ``given``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Gather them."""
        given = Given(**{one.name: ctx.params.pop(one.name) for one in fields(Given)})
        ctx.params["given"] = given
        return super().invoke(ctx)


def _shared(command: Command) -> Command:
    """The options that all three have."""
    for option in reversed(
        [
            click.argument("release", type=FILE),
            click.option("--key", "keys", type=FILE, multiple=True, help="The officer's signing key."),
            click.option("--fingerprint", metavar="WORDS", help="The twelve words that you compared, in quotes."),
            click.option("--conditions", default="", help="A text that is signed with the decision."),
            click.option(
                "--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long it counts."
            ),
            click.option("--root", type=FILE, help="The root.json of the officers, where it is not known otherwise."),
            click.option("-o", "--out", type=FILE, help="Write the signed decision there, not into RELEASE."),
            click.option("--request", type=FILE, help="Write what is asked to FILE, to sign it on another machine."),
            click.option(
                "--add", "added", type=FILE, multiple=True, help="Bring a decision back that was signed there."
            ),
        ]
    ):
        command = option(command)
    return command


@click.command(cls=_Deciding)
@_shared
@passphrase_option
@json_option
def approve(release: Path, given: Given) -> None:
    """Sign that RELEASE may be published.

    RELEASE is a folder under pending/, or the request that was carried from there. Look at the folder first (dpsynth
    review RELEASE) and give the twelve words that you saw: it is signed only if they are those of the very files.
    Once enough officers have signed, the same run again publishes it.

    \b
    dpsynth approve pending/people --key anna.pem --fingerprint "acid acorn ..."     on the machine that has the files
    dpsynth approve pending/people --request people.request.json                    to carry to another machine
    dpsynth approve people.request.json --key bo.pem -o bo.dsse.json                over there
    dpsynth approve pending/people --add bo.dsse.json                               and back
    """
    _decide("approve", release, None, given)


@click.command(cls=_Deciding)
@_shared
@click.option("--reason", type=click.Choice(["budget", "unit", "public-facts", "utility", "other"]), help="A class.")
@passphrase_option
@json_option
def reject(release: Path, reason: str | None, given: Given) -> None:
    """Sign that RELEASE may not be published.

    Once enough officers have, the same run again says so and ends with exit code 12. What it spent stays spent. Options
    as for approve; who signs gives a --reason.
    """
    _decide("reject", release, reason, given)


@click.command(cls=_Deciding)
@_shared
@click.option(
    "--reason",
    type=click.Choice(["privacy-fault", "data-fault", "legal", "superseded", "other"]),
    help="A class, which is published.",
)
@click.option("--store", help="The store that made RELEASE: tell it, and sign the new status.")
@click.option("--sign-with", type=FILE, help="The engine's key, for the new status  [default: the user's own]")
@passphrase_option
@json_option
def withdraw(
    release: Path, reason: WithdrawReason | None, store: str | None, sign_with: Path | None, given: Given
) -> None:
    """Sign that RELEASE, which is published, may no longer be used.

    Where the account has officers enough of them have to sign; give several --key at once, or sign on different
    machines as for approve. It takes effect in the store by --store, or by `dpsynth status renew`, with the engine's
    key. Where there are no officers --key is the one that signed RELEASE, and --store is needed. What it spent stays
    spent.
    """
    if store is None:
        if sign_with is not None:
            raise ConfigurationError("--sign-with signs the new status, which needs --store")
        _decide("withdraw", release, reason, given)
        return
    from dpsynth.release.status import withdraw as tell

    if given.out or given.request or given.added or given.fingerprint:
        raise ConfigurationError("with --store it takes effect here: leave out -o, --request, --add, --fingerprint")
    if reason is None or not given.keys:
        raise ConfigurationError(f"--{'key' if reason else 'reason'} is missing: who withdraws the release, and why?")
    signed = [load_key(path, given.passphrase_file) for path in given.keys]
    engine = load_key(sign_with, given.passphrase_file) if sign_with else None
    found = tell(release, store, signed, reason, sign_with=engine, conditions=given.conditions)
    if given.as_json:
        document = {"release": found.release, "state": found.state, "reason": found.reason, "expires": found.expires}
        say_json({"ok": True, **document, "folder": str(release)})
        return
    say(f"{release}  {found.state} ({found.reason}), status until {found.expires}")
    hint("what it spent stays spent; publish the new status.dsse.json wherever the release lies")


def _decide(decision: Decision, release: Path, reason: str | None, given: Given) -> None:
    from dpsynth.files import write_whole
    from dpsynth.ledger import fingerprint_of_digest
    from dpsynth.release import approve as room

    if sum(map(bool, (given.keys, given.request, given.added))) != 1:
        raise ConfigurationError("give one of --key (to sign), --request (to carry) and --add (to bring back)")
    trusted = read_whole(given.root) if given.root else None
    if given.request is not None:
        data = room.request(release, trusted)
        write_whole(given.request, data)
        asked = room.Request.parse(data)
        facts = {"release": asked.release, "file": str(given.request), "fingerprint": asked.fingerprint}
        _tell(given.as_json, facts, f"{given.request}  for release {asked.release}\nfingerprint: {asked.fingerprint}")
        hint(f"next, on another machine: dpsynth {decision} {given.request.name} --key KEY -o {decision}.dsse.json")
        return
    if given.added:
        files = [room.add(release, read_whole(path)) for path in given.added]
        _tell(given.as_json, {"files": [str(path) for path in files]}, "\n".join(map(str, files)))
        return
    if not release.is_dir() and given.out is None:
        raise ConfigurationError("a request is signed into a file: give -o FILE, and bring that back with --add")
    fingerprint = given.fingerprint
    if decision == "approve" and fingerprint is None and sys.stdin.isatty() and not given.as_json:
        fingerprint = click.prompt("the twelve words of what you looked at", err=True)
    if given.out is not None and len(given.keys) > 1:
        raise ConfigurationError("-o takes one decision: give one --key at a time")
    for path in given.keys:
        data = room.sign(
            release,
            load_key(path, given.passphrase_file),
            decision,
            fingerprint=fingerprint,
            conditions=given.conditions,
            reason=reason,
            days=given.days,
            root=trusted,
        )
        if given.out is not None:
            write_whole(given.out, data)
        file = given.out or room.add(release, data)
        said = room.Vote.read(data).approval
        words = fingerprint_of_digest(said.ledger)
        facts = {"release": said.release, "decision": decision, "person": said.person, "expires": said.expires}
        text = f"{SAID[decision]} by {said.person}: release {said.release}, counts until {said.expires}\n{file}"
        _tell(given.as_json, {**facts, "file": str(file), "fingerprint": words}, text)
        if fingerprint is None:
            hint(f"not compared with what you looked at: the fingerprint of what was signed is\n  {words}")


def _tell(as_json: bool, facts: dict[str, Any], text: str) -> None:
    if as_json:
        say_json({"ok": True, **facts})
    else:
        say(text)
