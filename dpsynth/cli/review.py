"""``dpsynth review``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.output import hint, json_option, say, say_json
from dpsynth.errors import ConfigurationError
from dpsynth.files import write_whole

if TYPE_CHECKING:
    from dpsynth.report.officer_facts import OfficerFacts

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("release", type=FILE)
@click.option("--root", type=FILE, help="The root.json of the officers: whose signatures count.")
@click.option("--store", help="The store that made RELEASE: a file, or postgresql://...")
@click.option("--since", type=FILE, help="The release before, to compare with  [default: the last one in the store]")
@click.option("-o", "--out", type=FILE, help="Where to write the page  [default: RELEASE.review.html]")
@click.option("--serve", "served", is_flag=True, help="Show the page on 127.0.0.1 instead of writing it.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="For --serve  [default: any that is free]")
@json_option
def review(
    release: Path,
    root: Path | None,
    store: str | None,
    since: Path | None,
    out: Path | None,
    served: bool,
    port: int,
    as_json: bool,
) -> None:
    """Write the page by which an officer decides about RELEASE, pending or published.

    One self-contained HTML file beside the folder, never in it: what is to be decided, the budget, who is protected,
    the worst case, what is declared public, every query, the known hazards, and what the independent verifier says. It
    is made from the public folder; with --store also from the log of its accounts, so that it knows what else was
    released and spent. No private row is needed or read.

    The page holds no key and signs nothing: it prints the commands that sign, with the twelve words to compare. With
    --serve it is shown on this machine alone, at an address that works once, until Ctrl-C.

    The exit code is 0 for a release that can be decided on or is current; otherwise the page says why and the code is
    that of `dpsynth verify`: 12 rejected, 13 withdrawn, 20 to 25 do not approve.
    """
    from dpsynth.release.review import review as gather
    from dpsynth.report.officer import policy, render_review

    if served and out is not None:
        raise ConfigurationError("--serve shows the page and writes none: leave out -o, or --serve")
    if served:
        from dpsynth.cli.serve import require_installed

        require_installed()
    place = None if served else _place(release, out)
    facts = gather(release, root=root, store=store, since=since)
    page = render_review(facts)
    if place is not None:
        write_whole(place, page.encode())
        _tell(facts, {"page": str(place)}, str(place), as_json)
        hint(f"open {place} in a browser, or show it here: dpsynth review {release} --serve")
    else:
        from dpsynth.cli.serve import serve

        def tell(address: str) -> None:
            _tell(facts, {"url": address}, address, as_json)
            hint("open it in a browser on this machine: the address works once; Ctrl-C ends it")

        serve(page, policy(), port, tell)
    raise SystemExit(_code(facts))


def _code(facts: OfficerFacts) -> int:
    """12 rejected, 13 withdrawn, the verifier's for what must not be approved, else 0: it can be decided on."""
    ended = {"rejected": 12, "withdrawn": 13}.get(facts.standing.state if facts.standing else "")
    return facts.check.exit_code if not facts.check.sound else ended or 0


def _place(release: Path, out: Path | None) -> Path:
    """Where the page goes: beside the folder, never in it, and never over a file that is no such page."""
    from dpsynth.report.officer import MARK

    if not release.is_dir():
        raise ConfigurationError(f"{release}: there is no such folder; give the folder of a release")
    folder = release.resolve()
    beside = release if release.name not in ("", "..") else folder
    place = out or beside.with_name(f"{beside.name}.review.html")
    if folder in place.resolve().parents or place.resolve() == folder:
        raise ConfigurationError(f"{place} is in the release: a signed folder holds nothing that is not signed")
    if place.is_dir():
        raise ConfigurationError(f"{place} is a folder: name a file")
    if place.exists():
        with place.open("rb") as file:
            if file.read(len(MARK)) != MARK.encode():
                raise ConfigurationError(f"{place} is there already and is no page of this kind: name another file")
    return place


def _tell(facts: OfficerFacts, more: dict[str, str], text: str, as_json: bool) -> None:
    check, ledger, standing = facts.check, facts.ledger, facts.standing
    if as_json:
        document: dict[str, Any] = {"ok": _code(facts) == 0, "exit": _code(facts), **more}
        document |= {"verified": check.ok, "sound": check.sound, "failures": list(check.failures)}
        if ledger and standing:
            document |= {"release": ledger.release, "fingerprint": facts.words, "state": standing.state}
            document |= {"approved": list(standing.approved_by), "needed": standing.needed}
        say_json(document)
        return
    say(text)
    if ledger is None or not check.sound:
        hint(f"do not approve: the folder does not verify (exit {check.exit_code})")
    elif standing:
        hint(f"{standing.told}\nfingerprint: {facts.words}")
