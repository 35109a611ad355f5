"""``dpsynth keys root, revoke, sign, merge, check``: officers decide together whose keys count."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli import telling
from dpsynth.cli.files import read, read_text, write_new
from dpsynth.cli.output import hint, json_option, say, say_json
from dpsynth.cli.passphrase import load_key, passphrase_option
from dpsynth.errors import ConfigurationError, KeyRefused, ThresholdNotMet, UnknownEntry
from dpsynth.files import write_whole

if TYPE_CHECKING:
    from dpsynth.ledger import SigningKey, Trust

FILE = click.Path(path_type=Path)
out_option = click.option("-o", "--out", type=FILE, required=True, help="The file to make; never overwritten.")
key_option = click.option("--key", "key_file", type=FILE, required=True, help="Your signing key.")


@click.command()
@click.argument("people", type=FILE)
@click.option("--after", type=FILE, help="The root.json in force, to make the version that follows it.")
@out_option
@json_option
def root(people: Path, after: Path | None, out: Path, as_json: bool) -> None:
    """Draft a root of officers from PEOPLE, a TOML file; then each of them signs it with `dpsynth keys sign`.

    Version 1 needs the signatures of its own threshold of officers. Every later version (--after) needs those of the
    version before as well: the old officers say who the new ones are. A key that PEOPLE leaves out counts for nothing
    any more; to let stand what it signed until now, revoke it with the sizes of the logs (`dpsynth keys revoke`).

    \b
    people.toml:
      name = "Office of Statistics"
      expires = 2028-01-01
      threshold = 2
      [[people]]
      id = "ana"
      role = "officer"              # or "engine": signs ledgers and status
      keys = ["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]

    \b
    Example:
      dpsynth keys root people.toml -o root.json
      dpsynth keys root people.toml --after root.json -o root-2.json
    """
    from dpsynth.ledger import Draft
    from dpsynth.ledger.roster import Roster

    draft = Roster.parse(read_text(people), str(people)).draft(read(after) if after else None)
    write_new(out, draft)
    telling.say_draft(Draft.parse(draft), out, as_json)


@click.command()
@click.argument("keyids", metavar="KEYID...", nargs=-1, required=True)
@click.option("--root", "root_file", type=FILE, required=True, help="The root.json in force.")
@click.option(
    "--until",
    multiple=True,
    metavar="ORIGIN=SIZE|FILE",
    help="Up to which size of which log it still counts; several times. Without: nowhere.",
)
@click.option("--threshold", type=click.IntRange(1), help="How many officers are to decide from now on.")
@click.option("--expires", metavar="DAY", help="Until when the new version holds, YYYY-MM-DD.")
@out_option
@json_option
def revoke(
    keyids: tuple[str, ...],
    root_file: Path,
    until: tuple[str, ...],
    threshold: int | None,
    expires: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Draft the next version of a root without the keys KEYID (the id or its first 8 digits or more).

    What a revoked key signed counts only where a log recorded it at a size of at most SIZE. FILE says both: the anchor
    of a store (all that it holds so far), or the ledger or status of a release (all that its store held then). For a
    key that fell into wrong hands, take the size before that day. Then the officers sign the draft: `dpsynth keys
    sign`.

    \b
    Example:
      dpsynth keys revoke 21fe31df --root root.json --until out/births/status.dsse.json -o root-2.json
    """
    from dpsynth.ledger import Draft, Revocation, Trust, next_root

    trust = Trust.parse(read(root_file))
    origins = dict(map(_origin_and_size, until))
    gone = [Revocation(_keyid(trust, text), origins) for text in keyids]
    try:
        draft = next_root(trust, revoked=gone, threshold=threshold, expires=expires)
    except ThresholdNotMet:
        raise ThresholdNotMet(
            "without these keys there are fewer officers than the threshold: list more people with `dpsynth keys "
            "root`, or lower it with --threshold"
        ) from None
    except UnknownEntry as error:
        raise ConfigurationError(f"the next version cannot be made so: {error}") from None
    write_new(out, draft)
    telling.say_draft(Draft.parse(draft), out, as_json)


@click.command()
@click.argument("file", type=FILE)
@key_option
@click.option("--root", "root_file", type=FILE, help="For a grant: the root.json in force, to check that you may sign.")
@click.option("-o", "--out", type=FILE, help="Write the signed file there; without it FILE itself is replaced.")
@click.option("--yes", is_flag=True, help="Do not ask on the terminal.")
@passphrase_option
@json_option
def sign(
    file: Path,
    key_file: Path,
    root_file: Path | None,
    out: Path | None,
    yes: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Add your signature to FILE: a draft of a root, or a request for a budget grant.

    What you agree to is shown in words first; on a terminal you are asked. Releases are decided on with `dpsynth
    approve`, and nothing else is signed: an unknown file is refused (exit 23), as is a key that may not sign (exit 25).

    \b
    Example:
      dpsynth keys sign root.json --key ana.pem
      dpsynth keys sign grant.json --key ana.pem --root root.json
    """
    from dpsynth.ledger import Draft, Trust, parse_grant, read_envelope, sign_root

    data = read(file)
    trust = Trust.parse(read(root_file)) if root_file else None
    is_root = _is_root(data)
    if is_root:
        draft = Draft.parse(data)
        agreed = telling.of_root(draft)
    else:
        grant = parse_grant(read_envelope(data).payload)
        agreed = telling.of_grant(grant)
        if trust and grant.root != trust.digest:
            raise KeyRefused("the grant was made under another root than the one given: it would not be accepted")
    for line in agreed:
        hint(f"  {line}")
    key = load_key(key_file, passphrase_file)
    if not is_root and trust:
        _require_officer(trust, key)
    if not yes and not as_json and sys.stdin.isatty():
        click.confirm(f"sign this with key {key.public.keyid[:16]}…?", abort=True, err=True)
    signed = sign_root(data, key) if is_root else read_envelope(data).with_signature(key).data
    write_whole(out or file, signed)
    if is_root:
        telling.say_draft(Draft.parse(signed), out or file, as_json, key)
    else:
        telling.say_grant(signed, trust, out or file, as_json, key)


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@out_option
@json_option
def merge(files: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Bring the signatures on several copies of one root draft or grant together in one file.

    \b
    Example:
      dpsynth keys merge root-ana.json root-ben.json -o root.json
    """
    from dpsynth.ledger import Draft, merge_roots, parse_grant, read_envelope
    from dpsynth.ledger import merge as merge_envelopes

    first, *rest = map(read, files)
    if _is_root(first):
        for data in rest:
            first = merge_roots(first, data)
        draft = Draft.parse(first)
        write_new(out, first)
        telling.say_draft(draft, out, as_json)
        return
    parse_grant(read_envelope(first).payload)
    for data in rest:
        first = merge_envelopes(first, data)
    write_new(out, first)
    telling.say_grant(first, None, out, as_json)


@click.command()
@click.argument("root_file", metavar="ROOT", type=FILE)
@json_option
def check(root_file: Path, as_json: bool) -> None:
    """Check every version of ROOT: who has signed, who is missing, what has expired.

    Exit 0: complete and in force. Exit 26: signatures are missing. Exit 25: it, or all keys of so many officers that
    the threshold cannot be met, are past their day. Exit 20: a signature is wrong.

    \b
    Example:
      dpsynth keys check root.json
    """
    from dpsynth.ledger import Draft

    draft, today = Draft.parse(read(root_file)), telling.today()
    trouble = telling.trouble(draft, today)
    if as_json:
        code = trouble.exit_code if trouble else 0
        say_json({"ok": not trouble, "exit": code, "error": str(trouble or ""), **telling.document(draft, today)})
        raise SystemExit(code)
    for line in telling.of_root(draft):
        say(line)
    for quorum in draft.quorums:
        say(telling.progress(quorum))
    say(f"digest {draft.root.digest}")
    for person in draft.root.people:
        for key in person.keys:
            if key.expires < today:
                hint(f"expired: key {key.keyid} of {person.id} on {key.expires}")
    if trouble:
        raise trouble
    say("complete and in force")


def _require_officer(trust: Trust, key: SigningKey) -> None:
    today = telling.today()
    trust.require_current(today)
    if why := trust.refusal(key.public.keyid, role="officer", day=today):
        raise KeyRefused(f"your signature would not count: {why}")


def _is_root(data: bytes) -> bool:
    from dpsynth.ledger import read_object

    return "roots" in read_object(data, "the file")


def _keyid(trust: Trust, text: str) -> str:
    known = [key.keyid for person in trust.newest.people for key in person.keys]
    known += [one.keyid for one in trust.newest.revoked]
    found = [keyid for keyid in known if keyid.startswith(text)] if len(text) >= 8 else []
    if len(found) != 1:
        raise ConfigurationError(f"KEYID {text!r} is not one key of the root: give its id, or 8 first digits or more")
    return found[0]


def _origin_and_size(text: str) -> tuple[str, int]:
    origin, _, size = text.rpartition("=")
    if origin and size.isascii() and size.isdecimal():
        return origin, int(size)
    if Path(text).is_file():
        return _head_in(read(Path(text)), text)
    raise ConfigurationError(
        f"--until {text!r}: must be ORIGIN=SIZE, as dpsynth.log/0011…eeff=41, or a file that says both"
    )


def _head_in(data: bytes, name: str) -> tuple[str, int]:
    from dpsynth.ledger import open_envelope, parse_statement, read_object

    value: Any = read_object(data, name)
    if "payload" in value:
        value = parse_statement(open_envelope(data)).predicate.get("log")
    if isinstance(value, Mapping) and isinstance(value.get("origin"), str) and type(value.get("size")) is int:
        return value["origin"], value["size"]
    raise ConfigurationError(f"--until {name!r}: is no anchor of a store, and no ledger or status that names its log")
