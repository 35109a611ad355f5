"""Where things are printed: the result on stdout, all else on stderr; an error is one sentence and an exit code."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from dpsynth.errors import AnchorMissing, ConfigurationError, DpsynthError, Interrupted

NEW_FOLDER = click.Path(path_type=Path, file_okay=False)
"""A folder to make: what exists under its name may not be a file."""

PATIENCE = 1.0
"""Seconds of silence before progress is shown."""

memory_option = click.option(
    "--memory",
    help='The most memory to take, such as "3 GiB", in place of [data] memory; half of the machine\'s without both. No '
    "result depends on it: less memory means more passes over the rows.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def say(text: str = "") -> None:
    """A line of the result, on stdout."""
    click.echo(text)


def hint(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(text, err=True)


def say_json(document: Mapping[str, Any], warned: Sequence[str] = ()) -> None:
    """One JSON document on one line of stdout, with the ``warnings`` that the command gave, if it gave any."""
    context = click.get_current_context(silent=True)
    heard = warned or (context.find_root().obj if context else None)
    click.echo(json.dumps({**document, "warnings": list(heard)} if heard else document, sort_keys=True))


@contextmanager
def heeding() -> Iterator[list[str]]:
    """Around a command: what the library warns its user of goes to stderr once, and into the list that this gives."""
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", AnchorMissing)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, AnchorMissing):
                usual(message, category, filename, lineno, file, line)
            elif str(message) not in heard:
                heard.append(str(message))
                hint(f"warning: {message}")

        warnings.showwarning = show
        yield heard


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned as plain text; numbers (all but the first column) to the right."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = []
    for line in [header, *rows]:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def failure(error: BaseException) -> tuple[int, str]:
    """The exit code and the sentence of an error; an unforeseen one by its type: its text may hold data."""
    if isinstance(error, DpsynthError):
        return error.exit_code, str(error)
    if isinstance(error, click.UsageError):
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return ConfigurationError.exit_code, f"{error.format_message()}{where}"
    if isinstance(error, click.ClickException):
        return ConfigurationError.exit_code, error.format_message()
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Interrupted.exit_code, "interrupted; what was stored is kept, run the same command again to go on"
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f" at {place.tb_frame.f_globals.get('__name__')}:{place.tb_lineno}" if place else ""
    return 70, f"internal error ({type(error).__name__}{where}); nothing private is shown here. Please report it"


def report(error: BaseException, as_json: bool, about: str = "", warned: Sequence[str] = ()) -> int:
    """Print an error, if given what it is about first, and return its exit code."""
    code, text = failure(error)
    text = f"{about}: {text}" if about and about not in text else text
    if as_json:
        say_json({"ok": False, "exit": code, "error": text}, warned)
    hint(f"error: {text}")
    return code


@contextmanager
def keeping_nothing() -> Iterator[None]:
    """Around the work of a command that leaves nothing behind when it is interrupted: it says so."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted; nothing was written") from None


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str], None] | None]:
    """A line that says what is being done, on a terminal's stderr, once the work has lasted a second."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.status import Status

    status = Status("", console=Console(stderr=True))
    began = time.monotonic()
    shown = False

    def tell(what: str) -> None:
        nonlocal shown
        if not shown and time.monotonic() - began > PATIENCE:
            status.start()
            shown = True
        status.update(what)

    try:
        yield tell
    finally:
        if shown:
            status.stop()
